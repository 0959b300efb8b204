"""Accounts at e-signature providers: connected, checked, made default, paused, disconnected.

Secrets, tokens and the webhook subscription lie encrypted in the row, bound to its id; whoever opens
them hides them from the log first. What is in flight stays with its account, whatever becomes the default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from portal import scrub
from portal.clock import utc_now
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import format_date
from portal.i18n import gettext as _
from portal.models.base import is_sqlite, lock_row, transaction
from portal.models.connections import Connection, ConnectionHour
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope
from portal.models.imports import ImportedEnvelope
from portal.services import audit, installation, jobs, regions
from portal.services.audit import INSTALLATION, Actor
from providers import interface, registry
from providers.interface import Provider, Setting, Subscription, Tokens

DEFAULT = "default_connection"  # the installation fact
OPEN = ("queued", "sent")
MOST_NAME, MOST_TYPED = 80, 10_000  # characters
NO_SECRETS = ("id", "expires_at")  # of a subscription and of tokens: what logs may say
BREAKER_AFTER = 5  # failures in a row
BREAKER_FIRST, BREAKER_LONGEST = timedelta(minutes=2), timedelta(minutes=30)


# --- Reading ----------------------------------------------------------------------------------


def get(connection_id: str) -> Connection:
    """Raises NotFound."""
    found: Connection | None = Connection.get_or_none(Connection.id == connection_id)
    if found is None:
        raise NotFound
    return found


def all_connections(*, ended: bool = False) -> list[Connection]:
    """Oldest first; without those that were disconnected, unless asked for."""
    query: Any = Connection.select()
    if not ended:
        query = query.where(Connection.status != "disconnected")
    return list(query.order_by(Connection.created_at, Connection.id))


def usable() -> list[Connection]:
    """Those that something new may be sent through."""
    return [each for each in all_connections() if each.status == "active"]


def default() -> Connection | None:
    """The account new contracts go through; None for built-in signing."""
    chosen = installation.fact(DEFAULT)
    found: Connection | None = Connection.get_or_none(Connection.id == chosen) if chosen else None
    return found if found is not None and found.status == "active" else None


def open_envelopes(connection: Connection) -> list[Envelope]:
    """What is under way there, oldest first."""
    query = Envelope.select().where((Envelope.connection == connection) & Envelope.status.in_(OPEN))
    return list(query.order_by(Envelope.id))


def open_count(connection: Connection) -> int:
    """How many signing requests are under way there."""
    return int(
        Envelope.select().where((Envelope.connection == connection) & Envelope.status.in_(OPEN)).count()
    )


def hold(connection: Connection) -> None:
    """Keep the account in use until the transaction ends, so that it is not disconnected under something
    new. Raises Conflict when it is in use no more."""
    query: Any = Connection.select(Connection.status).where(Connection.id == connection.id)
    found = (query if is_sqlite() else query.for_update("FOR SHARE")).first()
    if found is None or found.status != "active":
        raise Conflict(
            _("%(name)s is not in use any more. Choose another way to sign.", name=connection.name)
        )


def usable_for(contract: Contract, connection: Connection) -> list[str]:
    """Why this contract cannot go through the account now; empty when it can."""
    reasons = []
    if connection.status == "paused":
        reasons.append(_("%(name)s is paused.", name=connection.name))
    elif connection.status != "active":
        reasons.append(_("%(name)s is not connected.", name=connection.name))
    today = utc_now().date()
    if contract.has_phi and not has_agreement(connection, today):
        reasons.append(why_no_agreement(connection, today))
    where = regions.stops(contract.entity, connection) if contract.entity_id else ""  # type: ignore[attr-defined]
    return [*reasons, where] if where else reasons


def why_no_agreement(connection: Connection, today: date) -> str:
    ended = connection.baa_expires_on
    if connection.baa_document and ended is not None and ended < today:
        return _(
            "It holds health data, and the agreement for health data (BAA) with %(name)s ended on %(on)s.",
            name=connection.name, on=format_date(ended),
        )  # fmt: skip
    return _(
        "It holds health data, and no agreement for health data (BAA) with %(name)s is on file.",
        name=connection.name,
    )


def has_agreement(connection: Connection, today: date) -> bool:
    """Whether a business associate agreement is on file and in force."""
    signed, expires = connection.baa_signed_on, connection.baa_expires_on
    return bool(
        connection.baa_document and signed and signed <= today and (expires is None or today <= expires)
    )


def agreement_words(connection: Connection, today: date) -> str:
    """How the agreement for health data stands, for people."""
    if not connection.baa_document:
        return _("None on file: contracts with health data cannot go through this account.")
    if connection.baa_expires_on and connection.baa_expires_on < today:
        return _("It ended on %(on)s.", on=format_date(connection.baa_expires_on))
    if connection.baa_expires_on:
        return _("In force until %(on)s.", on=format_date(connection.baa_expires_on))
    return _("In force, without an end.")


# --- Handing over to a provider ---------------------------------------------------------------


def of(connection: Connection) -> interface.Connection:
    """The account as providers take it, with its secrets opened and hidden from every log."""
    secrets = opened(connection, connection.secrets)
    given = interface.Connection(
        settings={**connection.settings, **secrets},
        id=connection.id,
        tokens=tokens_of(connection),
        subscription=subscription_of(connection),
        keep=lambda tokens: keep_tokens(connection, tokens),
        reload=lambda: tokens_of(get(connection.id)),
        server=connection.server,
        clock=utc_now,
    )
    return given


def provider(connection: Connection) -> Provider:
    """The provider, ready to be used. Raises NotConfigured."""
    return registry.get(connection.provider, of(connection))


def sealed(connection_id: str, found: Mapping[str, Any]) -> str:
    """An object encrypted for this row alone; empty for an empty one."""
    return installation.current().box.seal(f"{connection_id}:{json.dumps(found)}") if found else ""


def opened(connection: Connection, text: str) -> dict[str, Any]:
    if not text:
        return {}
    whose, _colon, said = installation.current().box.open(text).partition(":")
    if whose != connection.id:
        raise Conflict(_("The secrets of this account are damaged. Connect it again."))
    found: dict[str, Any] = json.loads(said)
    scrub.hide([value for name, value in found.items() if isinstance(value, str) and name not in NO_SECRETS])
    return found


def tokens_of(connection: Connection) -> Tokens | None:
    found = opened(connection, connection.tokens)
    if not found:
        return None
    ends = found.get("expires_at")
    return Tokens(
        found["access"], datetime.fromisoformat(ends) if ends else None, found["refresh"], found["facts"]
    )


def keep_tokens(connection: Connection, tokens: Tokens | None) -> None:
    """Store fresh tokens for everybody; hidden from the log from now on."""
    found: dict[str, Any] = {}
    if tokens is not None:
        scrub.hide([tokens.access, tokens.refresh])
        found = {**asdict(tokens), "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None}
    connection.tokens = sealed(connection.id, found)
    Connection.update(tokens=connection.tokens).where(Connection.id == connection.id).execute()


def subscription_of(connection: Connection) -> Subscription | None:
    found = opened(connection, connection.subscription)
    return Subscription(found["id"], found["secret"], found["facts"]) if found else None


def keep_subscription(connection: Connection, subscription: Subscription | None) -> None:
    found = asdict(subscription) if subscription is not None else {}
    scrub.hide([found["secret"]] if found else [])
    connection.subscription = sealed(connection.id, found)
    Connection.update(subscription=connection.subscription).where(Connection.id == connection.id).execute()


def webhook_address(connection: Connection) -> str:
    """Where the provider's webhook calls go."""
    return f"{installation.address()}/webhooks/{connection.id}"


