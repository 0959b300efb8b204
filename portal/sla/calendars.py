"""Calendars a contract starts from, and the public holidays written into them as plain dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from portal.i18n import N_, use
from portal.i18n import gettext as _
from portal.sla.terms import Calendar, Holidays, Override, Text, Weekly, calendar
from portal.sla.words import both

WORKING_DAYS = ("mon", "tue", "wed", "thu", "fri")
EVERY_DAY = (*WORKING_DAYS, "sat", "sun")
LONGEST_YEARS = 15  # a contract names the holidays of at most so many years


def always(tz: str) -> Calendar:
    return calendar(both(N_("Day and night")), tz, always=True)


def weekly(label: Text, tz: str, days: Sequence[str], *windows: list[str]) -> Calendar:
    """A calendar with the same hours on each of the days."""
    hours: Weekly = {}
    for name in days:
        hours[name] = [list(window) for window in windows]  # type: ignore[literal-required]
    made = calendar(label, tz)
    made["weekly"] = hours
    return made


def business(tz: str) -> Calendar:
    return weekly(both(N_("Business hours")), tz, WORKING_DAYS, ["09:00", "18:00"])


def sales_critical(tz: str) -> Calendar:
    """The hours in which a sales team sells: long days, Saturday, a shorter Sunday, public holidays too."""
    made = weekly(both(N_("Sales-critical hours")), tz, (*WORKING_DAYS, "sat"), ["07:00", "22:00"])
    made["weekly"]["sun"] = [["10:00", "19:00"]]
    return made


def maintenance(tz: str) -> Calendar:
    return weekly(both(N_("Maintenance hours")), tz, ("sun",), ["01:00", "06:00"])


def releases(tz: str) -> Calendar:
    return weekly(both(N_("Release hours")), tz, ("tue", "wed", "thu"), ["05:00", "07:00"])


def with_holidays(made: Calendar, country: str, subdivision: str | None, first: date, last: date) -> Calendar:
    """The calendar closed on the public holidays of a place, in front of what it already had."""
    source: Holidays = {"country": country, "subdivision": subdivision}
    closed = holiday_overrides(country, subdivision, first, last)
    return {**made, "holidays": source, "overrides": [*closed, *made["overrides"]]}


def holiday_overrides(country: str, subdivision: str | None, first: date, last: date) -> list[Override]:
    """The public holidays of a country (and its part) from one day to another, both included, as closed days.

    Empty for a country or part that is not known. Substitute days come as dates of their own.
    """
    import holidays  # a second to import; only drafting asks for it

    years = range(first.year, min(last.year, first.year + LONGEST_YEARS) + 1)
    try:
        kind = getattr(holidays, country)
        languages = {name: _nearest(kind.supported_languages, name) for name in ("en", "fr")}
        named = {
            name: kind(subdiv=subdivision, years=years, language=language)
            for name, language in languages.items()
            if language
        }
        days = named.get("en") or kind(subdiv=subdivision, years=years)
    except (AttributeError, NotImplementedError, TypeError):
        return []
    overrides: list[Override] = []
    for on in sorted(days):
        if first <= on <= last:
            french = named["fr"].get(on) if "fr" in named else None
            overrides.append({"date": on.isoformat(), "hours": [], "name": _names(days[on], french)})
    return overrides


def _nearest(supported: Sequence[str], language: str) -> str | None:
    return next((each for each in supported if each.split("_")[0] == language), None)


def _names(english: str, french: str | None) -> Text:
    """Both names; where the list has no French, ours, else the name as it is."""
    if french is None:
        with use("fr"):
            french = _(english)
    return {"en": english, "fr": french}


# Names that lists of English-speaking countries give in English only.
KNOWN_NAMES = (
    N_("New Year's Day"),
    N_("New Year's Day (observed)"),
    N_("Good Friday"),
    N_("Easter Monday"),
    N_("May Day"),
    N_("Spring Bank Holiday"),
    N_("Late Summer Bank Holiday"),
    N_("Christmas Day"),
    N_("Christmas Day (observed)"),
    N_("Boxing Day"),
    N_("Boxing Day (observed)"),
    N_("Saint Patrick's Day"),
    N_("Saint Andrew's Day"),
    N_("Martin Luther King Jr. Day"),
    N_("Washington's Birthday"),
    N_("Memorial Day"),
    N_("Juneteenth National Independence Day"),
    N_("Juneteenth National Independence Day (observed)"),
    N_("Independence Day"),
    N_("Independence Day (observed)"),
    N_("Labor Day"),
    N_("Columbus Day"),
    N_("Veterans Day"),
    N_("Veterans Day (observed)"),
    N_("Thanksgiving Day"),
)
