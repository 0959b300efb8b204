from __future__ import annotations

import re
from datetime import timedelta

import pytest

from portal.errors import Conflict, NotFound
from portal.models.envelopes import LinkToken, Right
from portal.services import ceremonies, envelopes, links, recipients
from portal.services.audit import SYSTEM
from tests.services import ceremony_steps as steps
from tests.services.signing import actor, recipient, sent


def test_a_token_has_256_bits_and_is_kept_as_its_hash_only(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    who = recipient(envelope, "claire")

    tokens = {links.issue(who, now=now) for _number in range(1000)}

    assert len(tokens) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    kept = {row.sha256 for row in LinkToken.select()}
    assert not kept & tokens
    assert {links.digest(token) for token in tokens} <= kept


def test_a_link_names_one_recipient_and_one_purpose(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    who = recipient(envelope, "claire")

    link, place = ceremonies.of_link(links.issue(who, now=now, purpose="copy"), now)

    assert (place.recipient.id, link.purpose) == (who.id, "copy")


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 5000, "\0"])
def test_a_token_never_given_out_is_nobodys(cast, now, run_jobs, token):
    sent(cast, now, run_jobs)

    with pytest.raises(NotFound):
        ceremonies.of_link(token, now)


def test_links_die_with_void_completion_and_their_time(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    token = links.issue(recipient(envelope, "claire"), now=now)
    link, _place = ceremonies.of_link(token, now)
    assert links.is_alive(link, now)
    assert links.is_alive(link, envelope.expires_at - timedelta(seconds=1))
    assert not links.is_alive(link, envelope.expires_at)

    envelopes.void(envelope, reason="Wrong price", by=SYSTEM, now=now)

    link, _place = ceremonies.of_link(token, now)
    assert not links.is_alive(link, now)


def test_a_correction_ends_links_rights_and_codes(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    place = steps.enter(envelope, "claire", now)
    who = recipient(envelope, "claire")

    recipients.correct(
        who, name=who.name, email="other@castellan.example", phone=who.phone, by=actor(cast.ana), now=now
    )

    with pytest.raises(NotFound):
        place()
    assert Right.select().count() == 0


def test_an_ended_link_is_not_exchanged(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    link, place = ceremonies.of_link(links.issue(recipient(envelope, "claire"), now=now), now)
    links.end_of(place.recipient, now)

    with pytest.raises(Conflict):
        ceremonies.enter(link, place, "0" * 64, by=place.actor(), now=now)
    assert Right.select().count() == 0


def test_a_copy_link_outlives_the_signing(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    copy = links.issue(recipient(envelope, "claire"), now=now, purpose="copy")

    links.end_signing(envelope, now)

    assert links.is_alive(ceremonies.of_link(copy, now)[0], now + timedelta(days=89))
