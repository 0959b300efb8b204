"""What differs between two versions of a template: clauses word by word, levels promise by promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.documents import markdown, redline
from portal.documents.redline import Op
from portal.i18n import LANGUAGES
from portal.models.templates import TemplateVersion
from portal.sla import conditions, sentences, shape, words
from portal.sla.sentences import Difference

Clause = Mapping[str, Any]


@dataclass(frozen=True)
class ClauseChange:
    """One clause that is not the same in both. `kind`: added, removed, changed or moved."""

    key: str
    kind: str
    was_number: str
    number: str
    words: dict[str, list[Op]]  # language -> heading and text, where they differ
    was_condition: str
    condition: str

    @property
    def condition_differs(self) -> bool:
        return self.was_condition != self.condition


@dataclass(frozen=True)
class LevelChange:
    """One level that promises something else, came or went."""

    label: str
    kind: str  # added | removed | changed
    differences: list[Difference]


@dataclass(frozen=True)
class Comparison:
    clauses: list[ClauseChange]
    levels: list[LevelChange]
    same: int  # clauses that are word for word the same

    @property
    def is_same(self) -> bool:
        return not self.clauses and not self.levels


def compare(old: TemplateVersion, new: TemplateVersion, language: str) -> Comparison:
    """Everything in which two versions differ; terms are said in the language given."""
    before, now = markdown.number_clauses(old.clauses), markdown.number_clauses(new.clauses)
    changes = clause_changes(before, now)
    untouched = len({each["key"] for each in now} - {change.key for change in changes})
    return Comparison(changes, level_changes(old.levels, new.levels, language), untouched)


# -- Clauses ------------------------------------------------------------------------------------


def clause_changes(before: Sequence[Clause], now: Sequence[Clause]) -> list[ClauseChange]:
    """In the order of the new version; what went stands where it stood, behind what it followed."""
    was, found = {each["key"]: each for each in before}, []
    moved = out_of_order([each["key"] for each in before], [each["key"] for each in now])
    present = {each["key"] for each in now}
    places = {key: at for at, key in enumerate(each["key"] for each in now)}
    for each in now:
        change = changed(was.get(each["key"]), each, is_moved=each["key"] in moved)
        if change is not None:
            found.append((places[each["key"]], 0, change))
    last = -1
    for at, each in enumerate(before):
        if each["key"] in present:
            last = places[each["key"]]
            continue
        gone = changed(each, None)
        assert gone is not None  # noqa: S101 (narrows the type only)
        found.append((last, at + 1, gone))
    return [change for _place, _order, change in sorted(found, key=lambda each: each[:2])]


def changed(was: Clause | None, now: Clause | None, *, is_moved: bool = False) -> ClauseChange | None:
    """How a clause differs; None where it is word for word the same and in its place."""
    some = now or was or {}
    spoken = [
        language
        for language in LANGUAGES
        if any(language in (each or {}).get("text", {}) for each in (was, now))
    ]
    found = {language: redline.words(plain(was, language), plain(now, language)) for language in spoken}
    found = {language: ops for language, ops in found.items() if redline.is_changed(ops)}
    condition = tuple(conditions.name(str((each or {}).get("when", ""))) for each in (was, now))
    is_changed = bool(found) or (was and now and condition[0] != condition[1])
    kind = "added" if was is None else "removed" if now is None else "changed" if is_changed else "moved"
    if kind == "moved" and not is_moved:
        return None
    return ClauseChange(
        some["key"], kind, was["number"] if was else "", now["number"] if now else "", found, *condition
    )


def plain(clause: Clause | None, language: str) -> str:
    """Heading and text as a reader sees them, with variables and references as their marks."""
    if clause is None:
        return ""
    heading = str(clause["heading"].get(language, ""))
    return "\n\n".join(filter(None, (heading, markdown.plain_text(clause["text"].get(language, "")))))


def out_of_order(before: Sequence[str], now: Sequence[str]) -> set[str]:
    """Keys whose order among those in both has changed: the fewest that explain it."""
    kept = [key for key in now if key in set(before)]
    order = {key: at for at, key in enumerate(before)}
    best: list[list[str]] = []  # the longest rising run that ends with each key
    for key in kept:
        longest = max((run for run in best if order[run[-1]] < order[key]), key=len, default=[])
        best.append([*longest, key])
    stay = max(best, key=len, default=[])
    return set(kept) - set(stay)


# -- Levels -------------------------------------------------------------------------------------


def level_changes(old: dict[str, Any], new: dict[str, Any], language: str) -> list[LevelChange]:
    found = []
    for key in dict.fromkeys([*old, *new]):
        label = str(words.level(key))
        if key not in new or key not in old:
            found.append(LevelChange(label, "removed" if key in old else "added", []))
            continue
        was, now = old[key]["terms"], new[key]["terms"]
        if was == now or shape.read(was)[1] or shape.read(now)[1]:
            continue
        differences = sentences.differences(now, was, language)
        if differences:
            found.append(LevelChange(label, "changed", differences))
    return found
