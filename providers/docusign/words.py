"""What DocuSign's words mean: statuses, errors, events. Everything here is told from replies, never asked."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from providers.base import instant
from providers.interface import (
    EnvelopeState,
    EnvelopeStatus,
    RecipientState,
    RecipientStatus,
    RemoteEnvelope,
    RemoteRecipient,
)

STATUS = {
    "created": EnvelopeStatus.DRAFT,
    "template": EnvelopeStatus.DRAFT,
    "processing": EnvelopeStatus.SENT,  # queued by DocuSign on its way out
    "correct": EnvelopeStatus.SENT,  # its sender is changing it
    "sent": EnvelopeStatus.SENT,
    "delivered": EnvelopeStatus.SENT,  # somebody has opened it
    "signed": EnvelopeStatus.SENT,  # everybody has signed, the file is being made
    "completed": EnvelopeStatus.COMPLETED,
    "declined": EnvelopeStatus.DECLINED,
    "voided": EnvelopeStatus.VOIDED,
    "deleted": EnvelopeStatus.VOIDED,
    "timedout": EnvelopeStatus.EXPIRED,
}
RECIPIENT = {
    "created": RecipientStatus.WAITING,
    "sent": RecipientStatus.SENT,
    "delivered": RecipientStatus.OPENED,
    "faxpending": RecipientStatus.WAITING,
    "declined": RecipientStatus.DECLINED,
    "autoresponded": RecipientStatus.UNDELIVERED,
}
DONE = {
    "approver": RecipientStatus.APPROVED,
    "copy": RecipientStatus.COPIED,
    "signer": RecipientStatus.SIGNED,
}
# When a person came to stand so; never another time in its place, since it is told as that of the act.
SINCE = {
    "sent": "sentDateTime",
    "delivered": "deliveredDateTime",
    "signed": "signedDateTime",
    "completed": "signedDateTime",
    "declined": "declinedDateTime",
}
# Lists of people in a reply, and the role of those whose role we do not know better.
LISTS = {
    "signers": "signer",
    "carbonCopies": "copy",
    "certifiedDeliveries": "copy",
    "inPersonSigners": "signer",
}
# DocuSign ends what runs out of time by voiding it, with this reason and no status of its own.
EXPIRED = re.compile(r"\s*(the )?envelope has expired\.?\s*", re.IGNORECASE)
# They come with 400 or 429; the vendor's page does not say which.
THROTTLED = (
    "HOURLY_APIINVOCATION_LIMIT_EXCEEDED",
    "BURST_APIINVOCATION_LIMIT_EXCEEDED",
    "HOURLY_ENVELOPE_POLLING_LIMIT_EXCEEDED",
)
# How an envelope carries our ids: a text field of its own, and two fields of each person.
OUR_ID = "countersign_id"
KEY, ROLE = "countersign-key=", "countersign-role="

log = logging.getLogger(__name__)


def reasons(status: int, found: Any) -> tuple[str, str]:
    """Code and sentence of a refusal: of the API, or of the token address."""
    if not isinstance(found, dict):
        return "", ""
    code = str(found.get("errorCode") or found.get("error") or "")
    said = str(found.get("message") or found.get("error_description") or "")
    throttled = code.upper() in THROTTLED
    return (code.upper() if throttled else code), said


def status_of(envelope: Mapping[str, Any]) -> EnvelopeStatus:
    """Of an envelope as a reply or a webhook call gives it."""
    word = str(envelope.get("status") or "")
    status = STATUS.get(word.lower(), EnvelopeStatus.UNKNOWN)
    if status is EnvelopeStatus.UNKNOWN:
        log.warning("provider.unknown_word", extra={"fields": {"provider": "DocuSign", "word": word}})
    if status is EnvelopeStatus.VOIDED and EXPIRED.fullmatch(str(envelope.get("voidedReason") or "")):
        return EnvelopeStatus.EXPIRED
    return status


def state_of(found: Mapping[str, Any], known: RemoteEnvelope | None = None) -> EnvelopeState:
    """An envelope as a reply or a webhook call gives it.

    Its people are told by `known`, else by what we wrote beside them.
    """
    status = status_of(found)
    people, states = list(people_of(found)), []
    numbers = {str(person.get("recipientId") or "") for person, _role in people}
    for person, listed in people:
        match = known_one(known, person, numbers) if known else None
        key, role = (match.key, match.role) if match else marks(person)
        if key:
            states.append(recipient_state(person, key, role or listed))
    declined = next((each.reason for each in states if each.status is RecipientStatus.DECLINED), "")
    return EnvelopeState(
        remote_id=str(found.get("envelopeId") or ""),
        status=status,
        recipients=tuple(states),
        reason=declined or str(found.get("voidedReason") or ""),
        raw=kept(found),
        raw_status=str(found.get("status") or ""),
        at=instant(found.get("statusChangedDateTime")),
    )


def recipient_state(person: Mapping[str, Any], key: str, role: str) -> RecipientState:
    word = str(person.get("status") or "")
    low = word.lower()
    if low in ("completed", "signed"):
        status = DONE.get(role, RecipientStatus.SIGNED)
    else:
        status = RECIPIENT.get(low, RecipientStatus.UNKNOWN)
    if status is RecipientStatus.UNKNOWN:
        log.warning("provider.unknown_word", extra={"fields": {"provider": "DocuSign", "word": word}})
    return RecipientState(
        key=key,
        status=status,
        at=instant(person.get(SINCE.get(low, ""))),
        reason=str(person.get("declinedReason") or person.get("autoRespondedReason") or ""),
        remote_id=str(person.get("recipientId") or ""),
        raw_status=word,
    )


def people_of(envelope: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """(person, role of their list) for everybody of an envelope."""
    groups = envelope.get("recipients")
    if not isinstance(groups, dict):
        return
    for name, role in LISTS.items():
        for person in groups.get(name) or []:
            if isinstance(person, dict):
                yield person, role


def known_one(known: RemoteEnvelope, person: Mapping[str, Any], numbers: set[str]) -> RemoteRecipient | None:
    """Whom a person in a reply is: by the id they were given, else by order and address.

    `numbers` are all ids in the reply: who is there under theirs is nobody else.
    """
    number = str(person.get("recipientId") or "")
    for each in known.recipients:
        if number and each.remote_id == number:
            return each
    place = (str(person.get("routingOrder") or ""), str(person.get("email") or "").lower())
    for each in known.recipients:
        if each.remote_id not in numbers and (str(each.routing_order), each.email.lower()) == place:
            return each
    return None


def marks(person: Mapping[str, Any]) -> tuple[str, str]:
    """(key, role) as we wrote them beside a person; empty for somebody we did not send to."""
    fields = person.get("customFields")
    said = [str(each) for each in fields] if isinstance(fields, list) else []
    key = next((each.removeprefix(KEY) for each in said if each.startswith(KEY)), "")
    return key, next((each.removeprefix(ROLE) for each in said if each.startswith(ROLE)), "")


def our_id(envelope: Mapping[str, Any]) -> str:
    """The id we wrote on an envelope; empty where somebody else sent it."""
    fields = envelope.get("customFields")
    texts = fields.get("textCustomFields") if isinstance(fields, dict) else None
    for each in texts or []:
        if isinstance(each, dict) and each.get("name") == OUR_ID:
            return str(each.get("value") or "")
    return ""


def kept(envelope: Mapping[str, Any]) -> bytes:
    """The reply as it may be kept: an access code that DocuSign tells its sender is left out."""

    def without(found: Any) -> Any:
        if isinstance(found, dict):
            return {name: without(value) for name, value in found.items() if name != "accessCode"}
        return [without(each) for each in found] if isinstance(found, list) else found

    return json.dumps(without(envelope)).encode()
