"""A contract that is ready to sign, made quickly, and people who act in it.

The frozen PDF is typeset once per process; keys "ana" and "claire" have a spot on it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from portal.documents import render
from portal.models.base import new_id, transaction
from portal.models.contracts import Contract, Document, Revision
from portal.models.envelopes import Act, Consent, Envelope, Recipient
from portal.services import ceremonies, documents, envelopes
from portal.services.audit import Actor
from providers import registry
from providers.interface import EventKind, ProviderEvent
from tests.documents import samples


@lru_cache(maxsize=4)
def printed(repeat: int = 1, signatures: int = 2) -> render.Rendered:
    return render.contract_pdf(samples.contract(repeat=repeat, signatures=samples.signers(signatures)))


def actor(person: Any) -> Actor:
    return Actor("person", person.id, person.name, person.email)


def theirs(key: str = "claire", **changes: Any) -> dict[str, Any]:
    return {
        "key": key, "side": "theirs", "role": "signer", "routing_order": 1, "name": "Claire Aubert",
        "email": f"{key}@castellan.example", "title": "IT Director", "organisation": "Castellan Pharma SA",
        "phone": "+33612345638", "language": "fr", "is_consumer": False, "person_id": None, **changes,
    }  # fmt: skip


def ours(cast: Any, **changes: Any) -> dict[str, Any]:
    return {
        "key": "ana", "side": "ours", "role": "signer", "routing_order": 2, "name": cast.priya.name,
        "email": cast.priya.email, "title": "Managing Director", "organisation": cast.entity.name,
        "phone": "", "language": "en", "is_consumer": False, "person_id": cast.priya.id, **changes,
    }  # fmt: skip


def ready(
    cast: Any, now: datetime, people: list[dict[str, Any]] | None = None, *, repeat: int = 1,
    signatures: int = 2, **values: Any,
) -> Contract:  # fmt: skip
    """A contract in `ready_to_sign` with its frozen revision and the PDF everyone is shown."""
    rendered = printed(repeat, signatures)
    if not hasattr(registry._ceremony, "open"):
        registry.set_ceremony(ceremonies.BuiltinCeremony())
    reference = f"LF-2026-{new_id()[-6:]}"
    contract = Contract.create(
        id=new_id(), reference=reference, side="supplier", state="ready_to_sign",
        owner=cast.ana, entity=cast.entity, counterparty=cast.customer, created_at=now, updated_at=now,
        recipients=people if people is not None else [theirs(), ours(cast)],
        **{"value_amount": Decimal("20000.00"), "kind": "file", "title": "Premium support", **values},
    )  # fmt: skip
    revision = Revision.create(
        id=new_id(), contract=contract, number=1, clauses=[], terms={}, author=cast.ana, created_at=now,
        frozen_at=now, canonical=b"{}", sha256=hashlib.sha256(b"{}").hexdigest(),
    )  # fmt: skip
    documents.add(
        rendered.pdf, "shown", file_name=f"{reference}.pdf", now=now, contract=contract, revision=revision,
        pages=rendered.pages, facts={"placements": [vars(spot) for spot in rendered.placements]},
    )  # fmt: skip
    return contract


def send(cast: Any, now: datetime, contract: Contract | None = None, **values: Any) -> Envelope:
    contract = contract or ready(cast, now)
    return envelopes.send(
        contract, message=values.pop("message", ""), by=actor(cast.ana), now=now,
        expires_at=values.pop("expires_at", now + timedelta(days=30)), **values,
    )  # fmt: skip


def sent(
    cast: Any, now: datetime, run_jobs: Any, contract: Contract | None = None, **values: Any
) -> Envelope:
    """Sent, and the first people asked."""
    envelope = send(cast, now, contract, **values)
    run_jobs(now)
    return Envelope.get_by_id(envelope.id)


def recipient(envelope: Envelope, key: str) -> Recipient:
    return Recipient.get((Recipient.envelope == envelope) & (Recipient.key == key))


def shown(envelope: Envelope) -> Document:
    return Document.get_by_id(envelope.document.id)


def consent(who: Recipient, now: datetime) -> None:
    text = "I agree to electronic records."
    Consent.create(
        recipient=who, version="2026-11", language=who.language, demonstration="reading_pages", given_at=now,
        text_sha256=hashlib.sha256(text.encode()).hexdigest(), text=text,
    )  # fmt: skip


def act(
    envelope: Envelope, key: str, now: datetime, kind: str = "sign", *, reason: str = "", drawn: str = ""
) -> None:
    """What the ceremony does at the confirm: the act and the event in one transaction."""
    who = recipient(envelope, key)
    by = Actor("recipient", who.id, who.name, who.email, "192.0.2.7", "Browser/1")
    kinds = {"sign": EventKind.SIGNED, "approve": EventKind.APPROVED, "decline": EventKind.DECLINED}
    sha256 = envelope.document.sha256
    with transaction():
        envelopes.lock(envelope.id)
        Act.insert(
            envelope=envelope, recipient=who, kind=kind, at=now, document_sha256=sha256, name=who.name,
            title=who.title, intent="I sign this document.", authority="I am authorised to bind my company.",
            signature_kind="" if kind != "sign" else "drawn" if drawn else "typed", signature_path=drawn,
            reason=reason, address="192.0.2.7", user_agent="Browser/1",
            factors=[{"factor": "link", "at": now.isoformat()},
                     {"factor": "sms", "at": now.isoformat(), "ending": "38"}],
        ).execute()  # fmt: skip
        event = ProviderEvent(kinds[kind], now, recipient_key=key, document_sha256=sha256, reason=reason)
        envelopes.apply_event(envelope.id, event, by=by, now=now)
