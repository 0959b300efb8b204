"""What every answer carries, whatever it says; and what our own files never ask another host for."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from portal import logs
from portal.app import create_app
from portal.settings import ROOT
from tests.security import world as worlds
from tests.security.browser import Portal, header_faults
from tests.security.payloads import SCRIPTS

PUBLIC = "https://contracts.example.test"


def test_every_page_carries_its_headers_and_no_inline_code(portal, pages):
    """Policy, nosniff, no referrer, no frames, no shared cache; no style, script or handler in the markup."""
    faults = [f"{answer}: {fault}" for answer in pages for fault in answer.faults]
    html = [answer for answer in pages if answer.root is not None]

    assert not faults, "\n".join(faults[:20])
    assert len(html) > 300


def test_refusals_carry_them_too(portal, world):
    answers = [
        portal.ask("stranger", "/nowhere"),
        portal.ask("stranger", "/sign-in", "DELETE"),
        portal.ask("ben", "/settings"),
        portal.ask("stranger", "/sign-in", "POST", data=b"a=" + b"x" * 2_000_000, content_type="text/plain"),
        portal.ask("ana", f"/contracts/{world.contracts['signed'].reference}/ready", "POST"),
        portal.ask("stranger", "/static/000000000000/css/base.css"),
        portal.ask("stranger", "/readyz"),
    ]

    for answer in answers:
        assert not answer.faults, f"{answer}: {answer.faults}"
    assert [answer.status for answer in answers[:3]] == [404, 405, 403]


def test_a_broken_page_says_nothing_about_itself(portal, monkeypatch):
    """No trace, no file name, no setting; the number in it finds the line in the log."""

    def broken(**_arguments):
        raise RuntimeError("secret-of-the-inside /work/portal")

    portal.app.testing = False
    monkeypatch.setitem(portal.app.view_functions, "verify.page", broken)
    try:
        answer = portal.ask("stranger", "/verify")
    finally:
        portal.app.testing = True

    assert answer.status == 500
    assert not header_faults(answer)
    assert "secret-of-the-inside" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


@pytest.fixture
def https(portal):
    """The same installation as it is started behind a public https address."""
    given = worlds.found(
        portal.world.settings.data_dir, BASE_URL=PUBLIC, MAIL_URL="smtp://127.0.0.1:2525",
        SMS_URL="webhook+https://127.0.0.1/sms",
    )  # fmt: skip
    app = create_app(given)
    app.testing = True
    worlds.open_world(given)
    yield Portal(portal.world, app)
    worlds.open_world(portal.world.settings)


def test_cookies_are_bound_to_this_host_and_to_https(https, world):
    """`__Host-` names, Secure, HttpOnly, SameSite; and browsers are told to stay with https."""
    https.app.config["WTF_CSRF_ENABLED"] = False
    marc = world.tokens["sign"]
    answers = [
        https.ask("stranger", f"/sign/{marc}", "POST", data={"consent": "yes"}),
        https.ask("stranger", "/sign-in", "POST",
                  data={"email": "ana@larkfield.example", "password": worlds.PASSWORD}),
        https.ask("stranger", "/language", "POST", data={"language": "fr"}),
        https.ask("stranger", "/verify"),
        https.ask("stranger", "/mine/leave", "POST"),
        https.ask("stranger", "/sign-out", "POST"),
        https.ask("stranger", f"/sign-in/with/{world.ids['sign_on_provider'][0]}"),
        https.ask("stranger", "/sign-in/callback"),
    ]  # fmt: skip
    cookies = [cookie for answer in answers for cookie in answer.headers.getlist("Set-Cookie")]

    names = {cookie.partition("=")[0] for cookie in cookies}
    assert {"__Host-countersign", "__Host-countersign-signing", "__Host-countersign-form",
            "__Host-countersign-sign-on"} <= names, names  # fmt: skip
    for cookie in cookies:
        is_deleted = "Max-Age=0" in cookie
        assert "HttpOnly" in cookie, cookie
        assert "SameSite=Lax" in cookie, cookie
        assert "Path=/" in cookie, cookie
        assert "Domain" not in cookie, cookie
        assert "Secure" in cookie, f"{cookie} (deleted: {is_deleted})"
        if not cookie.startswith("language="):
            assert cookie.startswith("__Host-"), cookie
    for answer in answers:
        assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


def test_a_plain_cookie_is_not_heard_behind_https(https, world):
    """Whoever can set cookies for a neighbouring host plants a name without `__Host-` in vain."""
    ana = world.personas["ana"]
    renamed = tuple((f"__Host-{name}", value) for name, value in ana.cookies)

    assert https.ask("ana", "/settings").status == 303
    assert https.ask("stranger", "/contracts", cookies=renamed).status == 200


def test_our_files_name_no_other_host():
    """Style sheets, scripts and templates load nothing from elsewhere."""
    named = []
    for folder in ("static", "templates"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".css", ".js", ".html", ".svg"):
                text = path.read_text()
                for address in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*", text):
                    if not address.startswith("http://www.w3.org/"):
                        named.append(f"{path.relative_to(ROOT)}: {address}")

    assert not named


def test_static_files_are_kept_for_ever_only_under_their_own_hash(portal):
    good = portal.app.jinja_env.globals["asset"]("css/base.css")
    wrong = "/static/000000000000/css/base.css"

    assert "immutable" in portal.ask("stranger", good).headers["Cache-Control"]
    assert "immutable" not in portal.ask("stranger", wrong).headers["Cache-Control"]
    for path in ("../portal/app.py", "..%2fportal%2fapp.py", "%2e%2e/portal/app.py", "etc/passwd", "css"):
        assert portal.ask("stranger", f"/static/000000000000/{path}").status == 404, path


def test_a_line_of_the_log_stays_one_line_whatever_a_request_says(portal, monkeypatch):
    """Line ends, terminal codes and reversed text in path, query and headers (S-34)."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    logs.LOG.addHandler(handler)
    nasty = ["\x1b[2J", "\u202eevil", "%0d%0a{%22event%22:%22forged%22}", *SCRIPTS[:5]]

    def broken(**_arguments):
        raise RuntimeError('one\r\n{"event": "forged"}\x1b[2J\u202e')

    monkeypatch.setitem(portal.app.view_functions, "verify.page", broken)
    portal.app.testing = False
    try:
        for text in nasty:
            path = "/verify?q=" + text.encode("unicode_escape").decode()
            agent = text.encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "")
            assert portal.ask("stranger", path, headers={"User-Agent": agent}).status == 500
    finally:
        portal.app.testing = True
        logs.LOG.removeHandler(handler)

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 * len(nasty)  # the failure, and the request that met it
    for line in lines:
        said = json.loads(line)
        assert said["event"] in ("error", "request.failed")
        assert line.isascii()
        assert not set(line) & {"\x1b", "\r"}
