"""The seeded contract templates: which clauses, in which order, in English and French.

`seeds/templates.json` lists them; `seeds/clauses/<key>.md` holds both languages of a clause side by
side, so that whoever changes one sees the other.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

SEEDS = Path(__file__).parent / "seeds"
LANGUAGES = ("en", "fr")


class Clause(TypedDict):
    """Markdown with `{{variables}}` and `[[clause-keys]]`; level 2 is numbered below the clause before it."""

    key: str
    level: int
    heading: dict[str, str]
    text: dict[str, str]


@dataclass(frozen=True)
class Template:
    """A published template version; `key` also names its levels in levels.PRESETS."""

    key: str
    version: int
    name: dict[str, str]
    summary: dict[str, str]
    clauses: tuple[Clause, ...]


@functools.cache
def templates() -> tuple[Template, ...]:
    """Every seeded template, the usual one first."""
    listed = json.loads((SEEDS / "templates.json").read_text(encoding="utf-8"))
    return tuple(
        Template(
            key=each["key"],
            version=each["version"],
            name=each["name"],
            summary=each["summary"],
            clauses=tuple(_clause(key, level) for key, level in each["clauses"]),
        )
        for each in listed
    )


def template(key: str) -> Template:
    """Raises KeyError for a template that is not seeded."""
    for each in templates():
        if each.key == key:
            return each
    raise KeyError(key)


def _clause(key: str, level: int) -> Clause:
    """Read `# en: Heading`, text, `# fr: Heading`, text."""
    heading: dict[str, str] = {}
    text: dict[str, str] = {}
    source = (SEEDS / "clauses" / f"{key}.md").read_text(encoding="utf-8")
    for part in source.removeprefix("# ").split("\n# "):
        first, _newline, rest = part.partition("\n")
        language, _colon, title = first.partition(": ")
        heading[language], text[language] = title.strip(), rest.strip()
    return {"key": key, "level": level, "heading": heading, "text": text}
