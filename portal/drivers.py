"""Leave out the database driver that a process will not use."""

from __future__ import annotations

import sys

from portal.settings import Settings


def leave_out_unused(settings: Settings) -> None:
    """Call before anything imports peewee, which loads every driver it finds.

    On SQLite that would be the one for PostgreSQL: 8 MB and a quarter of the start, in each process.
    """
    if settings.database_url.startswith("sqlite"):
        # None makes an import fail as if the package were not installed; one loaded already stays.
        sys.modules.setdefault("psycopg", None)  # type: ignore[arg-type]
