"""Figures with a unit in prose, and which of them no term holds: a clause may contradict a schedule."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from portal.i18n import LANGUAGES
from portal.sla import rows
from portal.sla.terms import Terms

UNITS = {
    "%": r"%|per\s?cent|percent|pour\s?cent",
    "min": r"min(?:ute)?s?",
    "h": r"h(?:ours?)?|heures?",
    "day": r"(?:(?:calendar|business|working|service)\s+)?days?|jours?",
    "month": r"months?|mois",
}
FIGURE = re.compile(
    r"(?<![\w.,])(\d+(?:[.,]\d+)?)\s*("
    + "|".join(f"(?P<u{at}>{unit})" for at, unit in enumerate(UNITS.values()))
    + r")(?![\w])",
    re.IGNORECASE,
)


def found(text: str) -> list[tuple[str, Decimal, str]]:
    """Every figure with a unit: as it is written, its amount, its unit (hours as minutes)."""
    result = []
    for match in FIGURE.finditer(text):
        unit = next(name for at, name in enumerate(UNITS) if match[f"u{at}"])
        try:
            amount = Decimal(match[1].replace(",", "."))
        except InvalidOperation:
            continue
        result.append((match[0], amount * 60 if unit == "h" else amount, "min" if unit == "h" else unit))
    return result


def held(terms: Terms) -> set[tuple[Decimal, str]]:
    """The figures that the rows of the terms say, in any language."""
    known = set()
    for language in LANGUAGES:
        for row in rows.rows(terms, language):
            known |= {(amount, unit) for _said, amount, unit in found(row.text)}
    return known


def in_no_row(text: str, terms: Terms) -> list[str]:
    """The figures of a text, as written, that no row of the terms holds."""
    known = held(terms)
    return list(dict.fromkeys(said for said, amount, unit in found(text) if (amount, unit) not in known))
