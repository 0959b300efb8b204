"""A small Vonage: the Messages API takes a text message and reports it with a signed web token.

python -m tests.simulators.vonage --port 9012
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.simulators.sms import Report, SmsSimulator, Taken, by_hand

KEY, SECRET, SIGNATURE_SECRET = (
    "abcd1234",
    "api-secret-of-the-simulator",
    "signature-secret-of-the-simulator-1",
)
REFUSED = {"15005550001": 1170, "15005550003": 1160, "15005550004": 1240, "15005550009": 1050}


@dataclass
class Vonage(SmsSimulator):
    def address(self, sender: str = "Larkfield") -> str:
        query = urlencode({"from": sender, "signature_secret": SIGNATURE_SECRET})
        return f"vonage://{KEY}:{SECRET}@{self.host}?{query}"

    def answer(self, environ: dict[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
        login = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if environ.get("HTTP_AUTHORIZATION") != f"Basic {login}":
            return "401 Unauthorized", problem("Unauthorised", 0)
        if environ["PATH_INFO"] == "/account/get-balance":
            return "200 OK", {"value": 12.5, "autoReload": False}
        if environ["PATH_INFO"] != "/v1/messages" or environ["REQUEST_METHOD"] != "POST":
            return "404 Not Found", problem("Not found", 0)
        return self.create(json.loads(body))

    def create(self, said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        to = str(said.get("to", ""))
        if (said.get("channel"), said.get("message_type")) != ("sms", "text"):
            return "422 Unprocessable Entity", problem("Invalid params", 1020)
        if to in REFUSED:
            return "422 Unprocessable Entity", problem("Refused", REFUSED[to])
        if not re.fullmatch(r"[1-9]\d{6,14}", to):
            return "422 Unprocessable Entity", problem("Invalid number", 1170)
        if not said.get("from") or not said.get("text"):
            return "422 Unprocessable Entity", problem("Missing params", 1010)
        if said.get("webhook_url") and said.get("webhook_version") != "v1":
            return "422 Unprocessable Entity", problem("Invalid webhook version", 1020)
        if len(str(said.get("client_ref", ""))) > 100:
            return "422 Unprocessable Entity", problem("Invalid client_ref", 1020)
        made = Taken(
            f"aaaaaaaa-bbbb-cccc-dddd-{len(self.taken):012x}", f"+{to}", said["text"],
            said.get("webhook_url", ""), said.get("client_ref", ""),
        )  # fmt: skip
        self.taken.append(made)
        return "202 Accepted", {"message_uuid": made.id}

    def report(self, taken: Taken, status: str, error: int | None = None) -> Report:
        taken.status, taken.error = status, error
        said: dict[str, Any] = {
            "message_uuid": taken.id, "to": taken.to.lstrip("+"), "from": "Larkfield", "status": status,
            "timestamp": "2026-11-23T09:41:02.000Z", "client_ref": taken.ours, "channel": "sms",
        }  # fmt: skip
        if error:
            said["error"] = problem(str(error), error)
        if taken.price:
            said["usage"] = {"currency": "EUR", "price": taken.price}
        body = json.dumps(said).encode()
        claims = {"iat": int(time.time()), "jti": taken.id, "iss": "Vonage", "api_key": KEY,
                  "payload_hash": hashlib.sha256(body).hexdigest()}  # fmt: skip
        headers = {"Authorization": f"Bearer {token(claims)}", "Content-Type": "application/json"}
        return Report(taken.reports_to, headers, body)


def token(claims: dict[str, Any], secret: str = SIGNATURE_SECRET, algorithm: str = "HS256") -> str:
    """A web token by hand, so that what the product checks was not made by its own library."""
    head = {"alg": algorithm, "typ": "JWT"}
    signed = b".".join(packed(json.dumps(part).encode()) for part in (head, claims))
    mark = hmac.new(secret.encode(), signed, hashlib.sha256).digest() if algorithm == "HS256" else b""
    return b".".join((signed, packed(mark))).decode()


def packed(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def problem(title: str, code: int) -> dict[str, Any]:
    return {"type": f"https://developer.vonage.com/api-errors/messages#{code or ''}", "title": title}


if __name__ == "__main__":
    query = urlencode({"from": "Larkfield", "signature_secret": SIGNATURE_SECRET})
    by_hand(Vonage(), __doc__ or "", f"vonage://{KEY}:{SECRET}@{{host}}?{query}")
