"""A bulk send in the provider's own call: one PDF to many people, made and mailed by the provider.

Contracts are made first, row by row, as for every bulk send. Then all rows that are ready are parted
into calls; each row's signing request is written here before its call goes, and the call bears an id of
its own, so that one whose answer is lost is looked for and never made twice. What the provider makes
of each row is asked for until it says that no more will come; from then on it is a request like others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from portal import failpoints
from portal.errors import PortalError
from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.base import transaction
from portal.models.bulk import BulkBatch, BulkRow
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope, Recipient
from portal.models.jobs import Job
from portal.services import bulk, bulk_sending, calls, connections, documents, envelopes, jobs
from portal.services.audit import SYSTEM
from portal.services.sending import FIRST_LOOK
from providers.errors import ProviderError
from providers.interface import (
    BulkRequest,
    BulkState,
    EventKind,
    OutgoingDocument,
    Placement,
    ProviderEvent,
)
from providers.interface import (
    BulkRow as Person,
)

MOST_IN_ONE_CALL = 250
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)

log = logging.getLogger(__name__)


# --- Parting -----------------------------------------------------------------------------------


def part(batch: BulkBatch, now: datetime) -> bool:
    """Put all rows that are ready into calls, inside the caller's transaction; whether any call is left."""
    ready = (BulkRow.batch == batch) & (BulkRow.state == "ready") & BulkRow.part.is_null()
    numbers = [row.id for row in BulkRow.select(BulkRow.id).where(ready).order_by(BulkRow.id)]
    found = dict(bulk.get(batch.id).calls)
    for start in range(0, len(numbers), MOST_IN_ONE_CALL):
        name = str(len(found))
        found[name] = {"remote_id": "", "is_handed": False, "is_final": False}
        some = numbers[start : start + MOST_IN_ONE_CALL]
        BulkRow.update(part=int(name)).where(BulkRow.id.in_(some)).execute()
    run = bulk.get(batch.id).run
    BulkBatch.update(calls=found).where(BulkBatch.id == batch.id).execute()
    left = [name for name, call in found.items() if not call["is_final"]]
    for name in left:
        kind = "follow_bulk_native" if found[name]["remote_id"] else "send_bulk_native"
        payload = {"batch": batch.id, "run": run, "part": name, "turn": 0}
        jobs.add(kind, payload, key=f"bulk:{batch.id}:{run}:part:{name}:0", now=now)
    return bool(left)


def note_call(batch: BulkBatch, name: str, **what: Any) -> dict[str, Any]:
    """Write down how one call stands, inside the caller's transaction; gives how it stood before."""
    found = dict(bulk.lock(batch).calls)
    before: dict[str, Any] = found[name]
    found[name] = {**before, **what}
    BulkBatch.update(calls=found).where(BulkBatch.id == batch.id).execute()
    return before


# --- The call ------------------------------------------------------------------------------------


