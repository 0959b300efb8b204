"""Callbacks: of the API app where there is one, else of the whole account; each call is a hint.

Its hash covers the time and the name of the event and nothing else, so a call is believed to be from
Dropbox Sign and what it says is read from the API before it counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from providers.base import hmac_sha256, instant, matches
from providers.dropbox_sign import LABEL
from providers.dropbox_sign.access import API, GONE, Access, by_key
from providers.dropbox_sign.words import our_id
from providers.errors import BadSignature, NotConfigured, Refused
from providers.http import NOT_LET_IN, Expired, Reply
from providers.interface import Answer, Delivery, Notification, Subscription, mark

EXPECTED = b"Hello API Event Received"
NOT_THERE = (403, 404, GONE)

NO_KEY = mark("Enter the API key of the app’s owner first: without it nobody can tell who calls.")
TAKEN = mark(
    "Dropbox Sign already calls another address (%(url)s). Clear it there, or enter the Client ID of an API"
    " app of its own here."
)
FORGED = mark("The signature of a call from Dropbox Sign does not hold.")

log = logging.getLogger(__name__)


class Callbacks(Access):
    def subscribe(self, url: str) -> Subscription:
        """Raises NotConfigured where another address is called already: it may be somebody else's."""
        if not self.callback_key:
            raise NotConfigured(NO_KEY)
        place = self.client_id
        before = self.called(place)
        last = self.connection.subscription
        ours = (url, last.facts.get("url", "") if last else "")
        if before and before not in ours:
            raise NotConfigured(TAKEN, url=before)
        if before != url:
            self.have_called(place, url)
        return Subscription(place or "account", facts={"url": url})

    def unsubscribe(self, subscription: Subscription) -> None:
        place = "" if subscription.id == "account" else subscription.id
        try:
            if self.called(place) == subscription.facts.get("url"):
                self.have_called(place, "")
        except Refused as error:
            if error.status not in NOT_THERE:
                raise

    def called(self, client_id: str) -> str:
        """The address that is called now; empty for none."""
        found = self.as_owner("GET", place_of(client_id)).object()
        about = found.get("api_app" if client_id else "account")
        return str(about.get("callback_url") or "") if isinstance(about, dict) else ""

    def have_called(self, client_id: str, url: str) -> None:
        self.as_owner("PUT", place_of(client_id), json={"callback_url": url})

    def as_owner(self, method: str, path: str, **what: Any) -> Reply:
        """A call by the key of whoever owns the API app: OAuth lets into other people's accounts."""
        if self.connection.is_rehearsal or self.setting("method") == "api_key":
            return self.ask(method, path, **what)
        try:
            headers = by_key(self.callback_key)
            return self.http.request(method, self.address(API, path), headers=headers, **what)
        except Expired as error:
            raise NotConfigured(NOT_LET_IN, provider=LABEL) from error

    # --- Calls ---------------------------------------------------------------------------------

    def acknowledge(self, delivery: Delivery) -> Answer:
        """The very words that Dropbox Sign waits for; without them it calls again for three days."""
        return Answer(200, {"Content-Type": "text/plain"}, EXPECTED)

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        call = said_in(delivery)
        event = call.get("event")
        event = event if isinstance(event, dict) else {}
        time, word, given = (event.get(name) for name in ("event_time", "event_type", "event_hash"))
        key = self.callback_key
        if not key or not all(isinstance(each, str) and each for each in (time, word, given)):
            raise BadSignature(FORGED)
        if not matches(hmac_sha256(key, f"{time}{word}".encode()).hex(), str(given)):
            raise BadSignature(FORGED)
        about = call.get("signature_request")
        if not isinstance(about, dict) or not isinstance(about.get("signature_request_id"), str):
            log.info("provider.other_call", extra={"fields": {"provider": LABEL, "word": word}})
            return ()  # of a template or the account, or a test of the address
        metadata = event.get("event_metadata")
        whose = metadata.get("related_signature_id") if isinstance(metadata, dict) else None
        told = json.dumps([given, about["signature_request_id"], whose])
        return (
            Notification(
                id=hashlib.sha256(told.encode()).hexdigest(),
                remote_id=about["signature_request_id"],
                word=str(word),
                at=instant(time),
                request_id=our_id(about),
            ),
        )


def place_of(client_id: str) -> str:
    return f"/api_app/{client_id}" if client_id else "/account"


def said_in(delivery: Delivery) -> dict[str, Any]:
    """The JSON in the field `json` of a multipart form. Raises BadSignature for anything else."""
    kind = delivery.headers.get("content-type", "")
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + delivery.body)
    for part in message.iter_parts() if message.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "json":
            content = part.get_payload(decode=True)
            try:
                found = json.loads(content if isinstance(content, bytes) else b"")
            except (ValueError, RecursionError) as error:
                raise BadSignature(FORGED) from error
            if isinstance(found, dict):
                return found
    raise BadSignature(FORGED)
