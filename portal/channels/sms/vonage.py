"""Vonage Messages API, version 1: the one Vonage recommends for everything new; its SMS API is "legacy".

`vonage://KEY:SECRET@api.nexmo.com?from=NAME&signature_secret=S`. Status calls come signed, as a JSON
web token over the hash of the body; unsigned ones are refused and come again. Our id travels as
`client_ref`; it keeps nothing from being sent twice, so after a lost answer a message is sent once more.
Sources: developer.vonage.com/en/messages (technical details, status callbacks, error codes) and
/en/getting-started/concepts/webhooks (November 2026).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, unquote

from portal.channels import Message, Rejected, Unavailable
from portal.channels.sms import http
from portal.channels.sms.interface import (
    DELIVERED,
    ON_ITS_WAY,
    ONCE,
    RETURNED,
    BadSignature,
    Call,
    Field,
    Receipt,
)
from portal.channels.sms.reasons import reason
from portal.i18n import lazy

HOST, ACCOUNT_HOST = "api.nexmo.com", "rest.nexmo.com"
FIELDS = (
    Field("account", lazy("API key"), lazy("On the API settings page of the Vonage dashboard.")),
    Field("token", lazy("API secret"), lazy("It is kept encrypted and never shown again."), is_secret=True),
    Field("signature_secret", lazy("Signature secret"),
          lazy("On the same page. With it, reports of delivery are checked; without it none is believed."),
          is_secret=True, is_optional=True),
    Field("sender", lazy("Sender"),
          lazy("A Vonage number with its country code, or a name of up to 11 letters.")),
    Field("host", lazy("Server"), lazy("Only another region of Vonage has another one."), default=HOST),
)  # fmt: skip

STATUS = {
    "submitted": ON_ITS_WAY, "delivered": DELIVERED, "read": DELIVERED, "rejected": RETURNED,
    "undeliverable": RETURNED,
}  # fmt: skip
REASONS = {
    1000: "busy", 1010: "content", 1020: "content", 1030: "busy", 1040: "content", 1050: "blocked",
    1060: "account", 1070: "account", 1080: "account", 1090: "content", 1100: "refused", 1120: "sender",
    1160: "country", 1170: "invalid", 1180: "off", 1190: "unknown_number", 1200: "unknown_number",
    1210: "filtered", 1220: "off", 1230: "off", 1240: "opted_out", 1250: "country", 1260: "off",
    1270: "blocked", 1280: "blocked", 1290: "blocked",
}  # fmt: skip
SIGNED_BY = "HS256"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Vonage:
    base: str
    account: str
    token: str = field(repr=False)
    sender: str
    signature_secret: str = field(default="", repr=False)
    receipts_at: str = ""
    name = "vonage"
    keeps_text = False
    on_doubt = ONCE
    can_be_asked = False

    @classmethod
    def of(cls, url: str, receipts_at: str = "") -> Vonage:
        parts = http.parts(url)
        query = dict(parse_qsl(parts.query))
        host = HOST if parts.hostname == ACCOUNT_HOST else parts.hostname  # where the older SMS API was
        return cls(
            base=http.base(host, parts.port),
            account=unquote(parts.username or ""),
            token=unquote(parts.password or ""),
            sender=query.get("from", ""),
            signature_secret=query.get("signature_secret", ""),
            receipts_at=receipts_at,
        )

    def send(self, message: Message) -> str | None:
        body = {
            "message_type": "text", "channel": "sms", "to": message.to.lstrip("+"),
            "from": self.sender.lstrip("+"), "text": message.text, "client_ref": message.id,
        }  # fmt: skip
        if self.receipts_at:
            body |= {"webhook_url": self.receipts_at, "webhook_version": "v1"}
        answer = http.ask("POST", f"{self.base}/v1/messages", json=body, auth=(self.account, self.token))
        http.demand_open(answer)
        if not answer.is_good:
            raise Rejected(self._why(answer))
        remote_id = answer.json().get("message_uuid")
        if not remote_id:
            raise Unavailable("unanswered", may_be_taken=True)
        return str(remote_id)

    def find(self, message: Message, since: datetime) -> str | None:
        return None  # there is no way to ask by our own id

    def look_up(self, remote_id: str) -> Receipt:
        return Receipt(ON_ITS_WAY, remote_id=remote_id)  # Vonage reports, it is not asked

    def receipt(self, call: Call, now: datetime) -> Receipt | None:
        self._demand_genuine(call)
        try:
            said = json.loads(call.body)
        except ValueError:
            said = None
        status = said.get("status") if isinstance(said, dict) else None
        if not isinstance(status, str) or status not in STATUS:
            log.warning("vonage: a report with an unknown status is left alone: %.40r", status)
            return None
        return self._receipt(said)

    def check(self) -> None:
        base = self.base.replace(HOST, ACCOUNT_HOST)
        answer = http.ask("GET", f"{base}/account/get-balance", auth=(self.account, self.token))
        http.demand_open(answer)
        if not answer.is_good or "value" not in answer.json():
            raise Rejected(self._why(answer))

    def _demand_genuine(self, call: Call) -> None:
        """Raise BadSignature unless the token is Vonage's and names these very bytes."""
        from joserfc import errors, jwt
        from joserfc.jwk import OctKey

        given = {name.lower(): value for name, value in call.headers.items()}.get("authorization", "")
        scheme, _space, token = given.partition(" ")
        if not self.signature_secret or scheme.lower() != "bearer" or not token:
            raise BadSignature
        try:
            key = OctKey.import_key(self.signature_secret.encode())
            claims = jwt.decode(token.strip(), key, algorithms=[SIGNED_BY]).claims
        except (errors.JoseError, ValueError) as error:
            raise BadSignature from error
        mine = hashlib.sha256(call.body).hexdigest()
        if not hmac.compare_digest(str(claims.get("payload_hash", "")).lower().encode(), mine.encode()):
            raise BadSignature
        if not hmac.compare_digest(str(claims.get("api_key", "")).encode(), self.account.encode()):
            raise BadSignature

    def _why(self, answer: http.Answer) -> str:
        code = code_in(answer.json().get("type"))
        return reason(REASONS.get(code, "refused"), code or answer.status)

    def _receipt(self, said: dict[str, Any]) -> Receipt:
        outcome = STATUS[said["status"]]
        trouble, usage = said.get("error"), said.get("usage")
        trouble = trouble if isinstance(trouble, dict) else {}
        usage = usage if isinstance(usage, dict) else {}
        code = code_in(trouble.get("type")) or code_in(trouble.get("title"))
        return Receipt(
            outcome,
            str(said.get("client_ref") or ""),
            str(said.get("message_uuid") or ""),
            reason(REASONS.get(code, "unclear"), code or "") if outcome == RETURNED else "",
            price_of(usage),
            str(usage.get("currency") or ""),
        )


def code_in(text: Any) -> int:
    """The number at the end of an error's address or in its title; 0 where there is none."""
    found = re.search(r"(\d{4})\D*\Z", str(text or ""))
    return int(found[1]) if found else 0


def price_of(usage: dict[str, Any]) -> Decimal | None:
    try:
        return Decimal(str(usage["price"])) if usage.get("price") else None
    except InvalidOperation:
        return None
