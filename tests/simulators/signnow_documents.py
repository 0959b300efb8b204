"""How the simulated signNow writes a document down: invitations, roles, fields, history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.simulators.vendor import Envelope, Signer

WORDS = {
    "waiting": "created", "sent": "pending", "opened": "pending", "signed": "fulfilled",
    "declined": "declined",
}  # fmt: skip
APPLICATION = "Countersign tests"
USER = "890d13607d89a7b3f6e67a14757d02ec00cf5eae"


def seconds(at: datetime | None) -> str:
    return str(int(at.timestamp())) if at else "0"


def short(envelope: Envelope) -> dict[str, Any]:
    """What a list without relations tells of it."""
    return {
        "id": envelope.id,
        "user_id": USER,
        "document_name": envelope.title,
        "page_count": "1",
        "created": seconds(envelope.created_at),
        "updated": seconds(updated_at(envelope)),
        "original_filename": envelope.facts.get("file_name", "older.pdf"),
    }


def updated_at(envelope: Envelope) -> datetime | None:
    times = [envelope.created_at, envelope.ended_at, *(each.acted_at for each in envelope.people)]
    return max((each for each in times if each), default=None)


def whole(envelope: Envelope, owner: str) -> dict[str, Any]:
    """Its details, as GET /document/{id} answers them."""
    people = [each for each in envelope.people if each.role != "copy"]
    is_withdrawn = envelope.status == "voided"
    return short(envelope) | {
        "origin_document_id": envelope.facts.get("origin"),
        "owner": owner,
        "template": bool(envelope.facts.get("template")),
        "signatures": [
            {"id": f"s{each.id}", "email": each.email} for each in people if each.status == "signed"
        ],
        "fields": [
            {
                "id": f"f{number}",
                "type": each["type"],
                "role": each["role"],
                "role_id": envelope.facts["roles"][each["role"]],
                "json_attributes": {
                    name: each[name] for name in ("page_number", "x", "y", "width", "height", "required")
                },
                "field_request_canceled": seconds(envelope.ended_at) if is_withdrawn else None,
            }
            for number, each in enumerate(envelope.facts.get("fields", []))
        ],
        "requests": [],
        "roles": [
            {"unique_id": unique_id, "signing_order": "1", "name": name}
            for name, unique_id in envelope.facts.get("roles", {}).items()
        ],
        "field_invites": [] if is_withdrawn else [invite(envelope, each) for each in people],
        "routing_details": envelope.facts.get("routing", []),
        "parent_id": envelope.facts.get("folder", ""),
    }


def invite(envelope: Envelope, person: Signer) -> dict[str, Any]:
    is_open = person.status in ("waiting", "sent", "opened")
    word = WORDS[person.status]
    if is_open and envelope.word:
        word = envelope.word
    elif is_open and envelope.status == "expired":
        word = "expired"
    suffix = f"({APPLICATION})" if person.is_embedded else ""
    return {
        "id": person.id,
        "status": word,
        "password_protected": "1" if person.factors else "0",
        "password_type": next(iter(person.factors), ""),
        "reassign": person.facts.get("reassign", "0"),
        "created": seconds(envelope.created_at),
        "updated": seconds(person.acted_at or envelope.ended_at or envelope.created_at),
        "email": f"{person.email}{suffix}",
        "role": person.facts.get("role", "Signer 1"),
        "role_id": person.facts.get("role_id", ""),
        "reminder": "0",
        "expiration_time": seconds(envelope.expires_at),
        "redirect_uri": person.facts.get("return_url"),
        "declined": [{"email": person.email, "reason": person.reason}] if person.status == "declined" else [],
        "prefill_signature_name": person.name or None,
        "is_embedded": person.is_embedded,
    }


def history(envelope: Envelope) -> list[dict[str, Any]]:
    """What GET /document/{id}/historyfull answers."""
    made = {
        "event": "created_document",
        "created": seconds(envelope.created_at),
        "client_app_name": APPLICATION,
    }
    return [made] + [
        {
            "unique_id": f"h{each.id}",
            "event": "document_signing_session_completed",
            "created": seconds(each.acted_at),
            "email": each.email,
            "document_id": envelope.id,
        }
        for each in envelope.people
        if each.acted_at
    ]
