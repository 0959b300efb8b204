"""“Is this message real?”, asked by anybody who has one: a reference and the address it came to.

Yes only to the address of somebody who was asked, while the request is open or not long after it was
signed. Everything else is the same no after the same work: what follows from a question (the trail,
word to the owner) is done by a job that is queued for every question alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.models.audit import AuditEvent
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope, Recipient
from portal.models.parties import LegalEntity
from portal.models.people import Person
from portal.services import audit, installation, invitation_codes, jobs, limits, routing, signing_mails
from portal.services.audit import SYSTEM
from portal.services.envelopes import ASKED

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SIGNED_LATELY = timedelta(days=30)
SCOPE = "is_this_real"
CAPS = (
    limits.Cap(20, DAY, limits.SUBJECT),
    limits.Cap(20, HOUR, limits.SOURCE),
    limits.Cap(600, HOUR, limits.ALL),
)


@dataclass(frozen=True)
class Yes:
    """The request is real, and asks the person under this address: what the mail says of it, no more."""

    company: LegalEntity
    sender: Person
    since: datetime
    zone: str


def ask(reference: str, email: str, *, source: str, now: datetime) -> Yes | None:
    """Whether a message about this contract to this address is real; None for every kind of no.

    Raises TooMany. Call it outside a transaction.
    """
    reference, email = invitation_codes.plain_reference(reference), email.strip().lower()
    limits.check(SCOPE, invitation_codes.subject(reference), source, now, CAPS)
    asked = recipient_of(reference, email, now)
    asked_again = invitation_codes.digest(f"enquiry:{reference}", f"{email}:{now:%Y-%m-%d}")
    with transaction():
        jobs.add(
            "note_enquiry", {"question": installation.current().box.seal(f"{reference}\n{email}")},
            key=f"enquiry:{asked_again[:32]}", now=now, max_attempts=3,
        )  # fmt: skip
    since = (asked.asked_at or asked.acted_at) if asked is not None else None
    if asked is None or since is None:
        return None
    contract = asked.envelope.contract
    return Yes(contract.entity, asked.envelope.sender, since, signing_mails.zone_of(asked, contract))


def recipient_of(reference: str, email: str, now: datetime) -> Recipient | None:
    """Who was asked under this address, in a request that is open or was signed lately."""
    is_open = (Envelope.status == "sent") & (Envelope.expires_at > now) & Recipient.status.in_(ASKED)
    is_signed = Envelope.status.in_(("sent", "completed")) & Recipient.status.in_(routing.DONE)
    found: Recipient | None = (
        Recipient.select(Recipient, Envelope)
        .join(Envelope)
        .join(Contract)
        .where(
            (Contract.reference == reference)
            & (Recipient.email == email)
            & (is_open | (is_signed & (Recipient.acted_at > now - SIGNED_LATELY)))
        )
        .order_by(Recipient.id.desc())
        .first()
    )
    return found


# --- What follows from a question --------------------------------------------------------------------


@jobs.handler("note_enquiry")
def note(payload: dict[str, Any], context: jobs.Context) -> None:
    """Write a question about a contract of ours into its history, and tell the owner of a no.

    Of each contract at most one yes and one no a day; nothing for a reference that nobody waits at.
    """
    reference, _end, email = installation.current().box.open(payload["question"]).partition("\n")
    now = context.clock()
    with transaction():
        context.hold()
        asked = recipient_of(reference, email, now)
        envelope = asked.envelope if asked is not None else open_request(reference)
        if envelope is None:
            return
        act = "enquiry.confirmed" if asked is not None else "enquiry.doubted"
        if lately(envelope.contract, act, now):
            return
        known = domain_of_theirs(envelope, email)
        audit.append(
            act, ("envelope", envelope.id), chain=envelope.contract.id, by=SYSTEM, now=now,
            facts={"address_at_theirs": bool(known)},
        )  # fmt: skip
        if asked is None:
            signing_mails.tell_doubted(envelope, known, now)


def open_request(reference: str) -> Envelope | None:
    found: Envelope | None = (
        Envelope.select()
        .join(Contract)
        .where((Contract.reference == reference) & (Envelope.status == "sent"))
        .first()
    )
    return found


def lately(contract: Contract, act: str, now: datetime) -> bool:
    """Whether the history says the same of the last day."""
    same = (AuditEvent.chain == contract.id) & (AuditEvent.act == act) & (AuditEvent.at > now - DAY)
    return bool(AuditEvent.select(AuditEvent.number).where(same).exists())


def domain_of_theirs(envelope: Envelope, email: str) -> str:
    """The domain of somebody asked here, where the address is of the same one; nothing that was typed."""
    domain = email.rpartition("@")[2]
    rows = Recipient.select(Recipient.email).where(Recipient.envelope == envelope)
    return next((domain for row in rows if row.email.rpartition("@")[2] == domain), "")
