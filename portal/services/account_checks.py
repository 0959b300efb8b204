"""Trying an account at a provider: whose it is, a whole test run, and the agreement that lets an app in.

Each is a job with its progress in the row, so a page shows it with and without script.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from portal import scrub
from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.contracts import Document
from portal.models.jobs import Job
from portal.services import calls, connections, installation, jobs
from portal.services.audit import SYSTEM, Actor
from providers import interface, rehearsal
from providers.errors import ProviderError

STALE_S = 180  # a check or a run that began longer ago and never ended was interrupted


# --- Whose account it is ----------------------------------------------------------------------


def ask(connection: Connection, *, now: datetime) -> None:
    """Have the account checked by a job. Raises Conflict for one that is disconnected."""
    connections.demand_connected(connection)
    with transaction():
        Connection.update(checked_at=None, check_problem="").where(Connection.id == connection.id).execute()
        jobs.add(
            "check_account", {"connection": connection.id}, now=now, max_attempts=3,
            key=f"check:{connection.id}:{now.isoformat()}",
        )  # fmt: skip


@jobs.handler("check_account", outward=True)
def check_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Ask whose account it is; a first success makes it usable and asks for webhook calls."""
    connection = connections.get(payload["connection"])
    if connection.status == "disconnected":
        return
    try:
        with calls.to(connection, context.clock()):
            account = connections.provider(connection).check()
    except ProviderError as error:
        failed(connection, calls.said(error), context.clock())
        raise jobs.GiveUp(calls.said(error)) from error
    if problem := stranger(connection, account):
        failed(connection, problem, context.clock())
        raise jobs.GiveUp(problem)
    with transaction():
        context.hold()
        connections.checked(connection, account, by=SYSTEM, now=context.clock())
        is_another = connection.account.get("id", account.id) != account.id
        if can_be_called(connection) and (is_another or not connection.subscription):
            queue_webhooks(connection, context.clock(), again=is_another)


def failed(connection: Connection, why: str, now: datetime) -> None:
    """It did not let us in: the reason stands on its page until it does."""
    Connection.update(check_problem=scrub.text(why)[:500], checked_at=now).where(
        Connection.id == connection.id
    ).execute()


def stranger(connection: Connection, account: interface.Account) -> str:
    """What is wrong where new credentials lead to another account than what is still open there."""
    known = str(connection.account.get("id", ""))
    if not known or known == account.id or not connections.open_count(connection):
        return ""
    return _(
        "These credentials belong to another account (%(found)s), but signing requests are still open in "
        "%(known)s. Enter those of %(known)s again, and connect the other account beside it.",
        found=account.name or account.id, known=connection.account.get("name") or known,
    )  # fmt: skip


# --- Its calls --------------------------------------------------------------------------------


def ask_for_calls(connection: Connection, *, by: Actor, now: datetime) -> None:
    """Have the provider told, once more, to call us. Raises Conflict where it could not reach us."""
    connections.demand_connected(connection)
    if not can_be_called(connection):
        raise Conflict(_("This installation has no public address that a provider could call."))
    if is_asking_for_calls(connection):
        return
    with transaction():
        queue_webhooks(connection, now, again=True)
        connections.note("connection.calls_asked", connection, by, now)


def queue_webhooks(connection: Connection, now: datetime, *, again: bool = False) -> None:
    jobs.add(
        "begin_webhooks", {"connection": connection.id, "again": again}, now=now, max_attempts=5,
        key=f"begin_webhooks:{connection.id}:{now.isoformat()}",
    )  # fmt: skip


def asking(connection: Connection) -> Job | None:
    """The newest job that asked the provider to call us."""
    mine = (Job.kind == "begin_webhooks") & Job.key.startswith(f"begin_webhooks:{connection.id}:")
    found: Job | None = Job.select().where(mine).order_by(Job.id.desc()).first()
    return found


def is_asking_for_calls(connection: Connection) -> bool:
    job = asking(connection)
    return job is not None and job.status in ("ready", "running") and not job.last_error


def calls_problem(connection: Connection) -> str:
    """Why the provider was not asked to call us; empty where it was, or nobody tried."""
    job = asking(connection)
    return str(job.last_error) if job is not None and job.status != "done" else ""


