"""The work of a bulk send: one row after the other, each made and sent once.

A row is sent in two transactions, each of which writes its effect and the row's note of it together:
the contract, then, once its exact PDF is made, the signing request. A kill between them leaves a row
that goes on where it stopped. Work comes in short slices, so that whatever else waits has its turn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import peewee

from portal import failpoints
from portal.documents.images import PageImage as Picture
from portal.documents.render import Placement, Rendered
from portal.errors import Conflict, PortalError, Unavailable
from portal.i18n import format_datetime, use
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.bulk import BulkBatch, BulkRow
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope
from portal.services import (
    approvals,
    bulk,
    bulk_checks,
    connections,
    documents,
    envelopes,
    jobs,
    new_contracts,
    revisions,
    uploads,
)
from portal.services.audit import SYSTEM, Actor
from providers.errors import ProviderError

SLICE = timedelta(seconds=2)  # then the next of what waits has its turn
BURST = timedelta(seconds=5)  # of the pace, that may be made up for
MOST_ON_THE_WAY = 50  # requests an account has not taken yet
LOOK_AGAIN = timedelta(seconds=2)
MOST_ATTEMPTS = 5  # while something is busy or down
MOST_BEGINNINGS = 12  # of a row whose worker ends each time
FIRST_WAIT = timedelta(seconds=10)

log = logging.getLogger(__name__)


# --- Slices ------------------------------------------------------------------------------------


@jobs.handler("send_bulk_rows", outward=True)
def rows_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Send rows of one lane for a moment, then queue the next slice in the same transaction as its end."""
    batch = under_way(payload)
    if batch is None:
        return
    with use(batch.owner.language, batch.owner.zone):
        until = context.clock() + SLICE
        while True:
            wait = why_wait(batch, context.clock())
            row = None if wait else next_row(batch, payload["lane"], context.clock())
            if row is None or wait:
                break
            send_row(batch, row, context)
            if not is_under_way(payload):
                return
            if context.clock() >= until:
                break
        follow(batch, payload, context, wait)


def under_way(payload: dict[str, Any]) -> BulkBatch | None:
    """The batch while this run of it is the current one; None once it was paused, cancelled or restarted."""
    batch: BulkBatch | None = BulkBatch.get_or_none(BulkBatch.id == payload["batch"])
    return batch if batch and batch.state == "running" and batch.run == payload["run"] else None


def is_under_way(payload: dict[str, Any]) -> bool:
    """The same, without reading all that a batch holds."""
    current = (BulkBatch.state == "running") & (BulkBatch.run == payload["run"])
    return BulkBatch.select(BulkBatch.id).where((BulkBatch.id == payload["batch"]) & current).exists()


def follow(batch: BulkBatch, payload: dict[str, Any], context: jobs.Context, wait: datetime | None) -> None:
    """Queue the next slice, unless this lane has nothing left; the last one ends the batch."""
    now = context.clock()
    with transaction():
        context.hold()
        waiting = (BulkRow.batch == batch) & (BulkRow.state == "waiting")
        mine = BulkRow.select(peewee.fn.COUNT(BulkRow.id)).where(waiting & (BulkRow.lane == payload["lane"]))
        if mine.scalar():
            turn = payload["turn"] + 1
            key = f"bulk:{batch.id}:{payload['run']}:{payload['lane']}:{turn}"
            due = BulkRow.select(peewee.fn.MIN(BulkRow.due_at)).where(
                waiting & (BulkRow.lane == payload["lane"]) & BulkRow.due_at.is_null(False)
            )
            run_at = wait or (now if next_row(batch, payload["lane"], now) else due.scalar() or now)
            jobs.add("send_bulk_rows", {**payload, "turn": turn}, key=key, now=now, run_at=run_at)
        elif not BulkRow.select(BulkRow.id).where(waiting).exists():
            end(batch, now)


def end(batch: BulkBatch, now: datetime) -> None:
    """Every row was made: the batch is done, or its calls begin; inside the caller's transaction."""
    if not (batch.is_native and bulk_native().part(batch, now)):
        close(batch, now)


def bulk_native() -> Any:
    from portal.services import bulk_native as module  # it is built on this one

    return module


def close(batch: BulkBatch, now: datetime) -> None:
    """Say that all is done; inside the caller's transaction."""
    moved = (
        BulkBatch.update(state="done", ended_at=now, problem="")
        .where((BulkBatch.id == batch.id) & (BulkBatch.state == "running"))
        .execute()
    )
    if moved:
        tally = bulk.counts(batch)
        bulk.note("bulk.finished", batch, SYSTEM, now, sent=tally.sent, failed=tally.failed)


@jobs.on_failure("send_bulk_rows")
def slices_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """Something is wrong with the work itself: the batch pauses, and says so."""
    batch = under_way(payload)
    if batch is not None:
        bulk.pause(batch, by=SYSTEM, now=now, problem=reason[:300])


def next_row(batch: BulkBatch, lane: int, now: datetime) -> BulkRow | None:
    due = BulkRow.due_at.is_null() | (BulkRow.due_at <= now)
    found: BulkRow | None = (
        BulkRow.select()
        .where((BulkRow.batch == batch) & (BulkRow.state == "waiting") & (BulkRow.lane == lane) & due)
        .order_by(BulkRow.id)
        .first()
    )
    return found


