"""Signing at an outside provider: sent once, followed forward only, withdrawn there first, kept whole."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from portal import failpoints
from portal.errors import Conflict, Invalid, NotFound
from portal.models.connections import WebhookCall
from portal.models.contracts import Document, RegisteredFile
from portal.models.envelopes import Act, Envelope, PolicyRule, Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import (
    calls,
    connections,
    documents,
    envelopes,
    jobs,
    polling,
    remote_acts,
    remote_states,
    sending,
    verification,
    webhooks,
)
from portal.services.audit import SYSTEM
from providers.errors import Preparing, Refused, Throttled, Unavailable
from providers.interface import (
    Delivery,
    EnvelopeState,
    EnvelopeStatus,
    RecipientState,
    RecipientStatus,
)
from tests.services import pigeon
from tests.services.signing import actor, ours, ready, recipient, send, sent, theirs


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def loft(monkeypatch):
    found = pigeon.Loft()
    pigeon.install(monkeypatch, found)
    return found


@pytest.fixture
def account(cast, now, loft):
    return pigeon.connected("Pigeon EU", now)


@pytest.fixture
def envelope(cast, now, run_jobs, account):
    return sent(cast, now, run_jobs, connection=account)


def fresh(envelope):
    return Envelope.get_by_id(envelope.id)


def rule(factor, now, side="theirs"):
    PolicyRule.create(name="R", condition={}, applies_to=side, factor=factor, updated_at=now)


# --- Sending ----------------------------------------------------------------------------------


def test_it_is_sent_through_the_account_and_the_provider_writes(envelope, loft, account):
    [held] = loft.held.values()
    assert held.request.id == envelope.id
    assert (envelope.status, envelope.remote_id, envelope.connection.id) == ("sent", "r1", account.id)
    assert [r.remote_id for r in envelopes.recipients_of(envelope)] == ["r1-claire", "r1-ana"]
    assert not Notice.select().where(Notice.kind == "sign_request").exists()


def test_the_provider_is_told_its_factors_and_our_gate_keeps_the_rest(cast, now, run_jobs, loft, account):
    rule("totp", now)
    rule("sms", now, side="ours")
    envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs(), ours(cast)]), connection=account)

    claire, ana = recipient(envelope, "claire"), recipient(envelope, "ana")
    assert (claire.factors, claire.native_factors, claire.is_embedded) == (["totp"], [], True)
    assert (ana.native_factors, ana.is_embedded) == (["sms"], False)
    people = {each.key: each for each in loft.held["r1"].request.recipients}
    assert people["claire"].is_embedded
    assert people["claire"].factors == ()
    assert people["ana"].factors == ("sms",)
    assert [n.address for n in Notice.select().where(Notice.kind == "sign_request")] == [claire.email]


def test_where_one_is_gated_all_are_if_the_provider_embeds_all_or_nobody(
    cast, now, run_jobs, loft, account, monkeypatch
):
    pigeon.can(monkeypatch, loft, embeds_each=False)
    rule("totp", now)
    envelope = sent(cast, now, run_jobs, connection=account)

    assert all(r.is_embedded for r in envelopes.recipients_of(envelope))


def test_a_factor_nobody_can_check_is_refused_naming_person_and_provider(
    cast, now, loft, account, monkeypatch
):
    pigeon.can(monkeypatch, loft, embedded=False)
    rule("totp", now)

    with pytest.raises(Invalid) as caught:
        send(cast, now, connection=account)

    said = caught.value.errors["recipient-claire"]
    assert all(word in said for word in ("Claire Aubert", "Authenticator app", "Pigeon"))
    assert not loft.asked


def test_health_data_goes_only_through_an_account_with_an_agreement(cast, now, loft, account):
    contract = ready(cast, now, has_phi=True)
    with pytest.raises(Invalid) as caught:
        send(cast, now, contract, connection=account)
    assert "BAA" in caught.value.errors["connection"]

    from portal.models.connections import Connection

    Connection.update(baa_document="d1", baa_signed_on=now.date()).execute()
    assert send(cast, now, contract, connection=connections.get(account.id)).status == "queued"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_makes_no_second_envelope(cast, now, run_jobs, loft, account, when):
    getattr(loft, when).append(pigeon.down())
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    assert fresh(envelope).status == "queued"
    assert "away" in fresh(envelope).problem

    run_jobs(now + timedelta(minutes=2), strict=False)

    assert (fresh(envelope).status, fresh(envelope).problem) == ("sent", "")
    assert len(loft.held) == 1


@pytest.mark.parametrize("point", ["send.before_ceremony", "send.after_ceremony"])
def test_a_kill_around_the_call_makes_no_second_envelope(
    cast, now, run_jobs, loft, account, point, monkeypatch
):
    envelope = send(cast, now, connection=account)

    def die(name):
        if name == point:
            raise Killed

    monkeypatch.setattr(failpoints, "hook", die)
    with pytest.raises(Killed):
        run_jobs(now)
    monkeypatch.setattr(failpoints, "hook", None)
    run_jobs(now + calls.LEASE + timedelta(seconds=1))  # as long as one sending may take

    assert fresh(envelope).status == "sent"
    assert len(loft.held) == 1


def test_what_is_being_prepared_is_asked_for_again_by_its_id(cast, now, run_jobs, loft, account):
    loft.after.append(Preparing("r1", "Wait.", retry_after_s=3))
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    assert (fresh(envelope).status, fresh(envelope).remote_id) == ("queued", "r1")

    run_jobs(now + timedelta(seconds=4), strict=False)

    assert fresh(envelope).status == "sent"
    assert len(loft.held) == 1


def test_being_throttled_is_obeyed_to_the_second(cast, now, run_jobs, loft, account):
    loft.before.append(Throttled("Slow.", retry_after_s=90))
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    run_jobs(now + timedelta(seconds=89), strict=False)
    assert len(loft.asked) == 1
    run_jobs(now + timedelta(seconds=91), strict=False)
    assert fresh(envelope).status == "sent"


def test_a_refusal_stays_visible_and_can_be_tried_again(cast, now, run_jobs, loft, account):
    loft.before.append(Refused("Pigeon refused: no grain."))
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    assert (fresh(envelope).status, fresh(envelope).problem) == ("queued", "Pigeon refused: no grain.")
    assert sending.has_stopped(fresh(envelope))

    sending.send_again(fresh(envelope), by=actor(cast.ana), now=now)
    with pytest.raises(Conflict):
        sending.send_again(fresh(envelope), by=actor(cast.ana), now=now)
    run_jobs(now, strict=False)

    assert fresh(envelope).status == "sent"
    assert len(loft.held) == 1


# --- How it stands ----------------------------------------------------------------------------


def test_polling_follows_it_to_the_end_and_keeps_the_files(envelope, now, run_jobs, loft, cast):
    loft.sign("r1", "claire")
    polling.look(envelope.id, now)
    assert recipient(envelope, "claire").status == "signed"
    assert fresh(envelope).status == "sent"
    loft.sign("r1", "ana")
    polling.look(envelope.id, now)
    assert fresh(envelope).status == "completed"

    run_jobs(now)

    done = fresh(envelope)
    assert documents.read(done.executed) == loft.executed
    assert documents.read(done.vendor_evidence) == b"%PDF-certificate"
    assert done.seal_status == "sealed"
    assert {a.kind for a in Act.select()} == {"sign"}
    record = documents.read(done.companion)
    assert verification.verify(record)["valid"]
    executed = verification.look_at(loft.executed)
    assert executed.valid
    assert (executed.kind, executed.provider, executed.file) == ("provider", "Pigeon", "executed")
    assert executed.provider_at == done.ended_at
    said = verification.as_text(verification.verify(record))
    assert "Signed through Pigeon" in said
    assert "Identical, byte for byte" in said
    assert RegisteredFile.select().where(RegisteredFile.sha256 == done.vendor_evidence.sha256).exists()


def test_the_record_of_evidence_names_the_files_and_what_was_checked(envelope, now, run_jobs, loft):
    import io
    import json

    import pikepdf

    loft.complete("r1")
    polling.look(envelope.id, now)
    run_jobs(now)

    with pikepdf.open(io.BytesIO(documents.read(fresh(envelope).companion))) as pdf:
        said = json.loads(pdf.attachments["evidence.json"].get_file().read_bytes())
    assert said["signed_elsewhere"]["sha256"] == fresh(envelope).executed.sha256
    assert said["signed_elsewhere"]["evidence_sha256"] == fresh(envelope).vendor_evidence.sha256
    assert said["signed_elsewhere"]["remote_id"] == "r1"
    assert said["people"][0]["act"]["factors"][0]["by"] == "pigeon"
    assert said["trail"]["head"]["hash"]


def test_what_comes_late_twice_or_out_of_order_ends_the_same(cast, now, run_jobs, loft, account):
    chance = random.Random(7)
    people = ["claire", "ana"]
    states = []
    for signed in range(3):
        status = EnvelopeStatus.COMPLETED if signed == 2 else EnvelopeStatus.SENT
        states.append(EnvelopeState("r1", status, tuple(
            RecipientState(key, RecipientStatus.SIGNED if place < signed else RecipientStatus.SENT)
            for place, key in enumerate(people)
        )))  # fmt: skip
    states.append(EnvelopeState("r1", EnvelopeStatus.UNKNOWN, raw_status="molting"))
    envelope = sent(cast, now, run_jobs, connection=account)
    for _ in range(3):
        order = states * 3
        chance.shuffle(order)
        for state in order:
            remote_states.take_in(envelope.id, state, now=now)

    assert fresh(envelope).status == "completed"
    assert Act.select().count() == 2
    assert Job.select().where(Job.kind == "fetch_executed").count() == 1


@pytest.mark.parametrize(
    ("status", "ours"),
    [(EnvelopeStatus.DECLINED, "declined"), (EnvelopeStatus.VOIDED, "voided"),
     (EnvelopeStatus.EXPIRED, "expired"), (EnvelopeStatus.FAILED, "voided")],
)  # fmt: skip
def test_every_end_is_taken_in_and_nothing_moves_it_afterwards(envelope, now, status, ours):
    remote_states.take_in(envelope.id, EnvelopeState("r1", status, reason="So be it."), now=now)
    assert fresh(envelope).status == ours

    remote_states.take_in(envelope.id, EnvelopeState("r1", EnvelopeStatus.COMPLETED), now=now)
    assert fresh(envelope).status == ours


def test_the_next_look_is_soon_while_no_webhook_is_heard(envelope, now, run_jobs, loft, account):
    looks = loft.asked.count("fetch")
    polling.poll({}, jobs.Context(0, "", 0, lambda: now + timedelta(minutes=3)))
    run_jobs(now + timedelta(minutes=3))
    assert loft.asked.count("fetch") == looks + 1
    assert fresh(envelope).next_poll_at == now + timedelta(minutes=18)


# --- Webhooks ---------------------------------------------------------------------------------


def call(body, proof="pigeon-proof"):
    return Delivery(
        "POST", "", {"x-proof": proof, "content-type": "text/plain", "cookie": "c"}, body.encode()
    )


def test_a_call_is_answered_stored_and_confirmed_by_a_read(envelope, now, run_jobs, loft, account):
    loft.complete("r1")
    answer = webhooks.receive(account.id, call("r1:1"), now=now)
    assert (answer.status, answer.body) == (200, b"heard")
    assert fresh(envelope).status == "sent"

    run_jobs(now)

    assert fresh(envelope).status == "completed"
    [kept] = WebhookCall.select()
    assert (kept.status, bytes(kept.body)) == ("done", b"r1:1")
    assert "cookie" not in kept.headers
    assert polling.is_heard(connections.get(account.id), now) is False
    connections.keep_subscription(connections.get(account.id), pigeon.Subscription("s1", "pigeon-proof"))
    assert polling.is_heard(connections.get(account.id), now)


def test_forged_repeated_and_foreign_calls_change_nothing(envelope, now, run_jobs, loft, account):
    for number in range(20):
        webhooks.receive(account.id, call(f"r1:{number}", proof="forged"), now=now)
        webhooks.receive(account.id, call("r1:same"), now=now)
        webhooks.receive(account.id, call(f"elsewhere:{number}"), now=now)
    looks = loft.asked.count("fetch")
    run_jobs(now)

    assert fresh(envelope).status == "sent"
    assert loft.asked.count("fetch") == looks + 1
    assert WebhookCall.select().where(WebhookCall.status == "refused").count() == 20
    with pytest.raises(NotFound):
        webhooks.receive("nowhere", call("r1:1"), now=now)


# --- Acts of ours -----------------------------------------------------------------------------


def test_withdrawing_ends_it_at_the_provider_first(envelope, now, run_jobs, loft, cast):
    loft.before.append(pigeon.down())
    envelopes.void(envelope, reason="Another price", by=actor(cast.ana), now=now)
    envelopes.void(envelope, reason="Another price", by=actor(cast.ana), now=now)
    run_jobs(now, strict=False)
    assert fresh(envelope).status == "sent"
    assert fresh(envelope).withdrawal["reason"] == "Another price"

    run_jobs(now + timedelta(minutes=2), strict=False)

    assert fresh(envelope).status == "voided"
    assert loft.held["r1"].status is EnvelopeStatus.VOIDED
    assert loft.held["r1"].reason == "Another price"


def test_what_was_completed_meanwhile_is_not_withdrawn(envelope, now, run_jobs, loft, cast):
    loft.complete("r1")
    envelopes.void(envelope, reason="Too late", by=actor(cast.ana), now=now)
    run_jobs(now)

    assert fresh(envelope).status == "completed"
    assert fresh(envelope).executed is not None


def test_withdrawing_what_never_arrived_ends_it_here(cast, now, run_jobs, loft, account):
    loft.before += [
        Refused("No."),
    ]
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    envelopes.void(fresh(envelope), reason="Never mind", by=actor(cast.ana), now=now)
    run_jobs(now, strict=False)

    assert fresh(envelope).status == "voided"
    assert loft.held == {}


def test_time_that_ran_out_is_told_to_the_provider_and_believed_only_then(envelope, now, run_jobs, loft):
    late = now + timedelta(days=31)
    loft.complete("r1")
    envelopes.expire({}, jobs.Context(0, "", 0, lambda: late))
    run_jobs(late)

    assert fresh(envelope).status == "completed"


def test_reminding_and_correcting_go_through_the_provider(envelope, now, run_jobs, loft, cast):
    claire = recipient(envelope, "claire")
    remote_acts.remind(claire, by=actor(cast.ana), now=now)
    remote_acts.correct(claire, "Claire Aubert", "c.aubert@castellan.example", by=actor(cast.ana), now=now)
    run_jobs(now)

    assert "remind claire" in loft.asked
    assert "correct claire c.aubert@castellan.example" in loft.asked
    assert recipient(envelope, "claire").email == "c.aubert@castellan.example"


def test_a_provider_that_cannot_is_not_asked(envelope, now, loft, cast, monkeypatch):
    pigeon.can(monkeypatch, loft, reminders=False, corrections=False)
    with pytest.raises(Conflict):
        remote_acts.remind(recipient(envelope, "claire"), by=actor(cast.ana), now=now)
    with pytest.raises(Invalid):
        remote_acts.correct(recipient(envelope, "claire"), "C", "c@x.example", by=SYSTEM, now=now)


# --- Trouble ----------------------------------------------------------------------------------


def test_an_account_that_fails_is_left_alone_and_found_again(envelope, now, run_jobs, loft, account):
    loft.before += [pigeon.down() for _ in range(5)]
    for minute in range(5):
        with pytest.raises(jobs.Retry):
            polling.look(envelope.id, now + timedelta(seconds=minute))
    asked = len(loft.asked)
    with pytest.raises(jobs.Retry):
        polling.look(envelope.id, now + timedelta(seconds=9))
    assert len(loft.asked) == asked
    loft.complete("r1")
    polling.look(envelope.id, now + timedelta(minutes=3))
    assert fresh(envelope).status == "completed"


def test_the_file_is_fetched_again_until_it_is_whole(envelope, now, run_jobs, loft):
    loft.complete("r1")
    polling.look(envelope.id, now)
    loft.after += [Unavailable("Cut off."), Preparing("r1")]
    run_jobs(now, strict=False)
    assert fresh(envelope).executed is None
    run_jobs(now + timedelta(minutes=5), strict=False)
    run_jobs(now + timedelta(minutes=10), strict=False)

    assert documents.read(fresh(envelope).executed) == loft.executed
    assert Document.select().where(Document.kind == "executed").count() == 1


def test_killed_while_keeping_the_file_it_is_kept_once(envelope, now, run_jobs, loft, monkeypatch):
    loft.complete("r1")
    polling.look(envelope.id, now)
    for number, point in enumerate(("fetch.after_download", "fetch.after_store", "fetch.before_record")):

        def die(name, point=point):
            if name == point:
                raise Killed

        monkeypatch.setattr(failpoints, "hook", die)
        with pytest.raises(Killed):
            run_jobs(now + timedelta(minutes=2 * number))
        monkeypatch.setattr(failpoints, "hook", None)
    run_jobs(now + timedelta(minutes=10))

    assert Document.select().where(Document.kind == "companion").count() == 1
    assert loft.asked.count("download") == 2
    assert Recipient.select().where(Recipient.status == "signed").count() == 2
