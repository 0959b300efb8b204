"""Everything held about one person: rows that hold their mail address, and rows that hang on those.

Secrets are left out (passwords, seeds, fingerprints of tokens), and so is what others said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import peewee

from portal.models import schema
from portal.models.audit import AuditDetail, AuditEvent
from portal.models.contracts import Contract
from portal.models.envelopes import Recipient
from portal.models.negotiation import Negotiator
from portal.models.notices import Notice
from portal.models.parties import Contact
from portal.models.people import Attempt, Person

ADDRESSES = ("email", "author_email")
HOLDERS: tuple[type[peewee.Model], ...] = (Person, Recipient, Contact, Negotiator)
# Rows that hang on a person and say something about them.
HANGING = {
    "act", "consent", "right", "task", "session", "person_role", "sign_on_link", "signatory",
    "contract_contact", "comment", "proposal", "agreement",
}  # fmt: skip
SECRET = ("password", "secret", "sha256", "hmac", "token", "salt", "hash", "pending")
UNSAID = {"notice": {"text", "html"}, "person": {"totp_last_step"}}
MOST = 5_000

Rows = list[dict[str, Any]]


def gather(email: str) -> dict[str, Rows]:
    """By table, what is held under this address; empty where nothing is."""
    wanted = email.strip().lower()
    found: dict[str, dict[Any, dict[str, Any]]] = {}
    holders: dict[type[peewee.Model], list[Any]] = {}
    for model in schema.tables():
        for column in model._meta.sorted_fields:
            if column.name in ADDRESSES:
                rows = matching(model, peewee.fn.LOWER(column) == wanted)
                keep(found, model, rows)
                if model in HOLDERS:
                    holders.setdefault(model, []).extend(row.get_id() for row in rows)
    keep(found, Notice, matching(Notice, peewee.fn.LOWER(Notice.address) == wanted))
    keep(found, Attempt, matching(Attempt, peewee.fn.LOWER(Attempt.subject) == wanted))
    for model in schema.tables():
        if model._meta.table_name in HANGING:
            for column in model._meta.sorted_fields:
                if isinstance(column, peewee.ForeignKeyField) and column.rel_model in holders:
                    keep(found, model, matching(model, column.in_(holders[column.rel_model])))
    tables = {name: list(rows.values()) for name, rows in sorted(found.items()) if rows}
    lists = {"contract.recipients": entries(wanted), "history": details(wanted)}
    return tables | {name: rows for name, rows in lists.items() if rows}


def matching(model: type[peewee.Model], condition: Any) -> list[Any]:
    return list(model.select().where(condition).limit(MOST))


def keep(found: dict[str, dict[Any, dict[str, Any]]], model: type[peewee.Model], rows: Iterable[Any]) -> None:
    name = model._meta.table_name
    for row in rows:
        found.setdefault(name, {})[str(row.get_id())] = plain(name, row)


def plain(table: str, row: Any) -> dict[str, Any]:
    """The row as text and numbers, without secrets."""
    return {
        column: value if isinstance(value, int | bool | list | dict) else str(value)
        for column, value in row.__data__.items()
        if value not in (None, "")
        and not any(word in column for word in SECRET)
        and not isinstance(value, bytes | memoryview)
        and column not in UNSAID.get(table, set())
    }


def entries(email: str) -> Rows:
    """Where contracts name the person among those who will sign."""
    rows = Contract.select(Contract.reference, Contract.recipients).where(
        peewee.fn.LOWER(Contract.recipients.cast("TEXT")).contains(email)
    )
    return [
        {"contract": row.reference} | {k: v for k, v in each.items() if v}
        for row in rows.limit(MOST)
        for each in row.recipients
        if str(each.get("email", "")).lower() == email
    ]


def details(email: str) -> Rows:
    """What stands about the person beside the history: act, time and the details under their salt."""
    rows = (
        AuditDetail.select(AuditDetail, AuditEvent.act, AuditEvent.at)
        .join(
            AuditEvent,
            on=(AuditEvent.chain == AuditDetail.chain) & (AuditEvent.number == AuditDetail.number),
            attr="event",
        )
        .where(peewee.fn.LOWER(AuditDetail.values.cast("TEXT")).contains(email))
        .order_by(AuditEvent.at)
        .limit(MOST)
    )
    return [
        {"act": row.event.act, "at": str(row.event.at)} | dict(row.values)  # type: ignore[attr-defined]
        for row in rows
        if any(str(value).lower() == email for value in row.values.values())
    ]
