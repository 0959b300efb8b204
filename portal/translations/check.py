"""Which words of pages, mails and code have no French yet, and which escaped translation.

    python -m portal.i18n missing [PATH ...]            messages without French, by file
    python -m portal.i18n missing [PATH ...] --po AREA  append them, empty, to fr/AREA.po
    python -m portal.i18n bare [PATH ...]               words in templates outside `_()` and `{% trans %}`

The tests use the same functions. Nothing here runs while the portal serves.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

from portal import translations

ROOT = Path(__file__).parents[2]
SOURCES = (("templates", "**.html", "jinja2"), ("templates", "**.txt", "jinja2"))
CODE = (("portal", "**.py", "python"), ("providers", "**.py", "python"))
OPTIONS = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true", "encoding": "utf-8"}

# Names are the same in every language.
UNTRANSLATED = {"Countersign", "PDF", "ID", "htmx"}


HEADER = rb"""msgid ""
msgstr ""
"Language: fr\n"
"Content-Type: text/plain; charset=utf-8\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\n"
"""
HOLE = "\ue000"  # stands where a template prints a value; in no file


class Message(NamedTuple):
    id: str
    plural: str | None
    context: str | None

    @property
    def key(self) -> str | tuple[str, str]:
        return (self.context, self.id) if self.context else self.id


def messages(paths: list[str] | None = None) -> dict[Message, list[str]]:
    """Every message of templates and code, with the `file:line` of each use."""
    from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir

    keywords: dict[str, Any] = {**DEFAULT_KEYWORDS, "lazy": None, "mark": None, "N_": None}
    found: dict[Message, list[str]] = {}
    for folder, pattern, method in (*SOURCES, *CODE):
        rows = extract_from_dir(ROOT / folder, [(pattern, method)], {pattern: OPTIONS}, keywords=keywords)
        for name, line, ids, _comments, context in rows:
            place = f"{folder}/{name}:{line}"
            if paths and not any(place.startswith(path) for path in paths):
                continue
            singular, plural = (ids[0], ids[1]) if isinstance(ids, tuple) else (ids, None)
            if singular:
                found.setdefault(Message(singular, plural, context), []).append(place)
    return found


def missing(language: str, paths: list[str] | None = None) -> dict[Message, list[str]]:
    """Messages without a translation, or with one form where two are needed."""
    known = translations.read(language)
    return {
        message: places
        for message, places in messages(paths).items()
        if not isinstance(known.get(message.key), tuple if message.plural else str)
    }


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)[sd]", text))


def entries(language: str) -> Iterator[tuple[str, Any]]:
    """(file name, Babel message) for every entry of every catalogue file, empty ones included."""
    from babel.messages.pofile import read_po

    for path in sorted((translations.FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language, abort_invalid=True):
                if message.id:
                    yield path.name, message


# --- Words outside gettext ------------------------------------------------------------------------


def visible_text(source: str) -> str:
    """What a template shows apart from its messages: tags, code and Jinja taken away."""
    from jinja2 import Environment

    inside = 0
    pieces: list[str] = []
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    tokens = list(environment.lex(source))
    for place, (_line, kind, value) in enumerate(tokens):
        if kind == "block_begin":
            word = next((later for _, sort, later in tokens[place + 1 :] if sort == "name"), "")
            inside += {"trans": 1, "endtrans": -1}.get(word, 0)
        elif kind == "data" and not inside:
            pieces.append(value)
        elif kind == "variable_begin":
            pieces.append(HOLE)
    reader = _TextReader()
    reader.feed("".join(pieces))
    reader.close()
    return " ".join(reader.found).replace(HOLE, " ")


def bare_words(source: str) -> list[str]:
    """Words people would read in English whatever their language."""
    words = re.findall(r"[^\W\d_]{2,}", visible_text(source))
    return [word for word in words if word not in UNTRANSLATED]


class _TextReader(HTMLParser):
    SPOKEN = ("alt", "title", "placeholder", "aria-label", "aria-description", "data-label", "label")
    SILENT = ("style", "script", "code")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in self.SILENT
        self.found += [value for name, value in attrs if name in self.SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in self.SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.found.append(re.sub(r'[\w:-]+="[^"]*"?', "", data))  # macros print attributes alone


def templates(paths: list[str] | None = None) -> Iterator[tuple[str, str]]:
    """(path from the root, source) of every page and mail."""
    for path in sorted((ROOT / "templates").rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in (".html", ".txt") and (not paths or any(name.startswith(p) for p in paths)):
            yield name, path.read_text(encoding="utf-8")


# --- The command --------------------------------------------------------------------------------------


def append(language: str, area: str, wanted: dict[Message, list[str]]) -> int:
    """Add empty entries to an area's file; those that stand in any file already are left alone."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import write_po

    present = {_id_of(entry) for _file, entry in entries(language)}
    catalog = Catalog(locale=language)
    for message, places in wanted.items():
        if message.key not in present:
            ids = (message.id, message.plural) if message.plural else message.id
            spots = [(place.rpartition(":")[0], 0) for place in dict.fromkeys(places)]
            catalog.add(ids, context=message.context, locations=spots)
    path = translations.FOLDER / language / f"{area}.po"
    lines = io.BytesIO()
    write_po(lines, catalog, omit_header=True, width=100, include_lineno=False)
    before = path.read_bytes() if path.exists() else HEADER
    path.write_bytes(before + b"\n" + lines.getvalue())
    return len(catalog)


def _id_of(entry: Any) -> str | tuple[str, str]:
    singular = entry.id[0] if isinstance(entry.id, tuple) else entry.id
    return (entry.context, singular) if entry.context else singular


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m portal.i18n")
    parser.add_argument("act", choices=["missing", "bare"])
    parser.add_argument("paths", nargs="*", help="only files whose path starts so, as templates/contracts")
    parser.add_argument("--po", metavar="AREA", help="append the missing ones, empty, to fr/AREA.po")
    asked = parser.parse_args(arguments)
    if asked.act == "bare":
        rows = [(name, bare_words(source)) for name, source in templates(asked.paths)]
        for name, words in rows:
            if words:
                print(f"{name}: {' '.join(words)}")
        return int(any(words for _name, words in rows))
    wanted = missing("fr", asked.paths)
    if asked.po:
        print(f"{append('fr', asked.po, wanted)} messages added to fr/{asked.po}.po")
        return 0
    for message, places in sorted(wanted.items(), key=lambda item: item[1]):
        print(f"{places[0]}: {message.id!r}")
    print(f"{len(wanted)} messages without French")
    return int(bool(wanted))
