"""How this installation is doing, as the operations page shows it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from portal import __version__
from portal.models import schema
from portal.models.base import db, is_sqlite
from portal.services import audit_chains, figures, heartbeat, installation, queues, readiness, storage


@dataclass(frozen=True)
class State:
    """Everything on the page but the keys, which `keys.overview` gives."""

    concerns: list[readiness.Concern]
    queues: list[queues.Queue]
    is_moving: bool  # the page will look different in a moment
    places: list[storage.Place]
    documents_at: str
    stock: figures.Stock
    backup: dict[str, Any] | None  # at, folder, ok, reason
    backup_at: datetime | None
    check: dict[str, Any] | None  # of the history: valid, events, chains, faults
    checked_at: datetime | None
    is_checking: bool
    signed_at: datetime | None  # the head of the history
    worker_seen_at: datetime | None
    worker_host: str
    database: str
    database_bytes: int
    migration: str
    version: str
    python: str


def overview(now: datetime) -> State:
    found = queues.overview(now)
    checking = audit_chains.is_checking()
    backup: dict[str, Any] | None = installation.fact(readiness.LAST_BACKUP)
    check: dict[str, Any] | None = installation.fact(audit_chains.LAST_CHECK)
    anchor: dict[str, str] | None = installation.fact("last_anchor")
    moves = checking or any(queue.is_moving(now) for queue in found)
    kind, size = database()
    return State(
        concerns=readiness.concerns(now),
        queues=found,
        is_moving=moves and not heartbeat.is_silent(now),
        places=storage.places(),
        documents_at=storage.where(),
        stock=figures.stock(now),
        backup=backup,
        backup_at=moment(backup),
        check=check,
        checked_at=moment(check),
        is_checking=checking,
        signed_at=moment(json.loads(anchor["statement"]) if anchor else None),
        worker_seen_at=heartbeat.last(now),
        worker_host=(installation.fact(heartbeat.SEEN) or {}).get("host", ""),
        database=kind,
        database_bytes=size,
        migration=applied(),
        version=__version__,
        python=platform.python_version(),
    )


def moment(fact: dict[str, Any] | None) -> datetime | None:
    return datetime.fromisoformat(fact["at"]) if fact and fact.get("at") else None


def applied() -> str:
    """The newest migration of the database."""
    return next((name for name, is_applied in reversed(schema.status()) if is_applied), "")


def database() -> tuple[str, int]:
    """Which database, and its size in bytes."""
    if is_sqlite():
        import sqlite3

        path = Path(str(db.obj.database))
        files = (path, path.with_name(path.name + "-wal"))
        return f"SQLite {sqlite3.sqlite_version}", sum(f.stat().st_size for f in files if f.exists())
    row = db.execute_sql(
        "SELECT current_setting('server_version'), pg_database_size(current_database())"
    ).fetchone()
    return f"PostgreSQL {str(row[0]).split()[0]}", int(row[1])
