"""Signed contracts brought in by a CSV and a ZIP: checked whole, then registered row by row.

The check writes nothing but rows of the batch. Once started, a job registers some rows at a time,
each in a transaction of its own, and queues the next: a kill costs at most the row under way, and a
row that was done is never done twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal import failpoints
from portal.documents.store import Missing
from portal.errors import Conflict, Invalid, NotAllowed, NotFound, PortalError
from portal.i18n import current, use
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.existing import ExistingBatch, ExistingRow
from portal.models.people import Person
from portal.services import (
    audit,
    bulk_csv,
    documents,
    existing,
    existing_csv,
    existing_zip,
    installation,
    jobs,
    permissions,
    sealing,
)
from portal.services.audit import INSTALLATION, Actor
from portal.services.bulk_csv import Unreadable
from portal.services.existing_zip import Pack, Unusable

LARGEST_CSV = 5 * 1024 * 1024
MOST_ROWS = 5_000
AT_ONCE = 50  # checked while the person waits
CHUNK = 100  # rows kept at once
AT_A_TIME = timedelta(seconds=20)  # of work in one job
MOVING = ("checking", "running")
PAGE_SIZE = 50


# --- Reading -----------------------------------------------------------------------------------


def get(batch_id: str) -> ExistingBatch:
    """Raises NotFound."""
    found: ExistingBatch | None = ExistingBatch.get_or_none(ExistingBatch.id == batch_id)
    if found is None:
        raise NotFound
    return found


def newest(most: int = 30) -> list[ExistingBatch]:
    return list(ExistingBatch.select().order_by(ExistingBatch.created_at.desc()).limit(most))


def may_act(batch: ExistingBatch, person: Person | None) -> bool:
    return permissions.may_edit(person, batch.owner.id)


def demand(batch: ExistingBatch, person: Person | None) -> None:
    if not may_act(batch, person):
        raise NotAllowed(_("Only %(name)s may do this.", name=batch.owner.name))


@dataclass(frozen=True)
class Counts:
    right: int = 0
    wrong: int = 0
    left_out: int = 0
    waiting: int = 0
    made: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def to_go(self) -> int:
        return self.waiting + self.made + self.failed + self.cancelled


def counts(batch: ExistingBatch) -> Counts:
    rows: Any = (
        ExistingRow.select(ExistingRow.state, peewee.fn.COUNT(ExistingRow.id))
        .where(ExistingRow.batch == batch)
        .group_by(ExistingRow.state)
        .tuples()
    )
    return Counts(**dict(rows))


def rows(batch: ExistingBatch, *, only: str = "", after: int = 0, size: int = PAGE_SIZE) -> list[ExistingRow]:
    """Rows behind the one numbered `after`, one more than a page."""
    wanted = (ExistingRow.batch == batch) & (ExistingRow.number > after)
    if only:
        wanted &= ExistingRow.state == only
    return list(ExistingRow.select().where(wanted).order_by(ExistingRow.number).limit(size + 1))


def wrong_rows(batch: ExistingBatch) -> Iterable[bytes]:
    """A file of the wrong rows with their reasons, to be mended."""
    columns = existing_csv.COLUMNS
    table: list[list[Any]] = [
        [bulk_csv.ROW, *(each.label for each in columns), bulk_csv.REASON],
    ]
    found = ExistingRow.select().where((ExistingRow.batch == batch) & (ExistingRow.state == "wrong"))
    for row in found.order_by(ExistingRow.number):
        reasons = " ".join(reason for _column, reason in row.errors)
        table.append([row.number, *(row.typed.get(each.key, "") for each in columns), reasons])
    return bulk_csv.written(table)


# --- A new one ---------------------------------------------------------------------------------


def create(
    content: bytes, file_name: str, pack: bytes, pack_name: str, *, owner: Person, by: Actor, now: datetime
) -> ExistingBatch:
    """Take both files in and check them; long ones are read by a job. Raises Invalid by field."""
    shape, total = read_shape(content)
    try:
        existing_zip.open_pack(pack)
    except Unusable as error:
        raise Invalid({"pack": str(error)}) from error
    stored, packed = documents.put(content, "existing"), documents.put(pack, "existing")
    with transaction():
        batch: ExistingBatch = ExistingBatch.create(
            owner=owner, language=current(), file_name=documents.safe_name(file_name), sha256=stored.sha256,
            storage_key=stored.storage_key, zip_name=documents.safe_name(pack_name),
            zip_sha256=packed.sha256, zip_key=packed.storage_key, ignored=list(shape.ignored),
            rows_total=total, created_at=now,
        )  # fmt: skip
        note("existing.uploaded", batch, by, now, rows=total, sha256=batch.sha256, zip=batch.zip_sha256)
        if total > AT_ONCE:
            jobs.add("check_existing", {"batch": batch.id}, key=f"check_existing:{batch.id}", now=now)
    if total <= AT_ONCE:
        check(batch, clock=lambda: now)
    return get(batch.id)


def read_shape(content: bytes) -> tuple[bulk_csv.Shape, int]:
    """How the file is written and how many rows it has. Raises Invalid beside `file`."""
    if len(content) > LARGEST_CSV:
        raise Invalid({"file": _("The file is too large.")})
    try:
        shape = bulk_csv.shape_of(content, existing_csv.KIND)
        total = bulk_csv.count(content, shape)
    except Unreadable as error:
        raise Invalid({"file": str(error)}) from error
    if not total:
        raise Invalid({"file": _("There is no row below the first one, which names the columns.")})
    if total > MOST_ROWS:
        raise Invalid({"file": _("A file can have at most %(most)s rows.", most=MOST_ROWS)})
    return shape, total


# --- Checking ----------------------------------------------------------------------------------


@jobs.handler("check_existing")
def check_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Read long files; a repeated run goes on behind the last row it kept."""
    batch = ExistingBatch.get_or_none(ExistingBatch.id == payload["batch"])
    if batch is not None and batch.state == "checking":
        with use(batch.language, batch.owner.zone):
            check(batch, clock=context.clock, context=context)