# --- Pace --------------------------------------------------------------------------------------


def why_wait(batch: BulkBatch, now: datetime) -> datetime | None:
    """Until when no row may go: the account rests, has enough to do, or the pace asks for it.

    None is leave for one row, which counts against the pace.
    """
    account = batch.connection
    rests = connections.is_open(account, now) if account is not None else None
    if rests is not None:
        tell(batch, _("The account is paused after failures until %(at)s.", at=format_datetime(rests)))
        return rests
    same = Envelope.connection == account if account is not None else Envelope.connection.is_null()
    on_the_way = Envelope.select(Envelope.id).where((Envelope.status == "queued") & same & ~(bulk.STOPPED))
    if on_the_way.limit(MOST_ON_THE_WAY).count() >= MOST_ON_THE_WAY:
        tell(batch, _("Requests that were begun are waited for before the next ones go."))
        return now + LOOK_AGAIN
    tell(batch, "")
    return take_turn(batch, now)


def take_turn(batch: BulkBatch, now: datetime) -> datetime | None:
    """None once this row has its place in the batch's pace, else when to look again."""
    seen = (
        BulkBatch.select(BulkBatch.next_at, BulkBatch.pace_per_minute).where(BulkBatch.id == batch.id).get()
    )
    next_at = seen.next_at or now
    if next_at > now:
        return next_at
    step = timedelta(minutes=1) / seen.pace_per_minute
    taken = (
        BulkBatch.update(next_at=max(next_at, now - BURST) + step)
        .where((BulkBatch.id == batch.id) & (BulkBatch.next_at == seen.next_at))
        .execute()
    )
    return None if taken else now


def tell(batch: BulkBatch, problem: str) -> None:
    """Show on the page why it waits; "" once it does not."""
    if batch.problem != problem:
        batch.problem = problem
        BulkBatch.update(problem=problem).where(
            (BulkBatch.id == batch.id) & (BulkBatch.state == "running")
        ).execute()


# --- One row -------------------------------------------------------------------------------------


def send_row(batch: BulkBatch, row: BulkRow, context: jobs.Context) -> None:
    """Make the contract of a row and send it; what cannot be is noted beside the row."""
    try:
        begin(row, context)
        contract = contract_of(batch, row, context)
        failpoints.reach("bulk.after_contract")
        if contract.state not in ("signing", "signed"):
            make_ready(batch, contract, context)
            demand_approved(contract)
        failpoints.reach("bulk.after_ready")
        if batch.is_native:
            set_ready(row, context)
        else:
            hand_over(batch, row, contract, context)
        failpoints.reach("bulk.after_sent")
    except (jobs.LostLease, peewee.OperationalError):
        raise
    except Unavailable as error:
        put_back(row, error.message, context)
    except (PortalError, ProviderError) as error:
        fail(row, sentence(error), context)
    except Exception as error:
        log.error("bulk.row_failed", exc_info=error, extra={"fields": {"row": row.id}})
        fail(row, _("Something here does not work as it should; the log says what."), context)


def begin(row: BulkRow, context: jobs.Context) -> None:
    """Count the attempt first: a row that ends its worker each time is not begun for ever."""
    with transaction():
        context.hold()
        BulkRow.update(attempts=BulkRow.attempts + 1).where(BulkRow.id == row.id).execute()
    context.renew()
    if row.attempts >= MOST_BEGINNINGS:
        raise Conflict(_("It was begun %(count)s times and never ended.", count=row.attempts))


def contract_of(batch: BulkBatch, row: BulkRow, context: jobs.Context) -> Contract:
    """The row's contract, made now if it has none: both in one transaction."""
    now = context.clock()
    with transaction():
        context.hold()
        fresh = locked(row)
        if fresh.contract is None:
            made = MAKERS[batch.kind](batch, fresh.read, now)
            BulkRow.update(contract=made).where(BulkRow.id == row.id).execute()
            return made
    return Contract.get_by_id(fresh.contract.id)


def from_template(batch: BulkBatch, read: dict[str, str], now: datetime) -> Contract:
    answers = bulk_checks.fast_lane(batch, read)
    return new_contracts.fast_lane(
        answers, owner=batch.owner, by=sender(batch), now=now, version=batch.template_version
    )


def from_document(batch: BulkBatch, read: dict[str, str], now: datetime) -> Contract:
    """A contract that is the batch's PDF, by a row of its own for the same stored bytes."""
    contract = new_contracts.from_file(
        title=batch.title, entity_id=batch.entity.id, signatory_id="", party=read["company"],
        language=batch.language, signers=[read], owner=batch.owner, by=sender(batch), now=now,
        party_country=read["country"],
    )  # fmt: skip
    source: Any = batch.document
    copy = documents.record(
        documents.Stored(source.storage_key, source.sha256, source.size_bytes), "upload",
        file_name=source.file_name, pages=source.pages, facts=source.facts, now=now,
    )  # fmt: skip
    uploads.attach(contract, copy, mode=revisions.NO_TERMS, by=sender(batch), now=now)
    return contract


