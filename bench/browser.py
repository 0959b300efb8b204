"""Loading the signing page in a fresh Chromium, and what it asked for, seen by a proxy in between."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from bench.stage import Portal, Visit

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
PATIENCE_MS = 30_000
# Page 1 is visible once its picture is decoded and the browser has drawn the next frame.
PAGE_ONE = """() => new Promise(resolve => {
  const seen = () => requestAnimationFrame(() => setTimeout(() => resolve(performance.now() / 1000)));
  const look = () => {
    const picture = document.querySelector("#page-1 img");
    if (picture && picture.complete && picture.naturalWidth) picture.decode().then(seen, seen);
    else requestAnimationFrame(look);
  };
  look();
})"""


@dataclass(frozen=True)
class Load:
    """One cold load: seconds until page 1 was visible."""

    page_one_s: float


def load(address: str, visit: Visit, throttle: int = 1) -> Load:
    """Open the signing page in a browser that has never been there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        context.add_cookies(
            [
                {"name": name, "value": value, "url": address}
                for name, _equals, value in (each.partition("=") for each in visit.cookie.split("; "))
            ]
        )
        page = context.new_page()
        if throttle > 1:
            session = context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
        page.goto(address + visit.path, wait_until="commit", timeout=PATIENCE_MS)
        seen = float(page.evaluate(PAGE_ONE))
        page.wait_for_load_state("networkidle", timeout=PATIENCE_MS)
        chromium.close()
    return Load(seen)


# --- The proxy -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One request and what came back."""

    path: str
    kind: str
    size_bytes: int


@contextlib.contextmanager
def watched(portal: Portal) -> Iterator[tuple[str, list[Asked]]]:
    """The portal behind a proxy that writes down each request: its address, and the list."""
    asked: list[Asked] = []

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            behind = HTTPConnection("127.0.0.1", portal.port, timeout=30)
            behind.request("GET", self.path, headers=dict(self.headers))
            answer = behind.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            behind.close()
            kind = (answer.headers["Content-Type"] or "").split(";")[0]
            asked.append(Asked(urlsplit(self.path).path, kind, len(body)))

        def log_message(self, *_words: Any) -> None:
            """Nothing: the list is the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
