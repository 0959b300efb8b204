"""The outbox and its worker's moves: add, claim, hold, finish, fail.

A job is a row written in the transaction of the fact that needs it, so neither exists without
the other. It may run twice (a kill between effect and finish), so handlers look first whether
their effect is already recorded, and call `context.hold()` inside the transaction that records
it: a worker whose lease has passed to another is stopped there.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal import failpoints, scrub
from portal.models.base import db, is_sqlite, lock_row, transaction
from portal.models.jobs import Job

LEASE = timedelta(seconds=60)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)

log = logging.getLogger(__name__)


class LostLease(Exception):
    """Another worker has taken this job over; whatever was being recorded is rolled back."""


class Retry(Exception):
    """The effect could not be had now; try again later. `after` overrides the usual wait."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class GiveUp(Exception):
    """The effect can never be had; the job fails now and stays visible."""


@dataclass(frozen=True)
class Context:
    """What a handler knows of its own run."""

    job_id: int
    owner: str
    attempts: int
    clock: Callable[[], datetime]

    def hold(self) -> None:
        """Raise LostLease unless this run still owns the job. Call inside the recording transaction."""
        held = lock_row(
            Job.select(Job.id).where(
                (Job.id == self.job_id)
                & (Job.status == "running")
                & (Job.lease_owner == self.owner)
                & (Job.attempts == self.attempts)
            )
        ).first()
        if held is None:
            raise LostLease(f"job {self.job_id} is no longer ours")

    def renew(self, lease: timedelta = LEASE) -> None:
        """Prolong the lease during, or before, long work."""
        with transaction():
            self.hold()
            Job.update(lease_until=self.clock() + lease).where(Job.id == self.job_id).execute()


Handler = Callable[[dict[str, Any], Context], None]
HANDLERS: dict[str, Handler] = {}
RECURRING: dict[str, timedelta] = {}
# Kinds whose effect is outside this house; a restored installation holds those that were waiting.
OUTWARD: set[str] = set()
# Called when a job has failed for good, inside the transaction that says so.
ON_FAILURE: dict[str, Callable[[dict[str, Any], str, datetime], None]] = {}
# Called when a failed job is started again, inside that transaction.
ON_RETRY: dict[str, Callable[[dict[str, Any], datetime], None]] = {}


def handler(kind: str, *, outward: bool = False) -> Callable[[Handler], Handler]:
    """Register what runs jobs of this kind; `outward` where it reaches people or other machines."""

    def register(function: Handler) -> Handler:
        HANDLERS[kind] = function
        if outward:
            OUTWARD.add(kind)
        return function

    return register


def recurring(kind: str, every: timedelta) -> Callable[[Handler], Handler]:
    """Register a handler that the worker asks for once per period."""
    RECURRING[kind] = every
    return handler(kind)


def on_failure(kind: str) -> Callable[[Callable[[dict[str, Any], str, datetime], None]], Any]:
    """Register what records, for people to see, that a job of this kind failed for good."""

    def register(function: Callable[[dict[str, Any], str, datetime], None]) -> Any:
        ON_FAILURE[kind] = function
        return function

    return register


def on_retry(kind: str) -> Callable[[Callable[[dict[str, Any], datetime], None]], Any]:
    """Register what takes back, when a failed job is started again, what `on_failure` recorded."""

    def register(function: Callable[[dict[str, Any], datetime], None]) -> Any:
        ON_RETRY[kind] = function
        return function

    return register


def add(
    kind: str,
    payload: dict[str, Any] | None = None,
    *,
    now: datetime,
    key: str | None = None,
    run_at: datetime | None = None,
    max_attempts: int = 12,
) -> None:
    """Queue a job inside the caller's transaction. A `key` seen before adds nothing."""
    row = {
        Job.kind: kind, Job.payload: payload or {}, Job.key: key, Job.run_at: run_at or now,
        Job.created_at: now, Job.max_attempts: max_attempts,
        Job.status: "ready", Job.attempts: 0, Job.last_error: "",
    }  # fmt: skip
    Job.insert(row).on_conflict_ignore().execute()


