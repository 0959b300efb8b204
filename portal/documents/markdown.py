"""Clause Markdown as blocks for the typesetter, as HTML for the page, as plain text for comparing.

`{{variable}}` and `[[clause-key]]` are taken out before parsing and put back into the finished
tree, so a value can never become mark-up. Raw HTML, pictures and code are shown as the words they
hold; links lead to http, https, mailto or another clause.

A block is a dict with `kind`: paragraph, heading (level 3 or 4), list, quote, rule or table; an
inline part is text, strong, em, break or link.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

Block = dict[str, Any]
Part = dict[str, Any]
Node = dict[str, Any]

LONGEST = 200_000
VARIABLE = re.compile(r"\{\{(.*?)\}\}")
REFERENCE = re.compile(r"\[\[(.*?)\]\]")
MARK = re.compile("\ue000(\\d+)\ue001")
MARK_IN_URL = re.compile(r"%EE%80%80(\d+)%EE%80%81")
TAGS = {tag: Markup(tag) for tag in ("strong", "em", "h3", "h4", "th", "td")}  # noqa: S704
SAFE_URL = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f<>\"]+", re.IGNORECASE)


class UnknownVariable(ValueError):
    """The text asks for a variable that has no value."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class UnknownReference(ValueError):
    """The text points to a clause that is not there."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class TooLong(ValueError):
    """The text is longer than any clause."""


def blocks(
    text: str, variables: Mapping[str, str] | None = None, numbers: Mapping[str, str] | None = None
) -> list[Block]:
    """The text as blocks. `numbers` is clause key -> number, as from `number_clauses`.

    Without `variables` (or `numbers`) their marks stay visible, as an editor wants them; with them
    an unknown name raises UnknownVariable or UnknownReference. Raises TooLong.
    """
    if len(text) > LONGEST:
        raise TooLong
    filled = _Filled(text.translate({0xE000: None, 0xE001: None, 0: None}), variables, numbers)
    return _blocks(_parser()(filled.text), filled)


def to_html(
    text: str, variables: Mapping[str, str] | None = None, numbers: Mapping[str, str] | None = None
) -> Markup:
    """The text as HTML that holds nothing but the tags of this module. As `blocks`."""
    return Markup("").join(_html(block) for block in blocks(text, variables, numbers))


def plain_text(
    text: str, variables: Mapping[str, str] | None = None, numbers: Mapping[str, str] | None = None
) -> str:
    """The words alone: blocks parted by an empty line, list items and table rows by a line break."""
    return "\n\n".join(_plain(block) for block in blocks(text, variables, numbers))


def number_clauses(clauses: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same clauses with `number`: "4" at level 1, "4.2" at level 2.

    A level 2 clause with nothing above it counts as level 1.
    """
    numbered: list[dict[str, Any]] = []
    first = second = 0
    for clause in clauses:
        if clause["level"] == 1 or not first:
            first, second = first + 1, 0
        else:
            second += 1
        numbered.append({**clause, "number": f"{first}.{second}" if second else f"{first}"})
    return numbered


class _Filled:
    """The text with marks in place of variables and references, and what each mark stands for."""

    def __init__(
        self, text: str, variables: Mapping[str, str] | None, numbers: Mapping[str, str] | None
    ) -> None:
        self.parts: list[Part] = []
        self.variables = variables
        self.numbers = numbers
        if numbers is not None:
            text = REFERENCE.sub(self._reference, text)
        if variables is not None:
            text = VARIABLE.sub(self._variable, text)
        self.text = text

    def split(self, text: str) -> list[Part]:
        """Text as it was parsed, with the marks turned back."""
        pieces = MARK.split(html.unescape(text))
        return [
            self.parts[int(piece)] if at % 2 else {"kind": "text", "text": piece}
            for at, piece in enumerate(pieces)
            if piece
        ]

    def url(self, url: str) -> str:
        return MARK_IN_URL.sub(lambda mark: quote(_words([self.parts[int(mark[1])]]), safe="@"), url)

    def _reference(self, found: re.Match[str]) -> str:
        key = found[1].strip()
        if self.numbers is None or key not in self.numbers:
            raise UnknownReference(key)
        return self._mark(
            {"kind": "link", "url": f"#{key}", "inline": [{"kind": "text", "text": self.numbers[key]}]}
        )

    def _variable(self, found: re.Match[str]) -> str:
        name = found[1].strip()
        if self.variables is None or name not in self.variables:
            raise UnknownVariable(name)
        return self._mark({"kind": "text", "text": str(self.variables[name])})

    def _mark(self, part: Part) -> str:
        self.parts.append(part)
        return f"\ue000{len(self.parts) - 1}\ue001"