@jobs.on_failure("check_existing")
def check_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    ExistingBatch.update(
        state="refused", checked_at=now, problem=_("The file could not be read through. Upload it again.")
    ).where((ExistingBatch.id == payload["batch"]) & (ExistingBatch.state == "checking")).execute()


def check(
    batch: ExistingBatch, *, clock: Callable[[], datetime], context: jobs.Context | None = None
) -> None:
    """Read every row with its PDF and say what is wrong; ends in `checked`."""
    store = installation.current().store
    content, pack = store.get(batch.storage_key), existing_zip.open_pack(store.get(batch.zip_key))
    shape = bulk_csv.shape_of(content, existing_csv.KIND)
    reader, lines = existing_csv.Reader(batch.owner, shape, clock()), bulk_csv.line_numbers(content, shape)
    seen = first_rows(batch)
    newest_row = ExistingRow.select(peewee.fn.MAX(ExistingRow.number)).where(ExistingRow.batch == batch)
    last = newest_row.scalar() or 0
    held: list[dict[str, Any]] = []
    for number, cells, spare in bulk_csv.rows(content, shape):
        if number <= last:
            continue
        row = reader.read(number, cells, spare)
        look_at_file(row, pack, seen)
        held.append(kept(batch, row, lines.get(number, number)))
        if len(held) == CHUNK:
            keep(batch, held, context)
            held = []
    keep(batch, held, context)
    finish_check(batch, pack, clock(), context)


def first_rows(batch: ExistingBatch) -> dict[str, int]:
    """The files that rows kept before have named: SHA-256 -> number."""
    query = ExistingRow.select(ExistingRow.number, ExistingRow.read).where(ExistingRow.batch == batch)
    return {row.read["sha256"]: row.number for row in query if row.read.get("sha256")}


def look_at_file(row: existing_csv.Row, pack: Pack, seen: dict[str, int]) -> None:
    """Whether the PDF of a row is there, readable, and nobody else's."""
    typed = row.typed
    name = typed.text("file", most=300, required=True)
    if not name:
        return
    try:
        content = pack.read(name)
    except Unusable as error:
        typed.refuse("file", str(error))
        return
    digest = hashlib.sha256(content).hexdigest()
    reason = existing.why_not_pdf(content)
    known = existing.registered(digest)
    if reason:
        typed.refuse("file", reason)
    elif digest in seen:
        typed.refuse("file", _("Row %(row)s has the very same PDF.", row=seen[digest]))
    elif known:
        typed.refuse("file", existing.already(known))
    else:
        seen[digest] = row.number
        row.read["sha256"] = digest


