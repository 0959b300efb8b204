"""Bringing an account's archive here: every completed envelope it can read, each once, with its hash.

One job works for a minute at a time, one page or one file per transaction, and queues the next: so a
kill costs at most the file under way, a provider that asks for rest is given it, and the account's other
work is not starved. A file's bytes lie in the store under the name of its row before the row says so.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import peewee

from portal import failpoints
from portal.documents.store import Taken
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import new_id, transaction
from portal.models.connections import Connection
from portal.models.contracts import Document, RegisteredFile
from portal.models.envelopes import Envelope
from portal.models.imports import ArchiveImport, ImportedEnvelope
from portal.services import audit, calls, connections, installation, jobs
from portal.services.audit import INSTALLATION, SYSTEM, Actor
from providers import registry
from providers.errors import NotConfigured, Preparing, ProviderError, Throttled
from providers.interface import ArchivedEnvelope, ExecutedFile, RemoteEnvelope

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AT_A_TIME = timedelta(seconds=40)  # of work in one job
MOST_TRIES = 5  # of one file whose provider is broken for it alone
REST = timedelta(seconds=15)  # after trouble that does not say how long
SHOWN = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Count:
    """How many of an account's completed envelopes are here."""

    listed: int
    fetched: int
    unreadable: int
    total: int | None  # as the provider says, where it does

    @property
    def is_whole(self) -> bool:
        """Everything listed is here, and no more is said to exist."""
        return self.listed == self.fetched and self.total in (None, self.listed)


# --- Starting ---------------------------------------------------------------------------------


def start(
    connection: Connection, since_on: date | None, until_on: date | None, *, by: Actor, now: datetime
) -> ArchiveImport:
    """Begin to bring over what was completed from one day to another; without days, everything.

    Raises Invalid for days that are the wrong way round, Conflict while another one runs.
    """
    if not registry.capabilities(connection.provider).archive:
        raise Conflict(
            _("%(provider)s does not list its archive.", provider=registry.label(connection.provider))
        )
    since = datetime.combine(since_on, time(), UTC) if since_on else EARLIEST
    until = min(now, datetime.combine(until_on, time(), UTC) + timedelta(days=1)) if until_on else now
    if since >= until:
        raise Invalid({"until_on": _("Choose a day that is not before the first one.")})
    with transaction():
        if running(connection) is not None:
            raise Conflict(_("An archive is being brought over already."))
        made: ArchiveImport = ArchiveImport.create(
            connection=connection,
            since_at=since,
            until_at=until,
            is_whole=since_on is None and until_on is None,
            started_by=by.id,
            created_at=now,
        )
        note("archive.started", made, by, now)
        queue(made, now)
    return made


def pause(run: ArchiveImport, *, by: Actor, now: datetime) -> None:
    """Stop after the file under way."""
    move(run, "paused", ("running",))
    note("archive.paused", run, by, now)


def resume(run: ArchiveImport, *, by: Actor, now: datetime) -> None:
    """Go on where it stopped, after a pause or a failure."""
    with transaction():
        move(run, "running", ("paused", "failed"), problem="", ended_at=None)
        note("archive.resumed", run, by, now)
        queue(run, now)


def retry_unreadable(run: ArchiveImport, *, by: Actor, now: datetime) -> int:
    """Ask again for what could not be read; how many."""
    with transaction():
        count: int = (
            ImportedEnvelope.update(status="listed", problem="", attempts=0)
            .where(
                (ImportedEnvelope.connection == run.connection) & (ImportedEnvelope.status == "unreadable")
            )
            .execute()
        )
        if count and run.status in ("done", "failed"):
            move(run, "running", ("done", "failed"), problem="", ended_at=None)
            queue(run, now)
            note("archive.resumed", run, by, now)
    return count


# --- Reading ----------------------------------------------------------------------------------


def get(connection: Connection, run_id: str) -> ArchiveImport:
    found: ArchiveImport | None = ArchiveImport.get_or_none(
        (ArchiveImport.id == run_id) & (ArchiveImport.connection == connection)
    )
    if found is None:
        raise NotFound
    return found


def running(connection: Connection) -> ArchiveImport | None:
    found: ArchiveImport | None = (
        ArchiveImport.select()
        .where((ArchiveImport.connection == connection) & (ArchiveImport.status == "running"))
        .first()
    )
    return found


def latest(connection: Connection) -> ArchiveImport | None:
    found: ArchiveImport | None = (
        ArchiveImport.select()
        .where(ArchiveImport.connection == connection)
        .order_by(ArchiveImport.id.desc())
        .first()
    )
    return found