@lru_cache(maxsize=1)
def _parser() -> Callable[[str], list[Node]]:
    import mistune

    parser: Callable[[str], list[Node]] = mistune.create_markdown(renderer=None, plugins=["table"])
    return parser


# --- From mistune's tree to blocks --------------------------------------------------------


def _blocks(nodes: Sequence[Node], filled: _Filled) -> list[Block]:
    made = (BLOCKS[node["type"]](node, filled) for node in nodes if node["type"] in BLOCKS)
    return [block for block in made if block.get("inline") != []]


def _paragraph(node: Node, filled: _Filled) -> Block:
    return {"kind": "paragraph", "inline": _inline(node["children"], filled)}


def _verbatim(node: Node, filled: _Filled) -> Block:
    rows = [filled.split(row) for row in node["raw"].strip("\n").split("\n")]
    inline = [part for row in rows for part in ({"kind": "break"}, *row)][1:]
    return {"kind": "paragraph", "inline": inline}


def _heading(node: Node, filled: _Filled) -> Block:
    level = 3 if node["attrs"]["level"] <= 3 else 4
    return {"kind": "heading", "level": level, "inline": _inline(node["children"], filled)}


def _list(node: Node, filled: _Filled) -> Block:
    return {
        "kind": "list",
        "ordered": node["attrs"]["ordered"],
        "start": node["attrs"].get("start", 1),
        "items": [_blocks(item["children"], filled) for item in node["children"]],
    }


def _quote(node: Node, filled: _Filled) -> Block:
    return {"kind": "quote", "blocks": _blocks(node["children"], filled)}


def _rule(node: Node, filled: _Filled) -> Block:
    return {"kind": "rule"}


def _table(node: Node, filled: _Filled) -> Block:
    head = node["children"][0]["children"]
    body = node["children"][1]["children"] if len(node["children"]) > 1 else []
    cells = [row["children"] for row in body]
    return {
        "kind": "table",
        "align": [cell["attrs"]["align"] or "left" for cell in head],
        "head": [_cell(cell, filled) for cell in head],
        "rows": [[_cell(cell, filled) for cell in row] for row in cells],
    }


def _cell(node: Node, filled: _Filled) -> dict[str, Any]:
    inline = _inline(node["children"], filled)
    return {"inline": inline, "length": len(_words(inline))}


BLOCKS: dict[str, Callable[[Node, _Filled], Block]] = {
    "paragraph": _paragraph,
    "block_text": _paragraph,
    "block_code": _verbatim,
    "block_html": _verbatim,
    "heading": _heading,
    "list": _list,
    "block_quote": _quote,
    "thematic_break": _rule,
    "table": _table,
}


def _inline(nodes: Sequence[Node], filled: _Filled, *, in_link: bool = False) -> list[Part]:
    parts: list[Part] = []
    for node in nodes:
        parts += _parts(node, filled, in_link)
    return _joined(parts)


def _parts(node: Node, filled: _Filled, in_link: bool) -> list[Part]:
    kind = node["type"]
    if kind == "link" and not in_link:
        return _link(node, filled)
    if kind in ("strong", "emphasis"):
        inline = _inline(node["children"], filled, in_link=in_link)
        return [{"kind": "em" if kind == "emphasis" else kind, "inline": inline}]
    if kind == "linebreak":
        return [{"kind": "break"}]
    if kind == "softbreak":
        return [{"kind": "text", "text": " "}]
    if "children" in node:
        return _inline(node["children"], filled, in_link=in_link)
    parts = filled.split(node.get("raw", ""))
    return [{"kind": "text", "text": _words([part])} for part in parts] if in_link else parts