@jobs.handler("send_bulk_native", outward=True)
def send_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Hand the rows of one call to the provider. A repeated run continues what an earlier one made."""
    batch: BulkBatch | None = BulkBatch.get_or_none(BulkBatch.id == payload["batch"])
    if batch is None or batch.calls[payload["part"]]["remote_id"]:
        return
    with use(batch.owner.language, batch.owner.zone):
        if bulk_sending.under_way(payload):  # else only what was begun is brought to its end
            make_requests(batch, payload["part"], context)
        rows = list(of(batch, payload["part"]))
        if rows:
            state = called(batch, payload["part"], rows, context)
            failpoints.reach("bulk.after_call")
            with transaction():
                context.hold()
                note_call(batch, payload["part"], remote_id=state.remote_id)
                follow(payload, context.clock(), FIRST_WAIT)
        elif bulk_sending.under_way(payload):
            with transaction():
                context.hold()
                note_call(batch, payload["part"], is_final=True)
                end(batch, context.clock())


def make_requests(batch: BulkBatch, name: str, context: jobs.Context) -> None:
    """The signing request of each row, in a transaction each; who cannot be asked any more is left out."""
    mine = (BulkRow.batch == batch) & (BulkRow.part == int(name)) & (BulkRow.state == "ready")
    rows: list[Any] = list(BulkRow.select().where(mine).order_by(BulkRow.id))
    for row in rows:
        try:
            contract = Contract.get_by_id(row.contract.id)
            bulk_sending.hand_over(batch, row, contract, context, begin=begun_by_call)
        except PortalError as error:
            bulk_sending.fail(row, bulk_sending.sentence(error), context)
        context.renew()


def begun_by_call(envelope: Envelope, now: datetime) -> None:
    """No work of its own sends the request: the place of that work is taken, as done."""
    Envelope.update(handed_at=now).where(Envelope.id == envelope.id).execute()
    Job.update(status="done", finished_at=now).where(Job.key == f"send:{envelope.id}").execute()


def of(batch: BulkBatch, name: str) -> Iterator[tuple[Envelope, Recipient]]:
    """The requests of one call that the provider has not made yet, each with its signer."""
    query = (
        Recipient.select(Recipient, Envelope)
        .join(Envelope)
        .join(BulkRow, on=(BulkRow.envelope == Envelope.id))
        .where((BulkRow.batch == batch) & (BulkRow.part == int(name)) & (Recipient.role == "signer"))
        .order_by(BulkRow.id)
    )
    for recipient in query:
        yield recipient.envelope, recipient


def called(
    batch: BulkBatch, name: str, rows: list[tuple[Envelope, Recipient]], context: jobs.Context
) -> BulkState:
    """What the provider answered. Raises what a job raises to come back, or to give up."""
    with transaction():
        context.hold()
        before = note_call(batch, name, is_handed=True)
    account = connections.get(batch.connection.id)  # type: ignore[union-attr]
    request = request_of(batch, name, rows, before)
    try:
        with calls.to(account, context.clock()):
            return connections.provider(account).send_bulk(request)
    except ProviderError as error:
        bulk_sending.tell(batch, calls.said(error)[:500])
        raise calls.later(error) from error


def request_of(
    batch: BulkBatch, name: str, rows: list[tuple[Envelope, Recipient]], before: dict[str, Any]
) -> BulkRequest:
    shown: Any = batch.shown
    return BulkRequest(
        id=f"{batch.id}-{name}",
        title=batch.title,
        message=batch.message,
        document=OutgoingDocument(shown.file_name, shown.sha256, shown.pages, lambda: documents.read(shown)),
        placements=tuple(Placement(**spot) for spot in shown.facts["placements"]),
        rows=tuple(Person(each.id, who.name, who.email, who.language) for each, who in rows),
        expires_at=rows[0][0].expires_at,
        is_repeat=bool(before["is_handed"]),
        remote_id=before["remote_id"],
    )


@jobs.on_failure("send_bulk_native")
@jobs.on_failure("follow_bulk_native")
def call_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """The provider said no, or never answered: the bulk send pauses; going on looks for what was made."""
    bulk_sending.slices_failed(payload, reason, now)


# --- Afterwards ----------------------------------------------------------------------------------


@jobs.handler("follow_bulk_native", outward=True)
def follow_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Ask what became of a call's rows, until no more will come."""
    batch: BulkBatch | None = BulkBatch.get_or_none(BulkBatch.id == payload["batch"])
    if batch is None or batch.calls[payload["part"]]["is_final"]:
        return
    account = connections.get(batch.connection.id)  # type: ignore[union-attr]
    call = batch.calls[payload["part"]]
    try:
        with calls.to(account, context.clock()):
            state = connections.provider(account).bulk_state(call["remote_id"])
    except ProviderError as error:
        raise calls.later(error) from error
    with use(batch.owner.language, batch.owner.zone):
        take_in(batch, payload["part"], state, context)
        with transaction():
            context.hold()
            now = context.clock()
            if state.is_final:
                note_call(batch, payload["part"], is_final=True)
                end(batch, now)
            else:
                follow(payload, now, min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(payload["turn"], 8)))


def take_in(batch: BulkBatch, name: str, state: BulkState, context: jobs.Context) -> None:
    """The provider's id of each row, or why there is none; each row in a transaction, each thing once."""
    told = {row.key: row for row in state.rows}
    for envelope, _who in list(of(batch, name)):
        if envelope.status != "queued":
            continue
        row = told.get(envelope.id)
        with transaction():
            context.hold()
            now = context.clock()
            if row is not None and row.remote_id:
                Envelope.update(remote_id=row.remote_id, problem="", next_poll_at=now + FIRST_LOOK).where(
                    Envelope.id == envelope.id
                ).execute()
                envelopes.apply_event(envelope.id, ProviderEvent(EventKind.SENT, now), by=SYSTEM, now=now)
            elif row is not None or state.is_final:
                refuse(envelope, row.problem if row else _("The provider made no request of this row."), now)
    context.renew()


def refuse(envelope: Envelope, reason: str, now: datetime) -> None:
    """It came to nothing there; trying again sends this one by itself, after looking for it."""
    Envelope.update(problem=reason[:500]).where(Envelope.id == envelope.id).execute()
    Job.update(status="failed", finished_at=now, last_error=reason[:500]).where(
        (Job.key == f"send:{envelope.id}") & (Job.status == "done")
    ).execute()
    envelopes.record("envelope.sending_failed", envelope, SYSTEM, now, provider=envelope.provider)


def follow(payload: dict[str, Any], now: datetime, wait: timedelta) -> None:
    """Ask again after a while, inside the caller's transaction."""
    turn = payload["turn"] + 1
    key = f"bulk:{payload['batch']}:{payload['run']}:part:{payload['part']}:{turn}"
    jobs.add("follow_bulk_native", {**payload, "turn": turn}, key=key, now=now, run_at=now + wait)


def end(batch: BulkBatch, now: datetime) -> None:
    """The batch is done once no call is under way; inside the caller's transaction."""
    if all(call["is_final"] for call in bulk.get(batch.id).calls.values()):
        bulk_sending.close(batch, now)
