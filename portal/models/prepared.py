"""Queries that are asked at every request: written once, then only their values change.

Writing out a query over ten joined tables costs more than answering it. `Prepared` keeps the SQL and
the way its rows become objects for as long as the process talks to the same database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portal.models import base


class Hole(str):
    """A text in a query that stands for a value given later, under this name."""

    __slots__ = ()


class Prepared:
    """A query made by `build` from named texts; it is written out once for each database bound."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self.made: tuple[Any, str, tuple[Any, ...], Any] | None = None

    def rows(self, **values: str) -> list[Any]:
        """Every row as the object the query selects, with what it joins."""
        made = self.made
        if made is None or made[0] is not base.db.obj:
            return self.first_rows(values)
        _database, sql, parameters, reader = made
        filled = tuple(values[each] if isinstance(each, Hole) else each for each in parameters)
        return [reader.process_row(row) for row in base.db.execute_sql(sql, filled).fetchall()]

    def first(self, **values: str) -> Any | None:
        """The first row, or None."""
        rows = self.rows(**values)
        return rows[0] if rows else None

    def first_rows(self, values: dict[str, str]) -> list[Any]:
        """Ask as peewee does, and keep its SQL, with holes for the values, and its reader of rows."""
        sql, parameters = self.build(**{name: Hole(name) for name in values}).sql()
        reader = self.build(**values).execute()
        reader.initialize()
        rows = reader.cursor.fetchall()
        reader.cursor = None
        self.made = (base.db.obj, sql, tuple(parameters), reader)
        return [reader.process_row(row) for row in rows]
