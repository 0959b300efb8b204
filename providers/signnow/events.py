"""Webhooks: one subscription per event, all with one key, and calls read back."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from providers.base import hmac_sha256, instant, matches
from providers.errors import BadSignature
from providers.interface import Delivery, Notification, Subscription
from providers.signnow.account import SignNowAccount
from providers.signnow.states import listed

# What an account's user can subscribe to and what moves an envelope.
EVENTS = (
    "user.document.complete",
    "user.document.delete",
    "user.document.fieldinvite.sent",
    "user.document.fieldinvite.signed",
    "user.document.fieldinvite.decline",
    "user.document.fieldinvite.delete",
    "user.document.fieldinvite.reassign",
    "user.document.fieldinvite.replace",
    "user.document.freeform.signed",
)
SIGNATURE = "x-signnow-signature"
OWN = "X-Countersign-Token"  # a value of ours that signNow repeats in each call


class Webhooks(SignNowAccount):
    def subscribe(self, url: str) -> Subscription:
        """One key for all events. What an attempt cut short had left for this address is ended first."""
        self.end(self.subscribed_to(url))
        user = str(self.user().get("id", ""))
        key, own = secrets.token_hex(32), secrets.token_urlsafe(24)
        for event in EVENTS:
            self.call(
                "POST",
                self.url("/api/v2/events"),
                json={
                    "event": event,
                    "entity_id": user,
                    "action": "callback",
                    "attributes": {
                        "callback": url,
                        "use_tls_12": True,
                        "secret_key": key,
                        "headers": {OWN: own},
                    },
                },
            )
        return Subscription(",".join(self.subscribed_to(url)), key, {"own": own})

    def unsubscribe(self, subscription: Subscription) -> None:
        self.end([each for each in subscription.id.split(",") if each])

    def end(self, ids: list[str]) -> None:
        for each in ids:
            self.as_application("DELETE", f"/api/v2/events/{each}", accept=(404,))

    def subscribed_to(self, url: str) -> list[str]:
        """Ids of the application's subscriptions that call this address: creating one answers nothing."""
        ids: list[str] = []
        page = pages = 1
        while page <= pages:
            found = self.as_application("GET", "/api/v2/events", params={"page": page}).object()
            for each in listed(found, "data"):
                attributes = each.get("json_attributes")
                if isinstance(attributes, dict) and attributes.get("callback_url") == url:
                    ids.append(str(each["id"]))
            pages = total_pages(found)
            page += 1
        return ids

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        self.verify(delivery)
        try:
            found = json.loads(delivery.body)
        except ValueError:
            return ()
        if not isinstance(found, dict):
            return ()
        meta, content = found.get("meta"), found.get("content")
        if not isinstance(meta, dict) or not isinstance(content, dict):
            return ()
        document_id, word = content.get("document_id"), meta.get("event")
        if not isinstance(document_id, str) or not isinstance(word, str) or not document_id or not word:
            return ()
        return (Notification(call_id(meta, content), document_id, word, instant(meta.get("timestamp"))),)

    def verify(self, delivery: Delivery) -> None:
        """Raises BadSignature unless the body is signed with our key and our own header comes along.

        Seen from the vendor: Base64 of the digest. Other integrations report hexadecimal; both are taken.
        """
        subscription = self.connection.subscription
        if subscription is None or not subscription.secret or not subscription.facts.get("own"):
            raise BadSignature
        digest = hmac_sha256(subscription.secret, delivery.body)
        given = delivery.headers.get(SIGNATURE, "")
        signed = [matches(each, given) for each in (base64.b64encode(digest).decode(), digest.hex())]
        own = matches(subscription.facts["own"], delivery.headers.get(OWN.lower(), ""))
        if not any(signed) or not own:
            raise BadSignature


def call_id(meta: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """The same for a repeated call: signNow numbers none."""
    said = json.dumps([meta.get("event"), meta.get("timestamp"), content], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:40]


def total_pages(found: Mapping[str, Any]) -> int:
    meta = found.get("meta")
    pagination = meta.get("pagination") if isinstance(meta, dict) else None
    pages = pagination.get("total_pages") if isinstance(pagination, dict) else None
    return pages if isinstance(pages, int) else 1
