"""The figures of a contract as rows that people negotiate one by one: a key, a name, a value in words.

The same rows stand on the negotiation page, in redlines and in the Word file that goes out. A value
that comes back is read in English or French, whatever language it was written in. What is no row
(hours, exclusions, rules) is changed in the draft itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from portal.i18n import LANGUAGES, current, lazy, use
from portal.i18n import gettext as _
from portal.sla import words
from portal.sla.terms import Target, Terms

NOTHING = ("", "-", "–", "—", "none", "no", "aucun", "aucune", "néant", "n/a")
GROUPS = {
    "service": lazy("Service levels"),
    "uptime": lazy("Uptime and service credits"),
    "maintenance": lazy("Maintenance"),
    "scope": lazy("Scope"),
    "commercial": lazy("Money and duration"),
}


class Unreadable(ValueError):
    """What was typed is no value of this row; the sentence says what is expected."""


@dataclass(frozen=True)
class Row:
    """One figure. `key` survives revisions, as `severities.S1.response`; `text` is its value in words."""

    key: str
    group: str
    label: str
    kind: str
    text: str
    value: Any


@dataclass(frozen=True)
class Kind:
    """How values of one kind are written and read. Both get the terms, whose calendars and currency count."""

    write: Callable[[Any, Terms], str]
    read: Callable[[str, Any, Terms], Any]
    expects: Callable[[], str]


def rows(terms: Terms, language: str) -> list[Row]:
    """Every row of the terms in the words of a language, in reading order."""
    with use(language):
        return [
            Row(key, group, label, kind, KINDS[kind].write(value, terms) if value is not None else "–", value)
            for key, group, label, kind, value in _all(terms)
        ]


def by_key(terms: Terms, language: str) -> dict[str, Row]:
    return {row.key: row for row in rows(terms, language)}


def read(terms: Terms, key: str, typed: str) -> Any:
    """The value that was typed for a row. Raises KeyError for no such row, Unreadable with a sentence."""
    kind, value = next(
        ((kind, value) for found, _g, _l, kind, value in _all(terms) if found == key), ("", None)
    )
    if not kind:
        raise KeyError(key)
    plain = " ".join(typed.replace("\u202f", " ").replace("\xa0", " ").split())
    if plain.lower() in NOTHING:
        if kind in NEVER_NOTHING or key in REQUIRED:
            raise Unreadable(KINDS[kind].expects())
        return None
    return KINDS[kind].read(plain, value, terms)


def change(terms: Terms, key: str, value: Any) -> Terms:
    """The terms with one row changed. Raises KeyError for no such row."""
    made: Any = copy.deepcopy(terms)
    parent, name = _place(made, key)
    parent[name] = value
    return made  # type: ignore[no-any-return]


def value_at(terms: Terms, key: str) -> Any:
    parent, name = _place(terms, key)
    return parent[name]


def _place(terms: Any, key: str) -> tuple[Any, str]:
    """Where a row's value lies: its parent and its name there."""
    *path, name = key.split(".")
    found = terms
    for each in path:
        found = next(row for row in found if row["key"] == each) if isinstance(found, list) else found[each]
    if name not in found:
        raise KeyError(key)
    return found, name


# -- Which rows there are ---------------------------------------------------------------------------


def _all(terms: Terms) -> Iterator[tuple[str, str, str, str, Any]]:
    yield from _service(terms)
    yield from _uptime(terms)
    maintenance = terms["maintenance"]
    for name, label, kind in (
        ("min_notice_h", _("Notice of maintenance"), "hours"),
        ("cap_h_per_period", _("Maintenance, most in a period"), "decimal_hours"),
    ):
        yield f"maintenance.{name}", "maintenance", label, kind, maintenance[name]  # type: ignore[literal-required]
    yield "product", "scope", _("Product"), "line", terms["product"]
    for exclusion in terms["scope"]["exclusions"]:
        yield (
            f"scope.exclusions.{exclusion['key']}.text",
            "scope",
            _("Not covered"),
            "text",
            exclusion["text"],
        )
    yield from _commercial(terms)


