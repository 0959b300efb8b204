"""Machines for backups: an installation with people at work, and empty ones to restore into."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from portal import settings
from tests.conftest import POSTGRES

NUMBERS = itertools.count()


def set_to_work(now: datetime) -> dict[str, Any]:
    """Contracts in every state, people signed in, messages waiting, a trail with a signed head."""
    from portal.models.people import Person
    from portal.services import audit_chains, handlers, sessions
    from tests.faults import stage

    handlers.load()
    facts = stage.outbox(now)
    sessions.open_for(Person.get(Person.name == "Ana"), stage=sessions.FULL, now=now)
    audit_chains.anchor(now)
    return facts


@contextmanager
def empty_postgres_database() -> Iterator[str]:
    """The address of a new database without tables, dropped afterwards."""
    name = f"countersign_restore_{os.getpid()}_{next(NUMBERS)}"
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{POSTGRES.rsplit('/', 1)[0]}/{name}"
        finally:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def reader(folder: Path, database_url: str = "", **more: str) -> Callable[[], settings.Settings]:
    """Reads the settings of a machine afresh, as a command does at its start."""
    environ = {"COUNTERSIGN_DATA_DIR": str(folder)} | {f"COUNTERSIGN_{k}": v for k, v in more.items()}
    if database_url:
        environ["COUNTERSIGN_DATABASE_URL"] = database_url
    return lambda: settings.read(environ)


def rows_of(database_url: str) -> dict[str, list[Any]]:
    """Every row of every table, in the form that is the same on both databases."""
    from portal.models import copying, schema

    with copying.snapshot(database_url) as moment:
        return {
            model._meta.table_name: sorted(list(copying.lines(moment, model))[1:])
            for model in schema.tables()
        }
