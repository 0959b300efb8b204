"""Phrases that sentences, schedules and clause variables share, in the current language."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, cast

from portal.i18n import LANGUAGES, NARROW_NO_BREAK, format_date, format_number, format_percent, ngettext, use
from portal.i18n import current as current_language
from portal.i18n import gettext as _
from portal.sla.terms import UNITS, WEEKDAYS, Calendar, Target, Terms, Text


def both(message: str, **values: object) -> Text:
    """A message and its translations as a text of the contract."""
    written = {}
    for language in LANGUAGES:
        with use(language):
            written[language] = _(message, **values)
    return cast(Text, written)


def text(written: Mapping[str, Any] | None) -> str:
    """The words in the current language, else in whichever language they were written."""
    words = dict(written or {})
    return str(words.get(current_language()) or next(filter(None, words.values()), ""))


def capital(words: str) -> str:
    """The same words with a capital, as the first of a table cell."""
    return words[:1].upper() + words[1:]


def listed(parts: Iterable[str]) -> str:
    """`a, b and c`."""
    words = list(parts)
    if len(words) < 2:
        return "".join(words)
    return _("%(first)s and %(last)s", first=", ".join(words[:-1]), last=words[-1])


def parted(parts: Iterable[str]) -> str:
    """`a; b; c`, with the space French puts before the sign."""
    sign = f"{NARROW_NO_BREAK}; " if current_language() == "fr" else "; "
    return sign.join(parts)


def percent(figure: str) -> str:
    return format_percent(Decimal(figure))


def number(figure: str) -> str:
    return format_number(Decimal(figure))


def day(written: str) -> str:
    return format_date(date.fromisoformat(written))


# -- Lengths ----------------------------------------------------------------------------------


def minutes(count: int) -> str:
    """`30 minutes`, `4 hours`, `1 hour 30 minutes`: never days, whose length depends on the calendar."""
    hours, rest = divmod(count, 60)
    parts = [
        ngettext("%(num)s hour", "%(num)s hours", hours) if hours else "",
        ngettext("%(num)s minute", "%(num)s minutes", rest) if rest or not hours else "",
    ]
    return " ".join(filter(None, parts))


def hours(count: int) -> str:
    return ngettext("%(num)s hour", "%(num)s hours", count)


def decimal_hours(figure: str) -> str:
    """`6 hours`, `2.5 hours`."""
    exact = Decimal(figure)
    if exact == exact.to_integral_value():
        return hours(int(exact))
    return _("%(number)s hours", number=format_number(exact))


def seconds(count: int) -> str:
    return minutes(count // 60) if count % 60 == 0 else ngettext("%(num)s second", "%(num)s seconds", count)


def days(count: int) -> str:
    return ngettext("%(num)s day", "%(num)s days", count)


def months(count: int) -> str:
    return ngettext("%(num)s month", "%(num)s months", count)


def length(target: Target) -> str:
    """How long a target is, without its hours: `30 minutes`, `2 service days`, `the next release`."""
    if "min" in target:
        return minutes(target["min"])
    if "service_days" in target:
        count = target["service_days"]
        return ngettext("%(num)s service day", "%(num)s service days", count)
    if "calendar_days" in target:
        return ngettext("%(num)s calendar day", "%(num)s calendar days", target["calendar_days"])
    if "months" in target:
        return months(target["months"])
    releases = {
        "next": _("the next release"),
        "future": _("a future release"),
        "monthly": _("the monthly release"),
    }
    return releases.get(target.get("release", ""), "")


def counted(target: Target, terms: Terms) -> str:
    """A length with its hours: `30 minutes, day and night`, `4 hours (Business hours)`."""
    name = target.get("calendar")
    calendar = terms["calendars"].get(name) if name else None
    if calendar is None:
        return length(target)
    if calendar["always"]:
        return _("%(length)s, day and night", length=length(target))
    return _("%(length)s (%(hours)s)", length=length(target), hours=text(calendar["label"]))


def every(target: Target, terms: Terms, named: str | None = None) -> str:
    """`every 2 hours`, with its hours unless that calendar has just been `named`."""
    single = {
        ("min", 60): _("every hour"),
        ("service_days", 1): _("every service day"),
        ("calendar_days", 1): _("every day"),
        ("calendar_days", 7): _("every week"),
        ("months", 1): _("every month"),
    }
    unit = next((name for name in UNITS if name in target), "")
    said = single.get((unit, cast(Any, target).get(unit)))
    if said is None and unit == "min":
        said = _("every %(time)s", time=length(target))
    elif said is None:
        said = _("every %(days)s", days=length(target))
    calendar = terms["calendars"].get(target.get("calendar", ""))
    if calendar is None or target.get("calendar") == named:
        return said
    if calendar["always"]:
        return _("%(length)s, day and night", length=said)
    return _("%(length)s (%(hours)s)", length=said, hours=text(calendar["label"]))


# -- Hours ------------------------------------------------------------------------------------


def weekday(name: str) -> str:
    names = (
        _("Monday"),
        _("Tuesday"),
        _("Wednesday"),
        _("Thursday"),
        _("Friday"),
        _("Saturday"),
        _("Sunday"),
    )
    return names[WEEKDAYS.index(name)]


def week(calendar: Calendar) -> str:
    """`Monday to Friday 09:00–17:30; Saturday 10:00–16:00`, equal neighbours joined."""
    if calendar["always"]:
        return _("day and night, every day")
    hours = {name: windows(cast(Any, calendar["weekly"]).get(name, [])) for name in WEEKDAYS}
    parts = []
    for open_hours, group in itertools.groupby(WEEKDAYS, key=lambda name: hours[name]):
        names = list(group)
        if open_hours:
            parts.append(f"{_span(names)} {open_hours}")
    return parted(parts)


def windows(opening: Iterable[list[str]]) -> str:
    """`09:00–12:00, 13:00–17:30`; empty for a closed day."""
    shown = []
    for opens, closes in opening:
        overnight = closes <= opens
        shown.append(
            _("%(opens)s–%(closes)s the next day", opens=opens, closes=closes)
            if overnight
            else f"{opens}–{closes}"
        )
    return ", ".join(shown)


def _span(names: list[str]) -> str:
    if len(names) == 1:
        return weekday(names[0])
    return _("%(first)s to %(last)s", first=weekday(names[0]), last=weekday(names[-1]))


def calendar_label(terms: Terms, name: str | None) -> str:
    calendar = terms["calendars"].get(name or "")
    return text(calendar["label"]) if calendar else (name or "")


# -- Fixed words ------------------------------------------------------------------------------


def side(name: str) -> str:
    sides = {
        "supplier": _("Supplier"),
        "customer": _("Customer"),
        "vendor": _("its vendor"),
        "both": _("both parties"),
    }
    return sides.get(name, name)


def by_side(name: str) -> str:
    """Who answers for something: `the Supplier`."""
    sides = {
        "supplier": _("the Supplier"),
        "customer": _("the Customer"),
        "vendor": _("its vendor"),
    }
    return sides[name]


def level(name: str | None) -> str:
    levels = {"premium": _("Premium"), "standard": _("Standard"), "basic": _("Basic")}
    return levels.get(name or "", name or "")


def per_period(name: str) -> str:
    """`per month`."""
    return {"month": _("per month"), "quarter": _("per quarter"), "year": _("per year")}[name]


def each_period(name: str) -> str:
    """`each month`."""
    return {"month": _("each month"), "quarter": _("each quarter"), "year": _("each year")}[name]


def clock(name: str) -> str:
    names = {
        "response": _("response"),
        "resolution": _("resolution"),
        "update": _("news"),
        "escalation": _("escalation answer"),
    }
    return names[name]


def form(name: str) -> str:
    forms = {
        "email": _("by e-mail"),
        "portal": _("through the portal"),
        "letter": _("by letter"),
        "registered_letter": _("by registered letter"),
    }
    return forms[name]
