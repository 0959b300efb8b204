"""What is sent to Dropbox Sign: multipart forms with bracketed names, as its API file has them.

Spots count from the upper left corner of a page. Place is in points (72 an inch) where a page is named;
width and height are in 80ths of an inch whatever else holds (the vendor's page on the parameter).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from providers.base import placements_of
from providers.dropbox_sign import CAPABILITIES, LABEL
from providers.dropbox_sign.words import OUR_ID, steps_of
from providers.errors import Unsupported
from providers.interface import (
    EnvelopeRequest,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    RemoteRecipient,
    mark,
)

SIZE_UNITS = 80 / 72  # of width and height in a point
SHORTEST, LONGEST = timedelta(days=1), timedelta(days=90)  # before an end, as Dropbox Sign takes it
SKEW = timedelta(minutes=5)  # between its clock and ours
PIN = range(4, 13)

NO_SUCH_CHECK = mark("Dropbox Sign does not check people by %(what)s.")
APPROVER = mark("Dropbox Sign cannot ask people to approve without signing.")
MIXED = mark("With Dropbox Sign, either everybody signs in Countersign or everybody is asked by mail.")
NO_SPOT = mark("Dropbox Sign needs a signature spot for each signer.")
PIN_LENGTH = mark("Dropbox Sign takes access codes of 4 to 12 characters.")
NO_PHONE = mark("A code by text message needs a telephone number.")
SMS_IN_TEST = mark("Dropbox Sign sends codes by text message in production only, not in test mode.")
TOO_SOON = mark("A signing request at Dropbox Sign cannot end within the next day.")
TOO_LARGE = mark("The document is larger than Dropbox Sign takes.")


def demand_possible(request: EnvelopeRequest, *, is_test: bool) -> None:
    """Raises Unsupported for what Dropbox Sign cannot do, before anything is sent."""
    for person in request.recipients:
        demand_person(person, is_test=is_test)
    signers = signers_of(request)
    if len({each.is_embedded for each in signers}) > 1:
        raise Unsupported(MIXED)
    if not signers or not all(placements_of(request.placements, each.key) for each in signers):
        raise Unsupported(NO_SPOT)


def demand_person(person: OutgoingRecipient, *, is_test: bool) -> None:
    if person.role == "approver":
        raise Unsupported(APPROVER)
    for factor in person.factors:
        if factor not in CAPABILITIES.factors:
            raise Unsupported(NO_SUCH_CHECK, what=factor)
    if "access_code" in person.factors and len(person.access_code) not in PIN:
        raise Unsupported(PIN_LENGTH)
    if "sms" in person.factors and not person.phone:
        raise Unsupported(NO_PHONE)
    if "sms" in person.factors and is_test:
        raise Unsupported(SMS_IN_TEST)


def expiry(asked: datetime, now: datetime) -> int:
    """The Unix second it ends: never later than asked, at most 90 days from now; cut to the full hour there.

    Raises Unsupported for less than a day.
    """
    if asked - now < SHORTEST:
        raise Unsupported(TOO_SOON)
    return int(min(asked, now + LONGEST - SKEW).timestamp())


def content_of(document: OutgoingDocument) -> dict[str, tuple[str, bytes, str]]:
    """The file part of a form."""
    content = document.read()
    if len(content) > CAPABILITIES.largest_file_bytes:
        raise Unsupported(TOO_LARGE, provider=LABEL)
    return {"files[0]": (document.name, content, "application/pdf")}


def signature_request(
    request: EnvelopeRequest, now: datetime, *, is_test: bool, client_id: str
) -> dict[str, str]:
    """The fields of a form that creates and sends, besides the file."""
    signers = signers_of(request)
    body: dict[str, Any] = {
        "title": request.title,
        "subject": request.title,
        "signers": people(signers),
        "cc_email_addresses": [each.email for each in request.recipients if each.role == "copy"],
        "form_fields_per_document": fields(request.placements, [each.key for each in signers]),
        "metadata": {OUR_ID: request.id},
        "expires_at": expiry(request.expires_at, now),
        "allow_decline": True,
        "test_mode": is_test,
    }
    if request.message:
        body["message"] = request.message
    if client_id:
        body["client_id"] = client_id
    if request.return_url and not is_embedded(request):
        body["signing_redirect_url"] = request.return_url
    return form(body)


def people(signers: list[OutgoingRecipient]) -> list[dict[str, Any]]:
    """Without an order where all are asked at once."""
    steps = steps_of(signers)
    return [
        {"name": each.name, "email_address": each.email}
        | ({"order": steps[each.routing_order]} if len(steps) > 1 else {})
        | ({"pin": each.access_code} if "access_code" in each.factors else {})
        | (
            {"sms_phone_number": each.phone, "sms_phone_number_type": "authentication"}
            if "sms" in each.factors
            else {}
        )
        for each in signers
    ]


def fields(placements: Iterable[Placement], keys: list[str]) -> list[dict[str, Any]]:
    """Signature fields; a signer is told by their place among the signers."""
    return [
        field(each, number, keys.index(each.recipient_key))
        for number, each in enumerate(placements, start=1)
        if each.recipient_key in keys
    ]


def fields_of_one(placements: Iterable[Placement]) -> list[dict[str, Any]]:
    """The same where there is one signer, whatever the spots say."""
    return [field(each, number, 0) for number, each in enumerate(placements, start=1)]


def field(placement: Placement, number: int, signer: int) -> dict[str, Any]:
    return {
        "document_index": 0,
        "api_id": f"signature_{number}",
        "type": "signature",
        "required": True,
        "signer": signer,
        "page": placement.page,
        "x": round(placement.x),
        "y": round(placement.top),
        "width": round(placement.width * SIZE_UNITS),
        "height": round(placement.height * SIZE_UNITS),
    }


def form(body: Mapping[str, Any]) -> dict[str, str]:
    """An object as fields of a form: `signers[0][email_address]`, and true or false as words."""
    made: dict[str, str] = {}

    def put(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                put(f"{name}[{key}]" if name else str(key), inner)
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                put(f"{name}[{place}]", inner)
        else:
            made[name] = str(value).lower() if isinstance(value, bool) else str(value)

    put("", body)
    return made


def signers_of(request: EnvelopeRequest) -> list[OutgoingRecipient]:
    return [each for each in request.recipients if each.role != "copy"]


def is_embedded(request: EnvelopeRequest) -> bool:
    return any(each.is_embedded for each in signers_of(request))


def known(request: EnvelopeRequest) -> tuple[RemoteRecipient, ...]:
    """The people of a request as they are told apart in a reply."""
    return tuple(
        RemoteRecipient(each.key, each.role, each.routing_order, each.name, each.email)
        for each in request.recipients
    )
