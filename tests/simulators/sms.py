"""What the text message simulators share: serving, moods, and reports as a vendor would send them.

A simulator keeps what it took and checks what it is sent. `moods` are used up one a request, then
`mood` holds: "well", "429", "503" and "401" refuse before anything is taken; "500", "reset", "half",
"garbage" and "hang" take the message and lose the answer.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import make_server

from tests.simulators.tsa import _Quiet

BEFORE = {"429": "429 Too Many Requests", "503": "503 Service Unavailable", "401": "401 Unauthorized"}
AFTER = ("500", "reset", "half", "garbage", "hang")


@dataclass(frozen=True)
class Report:
    """One call that tells what became of a message."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Taken:
    """One message as the vendor holds it."""

    id: str
    to: str
    text: str
    reports_to: str = ""
    ours: str = ""  # our own id, where the vendor is told it
    status: str = "queued"
    error: int | None = None
    price: str | None = None


@dataclass
class SmsSimulator:
    mood: str = "well"
    moods: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    asked: int = 0
    retry_after: str = "7"
    url: str = ""
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        """Name and port, as they stand in a gateway's address."""
        return self.url.split("//", 1)[1].rstrip("/")

    def doubles(self) -> int:
        """Messages that somebody gets twice."""
        return len(self.taken) - len({(each.to, each.text) for each in self.taken})

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.asked += 1
        mood = self.moods.pop(0) if self.moods else self.mood
        if mood in BEFORE:
            status, reply = BEFORE[mood], self.refusal(mood)
        else:
            status, reply = self.answer(environ, body)
        headers = [("Content-Type", "application/json")]
        if mood in ("429", "503") and self.retry_after:
            headers.append(("Retry-After", self.retry_after))
        content = json.dumps(reply).encode()
        length = len(content)
        if mood == "500":
            status, content, length = "500 Internal Server Error", b"{}", 2
        elif mood == "garbage":
            content, length = b"<html>", 6
        elif mood == "half":
            content = content[: length // 2]
        elif mood == "hang":
            self.release.wait(10)
        elif mood == "reset":
            environ["simulator.socket"].shutdown(socket.SHUT_RDWR)
        start(status, [*headers, ("Content-Length", str(length))])
        return [content]

    def answer(self, environ: dict[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
        raise NotImplementedError

    def refusal(self, mood: str) -> dict[str, Any]:
        return {}

    def report(self, taken: Taken, status: str, error: int | None = None) -> Report:
        """The call that tells this state, signed."""
        raise NotImplementedError

    def forged(self, report: Report) -> Report:
        """The same call as somebody else would send it: one byte of its body differs."""
        return Report(report.url, report.headers, report.body.replace(b"delivered", b"deliverex"))


class _Open(_Quiet):
    def get_environ(self) -> dict[str, Any]:
        return super().get_environ() | {"simulator.socket": self.connection}


@contextmanager
def running(simulator: SmsSimulator) -> Iterator[SmsSimulator]:
    """Serve it on a free loopback port."""
    with make_server("127.0.0.1", 0, simulator, handler_class=_Open) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        simulator.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield simulator
        finally:
            simulator.release.set()
            server.shutdown()
            thread.join()


def by_hand(simulator: SmsSimulator, about: str, address: str) -> None:
    """Start one from a shell; what it takes is printed, and reported as delivered where it may report."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mood", default="well")
    given = parser.parse_args()
    simulator.mood = given.mood
    print(f"COUNTERSIGN_SMS_URL={address.format(host=f'127.0.0.1:{given.port}')}", flush=True)
    with make_server("127.0.0.1", given.port, printing(simulator), handler_class=_Open) as server:
        server.serve_forever()


def printing(simulator: SmsSimulator) -> Callable[..., Iterable[bytes]]:
    """The simulator, telling what it takes and reporting it a moment later."""

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        before = len(simulator.taken)
        answer = simulator(environ, start)
        for taken in simulator.taken[before:]:
            print(f"to {taken.to}: {taken.text}", flush=True)
            if taken.reports_to:
                threading.Timer(2, deliver, [simulator.report(taken, "delivered")]).start()
            else:
                taken.status = "delivered"
        return answer

    return application


def deliver(report: Report) -> None:
    import requests

    answer = requests.post(report.url, data=report.body, headers=report.headers, timeout=10)
    print(f"reported, answered {answer.status_code}", flush=True)
