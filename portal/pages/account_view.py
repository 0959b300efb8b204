"""What the pages of provider accounts show: plain values."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.errors import PortalError
from portal.i18n import format_datetime
from portal.i18n import gettext as _
from portal.models.connections import Connection
from portal.models.contracts import Document
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.pages.forms import Form
from portal.services import account_checks, connections, imports, polling
from providers import registry
from providers.errors import ProviderError
from providers.interface import Setting, Step

WORDS = {
    "draft": ("Not checked yet", "wait"), "active": ("In use", "good"), "paused": ("Paused", "none"),
    "disconnected": ("Disconnected", "none"),
}  # fmt: skip
WAITING_KINDS = (
    "send_envelope", "look_at_envelope", "fetch_executed", "withdraw_envelope", "send_next_step",
    "remind_elsewhere", "correct_elsewhere", "end_elsewhere",
)  # fmt: skip


# --- The form -------------------------------------------------------------------------------------


def defaults(provider: str) -> dict[str, str]:
    return {each.name: each.default for each in registry.settings(provider) if each.default}


def values(provider: str, form: Form) -> dict[str, str]:
    """What was typed for each declared setting; a pasted key keeps its lines."""
    return {each.name: str(form.value(each.name)) for each in registry.settings(provider)}


def edit(provider: str, connection: Connection | None, form: Form) -> dict[str, Any]:
    given = {each.name: str(form.value(each.name)) or each.default for each in registry.settings(provider)}
    return {
        "provider": provider,
        "label": registry.label(provider),
        "connection": connection,
        "settings": [setting(each) for each in connections.asked_for(registry.settings(provider), given)],
        "chooses": [each.name for each in registry.settings(provider) if each.kind == "choice"],
        "steps": steps(provider, given),
        **addresses(connection),
    }


def setting(found: Setting) -> dict[str, Any]:
    kinds = {"secret": "password", "pem": "textarea", "choice": "radios", "text": "text"}
    return {
        "name": found.name,
        "label": found.label,
        "type": kinds.get(found.kind, "text"),
        "is_secret": found.is_secret,
        "help": _(found.help) if found.help else "",
        "optional": not found.required,
        "options": [(value, _(label)) for value, label in found.choices],
    }


def steps(provider: str, given: dict[str, str]) -> list[dict[str, str]]:
    """The checklist in the vendor's own words, as far as it is for what was chosen."""
    fitting = [each for each in registry.steps(provider) if fits(each, given)]
    return [{"title": _(each.title), "text": _(each.text), "shows": each.shows} for each in fitting]


def fits(step: Step, given: dict[str, str]) -> bool:
    return step.when is None or given.get(step.when[0]) == step.when[1]


def addresses(connection: Connection | None) -> dict[str, str]:
    return {
        "redirect_url": connections.redirect_address(),
        "webhook_url": connections.webhook_address(connection) if connection is not None else "",
    }


def needs_consent(connection: Connection) -> bool:
    """Whether somebody must press Allow at the provider before anything works."""
    return may_consent(connection) and not connection.tokens


def may_consent(connection: Connection) -> bool:
    """Whether the provider has a page on which an administrator lets us in, for what was chosen."""
    try:
        connections.provider(connection).authorise_url(
            redirect_url=connections.redirect_address(), state="asked"
        )
    except (ProviderError, PortalError):
        return False
    return True


# --- The list -------------------------------------------------------------------------------------


def row(connection: Connection, default: Connection | None, now: datetime) -> dict[str, Any]:
    word, tone = state(connection)
    return {
        "connection": connection,
        "label": registry.label(connection.provider),
        "word": word,
        "tone": tone,
        "is_default": default is not None and default.id == connection.id,
        "is_test": bool(connection.account.get("is_test")),
        "open": len(connections.open_envelopes(connection)),
        "this_month": sent_in(connection, now),
        "health": health(connection, now),
    }


def state(connection: Connection) -> tuple[str, str]:
    words = {
        "draft": _("Not checked yet"), "active": _("In use"), "paused": _("Paused"),
        "disconnected": _("Disconnected"),
    }  # fmt: skip
    return words[connection.status], WORDS[connection.status][1]


def built_in(now: datetime) -> dict[str, int]:
    is_built_in = Envelope.connection.is_null()
    open_now = Envelope.select().where(is_built_in & Envelope.status.in_(("queued", "sent"))).count()
    since = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    sent = Envelope.select().where(is_built_in & (Envelope.sent_at >= since)).count()
    return {"open": open_now, "this_month": sent}


