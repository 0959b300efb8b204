"""A program that is told of events: verifies each message by its own reading of Standard Webhooks.

`moods` are used up one a call, then it is well: "fails", "refuses", "gone", "redirects", "hangs",
"large". Doubles are noticed by their id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

STATUS = {
    "fails": "500 Internal Server Error", "refuses": "400 Bad Request", "gone": "410 Gone",
    "redirects": "302 Found", "hangs": "200 OK", "large": "200 OK",
}  # fmt: skip


@dataclass
class Receiver:
    secret: str = ""
    tolerance_s: int = 300
    clock: Callable[[], float] = lambda: 0.0
    moods: list[str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    doubles: int = 0
    refused: int = 0
    release: threading.Event = field(default_factory=threading.Event)
    seen: set[str] = field(default_factory=set)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        heads = {name[5:].lower().replace("_", "-"): v for name, v in environ.items() if name[:5] == "HTTP_"}
        self.calls.append(heads | {"content-type": environ.get("CONTENT_TYPE", "")})
        self.bodies.append(body)
        mood = self.moods.pop(0) if self.moods else ""
        status = STATUS.get(mood) or self.take(heads, body)
        start(status, [("Content-Type", "text/plain"), ("Location", "/elsewhere")])
        return self.slowly() if mood == "hangs" else [b"x" * 1_000_000] if mood == "large" else [b"ok"]

    def slowly(self) -> Iterable[bytes]:
        self.release.wait(30)
        yield b"late"

    def take(self, heads: dict[str, str], body: bytes) -> str:
        if not self.is_genuine(heads, body):
            self.refused += 1
            return "401 Unauthorized"
        if heads["webhook-id"] in self.seen:
            self.doubles += 1
        else:
            self.seen.add(heads["webhook-id"])
            self.taken.append(json.loads(body))
        return "204 No Content"

    def is_genuine(self, heads: dict[str, str], body: bytes) -> bool:
        key = base64.b64decode(self.secret.split("_", 1)[1])
        at = heads.get("webhook-timestamp", "")
        if not at.isdigit() or abs(self.clock() - int(at)) > self.tolerance_s:
            return False
        told = b".".join([heads["webhook-id"].encode(), at.encode(), body])
        right = base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
        offered = [each.partition(",") for each in heads.get("webhook-signature", "").split(" ")]
        return any(version == "v1" and mark == right for version, _comma, mark in offered)
