"""What `/metrics` says, in Prometheus text: read from the database when asked, kept by nobody here.

Each figure is explained in docs/operations.md. A figure that cannot be had is left out, so that a
broken part does not hide the others.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import peewee

from portal import __version__
from portal.errors import PortalError
from portal.models.base import is_sqlite
from portal.services import figures, heartbeat, installation, keys, readiness, storage
from portal.tally import BOUNDS

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "countersign_"


def exposition(now: datetime) -> bytes:
    """Everything, as Prometheus reads it."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(now))
    return generate_latest(registry)


class Collector:
    """What prometheus-client asks for its families."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for part in (about, work, contents, certificates, machine, requests):
            try:
                yield from list(part(self.now))
            except (peewee.PeeweeException, PortalError, OSError):
                yield gauge("part_missing", "A part of these figures cannot be had now.",
                            {(part.__name__,): 1}, ["part"])  # fmt: skip


def gauge(name: str, meaning: str, values: Mapping[Any, float], labels: list[str]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for labelled, value in sorted(values.items()):
        family.add_metric(labelled, value)
    return family


def single(name: str, meaning: str, value: float | None) -> Iterator[Metric]:
    """One figure without labels; nothing where there is none."""
    if value is not None:
        yield gauge(name, meaning, {(): value}, [])


def counter(name: str, meaning: str, value: float) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(PREFIX + name, meaning, value=value)


# --- The parts -----------------------------------------------------------------------------------


def about(now: datetime) -> Iterator[Metric]:
    database = "sqlite" if is_sqlite() else "postgresql"
    yield gauge(
        "build_info", "Version of the portal, of Python, and the kind of database.",
        {(__version__, platform.python_version(), database): 1}, ["version", "python", "database"],
    )  # fmt: skip
    found = readiness.concerns(now)
    yield from single("ready", "1 when nothing stands in the way.", not any(c.blocks for c in found))
    yield gauge(
        "concerns", "What stands in the way (blocks) or will.",
        {(each.key, "yes" if each.blocks else "no"): 1 for each in found}, ["concern", "blocks"],
    )  # fmt: skip


def work(now: datetime) -> Iterator[Metric]:
    stock = figures.stock(now)
    fresh = {pair: float(count) for pair, count in figures.under_way().items()}
    piled = {pair: float(count) for pair, count in stock.jobs.items() if pair[1] in ("done", "set_aside")}
    yield gauge("jobs", "Jobs by kind and status.", piled | fresh, ["kind", "status"])
    oldest = figures.oldest_due(now)
    yield from single(
        "jobs_oldest_due_seconds", "How long the job that has waited longest could have run.",
        (now - oldest).total_seconds() if oldest is not None else 0,
    )  # fmt: skip
    yield from single("worker_seen_seconds", "Since a worker was last seen.", age(heartbeat.last(now), now))
    yield gauge("messages", "Mails and text messages by status.", stock.messages, ["channel", "status"])


def contents(now: datetime) -> Iterator[Metric]:
    stock = figures.stock(now)
    yield gauge("signing_requests", "Signing requests by status.", labelled(stock.envelopes), ["status"])
    yield gauge("seals", "Signing requests by how their seal stands.", labelled(stock.seals), ["status"])
    yield counter("sealed", "Contracts sealed so far.", stock.sealed)
    counts = {(kind,): float(count) for kind, (count, _size) in stock.documents.items()}
    sizes = {(kind,): float(size) for kind, (_count, size) in stock.documents.items()}
    yield gauge("documents", "Documents kept, by kind.", counts, ["kind"])
    yield gauge("document_bytes", "Their size before encryption.", sizes, ["kind"])
    yield counter("audit_events", "Entries of the history so far.", stock.audit_events)
    backup: dict[str, Any] = installation.fact(readiness.LAST_BACKUP) or {}
    good_at = readiness.last_good_backup()
    yield from single("backup_age_seconds", "Since the last good backup.", age(good_at, now))
    if backup:
        yield from single("backup_ok", "1 when the last backup worked.", bool(backup.get("ok", True)))


def certificates(now: datetime) -> Iterator[Metric]:
    left = {(name,): (until - now).total_seconds() for name, until in keys.certificates().items()}
    yield gauge("certificate_expiry_seconds", "Until each certificate expires.", left, ["certificate"])


def machine(_now: datetime) -> Iterator[Metric]:
    free = {(place.name,): float(place.free_bytes) for place in storage.places()}
    yield gauge("disk_free_bytes", "Room left where the portal writes.", free, ["folder"])


def requests(_now: datetime) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        PREFIX + "http_request_duration_seconds", "Requests answered, and how long that took.",
        labels=["route", "method", "status"],
    )  # fmt: skip
    bounds = [*map(repr, BOUNDS), "+Inf"]
    for name, numbers in sorted(installation.current().tally.totals().items()):
        family.add_metric(name, list(zip(bounds, accumulate(numbers[:-1]), strict=True)), numbers[-1])
    yield family


def labelled(counts: dict[str, int]) -> dict[tuple[str], int]:
    return {(name,): count for name, count in counts.items()}


def age(at: datetime | None, now: datetime) -> float | None:
    return (now - at).total_seconds() if at is not None else None
