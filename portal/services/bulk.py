"""Bulk send: one template version, or one PDF, and a file of people: a contract and a signing request each.

A batch is checked whole (`bulk_checks`) before anything goes. Once started, its rows are sent by
`bulk_sending`, each through the services that a single contract goes through, at the batch's pace;
it may be paused, gone on with and cancelled at any row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import peewee

from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.base import lock_row, transaction
from portal.models.bulk import BulkBatch, BulkRow
from portal.models.connections import Connection
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.models.parties import LegalEntity, Signatory
from portal.models.people import Person
from portal.models.templates import TemplateVersion
from portal.services import (
    audit,
    bulk_checks,
    bulk_csv,
    bulk_documents,
    documents,
    envelopes,
    installation,
    jobs,
    permissions,
    sending,
    templates,
)
from portal.services.audit import INSTALLATION, Actor
from portal.services.bulk_checks import LANES
from portal.services.bulk_csv import Unreadable
from providers import registry

KINDS = ("template", "document")
MOST_ROWS = 50_000
LARGEST_FILE = 20 * 1024 * 1024
FASTEST = 6_000  # rows a minute
USUAL_PACE, USUAL_DAYS, MOST_DAYS = 120, 30, 364
PAGE_SIZE = 50
REPEATED_WITHIN = timedelta(days=30)
MOVING = ("checking", "running")


@dataclass(frozen=True)
class Answers:
    """What one batch says for all its rows. `defaults` by column, for rows that leave it empty."""

    entity: LegalEntity
    title: str
    signatory: Signatory | None = None
    version: TemplateVersion | None = None
    document: Document | None = None
    side: str = "supplier"
    language: str = "en"
    connection: Connection | None = None
    is_native: bool = False
    message: str = ""
    life_days: int = USUAL_DAYS
    pace_per_minute: int = USUAL_PACE
    defaults: Mapping[str, str] | None = None

    @property
    def kind(self) -> str:
        return "template" if self.version is not None else "document"


# --- Reading -----------------------------------------------------------------------------------


def get(batch_id: str) -> BulkBatch:
    """Raises NotFound."""
    found: BulkBatch | None = BulkBatch.get_or_none(BulkBatch.id == batch_id)
    if found is None:
        raise NotFound
    return found


def newest(most: int = 50) -> list[BulkBatch]:
    return list(BulkBatch.select().order_by(BulkBatch.created_at.desc(), BulkBatch.id.desc()).limit(most))


def may_act(batch: BulkBatch, person: Person | None) -> bool:
    """Its owner, or somebody who may edit every contract and send."""
    return permissions.may_edit(person, batch.owner.id) and permissions.allows(person, "contract.send")


def repeated(batch: BulkBatch, now: datetime) -> BulkBatch | None:
    """A batch of the same file that was started in the last days, if any."""
    found: BulkBatch | None = (
        BulkBatch.select()
        .where(
            (BulkBatch.sha256 == batch.sha256)
            & (BulkBatch.id != batch.id)
            & (BulkBatch.started_at > now - REPEATED_WITHIN)
        )
        .order_by(BulkBatch.started_at.desc())
        .first()
    )
    return found


# Ended before anybody was asked: the row may be sent anew.
RETURNED = (Envelope.status == "voided") & Envelope.sent_at.is_null()
# An account said no, and nothing tries any more: the same request may be tried again.
STOPPED = (Envelope.status == "queued") & peewee.fn.EXISTS(
    Job.select(Job.id).where(
        (Job.key == peewee.Value("send:").concat(Envelope.id)) & Job.status.in_(("failed", "set_aside"))
    )
)
UNSENT = (BulkRow.state == "sent") & (RETURNED | STOPPED)


@dataclass(frozen=True)
class Counts:
    """How many rows stand where; `failed` includes those that an account sent back."""

    right: int = 0
    wrong: int = 0
    left_out: int = 0
    waiting: int = 0
    sent: int = 0
    failed: int = 0
    cancelled: int = 0
    signed: int = 0
    known: int = 0

    @property
    def total(self) -> int:
        return self.right + self.to_go

    @property
    def to_go(self) -> int:
        """All rows that were started, however they ended."""
        return self.waiting + self.sent + self.failed + self.cancelled

    @property
    def ended(self) -> int:
        return self.sent + self.failed + self.cancelled


def counts(batch: BulkBatch) -> Counts:
    mine = BulkRow.batch == batch
    number = peewee.fn.COUNT(BulkRow.id)
    by_state: Any = BulkRow.select(BulkRow.state, number).where(mine).group_by(BulkRow.state).tuples()
    states: dict[str, int] = dict(by_state)
    joined = BulkRow.select(number).join(Envelope, on=(BulkRow.envelope == Envelope.id)).where(mine)
    returned = joined.where(UNSENT).scalar() if states.get("sent") else 0
    signed = joined.where(Envelope.status == "completed").scalar() if states.get("sent") else 0
    known = BulkRow.select(number).where(mine & BulkRow.is_known).scalar() if batch.state == "checked" else 0
    states["sent"] = states.get("sent", 0) - returned
    states["waiting"] = states.get("waiting", 0) + states.pop("ready", 0)
    states["failed"] = states.get("failed", 0) + returned
    return Counts(**states, signed=signed, known=known)


def totals(batch: BulkBatch) -> list[tuple[str, Decimal, int]]:
    """(currency, value of all its contracts, how many) of what is to be sent."""
    query: Any = (
        BulkRow.select(BulkRow.currency, peewee.fn.SUM(BulkRow.amount), peewee.fn.COUNT(BulkRow.id))
        .where(
            (BulkRow.batch == batch) & BulkRow.state.not_in(("wrong", "left_out")) & (BulkRow.currency != "")
        )
        .group_by(BulkRow.currency)
        .order_by(BulkRow.currency)
        .tuples()
    )
    return [(currency, Decimal(str(total)).quantize(Decimal("0.01")), n) for currency, total, n in query]


def rows(batch: BulkBatch, *, only: str = "", after: int = 0, size: int = PAGE_SIZE) -> list[BulkRow]:
    """Rows in the order of the file, with contract and envelope; one more than `size` where there are more.

    `only`: wrong (or left out), waiting, sent, failed, cancelled; everything without it.
    """
    query = (
        BulkRow.select(BulkRow, Contract, Envelope)
        .left_outer_join(Contract, on=(BulkRow.contract == Contract.id))
        .switch(BulkRow)
        .left_outer_join(Envelope, on=(BulkRow.envelope == Envelope.id))
        .where((BulkRow.batch == batch) & (BulkRow.number > after))
    )
    if only == "wrong":
        query = query.where(BulkRow.state.in_(("wrong", "left_out")))
    elif only == "failed":
        query = query.where((BulkRow.state == "failed") | UNSENT)
    elif only == "sent":
        query = query.where((BulkRow.state == "sent") & ~(UNSENT))
    elif only == "waiting":
        query = query.where(BulkRow.state.in_(("waiting", "ready")))
    elif only:
        query = query.where(BulkRow.state == only)
    found = list(query.order_by(BulkRow.number).limit(size + 1))
    mark_unsent(found)
    return found


def mark_unsent(found: list[BulkRow]) -> None:
    """Note on rows whether their request came to nothing; as UNSENT says it to the database."""
    queued = {f"send:{row.envelope.id}" for row in found if row.envelope and row.envelope.status == "queued"}
    stopped = Job.select(Job.key).where(Job.key.in_(queued) & Job.status.in_(("failed", "set_aside")))
    keys = {job.key for job in stopped} if queued else set()
    for row in found:
        envelope = row.envelope
        row.is_unsent = bool(
            envelope
            and row.state == "sent"
            and ((envelope.status == "voided" and envelope.sent_at is None) or f"send:{envelope.id}" in keys)
        )


def every(batch: BulkBatch, only: str = "") -> Iterator[BulkRow]:
    """All rows, read a page at a time."""
    after = 0
    while found := rows(batch, only=only, after=after, size=500):
        yield from found[:500]
        after = found[:500][-1].number
        if len(found) <= 500:
            return


def why_not(row: BulkRow) -> str:
    """Why a row that `rows` gave was not sent; "" for one that was."""
    if row.envelope and row.is_unsent:
        return str(row.envelope.ended_reason or row.envelope.problem)
    return str(row.problem) if row.state == "failed" else ""


# --- Files -------------------------------------------------------------------------------------


def wrong_rows(batch: BulkBatch) -> Iterator[bytes]:
    """The rows that are wrong, as a file to mend: their columns, then what is wrong in words."""
    columns = bulk_csv.COLUMNS[batch.kind]

    def table() -> Iterator[list[Any]]:
        yield [*(each.label for each in columns), bulk_csv.ROW, bulk_csv.REASON]
        for row in every(batch, "wrong"):
            yield [
                *(row.typed.get(each.key, "") for each in columns), row.number,
                "; ".join(said(batch, key, reason) for key, reason in row.errors),
            ]  # fmt: skip

    return bulk_csv.written(table())


def said(batch: BulkBatch, key: str, reason: str) -> str:
    """A reason behind the name of its column."""
    label = str(bulk_csv.label(batch.kind, key))
    return _("%(column)s: %(reason)s", column=label, reason=reason) if label else reason


# --- Making ------------------------------------------------------------------------------------


def create(
    answers: Answers, content: bytes, file_name: str, *, owner: Person, by: Actor, now: datetime
) -> BulkBatch:
    """Take a file in and check it; a long one is read by a job. Raises Invalid beside `file` and others."""
    shape = read_shape(answers, content)
    total = bulk_count(content, shape)
    check_answers(answers)
    shown = None
    if answers.document is not None:
        shown = bulk_documents.shown_to_all(
            answers.document, answers.entity, answers.title, answers.language, now
        )
    stored = documents.put(content, "bulk")
    with transaction():
        batch: BulkBatch = BulkBatch.create(
            kind=answers.kind, owner=owner, entity=answers.entity, signatory=answers.signatory,
            template_version=answers.version, document=answers.document, shown=shown,
            title=answers.title[:200], side=answers.side, defaults=dict(answers.defaults or {}),
            language=answers.language, connection=answers.connection, is_native=answers.is_native,
            message=answers.message,
            life_days=answers.life_days, pace_per_minute=answers.pace_per_minute,
            file_name=documents.safe_name(file_name), sha256=hashlib.sha256(content).hexdigest(),
            storage_key=stored.storage_key, ignored=list(shape.ignored), rows_total=total, created_at=now,
        )  # fmt: skip
        if answers.document is not None:  # it is kept as long as the batch
            Document.update(kind="bulk").where(Document.id == answers.document.id).execute()
        note("bulk.uploaded", batch, by, now, rows=total, sha256=batch.sha256, what=batch.kind)
        if total > bulk_checks.AT_ONCE:
            jobs.add("check_bulk", {"batch": batch.id}, key=f"check_bulk:{batch.id}", now=now)
    if total <= bulk_checks.AT_ONCE:
        bulk_checks.check(batch, clock=lambda: now)
    return get(batch.id)


def read_shape(answers: Answers, content: bytes) -> bulk_csv.Shape:
    if len(content) > LARGEST_FILE:
        raise Invalid({"file": _("The file is too large.")})
    try:
        return bulk_csv.shape_of(content, answers.kind, answers.defaults or {})
    except Unreadable as error:
        raise Invalid({"file": str(error)}) from error


def bulk_count(content: bytes, shape: bulk_csv.Shape) -> int:
    try:
        total = bulk_csv.count(content, shape)
    except Unreadable as error:
        raise Invalid({"file": str(error)}) from error
    if not total:
        raise Invalid({"file": _("There is no row below the first one, which names the columns.")})
    if total > MOST_ROWS:
        raise Invalid({"file": _("A file can have at most %(most)s rows.", most=MOST_ROWS)})
    return total


def check_answers(answers: Answers) -> None:
    errors = {}
    if answers.kind == "template" and answers.signatory is None:
        errors["signatory"] = _("Choose who signs for us.")
    if answers.kind == "document" and answers.document is None:
        errors["document"] = _("Choose a PDF file.")
    if answers.is_native and not can_be_native(answers):
        errors["is_native"] = _("This account has no call of its own for many people.")
    if not 1 <= answers.life_days <= MOST_DAYS:
        errors["life_days"] = _("Write a number of days from 1 to %(most)s.", most=MOST_DAYS)
    if not 1 <= answers.pace_per_minute <= FASTEST:
        errors["pace"] = _("Write a number from 1 to %(most)s.", most=FASTEST)
    if errors:
        raise Invalid(errors)


def can_be_native(answers: Answers) -> bool:
    """Whether the account can send one document to many people in one call."""
    account = answers.connection
    return bool(answers.document and account and registry.capabilities(account.provider).bulk)


def remove(batch: BulkBatch, *, by: Actor, now: datetime) -> None:
    """Forget a file that was never started, with all it said. Raises Conflict once it was."""
    with transaction():
        locked = lock(batch)
        if locked.started_at is not None or locked.state == "checking":
            raise Conflict(_("It was started already, or is being checked."))
        note("bulk.removed", batch, by, now)
        BulkRow.delete().where(BulkRow.batch == batch).execute()
        BulkBatch.delete().where(BulkBatch.id == batch.id).execute()
    if batch.storage_key:
        installation.current().store.delete(batch.storage_key)


# --- Sending, pausing, trying again --------------------------------------------------------------


def start(batch: BulkBatch, *, leave_out: bool, by: Actor, now: datetime) -> None:
    """Send all rows that are right. The page asks for step-up.

    Raises Conflict while rows are wrong, unless they are to be left out.
    """
    with transaction():
        found = lock(batch)
        if found.state != "checked":
            raise Conflict(how_it_stands(found))
        tally = counts(found)
        if tally.wrong and not leave_out:
            raise Conflict(
                ngettext(
                    "One row is wrong. Mend the file, or leave that row out.",
                    "%(num)s rows are wrong. Mend the file, or leave those rows out.",
                    tally.wrong,
                )
            )
        if not tally.right:
            raise Conflict(_("No row of this file can be sent."))
        if found.template_version and templates.published(found.template_version.id) is None:
            raise Conflict(_("The template has a newer version by now. Upload the file again."))
        mine = BulkRow.batch == batch
        BulkRow.update(state="waiting").where(mine & (BulkRow.state == "right")).execute()
        BulkRow.update(state="left_out").where(mine & (BulkRow.state == "wrong")).execute()
        BulkBatch.update(sender=by.id, started_at=now).where(BulkBatch.id == batch.id).execute()
        go(batch, now)
        note(
            "bulk.started", batch, by, now, rows=tally.right, left_out=tally.wrong,
            pace_per_minute=found.pace_per_minute, life_days=found.life_days,
            provider=found.connection.provider if found.connection else "builtin",
            template=found.template_version.template.key if found.template_version else "",
        )  # fmt: skip


def go(batch: BulkBatch, now: datetime) -> None:
    """Set the rows going, inside the caller's transaction; work of an earlier start ends by itself."""
    BulkBatch.update(state="running", run=BulkBatch.run + 1, next_at=now, problem="", ended_at=None).where(
        BulkBatch.id == batch.id
    ).execute()
    run = get(batch.id).run
    for lane in range(LANES):
        payload = {"batch": batch.id, "run": run, "lane": lane, "turn": 0}
        jobs.add("send_bulk_rows", payload, key=f"bulk:{batch.id}:{run}:{lane}:0", now=now)


