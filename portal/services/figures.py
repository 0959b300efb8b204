"""Counts of everything, for `/metrics` and the operations page.

What is on its way is counted afresh: few rows, found by an index on their status. What has piled up
over the years is counted out of an index alone and kept for half a minute, since at a million rows
that takes a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.models.audit import AuditEvent
from portal.models.contracts import Document
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import installation

KEPT_FOR = timedelta(seconds=30)


@dataclass(frozen=True)
class Stock:
    """What has piled up. Keys are the values of the columns grouped by."""

    at: datetime
    jobs: dict[tuple[str, str], int]  # kind, status
    messages: dict[tuple[str, str], int]  # channel, status
    envelopes: dict[str, int]
    seals: dict[str, int]
    documents: dict[str, tuple[int, int]]  # kind: how many, bytes
    audit_events: int

    @property
    def sealed(self) -> int:
        return self.seals.get("sealed", 0) + self.seals.get("incomplete", 0)

    @property
    def document_count(self) -> int:
        return sum(count for count, _size in self.documents.values())

    @property
    def document_bytes(self) -> int:
        return sum(size for _count, size in self.documents.values())


_kept: tuple[installation.Installation, Stock] | None = None


def stock(now: datetime) -> Stock:
    """The counts, at most half a minute old."""
    global _kept
    opened = installation.current()
    if _kept is None or _kept[0] is not opened or not timedelta() <= now - _kept[1].at < KEPT_FOR:
        _kept = (opened, count(now))
    return _kept[1]


def count(now: datetime) -> Stock:
    documents = QUERIES["documents"]().tuples()
    return Stock(
        at=now,
        jobs={(kind, status): number for kind, status, number in QUERIES["jobs"]().tuples()},
        messages={(channel, status): number for channel, status, number in QUERIES["messages"]().tuples()},
        envelopes=dict(QUERIES["envelopes"]().tuples()),
        seals=dict(QUERIES["seals"]().tuples()),
        documents={kind: (number, int(size or 0)) for kind, number, size in documents},
        # Events are never taken away, so the newest number counts them; PostgreSQL skips some.
        audit_events=AuditEvent.select(peewee.fn.MAX(AuditEvent.id)).scalar() or 0,
    )


def by(table: Any, *columns: Any, also: tuple[Any, ...] = ()) -> Any:
    return table.select(*columns, peewee.fn.COUNT(peewee.SQL("*")), *also).group_by(*columns)


# Each is answered by one index, from end to end.
QUERIES = {
    "jobs": lambda: by(Job, Job.kind, Job.status),
    "messages": lambda: by(Notice, Notice.channel, Notice.status),
    "envelopes": lambda: by(Envelope, Envelope.status),
    "seals": lambda: by(Envelope, Envelope.seal_status),
    "documents": lambda: by(Document, Document.kind, also=(peewee.fn.SUM(Document.size_bytes),)),
}


def under_way() -> dict[tuple[str, str], int]:
    """Kind and status of the jobs that are not done; by the index on status."""
    rows: Any = by(Job, Job.kind, Job.status).where(Job.status.in_(("ready", "running", "failed")))
    return {(kind, status): number for kind, status, number in rows.tuples()}


def oldest_due(now: datetime) -> datetime | None:
    """Since when the job that has waited longest could have run; None when nothing is due."""
    job = Job.select(Job.run_at).where((Job.status == "ready") & (Job.run_at <= now)).order_by(Job.run_at)
    first = job.first()
    return first.run_at if first is not None else None
