"""What the tests of frames and parts share: an environment, a form, and a reader of elements."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from portal import i18n

ROOT = Path(__file__).parents[2]


def make_environment(*, autoescape: bool = True, trim: bool = False) -> Environment:
    made = Environment(
        loader=FileSystemLoader([ROOT / "templates", ROOT / "tests/pages"]), autoescape=autoescape
    )
    made.trim_blocks = made.lstrip_blocks = trim
    i18n.install(made)
    made.globals.update(asset=lambda path: f"/static/{path}", csrf_token=lambda: "token")
    return made


class Form:
    def __init__(self, values: dict[str, str] | None = None, errors: dict[str, str] | None = None) -> None:
        self.values, self.errors = values or {}, errors or {}

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        return self.errors.get(name, "")


class Elements(HTMLParser):
    """Every element as (tag, attributes), to ask questions of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(str(html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))

    def one(self, tag: str) -> dict[str, str | None]:
        return next(attributes for name, attributes in self.all if name == tag)