def health(connection: Connection, now: datetime) -> dict[str, Any]:
    """Last success, error rate of a day, breaker, what waits, and how news comes."""
    calls, failures = connections.error_rate(connection, now)
    rests = connections.is_open(connection, now)
    return {
        "succeeded_at": connection.succeeded_at,
        "calls": calls,
        "failures": failures,
        "percent": round(100 * failures / calls) if calls else 0,
        "rests": _("Paused after failures until %(at)s", at=format_datetime(rests)) if rests else "",
        "last_problem": connection.last_problem if connection.failures else "",
        "waiting": waiting(connection),
        "news": news(connection, now),
        "is_heard": polling.is_heard(connection, now),
    }


def waiting(connection: Connection) -> int:
    """Work that waits for this account."""
    mine = [e.id for e in Envelope.select(Envelope.id).where(Envelope.connection == connection).limit(5000)]
    rows = Job.select(Job.payload).where(Job.status.in_(("ready", "running")) & Job.kind.in_(WAITING_KINDS))
    known = set(mine)
    return sum(1 for job in rows if job.payload.get("envelope") in known)


def news(connection: Connection, now: datetime) -> str:
    """Whether webhook calls arrive, in words."""
    if not registry.capabilities(connection.provider).webhooks:
        return _("It calls nobody; Countersign asks every 15 minutes.")
    if polling.is_heard(connection, now):
        return _("Its calls arrive; the last came %(at)s.", at=format_datetime(connection.called_at))
    if not account_checks.can_be_called(connection):
        return _(
            "It cannot reach this installation, which has no public address; Countersign asks every 15 "
            "minutes."
        )
    if not connection.subscription:
        return _("Its calls are not set up; Countersign asks every 15 minutes.")
    if connection.called_at is None:
        return _("No call has arrived yet; Countersign asks every 15 minutes.")
    return _("No call has arrived since %(at)s; Countersign asks every 15 minutes.",
             at=format_datetime(connection.called_at))  # fmt: skip


def sent_in(connection: Connection, now: datetime) -> int:
    since = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int(
        Envelope.select().where((Envelope.connection == connection) & (Envelope.sent_at >= since)).count()
    )


def by_month(connection: Connection, now: datetime) -> list[tuple[str, int]]:
    """Signing requests sent in each of the last twelve months, for the bill."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = []
    for _number in range(12):
        months.append(first)
        first = (first - timedelta(days=1)).replace(day=1)
    rows = Envelope.select(Envelope.sent_at).where(
        (Envelope.connection == connection) & (Envelope.sent_at >= months[-1])
    )
    counts = dict.fromkeys((f"{m:%Y-%m}" for m in months), 0)
    for each in rows:
        counts[f"{each.sent_at:%Y-%m}"] += 1
    return [(month, count) for month, count in counts.items() if count or month == f"{now:%Y-%m}"]


# --- One account ----------------------------------------------------------------------------------


def whole(connection: Connection, now: datetime) -> dict[str, Any]:
    default = connections.default()
    account = connection.account or {}
    agreement = Document.get_or_none(Document.id == (connection.baa_document or ""))
    word, tone = state(connection)
    return {
        "connection": connection,
        "label": registry.label(connection.provider),
        "word": word,
        "tone": tone,
        "account": account,
        "is_default": default is not None and default.id == connection.id,
        "open": len(connections.open_envelopes(connection)),
        "health": health(connection, now),
        "months": by_month(connection, now),
        "steps": steps(connection.provider, {**defaults(connection.provider), **connection.settings}),
        "is_checking": is_checking(connection),
        "needs_consent": needs_consent(connection),
        "may_consent": may_consent(connection),
        "run": run_of(connection, now),
        "is_running": account_checks.is_running(connection, now),
        "agreement": agreement,
        "agreement_words": connections.agreement_words(connection, now.date()),
        "offers_agreement": registry.capabilities(connection.provider).health_data,
        "archive": imports.count(connection) if registry.capabilities(connection.provider).archive else None,
        "now": now,
        **addresses(connection),
    }


def is_checking(connection: Connection) -> bool:
    return bool(
        Job.select(peewee.SQL("1"))
        .where((Job.kind == "check_account") & Job.key.startswith(f"check:{connection.id}:")
               & Job.status.in_(("ready", "running")))
        .exists()
    )  # fmt: skip


def run_of(connection: Connection, now: datetime) -> list[dict[str, str]]:
    """The lines of the last test run, in words."""
    outcomes = {
        "right": (_("right"), "good"), "not offered": (_("not offered"), "none"),
        "still preparing": (_("still preparing"), "wait"), "wrong": (_("wrong"), "bad"),
    }  # fmt: skip
    found = []
    for line in (connection.rehearsal or {}).get("lines", []):
        word, tone = outcomes[line["outcome"]]
        step = line["step"]
        message, params = (line["error"]["message"], line["error"]["params"]) if line["error"] else ("", {})
        why = _(message, **params) if message else line["detail"]
        found.append({"step": _(step), "word": word, "tone": tone, "why": why})
    return found