def count(connection: Connection) -> Count:
    """Of the whole account, as far as it was listed."""
    rows: Any = (
        ImportedEnvelope.select(ImportedEnvelope.status, peewee.fn.COUNT(ImportedEnvelope.id))
        .where(ImportedEnvelope.connection == connection)
        .group_by(ImportedEnvelope.status)
        .tuples()
    )
    found: dict[str, int] = dict(list(rows))
    whole = (
        ArchiveImport.select(ArchiveImport.total)
        .where((ArchiveImport.connection == connection) & ArchiveImport.is_whole & ArchiveImport.is_listed)
        .order_by(ArchiveImport.id.desc())
        .first()
    )
    return Count(
        sum(found.values()),
        found.get("fetched", 0),
        found.get("unreadable", 0),
        whole.total if whole else None,
    )


def page(
    connection: Connection, *, status: str = "", words: str = "", after: str = ""
) -> tuple[list[ImportedEnvelope], str]:
    """Some of them, newest first, and where the next page begins (empty after the last)."""
    query: Any = ImportedEnvelope.select().where(ImportedEnvelope.connection == connection)
    if status:
        query = query.where(ImportedEnvelope.status == status)
    if words:
        query = query.where(ImportedEnvelope.title.contains(words) | ImportedEnvelope.people.contains(words))
    if after:
        query = query.where(ImportedEnvelope.id < after)
    rows = list(query.order_by(ImportedEnvelope.id.desc()).limit(SHOWN + 1))
    return rows[:SHOWN], rows[SHOWN - 1].id if len(rows) > SHOWN else ""


def one(connection: Connection, imported_id: str) -> ImportedEnvelope:
    """One envelope of the account's archive. Raises NotFound."""
    found: ImportedEnvelope | None = ImportedEnvelope.get_or_none(
        (ImportedEnvelope.id == imported_id) & (ImportedEnvelope.connection == connection)
    )
    if found is None:
        raise NotFound
    return found


def every(connection: Connection) -> Iterator[ImportedEnvelope]:
    """All of them with their files, in the order they were listed, for a report."""
    evidence = Document.alias()
    query = (
        ImportedEnvelope.select(ImportedEnvelope, Document, evidence)
        .join(Document, peewee.JOIN.LEFT_OUTER, on=(ImportedEnvelope.document == Document.id))
        .switch(ImportedEnvelope)
        .join(
            evidence, peewee.JOIN.LEFT_OUTER, on=(ImportedEnvelope.evidence == evidence.id), attr="evidence"
        )
        .where(ImportedEnvelope.connection == connection)
        .order_by(ImportedEnvelope.id)
    )
    yield from query.iterator()


def why_not_closed(connection: Connection, now: datetime) -> list[str]:
    """What stands against closing the account at the provider; empty when it is safe.

    Safe means that nothing is open there and that everything it completed is here, by count and by
    our own list of what was sent through it.
    """
    reasons = []
    still = Envelope.select().where(
        (Envelope.connection == connection) & Envelope.status.in_(("queued", "sent"))
    )
    if n := still.count():
        reasons.append(_("Signing requests are still open there: %(count)s.", count=n))
    if not registry.capabilities(connection.provider).archive:
        return [*reasons, _("Its archive cannot be listed, so nobody can tell whether everything is here.")]
    whole = (
        ArchiveImport.select()
        .where(
            (ArchiveImport.connection == connection)
            & ArchiveImport.is_whole
            & (ArchiveImport.status == "done")
        )
        .order_by(ArchiveImport.id.desc())
        .first()
    )
    if whole is None:
        return [*reasons, _("Its archive has not been brought over as a whole.")]
    counted = count(connection)
    if counted.unreadable:
        reasons.append(_("Files that could not be read: %(count)s.", count=counted.unreadable))
    elif not counted.is_whole:
        reasons.append(
            _(
                "%(here)s of %(total)s files are here.",
                here=counted.fetched,
                total=counted.total or counted.listed,
            )
        )
    if n := missing(connection).count():
        reasons.append(_("Signed through it and not in its archive: %(count)s.", count=n))
    last = (
        Envelope.select(peewee.fn.MAX(Envelope.ended_at))
        .where((Envelope.connection == connection) & (Envelope.status == "completed"))
        .scalar()
    )
    if last is not None and last > whole.until_at:
        reasons.append(_("Something was signed there after its archive was brought over. Bring it again."))
    return reasons


