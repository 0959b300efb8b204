"""Lengths: of targets that can be compared, of a contract's life, of a month's arithmetic."""

from __future__ import annotations

import calendar as months_of
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from portal.sla.terms import WEEKDAYS

DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Length:
    """A target as a number on a scale; only lengths of one scale can be compared."""

    scale: str
    length: int


def comparable(target: Any, calendars: Any) -> Length | None:
    """Minutes in the target's own calendar, or days that always run; None where neither fits.

    A service day counts as the calendar's longest day, the most it can be.
    """
    if not target:
        return None
    if target.get("min") is not None and target.get("calendar") is not None:
        return Length(target["calendar"], target["min"])
    if target.get("service_days") is not None and target.get("calendar") in calendars:
        longest = longest_day(calendars[target["calendar"]])
        return Length(target["calendar"], target["service_days"] * longest) if longest else None
    if target.get("calendar_days") is not None:
        return Length("days", target["calendar_days"])
    if target.get("months") is not None:
        return Length("days", target["months"] * 30)
    return None


def longest_day(calendar: Any) -> int:
    """Minutes of the longest ordinary day; 0 for a calendar without hours."""
    if calendar["always"]:
        return DAY_MINUTES
    days = [sum(window_minutes(window) for window in calendar["weekly"].get(day, [])) for day in WEEKDAYS]
    return max(days, default=0)


def window_minutes(window: Any) -> int:
    opens, closes = minute_of(window[0]), minute_of(window[1])
    return closes - opens if closes > opens else closes - opens + DAY_MINUTES


def minute_of(wall_time: str) -> int:
    hours, minutes = wall_time.split(":")
    return int(hours) * 60 + int(minutes)


# -- The contract's life ----------------------------------------------------------------------


def first_day(terms: Any) -> date | None:
    start = terms["commercial"]["start_on"]
    return date.fromisoformat(start) if start else None


def last_day(terms: Any) -> date | None:
    """The last day in force: as written, or the day before the start's date comes round after the length."""
    commercial = terms["commercial"]
    if commercial["end_on"]:
        return date.fromisoformat(commercial["end_on"])
    start = first_day(terms)
    if start is None or not commercial["length_months"]:
        return None
    try:
        return add_months(start, commercial["length_months"]) - timedelta(days=1)
    except ValueError:
        return None


def notice_deadline(terms: Any) -> date | None:
    """The last day on which notice may be given, by month or day arithmetic back from the last day."""
    last, notice = last_day(terms), terms["commercial"]["notice"]
    if last is None or not notice or notice["value"] is None:
        return None
    if notice["unit"] == "days":
        return last - timedelta(days=notice["value"])
    return add_months(last + timedelta(days=1), -notice["value"]) - timedelta(days=1)


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day. Raises ValueError past year 9999."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    last = months_of.monthrange(year, month + 1)[1] if 1 <= year <= 9999 else 0
    return date(year, month + 1, min(day.day, last))


def term_months(terms: Any) -> int | None:
    """Whole months from the first day to the last, counted down; None until both are known."""
    first, last = first_day(terms), last_day(terms)
    if first is None or last is None or last < first:
        return None
    after = last + timedelta(days=1)
    months = (after.year - first.year) * 12 + after.month - first.month
    return months if add_months(first, months) <= after else months - 1
