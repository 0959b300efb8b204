"""What signNow's words mean. A document there has no status of its own: it follows from its invites."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from providers.base import instant
from providers.interface import EnvelopeState, EnvelopeStatus, RecipientState, RecipientStatus, RemoteEnvelope
from providers.signnow.declared import LABEL

log = logging.getLogger(__name__)

# field_invites[].status. The documents name created, pending, fulfilled and skipped; the others are
# what the vendor's own client groups with them.
WORDS = {
    "created": RecipientStatus.WAITING,
    "new": RecipientStatus.WAITING,
    "waiting": RecipientStatus.WAITING,
    "skipped": RecipientStatus.WAITING,
    "pending": RecipientStatus.SENT,
    "sent": RecipientStatus.SENT,
    "fulfilled": RecipientStatus.SIGNED,
    "signed": RecipientStatus.SIGNED,
    "completed": RecipientStatus.SIGNED,
    "done": RecipientStatus.SIGNED,
    "declined": RecipientStatus.DECLINED,
    "rejected": RecipientStatus.DECLINED,
    "canceled": RecipientStatus.WAITING,
    "cancelled": RecipientStatus.WAITING,
    "expired": RecipientStatus.SENT,
}
NEEDS_NO_MORE = ("skipped",)
CANCELLED = ("canceled", "cancelled")


@dataclass(frozen=True)
class Invite:
    """One person's invitation to sign, by fields or free form."""

    id: str
    role_id: str
    role: str
    email: str
    word: str
    at: datetime | None = None
    ends_at: datetime | None = None
    reason: str = ""
    name: str = ""
    is_embedded: bool = False
    is_checked: bool = False

    @property
    def status(self) -> RecipientStatus:
        return WORDS.get(self.word, RecipientStatus.UNKNOWN)

    @property
    def is_done(self) -> bool:
        return self.status is RecipientStatus.SIGNED or self.word in NEEDS_NO_MORE

    @property
    def is_open(self) -> bool:
        return self.status in (RecipientStatus.WAITING, RecipientStatus.SENT) and not self.is_done


def listed(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list that may be missing or null."""
    return [each for each in found.get(key) or [] if isinstance(each, dict)]


def invites_of(document: Mapping[str, Any]) -> list[Invite]:
    """Its invitations, by fields or, where there are none, free form."""
    return [field_invite(each) for each in listed(document, "field_invites")] or [
        free_form(each) for each in listed(document, "requests")
    ]


def field_invite(said: Mapping[str, Any]) -> Invite:
    declined = listed(said, "declined")
    ends = str(said.get("expiration_time") or "0")
    return Invite(
        id=str(said.get("id", "")),
        role_id=str(said.get("role_id") or ""),
        role=str(said.get("role") or ""),
        email=address_of(str(said.get("email") or "")),
        word="declined" if declined else str(said.get("status", "")),
        at=instant(said.get("updated")),
        ends_at=instant(ends) if ends != "0" else None,
        reason=next((reason_of(each) for each in declined), ""),
        name=str(said.get("prefill_signature_name") or said.get("required_preset_signature_name") or ""),
        is_embedded=bool(said.get("is_embedded")),
        is_checked=str(said.get("password_protected") or "0") not in ("0", "False"),
    )


def free_form(said: Mapping[str, Any]) -> Invite:
    """An invitation without fields: signed once it names a signature."""
    ended = "cancelled" if said.get("canceled") else "fulfilled" if said.get("signature_id") else "pending"
    return Invite(
        id=str(said.get("id", "")),
        role_id="",
        role="",
        email=address_of(str(said.get("signer_email") or "")),
        word=ended,
        at=instant(said.get("created")),
    )


def address_of(said: str) -> str:
    """The bare address: with embedded people the application's name follows it in parentheses."""
    return said.partition("(")[0].strip().lower()


def reason_of(said: Mapping[str, Any]) -> str:
    """Why somebody declined; the name of the field is not documented."""
    return next(
        (str(said[name]) for name in ("reason", "decline_reason", "message", "comment") if said.get(name)), ""
    )


def status_of(invites: Iterable[Invite], now: datetime) -> EnvelopeStatus:
    """The document's status, from invitations that are there."""
    everyone = list(invites)
    unknown = [each.word for each in everyone if each.status is RecipientStatus.UNKNOWN]
    if unknown:
        log.warning("provider.unknown_word", extra={"fields": {"provider": LABEL, "words": unknown}})
    if any(each.status is RecipientStatus.DECLINED for each in everyone):
        return EnvelopeStatus.DECLINED
    if unknown:
        return EnvelopeStatus.UNKNOWN
    if any(each.word in CANCELLED for each in everyone):
        return EnvelopeStatus.VOIDED
    if all(each.is_done for each in everyone):
        return EnvelopeStatus.COMPLETED
    late = [each for each in everyone if each.is_open and each.ends_at and each.ends_at <= now]
    if late or any(each.word == "expired" for each in everyone):
        return EnvelopeStatus.EXPIRED
    return EnvelopeStatus.SENT


def is_withdrawn(document: Mapping[str, Any]) -> bool:
    """Whether a document without invitations had some: its fields say that they were cancelled."""
    return any(each.get("field_request_canceled") for each in listed(document, "fields"))


def state_of(
    document: Mapping[str, Any],
    keys: Mapping[str, str],
    now: datetime,
    *,
    was_sent: bool = False,
    raw: bytes = b"",
) -> EnvelopeState:
    """How it stands. `keys`: role id or address to our key; people not in it are left out.

    signNow forgets invitations that are cancelled: one that `was_sent` and has none is withdrawn.
    """
    invites = invites_of(document)
    remote_id = str(document.get("id", ""))
    if not invites:
        gone = was_sent or is_withdrawn(document)
        status = EnvelopeStatus.VOIDED if gone else EnvelopeStatus.DRAFT
        return EnvelopeState(remote_id, status, raw=raw, raw_status="no invite")
    status = status_of(invites, now)
    people = tuple(
        RecipientState(
            key, each.status, each.at if not each.is_open else None, each.reason, each.role_id, each.word
        )
        for each in invites
        if (key := keys.get(each.role_id) or keys.get(each.email))
    )
    return EnvelopeState(
        remote_id,
        status,
        people,
        reason=next((each.reason for each in invites if each.reason), ""),
        raw=raw,
        raw_status=", ".join(each.word for each in invites),
        at=max((each.at for each in invites if each.at), default=None) if status.is_final else None,
    )


def keys_of(envelope: RemoteEnvelope) -> dict[str, str]:
    """Role ids, else addresses that only one signer has, to our keys."""
    signers = [each for each in envelope.recipients if each.role == "signer"]
    emails = [each.email.lower() for each in signers]
    found = {each.remote_id: each.key for each in signers if each.remote_id}
    found |= {
        each.email.lower(): each.key
        for each in signers
        if not each.remote_id and emails.count(each.email.lower()) == 1
    }
    return found
