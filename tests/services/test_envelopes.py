from __future__ import annotations

import os
import threading
from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid, NotAllowed
from portal.models import base
from portal.models.audit import AuditEvent
from portal.models.contracts import Contract
from portal.models.envelopes import Act, Envelope, LinkToken, Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import envelopes, notices
from portal.services.audit import SYSTEM
from providers.interface import EventKind, ProviderEvent
from tests.services import signing
from tests.services.signing import act, actor, ours, ready, recipient, send, sent, theirs

LONG = os.environ.get("COUNTERSIGN_TEST_LONG") == "1"


def acts_in_trail(envelope):
    rows = AuditEvent.select().where(AuditEvent.chain == envelope.contract.id).order_by(AuditEvent.number)
    return [row.act for row in rows]


def mails(envelope):
    rows = Notice.select().where(Notice.contract_id == envelope.contract.id).order_by(Notice.id)
    return [(row.kind, row.address) for row in rows]


def test_sending_records_everything_at_once(cast, now):
    envelope = send(cast, now, message="Please sign before the peak season.")

    assert envelope.status == "queued"
    assert Contract.get_by_id(envelope.contract.id).state == "signing"
    assert [r.key for r in envelopes.recipients_of(envelope)] == ["claire", "ana"]
    assert {"contract.sent", "envelope.queued"} <= set(acts_in_trail(envelope))
    assert Job.select().where(Job.key == f"send:{envelope.id}").count() == 1


