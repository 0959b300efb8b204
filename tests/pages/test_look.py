"""The look: colours that can be told apart, parts that axe passes, and a signature drawn by hand."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from types import SimpleNamespace
from typing import Any

import pytest

from portal import assets, i18n
from tests.conftest import skip_or_fail
from tests.pages.parts import ROOT, Form, make_environment

AT = datetime(2026, 11, 24, 15, 20, tzinfo=UTC)


# --- The style sheets ---------------------------------------------------------------------------------------


def tokens(dark: bool) -> dict[str, str]:
    source = (ROOT / "static/css/tokens.css").read_text(encoding="utf-8")
    light, _, rest = source.partition("@media screen and (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6});", light))
    if dark:
        found |= dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6});", rest))
    return found


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


GROUNDS = ("ground", "sunk", "behind", "card")
PAIRS = [
    *((ink, ground) for ink in ("ink", "ink-soft", "ink-faint", "action", "danger") for ground in GROUNDS),
    *((ink, "ground") for ink in ("good", "wait")),
    *((tone, f"{tone}-soft") for tone in ("good", "wait", "danger", "added", "removed", "action")),
    *(("ink", f"{tone}-soft") for tone in ("good", "wait", "danger", "action")),
    ("on-action", "action"),
    ("on-action", "action-strong"),
    ("signed-ink", "card"),
    ("ink-soft", "line"),
]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_and_edges_stand_out_from_their_ground(dark: bool) -> None:
    colours = tokens(dark)

    weak = [pair for pair in PAIRS if contrast(colours[pair[0]], colours[pair[1]]) < 5.0]
    edges = [ground for ground in GROUNDS if contrast(colours["line-strong"], colours[ground]) < 3.2]

    assert not weak
    assert not edges


def test_only_tokens_name_a_colour() -> None:
    for name in ("base", "components", "utilities"):
        source = (ROOT / f"static/css/{name}.css").read_text(encoding="utf-8")
        source = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
        assert not re.findall(r"#[0-9a-f]{3,8}\b(?=[^{]*;)|rgba?\(|hsla?\(|oklch\(", source), name


def test_every_token_used_exists() -> None:
    sources = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "static/css").glob("*.css")}
    everything = "".join(sources.values())
    defined = set(re.findall(r"(--[\w-]+)\s*:", everything))

    assert set(re.findall(r"var\((--[\w-]+)", everything)) <= defined


def test_no_template_but_mails_carries_styles_or_scripts_of_its_own() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        if path.parent.name != "mail":
            source = path.read_text(encoding="utf-8")
            assert not re.search(r"<style|\sstyle=|\son\w+=[\"']|javascript:", source), path
            assert not re.search(r"<script(?![^>]*\ssrc=)", source), path


# --- In a browser ---------------------------------------------------------------------------


def parts() -> str:
    form = Form(
        {"name": "Claire Aubert", "side": "us"}, {"name": "Too short.", "side": "Why?", "agree": "Tick."}
    )
    people = [
        {
            "order": 1,
            "name": "Ana",
            "about": "Director",
            "how": "Signs",
            "word": "Signed",
            "tone": "signed",
            "at": AT,
        },
        {"order": None, "name": "Ben", "word": "At the end", "tone": "next"},
    ]
    events = [{"at": AT, "text": "Ana signed"}, {"at": AT, "text": "Sent", "url": "/", "label": "Compare"}]
    with i18n.use("en"):
        return make_environment().get_template("parts.html").render(
            company=SimpleNamespace(name="Larkfield"), step=(2, 4), verify_url="/", form=form, people=people,
            events=events,
        )  # fmt: skip


@pytest.fixture
def address() -> Iterator[str]:
    """The parts on one page, served as the portal serves: nothing inline may run."""
    html = parts().encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            static = self.path.startswith("/static/")
            body = assets.contents()[self.path.removeprefix("/static/")] if static else html
            self.send_response(200)
            self.send_header(
                "Content-Type", guess_type(self.path)[0] if static else "text/html; charset=utf-8"
            )
            self.send_header("Content-Security-Policy", "default-src 'self'")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if not path:
        skip_or_fail("no chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark"), (320, "light")]
)
def test_parts_are_accessible_and_fit(chromium: Any, address: str, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    screen = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    screen.on("console", lambda message: said.append(message.text))
    screen.goto(address)

    violations = Axe().run(screen).response["violations"]

    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in violations] == []
    assert screen.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []


@pytest.mark.browser
def test_targets_on_signing_pages_suit_a_finger(chromium: Any, address: str) -> None:
    screen = chromium.new_page(viewport={"width": 360, "height": 800})
    screen.goto(address)

    low = screen.evaluate(
        "[...document.querySelectorAll('.card :is(button, input:not([type=checkbox], [type=radio],"
        " [type=hidden]), select), .choice, .foot :is(a, button)')]"
        ".filter(e => e.getBoundingClientRect().height < 44 && !e.matches('.compact'))"
        ".map(e => e.outerHTML)"
    )

    assert low == []


@pytest.mark.browser
def test_a_signature_is_drawn_undone_and_cleared(chromium: Any, address: str) -> None:
    screen = chromium.new_page(viewport={"width": 1280, "height": 900})
    screen.goto(address)
    drawn, preview = screen.locator("input[name=drawn]"), screen.locator("[data-signature]")
    field = screen.locator("canvas")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()

    for height in (0.3, 0.6):
        screen.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + height * box["height"])
        screen.mouse.down()
        screen.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + height * box["height"], steps=5)
        screen.mouse.up()

    path = drawn.input_value()
    assert re.fullmatch(r"(M\d{1,3} \d{1,3}(L\d{1,3} \d{1,3})+){2}", path)
    assert preview.locator("path").get_attribute("d") == path

    screen.get_by_role("button", name="Undo the last stroke").click()
    assert drawn.input_value().count("M") == 1

    screen.get_by_role("button", name="Clear").click()
    assert drawn.input_value() == ""
    assert preview.inner_text() == "Claire Aubert"


@pytest.mark.browser
def test_without_script_the_typed_name_is_all_there_is(chromium: Any, address: str) -> None:
    screen = chromium.new_context(java_script_enabled=False).new_page()
    screen.goto(address)

    assert not screen.locator("canvas").is_visible()
    assert screen.get_by_label("Name", exact=True).is_editable()
