"""Asking the application as one of the people of the rich installation, and reading what it answers."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask
from lxml import etree
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from portal.app import create_app
from tests.security import markup
from tests.security.world import Persona, World

DIRECTIVES = {
    "default-src": "'self'", "object-src": "'none'", "base-uri": "'none'", "form-action": "'self'",
    "frame-ancestors": "'none'",
}  # fmt: skip
# Answers that are documents of their own, shut in by a sandbox; they may style themselves.
SHUT_IN = ("mailbox.mail", "ceremony.logo", "entities.logo")


@dataclass
class Answer:
    """What came back, for whom, and what is wrong with it in itself."""

    method: str
    path: str
    persona: str
    status: int
    headers: Any
    body: bytes
    endpoint: str | None
    trace: str = ""

    @cached_property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @cached_property
    def root(self) -> etree._Element | None:
        is_html = (self.headers.get("Content-Type") or "").startswith("text/html")
        return markup.parse(self.text) if is_html and self.method != "HEAD" else None

    @cached_property
    def words(self) -> str:
        """The text a person reads."""
        return " ".join(" ".join(self.root.itertext()).split()) if self.root is not None else ""

    @property
    def location(self) -> str:
        return self.headers.get("Location") or self.headers.get("HX-Redirect") or ""

    @cached_property
    def faults(self) -> list[str]:
        """A crash, a header that is missing or weak, markup that no page of ours holds."""
        if self.status >= 500:
            return [f"{self.status} {self.trace[-900:]}"]
        found = header_faults(self)
        if self.root is not None and self.endpoint not in SHUT_IN:
            found += markup.faults(self.root)
        return found

    def __str__(self) -> str:
        return f"{self.persona}: {self.method} {self.path[:200]} -> {self.status}"


@dataclass
class Portal:
    """The application and its installation."""

    world: World
    app: Flask
    visited: set[tuple[str, str]] = field(default_factory=set)
    samples: dict[str, Any] = field(default_factory=dict)
    pages: list[Answer] = field(default_factory=list)

    @classmethod
    def open(cls, world: World) -> Portal:
        app = create_app(world.settings)
        app.testing = True
        app.config["WTF_CSRF_ENABLED"] = False
        return cls(world, app)

    def ask(
        self,
        persona: Persona | str,
        path: str,
        method: str = "GET",
        *,
        data: Any = None,
        headers: dict[str, str] | None = None,
        cookies: tuple[tuple[str, str], ...] = (),
        **more: Any,
    ) -> Answer:
        """One request with this persona's cookies; a crash is an answer with status 500 and its trace."""
        who = self.world.personas[persona] if isinstance(persona, str) else persona
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in (*who.cookies, *cookies))}
        endpoint = self.endpoint(path, method)
        if endpoint:
            self.visited.add((endpoint, method))
        client = self.app.test_client(use_cookies=False)
        if path.startswith("//"):  # the client would take the first name for a host
            raw = unquote_to_bytes(path.partition("?")[0]).decode("latin-1")
            more["environ_overrides"] = {"PATH_INFO": raw, "RAW_URI": path, "REQUEST_URI": path}
        url = path if not path.startswith("//") else "/?" + path.partition("?")[2]
        try:
            got = client.open(url, method=method, data=data, headers=sent | (headers or {}), **more)
        except Exception as error:
            return Answer(method, path, who.name, 500, {}, b"", endpoint, trace_of(error))
        answer = Answer(method, path, who.name, got.status_code, got.headers, got.data, endpoint)
        got.close()
        return answer

    def endpoint(self, path: str, method: str) -> str | None:
        try:
            found = self.app.url_map.bind("localhost").match(path.partition("?")[0], method=method)
        except (HTTPException, RequestRedirect, ValueError):
            return None
        return str(found[0])


def trace_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{f.filename.rsplit('/main/', 1)[-1]}:{f.lineno}" for f in frames if "/portal/" in f.filename]
    return f"{type(error).__name__}: {str(error)[:300]} at {' <- '.join(reversed(ours[-4:]))}"


# --- Headers ---------------------------------------------------------------------------------------


def header_faults(answer: Answer) -> list[str]:
    """What every answer carries, whatever it says."""
    headers, found = answer.headers, []
    policy = headers.get("Content-Security-Policy") or ""
    is_shut_in = answer.endpoint in SHUT_IN and answer.status == 200
    if "unsafe" in policy and not (is_shut_in and "sandbox" in policy):
        found.append(f"weak policy {policy}")
    if not is_strict(policy):
        found.append(f"incomplete policy {policy!r}")
    for name, wanted in (
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "SAMEORIGIN" if is_framed(answer) else "DENY"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ):
        if headers.get(name) != wanted:
            found.append(f"{name}: {headers.get(name)}")
    found += cache_faults(answer)
    for cookie in headers.getlist("Set-Cookie"):
        lowered = cookie.lower()
        if "httponly" not in lowered or "samesite=lax" not in lowered or "path=/" not in lowered:
            found.append(f"cookie {re.sub('=[^;]*', '=...', cookie, count=1)}")
    if any(letter in value for _name, value in headers for letter in "\r\n"):
        found.append("a line break in a header")
    return found


def is_framed(answer: Answer) -> bool:
    """The mail inside the mailbox page, the one page that another of ours shows in a frame."""
    return answer.endpoint == "mailbox.mail" and answer.status == 200 and answer.method != "OPTIONS"


def is_strict(policy: str) -> bool:
    """The page policy in full, or one that allows nothing and is shut in."""
    parts = dict(part.strip().partition(" ")[::2] for part in policy.split(";") if part.strip())
    if "sandbox" in parts:
        return parts.get("default-src") == "'none'"
    return all(parts.get(name) == value for name, value in DIRECTIVES.items())


def cache_faults(answer: Answer) -> list[str]:
    """Nothing private stays in a cache that others share."""
    said = answer.headers.get("Cache-Control") or ""
    if answer.endpoint == "static_file" or answer.endpoint == "ceremony.logo":
        return []
    is_picture = (answer.headers.get("Content-Type") or "").startswith("image/")
    if is_picture and answer.status in (200, 304) and said.startswith("private,"):
        return []
    return [] if "no-store" in said else [f"Cache-Control: {said!r}"]
