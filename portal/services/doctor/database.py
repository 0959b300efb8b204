"""The database: there, answering, whole, and of this version."""

from __future__ import annotations

from pathlib import Path

import peewee

from portal.i18n import format_size
from portal.models import base, schema
from portal.services import operations
from portal.services.doctor import Finding, Patient, well, wrong
from portal.settings import PREFIX, masked_url

QUICKLY_CHECKED = 200 * 1000**2


def database(patient: Patient) -> Finding:
    url = patient.settings.database_url
    is_file = url.startswith("sqlite")
    if is_file and not Path(url.removeprefix("sqlite:///")).is_file():
        return wrong(
            "database", f"There is no database at {url.removeprefix('sqlite:///')}.",
            f"Check {PREFIX}DATA_DIR and {PREFIX}DATABASE_URL; `countersign serve` makes a new one.",
        )  # fmt: skip
    try:
        base.db.connect(reuse_if_open=True)
        schema.status()
        kind, size = operations.database()
    except (peewee.PeeweeException, ImportError) as error:
        return wrong(
            "database", f"{masked_url(url)} does not answer: {first_line(error)}.",
            "Restore the file from a backup." if is_file else f"Start it, or correct {PREFIX}DATABASE_URL.",
        )  # fmt: skip
    if not is_file:
        theirs = base.db.execute_sql("SELECT clock_timestamp()").fetchone()[0]
        patient.times.append(("the database", theirs, patient.clock()))
    return well("database", f"{kind}, {format_size(size)}.")


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def tables(_patient: Patient) -> Finding:
    rows = schema.status()
    known = {path.stem for path in schema.MIGRATIONS.glob("[0-9]*.py")}
    ahead = [name for name, applied in rows if applied and name not in known]
    if ahead:
        return wrong(
            "tables", f"The tables are those of a newer version ({', '.join(ahead)}).",
            "Run the version that made them, or newer.",
        )  # fmt: skip
    pending = [name for name, applied in rows if not applied]
    if pending:
        return wrong(
            "tables", f"The tables lack changes of this version: {', '.join(pending)}.",
            "Run `countersign migrate up`.",
        )  # fmt: skip
    return well("tables", f"Up to date: {rows[-1][0]}.")


def whole(patient: Patient) -> Finding | None:
    """SQLite looks through its own file, where that is quick."""
    path = Path(patient.settings.database_url.removeprefix("sqlite:///"))
    if not base.is_sqlite() or path.stat().st_size > QUICKLY_CHECKED:
        return None
    said = str(base.db.execute_sql("PRAGMA quick_check(1)").fetchone()[0])
    if said != "ok":
        return wrong(
            "whole", f"The database file is damaged: {first_line(ValueError(said))}.", "Restore a backup."
        )
    return well("whole", "The database file is whole.")
