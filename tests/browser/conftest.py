"""A real browser on a real portal: Debian's Chromium, driven as a person would, found by label and role.

Each page of a walk is checked as it appears: no axe violation, no console message, no request
beyond the portal, nothing that scrolls sideways; on a phone, nothing on a signing page that is too
small for a finger.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError

from portal import i18n
from tests.browser.measures import FINGER
from tests.conftest import skip_or_fail
from tests.processes import Tree, running, until

# A company's name that lies on this machine, for walks that need a public address.
PUBLIC_HOST = "contracts.larkfield.example"
# The first one is the same browser without its windows: the same pages for half the work.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    f"--host-resolver-rules=MAP {PUBLIC_HOST} 127.0.0.1",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
MARK = """() => {
  window.marked = true; window.swapped = false;
  document.body.addEventListener("htmx:afterSettle", () => { window.swapped = true; });
}"""
WIDTHS = {"wide": (1280, 900), "narrow": (360, 780), "smallest": (320, 568)}
STROKES = [[(-90, 20), (-40, -40), (-10, 30)], [(10, -30), (40, 20), (90, -10)]]  # from the middle


def browser_path() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = browser_path()
    if path is None:
        skip_or_fail("no browser: install Debian's chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A sample portal of this test process's own, worker included."""
    with running(tmp_path_factory.mktemp("sample"), "demo", "--keep") as tree:
        until(tree.jobs_worker)
        yield tree


