"""A gateway of one's own behind the signed web hook: checks each message, drops doubles by their id.

python -m tests.simulators.sms_webhook --port 9013
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulators.sms import Report, SmsSimulator, Taken, by_hand

KEY = "key-of-the-simulated-gateway"
REFUSED = ("+15005550001", "+15005550003", "+15005550004", "+15005550009")


@dataclass
class SmsWebhook(SmsSimulator):
    clock: Callable[[], float] = time.time
    dropped: int = 0
    seen: set[str] = field(default_factory=set)

    def address(self) -> str:
        return f"webhook+http://{KEY}@{self.host}/send"

    def answer(self, environ: dict[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
        call_id, at = environ.get("HTTP_WEBHOOK_ID", ""), environ.get("HTTP_WEBHOOK_TIMESTAMP", "")
        if environ.get("HTTP_WEBHOOK_SIGNATURE") != mark(call_id, at, body):
            return "401 Unauthorized", {}
        said = json.loads(body)
        if said["id"] != call_id or not said["to"].startswith("+") or not said["text"]:
            return "400 Bad Request", {}
        if said["to"] in REFUSED:
            return "400 Bad Request", {}
        if call_id in self.seen:
            self.dropped += 1
        else:
            self.seen.add(call_id)
            self.taken.append(Taken(call_id, said["to"], said["text"], said.get("receipts_at", ""), call_id))
        return "202 Accepted", {}

    def report(self, taken: Taken, status: str, error: int | None = None) -> Report:
        taken.status = status
        said = {"id": taken.ours, "status": status}
        if error:
            said["reason"] = f"off {error}"
        if taken.price:
            said |= {"price": taken.price, "currency": "EUR"}
        body = json.dumps(said).encode()
        at = str(int(self.clock()))
        call_id = f"report-{taken.id}-{status}"
        headers = {
            "webhook-id": call_id,
            "webhook-timestamp": at,
            "webhook-signature": mark(call_id, at, body),
            "Content-Type": "application/json",
        }
        return Report(taken.reports_to, headers, body)


def mark(call_id: str, at: str, body: bytes) -> str:
    digest = hmac.new(KEY.encode(), f"{call_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


if __name__ == "__main__":
    by_hand(SmsWebhook(), __doc__ or "", f"webhook+http://{KEY}@{{host}}/send")