def kept(batch: ExistingBatch, row: existing_csv.Row, line: int) -> dict[str, Any]:
    typed = {key: str(value) for key, value in row.typed.values.items()}
    return {
        "batch": batch.id, "number": row.number, "line": line, "state": "wrong" if row.errors else "right",
        "company": typed.get("party", "")[:200], "title": typed.get("title", "")[:200],
        "file_name": typed.get("file", "")[:300], "read": row.read, "typed": typed,
        "errors": [[name, reason] for name, reason in row.errors.items()], "problem": "",
    }  # fmt: skip


def keep(batch: ExistingBatch, found: list[dict[str, Any]], context: jobs.Context | None) -> None:
    """Write some rows, and how far the reading is."""
    if not found:
        return
    with transaction():
        if context is not None:
            context.hold()
        ExistingRow.insert_many(found).execute()
        ExistingBatch.update(rows_read=ExistingBatch.rows_read + len(found)).where(
            ExistingBatch.id == batch.id
        ).execute()
    if context is not None:
        context.renew()
    failpoints.reach("existing.after_chunk")


def finish_check(batch: ExistingBatch, pack: Pack, now: datetime, context: jobs.Context | None) -> None:
    named = ExistingRow.select(ExistingRow.file_name).where(ExistingRow.batch == batch)
    used = {existing_zip.fold_name(row.file_name) for row in named}
    spare = [name for name in pack.names() if existing_zip.fold_name(name) not in used]
    with transaction():
        if context is not None:
            context.hold()
        mine = ExistingRow.batch == batch
        total = ExistingRow.select().where(mine).count()
        wrong = ExistingRow.select().where(mine & (ExistingRow.state == "wrong")).count()
        moved = (
            ExistingBatch.update(
                state="checked", checked_at=now, rows_total=total, rows_read=total, spare=spare[:200]
            )
            .where((ExistingBatch.id == batch.id) & (ExistingBatch.state == "checking"))
            .execute()
        )
        if moved:
            note("existing.checked", batch, audit.SYSTEM, now, rows=total, wrong=wrong)


# --- Moving it -----------------------------------------------------------------------------------


def start(batch: ExistingBatch, *, by: Actor, now: datetime) -> None:
    """Register every right row; wrong ones are left out. Raises Conflict unless it was checked."""
    with transaction():
        become(batch, "running", ("checked",), started_at=now)
        for before, after in (("wrong", "left_out"), ("right", "waiting")):
            ExistingRow.update(state=after).where(
                (ExistingRow.batch == batch) & (ExistingRow.state == before)
            ).execute()
        note("existing.started", batch, by, now)
        queue(batch, now)


def pause(batch: ExistingBatch, *, by: Actor, now: datetime) -> None:
    """Stop behind the row under way."""
    with transaction():
        become(batch, "paused", ("running",))
        note("existing.paused", batch, by, now)


def resume(batch: ExistingBatch, *, by: Actor, now: datetime) -> None:
    """Go on; rows that failed are tried again."""
    with transaction():
        become(batch, "running", ("paused", "done"), ended_at=None, problem="")
        ExistingRow.update(state="waiting", problem="").where(
            (ExistingRow.batch == batch) & (ExistingRow.state == "failed")
        ).execute()
        note("existing.resumed", batch, by, now)
        queue(batch, now)


def cancel(batch: ExistingBatch, *, by: Actor, now: datetime) -> None:
    """Leave what was not registered yet; contracts already made stay."""
    with transaction():
        become(batch, "cancelled", ("checked", "running", "paused"), ended_at=now)
        ExistingRow.update(state="cancelled").where(
            (ExistingRow.batch == batch) & ExistingRow.state.in_(("waiting", "right"))
        ).execute()
        note("existing.cancelled", batch, by, now)
    forget_files(batch)


def queue(batch: ExistingBatch, now: datetime) -> None:
    run = batch.run + 1
    ExistingBatch.update(run=run).where(ExistingBatch.id == batch.id).execute()
    batch.run = run
    jobs.add("register_existing", {"batch": batch.id}, key=f"register_existing:{batch.id}:{run}", now=now)


def become(batch: ExistingBatch, state: str, allowed: tuple[str, ...], **values: Any) -> None:
    moved = (
        ExistingBatch.update(state=state, **values)
        .where((ExistingBatch.id == batch.id) & ExistingBatch.state.in_(allowed))
        .execute()
    )
    if moved != 1:
        raise Conflict(_("Somebody else was quicker. Look at it as it is now."))
    fresh = get(batch.id)
    batch.state, batch.run = fresh.state, fresh.run


