"""Rules for hours: never empty, never overlapping, never saying two things at once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from portal.sla.duration import DAY_MINUTES, minute_of, window_minutes
from portal.sla.shape import Problem
from portal.sla.terms import WEEKDAYS

AROUND_THE_CLOCK = re.compile(
    r"24\s*[x×/]\s*7|24\s*h(eures)?\s*/\s*24|day and night|around the clock|jour et nuit|en continu",
    re.IGNORECASE,
)
BUSINESS_HOURS = re.compile(
    r"business (hour|day)|working (hour|day)|office hours|heures? (ouvr|de bureau)|jours? ouvr", re.IGNORECASE
)


def calendar_problems(terms: dict[str, Any]) -> Iterator[Problem]:
    for name, calendar in terms["calendars"].items():
        path = f"calendars.{name}"
        if not any((calendar["label"] or {}).values()):
            yield Problem(f"{path}.label", "required")
        if calendar["tz"] is None:
            yield Problem(f"{path}.tz", "required")
        yield from _hours_problems(calendar, path)
        yield from _weekly_problems(calendar["weekly"] or {}, f"{path}.weekly")
        yield from _override_problems(calendar["overrides"], f"{path}.overrides")


def _hours_problems(calendar: dict[str, Any], path: str) -> Iterator[Problem]:
    week = any((calendar["weekly"] or {}).values())
    if calendar["always"] and week:
        yield Problem(f"{path}.weekly", "contradictory_hours")
    if not calendar["always"] and not week and not any(each.get("hours") for each in calendar["overrides"]):
        yield Problem(f"{path}.weekly", "empty_hours")
    words = " ".join(filter(None, (calendar["label"] or {}).values()))
    if (
        says_both(words)
        or (BUSINESS_HOURS.search(words) and calendar["always"])
        or (AROUND_THE_CLOCK.search(words) and week and not around_the_clock(calendar))
    ):
        yield Problem(f"{path}.label", "contradictory_label")


def wording_problems(terms: dict[str, Any], severity: dict[str, Any], path: str) -> Iterator[Problem]:
    """A severity whose words promise other hours than its response counts."""
    texts = [severity["label"] or {}, severity["description"] or {}]
    words = " ".join(text for each in texts for text in each.values() if text)
    name = (severity["response"] or {}).get("calendar")
    calendar = terms["calendars"].get(name)
    if says_both(words):
        yield Problem(f"{path}.label", "contradictory_label")
        return
    if calendar is None:
        return
    full = around_the_clock(calendar)
    if (AROUND_THE_CLOCK.search(words) and not full) or (BUSINESS_HOURS.search(words) and full):
        yield Problem(f"{path}.response", "contradictory_label")


def says_both(words: str) -> bool:
    """ "One business hour, 24/7": two promises in one."""
    return bool(AROUND_THE_CLOCK.search(words) and BUSINESS_HOURS.search(words))


def around_the_clock(calendar: dict[str, Any]) -> bool:
    weekly = calendar["weekly"] or {}
    full = [sum(window_minutes(w) for w in weekly.get(day) or []) >= DAY_MINUTES for day in WEEKDAYS]
    return bool(calendar["always"]) or all(full)


def _weekly_problems(weekly: dict[str, Any], path: str) -> Iterator[Problem]:
    overnight = {}
    for day in WEEKDAYS:
        spans = _spans(weekly.get(day) or [])
        if _overlap(spans):
            yield Problem(f"{path}.{day}", "overlapping_windows")
        overnight[day] = max((end - DAY_MINUTES for _, end in spans), default=0)
    for index, day in enumerate(WEEKDAYS):
        spans = _spans(weekly.get(day) or [])
        if spans and spans[0][0] < overnight[WEEKDAYS[index - 1]]:
            yield Problem(f"{path}.{day}", "overlapping_windows")


def _spans(windows: list[Any]) -> list[tuple[int, int]]:
    starts = [(minute_of(window[0]), window_minutes(window)) for window in windows]
    return sorted((start, start + length) for start, length in starts)


def _overlap(spans: list[tuple[int, int]]) -> bool:
    return any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))


def _override_problems(overrides: list[dict[str, Any]], path: str) -> Iterator[Problem]:
    decided: set[tuple[str, str]] = set()
    for index, override in enumerate(overrides):
        place = f"{path}[{index}]"
        days = [override.get(name) for name in ("date", "from", "to")]
        if [name in override for name in ("date", "from", "to")] not in (
            [True, False, False],
            [False, True, True],
        ):
            yield Problem(place, "date_or_range")
            continue
        first, last = days[0] or days[1], days[0] or days[2]
        if "hours" not in override:
            yield Problem(f"{place}.hours", "required")
        elif _overlap(_spans(override["hours"])):
            yield Problem(f"{place}.hours", "overlapping_windows")
        if first is None or last is None:
            continue
        if first > last:
            yield Problem(f"{place}.to", "start_after_end")
        elif any(since <= first and last <= until for since, until in decided):
            yield Problem(place, "duplicate_date")
        decided.add((first, last))
