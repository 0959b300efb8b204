"""What PandaDoc's words mean. People there have done their part or not; the rest follows from the order."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from providers.base import instant
from providers.interface import EnvelopeState, EnvelopeStatus, RecipientState, RecipientStatus, RemoteEnvelope
from providers.pandadoc.declared import LABEL

log = logging.getLogger(__name__)

ID = "countersign_id"  # the name our id has in a document's metadata
UPLOADED, DRAFT, ERROR = "document.uploaded", "document.draft", "document.error"
SENT, VIEWED, DECLINED, VOIDED = "document.sent", "document.viewed", "document.declined", "document.voided"
APPROVED, REJECTED = "document.approved", "document.rejected"
# An approver or a reviewer inside the workspace comes first, or a time set there.
HELD = ("document.waiting_approval", "document.external_review", "document.scheduled")

STATUS = {
    UPLOADED: EnvelopeStatus.DRAFT,
    DRAFT: EnvelopeStatus.DRAFT,
    APPROVED: EnvelopeStatus.DRAFT,
    **dict.fromkeys(HELD, EnvelopeStatus.DRAFT),
    SENT: EnvelopeStatus.SENT,
    VIEWED: EnvelopeStatus.SENT,
    "document.completed": EnvelopeStatus.COMPLETED,
    "document.waiting_pay": EnvelopeStatus.COMPLETED,  # signed by everybody; the payment is open
    "document.paid": EnvelopeStatus.COMPLETED,
    DECLINED: EnvelopeStatus.DECLINED,
    VOIDED: EnvelopeStatus.VOIDED,  # or expired: the word is the same
    "document.cancelled": EnvelopeStatus.VOIDED,  # named by the webhook pages alone
    REJECTED: EnvelopeStatus.FAILED,
    ERROR: EnvelopeStatus.FAILED,
}
# Codes of the audit trail.
RAN_OUT, ENDED_BY_HAND, DECLINED_BY_HAND, DECLINED_BY = 13, 19, 27, 43
SLACK = timedelta(hours=26)  # an end in whole days lies at most a day before the one asked for


def listed(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list that may be missing or null."""
    value = found.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def metadata_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get("metadata")
    return found if isinstance(found, dict) else {}


def status_of(word: str) -> EnvelopeStatus:
    status = STATUS.get(word, EnvelopeStatus.UNKNOWN)
    if status is EnvelopeStatus.UNKNOWN:
        log.warning("provider.unknown_word", extra={"fields": {"provider": LABEL, "words": [word]}})
    return status


def is_copy(person: Mapping[str, Any]) -> bool:
    return str(person.get("recipient_type", "")).lower() == "cc"


def role_of(person: Mapping[str, Any]) -> str:
    """Our key, which each signer was given as a role."""
    roles = person.get("roles")
    first = roles[0] if isinstance(roles, list) and roles else ""
    return str(person.get("role") or first or "")


def key_of(person: Mapping[str, Any], envelope: RemoteEnvelope | None) -> str:
    """By the id there, else by role, else by address and place in the order; empty for a stranger."""
    if envelope is None:
        return role_of(person)
    same = [each for each in envelope.recipients if (each.role == "copy") is is_copy(person)]
    for each in same:
        if each.remote_id and each.remote_id == person.get("id"):
            return each.key
    for each in same:
        if not is_copy(person) and each.key == role_of(person):
            return each.key
    email = str(person.get("email") or "").lower()
    found = [each for each in same if each.email.lower() == email]
    if len(found) > 1:
        found = [each for each in found if each.routing_order == person.get("signing_order")]
    return found[0].key if found else ""


def state_of(
    document: Mapping[str, Any],
    envelope: RemoteEnvelope | None = None,
    trail: Iterable[Mapping[str, Any]] = (),
) -> EnvelopeState:
    """How it stands. `trail` tells how a document ended that was declined or voided."""
    word = str(document.get("status") or "")
    status = status_of(word)
    last = ending(trail) if word in (DECLINED, VOIDED) else {}
    if word == VOIDED and has_run_out(document, envelope, last):
        status = EnvelopeStatus.EXPIRED
    return EnvelopeState(
        str(document.get("id") or (envelope.remote_id if envelope else "")),
        status,
        tuple(people(document, envelope, status, last)),
        reason=str(last.get("reason") or ""),
        raw=kept(document),
        raw_status=word,
        at=ended_at(document, status, last) if status.is_final else None,
    )