def redirect_address() -> str:
    """Where providers send an administrator back to after they pressed Allow."""
    return f"{installation.address()}/settings/providers/oauth"


# --- Connecting and changing ------------------------------------------------------------------


def create(
    provider_name: str, name: str, values: Mapping[str, str], *, by: Actor, now: datetime, server: str = ""
) -> Connection:
    """Keep an account, as a draft until it was checked. Raises Invalid by setting.

    `server`, a simulator's origin, is for sample data and tests; no page sets it.
    """
    declared = declared_for(provider_name)
    check_values(declared, values, name, kept={})
    with transaction():
        made: Connection = Connection.create(
            provider=provider_name, name=name.strip()[:MOST_NAME], settings=plain(declared, values),
            server=server, created_at=now, created_by=by.id,
        )  # fmt: skip
        made.secrets = sealed(made.id, secret(declared, values))
        Connection.update(secrets=made.secrets).where(Connection.id == made.id).execute()
        note("connection.created", made, by, now)
    return made


def change(connection: Connection, name: str, values: Mapping[str, str], *, by: Actor, now: datetime) -> None:
    """Keep other settings; an empty secret keeps the present one. Raises Invalid by setting."""
    declared = declared_for(connection.provider)
    demand_connected(connection)
    kept = opened(connection, connection.secrets)
    check_values(declared, values, name, kept)
    # Secrets of a method that was left are forgotten with it.
    asked = {each.name for each in asked_for(declared, values)}
    secrets = {each: text for each, text in {**kept, **secret(declared, values)}.items() if each in asked}
    settings = plain(declared, values)
    still_here = (Connection.id == connection.id) & (Connection.status != "disconnected")
    with transaction():
        is_other = settings != connection.settings or secrets != kept
        changed = Connection.update(
            name=name.strip()[:MOST_NAME], settings=settings, secrets=sealed(connection.id, secrets),
            **({"tokens": "", "checked_at": None, "check_problem": ""} if is_other else {}),
        ).where(still_here).execute()  # fmt: skip
        if changed != 1:
            demand_connected(get(connection.id))
        note(
            "connection.changed", connection, by, now,
            secrets_replaced=sorted(secret(declared, values)),
        )  # fmt: skip


