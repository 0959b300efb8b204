"""Debian's own Firefox, unpatched, driven over Marionette, the remote control that is built into it.

The protocol is one TCP connection with JSON messages, each behind its length; the commands are
those of WebDriver. That is so little that no package is needed for it.
Source: https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html, read 2026-11.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from portal import i18n
from tests.browser.conftest import STROKES
from tests.browser.measures import FINGER
from tests.conftest import skip_or_fail
from tests.processes import until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name the WebDriver standard gives references
SPEECH = {"en": "en-GB, en", "fr": "fr-FR, fr"}
# Loopback needs no proxy; whatever else Firefox would like to fetch meets a closed port.
QUIET = {
    "marionette.port": 0,
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "toolkit.telemetry.server": "",
}
VIEWPORT = """
const [width, height] = arguments, style = gBrowser.selectedBrowser.style;
for (const side of ["min", "max"]) {
  style.setProperty(`${side}-width`, `${width}px`);
  style.setProperty(`${side}-height`, `${height}px`);
}"""
ERRORS = """
const found = Services.console.getMessageArray().filter(each => each instanceof Ci.nsIScriptError)
  .filter(each => each.sourceName.startsWith(arguments[0]) || each.category.includes("CSP"))
  .filter(each => !(each.flags & Ci.nsIScriptError.warningFlag)).map(each => each.errorMessage);
