"""What somebody finds under their mail address: what they are asked, what they signed, their copies.

Nothing else of a contract is shown here. The address is proved by a mailed link, which does not
say whether anything is kept under it, or by an account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import peewee

from portal.errors import Conflict, NotFound
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope, Recipient
from portal.models.negotiation import Negotiator
from portal.models.parties import Counterparty, LegalEntity
from portal.services import ceremonies, limits, links, notices, person_tokens
from portal.services.audit import Actor

HOUR = timedelta(hours=1)
CAPS = (limits.Cap(3, HOUR, limits.SUBJECT), limits.Cap(30, HOUR, limits.SOURCE))
MOST_ROWS = 200


@dataclass(frozen=True)
class Mine:
    """Rows of recipients, each with its envelope, contract and company, newest first."""

    asked: list[Recipient]
    answered: list[Recipient]
    copies: list[Recipient]


def send_link(email: str, language: str, *, source: str, now: datetime) -> None:
    """Mail a link to `/mine` where the address is known here; nobody learns whether it was.

    Raises TooMany.
    """
    limits.check("mine.link", email, source, now, CAPS)
    known = Recipient.select().where(Recipient.email == email).exists() or is_invited(email)
    if not known:
        return
    with transaction():
        token = person_tokens.issue(person_tokens.ACCESS, email=email, person=None, now=now)
        notices.queue(
            "access", address=email, language=language, now=now,
            context={"link": notices.url(f"/mine/{token}"), "minutes": 30},
        )  # fmt: skip


def is_invited(email: str) -> bool:
    """Whether a contract is negotiated with this address."""
    live = (Negotiator.email == email) & Negotiator.ended_at.is_null()
    return bool(Negotiator.select().where(live).exists())


def of(email: str) -> Mine:
    """Everything under this address."""
    rows = list(
        Recipient.select(
            Recipient, Envelope.id, Envelope.status, Envelope.expires_at, Envelope.ended_at,
            Envelope.executed, Envelope.seal_status,
            Contract.id, Contract.reference, Contract.title, Contract.side, Contract.has_phi,
            LegalEntity.id, LegalEntity.name, LegalEntity.zone,
            Counterparty.id, Counterparty.name, Counterparty.zone,
        )
        .join(Envelope)
        .join(Contract)
        .join(LegalEntity)
        .switch(Contract)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where((Recipient.email == email) & (Envelope.status != "queued"))
        .order_by(Recipient.id.desc())
        .limit(MOST_ROWS)
    )  # fmt: skip
    answered = ("signed", "approved", "declined")
    return Mine(
        asked=[r for r in rows if is_asked(r)],
        answered=[r for r in rows if r.status in answered],
        copies=[r for r in rows if has_copy(r)],
    )


def is_asked(recipient: Recipient) -> bool:
    return recipient.envelope.status == "sent" and recipient.status in ("sent", "opened")


def has_copy(recipient: Recipient) -> bool:
    """Whether a finished file is there for this person."""
    envelope = recipient.envelope
    return envelope.status == "completed" and envelope.seal_status in ("incomplete", "sealed")


def open_place(recipient_id: str, email: str, session_sha256: str, *, by: Actor, now: datetime) -> None:
    """Give this session the right to a recipient's pages, as a mailed link would.

    Raises NotFound for anybody else's, Conflict where there is nothing to open.
    """
    recipient = (
        Recipient.select()
        .join(Envelope)
        .where((Recipient.id == recipient_id) & (Recipient.email == email))
        .first()
    )
    if recipient is None:
        raise NotFound()
    if not is_asked(recipient) and not has_copy(recipient):
        raise Conflict(_("There is nothing to open here now."))
    purpose = links.SIGN if is_asked(recipient) else links.COPY
    who = Actor("recipient", recipient.id, recipient.name, recipient.email, by.address, by.user_agent)
    with transaction():
        ceremonies.grant(recipient, session_sha256, purpose, by=who, now=now)
        ceremonies.note_opened(recipient, by=who, now=now)


def executed(recipient: Recipient) -> Document:
    """The finished file of this person's envelope. Raises NotFound before there is one."""
    document: Document | None = recipient.envelope.executed
    if document is None or recipient.envelope.status != "completed":
        raise NotFound()
    return document
