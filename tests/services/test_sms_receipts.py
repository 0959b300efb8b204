"""What becomes of a code: reports in any order, twice, forged or never, and gateways that are away."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from portal import failpoints
from portal.channels.sms import http
from portal.errors import NotAllowed, NotFound
from portal.models.audit import AuditEvent
from portal.models.jobs import Job
from portal.models.notices import Notice, SmsUse
from portal.services import ceremonies, code_messages, factors, jobs, sms_use
from tests.services import ceremony_steps as steps
from tests.services.signing import sent
from tests.services.sms import arrive, leave_through
from tests.simulators import sms_webhook, twilio, vonage
from tests.simulators.sms import Report, running

SIMULATORS = {"twilio": twilio.Twilio, "vonage": vonage.Vonage, "webhook": sms_webhook.SmsWebhook}
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
RETURNED = {"twilio": ("undelivered", 30003), "vonage": ("rejected", 1180), "webhook": ("failed", 1)}


@pytest.fixture(params=list(SIMULATORS))
def remote(request, home, now):
    with running(SIMULATORS[request.param]()) as simulator:
        if request.param == "webhook":
            simulator.clock = lambda: now.timestamp()
        simulator.kind = request.param
        leave_through(simulator)
        yield simulator


@pytest.fixture
def place(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    steps.asks(envelope, "claire", "sms_or_totp")
    found = steps.enter(envelope, "claire", now)
    steps.agree(found, now)
    return found


def ask(place, now):
    factors.send_code(place(now), by=place(now).actor("192.0.2.1"), now=now)


def code():
    return Notice.select().where(Notice.kind == "signing_code").order_by(Notice.id.desc()).get()


def run_for(run_jobs, start, length, step=MINUTE):
    for number in range(1, int(length / step) + 1):
        run_jobs(start + number * step, strict=False)


def test_a_code_leaves_and_the_report_says_that_it_arrived(remote, place, now, run_jobs):
    ask(place, now)
    run_jobs(now)
    assert code_messages.state(code())["text"].endswith("ending 38: handed to the gateway")

    arrive(remote.kind, remote.report(remote.taken[0], "delivered"), now)

    kept = code()
    assert (kept.status, kept.settled_at, kept.text) == ("delivered", now, "")
    assert code_messages.state(kept)["text"] == "Text message to the number ending 38: delivered"


def test_a_returned_code_says_so_to_both_sides_and_in_the_history(remote, place, now, run_jobs):
    ask(place, now)
    run_jobs(now)
    word, number = RETURNED[remote.kind]

    arrive(remote.kind, remote.report(remote.taken[0], word, number), now)

    said = code_messages.state(code())
    assert said["text"].startswith("Text message to the number ending 38: not delivered")
    assert f"number switched off or out of reach ({number})" in said["text"]
    assert code_messages.is_not_taken(factors.code_state(place(now).recipient, now).message)
    assert AuditEvent.select().where(AuditEvent.act == "code.undelivered").count() == 1
    assert "612345638" not in said["text"]


def test_doubled_shuffled_late_and_replayed_reports_change_nothing_more(remote, place, now, run_jobs):
    ask(place, now)
    run_jobs(now)
    word, number = RETURNED[remote.kind]
    early = {"twilio": "sent", "vonage": "submitted", "webhook": "sent"}[remote.kind]
    taken = remote.taken[0]
    states = [(early, None), ("delivered", None), (word, number)]
    calls = [remote.report(taken, *state) for state in states] * 10
    random.Random(3).shuffle(calls)

    for report in calls:
        arrive(remote.kind, report, now)

    assert code().status == "returned"
    assert AuditEvent.select().where(AuditEvent.act == "code.undelivered").count() == 1


def test_forged_reports_and_those_for_another_gateway_are_refused(remote, place, now, run_jobs):
    ask(place, now)
    run_jobs(now)
    report = remote.report(remote.taken[0], "delivered")

    with pytest.raises(NotAllowed):
        arrive(remote.kind, remote.forged(report), now)
    with pytest.raises(NotAllowed):
        arrive(remote.kind, Report(report.url, {}, report.body), now)
    other = next(kind for kind in SIMULATORS if kind != remote.kind)
    with pytest.raises(NotFound):
        arrive(other, report, now)
    assert code().status == "sent"


def test_a_report_about_no_message_of_ours_is_left_alone(remote, place, now, run_jobs):
    ask(place, now)
    run_jobs(now)
    taken = replace(remote.taken[0], ours="unknown", reports_to=remote.taken[0].reports_to + "0")

    arrive(remote.kind, remote.report(taken, "delivered"), now)

    assert code().status == "sent"


def test_while_messages_stay_in_the_house_nobody_can_report(home, now):
    with pytest.raises(NotFound):
        arrive("twilio", Report("/webhooks/sms/twilio", {}, b""), now)


def test_a_report_that_is_quicker_than_the_answer_is_kept(remote, place, now, run_jobs, monkeypatch):
    ask(place, now)
    remote_send = type(remote).answer

    def report_first(self, environ, body):
        answer = remote_send(self, environ, body)
        if environ["REQUEST_METHOD"] == "POST":
            self.early = True
        return answer

    monkeypatch.setattr(type(remote), "answer", report_first)
    monkeypatch.setattr(
        failpoints, "reach",
        lambda name: name == "notice.after_gateway"
        and arrive(remote.kind, remote.report(remote.taken[0], "delivered"), now),
    )  # fmt: skip
    run_jobs(now)

    kept = code()
    assert (kept.status, kept.text) == ("delivered", "")
    assert kept.gateway == remote.kind


# --- Where nobody can report --------------------------------------------------------------------


def test_twilio_is_asked_where_it_cannot_report_and_gives_the_price(home, place, now, run_jobs):
    sms_use.set_limits(sms_use.Limits(price=sms_use.Decimal("0.05")), by=place(now).actor(), now=now)
    with running(twilio.Twilio()) as remote:
        leave_through(remote, public=False)
        ask(place, now)
        run_jobs(now)
        assert remote.taken[0].reports_to == ""
        assert SmsUse.get(SmsUse.period == "2026-11").cost_millionths == 50_000

        run_jobs(now + 10 * SECOND, strict=False)
        assert code().status == "sent"
        remote.taken[0].status, remote.taken[0].price = "delivered", "0.0700"
        run_jobs(now + MINUTE, strict=False)

        assert (code().status, code().cost_millionths) == ("delivered", 70_000)
        assert SmsUse.get(SmsUse.period == "2026-11").cost_millionths == 70_000
        assert Job.get(Job.kind == "follow_text_message").status == "done"


def test_asking_ends_where_nothing_is_ever_learnt(home, place, now, run_jobs):
    with running(twilio.Twilio()) as remote:
        leave_through(remote, public=False)
        ask(place, now)
        run_for(run_jobs, now, 4 * HOUR, 5 * MINUTE)

    assert code().status == "sent"
    assert Job.get(Job.kind == "follow_text_message").status == "done"


# --- Gateways that are away ---------------------------------------------------------------------------


@pytest.mark.parametrize("mood", ["503", "429"])
def test_six_hours_without_a_gateway_lose_nothing_unseen(remote, place, now, run_jobs, mood):
    """Each code either arrives or is shown as not sent, and the person has another way at once."""
    remote.mood, at = mood, now
    for _hour in range(6):
        here = steps.enter(place(now).envelope, "claire", at)
        ask(here, at)
        run_jobs(at, strict=False)
        state = factors.code_state(here(at).recipient, at)
        assert code_messages.is_late(state.message)
        assert "overloaded" in code_messages.why(state.message)
        run_for(run_jobs, at, 12 * MINUTE)
        assert code_messages.is_not_taken(factors.code_state(here(at).recipient, at).message)
        assert code_messages.state(code())["text"].startswith(
            "Text message to the number ending 38: not sent: the gateway is overloaded"
        )
        at += HOUR

    codes = Notice.select().where(Notice.kind == "signing_code")
    assert {each.status for each in codes} == {"failed"}
    assert AuditEvent.select().where(AuditEvent.act == "code.undelivered").count() == 6
    assert remote.taken == []
    remote.mood, remote.clock = "well", lambda: at.timestamp()
    here = steps.enter(place(now).envelope, "claire", at)
    assert ceremonies.state(here(at), at) == "code"
    ask(here, at)
    run_jobs(at, strict=False)
    assert code().status == "sent"
    assert (len(remote.taken), remote.doubles()) == (1, 0)


@pytest.mark.parametrize("mood", ["500", "reset", "hang"])
def test_a_lost_answer_doubles_a_message_at_most_once(remote, place, now, run_jobs, mood, monkeypatch):
    monkeypatch.setattr(http, "SECONDS", (1, 0.2))
    remote.moods = [mood]
    ask(place, now)
    run_jobs(now, strict=False)
    assert (code().status, code().is_unsure) == ("queued", True)
    remote.release.set()

    run_for(run_jobs, now, 2 * MINUTE, 20 * SECOND)

    kept = code()
    assert (kept.status, kept.is_unsure) == ("sent", False)
    assert remote.doubles() == (1 if remote.kind == "vonage" else 0)
    assert kept.repeats == (0 if remote.kind == "twilio" else 1)


def test_answers_that_are_always_lost_end_after_one_repeat(remote, place, now, run_jobs):
    remote.mood = "500"
    ask(place, now)

    run_for(run_jobs, now, 12 * MINUTE, 20 * SECOND)

    assert len(remote.taken) <= 2
    assert remote.doubles() <= 1
    assert code().status == "failed"


def test_a_report_still_counts_after_we_gave_up(home, place, now, run_jobs):
    with running(vonage.Vonage()) as remote:
        leave_through(remote)
        remote.mood = "500"
        ask(place, now)
        run_for(run_jobs, now, 12 * MINUTE, 20 * SECOND)
        assert code().status == "failed"

        arrive("vonage", remote.report(remote.taken[-1], "delivered"), now + HOUR)

    assert code().status == "delivered"


@pytest.mark.parametrize("at", ["notice.before_gateway", "notice.after_gateway"])
def test_a_kill_loses_nothing_and_doubles_at_most_once(remote, place, now, run_jobs, at, monkeypatch):
    """The worker dies before or after the gateway's yes; another takes the job over."""

    class Killed(BaseException):
        pass

    def die(name):
        if name == at:
            raise Killed

    ask(place, now)
    monkeypatch.setattr(failpoints, "reach", die)
    with pytest.raises(Killed):
        run_jobs(now)
    monkeypatch.undo()
    run_for(run_jobs, now, 4 * MINUTE)

    kept = code()
    assert kept.status == "sent"
    assert remote.doubles() <= (1 if remote.kind == "vonage" else 0)


