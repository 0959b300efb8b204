"""Text messages through a web hook of your own: one signed POST per message, and signed reports back.

The body is `{"id", "to", "text", "language"}`, with `receipts_at` where the portal can be reached.
Headers follow the Standard Webhooks convention: `webhook-id`, `webhook-timestamp`, and
`webhook-signature: v1,BASE64`, an HMAC-SHA256 over `id.timestamp.body` under the key in SMS_URL
(`webhook+https://KEY@HOST/PATH`). Any 2xx answer means taken; the same id may come twice after a
crash. What became of a message is reported to `receipts_at`, signed in the same way under the same
key: `{"id", "status", "reason"}`, and where it is known `"price"` and `"currency"`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from portal.channels import Message, Rejected, Unavailable
from portal.channels.sms import http
from portal.channels.sms.interface import (
    DELIVERED,
    ON_ITS_WAY,
    REPEAT,
    RETURNED,
    BadSignature,
    Call,
    Field,
    Receipt,
)
from portal.channels.sms.reasons import reason
from portal.i18n import lazy

OLDEST_S = 300  # of a report, either way
FIELDS = (
    Field("address", lazy("Address"),
          lazy("Where we post each message, such as https://sms.example.com/send.")),
    Field("token", lazy("Key"),
          lazy("Signs every message, and every report that comes back. It is never shown again."),
          is_secret=True),
)  # fmt: skip
STATUS = {
    "accepted": ON_ITS_WAY, "queued": ON_ITS_WAY, "sent": ON_ITS_WAY, "delivered": DELIVERED,
    "undelivered": RETURNED, "failed": RETURNED, "rejected": RETURNED, "expired": RETURNED,
}  # fmt: skip

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Webhook:
    url: str
    key: bytes = field(repr=False)
    receipts_at: str = ""
    clock: Callable[[], float] = time.time
    name = "webhook"
    keeps_text = False
    on_doubt = REPEAT
    can_be_asked = False

    @classmethod
    def of(cls, url: str, receipts_at: str = "") -> Webhook:
        """From `webhook+https://KEY@HOST/PATH`."""
        parts = urlsplit(url.removeprefix("webhook+"))
        host = parts.hostname or ""
        bare = parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host)
        return cls(urlunsplit(bare), unquote(parts.username or "").encode(), receipts_at)

    def send(self, message: Message) -> None:
        if not self.key:
            raise Unavailable("SMS_URL holds no key to sign with: write webhook+https://KEY@HOST/PATH")
        said = {"id": message.id, "to": message.to, "text": message.text, "language": message.language}
        if self.receipts_at:
            said["receipts_at"] = self.receipts_at
        body = json.dumps(said, ensure_ascii=False).encode()
        answer = http.ask(
            "POST", self.url, data=body,
            headers={"content-type": "application/json", **self.signed(message.id, body)},
        )  # fmt: skip
        http.demand_open(answer)
        if not answer.is_good:
            raise Rejected(reason("refused", answer.status))

    def find(self, message: Message, since: datetime) -> str | None:
        return None  # the same id tells the other side

    def look_up(self, remote_id: str) -> Receipt:
        return Receipt(ON_ITS_WAY, remote_id=remote_id)  # it reports, it is not asked

    def receipt(self, call: Call, now: datetime) -> Receipt | None:
        headers = {name.lower(): value for name, value in call.headers.items()}
        at, call_id = headers.get("webhook-timestamp", ""), headers.get("webhook-id", "")
        if not self.key or not at.isdigit() or abs(now.timestamp() - int(at[:12])) > OLDEST_S:
            raise BadSignature
        mine = self.signature(call_id, at, call.body).encode()
        given = headers.get("webhook-signature", "").split()
        if not any(hmac.compare_digest(mine, each.encode()) for each in given[:5]):
            raise BadSignature
        try:
            said = json.loads(call.body)
        except ValueError:
            said = None
        status = said.get("status") if isinstance(said, dict) else None
        if not isinstance(status, str) or status not in STATUS:
            log.warning("sms webhook: a report with an unknown status is left alone: %.40r", status)
            return None
        return receipt_of(said, STATUS[status])

    def check(self) -> None:
        """There is nothing to ask that sends nothing: the test message shows whether it works."""

    def signed(self, call_id: str, body: bytes) -> dict[str, str]:
        """The headers that prove where a message comes from."""
        at = str(int(self.clock()))
        return {
            "webhook-id": call_id,
            "webhook-timestamp": at,
            "webhook-signature": self.signature(call_id, at, body),
        }

    def signature(self, call_id: str, at: str, body: bytes) -> str:
        digest = hmac.new(self.key, f"{call_id}.{at}.".encode() + body, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"


def receipt_of(said: dict[str, Any], outcome: str) -> Receipt:
    """A reason in one of our words is read in every language; other words are shown as they came."""
    told = " ".join(str(said.get("reason") or "").split())[:200]
    try:
        price = Decimal(str(said["price"])) if said.get("price") else None
    except InvalidOperation:
        price = None
    why = (told or "unclear") if outcome == RETURNED else ""
    return Receipt(outcome, str(said.get("id") or ""), "", why, price, str(said.get("currency") or ""))
