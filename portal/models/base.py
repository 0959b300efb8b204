"""The database handle and what every table shares."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import peewee
from playhouse.pool import PooledPostgresqlDatabase

db = peewee.DatabaseProxy()

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class UtcField(peewee.DateTimeField):
    """An aware instant in UTC. SQLite keeps it as sortable text, PostgreSQL as timestamptz."""

    field_type = "TIMESTAMPTZ"

    def db_value(self, value: datetime | None) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone reached the database")
        value = value.astimezone(UTC)
        if is_sqlite():
            return value.strftime("%Y-%m-%d %H:%M:%S.%f")
        return value

    def python_value(self, value: Any) -> datetime | None:
        if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
            return value.astimezone(UTC) if value is not None else None
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return value.replace(tzinfo=UTC)


class JsonField(peewee.TextField):
    """Lists and objects as compact JSON text with sorted keys."""

    def db_value(self, value: Any) -> Any:
        return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

    def python_value(self, value: Any) -> Any:
        return None if value is None else json.loads(value)


class Model(peewee.Model):
    class Meta:
        database = db
        legacy_table_names = False


class KeyedModel(Model):
    """A table whose rows are named in addresses: time-ordered text ids."""

    id = peewee.TextField(primary_key=True, default=lambda: new_id())

    @classmethod
    def add(cls, **values: Any) -> Any:
        return cls.create(**values)


def new_id() -> str:
    """20 lowercase characters: 9 of time in milliseconds, 11 (55 bits) of chance."""
    stamp = int(time.time() * 1000)
    head = ""
    for _ in range(9):
        stamp, digit = divmod(stamp, 32)
        head = ALPHABET[digit] + head
    return head + "".join(secrets.choice(ALPHABET) for _ in range(11))


def connect(database_url: str) -> peewee.Database:
    """Bind the tables to a database; opens no connection yet, and leaves a former one closed."""
    disconnect()
    parts = urlsplit(database_url)
    if parts.scheme == "sqlite":
        database = peewee.SqliteDatabase(
            database_url.removeprefix("sqlite:///"),
            pragmas={
                "journal_mode": "wal",
                "synchronous": "full",
                "foreign_keys": 1,
                "busy_timeout": 10_000,
                "cache_size": -32_000,
                "temp_store": "memory",
            },
            lock_type="IMMEDIATE",
        )
    else:
        database = PooledPostgresqlDatabase(
            parts.path.lstrip("/"),
            user=parts.username,
            password=unquote(parts.password) if parts.password else None,
            host=parts.hostname,
            port=parts.port or 5432,
            max_connections=16,
            stale_timeout=300,
            timeout=10,
        )
    db.initialize(database)
    return database


def disconnect() -> None:
    """Close this thread's connection, and every pooled one."""
    if db.obj is None:
        return
    if not db.is_closed():
        db.close()
    if hasattr(db.obj, "close_all"):
        db.obj.close_all()


def is_sqlite() -> bool:
    return isinstance(db.obj, peewee.SqliteDatabase)


@contextmanager
def transaction() -> Iterator[None]:
    """One transaction; nested calls join as savepoints. Writers queue at its start on SQLite."""
    with db.atomic():
        yield


def lock_row(query: Any) -> Any:
    """The query with its rows locked until the transaction ends (SQLite has the whole file)."""
    return query if is_sqlite() else query.for_update()