def missing(connection: Connection) -> Any:
    """What was completed through the account and is not among what it listed."""
    known = ImportedEnvelope.select(ImportedEnvelope.remote_id).where(
        (ImportedEnvelope.connection == connection) & (ImportedEnvelope.status == "fetched")
    )
    return Envelope.select().where(
        (Envelope.connection == connection)
        & (Envelope.status == "completed")
        & Envelope.remote_id.not_in(known)
    )


# --- Working ----------------------------------------------------------------------------------


@jobs.handler("bring_archive", outward=True)
def bring_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """List and fetch for a while, then queue what is left."""
    run = ArchiveImport.get_or_none(ArchiveImport.id == payload["import"])
    if run is None:
        return
    ends = context.clock() + AT_A_TIME
    provider = connections.provider(run.connection)
    while context.clock() < ends:
        run = ArchiveImport.get_by_id(run.id)
        if run.status != "running":
            return
        if not step(run, provider, context):
            return
        context.renew()
    with transaction():
        context.hold()
        queue(run, context.clock())


def step(run: ArchiveImport, provider: Any, context: jobs.Context) -> bool:
    """One page or one file; false when nothing is left. Raises jobs.Retry to rest."""
    if not run.is_listed:
        list_more(run, provider, context)
        return True
    waiting = (
        ImportedEnvelope.select()
        .where((ImportedEnvelope.connection == run.connection) & (ImportedEnvelope.status == "listed"))
        .order_by(ImportedEnvelope.attempts, ImportedEnvelope.id)
        .first()
    )
    if waiting is None:
        finish(run, context)
        return False
    fetch(run, waiting, provider, context)
    return True


def list_more(run: ArchiveImport, provider: Any, context: jobs.Context) -> None:
    """Take in one page of the provider's list; the cursor moves with the rows."""
    try:
        with calls.to(run.connection, context.clock()):
            found = provider.archive(run.since_at, run.until_at, run.cursor)
    except ProviderError as error:
        raise resting(run, error, context) from error
    failpoints.reach("archive.after_list")
    with transaction():
        context.hold()
        for each in found.envelopes:
            add(run.connection, each)
        ArchiveImport.update(
            cursor=found.cursor,
            is_listed=not found.cursor,
            listed=ArchiveImport.listed + len(found.envelopes),
            total=found.total if found.total is not None else ArchiveImport.total,
        ).where(ArchiveImport.id == run.id).execute()


def add(connection: Connection, found: ArchivedEnvelope) -> None:
    ImportedEnvelope.insert(
        id=new_id(),
        connection=connection,
        remote_id=found.remote_id,
        request_id=found.request_id,
        title=found.title[:300],
        people=[list(each) for each in found.people],
        completed_at=found.completed_at,
    ).on_conflict_ignore().execute()


def fetch(run: ArchiveImport, row: ImportedEnvelope, provider: Any, context: jobs.Context) -> None:
    """Bring one file. What is refused is unreadable at once, what fails again and again after some tries."""
    try:
        with calls.to(run.connection, context.clock()):
            file = provider.download(RemoteEnvelope(row.remote_id, row.request_id))
    except (Throttled, NotConfigured) as error:
        raise resting(run, error, context) from error
    except ProviderError as error:
        tell(row, error, context)
        if error.retry and not isinstance(error, Preparing):
            raise resting(run, error, context) from error
        return
    failpoints.reach("archive.after_download")
    main = put_once(f"{row.id}-brought", file.pdf)
    beside = put_once(f"{row.id}-brought-evidence", file.evidence) if file.evidence else b""
    failpoints.reach("archive.after_store")
    with transaction():
        context.hold()
        record(row, ExecutedFile(main, beside, file.evidence_media), context.clock())


def tell(row: ImportedEnvelope, error: ProviderError, context: jobs.Context) -> None:
    """Note a failed try; after too many, or a plain no, the file counts as unreadable."""
    tries = row.attempts + 1
    gone = not error.retry or tries >= MOST_TRIES
    with transaction():
        context.hold()
        ImportedEnvelope.update(
            attempts=tries,
            status="unreadable" if gone else "listed",
            problem=_(error.sentence, **error.params)[:500],
        ).where((ImportedEnvelope.id == row.id) & (ImportedEnvelope.status == "listed")).execute()


