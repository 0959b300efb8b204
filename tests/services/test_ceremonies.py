from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid, NotFound
from portal.models import base
from portal.models.audit import AuditEvent
from portal.models.envelopes import Act, Consent, Envelope, Recipient, Right
from portal.models.people import Session
from portal.services import acts, audit_chains, ceremonies, consents, envelopes, sessions
from portal.services.audit import SYSTEM
from tests.services import ceremony_steps as steps
from tests.services.signing import ours, ready, recipient, sent, theirs


@pytest.fixture
def envelope(cast, now, run_jobs):
    return sent(cast, now, run_jobs)


def events(envelope):
    rows = AuditEvent.select().where(AuditEvent.chain == envelope.contract.id).order_by(AuditEvent.number)
    return [row.act for row in rows]


def test_the_screen_follows_from_the_facts(envelope, now):
    place = steps.enter(envelope, "claire", now)

    assert ceremonies.state(place(), now) == "consent"
    steps.agree(place, now)
    assert ceremonies.state(place(), now) == "read"
    steps.prepare(place, now)
    assert ceremonies.state(place(), now) == "review"
    acts.change(place())
    assert ceremonies.state(place(), now) == "read"
    steps.prepare(place, now)
    steps.confirm(place, now)
    assert ceremonies.state(place(), now) == "done"


def test_everything_done_is_in_the_trail_by_the_recipient(envelope, now):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)
    steps.prepare(place, now)
    steps.confirm(place, now)

    wanted = ["link.exchanged", "recipient.opened", "consent.given", "recipient.signed"]
    assert [act for act in events(envelope) if act in wanted] == wanted
    body = AuditEvent.get(AuditEvent.act == "recipient.signed").body
    assert f'"id":"{recipient(envelope, "claire").id}","kind":"recipient"' in body
    assert envelope.document.sha256 in body
    assert "Claire Aubert" not in body


def test_nobody_signs_before_their_turn(envelope, now):
    place = steps.enter(envelope, "ana", now)

    assert ceremonies.state(place(), now) == "waiting"
    for write in (lambda: steps.agree(place, now), lambda: steps.prepare(place, now)):
        with pytest.raises(Conflict):
            write()
    assert Act.select().count() == Consent.select().count() == 0


def test_the_turn_is_judged_by_the_others_acts_and_not_by_ones_own_row(envelope, now):
    place = steps.enter(envelope, "ana", now)
    Recipient.update(status="sent").where(Recipient.id == recipient(envelope, "ana").id).execute()

    with pytest.raises(Conflict):
        steps.agree(place, now)
        steps.prepare(place, now)
    assert Act.select().count() == 0


def test_fifty_confirms_at_once_are_one_act(envelope, now):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)
    steps.prepare(place, now)

    done, _refused = steps.at_once([lambda: steps.confirm(place, now)] * 50)

    assert done >= 1
    assert Act.select().count() == 1
    assert events(envelope).count("recipient.signed") == 1


def test_void_and_signature_have_one_winner(cast, now, run_jobs):
    for _round in range(12):
        envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs()]))
        place = steps.enter(envelope, "claire", now)
        steps.agree(place, now)
        steps.prepare(place, now)

        def void(envelope=envelope):
            envelopes.void(Envelope.get_by_id(envelope.id), reason="Too late", by=SYSTEM, now=now)

        done, _refused = steps.at_once([lambda place=place: steps.confirm(place, now), void])

        status = Envelope.get_by_id(envelope.id).status
        signed = Act.select().where(Act.envelope == envelope).count() == 1
        assert done == 1
        assert (status, signed) in (("completed", True), ("voided", False))
        assert ("recipient.signed" in events(envelope)) == signed
        assert ("envelope.voided" in events(envelope)) != signed


