"""Webhooks: one subscription for the workspace, whose calls are signed whole, and calls read back."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from providers.base import hmac_sha256, instant, matches
from providers.errors import BadSignature, Unavailable
from providers.http import GARBLED
from providers.interface import Delivery, EnvelopeState, Notification, Subscription
from providers.pandadoc.account import PandaDocAccount
from providers.pandadoc.declared import FORGED, LABEL
from providers.pandadoc.states import (
    DECLINED,
    DRAFT,
    ERROR,
    ID,
    STATUS,
    UPLOADED,
    VOIDED,
    is_copy,
    listed,
    metadata_of,
    role_of,
    state_of,
)

SUBSCRIPTIONS = "/public/v1/webhook-subscriptions"
TRIGGERS = (
    "document_state_changed",
    "recipient_completed",
    "document_updated",
    "document_deleted",
    "document_creation_failed",
    "document_completed_pdf_ready",
)
EVENT_ID = "x-pandadoc-webhook-event-id"
# How a document ended is told by its trail, and one in the making may be back from having been sent.
ASKED_FOR = (DECLINED, VOIDED, UPLOADED, DRAFT, ERROR)
TELLING = ("document_state_changed", "recipient_completed", "document_completed_pdf_ready")


class Webhooks(PandaDocAccount):
    def subscribe(self, url: str) -> Subscription:
        """One that already calls `url` is taken over, switched on again if it was off."""
        body = {
            "name": "Countersign",
            "url": url,
            "active": True,
            "triggers": list(TRIGGERS),
            "payload": ["metadata"],
        }
        there = listed(self.ask("GET", SUBSCRIPTIONS).object(), "items")
        known = next((str(each.get("uuid")) for each in there if each.get("url") == url), "")
        if known:
            reply = self.ask("PATCH", f"{SUBSCRIPTIONS}/{known}", json=body)
        else:
            reply = self.ask("POST", SUBSCRIPTIONS, json=body)
        found = reply.object()
        made, key = found.get("uuid") or known, found.get("shared_key")
        if not made or not isinstance(key, str) or not key:
            raise Unavailable(GARBLED, provider=LABEL)
        return Subscription(str(made), key)

    def unsubscribe(self, subscription: Subscription) -> None:
        self.ask("DELETE", f"{SUBSCRIPTIONS}/{subscription.id}", accept=(404,))

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        """A call holds one or several notifications."""
        self.verify(delivery)
        try:
            found = json.loads(delivery.body)
        except (ValueError, RecursionError):
            return ()
        event_id = delivery.headers.get(EVENT_ID, "")
        notes = (
            notification(each, f"{event_id}:{place}" if event_id else "")
            for place, each in enumerate(found if isinstance(found, list) else [])
        )
        return tuple(note for note in notes if note is not None)

    def verify(self, delivery: Delivery) -> None:
        """The last part of the address is the HMAC-SHA256 of the body by our subscription's key, in hex."""
        subscription = self.connection.subscription
        given = parse_qs(delivery.query).get("signature", [""])[-1]
        if subscription is None or not subscription.secret:
            raise BadSignature(FORGED)
        if not matches(hmac_sha256(subscription.secret, delivery.body).hex(), given.lower()):
            raise BadSignature(FORGED)


def notification(said: Any, event_id: str) -> Notification | None:
    """What one of them says; None for what is not about a document."""
    data = said.get("data") if isinstance(said, dict) else None
    word = said.get("event") if isinstance(said, dict) else None
    if not isinstance(data, dict) or not isinstance(word, str) or not isinstance(data.get("id"), str):
        return None
    if not word or not data["id"]:
        return None
    plain = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:40]
    return Notification(
        event_id or plain,
        data["id"],
        word,
        told_at(data),
        str(metadata_of(data).get(ID) or ""),
        whole_state(word, data),
    )


def told_at(data: dict[str, Any]) -> datetime | None:
    return instant(data.get("action_date") or data.get("date_modified"))


def whole_state(word: str, data: dict[str, Any]) -> EnvelopeState | None:
    """The state, where the call tells it all: who, by the roles we gave, and what."""
    status = data.get("status")
    signers = [each for each in listed(data, "recipients") if not is_copy(each)]
    if word not in TELLING or status not in STATUS or status in ASKED_FOR:
        return None
    return state_of(data) if signers and all(role_of(each) for each in signers) else None
