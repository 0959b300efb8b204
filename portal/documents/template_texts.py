"""A template's clauses out of a Markdown or Word text, and back into both.

Headings become clauses. Their numbers go, since clauses are numbered where they stand; numbers and bold
words inside the text stay. What this module writes it reads back as the same clauses.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.documents import markdown, word_write
from portal.documents.word_read import Row
from portal.documents.word_write import Paragraph, Run, Table

MOST_CLAUSES = 200
LONGEST_HEADING = 200
LONGEST_TITLE = 120  # a longer paragraph is none, whatever its style
TITLE, DEEPEST = 0, 9
NUMBER = re.compile(r"^(?:(?:article|section|clause|§)\s*)?\d+(?:\.\d+)*\s*[.):–-]?\s+", re.IGNORECASE)
HASHES = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
BOLD = re.compile(r"^\*\*(\d+(?:\.\d+)*)[.)]?\s+([^*]{1,160}?)\*\*\.?\s*(.*)$")
SPAN = re.compile(r"^(\s*)(\d+)\.\s+<span[^>]*>([^<]{1,160})</span>\.?\s*(.*)$")
TAGS = re.compile(r"</?(?:span|a|u|font|div)\b[^>]*>", re.IGNORECASE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
WORD_HEADING = re.compile(r"^(?:heading|titre|berschrift|überschrift)\s*([1-6])$", re.IGNORECASE)
SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


@dataclass(frozen=True)
class Line:
    """One line of the text; `depth` counts from 1 where it is a heading, else it is None."""

    text: str
    depth: int | None = None


@dataclass(frozen=True)
class Read:
    """The title, where the text has one, and its clauses as a template holds them."""

    title: str
    clauses: list[dict[str, Any]]


# -- Reading ------------------------------------------------------------------------------------


def from_markdown(text: str, language: str) -> Read:
    """The clauses of a Markdown text, in one language."""
    text = FRONT_MATTER.sub("", text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff"))
    lines = COMMENT.sub("", text).split("\n")
    for pattern in (SPAN, BOLD):
        if sum(1 for line in lines if pattern.match(line)) >= 2:
            return clauses(numbered_lines(lines, pattern), language)
    return clauses(hash_lines(lines), language)


def numbered_lines(lines: Iterable[str], pattern: re.Pattern[str]) -> list[Line]:
    """Headings are lines such as `**2. Definitions**. Text`; hashes above them are the title."""
    found: list[Line] = []
    for line in lines:
        hashes, match = HASHES.match(line), pattern.match(line)
        if match and pattern is BOLD:
            number, heading, rest = match.groups()
            found += [Line(heading, number.count(".") + 2), *([Line(rest)] if rest else [])]
        elif match:
            indent, _number, heading, rest = match.groups()
            found += [Line(heading, 2 + min(len(indent), 1)), *([Line(rest)] if rest else [])]
        elif hashes and not any(each.depth == TITLE for each in found):
            found.append(Line(hashes.group(2), TITLE))
        else:
            found.append(Line(line[4:] if pattern is SPAN and line.startswith("    ") else line))
    return found


def hash_lines(lines: Iterable[str]) -> list[Line]:
    """Headings are lines with hashes; the only one of the highest rank, if it comes first, is the title."""
    found, is_code = [], False
    for line in lines:
        is_code ^= line.lstrip().startswith("```")
        match = None if is_code else HASHES.match(line)
        found.append(Line(match.group(2), len(match.group(1))) if match else Line(line))
    return with_title(found)


def with_title(lines: list[Line]) -> list[Line]:
    depths = [line.depth for line in lines if line.depth]
    if len(depths) < 2 or depths[0] != min(depths) or depths.count(depths[0]) > 1:
        return lines
    first = next(at for at, line in enumerate(lines) if line.depth)
    return [Line(line.text, TITLE) if at == first else line for at, line in enumerate(lines)]


def from_word(rows: Sequence[Row], language: str) -> Read:
    """The clauses of a Word text: its heading styles, else its bold or numbered short paragraphs."""
    styled = [word_depth(row) for row in rows]
    if sum(1 for depth in styled if depth) < 2:
        styled = [
            bold_depth(row) if depth is None else depth for row, depth in zip(rows, styled, strict=True)
        ]
    lines: list[Line] = []
    in_table = False
    for row, depth in zip(rows, styled, strict=True):
        if row.cells:
            lines += table_lines(row.cells, is_first=not in_table)
        elif row.text.strip():
            lines += word_lines(row, depth)
        in_table = bool(row.cells)
    return clauses(lines if any(line.depth == TITLE for line in lines) else with_title(lines), language)


def word_lines(row: Row, depth: int | None) -> list[Line]:
    """A paragraph; a whole paragraph in the style of a heading is parted behind its first words."""
    words = " ".join(row.text.split())
    if depth is None:
        return [Line(""), Line(escaped(words, row.is_bold)), Line("")]
    if len(words) <= LONGEST_TITLE:
        return [Line(words, depth)]
    first = re.match(r"(.{1,80}?)[.:]\s+(.+)$", words)
    if first is None:
        return [Line(""), Line(escaped(words, False)), Line("")]
    return [Line(first.group(1), depth), Line(escaped(first.group(2), False)), Line("")]


def word_depth(row: Row) -> int | None:
    if row.cells or not row.text.strip():
        return None
    if row.style.casefold() in ("title", "titre"):
        return TITLE
    match = WORD_HEADING.match(row.style)
    return int(match.group(1)) if match else None


def bold_depth(row: Row) -> int | None:
    """A short paragraph that is bold as a whole and ends no sentence reads as a heading."""
    words = row.text.strip()
    if (
        row.cells
        or not row.is_bold
        or not words
        or len(words) > LONGEST_TITLE
        or words.endswith((".", ";", ",", ":"))
    ):
        return None
    number = re.match(r"\d+(?:\.\d+)*", words)
    return 2 + number.group().count(".") if number else 2


def table_lines(cells: Sequence[str], *, is_first: bool) -> list[Line]:
    row = "| " + " | ".join(SPECIAL.sub(r"\\\1", " ".join(cell.split())) for cell in cells) + " |"
    if not is_first:
        return [Line(row)]
    return [Line(""), Line(row), Line("|" + " --- |" * len(cells))]


def escaped(words: str, is_bold: bool) -> str:
    """A paragraph of Word as Markdown: its signs taken by their word, bold where all of it is bold."""
    text = SPECIAL.sub(r"\\\1", words)
    text = re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", re.sub(r"^([-+])(?=\s)", r"\\\1", text))
    return f"**{text}**" if is_bold else text


def clauses(lines: Sequence[Line], language: str) -> Read:
    """Two ranks of headings become clauses of level 1 and 2; deeper ones stay in the text."""
    depths = sorted({line.depth for line in lines if line.depth})
    title, found, body = "", list[dict[str, Any]](), list[str]()
    for line in lines:
        text = html.unescape(TAGS.sub("", line.text)).rstrip()
        if line.depth == TITLE:
            title = title or plain(text)
        elif line.depth is None:
            body.append(text)
        elif depths.index(line.depth) > 1 or len(found) >= MOST_CLAUSES:
            body += ["", f"#### {text}", ""]
        else:
            close(found, body, language)
            found.append(made(plain(NUMBER.sub("", text)), 1 + depths.index(line.depth), language, found))
    close(found, body, language)
    return Read(title, found)


def close(found: list[dict[str, Any]], body: list[str], language: str) -> None:
    """Give the text gathered so far to the clause it stands in, or to one without a heading."""
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(body)).strip()
    body.clear()
    if not text:
        return
    if not found:
        found.append(made("", 1, language, found))
    found[-1]["text"] = {language: text}


def made(heading: str, level: int, language: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    key = f"clause-{len(found) + 1}"
    heading = heading[:LONGEST_HEADING]
    return {"key": key, "level": level, "heading": {language: heading} if heading else {}, "text": {}}


def plain(text: str) -> str:
    """A heading without marks."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"[*_`]+", "", text)).strip().rstrip(".")


# -- Writing ------------------------------------------------------------------------------------


def to_markdown(title: str, clauses: Sequence[Mapping[str, Any]], language: str) -> str:
    """Title, then each clause under its number and heading, in one language."""
    parts = [f"# {title}"]
    for each in markdown.number_clauses(clauses):
        heading = each["heading"].get(language, "")
        parts += [
            f"{'#' * (1 + each['level'])} {each['number']}. {heading}".rstrip(),
            each["text"].get(language, ""),
        ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def to_word(title: str, clauses: Sequence[Mapping[str, Any]], language: str, *, at: datetime) -> bytes:
    """The same as a Word file, with headings, lists, tables and bold words."""
    blocks: list[Any] = [Paragraph([Run(title)], "Title")]
    for each in markdown.number_clauses(clauses):
        heading = f"{each['number']}. {each['heading'].get(language, '')}".strip()
        blocks.append(Paragraph([Run(heading)], f"Heading{each['level']}"))
        for block in markdown.blocks(each["text"].get(language, "")):
            blocks += word_blocks(block)
    return word_write.document(blocks, title=title, author="", at=at)


def word_blocks(block: Mapping[str, Any], before: str = "", style: str = "") -> list[Any]:
    kind = block["kind"]
    if kind == "list":
        found = []
        for at, item in enumerate(block["items"], start=block.get("start") or 1):
            sign = f"{at}. " if block["ordered"] else "– "
            for number, inner in enumerate(item):
                found += word_blocks(inner, sign if number == 0 else "", "ListParagraph")
        return found
    if kind == "quote":
        return [each for inner in block["blocks"] for each in word_blocks(inner, before, style)]
    if kind == "table":
        rows = [[runs(cell["inline"], bold=True) for cell in block["head"]]]
        rows += [[runs(cell["inline"]) for cell in row] for row in block["rows"]]
        return [Table(rows)]
    if kind == "rule":
        return []
    if kind == "heading":
        return [Paragraph(runs(block["inline"]), "Heading3")]
    return [Paragraph([*([Run(before)] if before else []), *runs(block["inline"])], style)]


def runs(inline: Iterable[Mapping[str, Any]], *, bold: bool = False, italic: bool = False) -> list[Run]:
    found: list[Run] = []
    for part in inline:
        kind = part["kind"]
        if kind == "text":
            found.append(Run(part["text"], bold=bold, italic=italic))
        elif kind == "break":
            found.append(Run("\n"))
        else:
            inner = part.get("inline") or part.get("parts") or part.get("children") or []
            found += runs(inner, bold=bold or kind == "strong", italic=italic or kind == "em")
    return found
