"""The stretch of a text in which searched words stand, cut into plain and marked pieces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from portal.services.contract_search import fold

BEFORE, LENGTH = 60, 220
TOKEN = re.compile(r"[^\W_]+")
Piece = tuple[str, bool]  # text as written, and whether it is one of the words


def count(text: str, wanted: Sequence[str]) -> int:
    """How many of the words begin a word of the text."""
    folded = f" {fold(text).replace('-', ' ')}"
    return sum(f" {word}" in folded for word in wanted)


def excerpt(text: str, wanted: Sequence[str]) -> list[Piece]:
    """Around the first of the words; cut ends are told by an ellipsis. Nothing of it is markup."""
    text = " ".join(plain(text).split())
    marks = list(marked(text, wanted))
    start = max(0, (marks[0][0] if marks else 0) - BEFORE)
    start = text.rfind(" ", 0, start) + 1
    end = len(text) if len(text) <= start + LENGTH else text.rfind(" ", start, start + LENGTH)
    end = end if end > start else start + LENGTH
    return [piece for piece in pieces(text, start, end, marks) if piece[0]]


def pieces(text: str, start: int, end: int, marks: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    if start:
        yield "… ", False
    at = start
    for first, last in marks:
        if first < start or last > end:
            continue
        if first > at:
            yield text[at:first], False
        yield text[first:last], True
        at = last
    if at < end:
        yield text[at:end], False
    if end < len(text):
        yield " …", False


def marked(text: str, wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where words of the text begin with one that is wanted."""
    for found in TOKEN.finditer(text):
        folded = fold(found[0])
        if any(folded.startswith(word) for word in wanted):
            yield found.start(), found.end()


def plain(text: str) -> str:
    """With each accent and its letter as one character."""
    return unicodedata.normalize("NFC", text)
