"""What the pages of provider accounts show: plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.errors import PortalError
from portal.i18n import format_datetime, format_month, format_time
from portal.i18n import gettext as _
from portal.models.connections import Connection
from portal.models.contracts import Document
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.pages import typed_secrets
from portal.pages.forms import Form
from portal.services import account_checks, connections, imports, polling
from providers import registry, rehearsal
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
MOST_COUNTED = 5000  # jobs; beyond, "waiting" says no less


# --- The form -------------------------------------------------------------------------------------


def defaults(provider: str) -> dict[str, str]:
    return {each.name: each.default for each in registry.settings(provider) if each.default}


def values(provider: str, form: Form) -> dict[str, str]:
    """What was typed for each declared setting, secrets of a form that was refused before included."""
    kept = typed_secrets.opened(form, provider)
    return {each.name: str(form.value(each.name)) or kept.get(each.name, "")
            for each in registry.settings(provider)}  # fmt: skip


def edit(provider: str, connection: Connection | None, form: Form) -> dict[str, Any]:
    """The form as it is shown; what was typed of secrets goes with it encrypted, never readable."""
    declared, typed = registry.settings(provider), values(provider, form)
    given = {each.name: typed[each.name] or each.default for each in declared}
    secret = {each.name: typed[each.name] for each in declared if each.is_secret and typed[each.name]}
    deciding = {each.when[0] for each in (*declared, *registry.steps(provider)) if each.when}
    return {
        "provider": provider,
        "label": registry.label(provider),
        "connection": connection,
        "settings": [
            setting(each) | {"is_kept": each.name in secret, "decides": each.name in deciding}
            for each in connections.asked_for(declared, given)
        ],
        "typed": typed_secrets.sealed(provider, secret) if form.posted and secret else "",
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


def rows(now: datetime) -> list[dict[str, Any]]:
    """Every account, with how it is doing."""
    default, work = connections.default(), waiting()
    found = []
    for each in connections.all_connections():
        word, tone = state(each)
        found.append({
            "connection": each,
            "label": registry.label(each.provider),
            "word": word,
            "tone": tone,
            "is_default": default is not None and default.id == each.id,
            "about": ". ".join(about(each, default)),
            "open": connections.open_count(each),
            "this_month": sent_in(each, now),
            "health": health(each, now, work[each.id]),
        })  # fmt: skip
    return found


def about(connection: Connection, default: Connection | None) -> Iterator[str]:
    """What stands below its name: whether new contracts go there, whose it is, whether it is real."""
    if default is not None and default.id == connection.id:
        yield _("New contracts go here")
    yield registry.label(connection.provider)
    if connection.account.get("is_test"):
        yield _("For tests")


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


def health(connection: Connection, now: datetime, work: int) -> dict[str, Any]:
    """Last success, error rate of a day, breaker, what waits, and how news comes."""
    calls, failures = connections.error_rate(connection, now)
    rests = connections.is_open(connection, now)
    return {
        "succeeded_at": connection.succeeded_at,
        "calls": calls,
        "failures": failures,
        "percent": round(100 * failures / calls) if calls else 0,
        "rests": _("Paused after failures until %(at)s", at=format_time(rests)) if rests else "",
        "last_problem": connection.last_problem if connection.failures else "",
        "waiting": work,
        "news": news(connection, now),
        "is_heard": polling.is_heard(connection, now),
    }


def waiting() -> Counter[str]:
    """How much work waits for each account: what is to be sent, asked or fetched there."""
    jobs = Job.select(Job.payload).where(Job.status.in_(("ready", "running")) & Job.kind.in_(WAITING_KINDS))
    asked = Counter(str(job.payload.get("envelope")) for job in jobs.limit(MOST_COUNTED))
    found: Counter[str] = Counter()
    for some in batched(asked, 500):
        envelopes = Envelope.select(Envelope.id, Envelope.connection).where(
            Envelope.id.in_(some) & Envelope.connection.is_null(False)
        )
        for envelope_id, connection_id in envelopes.tuples():
            found[connection_id] += asked[envelope_id]
    return found


def batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    every = list(names)
    for start in range(0, len(every), size):
        yield every[start : start + size]


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
    """Signing requests sent in each of the last twelve months (UTC), for the bill; none before the first."""
    begins = [now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    while len(begins) < 12:
        begins.append((begins[-1] - timedelta(days=1)).replace(day=1))
    ends = [now + timedelta(days=1), *begins[:-1]]
    sums = [
        peewee.fn.SUM(peewee.Case(None, [((Envelope.sent_at >= begin) & (Envelope.sent_at < end), 1)], 0))
        for begin, end in zip(begins, ends, strict=True)
    ]
    mine = (Envelope.connection == connection) & (Envelope.sent_at >= begins[-1])
    [counts] = Envelope.select(*sums).where(mine).tuples()
    found = [(begin, int(count or 0)) for begin, count in zip(begins, counts, strict=True)]
    while len(found) > 1 and not found[-1][1]:
        found.pop()
    return [(format_month(begin), count) for begin, count in found]


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
        "open": connections.open_count(connection),
        "health": health(connection, now, waiting()[connection.id]),
        "calls": calls_of(connection),
        "is_unused": connections.is_unused(connection),
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


def calls_of(connection: Connection) -> dict[str, Any]:
    """Whether the provider may be asked to call us, is just being asked, and why that failed."""
    can = registry.capabilities(connection.provider).webhooks and account_checks.can_be_called(connection)
    return {
        "may_be_asked": can and connection.status != "draft",
        "is_asked": account_checks.is_asking_for_calls(connection),
        "problem": account_checks.calls_problem(connection),
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
        message, params = (line["error"]["message"], line["error"]["params"]) if line["error"] else ("", {})
        name = line["step"]
        # Of what went right, only names are worth reading: the rest is told on a terminal, in English.
        detail = line["detail"] if name in (rehearsal.CONNECT, rehearsal.SEND) else ""
        step, why = _(name), _(message, **params) if message else detail
        found.append({"step": step[:1].upper() + step[1:], "word": word, "tone": tone, "why": why})
    return found