def test_fifty_times_without_a_gateway_another_way_is_offered(remote, cast, place, now, run_jobs):
    """F-13: whatever goes wrong, the next screen offers another factor."""
    moods = ["429", "503", "401", "500", "reset"]
    offered, at = 0, now
    for trial in range(50):
        remote.moods = [moods[trial % 5]] * 40
        here = steps.enter(place(now).envelope, "claire", at)
        before = factors.code_state(here(at).recipient, at)
        if before.next_at is None:
            envelope = sent(cast, at, lambda when: run_jobs(when, strict=False))
            steps.asks(envelope, "claire", "sms_or_totp")
            here = steps.enter(envelope, "claire", at)
            steps.agree(here, at)
            place = here
        ask(here, at)
        run_jobs(at, strict=False)
        state = factors.code_state(here(at).recipient, at)
        handed = factors.outside_factors.hand_over(
            here(at).contract, here(at).recipient.id, by=steps_actor(cast), now=at
        )
        other = steps.enter(here(at).envelope, "claire", at)
        factors.check_handed(other(at), handed, by=other(at).actor(), now=at)
        offered += (
            code_messages.is_late(state.message) or code_messages.is_not_taken(state.message)
        ) and ceremonies.state(other(at), at) == "enrol"
        at += 4 * HOUR

    assert offered == 50


def steps_actor(cast):
    from tests.services.signing import actor

    return actor(cast.ana)


def test_reports_cost_no_job(remote, place, now, run_jobs):
    ask(place, now)
    run_jobs(now)
    before = Job.select().count()

    arrive(remote.kind, remote.report(remote.taken[0], "delivered"), now)

    assert Job.select().count() == before
    assert jobs.HANDLERS["follow_text_message"]
