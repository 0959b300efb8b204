"""Files of people for bulk send, and a worker whose clock moves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from portal.models.bulk import BulkBatch
from portal.services import bulk, handlers, jobs, policies, templates
from providers import registry
from tests.services.drafting import actor

HEADER = "Company,Signer,Mail address,Support level,Product,Fee a month,Currency,Starts on,Length in months"
ROW = "{company},{name},{email},Standard,Quote,900.00,EUR,2027-02-01,12"


def line(number: int, **changes: str) -> str:
    said = {"company": f"Company {number} SA", "name": f"Person {number}", "email": f"p{number}@c.example"}
    return ROW.format(**{**said, **changes})


def file(rows: Iterable[str], header: str = HEADER, encoding: str = "utf-8") -> bytes:
    return "\r\n".join([header, *rows, ""]).encode(encoding)


def answers(cast: Any, now: datetime, **changes: Any) -> bulk.Answers:
    templates.seed(now)
    policies.seed(now)
    given: dict[str, Any] = {
        "entity": cast.entity, "signatory": cast.signatory, "version": templates.offered()[0],
        "title": "Sales systems", "pace_per_minute": 6000,
    }  # fmt: skip
    return bulk.Answers(**{**given, **changes})


def checked(cast: Any, now: datetime, content: bytes, **changes: Any) -> BulkBatch:
    return bulk.create(
        answers(cast, now, **changes), content, "people.csv", owner=cast.ana, by=actor(cast.ana), now=now
    )


def started(cast: Any, now: datetime, content: bytes, **changes: Any) -> BulkBatch:
    batch = checked(cast, now, content, **changes)
    bulk.start(batch, leave_out=True, by=actor(cast.ana), now=now)
    return bulk.get(batch.id)


class Clock:
    """Time as a worker sees it: every look at it costs a little."""

    def __init__(self, now: datetime, step: timedelta = timedelta(milliseconds=20)) -> None:
        self.now, self.step = now, step

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


def work(clock: Clock, batch: BulkBatch, *, most: int = 400) -> BulkBatch:
    """Run whatever is due until the batch stands still; time passes while nothing is."""
    from portal.services.builtin_ceremony import BuiltinCeremony

    handlers.load()
    registry.set_ceremony(BuiltinCeremony())
    for _turn in range(most):
        if not jobs.run_due("test", clock, limit=1):
            clock.now += timedelta(seconds=1)
        batch = bulk.get(batch.id)
        if batch.state not in bulk.MOVING:
            break
    jobs.run_due("test", clock)
    return batch
