from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from portal.errors import Conflict, TooMany
from portal.models import base
from portal.models.audit import AuditEvent
from portal.models.envelopes import Recipient
from portal.models.notices import Notice
from portal.services import envelopes, notices, reminders
from tests.services.signing import act, actor, recipient, sent

HOURS = timedelta(hours=1)


class At:
    def __init__(self, now):
        self.clock = lambda: now


def kinds():
    return [
        row.kind for row in Notice.select().order_by(Notice.id) if row.kind in ("reminder", "not_answered")
    ]


def test_every_48_hours_five_times_then_the_owner(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    for hour in range(1, 24 * 20, 6):
        reminders.remind({}, At(now + hour * HOURS))

    assert kinds() == ["reminder"] * 5 + ["not_answered"]
    assert Notice.get(Notice.kind == "not_answered").address == cast.ana.email
    claire = recipient(envelope, "claire")
    assert (claire.reminders, claire.next_reminder_at) == (5, None)


def test_not_a_minute_before_48_hours(cast, now, run_jobs):
    sent(cast, now, run_jobs)

    reminders.remind({}, At(now + 48 * HOURS - timedelta(minutes=1)))
    assert kinds() == []
    reminders.remind({}, At(now + 48 * HOURS))
    assert kinds() == ["reminder"]


def test_running_again_at_the_same_time_reminds_nobody_twice(cast, now, run_jobs):
    sent(cast, now, run_jobs)
    stale = reminders.due(now + 49 * HOURS)

    for _again in range(3):
        reminders.remind({}, At(now + 49 * HOURS))
    for row in stale:
        reminders.remind_one(row, now + 49 * HOURS)

    assert kinds() == ["reminder"]


def test_two_workers_at_once_remind_once(cast, now, run_jobs):
    sent(cast, now, run_jobs)
    barrier = threading.Barrier(4)

    def work():
        base.db.connect(reuse_if_open=True)
        barrier.wait()
        reminders.remind({}, At(now + 49 * HOURS))
        base.db.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert kinds() == ["reminder"]


def test_who_has_signed_is_left_alone_and_the_next_is_reminded(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    act(envelope, "claire", now + 10 * HOURS)

    reminders.remind({}, At(now + 49 * HOURS))
    assert kinds() == []
    reminders.remind({}, At(now + 58 * HOURS))

    assert Notice.get(Notice.kind == "reminder").address == cast.priya.email


@pytest.mark.parametrize("ending", ["void", "expiry", "not_for_me"])
def test_nobody_is_reminded_once_it_is_over(cast, now, run_jobs, ending):
    envelope = sent(
        cast, now, run_jobs, expires_at=now + 40 * HOURS if ending == "expiry" else now + 900 * HOURS
    )
    if ending == "void":
        envelopes.void(envelope, reason="Stop", by=actor(cast.ana), now=now)
    if ending == "not_for_me":
        Recipient.update(problem="not_for_me").where(Recipient.key == "claire").execute()

    reminders.remind({}, At(now + 60 * HOURS))

    assert kinds() == []


def test_reminding_by_hand_moves_the_next_one(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    reminders.remind_now(recipient(envelope, "claire"), by=actor(cast.ana), now=now + 47 * HOURS)
    reminders.remind({}, At(now + 49 * HOURS))

    assert kinds() == ["reminder"]
    assert recipient(envelope, "claire").reminders == 0
    assert AuditEvent.select().where(AuditEvent.act == "recipient.reminded").count() == 1


def test_reminding_out_of_turn_or_too_often_is_refused(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    with pytest.raises(Conflict):
        reminders.remind_now(recipient(envelope, "ana"), by=actor(cast.ana), now=now)
    most = notices.TO_ADDRESS["mail"][0][0]
    for _turn in range(most - 1):
        reminders.remind_now(recipient(envelope, "claire"), by=actor(cast.ana), now=now)
    with pytest.raises(TooMany):
        reminders.remind_now(recipient(envelope, "claire"), by=actor(cast.ana), now=now)

    reminders.remind_now(recipient(envelope, "claire"), by=actor(cast.ana), now=now + 2 * HOURS)