def _link(node: Node, filled: _Filled) -> list[Part]:
    inline = _inline(node["children"], filled, in_link=True)
    url = html.unescape(filled.url(node["attrs"]["url"]))
    if not SAFE_URL.fullmatch(url):
        return inline
    return [{"kind": "link", "url": url, "inline": inline}]


def _joined(parts: list[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in parts:
        if joined and part["kind"] == joined[-1]["kind"] == "text":
            joined[-1] = {"kind": "text", "text": joined[-1]["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


# --- From blocks to HTML and to words -----------------------------------------------------


def _html(block: Block) -> Markup:
    kind = block["kind"]
    if kind == "paragraph":
        return Markup("<p>{}</p>\n").format(_inline_html(block["inline"]))
    if kind == "heading":
        tag = TAGS[f"h{block['level']}"]
        return Markup("<{0}>{1}</{0}>\n").format(tag, _inline_html(block["inline"]))
    if kind == "list":
        return _list_html(block)
    if kind == "quote":
        inside = Markup("").join(_html(inner) for inner in block["blocks"])
        return Markup("<blockquote>\n{}</blockquote>\n").format(inside)
    if kind == "table":
        return _table_html(block)
    return Markup("<hr>\n")


def _list_html(block: Block) -> Markup:
    items = Markup("").join(
        Markup("<li>{}</li>\n").format(Markup("").join(_html(inner) for inner in item))
        for item in block["items"]
    )
    if not block["ordered"]:
        return Markup("<ul>\n{}</ul>\n").format(items)
    start = Markup(' start="{}"').format(block["start"]) if block["start"] != 1 else ""
    return Markup("<ol{}>\n{}</ol>\n").format(start, items)


def _table_html(block: Block) -> Markup:
    def row(cells: Sequence[dict[str, Any]], opening: Markup, closing: Markup) -> Markup:
        made = (
            Markup("<{0}>{1}</{2}>").format(opening, _inline_html(cell["inline"]), closing) for cell in cells
        )
        return Markup("<tr>{}</tr>\n").format(Markup("").join(made))

    head = row(block["head"], Markup('th scope="col"'), TAGS["th"])
    body = Markup("").join(row(cells, TAGS["td"], TAGS["td"]) for cells in block["rows"])
    return Markup("<table>\n<thead>\n{}</thead>\n<tbody>\n{}</tbody>\n</table>\n").format(head, body)


def _inline_html(parts: Sequence[Part]) -> Markup:
    return Markup("").join(_part_html(part) for part in parts)


def _part_html(part: Part) -> Markup:
    if part["kind"] == "text":
        return escape(part["text"])
    if part["kind"] == "break":
        return Markup("<br>\n")
    inside = _inline_html(part["inline"])
    if part["kind"] == "link":
        url = part["url"] if not part["url"].startswith("#") else f"#clause-{part['url'][1:]}"
        return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(url, inside)
    return Markup("<{0}>{1}</{0}>").format(TAGS[part["kind"]], inside)


def _plain(block: Block) -> str:
    kind = block["kind"]
    if "inline" in block:
        return _words(block["inline"])
    if kind == "list":
        marks = range(block["start"], block["start"] + len(block["items"]))
        return "\n".join(
            f"{f'{mark}.' if block['ordered'] else '-'} " + "\n  ".join(_plain(inner) for inner in item)
            for mark, item in zip(marks, block["items"], strict=True)
        )
    if kind == "quote":
        return "\n\n".join(_plain(inner) for inner in block["blocks"])
    if kind == "table":
        rows = (block["head"], *block["rows"])
        return "\n".join(" | ".join(_words(cell["inline"]) for cell in row) for row in rows)
    return "---"


def _words(parts: Sequence[Part]) -> str:
    return "".join(
        part["text"]
        if part["kind"] == "text"
        else "\n"
        if part["kind"] == "break"
        else _words(part["inline"])
        for part in parts
    )