def _service(terms: Terms) -> Iterator[tuple[str, str, str, str, Any]]:
    names = (("response", _("response")), ("resolution", _("resolution")), ("update", _("news")))
    for severity in terms["severities"]:
        title = f"{severity['key']} {words.text(severity['label'])}".strip()
        for name, label in names:
            key = f"severities.{severity['key']}.{name}"
            yield key, "service", f"{title}, {label}", "target", severity[name]  # type: ignore[literal-required]


def _uptime(terms: Terms) -> Iterator[tuple[str, str, str, str, Any]]:
    uptime, credits = terms["uptime"], terms["credits"]
    if uptime is not None:
        yield "uptime.target_pct", "uptime", _("Uptime"), "percent", uptime["target_pct"]
        for number, tier in enumerate(uptime["tiers"], start=1):
            key = f"uptime.tiers.{tier['key']}"
            yield (
                f"{key}.below",
                "uptime",
                _("Credit tier %(n)s: uptime below", n=number),
                "percent",
                tier["below"],
            )
            label = _("Credit tier %(n)s: share of the fee", n=number)
            yield f"{key}.credit_pct", "uptime", label, "percent", tier["credit_pct"]
    names = (("response", _("response")), ("resolution", _("resolution")), ("update", _("news")))
    for breach in credits["breaches"]:
        for name, label in names:
            key = f"credits.breaches.{breach['key']}.{name}"
            title = _("Credit for a missed target: %(key)s, %(name)s", key=breach["key"], name=label)
            yield key, "uptime", title, "percent", breach[name]  # type: ignore[literal-required]
    caps = (
        ("period_pct", _("Credits, most in a period"), "percent"),
        ("year_pct", _("Credits, most in a year"), "percent"),
        ("year_amount", _("Credits, most in a year as an amount"), "money"),
    )
    for name, label, kind in caps:
        yield f"credits.caps.{name}", "uptime", label, kind, credits["caps"][name]  # type: ignore[literal-required]
    yield (
        "credits.claim_window_days",
        "uptime",
        _("Days to claim a credit"),
        "days",
        credits["claim_window_days"],
    )


def _commercial(terms: Terms) -> Iterator[tuple[str, str, str, str, Any]]:
    commercial = terms["commercial"]
    fees = {"month": _("Fee a month"), "quarter": _("Fee a quarter"), "year": _("Fee a year")}
    for name, label, kind in (
        ("fee", fees[commercial["fee_period"]], "money"),
        ("uplift_pct", _("Increase each year"), "percent"),
        ("start_on", _("First day"), "date"),
        ("length_months", _("Length"), "months"),
        ("notice", _("Notice before the end"), "notice"),
        ("liability_cap", _("Liability cap"), "cap"),
        ("governing_law", _("Governing law"), "text"),
        ("courts", _("Courts"), "text"),
    ):
        yield f"commercial.{name}", "commercial", label, kind, commercial[name]  # type: ignore[literal-required]


# Without these nothing can be promised or signed.
REQUIRED = frozenset({"product", "maintenance.min_notice_h", "commercial.fee", "commercial.start_on"})
NEVER_NOTHING = frozenset({"line"})


# -- Writing and reading values -----------------------------------------------------------------------

NUMBER = r"(\d[\d.,' ]*)"
LENGTH = {
    "min": re.compile(
        rf"(?:{NUMBER}\s*(?:h|hours?|heures?|hrs?)\b)?\s*(?:{NUMBER}\s*(?:min|mins|minutes?|mn)\b)?", re.I
    ),
    "service_days": re.compile(
        rf"{NUMBER}\s*(?:(?:service|working|business)\s+days?|jours?\s+(?:ouvrés?|ouvrables?|de\s+service))",
        re.I,
    ),
    "calendar_days": re.compile(rf"{NUMBER}\s*(?:calendar\s+days?|jours?\s+(?:calendaires?|civils?))", re.I),
    "months": re.compile(rf"{NUMBER}\s*(?:months?|mois)", re.I),
}
EVERY = re.compile(r"^(?:every|tous les|toutes les)\s+", re.I)
IN_BRACKETS = re.compile(r"^(.*?)\s*\(([^()]*)\)$")
ALWAYS = re.compile(r"^(.*?),?\s*(?:day and night|24\s*x\s*7|24/7|jour et nuit)$", re.I)


