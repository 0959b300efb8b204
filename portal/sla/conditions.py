"""Conditions a clause may hang on: a short closed list, each decided by the terms alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from portal.i18n import lazy

Clause = Mapping[str, Any]
Terms = Mapping[str, Any]


def _round_the_clock(terms: Terms) -> bool:
    """Whether any severity is answered in hours that never end."""
    named = {
        (row[clock] or {}).get("calendar")
        for row in terms["severities"]
        for clock in ("response", "resolution", "update")
    }
    return any(each["always"] for key, each in terms["calendars"].items() if key in named)


def _renews(terms: Terms) -> bool:
    return bool(terms["commercial"]["renewal"]["kind"] == "tacit")


# key -> (how it reads in a list to choose from, whether it holds)
CONDITIONS: dict[str, tuple[Any, Callable[[Terms], bool]]] = {
    "phi": (
        lazy("If protected health information may be seen"),
        lambda terms: bool(terms["commercial"]["phi"]),
    ),
    "no_phi": (lazy("If no health information may be seen"), lambda terms: not terms["commercial"]["phi"]),
    "24x7": (lazy("If something is answered day and night"), _round_the_clock),
    "uptime": (lazy("If an uptime is promised"), lambda terms: bool(terms["uptime"])),
    "credits": (
        lazy("If service credits are promised"),
        lambda terms: bool(terms["credits"]["breaches"] or (terms["uptime"] or {}).get("tiers")),
    ),
    "peaks": (lazy("If peak seasons are agreed"), lambda terms: bool(terms["peaks"])),
    "renewal": (lazy("If it renews by itself"), _renews),
    "supplier": (lazy("If we supply"), lambda terms: terms["side"] == "supplier"),
    "customer": (lazy("If we are the customer"), lambda terms: terms["side"] == "customer"),
}


def holds(when: str, terms: Terms) -> bool:
    """Whether a condition holds; none always does, and so does one that is no longer known."""
    known = CONDITIONS.get(when)
    return known is None or known[1](terms)


def name(when: str) -> str:
    """The condition in the reader's words; "" for none."""
    return str(CONDITIONS[when][0]) if when in CONDITIONS else ""


def applying(clauses: Iterable[Clause], terms: Terms) -> list[dict[str, Any]]:
    """The clauses that belong into a contract with these terms."""
    return [dict(each) for each in clauses if holds(str(each.get("when", "")), terms)]


def follow(
    clauses: Sequence[Clause], offered: Sequence[Clause], before: Terms, after: Terms
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """The clauses after a change of terms, and the keys of those that came in and went out.

    Only a condition that the change has turned moves its clause: what people took out or wrote in by
    themselves stays as they left it. A clause comes in behind the one it follows in the template.
    """
    kept, came, went = [dict(each) for each in clauses], [], []
    for place, each in enumerate(offered):
        when = str(each.get("when", ""))
        if holds(when, before) == holds(when, after):
            continue
        present = [clause["key"] for clause in kept]
        if holds(when, after) and each["key"] not in present:
            earlier = [other["key"] for other in offered[:place] if other["key"] in present]
            kept.insert(present.index(earlier[-1]) + 1 if earlier else 0, dict(each))
            came.append(str(each["key"]))
        elif not holds(when, after) and each["key"] in present:
            kept.pop(present.index(each["key"]))
            went.append(str(each["key"]))
    return kept, came, went