def pause(batch: BulkBatch, *, by: Actor, now: datetime, problem: str = "") -> None:
    """No further row is begun; the one under way is still sent."""
    with transaction():
        become(batch, "paused", ("running",), run=BulkBatch.run + 1, problem=problem)
        note("bulk.paused", batch, by, now)


def resume(batch: BulkBatch, *, by: Actor, now: datetime) -> None:
    """Go on with the rows that still wait."""
    with transaction():
        become(batch, "running", ("paused",))
        go(batch, now)
        note("bulk.resumed", batch, by, now)


def cancel(batch: BulkBatch, *, by: Actor, now: datetime) -> None:
    """The rows that still wait are not sent any more; what was sent goes on."""
    with transaction():
        become(batch, "cancelled", ("running", "paused"), run=BulkBatch.run + 1, ended_at=now)
        waiting = (BulkRow.batch == batch) & BulkRow.state.in_(("waiting", "ready"))
        count = BulkRow.update(state="cancelled").where(waiting).execute()
        note("bulk.cancelled", batch, by, now, rows=count)


def change_pace(batch: BulkBatch, pace_per_minute: int, *, by: Actor, now: datetime) -> None:
    """How many rows may go in a minute from now on. Raises Invalid beside `pace`."""
    if not 1 <= pace_per_minute <= FASTEST:
        raise Invalid({"pace": _("Write a number from 1 to %(most)s.", most=FASTEST)})
    with transaction():
        BulkBatch.update(pace_per_minute=pace_per_minute, next_at=now).where(
            BulkBatch.id == batch.id
        ).execute()
        note("bulk.paced", batch, by, now, pace_per_minute=pace_per_minute)


