"""What every simulated e-signature vendor shares: a WSGI app on loopback with state and moods.

A vendor's own simulator subclasses `Vendor` and answers its API in `route`. It keeps what it was sent,
counts the mails it would have written, makes webhook calls, and serves the signing page behind an
embedded link. `misbehave` makes the next fitting request end badly, before or after its effect.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, parse_qsl, urlencode
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pikepdf

from portal.clock import utc_now
from providers.interface import Delivery

# reset, 500 and 429 come before the request has an effect; the ones named _after come after it.
MOODS = (
    "timeout", "timeout_after", "reset", "reset_after", "401", "429", "500", "500_after", "503", "half_body",
    "garbage", "empty",
)  # fmt: skip


@dataclass
class Request:
    """One request as an app reads it. Header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    def parts(self) -> dict[str, Part]:
        """Fields of a multipart form, by name."""
        kind = self.headers.get("content-type", "")
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        found = {}
        for each in message.iter_parts():
            disposition = each["Content-Disposition"]
            name = disposition.params["name"]
            content = each.get_payload(decode=True) or b""
            found[name] = Part(content, disposition.params.get("filename", ""), each.get_content_type())
        return found

    def basic(self) -> tuple[str, str]:
        """User name and password of Basic authentication; empty where there is none."""
        kind, _, said = self.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return "", ""
        user, _, password = base64.b64decode(said).decode(errors="replace").partition(":")
        return user, password

    def bearer(self) -> str:
        kind, _, said = self.headers.get("authorization", "").partition(" ")
        return said if kind.lower() == "bearer" else ""


