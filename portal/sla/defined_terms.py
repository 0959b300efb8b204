"""Defined terms of a text: which are defined and never used, which are used and never defined.

A term is defined by a bold word that a definition follows (`**incident** means`), by bold quotation marks
(`**“Incident”**`) or in brackets (`(the “Service”)`, `(the Supplier)`). Words written with a capital inside a
sentence are taken for terms when they come up more than once. Both are hints for whoever writes: language
has more ways than a program knows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

QUOTED = r"[“\"«]\s*([^”\"»]{2,60}?)\s*[”\"»]"
MEANS = r"(?:means|has the meaning|is|are|désigne|désignent|signifie|s’entend|:)"
DEFINED = (
    re.compile(rf"\*\*{QUOTED}\*\*"),
    re.compile(r"[“\"«]\s*\*\*([^*]{2,60})\*\*\s*[”\"»]"),
    re.compile(rf"(?:^|\n)\s*(?:[-*]\s+|\d+[.)]\s+)?\*\*([^*\n]{{2,60}})\*\*\s*{MEANS}"),
    re.compile(rf"\((?:the|each an?|an?|le|la|les|un|une|l’|ci-après)?\s*{QUOTED}\)", re.IGNORECASE),
    re.compile(r"\((?:the|le|la|les)\s+([A-ZÀ-Þ][^()\n]{1,40})\)"),
)
MARKS = re.compile(r"\{\{.*?\}\}|\[\[.*?\]\]|\]\([^)]*\)|https?://\S+")
SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n+\s*(?:[-*#>]+|\d+[.)])?\s*")
CAPITAL = r"[A-ZÀ-Þ][a-zà-ÿ’'-]+"
CAPITALISED = re.compile(rf"(?<=\s)({CAPITAL}(?:\s{CAPITAL})*)")
LEAST = 2  # how often a capital word comes up before it is taken for a term
# What every contract here names without defining it: parties, schedules, months and days.
NAMED = (
    "supplier customer prestataire client schedule schedules annexe annexes party parties partie "
    "january february march april may june july august september october november december monday "
    "tuesday wednesday thursday friday saturday sunday european union européenne internet"
)
KNOWN = frozenset(re.findall(r"\w+", NAMED))


@dataclass(frozen=True)
class Found:
    """The terms of a text in one language, each as it is written where it is defined or used."""

    defined: tuple[str, ...]
    unused: tuple[str, ...]
    undefined: tuple[str, ...]


def check(clauses: Iterable[Mapping[str, Any]], language: str) -> Found:
    """Look through the clauses in one language."""
    texts = [str(each["text"].get(language, "")) for each in clauses]
    text = "\n\n".join(texts)
    defined = list(dict.fromkeys(term for term in definitions(text)))
    plain = MARKS.sub(" ", text).replace("*", "").replace("_", " ")
    unused = [term for term in defined if len(uses(term, plain)) < 2]
    known = {term.casefold() for term in defined}
    counted = Counter(capitalised(plain))
    undefined = [
        term for term, count in counted.items() if count >= LEAST and not is_known(term, known)
    ]  # fmt: skip
    return Found(tuple(defined), tuple(unused), tuple(sorted(undefined)))


def definitions(text: str) -> list[str]:
    """Every term that the text defines, in the order of the patterns."""
    found = []
    for pattern in DEFINED:
        for match in pattern.finditer(text):
            term = " ".join(match.group(1).strip(' “”"«»*.,').split())
            if term:
                found.append(term)
    return found


def uses(term: str, plain: str) -> list[str]:
    """Where a term stands in the text, in any case and with a plural ending."""
    stem = re.escape(term.rstrip("s"))
    return re.findall(rf"(?<!\w){stem}(?:s|es|x)?(?!\w)", plain, re.IGNORECASE)


def capitalised(plain: str) -> list[str]:
    """Words with a capital that do not begin a sentence."""
    found = []
    for sentence in SENTENCE.split(plain):
        _first, _space, rest = sentence.strip().partition(" ")
        found += [re.sub("[’']s$", "", each) for each in CAPITALISED.findall(f" {rest}")]
    return found


def is_known(term: str, defined: set[str]) -> bool:
    """Whether a capital word is a defined term, its plural, or made of words that are known."""
    folded = term.casefold()
    forms = {folded, folded.rstrip("s"), f"{folded}s"}
    return bool(forms & defined) or all(
        word in KNOWN or bool({word, word.rstrip("s"), f"{word}s"} & defined) for word in folded.split()
    )