def test_the_trail_still_holds_after_the_races(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    place = steps.enter(envelope, "claire", now)
    steps.at_once([lambda: steps.agree(place, now)] * 20)

    assert Consent.select().count() == 1
    assert events(envelope).count("consent.given") == 1
    assert audit_chains.verify()["valid"] is True


def test_rights_end_with_the_session(envelope, now):
    place = steps.enter(envelope, "claire", now)

    with pytest.raises(NotFound):
        place(now + sessions.OUTSIDE_IDLE)
    Session.update(seen_at=now + timedelta(hours=13)).execute()
    with pytest.raises(NotFound):
        place(now + timedelta(hours=13))


def test_another_browser_is_noted_for_the_sender(envelope, now):
    steps.enter(envelope, "claire", now)
    steps.enter(envelope, "claire", now)

    rows = AuditEvent.select().where(AuditEvent.act == "link.exchanged").order_by(AuditEvent.number)
    assert ['"another_browser":true' in row.body for row in rows] == [False, True]
    assert Right.select().count() == 2


def test_declining_is_open_before_anything_is_proved_and_ends_the_round(envelope, now):
    steps.asks(envelope, "claire", "sms")
    place = steps.enter(envelope, "claire", now)

    with pytest.raises(Invalid):
        acts.decline(place(), reason="  ", by=place().actor(), now=now)
    for _press in range(2):
        acts.decline(place(), reason="Too expensive", by=place().actor(), now=now)

    assert Act.get().kind == "decline"
    assert Envelope.get_by_id(envelope.id).status == "declined"
    assert ceremonies.state(place(), now) == "declined"
    assert events(envelope).count("recipient.declined") == 1


def test_a_new_version_of_the_consent_is_asked_again(envelope, now, monkeypatch):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)
    Consent.update(version="2020-01").execute()

    assert ceremonies.state(place(), now) == "consent"
    with pytest.raises(Conflict):
        steps.prepare(place, now)
    steps.agree(place, now)
    assert {row.version for row in Consent.select()} == {"2020-01", consents.VERSION}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"title": ""}, "title"),
        ({"has_authority": False}, "bind"),
        ({"has_read": False}, "read"),
        ({"drawn": "M1 1"}, "drawn"),
        ({"drawn": "M1 1L2 2" * 3000}, "drawn"),
        ({"drawn": 'M1 1L2 2"/><script>'}, "drawn"),
    ],
)
def test_a_signature_lacks_nothing(envelope, now, changes, field):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)

    with pytest.raises(Invalid) as refusal:
        steps.prepare(place, now, **changes)
    assert list(refusal.value.errors) == [field]


def test_the_sentences_are_kept_in_the_language_they_were_read_in(envelope, now):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)
    french = acts.Signature("fr", "Claire Aubert", "Directrice", has_authority=True, has_read=True)
    acts.prepare(place(), french, by=place().actor(), now=now)
    steps.confirm(place, now)

    act = Act.get()
    assert act.authority == "Je suis habilité à engager Castellan Pharma SA."
    assert "signature électronique simple" in act.intent


def test_approvers_come_before_signers_of_the_same_number(cast, now, run_jobs):
    people = [theirs(), ours(cast, routing_order=1, role="approver")]
    envelope = sent(cast, now, run_jobs, ready(cast, now, people))

    assert ceremonies.state(steps.enter(envelope, "claire", now)(), now) == "waiting"
    place = steps.enter(envelope, "ana", now)
    steps.agree(place, now)
    steps.prepare(place, now)
    steps.confirm(place, now)

    assert Act.get().kind == "approve"
    assert recipient(envelope, "claire").status == "sent"


def test_the_place_is_found_in_one_query(envelope, now):
    place = steps.enter(envelope, "claire", now)
    place()
    asked = []
    execute = base.db.obj.execute_sql
    base.db.obj.execute_sql = lambda sql, *rest, **more: asked.append(sql) or execute(sql, *rest, **more)
    try:
        found = place()
        assert (found.contract.entity.name, found.sender.name) == ("Larkfield Software Ltd", "Ana")
    finally:
        base.db.obj.execute_sql = execute

    assert len(asked) == 1


def test_a_sample_signer_goes_the_whole_way(envelope, now):
    steps.asks(envelope, "claire", "sms", "totp")
    who = recipient(envelope, "claire")

    ceremonies.sign_as_sample(who, by=SYSTEM, now=now)

    assert Act.get().kind == "sign"
    assert {each["factor"] for each in Act.get().factors} == {"link", "sms", "totp"}
