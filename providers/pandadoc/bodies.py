"""What PandaDoc is sent, made out of a signing request. Nothing here makes a call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from providers.base import placements_of
from providers.errors import Unsupported
from providers.interface import EnvelopeRequest, OutgoingRecipient
from providers.pandadoc.declared import (
    APPROVER,
    CAPABILITIES,
    EMBEDDED_COPY,
    LANGUAGES,
    MIXED,
    NO_SPOT,
    NO_SUCH_CHECK,
    SAME_ADDRESS,
    TOO_SOON,
    TWO_CHECKS,
)
from providers.pandadoc.states import ID

LONGEST_REST_DAYS = 180
# Days are counted from sending, which is a moment after they were worked out.
MARGIN = timedelta(minutes=15)
# As in the published example; PandaDoc has no documented defaults.
QUESTIONS = {"time_limit_sec": 120, "score_threshold": 80, "max_attempts_count": 2}


def acting(request: EnvelopeRequest) -> list[OutgoingRecipient]:
    return [each for each in request.recipients if each.role != "copy"]


def is_embedded(request: EnvelopeRequest) -> bool:
    return any(each.is_embedded for each in acting(request))


def demand_possible(request: EnvelopeRequest) -> None:
    """Raises Unsupported for what PandaDoc cannot do, before anything is sent."""
    for each in request.recipients:
        if each.role == "approver":
            raise Unsupported(APPROVER)
        unknown = [factor for factor in each.factors if factor not in CAPABILITIES.factors]
        if unknown:
            raise Unsupported(NO_SUCH_CHECK, what=", ".join(unknown))
        if len(each.factors) > 1:
            raise Unsupported(TWO_CHECKS)
        if each.role == "signer" and not placements_of(request.placements, each.key):
            raise Unsupported(NO_SPOT)
    if len({each.is_embedded for each in acting(request)}) > 1:
        raise Unsupported(MIXED)
    if is_embedded(request) and len(acting(request)) < len(request.recipients):
        raise Unsupported(EMBEDDED_COPY)
    if len({each.email.lower() for each in request.recipients}) < len(request.recipients):
        raise Unsupported(SAME_ADDRESS)


def demand_time(request: EnvelopeRequest, now: datetime) -> None:
    """Raises Unsupported where no whole day is left."""
    if days_until(request.expires_at, now) < 1:
        raise Unsupported(TOO_SOON)


def days_until(expires_at: datetime, now: datetime) -> int:
    """Whole days until then, rounded down: never later than asked."""
    return (expires_at - now - MARGIN) // timedelta(days=1)


def document(request: EnvelopeRequest) -> dict[str, Any]:
    """The `data` beside the file. Fields in its text or form are left alone."""
    return {
        "name": request.title,
        "recipients": recipients(request),
        "metadata": {ID: request.id},
        "parse_form_fields": False,
    }


def recipients(request: EnvelopeRequest) -> list[dict[str, Any]]:
    """A signer's role is our key. Who has no role gets a copy. The order has no gaps."""
    steps = sorted({each.routing_order for each in acting(request)})
    found = []
    for each in request.recipients:
        first, _, last = each.name.strip().partition(" ")
        person: dict[str, Any] = {"email": each.email, "first_name": first, "last_name": last.strip()}
        if each.role != "copy":
            person |= {"role": each.key, "signing_order": steps.index(each.routing_order) + 1}
            if request.return_url:
                person["redirect"] = {"is_enabled": True, "url": request.return_url}
        if each.factors:
            person["verification_settings"] = verification(each, each.factors[0])
        found.append(person)
    return found


def verification(person: OutgoingRecipient, factor: str) -> dict[str, Any]:
    """Passed before the document opens; exactly one kind is allowed."""
    kinds: dict[str, dict[str, Any]] = {
        "access_code": {"passcode_verification": {"passcode": person.access_code}},
        "sms": {"phone_verification": {"phone_number": person.phone}},
        "email_code": {"email_otp_verification": {"email": person.email}},
        "kba": {"kba_verification": dict(QUESTIONS)},
        "id_check": {"id_verification": {"enabled": True}},
    }
    return {"verification_place": "before_open", **kinds[factor]}


def fields(request: EnvelopeRequest, ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """A signature field for each spot; `ids` from our key to the person's id there.

    Points from the upper left corner of the page (72 an inch), pages from 1.
    """
    return [
        {
            "type": "signature",
            "assigned_to": ids[spot.recipient_key],
            "settings": {"required": True},
            "layout": {
                "page": spot.page,
                "position": {
                    "offset_x": round(max(0.0, spot.x), 2),
                    "offset_y": round(max(0.0, spot.top), 2),
                    "anchor_point": "topleft",
                },
                "style": {"width": round(spot.width), "height": round(spot.height)},
            },
        }
        for spot in request.placements
        if spot.recipient_key in ids
    ]


def settings(request: EnvelopeRequest, now: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {"expires_in": days_until(request.expires_at, now)}
    language = LANGUAGES.get(request.language) or LANGUAGES.get(request.language.partition("-")[0])
    return {**found, "language": language} if language else found


def reminders(request: EnvelopeRequest) -> dict[str, Any]:
    """Nobody who signs in Countersign is reminded by PandaDoc, whatever the workspace's own setting."""
    days = min(request.remind_after_days, LONGEST_REST_DAYS)
    if days < 1 or is_embedded(request):
        return {"enabled": False}
    return {
        "enabled": True,
        "delivery_method": "email",
        "initial_delay_days": days,
        "is_recurring": True,
        "recurrence_frequency_days": days,
    }


def sending(request: EnvelopeRequest) -> dict[str, Any]:
    """Whoever took over by forwarding would pass none of the checks asked for."""
    return {
        "subject": request.title,
        "message": request.message,
        "silent": is_embedded(request),
        "forwarding_settings": {
            "forwarding_allowed": False,
            "forwarding_with_reassigning_allowed": False,
        },
    }
