"""What Acrobat Sign is sent: agreements, fields, and the no to what it cannot do.

A field's `left` and `top` are the distances of its upper left corner from the left and from the LOWER edge
of the page, in points (72 to the inch), pages from 1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from providers.adobe_sign.declared import (
    CAPABILITIES,
    EMBEDDED_COPY,
    MIXED,
    NO_PHONE,
    NO_SPOT,
    NO_SUCH_CHECK,
    TWO_CHECKS,
)
from providers.base import placements_of
from providers.errors import Unsupported
from providers.interface import BulkRequest, EnvelopeRequest, OutgoingRecipient, Placement

ROLES = {"signer": "SIGNER", "approver": "APPROVER"}
METHODS = {
    "access_code": "PASSWORD",
    "sms": "PHONE",
    "email_code": "EMAIL_OTP",
    "kba": "KBA",
    "id_check": "GOV_ID",
}
LOCALES = {"en": "en_US", "fr": "fr_FR"}
NOTHING = {"initEmails": "NONE", "inFlightEmails": "NONE", "completionEmails": "NONE"}
LONGEST_NAME = 255
# A CSV column that is the name of no field: Adobe ignores it and hands it back with the file.
ROW = "countersign_row"


class Person(Protocol):
    """What outgoing and remote recipients share."""

    @property
    def key(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def routing_order(self) -> int: ...


def turns(people: Iterable[Person]) -> dict[str, int]:
    """Our key to the order at Adobe, which counts from 1 without gaps; copies have none."""
    acting = [each for each in people if each.role != "copy"]
    orders = sorted({each.routing_order for each in acting})
    return {each.key: orders.index(each.routing_order) + 1 for each in acting}


def is_embedded(request: EnvelopeRequest) -> bool:
    return any(each.is_embedded for each in request.recipients)


def demand_possible(request: EnvelopeRequest) -> None:
    """Raises Unsupported for what Acrobat Sign has no field for."""
    for each in request.recipients:
        beyond = [factor for factor in each.factors if factor not in CAPABILITIES.factors]
        if beyond:
            raise Unsupported(NO_SUCH_CHECK, what=", ".join(beyond))
        if len(each.factors) > 1:
            raise Unsupported(TWO_CHECKS)
        if "sms" in each.factors:
            phone_info(each)
        if each.role == "signer" and not placements_of(request.placements, each.key):
            raise Unsupported(NO_SPOT)
    if is_embedded(request):
        if not all(each.is_embedded for each in request.recipients if each.role != "copy"):
            raise Unsupported(MIXED)
        if any(each.role == "copy" for each in request.recipients):
            raise Unsupported(EMBEDDED_COPY)


def agreement(request: EnvelopeRequest, transient_id: str, now: datetime) -> dict[str, Any]:
    """It begins in AUTHORING, since only there fields can be placed."""
    order = turns(request.recipients)
    copies = [{"email": each.email} for each in request.recipients if each.role == "copy"]
    body: dict[str, Any] = {
        "fileInfos": [{"transientDocumentId": transient_id}],
        "name": request.title,
        "participantSetsInfo": [
            participant_set(each, order[each.key]) for each in request.recipients if each.role != "copy"
        ],
        "signatureType": "ESIGN",
        "state": "AUTHORING",
        "externalId": {"id": request.id},
        "locale": LOCALES.get(request.language, LOCALES["en"]),
        "expirationTime": stamp(request.expires_at),
    }
    if request.message:
        body["message"] = request.message
    if copies:
        body["ccs"] = copies
    if request.return_url:
        body["postSignOption"] = {"redirectUrl": request.return_url, "redirectDelay": 0}
    if is_embedded(request):
        body["emailOption"] = {"sendOptions": NOTHING}
    else:
        body |= reminders(request.remind_after_days, request.expires_at - now)
    return body


def participant_set(person: OutgoingRecipient, order: int) -> dict[str, Any]:
    return {
        "memberInfos": [
            {
                "email": person.email,
                "name": person.name[:LONGEST_NAME],
                "securityOption": security(person),
            }
        ],
        "order": order,
        "role": ROLES[person.role],
        "name": person.name[:LONGEST_NAME],
    }


def security(person: OutgoingRecipient) -> dict[str, Any]:
    factor = next(iter(person.factors), "")
    option: dict[str, Any] = {"authenticationMethod": METHODS.get(factor, "NONE")}
    if factor == "access_code":
        option["password"] = person.access_code
    if factor == "sms":
        option["phoneInfo"] = phone_info(person)
    return option


def phone_info(person: OutgoingRecipient) -> dict[str, str]:
    """The calling code as Adobe writes it, `+44`, apart from the number. Raises Unsupported without one."""
    import phonenumbers

    try:
        number = phonenumbers.parse(person.phone)
    except phonenumbers.NumberParseException as error:
        raise Unsupported(NO_PHONE, name=person.name) from error
    national = phonenumbers.national_significant_number(number)
    return {"countryCode": f"+{number.country_code}", "phone": national}


def reminders(after_days: int, left: Any) -> dict[str, Any]:
    """The first after so many days, then weekly (daily where it is one day). None past the end."""
    hours = after_days * 24
    if hours < 1 or hours >= left.total_seconds() / 3600:
        return {}
    frequency = "DAILY_UNTIL_SIGNED" if after_days == 1 else "WEEKLY_UNTIL_SIGNED"
    return {"firstReminderDelay": hours, "reminderFrequency": frequency}


def stamp(at: datetime) -> str:
    """Whole seconds, never later than asked."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fields(request: EnvelopeRequest, sets: Mapping[str, str]) -> list[dict[str, Any]]:
    """A signature field per spot. `sets`: our key to the participant set it belongs to."""
    return [
        {
            "name": f"Signature {number}",
            "inputType": "SIGNATURE",
            "contentType": "SIGNATURE",
            "assignee": sets[spot.recipient_key],
            "required": True,
            "locations": [location(spot)],
        }
        for number, spot in enumerate(request.placements, start=1)
        if spot.recipient_key in sets
    ]