def can_be_called(connection: Connection) -> bool:
    """Whether the provider could reach us: a public address, or a simulator on this machine."""
    return bool(connection.server) or not installation.current().settings.base_url_is_local


# --- A test run -------------------------------------------------------------------------------


def rehearse(connection: Connection, *, by: Actor, now: datetime) -> None:
    """Have a whole envelope for two invented people tried out. Raises Conflict while one runs."""
    connections.demand_connected(connection)
    if is_running(connection, now):
        raise Conflict(_("A test run is under way."))
    with transaction():
        begun = {"started_at": now.isoformat(), "ended_at": "", "lines": []}
        Connection.update(rehearsal=begun).where(Connection.id == connection.id).execute()
        jobs.add(
            "rehearse_account", {"connection": connection.id}, now=now, max_attempts=1,
            key=f"rehearse:{connection.id}:{now.isoformat()}",
        )  # fmt: skip
        connections.note("connection.rehearsed", connection, by, now)


def is_running(connection: Connection, now: datetime) -> bool:
    said = connection.rehearsal or {}
    if not said.get("started_at") or said.get("ended_at"):
        return False
    return (now - datetime.fromisoformat(said["started_at"])).total_seconds() < STALE_S


@jobs.handler("rehearse_account", outward=True)
def rehearse_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Each step is written down as it ends."""
    connection = connections.get(payload["connection"])
    said: dict[str, Any] = dict(connection.rehearsal)

    def told(line: rehearsal.Line) -> None:
        error = (
            {"message": line.error.sentence, "params": printable(line.error.params)} if line.error else None
        )
        row = {"step": line.step, "outcome": line.outcome, "detail": line.detail[:200], "error": error}
        said["lines"] = [*said["lines"], row]
        Connection.update(rehearsal=said).where(Connection.id == connection.id).execute()
        context.renew()

    try:
        is_right = rehearsal.run(connections.provider(connection), told)
    except ProviderError as error:
        told(rehearsal.Line(rehearsal.CONNECT, rehearsal.WRONG, str(error), error))
        is_right = False
    now = context.clock()
    said["ended_at"], said["is_right"] = now.isoformat(), is_right
    Connection.update(rehearsal=said, rehearsed_at=now).where(Connection.id == connection.id).execute()


def printable(params: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}


@jobs.on_failure("rehearse_account")
def rehearsal_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    connection = connections.get(payload["connection"])
    said = {**connection.rehearsal, "ended_at": now.isoformat(), "is_right": False}
    Connection.update(rehearsal=said).where(Connection.id == connection.id).execute()


# --- Agreement for health data ----------------------------------------------------------------


def keep_agreement(
    connection: Connection,
    document: Document,
    signed_on: date,
    expires_on: date | None,
    *,
    by: Actor,
    now: datetime,
) -> None:
    """Put a business associate agreement on file. Raises Invalid for days that cannot be."""
    errors = wrong_days(signed_on, expires_on, now.date())
    if errors:
        raise Invalid(errors)
    with transaction():
        # Kept with the account from now on, not with uploads that nobody used.
        Document.update(kind="agreement").where(Document.id == document.id).execute()
        Connection.update(baa_document=document.id, baa_signed_on=signed_on, baa_expires_on=expires_on).where(
            Connection.id == connection.id
        ).execute()
        connections.note(
            "connection.baa_recorded", connection, by, now, document_sha256=document.sha256,
            signed_on=signed_on.isoformat(), expires_on=expires_on.isoformat() if expires_on else None,
        )  # fmt: skip


def wrong_days(signed_on: date, expires_on: date | None, today: date) -> dict[str, str]:
    """What is wrong with an agreement's days, by field: asked before its file is taken in."""
    errors = {}
    if signed_on > today:
        errors["baa_signed_on"] = _("Choose a day that is not in the future.")
    if expires_on is not None and expires_on <= signed_on:
        errors["baa_expires_on"] = _("Choose a day after the agreement was signed.")
    return errors


def ending_soon(today: date) -> list[Connection]:
    """Accounts whose agreement for health data ends within thirty days, or has ended."""
    rows = Connection.select().where(
        (Connection.status != "disconnected") & Connection.baa_expires_on.is_null(False)
    )
    return [row for row in rows if row.baa_expires_on and (row.baa_expires_on - today).days <= 30]
