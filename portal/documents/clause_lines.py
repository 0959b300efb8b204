"""A clause as the lines a word processor shows, and back: only what was changed is written anew.

Markdown is cut at its empty lines into chunks; each chunk shows one line or more. Lines that come back
unchanged keep their chunk letter for letter. A changed line is plain text, escaped, in which variables,
references and bold words that still stand there are put back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from portal.documents import markdown

CUT = re.compile(r"\n[^\S\n]*\n\s*")
BOLD = re.compile(r"\*\*([^*{}\[\]]+)\*\*")
ITEM = re.compile(r"(?:[-•*]|\d+[.)])\s+")
SPECIAL = re.compile(r"([\\`*_\[\]<>|~])")
AT_START = re.compile(r"^(\s*)([#+>=-]|\d+(?=[.)]))")
CELLS = " | "


@dataclass(frozen=True)
class Words:
    """What the marks of a text stand for: variables by name, numbers of clauses by key."""

    variables: Mapping[str, str]
    numbers: Mapping[str, str]


@dataclass(frozen=True)
class Chunk:
    source: str
    lines: tuple[str, ...]
    kind: str  # paragraph | list | table


def chunks(text: str, words: Words) -> list[Chunk]:
    """The text cut at empty lines, with the lines each part shows."""
    found = []
    for source in CUT.split(text.strip()):
        lines = tuple(squeeze(line) for line in plain(source, words).split("\n") if line.strip())
        if lines:
            found.append(Chunk(source, lines, kind_of(source, lines)))
    return found


def lines_of(text: str, words: Words) -> list[str]:
    return [line for chunk in chunks(text, words) for line in chunk.lines]


def plain(source: str, words: Words) -> str:
    try:
        return markdown.plain_text(source, words.variables, words.numbers)
    except (markdown.UnknownVariable, markdown.UnknownReference):
        return markdown.plain_text(source)


def kind_of(source: str, lines: Sequence[str]) -> str:
    if source.lstrip().startswith("|") and all(CELLS in line for line in lines):
        return "table"
    return "list" if len(lines) > 1 and all(ITEM.match(line) for line in lines) else "paragraph"


def squeeze(text: str) -> str:
    """The same words with single spaces, as both sides are compared."""
    return " ".join(text.split())


def rebuilt(text: str, lines: Sequence[str], words: Words) -> str:
    """The Markdown that shows these lines, as close to `text` as can be.

    Raises ValueError for lines that no Markdown shows again.
    """
    old = chunks(text, words)
    for made in (_woven(old, lines, words), "\n\n".join(escaped(line, "", words) for line in lines)):
        if lines_of(made, words) == [squeeze(line) for line in lines if line.strip()]:
            return made
    raise ValueError("these lines cannot be written as a clause")


def _woven(old: Sequence[Chunk], lines: Sequence[str], words: Words) -> str:
    """Chunks whose lines all came back stay; around them the changed lines are written anew."""
    before = [(at, line) for at, chunk in enumerate(old) for line in chunk.lines]
    matcher = SequenceMatcher(None, [line for _at, line in before], [squeeze(each) for each in lines], False)
    pairs: list[tuple[int | None, str, bool]] = []  # chunk it stands for or beside, line, is it unchanged
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            pairs += [(before[a + step][0], lines[c + step], True) for step in range(d - c)]
            continue
        beside = before[min(a, len(before) - 1)][0] if before and b > a else None
        for step in range(d - c):
            at = before[a + step][0] if a + step < b else beside
            pairs.append((at, lines[c + step], False))
    parts: list[str] = []
    start = 0
    while start < len(pairs):
        end, at = start, pairs[start][0]
        while end < len(pairs) and pairs[end][0] == at:
            end += 1
        parts.append(_part(old[at] if at is not None else None, pairs[start:end], words))
        start = end
    return "\n\n".join(part for part in parts if part)


def _part(chunk: Chunk | None, group: Sequence[tuple[int | None, str, bool]], words: Words) -> str:
    lines = [line for _at, line, _same in group]
    if chunk is not None and all(same for *_rest, same in group) and len(lines) == len(chunk.lines):
        return chunk.source
    source = chunk.source if chunk else ""
    if chunk is not None and chunk.kind == "table":
        return _table([line.split(CELLS) for line in lines], source, words)
    if chunk is not None and chunk.kind == "list" and all(ITEM.match(line) for line in lines):
        return "\n".join(_item(line, source, words) for line in lines)
    return "\n\n".join(escaped(line, source, words) for line in lines)


def _item(line: str, source: str, words: Words) -> str:
    sign, _blank, said = line.partition(" ")
    return f"{'-' if sign in '-•*' else sign} {escaped(said.lstrip(), source, words)}"


def _table(rows: Sequence[Sequence[str]], source: str, words: Words) -> str:
    width = max(len(row) for row in rows)
    written = [
        "| " + " | ".join(escaped(cell, source, words) for cell in (*row, *[""] * (width - len(row)))) + " |"
        for row in rows
    ]
    return "\n".join([written[0], "|" + " --- |" * width, *written[1:]])


def escaped(line: str, source: str, words: Words) -> str:
    """A line as Markdown that shows exactly it, with the marks of its source where they still fit."""
    kept: list[str] = []

    def keep(mark: str) -> str:
        kept.append(mark)
        return f"\ue010{len(kept) - 1}\ue011"

    text = line
    for name in dict.fromkeys(each.strip() for each in markdown.VARIABLE.findall(source)):
        value = words.variables.get(name, "")
        if len(value) > 2 and value in text:
            text = text.replace(value, keep(f"{{{{{name}}}}}"), 1)
    for key in dict.fromkeys(each.strip() for each in markdown.REFERENCE.findall(source)):
        number = words.numbers.get(key, "")
        found = re.search(rf"(?<![\w.,]){re.escape(number)}(?![\w,]|\.\d)", text) if number else None
        if found:
            text = text[: found.start()] + keep(f"[[{key}]]") + text[found.end() :]
    for phrase in dict.fromkeys(BOLD.findall(source)):
        if phrase in text:
            text = text.replace(phrase, keep(f"**{phrase}**"), 1)
    text = SPECIAL.sub(r"\\\1", text)
    text = AT_START.sub(_start, text)
    return re.sub("\ue010(\\d+)\ue011", lambda mark: kept[int(mark[1])], text)


def _start(found: re.Match[str]) -> str:
    """A sign that would begin a heading, a list or a quote, taken by its word."""
    if found[2].isdigit():
        return f"{found[1]}{found[2]}\\"
    return f"{found[1]}\\{found[2]}"
