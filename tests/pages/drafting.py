"""Browsers of the cast, a draft of Ana's, and forms as a browser would send them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from portal.clock import utc_now
from tests.cast import sign_in


def browser(app: Any, who: Any) -> Any:
    client = app.test_client()
    sign_in(client, who, utc_now())
    return client


class Forms(HTMLParser):
    """Every form of a page by its address, with what it would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        self.inside: dict[str, str] = {}
        self.select = self.area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = self.forms.setdefault(at.get("action", ""), {})
        elif tag == "input" and "name" in at:
            ticks = at.get("type") in ("checkbox", "radio")
            if not ticks or any(name == "checked" for name, _value in attrs):
                self.inside[at["name"]] = at.get("value", "")
        elif tag == "select":
            self.select = at.get("name", "")
            self.inside.pop(self.select, None)
        elif tag == "option" and self.select:
            if any(name == "selected" for name, _value in attrs) or self.select not in self.inside:
                self.inside[self.select] = at.get("value", "")
        elif tag == "textarea":
            self.area = at.get("name", "")
            self.inside[self.area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.select = ""
        elif tag == "textarea":
            self.inside[self.area] = self.inside[self.area].removeprefix("\n")
            self.area = ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.inside[self.area] += data


def forms(answer: Any) -> dict[str, dict[str, str]]:
    return Forms(answer.get_data(as_text=True)).forms
