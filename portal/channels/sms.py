"""Text messages through a web hook of your own: one signed POST per message.

The body is `{"id", "to", "text", "language"}`. Headers follow the Standard Webhooks convention:
`webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,BASE64`, an HMAC-SHA256 over
`id.timestamp.body` under the key in SMS_URL (`webhook+https://KEY@HOST/PATH`). Any 2xx answer
means taken; the same id may come twice after a crash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from portal.channels import Message, Rejected, Unavailable

SECONDS = (5, 15)


@dataclass(frozen=True)
class Webhook:
    url: str
    key: bytes = field(repr=False)
    clock: Callable[[], float] = time.time
    keeps_text = False

    @classmethod
    def of(cls, url: str) -> Webhook:
        """From `webhook+https://KEY@HOST/PATH`."""
        parts = urlsplit(url.removeprefix("webhook+"))
        host = parts.hostname or ""
        bare = parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host)
        return cls(urlunsplit(bare), unquote(parts.username or "").encode())

    def send(self, message: Message) -> None:
        import requests

        if not self.key:
            raise Unavailable("SMS_URL holds no key to sign with: write webhook+https://KEY@HOST/PATH")
        body = json.dumps(
            {"id": message.id, "to": message.to, "text": message.text, "language": message.language},
            ensure_ascii=False,
        ).encode()
        try:
            answer = requests.post(
                self.url,
                data=body,
                headers={"content-type": "application/json", **self.signed(message.id, body)},
                timeout=SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Unavailable(type(error).__name__) from error
        if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
            raise Unavailable(f"the gateway answered {answer.status_code}")
        if not 200 <= answer.status_code < 300:
            raise Rejected(f"the gateway answered {answer.status_code}")

    def signed(self, message_id: str, body: bytes) -> dict[str, str]:
        """The headers that prove where a message comes from."""
        at = str(int(self.clock()))
        digest = hmac.new(self.key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
