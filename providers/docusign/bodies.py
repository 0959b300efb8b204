"""Our requests in DocuSign's shapes.

Almost every scalar is a string there, numbers and booleans too. A spot's place is counted in points (72 a
inch) from the upper left corner of its page to the upper left corner of the field. A person's `recipientId`
is their place in the request, from "1"; our key and role stand in their custom fields besides.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from providers.base import placements_of
from providers.docusign.sdk import shape
from providers.docusign.words import KEY, OUR_ID, ROLE
from providers.errors import Unsupported
from providers.interface import (
    BulkRequest,
    BulkRow,
    Capabilities,
    EnvelopeRequest,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    mark,
)

# `transactionId` must be a GUID: ours is made from the request's id, so that it is the same every time.
TRANSACTIONS = uuid.UUID("5f6f6e4e-3c0c-5d7c-9a34-2d6c1f0e7b11")
ID_CHECKS = {"sms": "SMS Auth $", "phone": "Phone Auth $", "kba": "ID Check $"}
ROLES = ("signer", "approver", "copy")
BULK_ROLE = "signer"
DOCUMENT = "1"

NO_FACTOR = mark("DocuSign cannot check %(name)s by %(factors)s.")
ONE_CHECK = mark(
    "DocuSign makes one check by phone, text message or questions for a person, not two: %(name)s."
)
NO_PHONE = mark("DocuSign needs the phone number of %(name)s to check it.")
NO_CODE = mark("An access code for %(name)s is missing.")
NO_LANGUAGE = mark("DocuSign does not write in the language %(language)s.")
NO_ROLE = mark("DocuSign has no role %(role)s.")
TOO_SOON = mark("DocuSign counts in whole days: at least one day is needed to sign.")
TOO_LARGE = mark("The document is larger than DocuSign takes (%(megabytes)s MB).")


def transaction_id(request_id: str) -> str:
    return str(uuid.uuid5(TRANSACTIONS, request_id))


def days_left(expires_at: datetime, now: datetime) -> int:
    """Whole days that end no later than asked. Raises Unsupported for less than one."""
    days = int((expires_at - now).total_seconds() // 86_400)
    if days < 1:
        raise Unsupported(TOO_SOON)
    return days


def demand_possible(request: EnvelopeRequest, can: Capabilities, now: datetime) -> None:
    """Raises Unsupported for anything asked for that would not be done."""
    days_left(request.expires_at, now)
    for each in request.recipients:
        if each.role not in ROLES:
            raise Unsupported(NO_ROLE, role=each.role)
        if unknown := set(each.factors) - can.factors:
            raise Unsupported(NO_FACTOR, name=each.name, factors=", ".join(sorted(unknown)))
        if len([factor for factor in each.factors if factor in ID_CHECKS]) > 1:
            raise Unsupported(ONE_CHECK, name=each.name)
        if {"sms", "phone"} & set(each.factors) and not each.phone:
            raise Unsupported(NO_PHONE, name=each.name)
        if "access_code" in each.factors and not each.access_code:
            raise Unsupported(NO_CODE, name=each.name)
        demand_language(each.language, can)


def demand_language(language: str, can: Capabilities) -> None:
    if language not in can.languages:
        raise Unsupported(NO_LANGUAGE, language=language)


def content_of(document: OutgoingDocument, can: Capabilities) -> bytes:
    content = document.read()
    if len(content) > can.largest_file_bytes:
        raise Unsupported(TOO_LARGE, megabytes=can.largest_file_bytes // 1_000_000)
    return content


# --- One envelope --------------------------------------------------------------------------------


def definition(request: EnvelopeRequest, content: bytes, now: datetime, workflow: str) -> Any:
    """The whole envelope, to be sent at once. `workflow` is the one for identity documents."""
    numbered = list(enumerate(request.recipients, start=1))
    return shape(
        "EnvelopeDefinition",
        status="sent",
        email_subject=request.title,
        email_blurb=request.message,
        documents=[document(request.document, content)],
        recipients=shape(
            "Recipients",
            signers=[signer(request, each, n, workflow) for n, each in numbered if each.role != "copy"],
            carbon_copies=[copy(request, each, n, workflow) for n, each in numbered if each.role == "copy"],
        ),
        notification=notification(request.remind_after_days, days_left(request.expires_at, now)),
        custom_fields=custom_fields({OUR_ID: request.id}),
        transaction_id=transaction_id(request.id),
        allow_reassign="false",
    )


def document(of: OutgoingDocument, content: bytes) -> Any:
    return shape(
        "Document",
        document_id=DOCUMENT,
        name=of.name,
        file_extension="pdf",
        document_base64=base64.b64encode(content).decode(),
    )


def notification(remind_after_days: int, expire_after_days: int) -> Any:
    """Reminders every so many days (0 for none), and the last day; no warning mail before it."""
    reminds = remind_after_days > 0
    return shape(
        "Notification",
        use_account_defaults="false",
        reminders=shape(
            "Reminders",
            reminder_enabled="true" if reminds else "false",
            reminder_delay=str(remind_after_days),
            reminder_frequency=str(remind_after_days),
        ),
        expirations=shape(
            "Expirations", expire_enabled="true", expire_after=str(expire_after_days), expire_warn="0"
        ),
    )


def custom_fields(named: dict[str, str]) -> Any:
    fields = [
        shape("TextCustomField", name=name, value=value, show="false", required="false")
        for name, value in named.items()
    ]
    return shape("CustomFields", text_custom_fields=fields)


def signer(request: EnvelopeRequest, person: OutgoingRecipient, number: int, workflow: str) -> Any:
    spots = placements_of(request.placements, person.key)
    tabs = approval(spots, request) if person.role == "approver" else signatures(spots)
    return shape("Signer", tabs=tabs, **common(request, person, number, workflow))


def copy(request: EnvelopeRequest, person: OutgoingRecipient, number: int, workflow: str) -> Any:
    return shape("CarbonCopy", **common(request, person, number, workflow))


def common(request: EnvelopeRequest, person: OutgoingRecipient, number: int, workflow: str) -> dict[str, Any]:
    """What signers and copies have in common. With `clientUserId` DocuSign mails nothing to a person."""
    return {
        "recipient_id": str(number),
        "routing_order": str(person.routing_order),
        "name": person.name,
        "email": person.email,
        "client_user_id": person.key if person.is_embedded else None,
        "custom_fields": [f"{KEY}{person.key}", f"{ROLE}{person.role}"],
        "email_notification": mail(request.title, request.message, person.language),
        **checks(person, workflow),
    }


def mail(subject: str, body: str, language: str) -> Any:
    return shape(
        "RecipientEmailNotification",
        email_subject=subject,
        email_body=body,
        supported_language=language.replace("-", "_"),
    )


def checks(person: OutgoingRecipient, workflow: str) -> dict[str, Any]:
    """What DocuSign itself checks of a person, in its fields."""
    made: dict[str, Any] = {}
    if "access_code" in person.factors:
        made |= {"access_code": person.access_code, "add_access_code_to_email": "false"}
    for factor, name in ID_CHECKS.items():
        if factor in person.factors:
            made |= {"id_check_configuration_name": name, "require_id_lookup": "true"}
    if "sms" in person.factors:
        made["sms_authentication"] = shape(
            "RecipientSMSAuthentication", sender_provided_numbers=[person.phone]
        )
    if "phone" in person.factors:
        made["phone_authentication"] = shape(
            "RecipientPhoneAuthentication",
            recip_may_provide_number="false",
            sender_provided_numbers=[person.phone],
        )
    if "id_check" in person.factors:
        made["identity_verification"] = shape("RecipientIdentityVerification", workflow_id=workflow)
    return made


# --- Spots ---------------------------------------------------------------------------------------


def signatures(spots: Iterable[Placement]) -> Any:
    """Fields to sign; without any, DocuSign lets the signer choose the place."""
    made = [shape("SignHere", tab_label=f"Signature {n}", **place(spot)) for n, spot in enumerate(spots, 1)]
    return shape("Tabs", sign_here_tabs=made) if made else None


def approval(spots: list[Placement], request: EnvelopeRequest) -> Any:
    """A button to approve and one to decline, at the spot or else at the foot of the last page.

    There is no role for approvers: a signer without a field to sign is one.
    """
    spot = spots[0] if spots else Placement("", request.document.pages, 72.0, 72.0, 180.0, 30.0)
    half = {"width": str(max(1, round(spot.width / 2) - 5)), "height": str(max(1, round(spot.height)))}
    beside = Placement("", spot.page, spot.x + spot.width / 2, spot.y, 0, spot.height, spot.page_height)
    return shape(
        "Tabs",
        approve_tabs=[shape("Approve", **place(spot), **half)],
        decline_tabs=[shape("Decline", **place(beside), **half)],
    )


def place(spot: Placement) -> dict[str, str]:
    """Whole points, as DocuSign counts them."""
    return {
        "document_id": DOCUMENT,
        "page_number": str(spot.page),
        "x_position": str(max(0, round(spot.x))),
        "y_position": str(max(0, round(spot.top))),
    }


# --- Many envelopes at once ------------------------------------------------------------------------


def bulk_list(request: BulkRequest) -> Any:
    """A person and our key for each copy. The list bears our id, so that it is found again."""

    def one(row: BulkRow) -> Any:
        return shape(
            "BulkSendingCopy",
            recipients=[
                shape(
                    "BulkSendingCopyRecipient",
                    role_name=BULK_ROLE,
                    name=row.name,
                    email=row.email,
                    custom_fields=[f"{KEY}{row.key}", f"{ROLE}signer"],
                    email_notification=mail(request.title, request.message, row.language),
                )
            ],
            custom_fields=[shape("BulkSendingCopyCustomField", name=OUR_ID, value=row.key)],
        )

    return shape("BulkSendingList", name=request.id, bulk_copies=[one(row) for row in request.rows])


def bulk_draft(request: BulkRequest, content: bytes, now: datetime, list_id: str) -> Any:
    """The draft that every copy is made from: one placeholder with the list's role.

    Name and address of the placeholder are the vendor's own, from its example "bulk send envelopes".
    """
    person = shape(
        "Signer",
        recipient_id="1",
        routing_order="1",
        role_name=BULK_ROLE,
        name=f"Multi Bulk Recipient::{BULK_ROLE}",
        email=f"multiBulkRecipients-{BULK_ROLE}@docusign.com",
        tabs=signatures(request.placements),
    )
    return shape(
        "EnvelopeDefinition",
        status="created",
        email_subject=request.title,
        email_blurb=request.message,
        documents=[document(request.document, content)],
        recipients=shape("Recipients", signers=[person]),
        notification=notification(2, days_left(request.expires_at, now)),
        # `mailingListId` binds the draft to the list; ours must be in the draft to be filled in each copy.
        custom_fields=custom_fields({OUR_ID: request.id, "mailingListId": list_id}),
        transaction_id=transaction_id(request.id),
        allow_reassign="false",
    )
