"""The one place that asks the machine what time it is."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present instant, aware, UTC. Callers at the edge pass it on as `now=`."""
    return datetime.now(UTC)
