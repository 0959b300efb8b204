"""An account's archive comes over whole, each file once, whatever happens on the way."""

from __future__ import annotations

import os
import random
from datetime import timedelta

import pytest

from portal import failpoints
from portal.errors import Conflict, Invalid
from portal.models.contracts import Document, RegisteredFile
from portal.models.envelopes import Envelope
from portal.models.imports import ImportedEnvelope
from portal.models.jobs import Job
from portal.services import documents, imports, polling, verification
from portal.services.audit import SYSTEM
from providers.errors import NotConfigured, Throttled, Unavailable
from providers.interface import ArchivedEnvelope
from tests.services import pigeon
from tests.services.signing import sent

LONG = os.environ.get("COUNTERSIGN_TEST_LONG") == "1"


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


def fill(loft, count, now):
    loft.archive = [
        ArchivedEnvelope(
            f"old-{n}", f"Agreement {n}", now - timedelta(hours=count - n), "", (("O", "o@x.example"),)
        )
        for n in range(count)
    ]  # fmt: skip


def work(run_jobs, now, rounds=400):
    """Until nothing is left to do; the time that passed."""
    for number in range(rounds):
        run_jobs(now + timedelta(seconds=40 * number), strict=False)
        if (
            not Job.select()
            .where(Job.status.in_(("ready", "running")) & (Job.kind == "bring_archive"))
            .exists()
        ):
            return
    raise AssertionError("still not done")


def test_everything_comes_over_with_its_certificate_and_hash(now, run_jobs, loft, account):
    fill(loft, 120, now)
    run = imports.start(account, None, None, by=SYSTEM, now=now)
    with pytest.raises(Conflict):
        imports.start(account, None, None, by=SYSTEM, now=now)
    work(run_jobs, now)

    counted = imports.count(account)
    assert (counted.listed, counted.fetched, counted.total, counted.is_whole) == (120, 120, 120, True)
    assert imports.get(account, run.id).status == "done"
    row = ImportedEnvelope.get(ImportedEnvelope.remote_id == "old-7")
    assert documents.read(row.document) == b"%PDF-1.4 old-7"
    assert documents.read(row.evidence) == b"%PDF-c"
    said = verification.look_at(b"%PDF-1.4 old-7")
    assert (said.valid, said.provider, said.file) == (True, "Pigeon", "brought")
    assert imports.why_not_closed(account, now) == []


def test_it_survives_throttling_failures_and_kills_and_brings_each_once(
    now, run_jobs, loft, account, monkeypatch
):
    count = 2000 if LONG else 150
    fill(loft, count, now)
    chance = random.Random(11)
    usual = pigeon.Pigeon.call

    def moody(self, name, act):
        mood = chance.random()
        if mood < 0.05:
            raise Throttled("Slow.", retry_after_s=7)
        if mood < 0.08:
            raise Unavailable("Away.")
        found = usual(self, name, act)
        if mood < 0.1:
            raise Unavailable("Cut off.")
        return found

    monkeypatch.setattr(pigeon.Pigeon, "call", moody)
    imports.start(account, None, None, by=SYSTEM, now=now)
    points = ("archive.after_list", "archive.after_download", "archive.after_store", "job.before_finish")
    kills = [0]

    def die(name):
        if name in points and kills[0] < 10 and chance.random() < 0.05:
            kills[0] += 1
            raise Killed

    monkeypatch.setattr(failpoints, "hook", die)
    at = now
    for _ in range(5000):
        at += timedelta(seconds=70)
        try:
            run_jobs(at, strict=False)
        except Killed:
            continue
        if imports.latest(account).status != "running":
            break

    assert kills[0] == 10
    counted = imports.count(account)
    assert (counted.listed, counted.fetched, counted.unreadable) == (count, count, 0)
    assert Document.select().where(Document.kind == "brought").count() == count
    assert RegisteredFile.select().where(RegisteredFile.kind == "provider").count() == count + 1
    assert imports.latest(account).status == "done"


def test_what_cannot_be_read_is_listed_and_can_be_asked_for_again(now, run_jobs, loft, account):
    fill(loft, 5, now)
    loft.unreadable = {"old-1", "old-3"}
    run = imports.start(account, None, None, by=SYSTEM, now=now)
    work(run_jobs, now)
    assert imports.count(account).unreadable == 2
    assert "2" in " ".join(imports.why_not_closed(account, now))
    [row, _other], after = imports.page(account, status="unreadable")
    assert "purged" in row.problem
    assert after == ""

    loft.unreadable = set()
    assert imports.retry_unreadable(imports.get(account, run.id), by=SYSTEM, now=now) == 2
    work(run_jobs, now + timedelta(hours=1))

    assert imports.count(account).is_whole
    assert imports.why_not_closed(account, now) == []


def test_days_are_kept_to_and_a_part_is_not_enough_to_close(now, run_jobs, loft, account):
    fill(loft, 96, now)
    with pytest.raises(Invalid):
        imports.start(account, now.date(), now.date() - timedelta(days=3), by=SYSTEM, now=now)
    imports.start(account, now.date() - timedelta(days=1), now.date(), by=SYSTEM, now=now)
    work(run_jobs, now)

    assert 24 <= imports.count(account).fetched <= 40
    assert imports.why_not_closed(account, now)


def test_an_account_that_lets_nobody_in_stops_it_until_it_is_resumed(now, run_jobs, loft, account):
    fill(loft, 3, now)
    loft.before.append(NotConfigured("Connect it again."))
    run = imports.start(account, None, None, by=SYSTEM, now=now)
    run_jobs(now, strict=False)
    stopped = imports.get(account, run.id)
    assert (stopped.status, stopped.problem) == ("failed", "Connect it again.")

    imports.resume(stopped, by=SYSTEM, now=now)
    work(run_jobs, now)
    assert imports.count(account).fetched == 3


def test_a_pause_holds_and_a_resume_goes_on(now, run_jobs, loft, account):
    fill(loft, 3, now)
    run = imports.start(account, None, None, by=SYSTEM, now=now)
    imports.pause(run, by=SYSTEM, now=now)
    run_jobs(now)
    assert loft.asked == []
    imports.resume(run, by=SYSTEM, now=now)
    work(run_jobs, now)
    assert imports.count(account).fetched == 3


def test_an_account_with_something_open_or_missing_is_not_safe_to_close(cast, now, run_jobs, loft, account):
    fill(loft, 2, now)
    imports.start(account, None, None, by=SYSTEM, now=now)
    work(run_jobs, now)
    envelope = sent(cast, now, run_jobs, connection=account)
    assert len(imports.why_not_closed(account, now)) == 1
    loft.complete("r1")
    polling.look(envelope.id, now)

    reasons = " ".join(imports.why_not_closed(account, now))
    assert Envelope.get().status == "completed"
    assert "not in its archive: 1" in reasons
