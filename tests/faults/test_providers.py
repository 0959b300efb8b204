"""Trouble at every provider: each envelope ends right or visibly waits, none is lost, none is sent twice.

The short run does each kind of trouble once at each provider; COUNTERSIGN_TEST_LONG does twenty.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal import failpoints
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.services import connections, envelopes, jobs, polling, webhooks
from portal.services.audit import SYSTEM
from providers import http, registry
from tests.services.signing import ready, send
from tests.simulators.__main__ import made
from tests.simulators.vendor import Vendor

LONG = os.environ.get("COUNTERSIGN_TEST_LONG") == "1"
TIMES = 20 if LONG else 1
MESSAGES = 1000 if LONG else 30
KILLS = 100 if LONG else 3
KINDS = (
    "timeout",
    "timeout_after",
    "reset",
    "reset_after",
    "500",
    "500_after",
    "half_body",
    "garbage",
    "429",
)


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture(params=registry.remote_names())
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    monkeypatch.setattr(http, "READ_S", 0.25)
    with made(request.param).serving() as found:
        found.idle_s = 0.4
        yield found


@pytest.fixture
def database_url(sqlite_template, tmp_path):
    """One kind of database is enough: what is tried here is the line to the provider."""
    import shutil

    shutil.copy(sqlite_template, tmp_path / "countersign.db")
    return f"sqlite:///{tmp_path / 'countersign.db'}"


@pytest.fixture
def account(cast, vendor):
    at = datetime.now(cast.ana.created_at.tzinfo)
    found = connections.create(
        vendor.name, vendor.name, vendor.connection_settings(), by=SYSTEM, now=at, server=vendor.origin
    )
    connections.checked(found, connections.provider(found).check(), by=SYSTEM, now=at)
    return connections.get(found.id)


class Clock:
    """Time that passes only when asked to, ahead of every wait a job was given."""

    def __init__(self) -> None:
        self.now = datetime.now().astimezone()

    def run(self, rounds: int = 12) -> None:
        for _ in range(rounds):
            jobs.run_due("test", lambda: self.now)
            if not Job.select().where(Job.status.in_(("ready", "running"))).exists():
                return
            self.now += timedelta(minutes=3)


def fresh(envelope: Envelope) -> Envelope:
    return Envelope.get_by_id(envelope.id)


def there(vendor: Vendor, envelope: Envelope) -> list[Any]:
    return [each for each in vendor.sent() if each.id == envelope.remote_id]


def carried_to_the_end(vendor: Vendor, envelope: Envelope, clock: Clock) -> None:
    """Everybody signs there; it is looked at until it is here."""
    for _ in range(8):
        vendor.complete(fresh(envelope).remote_id)
        for _step in range(3):
            polling.ask_soon(envelope.id, clock.now)
            clock.run()
        if fresh(envelope).executed is not None:
            return
    raise AssertionError(
        f"{fresh(envelope).status}: {fresh(envelope).problem} {fresh(envelope).seal_problem}"
    )


@pytest.mark.parametrize("kind", KINDS if LONG else KINDS[1::2])
def test_every_trouble_while_sending_ends_right_and_sends_once(cast, vendor, account, kind, run_jobs):
    chance, clock = random.Random(f"{vendor.name}-{kind}"), Clock()
    for _number in range(TIMES):
        before = len(vendor.sent())
        calm = chance.randrange(4)
        disturb(vendor, calm, kind)
        envelope = send(cast, clock.now, ready(cast, clock.now), connection=account)
        clock.run()
        assert fresh(envelope).status == "sent" or fresh(envelope).problem
        undisturbed(vendor)
        clock.run(30)

        assert fresh(envelope).status == "sent", fresh(envelope).problem
        assert len(vendor.sent()) == before + 1
        assert len(there(vendor, fresh(envelope))) == 1
        disturb(vendor, chance.randrange(3), kind)
        carried_to_the_end(vendor, envelope, clock)
        undisturbed(vendor)
        assert fresh(envelope).status == "completed"


def disturb(vendor: Vendor, calm: int, kind: str) -> None:
    """Let some requests go well; the next one ends badly, and one more after it now and then."""
    left = [calm, 2]

    def mood_of(request: Any) -> str:
        if "token" in request.path:
            return ""
        if left[0]:
            left[0] -= 1
            return ""
        if left[1]:
            left[1] -= 1
            return kind if left[1] else ""
        return ""

    vendor._mood = mood_of  # type: ignore[method-assign]


def undisturbed(vendor: Vendor) -> None:
    vendor._mood = lambda request: ""  # type: ignore[method-assign]


def test_killed_between_request_and_answer_no_second_envelope_is_made(cast, vendor, account, monkeypatch):
    chance, clock = random.Random(vendor.name), Clock()
    usual = http.Client.request
    fate = [0]

    def dying(self: http.Client, method: str, url: str, **what: Any) -> Any:
        answer = usual(self, method, url, **what)
        fate[0] -= 1
        if fate[0] == 0:
            raise Killed
        return answer

    monkeypatch.setattr(http.Client, "request", dying)
    killed = 0
    while killed < KILLS:
        before = len(vendor.sent())
        envelope = send(cast, clock.now, ready(cast, clock.now), connection=account)
        fate[0] = chance.randint(1, 6)
        try:
            clock.run(2)
        except Killed:
            killed += 1
        fate[0] = 0
        clock.now += timedelta(minutes=2)  # the lease of the dead worker ends
        clock.run(30)
        assert fresh(envelope).status == "sent", fresh(envelope).problem
        assert len(vendor.sent()) == before + 1


def test_messages_forged_repeated_shuffled_and_lost_leave_no_wrong_state(cast, vendor, account):
    if not registry.capabilities(vendor.name).webhooks:
        pytest.skip("not offered: webhooks")
    chance, clock = random.Random(f"m-{vendor.name}"), Clock()
    subscription = connections.provider(account).subscribe(connections.webhook_address(account))
    connections.keep_subscription(account, subscription)
    envelope = send(cast, clock.now, ready(cast, clock.now), connection=account)
    other = send(cast, clock.now, ready(cast, clock.now), connection=account)
    clock.run(30)
    vendor.complete(fresh(envelope).remote_id)
    genuine = list(vendor.calls)
    assert genuine
    sent = 0
    while sent < MESSAGES:
        calls = genuine * 3
        chance.shuffle(calls)
        for call in calls[: chance.randint(1, len(calls))]:
            forged = replace(call, body=call.body.replace(fresh(envelope).remote_id.encode(),
                                                          fresh(other).remote_id.encode()))  # fmt: skip
            for each in (call, forged, replace(call, headers={})):
                webhooks.receive(account.id, each, now=clock.now)
                sent += 1
        clock.run(4)
        assert fresh(other).status == "sent"
        assert fresh(envelope).status in ("sent", "completed")
    clock.run(30)

    assert fresh(envelope).status == "completed"
    assert fresh(other).status == "sent"
    assert len(vendor.sent()) == 2
    assert envelopes.recipients_of(fresh(other))[0].status == "sent"


def test_the_failpoints_of_a_send_are_reached(cast, vendor, account, monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(failpoints, "hook", seen.append)
    clock = Clock()
    send(cast, clock.now, ready(cast, clock.now), connection=account)
    clock.run(30)

    assert {"send.before_ceremony", "send.after_ceremony"} <= set(seen)
