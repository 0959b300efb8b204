"""What signNow is sent: fields, invitations, and the no to what it cannot do.

Coordinates count from the upper left corner of the page in points (72 to the inch), pages from 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from providers.base import placements_of
from providers.errors import Unsupported
from providers.interface import EnvelopeRequest, OutgoingRecipient, Placement
from providers.signnow.declared import (
    APPROVER,
    CAPABILITIES,
    EMBEDDED_COPY,
    MIXED,
    NO_SPOT,
    NO_SUCH_CHECK,
    TOO_SOON,
    TWO_CHECKS,
)

OURS = re.compile(r"^countersign-(.+?)(?:\.pdf)?$")
LONGEST_DAYS = 180  # expiration_days goes no further
LONGEST_REPEAT_DAYS = 7  # remind_repeat goes no further
LINK_MINUTES = 15  # a signing link is fetched at the click; this is the shortest there is
LANGUAGES = ("en", "fr")


def file_name(request_id: str) -> str:
    """The name a file is uploaded under. It stays `original_filename`, where we find it again."""
    return f"countersign-{request_id}.pdf"


def request_id_of(document: Mapping[str, Any]) -> str:
    """Our id, for a document that we uploaded (not one made from a template)."""
    found = OURS.match(str(document.get("original_filename") or ""))
    return found[1] if found and not document.get("origin_document_id") else ""


def signers_of(request: EnvelopeRequest) -> list[OutgoingRecipient]:
    return [each for each in request.recipients if each.role == "signer"]


def role_names(request: EnvelopeRequest) -> dict[str, str]:
    """Our key to the role's name at signNow, which signers see."""
    return {each.key: f"Signer {number}" for number, each in enumerate(signers_of(request), start=1)}


def turns(request: EnvelopeRequest) -> dict[str, int]:
    """Our key to the order at signNow, which counts from 1 without gaps."""
    orders = sorted({each.routing_order for each in signers_of(request)})
    return {each.key: orders.index(each.routing_order) + 1 for each in signers_of(request)}


def is_embedded(request: EnvelopeRequest) -> bool:
    return any(each.is_embedded for each in request.recipients)


def demand_possible(request: EnvelopeRequest) -> None:
    """Raises Unsupported for what signNow has no field for."""
    signers = signers_of(request)
    for each in request.recipients:
        beyond = [factor for factor in each.factors if factor not in CAPABILITIES.factors]
        if beyond:
            raise Unsupported(NO_SUCH_CHECK, what=", ".join(beyond))
        if len(each.factors) > 1:
            raise Unsupported(TWO_CHECKS)
        if each.role == "approver":
            raise Unsupported(APPROVER)
    if len({each.is_embedded for each in signers}) > 1:
        raise Unsupported(MIXED)
    if is_embedded(request) and len(signers) < len(request.recipients):
        raise Unsupported(EMBEDDED_COPY)
    if not all(placements_of(request.placements, each.key) for each in signers):
        raise Unsupported(NO_SPOT)


def demand_time(request: EnvelopeRequest, now: datetime) -> None:
    """Raises Unsupported where less than a day is left. Embedded people have no end at signNow."""
    if not is_embedded(request) and days_until(request.expires_at, now) < 1:
        raise Unsupported(TOO_SOON)


def days_until(ends_at: datetime, now: datetime) -> int:
    """Whole days that end no later than asked."""
    return min((ends_at - now).days, LONGEST_DAYS)


def field(placement: Placement, role: str, number: int) -> dict[str, Any]:
    return {
        "page_number": placement.page - 1,
        "type": "signature",
        "name": f"signature_{number}",
        "role": role,
        "required": True,
        "x": round(placement.x),
        "y": round(placement.top),
        "width": round(placement.width),
        "height": round(placement.height),
    }


def fields(request: EnvelopeRequest) -> list[dict[str, Any]]:
    """Every field of the document: a PUT replaces whatever was there."""
    roles = role_names(request)
    spots = [each for each in request.placements if each.recipient_key in roles]
    return [field(each, roles[each.recipient_key], number) for number, each in enumerate(spots, start=1)]


def check(person: OutgoingRecipient) -> dict[str, str]:
    """The newer spelling: a type, and for telephones a method. Older clients say "sms" as the type."""
    if "access_code" in person.factors:
        return {"type": "password", "password": person.access_code}
    if "sms" in person.factors:
        return {"type": "phone", "method": "sms", "phone": person.phone}
    if "phone" in person.factors:
        return {"type": "phone", "method": "phone_call", "phone": person.phone}
    return {}


def language(person: OutgoingRecipient) -> str:
    return person.language if person.language in LANGUAGES else "en"


def reminder(after_days: int, ends_in_days: int) -> dict[str, int]:
    """Again every few days; where that is more than signNow repeats, once."""
    if not 0 < after_days < ends_in_days:
        return {}
    return {"remind_repeat" if after_days <= LONGEST_REPEAT_DAYS else "remind_after": after_days}


def invitation(
    request: EnvelopeRequest, role_ids: Mapping[str, str], sender: str, now: datetime
) -> dict[str, Any]:
    """People asked by mail. `role_ids`: our key to the role's id."""
    roles, days = role_names(request), days_until(request.expires_at, now)
    people = []
    for each in signers_of(request):
        checked = check(each)
        if checked:
            checked["authentication_type"] = checked.pop("type")
        again = reminder(request.remind_after_days, days)
        people.append(
            {
                "email": each.email,
                "role": roles[each.key],
                "role_id": role_ids[each.key],
                "order": turns(request)[each.key],
                "prefill_signature_name": each.name,
                "language": language(each),
                "expiration_days": days,
                "reassign": "1",  # may not be forwarded
                "decline_by_signature": "1",  # may be declined
                "subject": request.title,
                "message": request.message,
                **({"reminder": again} if again else {}),
                **({"redirect_uri": request.return_url} if request.return_url else {}),
                **checked,
            }
        )
    return {
        "to": people,
        "from": sender,
        "cc": [each.email for each in request.recipients if each.role == "copy"],
        "subject": request.title,
        "message": request.message,
    }


def embedded_invitation(request: EnvelopeRequest, role_ids: Mapping[str, str]) -> dict[str, Any]:
    """People who sign by a link that we fetch; signNow mails them nothing."""
    back = request.return_url
    people = []
    for each in signers_of(request):
        first, _, last = each.name.rpartition(" ")
        checked = check(each)
        people.append(
            {
                "email": each.email,
                "role_id": role_ids[each.key],
                "order": turns(request)[each.key],
                "auth_method": "none",  # of the signer with us, not of what signNow checks
                "delivery_type": "link",
                "first_name": first or last,
                "last_name": last if first else "",
                "prefill_signature_name": each.name,
                "language": language(each),
                **(
                    {
                        "redirect_uri": back,
                        "decline_redirect_uri": back,
                        "close_redirect_uri": back,
                        "redirect_target": "self",
                    }
                    if back
                    else {}
                ),
                **({"authentication": checked} if checked else {}),
            }
        )
    return {"invites": people}