def retry(batch: BulkBatch, number: int | None = None, *, by: Actor, now: datetime) -> int:
    """Try one failed row again, or all of them; returns how many. Pressed twice, nothing goes twice."""
    with transaction():
        found = lock(batch)
        if found.state not in ("running", "paused", "done"):
            raise Conflict(how_it_stands(found))
        handed_again = 0
        again = BulkRow.batch == batch
        if number is not None:
            again &= BulkRow.number == number
        joined = BulkRow.select(BulkRow, Envelope).left_outer_join(
            Envelope, on=(BulkRow.envelope == Envelope.id)
        )
        stopped: Any = joined.where(again & (BulkRow.state == "sent") & STOPPED)
        for row in list(stopped):
            sending.send_again(envelopes.get(row.envelope.id), by=by, now=now)
            handed_again += 1
        failed = (BulkRow.state == "failed") | ((BulkRow.state == "sent") & RETURNED)
        count: int = (
            BulkRow.update(state="waiting", problem="", attempts=0, due_at=None, envelope=None, part=None)
            .where(BulkRow.id.in_(joined.select(BulkRow.id).where(again & failed)))
            .execute()
        )
        if count or handed_again:
            note("bulk.retried", batch, by, now, rows=count + handed_again)
        if count and found.state != "paused":
            go(found, now)
    return count + handed_again


