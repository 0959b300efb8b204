"""What can be entered is printed: no figure or choice of the terms is missing from the signed schedules."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from portal.errors import PortalError
from portal.pages.section_fields import SECTIONS, Field
from portal.sla import schedules
from tests.sla.samples import premium

Path = tuple[str | int, ...]
# Not in the schedules: our side is in the block of parties, the source of holidays stands behind the
# days listed, and what nobody can choose is said by the clauses.
ELSEWHERE = re.compile(
    r"schema|side|calendars\.\w+\.holidays\..*|clocks\.reopen|severity_rules\.(raised_\w+|lowered)|(.*\.)?key"
)
OTHER_WORDS = {
    "tz": "Europe/Rome",
    "currency": "USD",
    "level": "basic",
    "measured": "business",
    "clock": "response",
}


def full() -> Any:
    """Terms in which every part that may be left out is agreed."""
    terms: Any = premium()
    terms["commercial"] |= {
        "peak_level": {"from": "2027-11-01", "to": "2027-12-31", "level": "premium", "price": "4000.00"},
        "index": "HICP",
        "uplift_pct": "3",
    }
    terms["scope"]["integrations"] = [{"key": "i1", "name": "ERP", "responsible": "customer"}]
    terms["scope"]["third_party"] = [{"key": "t1", "name": "A database", "responsible": "vendor"}]
    terms["credits"] |= {
        "proportional": {"multiple": "2"},
        "per_day": {"over_min": 30, "hourly_multiple": "2"},
        "extension": {"per_min": 60, "days": 1, "clocks": ["resolution"]},
        "claim": "request",
        "claim_window_days": 30,
    }
    terms["credits"]["caps"] |= {"year_pct": "40", "term_pct": "30"}
    terms["escalation"][0] |= {
        "after": {"clock": "resolution", "pct": 75}, "contact": "+44 117 496 0182", "response": {"min": 30},
    }  # fmt: skip
    return terms


def leaves(part: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else None
    if inside is None:
        yield path, part
        return
    for name, value in inside:
        yield from leaves(value, (*path, name))


def choices() -> dict[str, list[list[str]]]:
    """The words each field of the forms offers, by its last name."""
    found: dict[str, list[list[str]]] = {}

    def collect(items: Any) -> None:
        for item in items:
            if not isinstance(item, Field):
                collect(item.items)
            elif item.options:
                name = item.name.rpartition(".")[2]
                found.setdefault(name, []).append([value for value, _label in item.options])

    for items in SECTIONS.values():
        collect(items)
    return found


CHOICES = choices()


def others(name: Any, value: Any) -> list[Any]:
    """What else could stand there."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value - 7 if value > 90 else value + 7]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return ["2028-05-05"]
    if re.fullmatch(r"\d\d:\d\d", value):
        return ["03:33"]
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return ["77"]
    offered = [
        other for words in CHOICES.get(name, ()) if value in words for other in words if other != value
    ]
    return offered or [OTHER_WORDS.get(name, f"{value} and more")]


def changed(terms: Any, path: Path, value: Any) -> Any:
    made = copy.deepcopy(terms)
    part = made
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return made


PLACES = [
    ".".join(map(str, path))
    for path, value in leaves(full())
    if value is not None and not ELSEWHERE.fullmatch(".".join(map(str, path)))
]


def test_the_terms_used_here_fill_every_section() -> None:
    assert {place.partition(".")[0] for place in PLACES} >= {
        "severities", "calendars", "peaks", "uptime", "credits", "maintenance", "release", "scope",
        "escalation", "executive_review", "commercial",
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "fr"])
def test_whatever_is_changed_is_printed(language: str) -> None:
    terms = full()
    before = schedules.schedules(terms, [language])
    silent = []
    for path, value in leaves(terms):
        place = ".".join(map(str, path))
        if place not in PLACES or (path[-1] in ("en", "fr") and path[-1] != language):
            continue
        name = next(each for each in reversed(path) if isinstance(each, str))
        for other in others(name, value):
            try:
                after = schedules.schedules(changed(terms, path, other), [language])
            except (PortalError, KeyError, ValueError):
                continue  # another choice beside it goes with this word
            if after != before:
                break
        else:
            silent.append(f"{place}: {value!r}")

    assert not silent, "\n".join(["Nothing printed changes with these:", *silent])