def demand_connected(connection: Connection) -> None:
    """Raises Conflict for an account that was disconnected: its secrets are gone for good."""
    if connection.status == "disconnected":
        raise Conflict(_("This account is disconnected. Connect it again as a new one."))


def authorised(connection: Connection, tokens: Tokens, *, by: Actor, now: datetime) -> None:
    """Somebody let us in on the provider's own page: keep what it gave. Raises Conflict."""
    with transaction():
        fresh = lock_row(Connection.select().where(Connection.id == connection.id)).get()
        demand_connected(fresh)
        keep_tokens(fresh, tokens)
        note("connection.authorised", fresh, by, now)


def declared_for(provider_name: str) -> tuple[Setting, ...]:
    if provider_name not in registry.remote_names():
        raise NotFound
    return registry.settings(provider_name)


def asked_for(declared: tuple[Setting, ...], values: Mapping[str, str]) -> list[Setting]:
    """The settings that count for these values: `when` conditions hold."""
    given = {each.name: values.get(each.name) or each.default for each in declared}
    return [each for each in declared if each.when is None or given.get(each.when[0]) == each.when[1]]


def check_values(
    declared: tuple[Setting, ...], values: Mapping[str, str], name: str, kept: Mapping[str, str]
) -> None:
    errors = {}
    if not name.strip():
        errors["name"] = _("Fill this in.")
    for each in asked_for(declared, values):
        value = values.get(each.name, "").strip()
        if each.kind == "choice" and value and value not in dict(each.choices):
            errors[each.name] = _("Choose one of the answers offered.")
        if each.required and not value and not each.default and not kept.get(each.name):
            errors[each.name] = _("Fill this in.")
        if len(value) > MOST_TYPED:
            errors[each.name] = _("This is too long.")
        if each.kind == "pem" and value and "-----BEGIN" not in value:
            errors[each.name] = _("Paste the whole key, from BEGIN to END.")
    if errors:
        raise Invalid(errors)


def plain(declared: tuple[Setting, ...], values: Mapping[str, str]) -> dict[str, str]:
    return {
        each.name: values.get(each.name, "").strip() or each.default
        for each in asked_for(declared, values)
        if not each.is_secret
    }


def secret(declared: tuple[Setting, ...], values: Mapping[str, str]) -> dict[str, str]:
    return {
        each.name: values[each.name].strip()
        for each in asked_for(declared, values)
        if each.is_secret and values.get(each.name, "").strip()
    }


# --- States -----------------------------------------------------------------------------------


def checked(connection: Connection, account: interface.Account, *, by: Actor, now: datetime) -> None:
    """It let us in: whose account it is, and a draft becomes active. A simulator is for tests, always."""
    is_test = account.is_test or bool(connection.server)
    with transaction():
        Connection.update(
            account=asdict(account) | {"facts": dict(account.facts), "is_test": is_test},
            checked_at=now, check_problem="",
            status="active" if connection.status == "draft" else connection.status,
        ).where(Connection.id == connection.id).execute()  # fmt: skip
        note("connection.checked", connection, by, now, account=account.id, is_test=is_test)


def make_default(connection: Connection | None, *, by: Actor, now: datetime) -> None:
    """New contracts go through this account; None for built-in signing. The page asks for step-up."""
    with transaction():
        if connection is not None:
            fresh = lock_row(Connection.select().where(Connection.id == connection.id)).get()
            demand_connected(fresh)
            if fresh.status != "active":
                raise Conflict(_("Check the account first; then it can be used."))
        before = installation.fact(DEFAULT)
        installation.set_fact(DEFAULT, connection.id if connection else "", now)
        audit.append(
            "connection.made_default", ("connection", connection.id if connection else "builtin"),
            chain=INSTALLATION, by=by, now=now,
            facts={
                "provider": connection.provider if connection else "builtin", "before": before or "builtin",
            },
        )  # fmt: skip


def pause(connection: Connection, *, by: Actor, now: datetime) -> None:
    """Nothing new goes through it; what is under way goes on."""
    with transaction():
        become(connection, "paused", ("active",))
        note("connection.paused", connection, by, now)


def resume(connection: Connection, *, by: Actor, now: datetime) -> None:
    with transaction():
        become(connection, "active", ("paused",))
        note("connection.resumed", connection, by, now)