MAKERS: dict[str, Callable[[BulkBatch, dict[str, str], datetime], Contract]] = {
    "template": from_template,
    "document": from_document,
}


def make_ready(batch: BulkBatch, contract: Contract, context: jobs.Context) -> None:
    """The exact PDF, as the page before sending makes it; of a document, the one everyone is shown."""
    prepared = same_for_everyone(batch.shown) if batch.shown is not None else None
    revisions.make_ready(contract, by=sender(batch), now=context.clock(), prepared=prepared)


def demand_approved(contract: Contract) -> None:
    """Raise Conflict where the row's contract waits for approval: it is asked for, and tried again later."""
    if contract.state == "approval":
        missing = approvals.unmet(contract, revisions.current(contract))
        raise Conflict(
            _("%(missing)s It was asked for; try this row again once it is given.", missing=missing)
        )


def same_for_everyone(shown: Document) -> revisions.Prepared:
    """A PDF that was made and stored before, as freezing takes it; its bytes are not read again."""
    pages = [
        documents.StoredPage(
            Picture(each.number, each.width, each.height, b"", each.text),
            documents.Stored(each.storage_key, "", 0),
        )
        for each in documents.pages(shown)
    ]
    spots = [Placement(**spot) for spot in shown.facts["placements"]]
    stored = documents.Stored(shown.storage_key, shown.sha256, shown.size_bytes)
    return revisions.Prepared(Rendered(b"", shown.pages, spots), stored, pages)


def set_ready(row: BulkRow, context: jobs.Context) -> None:
    """It waits for the others that go in the same call."""
    with transaction():
        context.hold()
        BulkRow.update(state="ready", problem="").where(
            (BulkRow.id == row.id) & (BulkRow.state == "waiting")
        ).execute()


def hand_over(
    batch: BulkBatch,
    row: BulkRow,
    contract: Contract,
    context: jobs.Context,
    *,
    begin: Callable[[Envelope, datetime], None] | None = None,
) -> None:
    """The row's signing request: both in one transaction. One sent by hand meanwhile is taken as it is.

    `begin` is what is done with a new request besides, in the same transaction.
    """
    now = context.clock()
    with transaction():
        context.hold()
        fresh = locked(row)
        if fresh.state not in ("waiting", "ready", "failed") or fresh.envelope is not None:
            return
        standing = Contract.get_by_id(contract.id)
        envelope = envelopes.latest(standing) if standing.state in ("signing", "signed") else None
        is_new = envelope is None
        if envelope is None:
            envelope = envelopes.send(
                standing, message=batch.message, expires_at=expiry(batch, standing, now),
                by=sender(batch), now=now, connection=batch.connection,
            )  # fmt: skip
            if begin is not None:
                begin(envelope, now)
        BulkRow.update(
            state="sent", envelope=envelope, problem="", done_at=now, part=fresh.part if is_new else None
        ).where(BulkRow.id == row.id).execute()


def expiry(batch: BulkBatch, contract: Contract, now: datetime) -> datetime:
    """The evening of the last day, where the other party is."""
    party = contract.counterparty
    zone = ZoneInfo(party.zone if party is not None else contract.entity.zone)
    if batch.is_native and batch.started_at:  # one call has one last day
        now, zone = batch.started_at, ZoneInfo(batch.entity.zone)
    day = (now + timedelta(days=batch.life_days)).astimezone(zone).date()
    return datetime.combine(day, time(18), zone)


def sender(batch: BulkBatch) -> Actor:
    """Whoever pressed Send: everything is done in their name and by what they may do."""
    who = batch.sender or batch.owner
    return Actor("person", who.id, who.name, who.email)


def put_back(row: BulkRow, reason: str, context: jobs.Context) -> None:
    """Something is busy or down: try the row again later, a few times."""
    if row.attempts + 1 >= MOST_ATTEMPTS:
        fail(row, reason, context)
        return
    wait = FIRST_WAIT * 2**row.attempts
    with transaction():
        context.hold()
        BulkRow.update(due_at=context.clock() + wait, problem=reason).where(
            (BulkRow.id == row.id) & (BulkRow.state == "waiting")
        ).execute()


def fail(row: BulkRow, reason: str, context: jobs.Context) -> None:
    with transaction():
        context.hold()
        BulkRow.update(state="failed", problem=reason[:1000], done_at=context.clock(), part=None).where(
            (BulkRow.id == row.id) & BulkRow.state.in_(("waiting", "ready"))
        ).execute()


def sentence(error: PortalError | ProviderError) -> str:
    """Why, in words: of several reasons each once."""
    if isinstance(error, ProviderError):
        return _(error.sentence, **error.params)
    reasons = getattr(error, "errors", None) or {"": error.message}
    return " ".join(dict.fromkeys(str(reason) for reason in reasons.values()))


def locked(row: BulkRow) -> BulkRow:
    """The row as it is now, held until the transaction ends."""
    found: BulkRow = lock_row(BulkRow.select().where(BulkRow.id == row.id)).get()
    return found
