"""The outbox: nothing lost, nothing twice, and what fails stays visible."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from portal.models.base import db, transaction
from portal.models.jobs import Job
from portal.services import jobs


@pytest.fixture
def kind(monkeypatch):
    """A job kind of this test's own; the list holds each payload it ran with."""
    ran = []
    monkeypatch.setitem(jobs.HANDLERS, "note", lambda payload, context: ran.append(payload["n"]))
    return ran


def add(now, n=1, **options):
    with transaction():
        jobs.add("note", {"n": n}, now=now, **options)


def fail_after_adding(now):
    with transaction():
        jobs.add("note", {"n": 1}, now=now)
        raise RuntimeError


def test_a_job_of_a_rolled_back_fact_never_exists(home, now, kind):
    with pytest.raises(RuntimeError):
        fail_after_adding(now)

    assert jobs.run_due("w", lambda: now) == 0
    assert kind == []


def test_the_same_key_is_queued_once(home, now, kind):
    add(now, key="k")
    add(now, key="k")

    jobs.run_due("w", lambda: now)

    assert kind == [1]


def test_a_job_whose_worker_died_runs_again_after_its_lease(home, now, kind):
    add(now)
    assert jobs.claim("dead", now) is not None

    assert jobs.claim("w", now + timedelta(seconds=30)) is None
    assert jobs.run_due("w", lambda: now + jobs.LEASE + timedelta(seconds=1)) == 1
    assert kind == [1]


def test_a_worker_whose_lease_passed_on_cannot_record_or_finish(home, now, kind):
    add(now)
    late = jobs.claim("late", now)
    later = now + jobs.LEASE + timedelta(seconds=1)
    jobs.claim("w", later)

    context = jobs.Context(late.id, late.lease_owner, late.attempts, lambda: later)
    with pytest.raises(jobs.LostLease), transaction():
        context.hold()
    jobs.finish(late, later)

    assert Job.get().status == "running"
    assert Job.get().lease_owner == "w"


def test_a_worker_whose_lease_passed_on_cannot_fail_the_job_either(home, now, monkeypatch):
    told = []
    monkeypatch.setitem(jobs.ON_FAILURE, "note", lambda payload, reason, at: told.append(reason))
    add(now)
    late = jobs.claim("late", now)
    later = now + jobs.LEASE + timedelta(seconds=1)
    jobs.claim("w", later)

    jobs.fail(late, "too late to say so", later)

    assert told == []
    assert Job.get().status == "running"


def test_a_job_that_ends_every_worker_fails_visibly_in_the_end(home, now, kind, monkeypatch):
    told = []
    monkeypatch.setitem(jobs.ON_FAILURE, "note", lambda payload, reason, at: told.append(reason))
    add(now, max_attempts=3)
    for attempt in range(3):
        assert jobs.claim(f"dead{attempt}", now + attempt * 2 * jobs.LEASE) is not None

    jobs.run_due("w", lambda: now + 6 * jobs.LEASE)

    assert kind == []
    assert Job.get().status == "failed"
    assert told


def test_failures_wait_longer_each_time_and_end_visibly(home, now, monkeypatch):
    told = []
    monkeypatch.setitem(jobs.HANDLERS, "note", lambda payload, context: 1 / 0)
    monkeypatch.setitem(jobs.ON_FAILURE, "note", lambda payload, reason, at: told.append(reason))
    add(now, max_attempts=3)

    waits = []
    moment = now
    for _ in range(3):
        assert jobs.run_due("w", lambda at=moment: at) == 1
        waits.append(Job.get().run_at - moment)
        moment = max(moment, Job.get().run_at)

    assert waits[0] < waits[1]
    assert Job.get().status == "failed"
    assert "ZeroDivisionError" in told[0]
    jobs.retry(Job.get().id, moment)
    assert Job.get().status == "ready"


def test_two_workers_never_take_the_same_job(home, now, monkeypatch):
    ran = []
    lock = threading.Lock()

    def handle(payload, context):
        with lock:
            ran.append(payload["n"])

    monkeypatch.setitem(jobs.HANDLERS, "note", handle)
    for n in range(60):
        add(now, n)

    def work(name):
        jobs.run_due(name, lambda: now)
        db.close()

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ran) == list(range(60))


def test_recurring_jobs_are_queued_once_per_period(home, now, monkeypatch):
    monkeypatch.setattr(jobs, "RECURRING", {"note": timedelta(hours=1)})

    jobs.add_recurring(now)
    jobs.add_recurring(now + timedelta(minutes=2))
    jobs.add_recurring(now + timedelta(hours=1))

    assert Job.select().count() == 2


def test_why_a_job_was_put_back_is_in_the_log(home, now, monkeypatch, caplog):
    def handler(payload, context):
        raise FileNotFoundError("ca_key.pem")

    monkeypatch.setitem(jobs.HANDLERS, "note", handler)
    add(now)

    assert not jobs.run(jobs.claim("w", now), lambda: now)

    record = next(record for record in caplog.records if record.getMessage() == "job.error")
    assert "ca_key.pem" in str(record.exc_info[1])
    assert record.fields["kind"] == "note"
    assert Job.get().status == "ready"