def _read_target(typed: str, before: Any, terms: Terms) -> Target:
    length, calendar = _calendar(EVERY.sub("", typed), before, terms)
    released = _release(length)
    if released:
        return {"release": released}  # type: ignore[typeddict-item]
    for unit, pattern in LENGTH.items():
        found = pattern.fullmatch(length)
        if found is None:
            continue
        figures = [_whole(group) if group else 0 for group in found.groups()]
        count = figures[0] * 60 + figures[1] if unit == "min" else figures[0]
        if count < 1:
            break
        made: dict[str, Any] = {unit: count}
        if unit in ("min", "service_days"):
            if not calendar:
                raise Unreadable(_("Say in which hours it counts, as in “4 hours (Business hours)”."))
            made["calendar"] = calendar
        return made  # type: ignore[return-value]
    raise Unreadable(KINDS["target"].expects())


def _calendar(typed: str, before: Any, terms: Terms) -> tuple[str, str]:
    """The length alone, and the key of the hours it counts in: those named, else those of before."""
    kept = (before or {}).get("calendar", "")
    bracketed, always = IN_BRACKETS.match(typed), ALWAYS.match(typed)
    if bracketed:
        named = bracketed[2].strip().lower()
        for key, calendar in terms["calendars"].items():
            if named in (key.lower(), *(each.lower() for each in calendar["label"].values())):  # type: ignore[attr-defined]
                return bracketed[1], key
        raise Unreadable(_("No hours of this contract are called “%(name)s”.", name=bracketed[2]))
    if always:
        key = next((key for key, calendar in terms["calendars"].items() if calendar["always"]), "")
        if not key:
            raise Unreadable(_("This contract has no hours that run day and night."))
        return always[1], key
    return typed, kept


def _release(typed: str) -> str:
    for language in LANGUAGES:
        with use(language):
            for name in ("next", "future", "monthly"):
                if typed.lower() == words.length({"release": name}).lower():  # type: ignore[typeddict-item]
                    return name
    return ""


def _whole(typed: str) -> int:
    figure = _decimal(typed)
    if figure != figure.to_integral_value():
        raise Unreadable(_("Write a whole number."))
    return int(figure)


def _decimal(typed: str) -> Decimal:
    """A figure with either sign for decimals; `1,500` and `1 500` are thousands, `99,5` is not."""
    plain = re.sub(r"[' ]", "", typed)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", plain):
        plain = plain.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+", plain):
        plain = plain.replace(".", "")
    try:
        return Decimal(plain.replace(",", "."))
    except InvalidOperation as error:
        raise Unreadable(_("Write a number.")) from error


def _written(figure: Decimal) -> str:
    text = format(figure.normalize(), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read_percent(typed: str, _before: Any, _terms: Terms) -> str:
    figure = _decimal(typed.replace("%", "").strip())
    if not 0 <= figure <= 100:
        raise Unreadable(KINDS["percent"].expects())
    return _written(figure)


def _read_money(typed: str, _before: Any, terms: Terms) -> str:
    currency = terms["commercial"]["currency"] or ""
    plain = re.sub(rf"{re.escape(currency)}|[€$£]", "", typed, flags=re.I) if currency else typed
    if re.search(r"[A-Za-z]", plain):
        raise Unreadable(_("Amounts of this contract are in %(currency)s.", currency=currency))
    return f"{_decimal(plain.strip()):.2f}"


def _read_date(typed: str, _before: Any, _terms: Terms) -> str:
    for pattern, order in (
        (r"(\d{4})-(\d{2})-(\d{2})", (1, 2, 3)),
        (r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})", (3, 2, 1)),
    ):
        found = re.fullmatch(pattern, typed)
        if found:
            try:
                return date(*(int(found[at]) for at in order)).isoformat()
            except ValueError:
                break
    raise Unreadable(KINDS["date"].expects())