def note(act: str, batch: ExistingBatch, by: Actor, now: datetime, **facts: Any) -> None:
    audit.append(act, ("existing", batch.id), chain=INSTALLATION, by=by, now=now, facts=facts)


# --- Registering -----------------------------------------------------------------------------------


@jobs.handler("register_existing")
def register_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Register rows for some seconds, then hand over to the next job."""
    batch = ExistingBatch.get_or_none(ExistingBatch.id == payload["batch"])
    if batch is None or batch.state != "running":
        return
    store = installation.current().store
    try:
        content, pack = store.get(batch.storage_key), existing_zip.open_pack(store.get(batch.zip_key))
    except (Missing, Unusable) as error:
        raise jobs.GiveUp(_("The uploaded files are not in the store any more.")) from error
    shape = bulk_csv.shape_of(content, existing_csv.KIND)
    by = actor_of(batch.owner)
    until = context.clock() + AT_A_TIME
    with use(batch.language, batch.owner.zone):
        reader = existing_csv.Reader(batch.owner, shape, context.clock())
        while (row := next_row(batch)) is not None:
            register_row(row, reader, pack, by, context)
            if context.clock() >= until:
                break
    finish_run(batch, context)


def actor_of(person: Person) -> Actor:
    return Actor("person", person.id, person.name, person.email)


def next_row(batch: ExistingBatch) -> ExistingRow | None:
    """The next row that waits, while the batch runs."""
    if (
        not ExistingBatch.select()
        .where((ExistingBatch.id == batch.id) & (ExistingBatch.state == "running"))
        .exists()
    ):
        return None
    found: ExistingRow | None = (
        ExistingRow.select()
        .where((ExistingRow.batch == batch) & (ExistingRow.state == "waiting"))
        .order_by(ExistingRow.id)
        .first()
    )
    return found


def register_row(
    row: ExistingRow, reader: existing_csv.Reader, pack: Pack, by: Actor, context: jobs.Context
) -> None:
    """One contract: its bytes stored under the row's name, then all its rows at once."""
    now = context.clock()
    read = reader.read(row.number, row.typed, 0)
    try:
        if read.errors or read.said is None:
            raise Invalid(read.errors)
        content = pack.read(row.file_name)
        key = f"existing-{row.batch.id}-{row.number}"
        sealing.put_once(key, content)
        failpoints.reach("existing.after_store")
        stored = documents.Stored(key, hashlib.sha256(content).hexdigest(), len(content))
        with transaction():
            context.hold()
            mine = (ExistingRow.id == row.id) & (ExistingRow.state == "waiting")
            if lock_row(ExistingRow.select().where(mine)).first() is None:
                return
            made = existing.record(read.said, stored, row.file_name, by=by, now=now)
            ExistingRow.update(state="made", contract=made, made_at=now, problem="").where(mine).execute()
            failpoints.reach("existing.before_commit")
    except (PortalError, Unusable) as error:
        reasons = error.errors.values() if isinstance(error, Invalid) else [str(error)]
        ExistingRow.update(state="failed", problem=" ".join(map(str, reasons))[:500]).where(
            (ExistingRow.id == row.id) & (ExistingRow.state == "waiting")
        ).execute()
    failpoints.reach("existing.after_row")


def finish_run(batch: ExistingBatch, context: jobs.Context) -> None:
    """Queue the next job, or end the batch and let go of its files."""
    now = context.clock()
    with transaction():
        context.hold()
        fresh = lock_row(ExistingBatch.select().where(ExistingBatch.id == batch.id)).get()
        if fresh.state != "running":
            return
        tally = counts(batch)
        if tally.waiting:
            queue(fresh, now)
            return
        ExistingBatch.update(state="done", ended_at=now).where(ExistingBatch.id == batch.id).execute()
        note("existing.done", batch, audit.SYSTEM, now, made=tally.made, failed=tally.failed)
    if not tally.failed:
        forget_files(batch)


def forget_files(batch: ExistingBatch) -> None:
    """What the files said stands in the rows, and each PDF with its contract."""
    store = installation.current().store
    for key in (batch.storage_key, batch.zip_key):
        if key:
            store.delete(key)
    ExistingBatch.update(storage_key="", zip_key="").where(ExistingBatch.id == batch.id).execute()


@jobs.on_failure("register_existing")
def register_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    ExistingBatch.update(state="paused", problem=reason[:500]).where(
        (ExistingBatch.id == payload["batch"]) & (ExistingBatch.state == "running")
    ).execute()
