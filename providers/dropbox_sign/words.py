"""What Dropbox Sign's words mean: statuses, errors. Everything here is told from replies, never asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
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

# `status_code` of a signature. A request has no status of its own: flags and these tell it.
RECIPIENT = {
    "awaiting_signature": RecipientStatus.SENT,
    "on_hold": RecipientStatus.WAITING,  # the sender's own address is not confirmed yet
    "on_hold_by_requester": RecipientStatus.WAITING,
    "signed": RecipientStatus.SIGNED,
    "success": RecipientStatus.SIGNED,
    "declined": RecipientStatus.DECLINED,
    "expired": RecipientStatus.WAITING,  # that the whole request expired is told of the request
    "error_invalid_email": RecipientStatus.UNDELIVERED,
    "error_unknown": RecipientStatus.WAITING,
    "error_file": RecipientStatus.WAITING,
    "error_component_position": RecipientStatus.WAITING,
    "error_text_tag": RecipientStatus.WAITING,
}
OUR_ID = "countersign_id"  # in the metadata of a request

log = logging.getLogger(__name__)


def reasons(status: int, found: Any) -> tuple[str, str]:
    """Code and sentence of a refusal: of the API, or of the token address."""
    if not isinstance(found, dict):
        return "", ""
    error = found.get("error")
    if isinstance(error, dict):
        path = str(error.get("error_path") or "")
        said = str(error.get("error_msg") or "")
        return str(error.get("error_name") or ""), f"{said} ({path})" if path and said else said
    return str(error or ""), str(found.get("error_description") or "")


def listed(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = found.get(name)
    return [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []


def state_of(
    found: Mapping[str, Any], known: Iterable[RemoteRecipient] = (), raw: bytes = b""
) -> EnvelopeState:
    """A signature request as a reply gives it; its people as far as they are among the `known`."""
    status, word = status_of(found)
    people = list(known)
    return EnvelopeState(
        remote_id=str(found.get("signature_request_id") or ""),
        status=status,
        recipients=(*signers_of(found, people), *copies_of(found, people, status)),
        reason=next((said for each in signatures_of(found) if (said := declined_because(each))), ""),
        raw=raw,
        raw_status=word,
        at=at_the_end(found) if status.is_final else None,
    )


def gone(remote_id: str, raw: bytes) -> EnvelopeState:
    """A request that is answered by 410: it was cancelled."""
    return EnvelopeState(remote_id, EnvelopeStatus.VOIDED, raw=raw, raw_status="deleted")


def status_of(found: Mapping[str, Any]) -> tuple[EnvelopeStatus, str]:
    """Ours, and the vendor's word it rests on."""
    words = [word_of(each) for each in signatures_of(found)]
    if found.get("is_declined") is True:
        return EnvelopeStatus.DECLINED, "is_declined"
    if found.get("is_complete") is True:
        return EnvelopeStatus.COMPLETED, "is_complete"
    if "expired" in words:
        return EnvelopeStatus.EXPIRED, "expired"
    if found.get("has_error") is True:
        return EnvelopeStatus.FAILED, "has_error"
    unknown = [word for word in words if word not in RECIPIENT]
    for word in unknown:
        log.warning("provider.unknown_word", extra={"fields": {"provider": "Dropbox Sign", "word": word}})
    return (EnvelopeStatus.UNKNOWN if unknown else EnvelopeStatus.SENT), ", ".join(dict.fromkeys(words))


def signers_of(found: Mapping[str, Any], known: list[RemoteRecipient]) -> list[RecipientState]:
    signatures = signatures_of(found)
    now = min((order_of(each) for each in signatures if not is_done(each)), default=0)
    return [signer_state(each, person, now) for each, person in pairs(signatures, known)]


def signer_state(signature: Mapping[str, Any], person: RemoteRecipient, now: int) -> RecipientState:
    """`now` is the step of the order that is asked."""
    word = word_of(signature)
    status = RECIPIENT.get(word, RecipientStatus.UNKNOWN)
    at = None
    if status is RecipientStatus.SENT:
        at = instant(signature.get("last_viewed_at"))
        if at is not None:
            status = RecipientStatus.OPENED
        elif order_of(signature) > now:
            status = RecipientStatus.WAITING
    elif status is RecipientStatus.SIGNED:
        at = instant(signature.get("signed_at"))
    return RecipientState(
        key=person.key,
        status=status,
        at=at,
        reason=declined_because(signature) or str(signature.get("error") or ""),
        remote_id=str(signature.get("signature_id") or ""),
        raw_status=word,
    )


