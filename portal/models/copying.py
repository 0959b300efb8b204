"""Every row of every table: out of a running database, and into an empty one of either kind.

A table becomes one file: a first line with its name and columns, then one JSON list per row. The
values are the same whichever database they come from (times as `2026-11-25T09:18:00.000000Z`,
decimals as text, bytes in base64), so what was read from SQLite can be loaded into PostgreSQL.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import peewee

from portal.models import schema

# What a column holds, by the type peewee declares it with.
KINDS = {
    "TEXT": "text", "VARCHAR": "text", "CHAR": "text", "INT": "integer", "INTEGER": "integer",
    "BIGINT": "integer", "SMALLINT": "integer", "AUTO": "integer", "BIGAUTO": "integer", "BOOL": "boolean",
    "TIMESTAMPTZ": "time", "DATE": "date", "DECIMAL": "decimal", "BLOB": "bytes", "FLOAT": "real",
    "DOUBLE": "real", "REAL": "real",
}  # fmt: skip
ROWS_AT_ONCE = 2000

Row = list[Any]


def database_errors() -> Any:
    """What is raised when a database does not answer, by peewee and by the drivers that are loaded."""
    psycopg = sys.modules.get("psycopg")
    return (peewee.PeeweeException, sqlite3.Error, *((psycopg.Error,) if psycopg else ()))


class Unloadable(Exception):
    """The database does not take these rows."""


class Snapshot(Protocol):
    """One moment of a database; what is written meanwhile is not seen."""

    def select(self, sql: str) -> Iterator[tuple[Any, ...]]: ...


def columns_of(model: type[peewee.Model]) -> list[tuple[str, str]]:
    """Name and kind of each column. Raises KeyError for a type that cannot be copied yet."""
    return [(field.column_name, KINDS[field.field_type]) for field in model._meta.sorted_fields]


# --- Out ----------------------------------------------------------------------------------------


@contextmanager
def snapshot(database_url: str) -> Iterator[Snapshot]:
    """Hold one moment of the database for reading; writers are not held up."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_file(database_url), isolation_level=None, timeout=10)) as file:
            file.execute("PRAGMA query_only = 1")
            file.execute("BEGIN")
            file.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # the moment is this first look
            yield SqliteSnapshot(file)
        return
    import psycopg

    with psycopg.connect(database_url, options="-c timezone=UTC") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SELECT 1")  # the moment is this first look
        yield PostgresSnapshot(connection)


class SqliteSnapshot:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def select(self, sql: str) -> Iterator[tuple[Any, ...]]:
        return iter(self.connection.execute(sql))