Services.console.reset();
return found;"""


class FirefoxError(Exception):
    """What Firefox answered instead of a result."""


class Firefox:
    """One Firefox with a profile of its own, and the connection that drives it."""

    def __init__(self, folder: Path, **preferences: Any) -> None:
        path = shutil.which("firefox-esr") or shutil.which("firefox")
        if path is None:
            skip_or_fail("no second browser: install Debian's firefox-esr")
        profile = folder / "profile"
        profile.mkdir(parents=True)
        lines = (f"user_pref({json.dumps(n)}, {json.dumps(v)});\n" for n, v in (QUIET | preferences).items())
        (profile / "user.js").write_text("".join(lines))
        self.process = subprocess.Popen(
            [str(path), "--headless", "--no-remote", "--profile", profile, "--marionette",
             "--remote-allow-system-access", "about:blank"],
            env=os.environ | {"HOME": str(folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.count = 0
        try:
            port = profile / "MarionetteActivePort"
            until(lambda: port.exists() and port.read_text().strip())
            self.connection = socket.create_connection(("127.0.0.1", int(port.read_text())), 60)
            self.stream = self.connection.makefile("rb")
            self.receive()  # its greeting
            self.call("WebDriver:NewSession", capabilities={})
        except BaseException:
            self.end()
            raise

    def call(self, command: str, **parameters: Any) -> Any:
        """Do one command; gives its value. Raises FirefoxError with what Firefox has against it."""
        self.count += 1
        message = json.dumps([0, self.count, command, parameters]).encode()
        self.connection.sendall(b"%d:%s" % (len(message), message))
        _kind, _count, error, result = self.receive()
        if error:
            raise FirefoxError(f"{command}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def receive(self) -> Any:
        size = b""
        while (sign := self.stream.read(1)) != b":":
            if not sign:
                raise FirefoxError("Firefox hung up")
            size += sign
        return json.loads(self.stream.read(int(size)))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script beside the page: it sees the document, also where the page may run none."""
        return self.call("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def run_inside(self, script: str, *arguments: Any) -> Any:
        """Run a script in the browser's own window, around the page."""
        self.call("Marionette:SetContext", value="chrome")
        try:
            return self.run(script, *arguments)
        finally:
            self.call("Marionette:SetContext", value="content")

    def end(self) -> None:
        """Close it by its own process id."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for each in ("stream", "connection"):
            with contextlib.suppress(AttributeError, OSError):
                getattr(self, each).close()


class FirefoxWalker:
    """One person's Firefox, with the steps of `conftest.Walker`."""

    def __init__(
        self, folder: Path, base: str, *, scripted: bool, size: tuple[int, int], language: str, dark: bool
    ) -> None:
        self.base = base
        self.scripted = scripted
        self.language = language
        self.touch = size[0] < 500
        self.steps = 0
        self.firefox = Firefox(folder, **{
            "javascript.enabled": scripted,
            "intl.accept_languages": SPEECH[language],
            "layout.css.prefers-color-scheme.content-override": 0 if dark else 1,
            # What points: 1 is a finger, 6 a mouse that can hover.
            "ui.primaryPointerCapabilities": 1 if self.touch else 6,
            "ui.allPointerCapabilities": 1 if self.touch else 6,
            "dom.w3c_touch_events.enabled": 1 if self.touch else 0,
        })  # fmt: skip
        self.firefox.run_inside(VIEWPORT, *size)

    # --- What a person does ---

    def open(self, path: str) -> None:
        self.firefox.call("WebDriver:Navigate", url=path if path.startswith("http") else self.base + path)
        self.check()

    def press(self, message: str, role: str = "button", *, also: str = "", **values: Any) -> None:
        self.steps += 1
        words = self.say(message, **values)
        name = re.compile(f"{re.escape(words)}.*{re.escape(also)}" if also else f"{re.escape(words)}$", re.S)
        self.leave_by(self.named("a[href]" if role == "link" else "button", name))

    def press_at(self, css: str) -> None:
        self.leave_by(self.at(css))

    def unfold(self, message: str, **values: Any) -> None:
        self.steps += 1
        self.hit(self.named("summary", re.compile(re.escape(self.say(message, **values)))))

    def fill(self, message: str, value: str) -> None:
        self.steps += 1
        field = self.field(message)
        self.firefox.call("WebDriver:ElementClear", id=field)
        self.firefox.call("WebDriver:ElementSendKeys", id=field, text=value)

    def attach(self, message: str, file: Path) -> None:
        self.steps += 1
        self.firefox.call("WebDriver:ElementSendKeys", id=self.field(message), text=str(file))

    def tick(self, message: str, **values: Any) -> None:
        self.steps += 1
        self.set(self.field(message, **values))

    def tick_all(self) -> None:
        """Tick every box of the page's forms."""
        for box in self.all("form input[type=checkbox]"):
            self.steps += 1
            self.set(box)

    def draw(self) -> None:
        """A signature of two strokes, by finger or by mouse."""
        middle = self.bring(self.at("canvas"))
        for points in STROKES:
            moves = [{"type": "pointerMove", "x": x, "y": y, "origin": middle} for x, y in points]
            self.point([moves[0], {"type": "pointerDown", "button": 0}, *moves[1:]])

    # --- What a person sees ---

    def say(self, message: str, **values: Any) -> str:
        with i18n.use(self.language):
            return i18n.gettext(message, **values)

    def sees(self, message: str, **values: Any) -> None:
        words = self.say(message, **values)
        assert words in self.text(), f"{self.address} does not say “{words}”"

    def value(self, message: str) -> str:
        return str(self.firefox.call("WebDriver:GetElementProperty", id=self.field(message), name="value"))

    def text(self, css: str = "body") -> str:
        return str(self.firefox.call("WebDriver:GetElementText", id=self.at(css)))

    def attribute(self, css: str, name: str) -> str:
        return str(self.firefox.call("WebDriver:GetElementAttribute", id=self.at(css), name=name) or "")

    @property
    def address(self) -> str:
        return str(self.firefox.call("WebDriver:GetCurrentURL"))

    def check(self) -> None:
        """Nothing scrolls sideways or is too small for a finger, and the console holds no error."""
        root = "document.documentElement"
        wide = self.firefox.run(f"return {root}.scrollWidth - {root}.clientWidth")
        assert wide <= 1, f"{self.address} scrolls sideways by {wide} px"
        if self.touch and "signing" in self.attribute("body", "class").split():
            faults = self.firefox.run(FINGER)
            assert not faults, f"{self.address}: {faults}"
        errors = self.firefox.run_inside(ERRORS, self.base)
        assert not errors, f"{self.address}: {errors}"

    # --- How it is found and done ---

    def all(self, css: str) -> list[str]:
        found = self.firefox.call("WebDriver:FindElements", using="css selector", value=css)
        return [each[ELEMENT] for each in found]

    def at(self, css: str) -> str:
        return self.all(css)[0]

    def named(self, css: str, name: re.Pattern[str]) -> str:
        """The first visible element whose accessible name, as Firefox computes it, matches."""
        return next(each for each in self.all(css) if self.is_shown(each) and name.match(self.name_of(each)))

    def field(self, message: str, **values: Any) -> str:
        return self.named(
            "input:not([type=hidden]), select, textarea", re.compile(re.escape(self.say(message, **values)))
        )

    def name_of(self, element: str) -> str:
        return str(self.firefox.call("WebDriver:GetComputedLabel", id=element))

    def is_shown(self, element: str) -> bool:
        return bool(self.firefox.call("WebDriver:IsElementDisplayed", id=element))

    def set(self, box: str) -> None:
        if not self.is_set(box):
            self.hit(box)
        until(lambda: self.is_set(box))

    def is_set(self, box: str) -> bool:
        return bool(self.firefox.call("WebDriver:IsElementSelected", id=box))

    def leave_by(self, element: str) -> None:
        """Press what leads to another page, and judge that one."""
        self.firefox.run("window.marked = true")
        self.hit(element)
        until(self.has_left)
        self.check()

    def has_left(self) -> bool:
        try:
            return bool(self.firefox.run("return !window.marked && document.readyState === 'complete'"))
        except FirefoxError:  # on its way to the next page
            return False

    def hit(self, element: str) -> None:
        """Press with what this person has: a finger, or a mouse."""
        if not self.touch:
            self.firefox.call("WebDriver:ElementClick", id=element)
            return
        to = {"type": "pointerMove", "x": 0, "y": 0, "origin": self.bring(element)}
        self.point([to, {"type": "pointerDown", "button": 0}])

    def bring(self, element: str) -> dict[str, str]:
        """Scroll it to the middle of the window, at once; gives the reference scripts and pointers take."""
        self.firefox.run(
            "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", {ELEMENT: element}
        )
        return {ELEMENT: element}

    def point(self, actions: list[dict[str, Any]]) -> None:
        kind = "touch" if self.touch else "mouse"
        self.firefox.call("WebDriver:PerformActions", actions=[{
            "type": "pointer", "id": kind, "parameters": {"pointerType": kind},
            "actions": [*actions, {"type": "pointerUp", "button": 0}],
        }])  # fmt: skip

    def close(self) -> None:
        self.firefox.end()