def add_recurring(now: datetime) -> None:
    """Queue each recurring job once for the period that `now` lies in."""
    for kind, every in RECURRING.items():
        slot = int(now.timestamp() // every.total_seconds())
        key = f"{kind}:{slot}"
        if not Job.select(Job.id).where(Job.key == key).exists():
            with transaction():
                add(kind, now=now, key=key, max_attempts=3)


def claim(owner: str, now: datetime) -> Job | None:
    """Take the job that has waited longest, or one whose worker let its lease run out."""
    due = (
        Job.select(Job.id)
        .where(
            ((Job.status == "ready") & (Job.run_at <= now))
            | ((Job.status == "running") & (Job.lease_until < now))
        )
        .order_by(Job.run_at, Job.id)
        .limit(1)
    )
    if is_sqlite() and due.first() is None:
        return None  # no write lock for an empty queue
    if not is_sqlite():
        due = due.for_update(skip_locked=True)
    with transaction():
        rows = list(
            Job.update(
                status="running", lease_owner=owner, lease_until=now + LEASE, attempts=Job.attempts + 1
            )
            .where(Job.id == due)  # a scalar query runs once; inside IN it may run for every row
            .returning(Job)
            .execute()
        )
    return rows[0] if rows else None


def run(job: Job, clock: Callable[[], datetime]) -> bool:
    """Run a claimed job to its end, its retry or its failure. True when it is done."""
    if job.attempts > job.max_attempts:
        fail(job, "its worker ended each time before it was done", clock())
        return False
    context = Context(job.id, str(job.lease_owner), job.attempts, clock)
    failpoints.reach("job.after_claim")
    try:
        HANDLERS[job.kind](job.payload, context)
    except LostLease:
        return False
    except GiveUp as error:
        fail(job, str(error), clock())
        return False
    except Retry as error:
        put_back(job, str(error), clock(), error.after)
        return False
    except peewee.OperationalError as error:
        put_back(job, f"{type(error).__name__}: {error}", clock(), None)
        return False
    except Exception as error:
        log.error("job.error", exc_info=error, extra={"fields": {"kind": job.kind, "job": job.id}})
        put_back(job, f"{type(error).__name__}: {error}", clock(), None)
        return False
    failpoints.reach("job.before_finish")
    finish(job, clock())
    return True


def finish(job: Job, now: datetime) -> None:
    mine(job, status="done", finished_at=now, lease_until=None, last_error="")


def put_back(job: Job, reason: str, now: datetime, after: timedelta | None) -> None:
    """Try again later, with growing waits, until the attempts are used up."""
    if job.attempts >= job.max_attempts:
        fail(job, reason, now)
        return
    wait = after or min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(job.attempts - 1, 20)) * random.uniform(0.8, 1.2)  # noqa: S311
    reason = scrub.text(reason)[:2000]
    log.info("job.put_back", extra={"fields": {"reason": reason, "wait_s": round(wait.total_seconds())}})
    mine(job, status="ready", run_at=now + wait, lease_until=None, last_error=reason)


def fail(job: Job, reason: str, now: datetime) -> None:
    reason = scrub.text(reason)[:2000]
    log.warning("job.failed", extra={"fields": {"reason": reason}})
    with transaction():
        held = mine(job, status="failed", finished_at=now, lease_until=None, last_error=reason)
        if held and job.kind in ON_FAILURE:
            ON_FAILURE[job.kind](job.payload, reason, now)


def mine(job: Job, **values: Any) -> bool:
    """Change the job's row only while this run owns it; false when another has taken it over."""
    changed = (
        Job.update(**values)
        .where((Job.id == job.id) & (Job.lease_owner == job.lease_owner) & (Job.attempts == job.attempts))
        .execute()
    )
    return bool(changed)


def add_again(kind: str, payload: dict[str, Any], *, key: str, now: datetime, max_attempts: int = 12) -> None:
    """As `add`, for a key that may have run before: what has ended starts anew, what waits runs now."""
    add(kind, payload, key=key, now=now, max_attempts=max_attempts)
    Job.update(payload=payload).where((Job.key == key) & (Job.status != "running")).execute()
    ended = (Job.key == key) & (Job.status == "done")
    Job.update(status="ready", attempts=0, run_at=now, finished_at=None).where(ended).execute()
    hurry(key, now)


def hurry(key: str, now: datetime) -> bool:
    """Run the job of this key now: one that waits for its next try, has failed, or was set aside.
    False for others."""
    with transaction():
        job = Job.get_or_none(Job.key == key)
        if job is None:
            return False
        Job.update(status="failed").where((Job.id == job.id) & (Job.status == "set_aside")).execute()
        if retry(job.id, now):
            return True
        waits = (Job.id == job.id) & (Job.status == "ready") & (Job.run_at > now)
        return bool(Job.update(run_at=now).where(waits).execute())


def retry(job_id: int, now: datetime) -> bool:
    """Run a failed job again, from its first attempt; false when it is not, or no longer, failed.

    The operations page calls it through `queues.retry`, which tells the trail.
    """
    with transaction():
        rows = list(
            Job.update(status="ready", attempts=0, run_at=now, finished_at=None, last_error="")
            .where((Job.id == job_id) & (Job.status == "failed"))
            .returning(Job)
            .execute()
        )
        for job in rows:
            if job.kind in ON_RETRY:
                ON_RETRY[job.kind](job.payload, now)
    return bool(rows)


def set_aside(job_id: int) -> bool:
    """Leave a failed job as it is, out of sight; false when it is not, or no longer, failed."""
    changed = Job.update(status="set_aside").where((Job.id == job_id) & (Job.status == "failed")).execute()
    return bool(changed)


def run_due(owner: str, clock: Callable[[], datetime], *, limit: int = 1000) -> int:
    """Run what is due until nothing is; for tests, commands and the worker. Returns how many ran."""
    count = 0
    while count < limit and (job := claim(owner, clock())) is not None:
        run(job, clock)
        count += 1
    return count


def sweep(now: datetime) -> None:
    """Forget jobs done, or set aside, that ended more than a week ago."""
    ended = Job.status.in_(("done", "set_aside"))
    Job.delete().where(ended & (Job.finished_at < now - timedelta(days=7))).execute()


def queue_is_reachable() -> bool:
    """Whether the database answers, for /readyz."""
    try:
        db.execute_sql("SELECT 1")
    except peewee.PeeweeException:
        return False
    return True
