from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.errors import TooMany
from portal.models.people import Attempt
from portal.services import limits
from tests.threads import at_once

CAP = (limits.Cap(3, timedelta(minutes=15)),)


def failed(scope: str, subject: str, source: str, at: datetime, caps: Any = (), **more: Any) -> int:
    return limits.check(scope, subject, source, at, caps, **more)


def test_a_cap_refuses_the_next_try_until_its_time_is_over(home: Any, now: datetime) -> None:
    for second in range(3):
        failed("code", "ana", "a", now + timedelta(seconds=second), CAP)

    with pytest.raises(TooMany) as refused:
        failed("code", "ana", "b", now + timedelta(minutes=1), CAP)
    assert refused.value.retry_after_s == 14 * 60
    assert "14 minutes" in refused.value.message
    failed("code", "ben", "a", now + timedelta(minutes=1), CAP)
    failed("code", "ana", "a", now + timedelta(minutes=15), CAP)


def test_refused_tries_are_not_counted(home: Any, now: datetime) -> None:
    for _try in range(3):
        failed("code", "ana", "a", now, CAP)
    for _try in range(5):
        with pytest.raises(TooMany):
            failed("code", "ana", "a", now, CAP)

    assert Attempt.select().count() == 3


def test_waits_double_after_five_failures_of_a_pair(home: Any, now: datetime) -> None:
    at, waits = now, []
    for _try in range(14):
        try:
            failed("password", "ana", "a", at, growing_waits=True)
        except TooMany as refused:
            waits.append(refused.retry_after_s)
            at += timedelta(seconds=refused.retry_after_s)
            failed("password", "ana", "a", at, growing_waits=True)

    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    failed("password", "ana", "b", at, growing_waits=True)
    failed("password", "ben", "a", at, growing_waits=True)


def test_a_success_ends_the_row_of_failures(home: Any, now: datetime) -> None:
    for _try in range(4):
        failed("password", "ana", "a", now, growing_waits=True)
    limits.succeed(failed("password", "ana", "a", now, growing_waits=True))

    assert limits.failures_in_a_row("password", "ana") == 0
    for _try in range(5):
        failed("password", "ana", "a", now, growing_waits=True)
    assert limits.failures_in_a_row("password", "ana", "a") == 5
    with pytest.raises(TooMany):
        failed("password", "ana", "a", now, growing_waits=True)


def test_a_cap_on_strangers_spares_places_known_to_the_account(home: Any, now: datetime) -> None:
    caps = (limits.Cap(100, timedelta(hours=24), limits.STRANGERS, failures=True),)
    limits.succeed(failed("password", "ana", "office", now - timedelta(days=3), caps))
    for number in range(100):
        failed("password", "ana", f"198.51.100.{number}", now, caps)

    with pytest.raises(TooMany):
        failed("password", "ana", "elsewhere", now, caps)
    for _try in range(20):
        limits.succeed(failed("password", "ana", "office", now, caps))


def test_ten_thousand_wrong_tries_from_a_hundred_places_stay_under_the_cap(home: Any, now: datetime) -> None:
    caps = (limits.Cap(100, timedelta(hours=24), limits.STRANGERS, failures=True),)
    rows = [
        {"scope": "password", "subject": "ana", "source": f"s{n}", "succeeded": False, "at": now}
        for n in range(99)
    ]
    Attempt.insert_many(rows).execute()
    taken = 0
    for number in range(200):
        try:
            failed("password", "ana", f"s{number % 100}", now + timedelta(seconds=number), caps)
            taken += 1
        except TooMany:
            pass

    assert taken == 1


def test_fifty_tries_at_once_are_no_more_than_the_cap(home: Any, now: datetime) -> None:
    def attempt() -> bool:
        try:
            limits.check("code", "ana", "a", now, (limits.Cap(5, timedelta(minutes=15)),))
        except TooMany:
            return False
        return True

    assert sum(at_once(attempt, 50)) == 5


def test_a_source_is_limited_over_all_subjects(home: Any, now: datetime) -> None:
    caps = (limits.Cap(4, timedelta(minutes=15), limits.SOURCE, failures=True),)
    for number in range(4):
        failed("password", f"person {number}", "a", now, caps)

    with pytest.raises(TooMany):
        failed("password", "another", "a", now, caps)
    failed("password", "another", "b", now, caps)


def test_old_tries_are_forgotten(home: Any, now: datetime) -> None:
    failed("code", "ana", "a", now - timedelta(days=32))
    failed("code", "ana", "a", now)

    limits.sweep(now)

    assert Attempt.select().count() == 1