def disconnect(connection: Connection, *, by: Actor, now: datetime) -> None:
    """Forget the account's secrets; its history stays. Raises Conflict while something is open there.

    Its webhooks are ended by a job that is given the secrets for that one call.
    """
    with transaction():
        # First the row: whoever sends through it meanwhile holds it, and is seen by the count.
        lock_row(Connection.select().where(Connection.id == connection.id)).get()
        n = open_count(connection)
        if n:
            raise Conflict(
                _(
                    "Signing requests are still open there: %(count)s. Wait for them, or move them first.",
                    count=n,
                )
            )
        become(connection, "disconnected", ("draft", "active", "paused"), ended_at=now)
        if installation.fact(DEFAULT) == connection.id:
            make_default(None, by=by, now=now)
        if connection.subscription:
            jobs.add(
                "end_webhooks", {"connection": connection.id}, key=f"end_webhooks:{connection.id}", now=now
            )
        else:
            forget_secrets(connection)
        note("connection.disconnected", connection, by, now)


def is_unused(connection: Connection) -> bool:
    """Whether nothing was ever sent through it or brought over from it, so that it can go without a trace."""
    sent = Envelope.select().where(Envelope.connection == connection)
    brought = ImportedEnvelope.select().where(ImportedEnvelope.connection == connection)
    return not sent.exists() and not brought.exists()


def remove(connection: Connection, *, by: Actor, now: datetime) -> None:
    """Take a disconnected account off the list. Raises Conflict where what was signed still names it."""
    with transaction():
        fresh = lock_row(Connection.select().where(Connection.id == connection.id)).get()
        if fresh.status != "disconnected":
            raise Conflict(_("Disconnect the account first."))
        if fresh.secrets:
            raise Conflict(_("Its calls are still being ended at the provider. Try again in a minute."))
        if not is_unused(fresh):
            raise Conflict(_("Something was signed through this account, so it stays on the list."))
        note("connection.removed", fresh, by, now)
        fresh.delete_instance()


def forget_secrets(connection: Connection) -> None:
    Connection.update(secrets="", tokens="", subscription="").where(Connection.id == connection.id).execute()


def become(connection: Connection, status: str, allowed: tuple[str, ...], **values: Any) -> None:
    moved = (
        Connection.update(status=status, **values)
        .where((Connection.id == connection.id) & Connection.status.in_(allowed))
        .execute()
    )
    if moved != 1:
        raise Conflict(_("Somebody changed this account meanwhile. Look at it again."))
    connection.status = status


def note(act: str, connection: Connection, by: Actor, now: datetime, **facts: Any) -> None:
    audit.append(
        act, ("connection", connection.id), chain=INSTALLATION, by=by, now=now,
        facts={"provider": connection.provider, **facts},
    )  # fmt: skip


# --- Health -----------------------------------------------------------------------------------


def is_open(connection: Connection, now: datetime) -> datetime | None:
    """Until when nothing is asked of the provider, after failures in a row; None when it may be."""
    until: datetime | None = get(connection.id).open_until
    return until if until is not None and until > now else None


def record_success(connection: Connection, now: datetime) -> None:
    """A call was answered: the breaker closes."""
    with transaction():
        count(connection, now, failed=False)
        Connection.update(succeeded_at=now, failures=0, open_until=None).where(
            Connection.id == connection.id
        ).execute()


def record_failure(connection: Connection, reason: str, now: datetime) -> None:
    """A call got no useful answer; after five in a row nothing is asked for a while, ever longer."""
    with transaction():
        count(connection, now, failed=True)
        Connection.update(
            failed_at=now, last_problem=scrub.text(reason)[:300], failures=Connection.failures + 1
        ).where(Connection.id == connection.id).execute()
        over = get(connection.id).failures - BREAKER_AFTER
        if over >= 0:
            rest = min(BREAKER_LONGEST, BREAKER_FIRST * 2 ** min(over, 10))
            Connection.update(open_until=now + rest).where(Connection.id == connection.id).execute()


def count(connection: Connection, now: datetime, *, failed: bool) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    ConnectionHour.insert(
        connection=connection, hour_at=hour, calls=1, failures=int(failed)
    ).on_conflict(
        conflict_target=[ConnectionHour.connection, ConnectionHour.hour_at],
        update={
            ConnectionHour.calls: ConnectionHour.calls + 1,
            ConnectionHour.failures: ConnectionHour.failures + int(failed),
        },
    ).execute()  # fmt: skip


def error_rate(connection: Connection, now: datetime) -> tuple[int, int]:
    """(calls, failures) of the last 24 hours."""
    rows = ConnectionHour.select().where(
        (ConnectionHour.connection == connection) & (ConnectionHour.hour_at > now - timedelta(hours=24))
    )
    found = list(rows)
    return sum(row.calls for row in found), sum(row.failures for row in found)