@dataclass(frozen=True)
class Part:
    content: bytes
    file_name: str
    media_type: str

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def answer(found: Any, status: int = 200, **headers: str) -> Response:
    """JSON. Header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, json.dumps(found).encode(), {"Content-Type": "application/json", **named})


def document(content: bytes, media: str = "application/pdf") -> Response:
    return Response(200, content, {"Content-Type": media})


def redirect(url: str) -> Response:
    return Response(302, b"", {"Location": url})


def web_page(title: str, inner: str, status: int = 200) -> Response:
    """A plain page: it works without script and without style from elsewhere."""
    text = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title></head><body><main><h1>{html.escape(title)}</h1>{inner}"
        "</main></body></html>"
    )
    return Response(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


@dataclass
class Signer:
    """A person in an envelope at the vendor. `status` is in our words, `word` one a test invented."""

    id: str
    name: str
    email: str
    role: str = "signer"
    order: int = 1
    is_embedded: bool = False
    factors: dict[str, Any] = field(default_factory=dict)
    fields: list[dict[str, Any]] = field(default_factory=list)
    status: str = "waiting"  # waiting | sent | opened | signed | declined | copied
    reason: str = ""
    acted_at: datetime | None = None
    reminded: int = 0
    word: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Envelope:
    id: str
    our_id: str
    title: str
    file: bytes = field(repr=False)
    people: list[Signer] = field(default_factory=list)
    message: str = ""
    status: str = "draft"  # draft | sent | completed | declined | voided | expired
    created_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str = ""
    executed: bytes = field(default=b"", repr=False)
    return_url: str = ""
    word: str = ""  # a status of the vendor's invented by a test
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mail:
    to: str
    subject: str
    envelope_id: str


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    status: int


class Vendor:
    """A simulated vendor. Give `name` and `route`; call `self.changed` after each change of state."""

    name: ClassVar[str] = ""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self.origin = ""  # http://127.0.0.1:port, once it is served
        self.lock = threading.RLock()
        self.envelopes: dict[str, Envelope] = {}
        self.mails: list[Mail] = []
        self.seen: list[Seen] = []
        self.calls: list[Delivery] = []  # webhook calls made, oldest first
        self.subscribers: list[dict[str, Any]] = []
        self.delivers = False  # whether calls are really sent to the subscribed address
        self._moods: list[tuple[str, str, str]] = []
        self._links: dict[str, tuple[str, str]] = {}  # token of a signing page -> (envelope, person)
        self.idle_s = 3.0  # how long a "timeout" lasts

    # --- For a subclass ------------------------------------------------------------------------

    def connection_settings(self) -> dict[str, str]:
        """What a connection must hold to be let in here without anybody pressing Allow."""
        raise NotImplementedError

    def route(self, request: Request) -> Response:
        """The vendor's API. A path that is not there is 404 in the vendor's words."""
        raise NotImplementedError

    def webhook(self, subscriber: dict[str, Any], envelope: Envelope, word: str) -> Delivery | None:
        """The signed call that says `word` of an envelope; None where the subscriber does not ask for it."""
        raise NotImplementedError

    def words(self, envelope: Envelope, person: Signer | None, change: str) -> list[str]:
        """The vendor's event names for a change in our words: sent, opened, signed, declined, completed,
        voided, expired."""
        raise NotImplementedError

    def changed(self, envelope: Envelope, change: str, person: Signer | None = None) -> None:
        """Tell every subscriber."""
        for word in self.words(envelope, person, change):
            for subscriber in list(self.subscribers):
                call = self.webhook(subscriber, envelope, word)
                if call is not None:
                    self.calls.append(call)
                    if self.delivers:
                        threading.Thread(target=deliver, args=(subscriber["url"], call), daemon=True).start()

    # --- Acts, as the people at the vendor do them ---------------------------------------------

    def start(self, envelope: Envelope) -> None:
        """Send it: the first group is asked."""
        envelope.status = "sent"
        self.changed(envelope, "sent")
        self.ask_next(envelope)

    def ask_next(self, envelope: Envelope) -> None:
        waiting = [
            p for p in envelope.people if p.role != "copy" and p.status in ("waiting", "sent", "opened")
        ]
        first = min((p.order for p in waiting), default=None)
        for person in waiting:
            if person.order == first and person.status == "waiting":
                person.status = "sent"
                if not person.is_embedded:
                    self.mail(person, envelope)

    def mail(self, person: Signer, envelope: Envelope) -> None:
        self.mails.append(Mail(person.email, envelope.title, envelope.id))

    def act(self, envelope_id: str, email: str, what: str, reason: str = "") -> None:
        """One person opens, signs or declines. Raises ValueError where the vendor would not let them."""
        with self.lock:
            envelope = self.envelopes[envelope_id]
            person = next(
                p for p in envelope.people if p.email == email and p.status in ("sent", "opened", "waiting")
            )
            if envelope.status != "sent" or person.status == "waiting":
                raise ValueError(f"{email} is not asked: {envelope.status}, {person.status}")
            if what == "open":
                person.status = "opened"
                self.changed(envelope, "opened", person)
            elif what == "decline":
                person.status, person.reason, person.acted_at = "declined", reason, self.clock()
                self.end(envelope, "declined", reason, person)
            else:
                person.status, person.acted_at = "signed", self.clock()
                self.changed(envelope, "signed", person)
                self.after_signing(envelope)

    def after_signing(self, envelope: Envelope) -> None:
        if all(p.status == "signed" for p in envelope.people if p.role != "copy"):
            envelope.executed = executed_pdf(envelope, self.name)
            for person in envelope.people:
                if person.role == "copy":
                    person.status = "copied"
                if not person.is_embedded:
                    self.mail(person, envelope)
            self.end(envelope, "completed")
        else:
            self.ask_next(envelope)

    def end(self, envelope: Envelope, status: str, reason: str = "", person: Signer | None = None) -> None:
        envelope.status, envelope.reason, envelope.ended_at = status, reason, self.clock()
        self.changed(envelope, status, person)

    def expire(self, envelope_id: str) -> None:
        with self.lock:
            self.end(self.envelopes[envelope_id], "expired")

    def complete(self, envelope_id: str) -> None:
        """Everybody signs, in order."""
        for _ in range(50):
            asked = [p for p in self.envelopes[envelope_id].people if p.status in ("sent", "opened")]
            if not asked:
                return
            self.act(envelope_id, asked[0].email, "sign")

    def say(self, envelope_id: str, word: str) -> None:
        """From now on the vendor calls its state by a word nobody knows."""
        self.envelopes[envelope_id].word = word

    def sent(self) -> list[Envelope]:
        """Every envelope that was ever started."""
        return [e for e in self.envelopes.values() if e.status != "draft"]

    def fill_archive(self, count: int, *, until: datetime, every: timedelta = timedelta(hours=1)) -> None:
        """Completed envelopes that nobody here sent, the newest ending at `until`."""
        file = blank_pdf("An older agreement")
        for number in range(count):
            made = self.new_envelope(f"Older agreement {number + 1}", file)
            made.people = [
                Signer(secrets.token_hex(8), "Old Signer", f"old{number}@example.com", status="signed")
            ]
            made.created_at = made.ended_at = until - every * (count - number)
            made.status, made.executed = "completed", file

    def new_envelope(self, title: str, file: bytes, our_id: str = "") -> Envelope:
        made = Envelope(self.new_id(), our_id, title, file, created_at=self.clock())
        self.envelopes[made.id] = made
        return made

    def new_id(self) -> str:
        """An id as the vendor writes them."""
        return secrets.token_hex(16)

    # --- Signing pages -------------------------------------------------------------------------

    def link(self, envelope: Envelope, person: Signer, return_url: str = "") -> str:
        """A token for a signing page, good once."""
        token = secrets.token_urlsafe(16)
        self._links[token] = (envelope.id, person.id)
        if return_url:
            person.facts["return_url"] = return_url
        return token

    def signing_page(self, token: str, request: Request) -> Response:
        """The vendor's page: GET shows it, POST with `act` sign or decline acts and goes back to us."""
        envelope_id, person_id = self._links.get(token, ("", ""))
        envelope = self.envelopes.get(envelope_id)
        person = next((p for p in envelope.people if p.id == person_id), None) if envelope else None
        if envelope is None or person is None:
            return web_page("This link is not valid any more", "<p>Ask for a new one.</p>", 410)
        if request.method == "GET":
            if person.status == "sent":
                self.act(envelope.id, person.email, "open")
            inner = (
                f"<p>{html.escape(person.name)}, please sign"
                f" <strong>{html.escape(envelope.title)}</strong>.</p>"
                "<form method='post'><button name='act' value='sign'>Sign</button> "
                "<button name='act' value='decline'>Decline</button></form>"
            )
            return web_page(f"{self.name}: sign", inner)
        wanted = request.form().get("act", "sign")
        try:
            self.act(envelope.id, person.email, wanted, "Declined on the page.")
        except (ValueError, StopIteration):
            return web_page("Nothing to do", "<p>You cannot act now.</p>", 409)
        del self._links[token]
        back = person.facts.get("return_url") or envelope.return_url
        if back:
            return redirect(self.returning(back, wanted))
        return web_page("Thank you", "<p>You may close this page.</p>")

    def returning(self, url: str, wanted: str) -> str:
        """Where the vendor sends people back to; most add a word that must not be believed."""
        joiner = "&" if "?" in url else "?"
        return url + joiner + urlencode({"event": "signing_complete" if wanted == "sign" else "decline"})

    # --- Moods ---------------------------------------------------------------------------------

    def misbehave(self, mood: str, *, times: int = 1, method: str = "", path: str = "") -> None:
        """The next fitting requests end so. `path` is a regular expression searched in the path."""
        if mood not in MOODS:
            raise ValueError(mood)
        self._moods += [(mood, method, path)] * times

    def _mood(self, request: Request) -> str:
        for place, (mood, method, path) in enumerate(self._moods):
            if method in ("", request.method) and re.search(path, request.path):
                del self._moods[place]
                return mood
        return ""

    def throttled(self) -> Response:
        """The vendor's answer to too many calls."""
        return answer({"message": "Too many requests"}, 429, Retry_After="2")

    def unknown_caller(self) -> Response:
        """The vendor's answer to credentials it does not accept (any more)."""
        return answer({"message": "Unauthorized"}, 401)

    def broken(self, status: int) -> Response:
        return Response(status, b"<html>upstream error</html>", {"Content-Type": "text/html"})

    # --- WSGI ----------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = read(environ)
        with self.lock:
            mood = self._mood(request)
            response = self._answered(request, mood)
            self.seen.append(Seen(request.method, request.path, response.status))
        if mood.startswith("timeout"):
            threading.Event().wait(self.idle_s)
        if mood in ("timeout", "timeout_after", "reset", "reset_after"):
            hang_up(environ)
        length = len(response.body)
        body = response.body
        if mood == "half_body":
            body = body[: max(1, length // 2)]
            environ["vendor.cut"] = True
        headers = {"Content-Length": str(length), **response.headers}
        start_response(f"{response.status} {phrase(response.status)}", list(headers.items()))
        if mood == "half_body":
            return cut(body, environ)
        return [body]

    def _answered(self, request: Request, mood: str) -> Response:
        if mood in ("timeout", "reset"):
            return Response(500)
        if mood == "429":
            return self.throttled()
        if mood == "401":
            return self.unknown_caller()
        if mood in ("500", "503"):
            return self.broken(int(mood))
        response = self.route(request)
        if mood == "500_after":
            return self.broken(500)
        if mood == "garbage":
            return Response(200, b'{"id": "never-ended', {"Content-Type": "application/json"})
        if mood == "empty":
            return Response(200, b"", {"Content-Type": "application/json"})
        return response

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[Self]:
        """Serve on a free port of loopback until the block ends."""
        with make_server("127.0.0.1", port, self, _Server, _Quiet) as server:
            self.origin = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
            )
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A line that was cut on purpose is no error of this server."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ["vendor.socket"] = self.connection
        return environ


def read(environ: dict[str, Any]) -> Request:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"], True).items()}
    body = environ["wsgi.input"].read(length) if length else b""
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    return Request(environ["REQUEST_METHOD"], path, query, headers, body)


def phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def hang_up(environ: dict[str, Any]) -> None:
    """End the line without an answer."""
    environ["vendor.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def cut(body: bytes, environ: dict[str, Any]) -> Iterator[bytes]:
    yield body
    hang_up(environ)


def deliver(url: str, call: Delivery) -> None:
    """Make a webhook call for real, three times at most. `call.query` is the whole query of the address."""
    import requests

    address = url.partition("?")[0] + (f"?{call.query}" if call.query else "")
    for wait in (0.2, 1.0, 3.0):
        try:
            with requests.request(
                call.method, address, data=call.body, headers=dict(call.headers), timeout=5
            ) as reply:
                if reply.ok:
                    return
        except requests.RequestException:
            pass
        threading.Event().wait(wait)


# --- PDFs ---------------------------------------------------------------------------------------


def blank_pdf(text: str) -> bytes:
    """One page that says something."""
    pdf = pikepdf.new()
    add_page(pdf, [text])
    return saved(pdf)


def add_page(pdf: pikepdf.Pdf, lines: list[str]) -> None:
    page = pdf.add_blank_page(page_size=(595, 842))
    font = pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
    )
    page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=pdf.make_indirect(font)))
    shown = b"BT /F1 12 Tf 72 770 Td 16 TL " + b"".join(
        b"(" + re.sub(rb"([()\\])", rb"\\\1", line.encode("latin-1", "replace")) + b") Tj T* "
        for line in lines
    )
    page.obj.Contents = pdf.make_stream(shown + b"ET")


def saved(pdf: pikepdf.Pdf) -> bytes:
    made = io.BytesIO()
    pdf.save(made)
    return made.getvalue()


def executed_pdf(envelope: Envelope, vendor: str) -> bytes:
    """The file as sent and a page that says who signed."""
    with pikepdf.open(io.BytesIO(envelope.file)) as pdf:
        lines = [f"Signed with the {vendor} simulator", envelope.title, envelope.id]
        lines += [f"{p.name} <{p.email}>: {p.status} {p.acted_at or ''}" for p in envelope.people]
        add_page(pdf, lines)
        return saved(pdf)


def main(vendor: Vendor) -> None:
    """`python -m tests.simulators.<name> --port 9001`: serve until interrupted."""
    parser = argparse.ArgumentParser(description=f"A simulated {vendor.name} on loopback.")
    parser.add_argument("--port", type=int, default=0)
    wanted = parser.parse_args()
    vendor.delivers = True
    with vendor.serving(wanted.port):
        print(f"{vendor.name}: {vendor.origin}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return
