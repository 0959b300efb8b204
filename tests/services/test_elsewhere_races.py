"""Signing at an outside provider when things happen at once, late, twice or not at all."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import peewee
import pytest

from portal import failpoints
from portal.errors import Conflict
from portal.models.audit import AuditEvent
from portal.models.connections import WebhookCall
from portal.models.contracts import Contract
from portal.models.envelopes import Act, Envelope, Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import (
    connections,
    envelopes,
    jobs,
    moves,
    polling,
    recipients,
    reminders,
    remote,
    remote_acts,
    remote_states,
    sending,
    timeline,
    webhooks,
)
from portal.services.audit import Actor
from providers.errors import NotConfigured, Refused
from providers.interface import (
    Delivery,
    EnvelopeState,
    EnvelopeStatus,
    EventKind,
    Notification,
    ProviderEvent,
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


def trail(envelope):
    rows = AuditEvent.select().where(AuditEvent.chain == envelope.contract.id).order_by(AuditEvent.number)
    return [row.act for row in rows]


def void(envelope, cast, now):
    envelopes.void(fresh(envelope), reason="A wrong price", by=actor(cast.ana), now=now)


def context(at):
    return jobs.Context(0, "", 0, lambda: at)


def statuses(loft):
    return [held.status for held in loft.held.values()]


# --- Handing over -----------------------------------------------------------------------------


def test_nobody_takes_over_while_a_slow_provider_is_asked(cast, now, run_jobs, loft, account):
    """One sending is several requests of half a minute each; after a minute nobody else may try."""
    envelope = send(cast, now, connection=account)
    loft.during["send"] = lambda: run_jobs(now + timedelta(minutes=3), strict=False)

    run_jobs(now)

    assert loft.asked.count("send") == 1
    assert len(loft.held) == 1
    assert fresh(envelope).status == "sent"


@pytest.mark.parametrize("point", ["job.after_claim", "send.before_ceremony", "call", "send.after_ceremony"])
def test_killed_at_any_step_it_is_sent_once(cast, now, run_jobs, loft, account, point):
    envelope = send(cast, now, connection=account)

    def reach(name):
        if name == point:
            raise Killed

    if point == "call":
        loft.after.append(Killed())  # between their yes and our hearing it
    failpoints.hook = reach
    try:
        with pytest.raises(Killed):
            run_jobs(now)
    finally:
        failpoints.hook = None

    run_jobs(now + timedelta(minutes=4) + timedelta(seconds=1))

    assert len(loft.held) == 1
    assert fresh(envelope).status == "sent"
    assert trail(envelope).count("envelope.sent") == 1


def test_withdrawn_before_it_went_it_never_goes(cast, now, run_jobs, loft, account):
    envelope = send(cast, now, connection=account)

    def withdraw_first(name: str) -> None:
        if name == "job.after_claim" and fresh(envelope).status != "voided":
            void(envelope, cast, now)

    failpoints.hook = withdraw_first
    try:
        run_jobs(now)
    finally:
        failpoints.hook = None

    assert fresh(envelope).status == "voided"
    assert loft.asked == []


def test_withdrawn_while_it_goes_it_ends_there_too(cast, now, run_jobs, loft, account):
    envelope = send(cast, now, connection=account)
    loft.during["send"] = lambda: void(envelope, cast, now)

    for minute in range(3):
        run_jobs(now + timedelta(minutes=minute), strict=False)

    assert statuses(loft) == [EnvelopeStatus.VOIDED]
    assert fresh(envelope).status == "voided"
    assert not Job.select().where(Job.status == "failed").exists()


def test_a_withdrawal_waits_for_the_sending_that_is_under_way(cast, now, run_jobs, loft, account):
    """Another worker would find nothing there yet, and end here what is just arriving there."""
    envelope = send(cast, now, connection=account)

    def meanwhile():
        void(envelope, cast, now)
        run_jobs(now + timedelta(seconds=1), strict=False)
        assert fresh(envelope).status == "queued"

    loft.during["send"] = meanwhile
    for minute in range(3):
        run_jobs(now + timedelta(minutes=minute), strict=False)

    assert statuses(loft) == [EnvelopeStatus.VOIDED]
    assert fresh(envelope).status == "voided"


def test_what_is_being_withdrawn_is_sent_by_nobody(cast, now, run_jobs, loft, account):
    loft.before.append(pigeon.down())
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    void(envelope, cast, now)
    loft.before.append(pigeon.down())

    for minute in range(1, 9):
        run_jobs(now + timedelta(minutes=minute), strict=False)

    assert loft.held == {}
    assert fresh(envelope).status == "voided"


def test_an_envelope_there_belongs_to_one_of_ours(cast, now, run_jobs, envelope, account):
    other = send(cast, now, connection=account)

    with pytest.raises(peewee.IntegrityError):
        Envelope.update(remote_id="r1").where(Envelope.id == other.id).execute()


def test_what_waits_for_its_next_try_can_be_tried_now(cast, now, run_jobs, loft, account):
    loft.before.append(pigeon.down())
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)

    sending.send_again(fresh(envelope), by=actor(cast.ana), now=now)
    run_jobs(now)

    assert (fresh(envelope).status, fresh(envelope).problem) == ("sent", "")
    assert "envelope.sent_again" in trail(envelope)


def test_a_provider_that_was_away_for_a_day_is_found_again_in_minutes(cast, now, run_jobs, loft, account):
    envelope = send(cast, now, connection=account)
    moment = now
    while moment < now + timedelta(hours=24):
        loft.before[:] = [pigeon.down()]
        run_jobs(moment, strict=False)
        moment += timedelta(minutes=31)
    loft.before.clear()

    waits = [row.run_at - moment for row in Job.select().where(Job.kind == "send_envelope")]
    assert all(wait <= connections.BREAKER_LONGEST for wait in waits)
    run_jobs(moment + connections.BREAKER_LONGEST, strict=False)
    assert fresh(envelope).status == "sent"


def test_credentials_that_ended_are_no_reason_to_rest(cast, now, run_jobs, loft, account):
    for _n in range(6):
        send(cast, now, connection=account)
    loft.before += [NotConfigured("Connect it again.")] * 6
    run_jobs(now, strict=False)

    assert connections.get(account.id).open_until is None
    assert {row.problem for row in Envelope.select()} == {"Connect it again."}


# --- Who is told what -------------------------------------------------------------------------


def test_who_only_gets_a_copy_is_no_business_of_the_provider(cast, now, run_jobs, loft, account):
    """We send copies ourselves, and to nobody past what a contract with health data asks of them."""
    people = [theirs(), ours(cast), theirs("zoe", role="copy")]
    envelope = sent(cast, now, run_jobs, ready(cast, now, people), connection=account)

    assert [r.key for r in loft.held["r1"].request.recipients] == ["claire", "ana"]
    assert [r.key for r in remote.handle(envelope).recipients] == ["claire", "ana"]
    loft.complete("r1")
    polling.look(envelope.id, now)
    run_jobs(now)
    assert "zoe@castellan.example" in {n.address for n in Notice.select().where(Notice.kind == "completed")}
    assert recipient(envelope, "zoe").status == "copied"


def test_copies_need_nothing_of_a_provider_that_knows_none(cast, now, run_jobs, loft, account, monkeypatch):
    pigeon.can(monkeypatch, loft, copies=False)
    people = [theirs(), ours(cast), theirs("zoe", role="copy")]

    assert sent(cast, now, run_jobs, ready(cast, now, people), connection=account).status == "sent"


def test_people_are_found_again_by_the_order_they_were_sent_with(cast, now, run_jobs, loft, account):
    people = [
        theirs(routing_order=3),
        theirs("marc", role="approver", routing_order=3),
        ours(cast, routing_order=7),
    ]
    envelope = sent(cast, now, run_jobs, ready(cast, now, people), connection=account)

    asked = {r.key: r.routing_order for r in loft.held["r1"].request.recipients}
    assert asked == {"marc": 1, "claire": 2, "ana": 3}
    assert {r.key: r.routing_order for r in remote.handle(envelope).recipients} == asked


def test_where_the_provider_reminds_nobody_by_itself_we_have_it_remind(cast, now, run_jobs, loft, envelope):
    later = now + timedelta(hours=48)

    reminders.remind({}, context(later))
    run_jobs(later)

    assert loft.asked.count("remind claire") == 1
    assert recipient(envelope, "claire").reminders == 1
    assert not Notice.select().where(Notice.kind == "reminder").exists()


def test_a_provider_that_reminds_by_itself_is_left_to_it(cast, now, run_jobs, loft, account, monkeypatch):
    pigeon.can(monkeypatch, loft, automatic_reminders=True)
    envelope = sent(cast, now, run_jobs, connection=account)

    assert recipient(envelope, "claire").next_reminder_at is None


def test_nobody_is_reminded_of_what_is_being_withdrawn(cast, now, run_jobs, loft, envelope):
    loft.before += [Refused("Not now.")]
    later = now + timedelta(hours=48)
    void(envelope, cast, later)

    assert reminders.due(later) == []


def test_a_reminder_that_is_refused_stands_beside_the_person(cast, now, run_jobs, loft, envelope):
    loft.before.append(Refused("Too many."))
    remote_acts.remind(recipient(envelope, "claire"), by=actor(cast.ana), now=now)

    run_jobs(now, strict=False)

    assert recipient(envelope, "claire").problem == "not_reminded"


def test_a_name_alone_can_be_corrected(cast, now, run_jobs, loft, envelope):
    who = recipient(envelope, "claire")
    remote_acts.correct(who, "Claire Auberte", who.email, by=actor(cast.ana), now=now)

    run_jobs(now)

    assert recipient(envelope, "claire").name == "Claire Auberte"
    assert [word for word in loft.asked if word.startswith("correct")] == [f"correct claire {who.email}"]


def test_a_correction_that_is_refused_stands_beside_the_person(cast, now, run_jobs, loft, envelope):
    who = recipient(envelope, "claire")
    remote_acts.correct(who, who.name, "c@castellan.example", by=actor(cast.ana), now=now)
    loft.before.append(Refused("Too late."))

    run_jobs(now, strict=False)

    assert recipient(envelope, "claire").problem == "not_corrected"
    assert recipient(envelope, "claire").email == who.email


def test_a_number_the_provider_sends_codes_to_cannot_be_changed_here(cast, now, run_jobs, loft, envelope):
    who = recipient(envelope, "claire")
    Recipient.update(native_factors=["sms"]).where(Recipient.id == who.id).execute()

    with pytest.raises(Conflict):
        recipients.correct(
            recipient(envelope, "claire"), name=who.name, email=who.email, phone="+33698765412",
            by=actor(cast.ana), now=now,
        )  # fmt: skip


# --- What the provider says -------------------------------------------------------------------


def said(*people, status=EnvelopeStatus.SENT, **more):
    return EnvelopeState("r1", status, tuple(people), raw_status=more.pop("raw", status.value), **more)


def test_who_declines_out_of_our_order_declines_all_the_same(cast, now, envelope):
    state = said(RecipientState("ana", RecipientStatus.DECLINED, reason="No"), status=EnvelopeStatus.DECLINED)

    remote_states.take_in(envelope.id, state, now=now)

    assert (fresh(envelope).status, fresh(envelope).ended_reason) == ("declined", "No")
    assert Act.get(Act.envelope == envelope).recipient.key == "ana"


def test_a_decline_after_the_last_signature_is_no_crash(cast, now, envelope):
    Recipient.update(status="signed").where(Recipient.envelope == envelope).execute()

    remote_states.take_in(envelope.id, said(status=EnvelopeStatus.DECLINED), now=now)

    assert fresh(envelope).status == "declined"


def test_who_signed_out_of_our_order_has_signed(cast, now, envelope):
    """Their order is theirs to keep; what they say has happened, has happened."""
    remote_states.take_in(envelope.id, said(RecipientState("ana", RecipientStatus.SIGNED)), now=now)

    assert recipient(envelope, "ana").status == "signed"
    assert recipient(envelope, "claire").status == "sent"


def test_the_last_signature_waits_for_the_provider_to_close_it(cast, now, envelope):
    people = [RecipientState(key, RecipientStatus.SIGNED, now) for key in ("claire", "ana")]
    remote_states.take_in(envelope.id, said(*people, raw="closing"), now=now)
    assert fresh(envelope).status == "sent"
    assert fresh(envelope).next_poll_at <= now

    remote_states.take_in(envelope.id, said(status=EnvelopeStatus.VOIDED), now=now)
    assert fresh(envelope).status == "voided"


def test_everybody_left_at_the_end_has_a_line_of_their_own(cast, now, envelope):
    remote_states.take_in(envelope.id, said(status=EnvelopeStatus.COMPLETED, at=now), now=now)

    assert fresh(envelope).status == "completed"
    assert trail(envelope).count("recipient.signed") == 2


def test_when_somebody_signed_is_told_by_who_had_them_sign(cast, now, envelope):
    there = now + timedelta(minutes=5)
    remote_states.take_in(
        envelope.id,
        said(RecipientState("claire", RecipientStatus.SIGNED, there)),
        now=now + timedelta(hours=1),
    )

    assert recipient(envelope, "claire").acted_at == there


def test_a_completion_after_the_end_here_is_told_and_undoes_nothing(cast, now, envelope):
    remote_states.take_in(envelope.id, said(status=EnvelopeStatus.VOIDED), now=now)

    for _again in range(3):
        remote_states.take_in(envelope.id, said(status=EnvelopeStatus.COMPLETED), now=now)

    assert fresh(envelope).status == "voided"
    assert "Pigeon" in fresh(envelope).problem
    assert trail(envelope).count("envelope.contradicted") == 1


def test_words_no_database_takes_do_no_harm(cast, now, envelope):
    who = RecipientState(
        "claire", RecipientStatus.DECLINED, reason="a\0b", raw_status="x\0", remote_id="i\0d"
    )

    remote_states.take_in(
        envelope.id, said(who, status=EnvelopeStatus.DECLINED, reason="a\0b", raw="d\0"), now=now
    )

    assert fresh(envelope).ended_reason == "ab"


def test_the_trail_says_which_provider_it_was(cast, now, envelope):
    remote_states.take_in(envelope.id, said(status=EnvelopeStatus.VOIDED, reason="Gone"), now=now)

    assert "Pigeon withdrew the signing request" in [each.text for each in timeline.of(envelope.contract)]


# --- Withdrawing ------------------------------------------------------------------------------


def test_a_withdrawal_that_was_refused_can_be_asked_for_again(cast, now, run_jobs, loft, envelope):
    loft.before += [Refused("Locked."), Refused("Locked.")]
    void(envelope, cast, now)
    run_jobs(now, strict=False)
    assert fresh(envelope).status == "sent"
    assert "Locked" in fresh(envelope).problem
    loft.before.clear()

    void(envelope, cast, now)
    run_jobs(now)

    assert fresh(envelope).status == "voided"
    assert statuses(loft) == [EnvelopeStatus.VOIDED]


def test_who_withdrew_it_stands_in_the_trail(cast, now, run_jobs, envelope):
    void(envelope, cast, now)
    run_jobs(now)

    assert "Ana withdrew the signing request" in [each.text for each in timeline.of(envelope.contract)]


def test_a_decline_in_front_of_their_page_ends_it_there_even_after_a_day(cast, now, run_jobs, loft, envelope):
    Recipient.update(is_embedded=True).where(Recipient.key == "claire").execute()
    who = recipient(envelope, "claire")
    envelopes.apply_event(
        envelope.id, ProviderEvent(EventKind.DECLINED, now, "claire", reason="No"),
        by=Actor("recipient", who.id, who.name, who.email), now=now,
    )  # fmt: skip
    for hour in range(25):
        loft.before[:] = [pigeon.down()] if hour < 24 else []
        run_jobs(now + timedelta(hours=hour), strict=False)

    assert statuses(loft) == [EnvelopeStatus.VOIDED]


# --- Moving -----------------------------------------------------------------------------------


def test_while_a_provider_is_away_it_can_be_sent_through_another_at_once(cast, now, run_jobs, loft, account):
    second = pigeon.connected("Pigeon US", now)
    loft.after.append(pigeon.down())
    old = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    assert moves.may_move(fresh(old))

    new = moves.send_through(fresh(old), second, by=actor(cast.ana), now=now)
    for minute in range(1, 4):
        run_jobs(now + timedelta(minutes=minute), strict=False)

    assert (fresh(old).status, fresh(new).status, fresh(new).replaces.id) == ("voided", "sent", old.id)
    assert statuses(loft) == [EnvelopeStatus.VOIDED, EnvelopeStatus.SENT]
    assert Contract.get_by_id(old.contract.id).state == "signing"


def test_what_is_going_just_now_is_not_moved(cast, now, run_jobs, loft, account):
    old = send(cast, now, connection=account)
    seen = []
    loft.during["send"] = lambda: seen.append(moves.may_move(fresh(old)))

    run_jobs(now)

    assert seen == [False]


# --- Calls and looks --------------------------------------------------------------------------


def call(account, body, now):
    delivery = Delivery("POST", "", {"x-proof": "pigeon-proof"}, body.encode())
    return webhooks.receive(account.id, delivery, now=now)


def test_our_number_under_another_of_theirs_is_not_believed(
    cast, now, run_jobs, loft, account, envelope, monkeypatch
):
    told = Notification(
        "n1", "r99", "done", request_id=envelope.id, state=said(status=EnvelopeStatus.COMPLETED)
    )
    monkeypatch.setattr(pigeon.Pigeon, "read", lambda self, delivery: (told,))
    call(account, "x", now)

    run_jobs(now)

    assert (fresh(envelope).status, fresh(envelope).remote_id) == ("sent", "r1")


def test_a_call_before_we_know_their_number_has_the_sending_looked_at(
    cast, now, run_jobs, loft, account, monkeypatch
):
    loft.after.append(pigeon.down())
    envelope = send(cast, now, connection=account)
    run_jobs(now, strict=False)
    told = Notification("n1", "r1", "sent", request_id=envelope.id)
    monkeypatch.setattr(pigeon.Pigeon, "read", lambda self, delivery: (told,))

    call(account, "x", now)
    run_jobs(now, strict=False)

    assert fresh(envelope).status == "sent"
    assert len(loft.held) == 1
    assert WebhookCall.get().status == "done"


def test_who_cannot_be_answered_now_is_told_to_come_again(cast, now, loft, account, monkeypatch):
    def broken(self, delivery):
        raise NotConfigured("Something is missing.")

    monkeypatch.setattr(pigeon.Pigeon, "acknowledge", broken)

    assert call(account, "x", now).status == 503
    assert not WebhookCall.select().exists()


def test_what_a_call_is_answered_with_is_no_page(client, now, account):
    answer = client.post(f"/webhooks/{account.id}", data=b"r1:1")

    assert (answer.data, answer.mimetype) == (b"heard", "text/plain")


def test_a_look_that_fails_is_left_to_the_next_one(cast, now, run_jobs, loft, account, envelope):
    """Hours without an answer leave no heap of failed work behind."""
    for quarter in range(1, 33):
        loft.before[:] = [pigeon.down()]
        at = now + timedelta(minutes=15 * quarter)
        polling.poll({}, context(at))
        run_jobs(at, strict=False)

    assert not Job.select().where((Job.kind == "look_at_envelope") & (Job.status != "done")).exists()
    assert fresh(envelope).next_poll_at is not None


def test_an_account_is_asked_about_a_few_at_a_time(cast, now, run_jobs, loft, account, monkeypatch):
    monkeypatch.setattr(polling, "PER_PASS", 2)
    other = pigeon.connected("Another", now)
    for number, each in enumerate([account] * 4 + [other]):
        row = send(cast, now, connection=each)
        Envelope.update(status="sent", remote_id=f"x{number}", next_poll_at=now).where(
            Envelope.id == row.id
        ).execute()
    Job.delete().execute()

    for expected in (3, 5, 5):
        polling.poll({}, context(now))
        assert Job.select().where(Job.kind == "look_at_envelope").count() == expected


def test_while_calls_arrive_an_hour_is_enough_until_a_look_finds_news(
    cast, now, run_jobs, loft, account, envelope
):
    account = connections.get(account.id)
    connections.keep_subscription(account, pigeon.Subscription("s", "pigeon-proof"))
    type(account).update(called_at=now).execute()
    account = connections.get(account.id)
    assert polling.pace(account, now) == timedelta(hours=1)

    loft.sign("r1", "claire")
    polling.poll({}, context(now + timedelta(minutes=3)))
    run_jobs(now + timedelta(minutes=3))

    assert recipient(envelope, "claire").status == "signed"
    assert fresh(envelope).next_poll_at <= now + timedelta(minutes=18)


def test_shuffled_and_repeated_states_end_alike(cast, now, loft, account):
    chance = random.Random(15)
    words = {"claire": ["sent", "opened", "signed"], "ana": ["waiting", "sent", "signed"]}
    history = []
    for claire, ana in [(0, 0), (1, 0), (2, 1), (2, 2)]:
        people = [
            RecipientState(
                "claire", RecipientStatus(words["claire"][claire]), now + timedelta(minutes=claire)
            ),
            RecipientState("ana", RecipientStatus(words["ana"][ana]), now + timedelta(minutes=9 + ana)),
        ]
        history.append(said(*people, status=EnvelopeStatus.COMPLETED if ana == 2 else EnvelopeStatus.SENT))
    ends = set()
    for number in range(4):
        envelope = send(cast, now, connection=account)
        Envelope.update(status="sent", remote_id=f"x{number}").where(Envelope.id == envelope.id).execute()
        told = history * 3
        chance.shuffle(told)
        for state in [*told, history[-1]]:
            remote_states.take_in(
                envelope.id, replace(state, remote_id=f"x{number}"), now=now + timedelta(hours=1)
            )
        people = tuple((r.key, r.status, r.acted_at) for r in envelopes.recipients_of(fresh(envelope)))
        ends.add((fresh(envelope).status, people))
        assert trail(envelope).count("recipient.signed") == 2

    assert len(ends) == 1
    assert ends.pop()[0] == "completed"
