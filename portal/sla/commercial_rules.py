"""Rules for money, dates and law, and for texts that must exist in each language of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from portal.i18n import NAMES
from portal.sla import duration
from portal.sla.shape import Problem


def commercial_problems(terms: dict[str, Any]) -> Iterator[Problem]:
    commercial = terms["commercial"]
    for name in ("fee", "currency", "start_on"):
        if commercial[name] is None:
            yield Problem(f"commercial.{name}", "required")
    for name in ("governing_law", "courts"):
        if not any((commercial[name] or {}).values()):
            yield Problem(f"commercial.{name}", "required")
    yield from _term_problems(terms, commercial)
    yield from _renewal_problems(terms, commercial)
    yield from _liability_problems(commercial)
    yield from _peak_level_problems(terms, commercial["peak_level"])
    for carve_out in commercial["carve_outs"]:
        if not any((carve_out["text"] or {}).values()):
            yield Problem(f"commercial.carve_outs.{carve_out['key']}.text", "required")


def _term_problems(terms: dict[str, Any], commercial: dict[str, Any]) -> Iterator[Problem]:
    if commercial["end_on"] and commercial["length_months"]:
        yield Problem("commercial.length_months", "two_ends")
    elif not commercial["end_on"] and not commercial["length_months"]:
        yield Problem("commercial.length_months", "required")
    start, end = duration.first_day(terms), duration.last_day(terms)
    if start and end and end < start:
        yield Problem("commercial.end_on", "start_after_end")


def _renewal_problems(terms: dict[str, Any], commercial: dict[str, Any]) -> Iterator[Problem]:
    renewal, notice = commercial["renewal"], commercial["notice"]
    if renewal["kind"] in ("agreement", "tacit") and renewal["months"] is None:
        yield Problem("commercial.renewal.months", "renewal_months")
    if renewal["kind"] == "none" and renewal["months"] is not None:
        yield Problem("commercial.renewal.months", "not_used")
    if renewal["kind"] == "tacit" and notice is None:
        yield Problem("commercial.notice", "notice_needed")
    start, deadline = duration.first_day(terms), _deadline(terms)
    if start and deadline and deadline < start:
        yield Problem("commercial.notice.value", "notice_above_term")


def _deadline(terms: dict[str, Any]) -> date | None:
    """A notice of thousands of years has no date; it is longer than any contract."""
    try:
        return duration.notice_deadline(terms)
    except (ValueError, OverflowError):
        return date.min


def _liability_problems(commercial: dict[str, Any]) -> Iterator[Problem]:
    cap = commercial["liability_cap"]
    if cap is None:
        return
    if len(cap) != 1:
        yield Problem("commercial.liability_cap", "one_cap")
    elif cap.get("amount") is not None and Decimal(cap["amount"]) == 0:
        yield Problem("commercial.liability_cap.amount", "amount_zero")


def _peak_level_problems(terms: dict[str, Any], peak: dict[str, Any] | None) -> Iterator[Problem]:
    if peak is None or peak["from"] is None or peak["to"] is None:
        return
    first, last = date.fromisoformat(peak["from"]), date.fromisoformat(peak["to"])
    start, end = duration.first_day(terms), duration.last_day(terms)
    if first > last:
        yield Problem("commercial.peak_level.to", "start_after_end")
    elif (start and last < start) or (end and first > end):
        yield Problem("commercial.peak_level", "outside_term")


# -- Languages --------------------------------------------------------------------------------

TEXTS = ("label", "description", "text", "name", "role", "criterion", "governing_law", "courts")


def language_problems(terms: dict[str, Any], languages: Sequence[str]) -> Iterator[Problem]:
    """Texts written in one of the contract's languages but not in all of them."""
    for path, text in texts(terms, ""):
        written = [language for language, words in text.items() if words]
        for language in languages:
            if written and language not in written:
                values = {"language": NAMES[language]}
                yield Problem(f"{path}.{language}", "translation_missing", values)


def texts(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every text of a document with its path, rows named by their key."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            key = item.get("key") if isinstance(item, dict) else None
            yield from texts(item, f"{path}.{key}" if key else f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            place = f"{path}.{name}" if path else name
            if name in TEXTS and isinstance(item, dict):
                yield place, item
            else:
                yield from texts(item, place)