def test_the_first_group_is_asked_and_nobody_else(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    assert envelope.status == "sent"
    assert recipient(envelope, "claire").status == "sent"
    assert recipient(envelope, "ana").status == "waiting"
    assert mails(envelope) == [("sign_request", "claire@castellan.example")]
    assert Contract.get_by_id(envelope.contract.id).waiting_for == "Claire Aubert"


def test_the_mail_holds_a_link_whose_token_is_nowhere_in_the_tables(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs, message="Bonjour")
    text, html = notices.read(Notice.get(Notice.contract_id == envelope.contract.id))

    token = text.split("/sign/")[1].split()[0]
    assert f"/sign/{token}" in html
    assert "Bonjour" in text
    assert LinkToken.get(LinkToken.recipient == recipient(envelope, "claire")).sha256 not in text
    assert token not in str(list(LinkToken.select().dicts())) + str(list(Notice.select().dicts()))


def test_running_the_send_job_twice_asks_once(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    Job.update(status="ready", run_at=now).where(Job.key == f"send:{envelope.id}").execute()

    run_jobs(now)

    assert len(mails(envelope)) == 1


def test_a_contract_is_sent_once(cast, now):
    contract = ready(cast, now)
    send(cast, now, contract)

    with pytest.raises(Conflict):
        send(cast, now, contract)

    assert Envelope.select().where(Envelope.contract == contract).count() == 1


def test_a_colleague_may_not_send_anothers_contract(cast, now):
    contract = ready(cast, now)
    stranger = actor(cast.priya)

    with pytest.raises(NotAllowed):
        envelopes.send(contract, message="", expires_at=now + timedelta(days=9), by=stranger, now=now)

    assert Contract.get_by_id(contract.id).state == "ready_to_sign"


@pytest.mark.parametrize("days", [0, -1, 400])
def test_an_expiry_too_near_or_too_far_is_refused(cast, now, days):
    with pytest.raises(Invalid) as refused:
        send(cast, now, expires_at=now + timedelta(days=days))

    assert "expires_on" in refused.value.errors


def test_a_list_without_a_signer_is_refused(cast, now):
    with pytest.raises(Invalid) as refused:
        send(cast, now, ready(cast, now, [theirs(role="copy")]))

    assert "recipients" in refused.value.errors


def test_a_signer_without_a_spot_in_the_pdf_is_refused_by_name(cast, now):
    with pytest.raises(Invalid) as refused:
        send(cast, now, ready(cast, now, [theirs("marc", name="Marc Delorme")]))

    assert "Marc Delorme" in refused.value.errors["recipient-marc"]


def test_somebody_of_ours_without_authority_cannot_be_asked_to_sign(cast, now):
    contract = ready(cast, now, [theirs(), ours(cast, person_id=cast.ben.id, name="Ben")])

    with pytest.raises(Invalid) as refused:
        send(cast, now, contract)

    assert "authorised signatory" in refused.value.errors["recipient-ana"]


def test_a_value_above_the_signatorys_limit_is_refused(cast, now):
    contract = ready(cast, now, value_amount=2_000_000)

    with pytest.raises(Invalid) as refused:
        send(cast, now, contract)

    assert "may sign up to" in refused.value.errors["recipient-ana"]


def test_signing_in_order_asks_the_next_and_completes(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    act(envelope, "claire", now)
    assert recipient(envelope, "ana").status == "sent"
    act(envelope, "ana", now)

    finished = Envelope.get_by_id(envelope.id)
    assert (finished.status, finished.seal_status) == ("completed", "pending")
    assert Contract.get_by_id(envelope.contract.id).state == "signed"
    assert Job.select().where(Job.key == f"seal:{envelope.id}").count() == 1
    assert [kind for kind, _address in mails(envelope)] == [
        "sign_request", "acknowledgement", "sign_request", "acknowledgement",
    ]  # fmt: skip
    trail = acts_in_trail(envelope)
    assert (
        trail.index("recipient.signed") < trail.index("envelope.completed") < trail.index("contract.signed")
    )


def test_signing_out_of_turn_is_refused_and_leaves_nothing(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    with pytest.raises(Conflict, match="not your turn"):
        act(envelope, "ana", now)

    assert Act.select().count() == 0
    assert recipient(envelope, "ana").status == "waiting"


def test_equal_numbers_act_at_the_same_time_in_any_order(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs(), ours(cast, routing_order=1)]))

    act(envelope, "ana", now)
    act(envelope, "claire", now)

    assert Envelope.get_by_id(envelope.id).status == "completed"


def test_an_approver_acts_before_the_signers_of_the_same_number(cast, now, run_jobs):
    people = [theirs(), ours(cast), theirs("legal", role="approver", name="Luc", phone="")]
    envelope = sent(cast, now, run_jobs, ready(cast, now, people))

    assert [r.key for r in Recipient.select().where(Recipient.status == "sent")] == ["legal"]
    with pytest.raises(Conflict):
        act(envelope, "claire", now)
    with pytest.raises(Conflict, match="not asked to do that"):
        act(envelope, "legal", now)
    act(envelope, "legal", now, "approve")

    assert recipient(envelope, "claire").status == "sent"


def test_declining_ends_it_for_all_and_sends_the_contract_back(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs(), ours(cast, routing_order=1)]))

    act(envelope, "claire", now, "decline", reason="The liability cap is missing.")

    declined = Envelope.get_by_id(envelope.id)
    assert (declined.status, declined.ended_reason) == ("declined", "The liability cap is missing.")
    assert Contract.get_by_id(envelope.contract.id).state == "negotiation"
    assert ("declined", cast.priya.email) in mails(envelope)
    assert ("declined_owner", cast.ana.email) in mails(envelope)
    with pytest.raises(Conflict, match="declined"):
        act(envelope, "ana", now)