def _counted(unit: str) -> Callable[[str, Any, Terms], int]:
    pattern = re.compile(rf"{NUMBER}\s*(?:{unit})?", re.I)

    def read(typed: str, _before: Any, _terms: Terms) -> int:
        found = pattern.fullmatch(typed)
        if found is None:
            raise Unreadable(_("Write a whole number."))
        return _whole(found[1])

    return read


def _read_decimal_hours(typed: str, _before: Any, _terms: Terms) -> str:
    found = re.fullmatch(rf"{NUMBER}\s*(?:h|hours?|heures?)?", typed, re.I)
    if found is None:
        raise Unreadable(KINDS["decimal_hours"].expects())
    return _written(_decimal(found[1]))


def _read_notice(typed: str, before: Any, _terms: Terms) -> dict[str, Any]:
    for unit, names in (("months", r"months?|mois"), ("days", r"days?|jours?")):
        found = re.fullmatch(rf"{NUMBER}\s*(?:{names})", typed, re.I)
        if found and _whole(found[1]) > 0:
            return {"value": _whole(found[1]), "unit": unit, "form": (before or {}).get("form", "email")}
    raise Unreadable(KINDS["notice"].expects())


def _write_notice(value: Any, _terms: Terms) -> str:
    return words.months(value["value"]) if value["unit"] == "months" else words.days(value["value"])


def _read_cap(typed: str, _before: Any, terms: Terms) -> dict[str, Any]:
    found = re.fullmatch(rf"{NUMBER}\s*(?:months?|mois).*", typed, re.I)
    if found:
        return {"fee_months": _whole(found[1])}
    return {"amount": _read_money(typed, None, terms)}


def _write_cap(value: Any, terms: Terms) -> str:
    if "fee_months" in value:
        return _("%(months)s of fees", months=words.months(value["fee_months"]))
    return _write_money(value["amount"], terms)


def _write_money(value: Any, terms: Terms) -> str:
    return f"{value} {terms['commercial']['currency'] or ''}".strip()


def _read_text(typed: str, before: Any, _terms: Terms) -> dict[str, str]:
    """Words in the current language; those of the other language stay as they were."""
    return {**(before or {}), current(): typed}


KINDS: dict[str, Kind] = {
    "target": Kind(
        lambda value, terms: words.counted(value, terms),
        _read_target,
        lambda: _("Write a time and its hours, as in “4 hours (Business hours)”."),
    ),
    "percent": Kind(
        lambda v, _t: words.percent(v), _read_percent, lambda: _("Write a share from 0 to 100 %.")
    ),
    "money": Kind(_write_money, _read_money, lambda: _("Write an amount.")),
    "hours": Kind(
        lambda v, _t: words.hours(v), _counted("h|hours?|heures?"), lambda: _("Write a number of hours.")
    ),
    "decimal_hours": Kind(
        lambda v, _t: words.decimal_hours(v), _read_decimal_hours, lambda: _("Write a number of hours.")
    ),
    "days": Kind(lambda v, _t: words.days(v), _counted("days?|jours?"), lambda: _("Write a number of days.")),
    "months": Kind(
        lambda v, _t: words.months(v), _counted("months?|mois"), lambda: _("Write a number of months.")
    ),
    "date": Kind(lambda v, _t: str(v), _read_date, lambda: _("Write a date as in 2027-01-31.")),
    "notice": Kind(_write_notice, _read_notice, lambda: _("Write a number of months or days.")),
    "cap": Kind(_write_cap, _read_cap, lambda: _("Write a number of months of fees, or an amount.")),
    "line": Kind(lambda v, _t: str(v), lambda typed, _b, _t: typed[:200], lambda: _("Write something here.")),
    "text": Kind(lambda v, _t: words.text(v), _read_text, lambda: _("Write something here.")),
}  # fmt: skip
