"""What changed between two texts, word by word, as a reader would mark it.

Texts are plain: paragraphs parted by an empty line, lines by a line break. The old text is exactly
what is equal and deleted, the new one exactly what is equal and inserted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

Kind = Literal["equal", "insert", "delete"]
# A word with the blanks behind it, or one break; breaks stand alone so that no change straddles one.
TOKEN = re.compile(r"\n+|[^\s\n]+[^\S\n]*|[^\S\n]+")
# Above this many word pairs a changed stretch is compared by its rarer words alone: linear, a little coarser.
MANY = 4_000_000
# Fewer words than this, alike between two changes, are part of the change.
FEWEST = 2


class Op(NamedTuple):
    """One stretch of text: equal in both, inserted by the new one, deleted from the old one."""

    op: Kind
    text: str


def words(old: str, new: str) -> list[Op]:
    """The stretches in reading order, neighbours never of one kind; a deletion before its insertion."""
    before, after = _paragraphs(old), _paragraphs(new)
    pieces: list[Op] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Op("equal", "".join(before[a:b])))
        else:
            pieces += _changed(TOKEN.findall("".join(before[a:b])), TOKEN.findall("".join(after[c:d])))
    return _joined(pieces)


def is_changed(ops: Iterable[Op]) -> bool:
    return any(each.op != "equal" for each in ops)


def old_text(ops: Iterable[Op]) -> str:
    return "".join(each.text for each in ops if each.op != "insert")


def new_text(ops: Iterable[Op]) -> str:
    return "".join(each.text for each in ops if each.op != "delete")


def paragraphs(ops: Iterable[Op]) -> list[list[Op]]:
    """The same stretches, cut at every empty line; the break itself ends the paragraph it closes."""
    found: list[list[Op]] = [[]]
    for op, text in ops:
        for piece in re.split(r"(?<=\n\n)", text):
            if piece:
                found[-1].append(Op(op, piece))
            if piece.endswith("\n\n"):
                found.append([])
    return [each for each in found if each]


def _paragraphs(text: str) -> list[str]:
    return [piece for piece in re.split(r"(?<=\n\n)", text) if piece]


def _changed(before: Sequence[str], after: Sequence[str]) -> list[Op]:
    matcher = SequenceMatcher(None, before, after, autojunk=len(before) * len(after) > MANY)
    pieces = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Op("equal", "".join(before[a:b])))
            continue
        pieces += [Op("delete", "".join(before[a:b])), Op("insert", "".join(after[c:d]))]
    return list(_without_crumbs([each for each in pieces if each.text]))


def _without_crumbs(pieces: Sequence[Op]) -> Iterator[Op]:
    """A word or two that stayed between two changes is read as changed with them."""
    for at, each in enumerate(pieces):
        between = 0 < at < len(pieces) - 1
        if each.op == "equal" and between and "\n" not in each.text and _is_crumb(pieces, at):
            yield Op("delete", each.text)
            yield Op("insert", each.text)
        else:
            yield each


def _is_crumb(pieces: Sequence[Op], at: int) -> bool:
    around = max(_stretch(pieces, at, -1), _stretch(pieces, at, 1))
    count = len(pieces[at].text.split())
    return count < FEWEST or (count == FEWEST and around > 4 * FEWEST)


def _stretch(pieces: Sequence[Op], at: int, step: int) -> int:
    """How many words the change beside a stretch has."""
    count = 0
    at += step
    while 0 <= at < len(pieces) and pieces[at].op != "equal":
        count += len(pieces[at].text.split())
        at += step
    return count


def _joined(pieces: Iterable[Op]) -> list[Op]:
    """Neighbouring changes as one deletion and one insertion; equal neighbours as one."""
    found: list[Op] = []
    gone = new = ""

    def close() -> None:
        nonlocal gone, new
        found.extend(each for each in (Op("delete", gone), Op("insert", new)) if each.text)
        gone = new = ""

    for op, text in pieces:
        if op == "delete":
            gone += text
        elif op == "insert":
            new += text
        elif text:
            close()
            if found and found[-1].op == "equal":
                found[-1] = Op("equal", found[-1].text + text)
            else:
                found.append(Op("equal", text))
    close()
    return found
