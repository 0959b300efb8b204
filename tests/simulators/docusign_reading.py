"""How the simulated DocuSign reads and shows envelopes, documents and people."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import datetime
from io import BytesIO
from typing import Any

import pikepdf

from tests.simulators.vendor import Envelope, Signer, add_page, saved

PERSON = {
    "waiting": "created", "sent": "sent", "opened": "delivered", "signed": "completed",
    "declined": "declined", "copied": "completed",
}  # fmt: skip
CHECKS = {"SMS Auth $": "sms", "Phone Auth $": "phone", "ID Check $": "kba"}


def wrong_people(body: dict[str, Any], file: bytes) -> tuple[str, str] | None:
    with pikepdf.open(BytesIO(file)) as pdf:
        pages = len(pdf.pages)
    groups = body.get("recipients") or {}
    people = [each for name in ("signers", "carbonCopies") for each in groups.get(name) or []]
    ids = [each.get("recipientId") for each in people]
    if not people or None in ids or len(set(ids)) != len(ids):
        return "INVALID_RECIPIENT_ID", "Every recipient needs a recipientId of their own."
    for each in people:
        if not each.get("name") or "@" not in each.get("email", ""):
            return "INVALID_EMAIL_ADDRESS_FOR_RECIPIENT", "Name and email of a recipient are needed."
        if len(each.get("accessCode") or "") > 50:
            return "INVALID_REQUEST_PARAMETER", "accessCode has more than 50 characters."
        check = each.get("idCheckConfigurationName")
        numbers = (each.get("smsAuthentication") or {}).get("senderProvidedNumbers")
        if check is not None and (check not in CHECKS or each.get("requireIdLookup") != "true"):
            return "INVALID_REQUEST_PARAMETER", "idCheckConfigurationName is not valid."
        if check == "SMS Auth $" and not numbers:
            return "INVALID_REQUEST_PARAMETER", "smsAuthentication is needed."
        for tab in tabs_of(each):
            if tab.get("documentId") != "1" or int(tab.get("pageNumber") or 0) not in range(1, pages + 1):
                return "INVALID_TAB_OPERATION", "A tab is on a page that does not exist."
            if not (tab.get("xPosition", "").isdigit() and tab.get("yPosition", "").isdigit()):
                return "INVALID_TAB_OPERATION", "xPosition and yPosition are whole numbers."
    return None


def when(at: datetime | None) -> str:
    """As DocuSign writes a time: seven decimals and Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z") if at else ""


def with_certificate(file: bytes) -> bytes:
    with pikepdf.open(BytesIO(file)) as pdf:
        add_page(pdf, ["Certificate of completion"])
        return saved(pdf)


def within(envelope: Envelope, query: dict[str, str]) -> bool:
    qualifier = query.get("from_to_status", "changed").lower()
    at = envelope.ended_at if qualifier == "completed" else envelope.ended_at or envelope.created_at
    if at is None:
        return False
    since, until = query.get("from_date"), query.get("to_date")
    return (not since or datetime.fromisoformat(since) <= at) and (
        not until or at <= datetime.fromisoformat(until)
    )


def content_of(body: dict[str, Any]) -> tuple[bytes, tuple[str, str] | None]:
    documents = body.get("documents") or []
    if not documents:
        return b"", ("ENVELOPE_IS_INCOMPLETE", "A complete envelope has a document.")
    if not documents[0].get("documentId") or not documents[0].get("name"):
        return b"", ("INVALID_REQUEST_PARAMETER", "documentId and name are needed.")
    try:
        file = base64.b64decode(documents[0].get("documentBase64", ""), validate=True)
        pikepdf.open(BytesIO(file)).close()
    except (binascii.Error, pikepdf.PdfError):
        return b"", ("PDF_VALIDATION_FAILED", "The document is not a valid PDF.")
    return file, None


def tabs_of(person: dict[str, Any]) -> list[dict[str, Any]]:
    return [tab for listed in (person.get("tabs") or {}).values() for tab in listed]


def person_of(said: dict[str, Any], role: str) -> Signer:
    tabs = said.get("tabs") or {}
    if role == "signer" and tabs.get("approveTabs") and not tabs.get("signHereTabs"):
        role = "approver"
    factors: dict[str, Any] = {}
    if said.get("accessCode"):
        factors["access_code"] = said["accessCode"]
    if check := said.get("idCheckConfigurationName"):
        factors[CHECKS[check]] = said.get("smsAuthentication") or said.get("phoneAuthentication") or check
    if workflow := (said.get("identityVerification") or {}).get("workflowId"):
        factors["id_check"] = workflow
    return Signer(
        said["recipientId"], said["name"], said["email"], role, int(said.get("routingOrder", 1)),
        is_embedded=said.get("clientUserId") is not None, factors=factors, fields=tabs_of(said),
        facts={
            "clientUserId": said.get("clientUserId"), "customFields": said.get("customFields") or [],
            "roleName": said.get("roleName"), "mail": said.get("emailNotification") or {},
        },
    )  # fmt: skip


def person_shown(person: Signer) -> dict[str, Any]:
    said = {
        "recipientId": person.id, "recipientIdGuid": guid_of(person), "routingOrder": str(person.order),
        "name": person.name, "email": person.email, "status": person.word or PERSON[person.status],
        "customFields": person.facts.get("customFields", []),
    }  # fmt: skip
    if person.facts.get("clientUserId") is not None:
        said["clientUserId"] = person.facts["clientUserId"]
    if "access_code" in person.factors:
        said["accessCode"] = person.factors["access_code"]
    if person.status == "declined":
        said |= {"declinedReason": person.reason, "declinedDateTime": when(person.acted_at)}
    elif person.acted_at:
        said["signedDateTime"] = when(person.acted_at)
    return said


def guid_of(person: Signer) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{id(person)}"))