class PostgresSnapshot:
    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def select(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with self.connection.cursor(name="copying") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(sql)
            yield from cursor


def lines(snapshot: Snapshot, model: type[peewee.Model]) -> Iterator[str]:
    """The file of a table, line by line."""
    columns = columns_of(model)
    yield json.dumps({"table": model._meta.table_name, "columns": columns})
    plain = [PLAIN[kind] for _name, kind in columns]
    names = ", ".join(f'"{name}"' for name, _kind in columns)
    for row in snapshot.select(f'SELECT {names} FROM "{model._meta.table_name}"'):  # noqa: S608
        values = [None if value is None else make(value) for make, value in zip(plain, row, strict=True)]
        yield json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def plain_time(value: Any) -> str:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def plain_date(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def plain_decimal(value: Any) -> str:
    """Without zeros at the end, which SQLite does not keep."""
    return format(Decimal(str(value)).normalize(), "f")


def plain_bytes(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


PLAIN: dict[str, Callable[[Any], Any]] = {
    "text": str, "integer": int, "boolean": bool, "real": float, "time": plain_time, "date": plain_date,
    "decimal": plain_decimal, "bytes": plain_bytes,
}  # fmt: skip


# --- In -----------------------------------------------------------------------------------------


def is_empty(database_url: str) -> bool:
    """Whether the database has no table at all."""
    if database_url.startswith("sqlite"):
        path = Path(sqlite_file(database_url))
        if not path.exists():
            return True
        with closing(sqlite3.connect(path)) as file:
            return file.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    import psycopg

    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchone()
    return found == (0,)


def load(database_url: str, files: Iterable[Path]) -> dict[str, int]:
    """Fill the empty tables from their files, in one transaction; how many rows each has now.

    The tables must be those of the migrations the files were written under. Raises Unloadable.
    """
    into = load_sqlite if database_url.startswith("sqlite") else load_postgres
    return into(database_url, files)


def load_sqlite(database_url: str, files: Iterable[Path]) -> dict[str, int]:
    counts = {}
    with closing(sqlite3.connect(sqlite_file(database_url), isolation_level=None)) as file:
        file.execute("PRAGMA foreign_keys = OFF")
        file.execute("BEGIN IMMEDIATE")
        for path in files:
            table, columns, rows = opened(path, SQLITE)
            empty(table, lambda sql: file.execute(sql).fetchone())
            holes = ", ".join("?" * len(columns))
            try:
                file.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holes})", rows)  # noqa: S608
            except sqlite3.Error as error:
                raise Unloadable(f"{path.name}: {error}") from error
            counts[path.stem] = count(table, lambda sql: file.execute(sql).fetchone())
        broken = file.execute("PRAGMA foreign_key_check").fetchone()
        if broken:
            raise Unloadable(f"a row of {broken[0]} belongs to one of {broken[2]} that is not there")
        file.execute("COMMIT")
    return counts


def load_postgres(database_url: str, files: Iterable[Path]) -> dict[str, int]:
    import psycopg

    counts = {}
    with psycopg.connect(database_url) as server:
        # Put aside while rows arrive in any order, and checked for all of them when they are back.
        links = server.execute(FOREIGN_KEYS).fetchall()
        for table, name, _definition in links:
            server.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')  # type: ignore[call-overload]
        try:
            for path in files:
                table, columns, rows = opened(path, POSTGRES)
                empty(table, lambda sql: server.execute(sql).fetchone())
                with (
                    server.cursor() as cursor,
                    cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
                ):
                    for row in rows:
                        copy.write_row(row)
                counts[path.stem] = count(table, lambda sql: server.execute(sql).fetchone())
            for table, name, definition in links:
                server.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
        except psycopg.Error as error:
            raise Unloadable(str(error).strip().replace("\n", " ")) from error
        go_on_counting(server)
    return counts


FOREIGN_KEYS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE contype = 'f' AND connamespace = current_schema()::regnamespace"
)


def go_on_counting(server: Any) -> None:
    """Let each numbered table number its next row after the highest that was loaded."""
    for model in schema.tables():
        key = model._meta.primary_key
        if isinstance(key, peewee.AutoField):
            table, column = model._meta.table_name, key.column_name
            server.execute(
                f"SELECT setval(pg_get_serial_sequence('\"{table}\"', '{column}'),"  # noqa: S608
                f' (SELECT coalesce(max("{column}"), 0) + 1 FROM "{table}"), false)'
            )


def opened(path: Path, makers: dict[str, Callable[[Any], Any]]) -> tuple[str, list[str], Iterator[Row]]:
    """Table, columns and rows of a file, as the database takes them."""
    file = path.open(encoding="utf-8")
    head = json.loads(file.readline())
    made = [makers.get(kind) for _name, kind in head["columns"]]

    def rows() -> Iterator[Row]:
        with file:
            for line in file:
                yield [
                    make(value) if make is not None and value is not None else value
                    for make, value in zip(made, json.loads(line), strict=True)
                ]

    return f'"{head["table"]}"', [f'"{name}"' for name, _kind in head["columns"]], rows()


def empty(table: str, ask: Callable[[str], Any]) -> None:
    """Take out rows that a migration put in; the backup has them too."""
    if count(table, ask):
        ask(f"DELETE FROM {table} RETURNING 1")  # noqa: S608


def count(table: str, ask: Callable[[str], Any]) -> int:
    return int(ask(f"SELECT count(*) FROM {table}")[0])  # noqa: S608


def sqlite_file(database_url: str) -> str:
    return database_url.removeprefix("sqlite:///")


SQLITE: dict[str, Callable[[Any], Any]] = {
    "boolean": int,
    "time": lambda text: f"{text[:10]} {text[11:26]}",
    "bytes": base64.b64decode,
}
POSTGRES: dict[str, Callable[[Any], Any]] = {"bytes": base64.b64decode}