def ending(trail: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The last entry that says who ended it, and how."""
    ends = (RAN_OUT, ENDED_BY_HAND, DECLINED_BY_HAND, DECLINED_BY)
    return next((each for each in reversed(list(trail)) if each.get("action") in ends), {})


def has_run_out(
    document: Mapping[str, Any], envelope: RemoteEnvelope | None, last: Mapping[str, Any]
) -> bool:
    """Whether a voided document ended by itself: by its trail, else by when it changed last."""
    if last.get("action") in (RAN_OUT, ENDED_BY_HAND):
        return bool(last.get("action") == RAN_OUT)
    end, changed = instant(document.get("expiration_date")), instant(document.get("date_modified"))
    if end is None or changed is None or changed < end:
        return False
    asked = envelope.expires_at if envelope else None
    return asked is None or changed >= asked - SLACK


def ended_at(document: Mapping[str, Any], status: EnvelopeStatus, last: Mapping[str, Any]) -> datetime | None:
    if status is EnvelopeStatus.COMPLETED:
        return instant(document.get("date_completed"))
    return instant(last.get("date_created")) or instant(document.get("date_modified"))


def people(
    document: Mapping[str, Any],
    envelope: RemoteEnvelope | None,
    status: EnvelopeStatus,
    last: Mapping[str, Any],
) -> list[RecipientState]:
    everybody = listed(document, "recipients")
    signers = [each for each in everybody if not is_copy(each)]
    waiting = [each for each in signers if not each.get("has_completed")]
    first = min((order_of(each) for each in waiting), default=0)
    asked = [each for each in waiting if order_of(each) == first]
    decliners = who_declined(asked, last) if status is EnvelopeStatus.DECLINED else []
    # That somebody looked is told of the document alone: it was whoever nobody else can have been.
    alone = len(asked) == 1 and len(waiting) == len(signers) == len(everybody)
    found = []
    for each in everybody:
        key = key_of(each, envelope)
        if not key:
            continue
        at, reason = instant(each.get("signature_date")), ""
        if is_copy(each):
            done = status is EnvelopeStatus.COMPLETED
            mine = RecipientStatus.COPIED if done else RecipientStatus.WAITING
        elif each.get("has_completed"):
            mine = RecipientStatus.SIGNED
        elif each in decliners:
            mine = RecipientStatus.DECLINED
            at, reason = instant(last.get("date_created")), str(last.get("reason") or "")
        elif each not in asked or status is EnvelopeStatus.DRAFT:
            mine = RecipientStatus.WAITING
        else:
            is_viewed = document.get("status") == VIEWED and alone
            mine = RecipientStatus.OPENED if is_viewed else RecipientStatus.SENT
        word = "completed" if each.get("has_completed") else str(each.get("recipient_type") or "")
        found.append(RecipientState(key, mine, at, reason, str(each.get("id") or ""), word))
    return found


def who_declined(asked: list[dict[str, Any]], last: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By the trail, else the only one who was asked."""
    user = last.get("user")
    email = str(user.get("email") or "").lower() if isinstance(user, dict) else ""
    named = [each for each in asked if email and str(each.get("email") or "").lower() == email]
    return named or (asked if len(asked) == 1 else [])


def order_of(person: Mapping[str, Any]) -> int:
    order = person.get("signing_order")
    return int(order) if isinstance(order, int | float | str) and str(order).isdigit() else 0


def kept(document: Mapping[str, Any]) -> bytes:
    """The document as told, without the passcodes and links that PandaDoc tells its sender again."""
    told = [
        {name: value for name, value in each.items() if name not in ("verification_settings", "shared_link")}
        for each in listed(document, "recipients")
    ]
    bare = {name: value for name, value in document.items() if name != "fields"}
    return json.dumps({**bare, "recipients": told}, ensure_ascii=False).encode()