def resting(run: ArchiveImport, error: ProviderError, context: jobs.Context) -> Exception:
    """How to go on after trouble of the whole account: later, or not at all until somebody acts."""
    said = _(error.sentence, **error.params)
    if not error.retry:
        with transaction():
            context.hold()
            move(run, "failed", ("running",), problem=said[:500], ended_at=context.clock())
            note("archive.failed", run, SYSTEM, context.clock())
        return jobs.GiveUp(said)
    ArchiveImport.update(problem=said[:500]).where(ArchiveImport.id == run.id).execute()
    return jobs.Retry(said, timedelta(seconds=error.retry_after_s) if error.retry_after_s else REST)


@jobs.on_failure("bring_archive")
def bringing_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """Visible on the page, where it can be resumed."""
    ArchiveImport.update(status="failed", problem=reason[:500], ended_at=now).where(
        (ArchiveImport.id == payload["import"]) & (ArchiveImport.status == "running")
    ).execute()


def record(row: ImportedEnvelope, file: ExecutedFile, now: datetime) -> None:
    """The rows of one file and its certificate, and their hashes in the register."""
    connection: Connection = row.connection
    ours = Envelope.get_or_none((Envelope.connection == connection) & (Envelope.remote_id == row.remote_id))
    name = f"{row.title or row.remote_id}.pdf"
    document = kept(row, file.pdf, "brought", f"{row.id}-brought", name, ours, now)
    evidence = None
    if file.evidence:
        suffix = "json" if "json" in file.evidence_media else "pdf"
        evidence = kept(
            row,
            file.evidence,
            "brought_evidence",
            f"{row.id}-brought-evidence",
            f"evidence.{suffix}",
            ours,
            now,
            media=file.evidence_media,
        )
    ImportedEnvelope.update(
        status="fetched", problem="", document=document, evidence=evidence, fetched_at=now
    ).where(ImportedEnvelope.id == row.id).execute()


def kept(
    row: ImportedEnvelope,
    content: bytes,
    kind: str,
    key: str,
    name: str,
    ours: Envelope | None,
    now: datetime,
    **facts: Any,
) -> Document:
    digest = hashlib.sha256(content).hexdigest()
    document: Document = Document.add(
        contract=ours.contract if ours else None, kind=kind, file_name=name[:200], sha256=digest,
        size_bytes=len(content), storage_key=key, created_at=now,
        facts={"provider": row.connection.provider, "remote_id": row.remote_id, **facts},
    )  # fmt: skip
    RegisteredFile.insert(
        sha256=digest, kind="provider", document_id=document.id, envelope_id=ours.id if ours else None,
        facts={
            "provider": row.connection.provider,
            "completed_at": row.completed_at.isoformat() if row.completed_at else "",
            "brought": True,
        },
        registered_at=now,
    ).on_conflict_ignore().execute()  # fmt: skip
    return document


def put_once(key: str, content: bytes) -> bytes:
    """The bytes under this name; those an interrupted run left there, if any."""
    store = installation.current().store
    try:
        store.put(key, content)
    except Taken:
        earlier: bytes = store.get(key)
        return earlier
    return content


def finish(run: ArchiveImport, context: jobs.Context) -> None:
    now = context.clock()
    with transaction():
        context.hold()
        move(run, "done", ("running",), problem="", ended_at=now)
        counted = count(run.connection)
        audit.append(
            "archive.brought", ("connection", run.connection.id), chain=INSTALLATION, by=SYSTEM, now=now,
            facts={
                "listed": counted.listed, "fetched": counted.fetched, "unreadable": counted.unreadable,
                "total": counted.total,
            },
        )  # fmt: skip


def queue(run: ArchiveImport, now: datetime) -> None:
    """The next job of a run, once."""
    number = ArchiveImport.get_by_id(run.id).runs + 1
    ArchiveImport.update(runs=number).where(ArchiveImport.id == run.id).execute()
    jobs.add(
        "bring_archive", {"import": run.id}, key=f"archive:{run.id}:{number}", now=now, max_attempts=100_000
    )


def move(run: ArchiveImport, status: str, allowed: tuple[str, ...], **values: Any) -> None:
    moved = (
        ArchiveImport.update(status=status, **values)
        .where((ArchiveImport.id == run.id) & ArchiveImport.status.in_(allowed))
        .execute()
    )
    if moved != 1:
        raise Conflict(_("It has been stopped or finished already."))
    run.status = status


def note(act: str, run: ArchiveImport, by: Actor, now: datetime) -> None:
    audit.append(
        act, ("connection", run.connection.id), chain=INSTALLATION, by=by, now=now,
        facts={"import": run.id, "since": run.since_at.isoformat(), "until": run.until_at.isoformat()},
    )  # fmt: skip