def copies_of(
    found: Mapping[str, Any], known: list[RemoteRecipient], status: EnvelopeStatus
) -> list[RecipientState]:
    """Those who get the finished file by mail. Dropbox Sign tells nothing of them but their address."""
    addresses = found.get("cc_email_addresses")
    there = {str(each).lower() for each in addresses} if isinstance(addresses, list) else set()
    stands = RecipientStatus.COPIED if status is EnvelopeStatus.COMPLETED else RecipientStatus.WAITING
    return [
        RecipientState(each.key, stands)
        for each in known
        if each.role == "copy" and each.email.lower() in there
    ]


# --- Who is who --------------------------------------------------------------------------------


def pairs(
    signatures: list[dict[str, Any]], known: list[RemoteRecipient]
) -> list[tuple[dict[str, Any], RemoteRecipient]]:
    """Each signature with the person we know it by: by id, else by step and address, else by being left.

    Another address for somebody makes another id, so the last one left in a step is who was there before.
    """
    steps = steps_of(known)
    people = [each for each in known if each.role != "copy"]
    found: dict[int, RemoteRecipient] = {}

    def take(fits: Any) -> None:
        for place, signature in enumerate(signatures):
            if place in found:
                continue
            match = [each for each in people if each not in found.values() and fits(signature, each)]
            if match:
                found[place] = match[0]

    take(lambda signature, each: bool(each.remote_id) and each.remote_id == signature.get("signature_id"))
    take(
        lambda signature, each: (
            address_of(signature) == each.email.lower()
            and signature.get("signer_name") == each.name
            and order_of(signature) == steps[each.routing_order]
        )
    )
    take(
        lambda signature, each: (
            address_of(signature) == each.email.lower() and order_of(signature) == steps[each.routing_order]
        )
    )
    left = [place for place in range(len(signatures)) if place not in found]
    missing = [each for each in people if each not in found.values()]
    if len(left) == len(missing) == 1:
        found[left[0]] = missing[0]
    return [(signatures[place], person) for place, person in sorted(found.items())]


def steps_of(people: Iterable[Any]) -> dict[int, int]:
    """Our routing orders to the vendor's: 0-based and without gaps."""
    orders = sorted({each.routing_order for each in people if each.role != "copy"})
    return {order: place for place, order in enumerate(orders)}


# --- Parts of a reply --------------------------------------------------------------------------


def signatures_of(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return listed(found, "signatures")


def word_of(signature: Mapping[str, Any]) -> str:
    return str(signature.get("status_code") or "")


def order_of(signature: Mapping[str, Any]) -> int:
    order = signature.get("order")
    return order if isinstance(order, int) else 0


def address_of(signature: Mapping[str, Any]) -> str:
    return str(signature.get("signer_email_address") or "").lower()


def is_done(signature: Mapping[str, Any]) -> bool:
    return RECIPIENT.get(word_of(signature)) is RecipientStatus.SIGNED


def declined_because(signature: Mapping[str, Any]) -> str:
    return str(signature.get("decline_reason") or "")


def at_the_end(found: Mapping[str, Any]) -> Any:
    """When the last one signed; Dropbox Sign tells no other time of an end."""
    times = [at for each in signatures_of(found) if (at := instant(each.get("signed_at")))]
    return max(times, default=None) if found.get("is_complete") is True else None


def metadata_of(found: Mapping[str, Any]) -> dict[str, Any]:
    said = found.get("metadata")
    return said if isinstance(said, dict) else {}


def our_id(found: Mapping[str, Any]) -> str:
    """The id we wrote on a request; empty where somebody else sent it."""
    return str(metadata_of(found).get(OUR_ID) or "")


def known_of(envelope: RemoteEnvelope | None) -> tuple[RemoteRecipient, ...]:
    return envelope.recipients if envelope else ()