class Walker:
    """One person's browser. `page` is Playwright's; `check()` judges what is shown right now.

    With `touch` everything is pressed by a finger.
    """

    def __init__(self, context: Any, base: str, scripted: bool, language: str, touch: bool = False) -> None:
        self.context = context
        self.base = base
        self.scripted = scripted
        self.language = language
        self.touch = touch
        self.designed = True  # whether the style sheet is understood
        self.troubles: list[str] = []
        self.beyond: tuple[str, ...] = ()  # other sites that this walk is meant to visit
        self.steps = 0
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", self.on_console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        context.on("request", self.on_request)

    def on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.troubles.append(f"console: {message.text}")

    def on_request(self, request: Any) -> None:
        if not request.url.startswith((self.base, *self.beyond, "data:", "blob:", "about:")):
            self.troubles.append(f"request beyond the portal: {request.url}")

    def open(self, path: str) -> Any:
        answer = self.page.goto(path if path.startswith("http") else self.base + path)
        assert answer.status in (200, 410), f"{answer.status} at {path}"
        self.check()
        return self.page

    def say(self, message: str, **values: Any) -> str:
        """The words of the portal in this person's language."""
        with i18n.use(self.language):
            return i18n.gettext(message, **values)

    def press(self, message: str, role: str = "button", *, also: str = "", **values: Any) -> Any:
        """Press a button or link by its visible words, then judge the page it leads to.

        `also` is what its name says besides, for one of several alike.
        """
        self.steps += 1
        words = self.say(message, **values)
        name = re.compile(f"{re.escape(words)}.*{re.escape(also)}", re.DOTALL) if also else words
        found = self.page.get_by_role(role, name=name, exact=not also).first
        self.act(lambda: self.hit(found))
        self.check()
        return self.page

    def press_at(self, css: str) -> None:
        """Press what has no words of its own to be found by."""
        self.act(lambda: self.hit(self.page.locator(css).first))
        self.check()

    def hit(self, found: Any) -> None:
        """With a finger, or with a mouse."""
        if self.touch:
            found.tap()
        else:
            found.click()

    def unfold(self, message: str, **values: Any) -> None:
        self.steps += 1
        self.hit(self.page.locator("summary", has_text=self.say(message, **values)).first)

    def act(self, do: Callable[[], Any]) -> None:
        """Do something that leads to another page or swaps a part of this one; wait until it has."""
        self.page.evaluate(MARK)
        do()
        until(self.has_changed)
        self.page.wait_for_load_state("load")

    def has_changed(self) -> bool:
        try:
            return bool(self.page.evaluate("() => !window.marked || window.swapped"))
        except PlaywrightError:  # on its way to the next page
            return False

    def fill(self, message: str, value: str) -> None:
        """Type into the first visible field of this label."""
        self.steps += 1
        self.field(message).fill(value)

    def field(self, message: str) -> Any:
        words = re.compile("^" + re.escape(self.say(message)))
        return self.page.get_by_label(words).locator("visible=true").first

    def tick(self, message: str, **values: Any) -> None:
        self.set(self.page.get_by_label(self.say(message, **values)).first)

    def tick_all(self) -> None:
        """Tick every box of the page's forms."""
        for box in self.page.locator("form input[type=checkbox]").all():
            self.steps += 1
            self.set(box)

    def set(self, box: Any) -> None:
        if not box.is_checked():
            self.hit(box)
        until(box.is_checked)

    def attach(self, message: str, file: Path) -> None:
        self.steps += 1
        self.field(message).set_input_files(file)

    def draw(self) -> None:
        """A signature of two strokes, by finger or by mouse."""
        canvas = self.page.locator("canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for stroke in STROKES:
            self.stroke([(middle[0] + x, middle[1] + y) for x, y in stroke])

    def stroke(self, points: list[tuple[float, float]]) -> None:
        if not self.touch:
            self.page.mouse.move(*points[0])
            self.page.mouse.down()
            for point in points[1:]:
                self.page.mouse.move(*point)
            self.page.mouse.up()
            return
        session = self.context.new_cdp_session(self.page)
        kinds = ["touchStart"] + ["touchMove"] * (len(points) - 1)
        for kind, (x, y) in zip(kinds, points, strict=True):
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()

    def sees(self, message: str, **values: Any) -> None:
        words = self.say(message, **values)
        assert words in self.text(), f"{self.address} does not say “{words}”"

    def value(self, message: str) -> str:
        return str(self.field(message).input_value())

    def text(self, css: str = "body") -> str:
        return str(self.page.locator(css).first.inner_text())

    def attribute(self, css: str, name: str) -> str:
        return str(self.page.locator(css).first.get_attribute(name) or "")

    @property
    def address(self) -> str:
        return str(self.page.url)

    def check(self) -> None:
        """No violation, no console message, no outside request, no sideways scrolling, room for fingers."""
        wide = self.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 1, f"{self.page.url} scrolls sideways by {wide} px"
        if self.touch and self.designed and "signing" in self.attribute("body", "class").split():
            faults = self.page.evaluate(f"() => {{{FINGER}}}")
            assert not faults, f"{self.page.url}: {faults}"
        if self.scripted:
            self.check_axe()
        assert not self.troubles, f"{self.page.url}: {self.troubles}"

    def check_axe(self) -> None:
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        assert not found, f"{self.page.url}: " + "; ".join(
            f"{v['id']} at {[n['target'] for n in v['nodes']][:3]}: {v['nodes'][0].get('failureSummary', '')}"
            for v in found
        )

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def another_hour(sample: Tree) -> None:
    """All walks come from one address and few numbers: each begins as if those before were long over."""
    with contextlib.closing(sqlite3.connect(sample.data_dir / "countersign.db", timeout=20)) as database:
        database.execute("DELETE FROM attempt WHERE scope LIKE 'sms.%'")
        database.commit()


@pytest.fixture
def walkers(chromium: Any, sample: Tree, another_hour: None) -> Iterator[Callable[..., Walker]]:
    """Makes browsers: `walkers(scripted=False, width="narrow", language="fr", dark=True)`.

    One that `bypasses_csp` runs scripts a page would refuse, as programs that scan mails do.
    """
    made: list[Walker] = []

    def make(
        *,
        scripted: bool = True,
        width: str = "wide",
        language: str = "en",
        dark: bool = False,
        bypasses_csp: bool = False,
    ) -> Walker:
        size = WIDTHS[width]
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            java_script_enabled=scripted,
            locale={"en": "en-GB", "fr": "fr-FR"}[language],
            color_scheme="dark" if dark else "light",
            has_touch=size[0] < 500,
            bypass_csp=bypasses_csp,
        )
        walker = Walker(context, sample.address, scripted, language, touch=size[0] < 500)
        made.append(walker)
        return walker

    yield make
    for walker in made:
        walker.close()
