"""Webhooks: one for the user, every call a hint.

Adobe signs nothing. A call is believed to be a call by an unguessable secret in the address we registered,
and by our own client id in a header, which Adobe wants to see again in the answer; what it says is read
from the API before it counts.
"""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import parse_qs

from providers.adobe_sign.account import AdobeAccount, etag_of, identified
from providers.adobe_sign.declared import LABEL
from providers.base import NO_CREDENTIALS, instant, matches
from providers.errors import BadSignature, NotConfigured, Refused
from providers.interface import Answer, Delivery, Notification, Subscription

EVENTS = (
    "AGREEMENT_CREATED",
    "AGREEMENT_ACTION_REQUESTED",
    "AGREEMENT_ACTION_COMPLETED",
    "AGREEMENT_ACTION_DELEGATED",
    "AGREEMENT_ACTION_REPLACED_SIGNER",
    "AGREEMENT_WORKFLOW_COMPLETED",
    "AGREEMENT_RECALLED",
    "AGREEMENT_REJECTED",
    "AGREEMENT_EXPIRED",
    "AGREEMENT_EMAIL_VIEWED",
    "AGREEMENT_EMAIL_BOUNCED",
    "AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM",
)
HEADER = "X-AdobeSign-ClientId"
GONE = 404


class Webhooks(AdobeAccount):
    def subscribe(self, url: str) -> Subscription:
        """What an attempt cut short had left for this address is ended first."""
        if not self.own_client_id():
            label = next(each.label for each in self.settings if each.name == "key_client_id")
            raise NotConfigured(NO_CREDENTIALS, provider=LABEL, setting=label)
        for each in self.pages("/webhooks", "userWebhookList", scope="USER", showInActiveWebhooks="true"):
            info = each.get("webhookUrlInfo")
            if isinstance(info, dict) and str(info.get("url") or "").startswith(f"{url}?key="):
                self.end(str(each.get("id") or ""))
        secret = secrets.token_urlsafe(32)
        made = self.ask(
            "POST",
            "/webhooks",
            json={
                "name": "Countersign",
                "scope": "USER",
                "state": "ACTIVE",
                "webhookSubscriptionEvents": list(EVENTS),
                "webhookUrlInfo": {"url": f"{url}?key={secret}"},
                "webhookConditionalParams": {"webhookAgreementEvents": {"includeDetailedInfo": True}},
            },
        )
        return Subscription(identified(made), secret)

    def unsubscribe(self, subscription: Subscription) -> None:
        self.end(subscription.id)

    def end(self, webhook_id: str) -> None:
        path = f"/webhooks/{webhook_id}"
        try:
            etag = etag_of(self.ask("GET", path))
            self.ask("DELETE", path, headers={"If-Match": etag})
        except Refused as error:
            if error.status != GONE:
                raise

    def acknowledge(self, delivery: Delivery) -> Answer:
        """The echo that Adobe wants, of a first GET and of each call; for our own client id only.

        The first GET comes while Adobe registers us, when no secret is kept here yet.
        """
        own = self.own_client_id()
        is_known = self.connection.subscription is not None
        if not self.names_us(delivery) or (is_known and not self.knows_secret(delivery)):
            return Answer(403)
        body = json.dumps({"xAdobeSignClientId": own}).encode()
        return Answer(200, {HEADER: own, "Content-Type": "application/json"}, body)

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        self.verify(delivery)
        try:
            found = json.loads(delivery.body)
        except (ValueError, RecursionError):
            return ()
        about = found.get("agreement") if isinstance(found, dict) else None
        if not isinstance(about, dict):
            return ()  # of a batch as a whole, say
        said = [about.get("id"), found.get("event"), found.get("webhookNotificationId")]
        remote_id, word, number = (each if isinstance(each, str) else "" for each in said)
        if not remote_id or not word or not number:
            return ()
        return (Notification(number, remote_id, word, instant(found.get("eventDate")), own_id(about)),)

    def verify(self, delivery: Delivery) -> None:
        """Raises BadSignature unless the call came to the address only Adobe was told, with our client id."""
        knows, names_us = self.knows_secret(delivery), self.names_us(delivery)
        if not knows or not names_us:
            raise BadSignature

    def knows_secret(self, delivery: Delivery) -> bool:
        subscription = self.connection.subscription
        given = parse_qs(delivery.query).get("key", [""])[0]
        return subscription is not None and bool(subscription.secret) and matches(subscription.secret, given)

    def names_us(self, delivery: Delivery) -> bool:
        own = self.own_client_id()
        return bool(own) and matches(own, delivery.headers.get(HEADER.lower(), ""))


def own_id(about: dict[str, Any]) -> str:
    """Our id, where the agreement carries one."""
    external = about.get("externalId")
    return str(external.get("id") or "") if isinstance(external, dict) else ""