def become(batch: BulkBatch, state: str, allowed: tuple[str, ...], **values: Any) -> None:
    moved = (
        BulkBatch.update(state=state, **values)
        .where((BulkBatch.id == batch.id) & BulkBatch.state.in_(allowed))
        .execute()
    )
    if moved != 1:
        raise Conflict(how_it_stands(get(batch.id)))


def how_it_stands(batch: BulkBatch) -> str:
    return {
        "checking": _("The file is still being checked."),
        "refused": _("The file cannot be read."),
        "checked": _("It has not been started yet."),
        "running": _("It is being sent already."),
        "paused": _("It is paused."),
        "done": _("All rows have had their turn."),
        "cancelled": _("The rest was cancelled."),
    }[batch.state]


def lock(batch: BulkBatch) -> BulkBatch:
    """The batch as it is now, held until the transaction ends. Raises NotFound."""
    found: BulkBatch | None = lock_row(BulkBatch.select().where(BulkBatch.id == batch.id)).first()
    if found is None:
        raise NotFound
    return found


def note(act: str, batch: BulkBatch, by: Actor, now: datetime, **facts: Any) -> None:
    audit.append(
        act, ("bulk", batch.id), chain=INSTALLATION, by=by, now=now,
        facts={name: value for name, value in facts.items() if value != ""},
    )  # fmt: skip