def test_voiding_tells_those_asked_and_kills_links(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    envelopes.void(envelope, reason="Wrong price", by=actor(cast.ana), now=now)

    assert Envelope.get_by_id(envelope.id).status == "voided"
    assert Contract.get_by_id(envelope.contract.id).state == "ready_to_sign"
    assert mails(envelope)[-1] == ("voided", "claire@castellan.example")
    assert not LinkToken.select().where(LinkToken.ended_at.is_null()).exists()
    with pytest.raises(Conflict, match="withdrew"):
        act(envelope, "claire", now)


def test_voiding_needs_a_reason(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    with pytest.raises(Invalid):
        envelopes.void(envelope, reason="  ", by=actor(cast.ana), now=now)


def test_a_completed_request_cannot_be_voided(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    act(envelope, "claire", now)
    act(envelope, "ana", now)

    with pytest.raises(Conflict, match="Everybody has signed"):
        envelopes.void(envelope, reason="Too late", by=actor(cast.ana), now=now)


def test_a_voided_contract_can_be_sent_again(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    envelopes.void(envelope, reason="Wrong order", by=actor(cast.ana), now=now)

    again = sent(cast, now, run_jobs, Contract.get_by_id(envelope.contract.id))

    assert again.status == "sent"
    assert envelopes.latest(again.contract).id == again.id


def test_a_request_ends_by_itself_at_its_expiry(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs, expires_at=now + timedelta(days=1))
    later = now + timedelta(days=1)

    with pytest.raises(Conflict, match="out of time"):
        act(envelope, "claire", later)
    envelopes.expire({}, type("At", (), {"clock": staticmethod(lambda: later)})())

    assert Envelope.get_by_id(envelope.id).status == "expired"
    assert Contract.get_by_id(envelope.contract.id).state == "ready_to_sign"
    assert {("expired", "claire@castellan.example"), ("expired_owner", cast.ana.email)} <= set(
        mails(envelope)
    )


def test_opening_is_noted_once_and_repeated_events_change_nothing(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    opened = ProviderEvent(EventKind.OPENED, now, recipient_key="claire")

    envelopes.apply_event(envelope.id, opened, by=SYSTEM, now=now)
    envelopes.apply_event(envelope.id, opened, by=SYSTEM, now=now + timedelta(hours=1))

    assert recipient(envelope, "claire").opened_at == now
    assert acts_in_trail(envelope).count("recipient.opened") == 1


def test_an_unknown_event_is_left_alone(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    envelopes.apply_event(envelope.id, ProviderEvent(EventKind.UNKNOWN, now), by=SYSTEM, now=now)

    assert Envelope.get_by_id(envelope.id).status == "sent"


def test_built_in_signing_cannot_be_told_that_it_is_complete(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    with pytest.raises(Conflict):
        envelopes.apply_event(envelope.id, ProviderEvent(EventKind.COMPLETED, now), by=SYSTEM, now=now)


def test_phi_keeps_title_and_words_out_of_mails(cast, now, run_jobs):
    contract = ready(cast, now, title="Oncology CANARY support", has_phi=True)
    envelope = sent(cast, now, run_jobs, contract, message="Patient CANARY")

    notice = Notice.get(Notice.contract_id == contract.id)
    assert "CANARY" not in notice.subject + "".join(notices.read(notice))
    assert contract.reference in notice.subject
    assert recipient(envelope, "claire").factors == ["totp"]


def at_once(jobs):
    """Run callables in threads of their own that start together; how many raised nothing."""
    barrier, done = threading.Barrier(len(jobs)), []

    def run(job):
        base.db.connect(reuse_if_open=True)
        try:
            barrier.wait()
            job()
            done.append(job)
        except Conflict:
            pass
        finally:
            base.db.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def test_fifty_signatures_at_once_are_one(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    act(envelope, "claire", now)

    def sign():
        try:
            act(envelope, "ana", now)
        except base.peewee.IntegrityError as error:
            raise Conflict(str(error)) from error

    done = at_once([sign] * 12 if not base.is_sqlite() else [sign] * 50)

    assert len(done) == 1
    assert Act.select().where(Act.recipient == recipient(envelope, "ana")).count() == 1
    assert acts_in_trail(envelope).count("envelope.completed") == 1
    assert Job.select().where(Job.kind == "seal_envelope").count() == 1


def test_two_last_signers_at_once_make_one_seal_job(cast, now, run_jobs):
    for _round in range(100 if LONG else 5):
        envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs(), ours(cast, routing_order=1)]))
        signers = [lambda e=envelope: act(e, "claire", now), lambda e=envelope: act(e, "ana", now)]

        assert len(at_once(signers)) == 2

        assert Envelope.get_by_id(envelope.id).status == "completed"
        assert Job.select().where(Job.key == f"seal:{envelope.id}").count() == 1
        Job.delete().where(Job.kind != "none").execute()


def test_void_against_the_last_signature_has_one_winner(cast, now, run_jobs):
    for _round in range(100 if LONG else 10):
        envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs()]))
        rivals = [
            lambda e=envelope: act(e, "claire", now),
            lambda e=envelope: envelopes.void(e, reason="Stop", by=actor(cast.ana), now=now),
        ]

        assert len(at_once(rivals)) == 1

        ended = Envelope.get_by_id(envelope.id)
        trail = acts_in_trail(envelope)
        assert ("envelope.completed" in trail) == (ended.status == "completed")
        assert ("envelope.voided" in trail) == (ended.status == "voided")
        assert Act.select().where(Act.envelope == envelope).count() == (ended.status == "completed")
        Job.delete().where(Job.kind != "none").execute()


def test_the_helper_prints_spots_for_both_sides():
    assert {spot.recipient_key for spot in signing.printed().placements} == {"ana", "claire"}
