"""Whether a worker lives: it leaves a sign every quarter of a minute, and says how long it was away."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta
from typing import Any

from portal import __version__
from portal.services import installation

SEEN = "worker_seen"
AWAY = "worker_away"
SILENCE = timedelta(minutes=5)


def beat(now: datetime) -> None:
    """The sign of life; after a silence that anybody would have noticed, also from when to when."""
    before = last(now)
    if before is not None and now - before > SILENCE:
        installation.set_fact(AWAY, {"from": before.isoformat(), "to": now.isoformat()}, now)
    installation.set_fact(
        SEEN, {"at": now.isoformat(), "host": socket.gethostname(), "version": __version__}, now
    )


def last(now: datetime) -> datetime | None:
    """When a worker was last seen; None when none ever was. A clock that was ahead counts as now."""
    seen: dict[str, Any] | None = installation.fact(SEEN)
    return min(datetime.fromisoformat(seen["at"]), now) if seen else None


def is_silent(now: datetime) -> bool:
    """Whether a worker that once ran has not been seen for five minutes."""
    before = last(now)
    return before is not None and now - before > SILENCE


def gap() -> tuple[datetime, datetime] | None:
    """The last time no worker ran for more than five minutes, from and to."""
    away: dict[str, str] | None = installation.fact(AWAY)
    return (datetime.fromisoformat(away["from"]), datetime.fromisoformat(away["to"])) if away else None
