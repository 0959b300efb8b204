"""The day until which a signing request takes answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid
from portal.models.envelopes import Envelope
from portal.services import audit, deadlines, envelopes, jobs, links, notices
from portal.services.audit import SYSTEM
from providers.interface import EventKind, ProviderEvent
from tests.services.signing import actor, sent


def mailed_token(envelope):
    from portal.models.notices import Notice

    text = notices.read(Notice.get(Notice.contract_id == envelope.contract.id))[0]
    return text.split("/sign/")[1].split()[0]


def test_a_later_day_keeps_the_request_and_its_links_alive(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    token, old = mailed_token(envelope), envelope.expires_at

    deadlines.extend(envelope, old + timedelta(days=9), by=actor(cast.ana), now=now)

    later = old + timedelta(days=1)
    assert links.is_alive(links.find(token, later), later)
    jobs.add("expire", {}, now=later, key="expire now")
    jobs.run_due("test", lambda: later)
    assert Envelope.get_by_id(envelope.id).status == "sent"
    assert audit.history(envelope.contract.id)[0]["act"] == "envelope.extended"


@pytest.mark.parametrize("days", [0, -1, 400])
def test_a_day_that_is_not_later_is_refused_beside_the_field(cast, now, run_jobs, days):
    envelope = sent(cast, now, run_jobs)

    with pytest.raises(Invalid) as refused:
        deadlines.extend(envelope, envelope.expires_at + timedelta(days=days), by=actor(cast.ana), now=now)

    assert list(refused.value.errors) == ["expires_on"]


def test_what_has_ended_is_not_prolonged(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    until = envelope.expires_at + timedelta(days=9)

    with pytest.raises(Conflict):
        deadlines.extend(envelope, until, by=actor(cast.ana), now=envelope.expires_at)
    envelopes.apply_event(envelope.id, ProviderEvent(EventKind.EXPIRED, now), by=SYSTEM, now=now)
    with pytest.raises(Conflict):
        deadlines.extend(envelope, until, by=actor(cast.ana), now=now)


def test_a_provider_keeps_its_own_day(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    Envelope.update(provider="docusign", handed_at=now).where(Envelope.id == envelope.id).execute()

    with pytest.raises(Conflict, match="provider keeps"):
        deadlines.extend(envelope, envelope.expires_at + timedelta(days=9), by=actor(cast.ana), now=now)