def location(spot: Placement) -> dict[str, Any]:
    return {
        "pageNumber": spot.page,
        "left": spot.x,
        "top": spot.y + spot.height,
        "width": spot.width,
        "height": spot.height,
    }


# --- Batches --------------------------------------------------------------------------------------


def batch(request: BulkRequest, file_id: str, rows_id: str, now: datetime) -> dict[str, Any]:
    """One language for all: Adobe has it per batch."""
    body: dict[str, Any] = {
        "fileInfos": [{"transientDocumentId": file_id}],
        "name": request.title,
        "childAgreementsInfo": {"fileInfo": {"fileType": "CSV", "transientDocumentId": rows_id}},
        "signatureType": "ESIGN",
        "state": "IN_PROCESS",
        "externalId": {"id": request.id},
        "locale": LOCALES.get(request.rows[0].language, LOCALES["en"]),
        "expirationTime": stamp(request.expires_at),
        **reminders(2, request.expires_at - now),
    }
    if request.message:
        body["message"] = request.message
    return body


def rows_csv(request: BulkRequest) -> bytes:
    """A row per person. Adobe takes no blank at the end of a row or of the file."""
    made = io.StringIO()
    lines = csv.writer(made, lineterminator="\n")
    lines.writerow(["Recipient_1:Email", "Recipient_1:Role", ROW])
    lines.writerows([each.email, "SIGNER", each.key] for each in request.rows)
    return made.getvalue().rstrip("\n").encode()


def keys_by_address(content: bytes) -> dict[str, str]:
    """Address to our key, read back from the rows a batch was made of."""
    lines = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace")))
    return {
        (each.get("Recipient_1:Email") or "").lower(): each.get(ROW) or ""
        for each in lines
        if each.get("Recipient_1:Email") and each.get(ROW)
    }


def with_fields(content: bytes, placements: Iterable[Placement]) -> bytes:
    """The PDF with form fields that Adobe turns into signature fields, by their names.

    A batch has no state in which fields could be placed; in a form, the name of a field is a text tag.
    """
    import pikepdf

    with pikepdf.open(io.BytesIO(content)) as document:
        made = []
        for number, spot in enumerate(placements, start=1):
            page = document.pages[spot.page - 1]
            widget = document.make_indirect(
                pikepdf.Dictionary(
                    Type=pikepdf.Name.Annot,
                    Subtype=pikepdf.Name.Widget,
                    FT=pikepdf.Name.Tx,
                    T=pikepdf.String(f"Sig{number}_es_:signer1:signature"),
                    Rect=[spot.x, spot.y, spot.x + spot.width, spot.y + spot.height],
                    F=4,  # printed
                    P=page.obj,
                )
            )
            if "/Annots" not in page.obj:
                page.obj.Annots = document.make_indirect(pikepdf.Array())
            page.obj.Annots.append(widget)
            made.append(widget)
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
        document.Root.AcroForm = pikepdf.Dictionary(
            Fields=pikepdf.Array(made),
            DA=pikepdf.String("/Helv 0 Tf 0 g"),
            DR=pikepdf.Dictionary(Font=pikepdf.Dictionary(Helv=document.make_indirect(font))),
        )
        out = io.BytesIO()
        document.save(out)
        return out.getvalue()
