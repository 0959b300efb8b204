"""Each provider's rehearsal against a mock made from the vendor's own API file: no request breaks it.

The mock is Prism (`prism` on PATH, or named by COUNTERSIGN_PRISM), the files lie beside the repository in
`../shared/specs`, or where COUNTERSIGN_SPECS says. It answers what does not fit and says why in the header
`sl-violations`; what it says of its own answers is the file's fault and is left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
import requests

from portal.settings import ROOT
from providers import registry, rehearsal
from providers.errors import ProviderError
from providers.interface import BulkRequest, BulkRow, Connection, Subscription

SPECS = Path(os.environ.get("COUNTERSIGN_SPECS") or ROOT.parent / "shared" / "specs")
FOLDERS = {
    "docusign": "docusign", "adobe_sign": "adobesign", "signnow": "signnow", "dropbox_sign": "dropboxsign",
    "pandadoc": "pandadoc",
}  # fmt: skip
PRISM = os.environ.get("COUNTERSIGN_PRISM") or shutil.which("prism") or ""
STARTS_S = 60
MISSING = re.compile(r"must have required property '(\w+)'$")
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-encoding", "content-length", "date"}


def specification(name: str) -> Path:
    """The vendor's file as the mock reads it. Skips, saying what is missing."""
    if not PRISM:
        pytest.skip("Prism is not installed: no `prism` on PATH, and COUNTERSIGN_PRISM names none")
    folder = FOLDERS.get(name, name)
    found = SPECS / folder / f"{folder}.mock.json"
    if not found.exists():
        pytest.skip(f"the vendor's API file is not here: {found}")
    return found


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]
        return port


@contextmanager
def mocked(file: Path) -> Iterator[str]:
    """A mock of an API file on a free port, once it answers."""
    port = free_port()
    command = [PRISM, "mock", "-h", "127.0.0.1", "-p", str(port), str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            await_line(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def await_line(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + STARTS_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise AssertionError(f"Prism ended at once ({process.returncode})")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            threading.Event().wait(0.1)
        else:
            return
    raise AssertionError(f"Prism does not listen after {STARTS_S} s")


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


class Watcher:
    """Hands every request on to the mock as it is, and keeps what the mock found wrong with it."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.asked: list[str] = []
        self.wrong: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else "")
        headers = {
            name.removeprefix("HTTP_").replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") and name != "HTTP_HOST"
        }
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        method = environ["REQUEST_METHOD"]
        with requests.request(
            method, self.target + path, headers=headers, data=body, timeout=20, allow_redirects=False
        ) as answer:
            asked = f"{method} {path} -> {answer.status_code}"
            self.note(asked, answer.headers.get("sl-violations", "[]"), body)
            told = [(n, v) for n, v in answer.headers.items() if n.lower() not in HOP_BY_HOP]
            start_response(
                f"{answer.status_code} {answer.reason}",
                [*told, ("Content-Length", str(len(answer.content)))],
            )
            return [answer.content]

    def note(self, asked: str, violations: str, body: bytes = b"") -> None:
        """Prism does not see that a form with `roles[0][name]` has the property `roles`."""
        self.asked.append(asked)
        for each in json.loads(violations):
            missing = MISSING.search(each["message"])
            if missing and f'name="{missing[1]}['.encode() in body:
                continue
            if each["location"][:1] == ["request"]:
                self.wrong.append(f"{asked}: {each['location']} {each['message']}")

    @contextmanager
    def serving(self) -> Iterator[str]:
        with make_server("127.0.0.1", 0, self, WSGIServer, Quiet) as server:
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            )
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


@pytest.mark.parametrize("name", registry.remote_names())
def test_a_rehearsal_breaks_nothing_in_the_vendors_api_file(name: str) -> None:
    file = specification(name)
    lines: list[rehearsal.Line] = []

    with mocked(file) as target:
        watcher = Watcher(target)
        with watcher.serving() as address:
            provider = registry.get(name, Connection(base_url=address, token="rehearsal-token"))
            fine = rehearsal.run(provider, lines.append)

    assert watcher.asked
    assert not watcher.wrong
    assert fine, [(line.step, line.outcome, line.detail) for line in lines]
    assert [line.step for line in lines] == list(rehearsal.STEPS)


@pytest.mark.parametrize("name", registry.remote_names())
def test_nor_does_what_a_rehearsal_leaves_out(name: str) -> None:
    """A mock knows none of our people and ids, so a call may end in any refusal of ours."""
    file = specification(name)
    asked = rehearsal.request(rehearsal.PEOPLE, embedded=False)
    envelope = rehearsal.handle(asked, "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    now = datetime.now(UTC)
    batch = BulkRequest(
        "rehearsal-batch", "Test run", "Please sign.", asked.document, asked.placements[:1],
        (BulkRow("row1", "First Signer", rehearsal.PEOPLE[0]),), now + timedelta(days=7),
    )  # fmt: skip

    with mocked(file) as target:
        watcher = Watcher(target)
        with watcher.serving() as address:
            provider = registry.get(name, Connection(base_url=address, token="rehearsal-token"))
            for act in (
                lambda: provider.find(asked.id),
                lambda: provider.send(replace(asked, is_repeat=True)),
                lambda: provider.correct(envelope, "first", name="Another", email="another@example.com"),
                lambda: provider.subscribe("https://portal.example/webhooks/abc"),
                lambda: provider.unsubscribe(Subscription("0f1e2d3c4b5a6978")),
                lambda: provider.archive(now - timedelta(days=30), now),
                lambda: provider.send_bulk(batch),
                lambda: provider.send_bulk(replace(batch, is_repeat=True)),
                lambda: provider.bulk_state(provider.send_bulk(batch).remote_id),
            ):
                with contextlib.suppress(ProviderError):
                    act()

    assert len(watcher.asked) > 5
    assert not watcher.wrong


def test_what_the_mock_finds_wrong_with_a_request_is_kept_and_with_its_answer_not() -> None:
    watcher = Watcher("")
    form = b'--b\r\nContent-Disposition: form-data; name="roles[0][name]"\r\n\r\nSigner\r\n--b--'
    lacks = "Request body must have required property"

    watcher.note("POST /a -> 422", json.dumps([
        {"location": ["request", "body"], "message": f"{lacks} 'fields'"},
        {"location": ["request", "body"], "message": f"{lacks} 'roles'"},
        {"location": ["response", "body"], "message": "an example that does not fit"},
    ]), form)  # fmt: skip

    assert watcher.wrong == [f"POST /a -> 422: ['request', 'body'] {lacks} 'fields'"]
