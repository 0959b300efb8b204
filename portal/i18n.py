"""Words and figures in the reader's language.

The language and the time zone of whoever reads are held in context variables: a page sets them
once per request, a job once per message. Source strings are English; French lives in
`portal/translations/fr/*.po`. Numbers and dates follow the Unicode locale data that Babel
carries; its names are read once, since these functions run on the signing page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from portal import translations

if TYPE_CHECKING:
    from jinja2 import Environment

LANGUAGES = ("en", "fr")
NAMES = {"en": "English", "fr": "Français"}
DEFAULT_ZONE = "Europe/London"

NO_BREAK = "\u00a0"
NARROW_NO_BREAK = "\u202f"

_language: ContextVar[str] = ContextVar("language", default="en")
_zone: ContextVar[str] = ContextVar("zone", default=DEFAULT_ZONE)


# --- Whose language ---------------------------------------------------------------------


def current() -> str:
    """The language of whoever reads: one of LANGUAGES."""
    return _language.get()


def current_zone() -> str:
    return _zone.get()


def activate(language: str, zone: str | None = None) -> None:
    """Set language and zone for the rest of this context; a request calls it first."""
    _language.set(language if language in LANGUAGES else LANGUAGES[0])
    _zone.set(zone or DEFAULT_ZONE)


@contextlib.contextmanager
def use(language: str, zone: str | None = None) -> Iterator[None]:
    """Write in this language (and zone) inside the block; the former ones return after it."""
    before = _language.set(language if language in LANGUAGES else LANGUAGES[0])
    zone_before = _zone.set(zone or _zone.get())
    try:
        yield
    finally:
        _zone.reset(zone_before)
        _language.reset(before)


# --- Words ---------------------------------------------------------------------------------


def gettext(message: str, **params: object) -> str:
    """The message in the current language, `%(name)s` filled from the keywords."""
    text = _catalogue(_language.get()).get(message)
    if not isinstance(text, str):
        text = message
    return text % params if params else text


def pgettext(context: str, message: str, **params: object) -> str:
    """As gettext, for one English word with two meanings; `context` tells them apart."""
    text = _catalogue(_language.get()).get((context, message))
    if not isinstance(text, str):
        text = message
    return text % params if params else text


def ngettext(singular: str, plural: str, n: int, **params: object) -> str:
    """One or many. `%(num)s` stands for the number, as the reader's language writes it."""
    text = _one_or_many(singular, plural, n)
    return text % {"num": format_number(n), **params}


def _one_or_many(singular: str, plural: str, n: int) -> str:
    """The right form, not yet filled in: Jinja fills in by itself, and escapes what it fills in."""
    forms = _catalogue(_language.get()).get(singular)
    second = abs(n) > 1 if _language.get() == "fr" else n != 1
    if isinstance(forms, tuple):
        return forms[second]
    return plural if second else singular


class LazyText:
    """A message that is translated when it is shown, for tables made at import."""

    __slots__ = ("message", "params")

    def __init__(self, message: str, params: dict[str, object]) -> None:
        self.message = message
        self.params = params

    def __str__(self) -> str:
        return gettext(self.message, **self.params)

    def __repr__(self) -> str:
        return f"lazy({self.message!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __mod__(self, values: object) -> str:
        return str(self) % values

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, str | LazyText) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.message)


def lazy(message: str, **params: object) -> LazyText:
    return LazyText(message, params)


def mark(message: str) -> str:
    """Hand a message to the extractor and return it unchanged; translate it where it is shown."""
    return message


N_ = mark


@lru_cache(maxsize=len(LANGUAGES))
def _catalogue(language: str) -> translations.Catalogue:
    return {} if language == LANGUAGES[0] else translations.read(language)


def warm() -> None:
    """Read every catalogue and name table now, so that no reader waits for it."""
    for language in LANGUAGES:
        _catalogue(language)
        _names(language)


# --- Dates and times ---------------------------------------------------------------------------


class _Names(NamedTuple):
    months: tuple[str, ...]
    days: tuple[str, ...]
    long_months: tuple[str, ...]
    long_days: tuple[str, ...]


@lru_cache(maxsize=len(LANGUAGES))
def _names(language: str) -> _Names:
    from babel import Locale  # the locale data is only needed for these few words

    locale = Locale.parse(language)
    months, days = locale.months["format"], locale.days["format"]
    return _Names(
        months=("", *(months["abbreviated"][n] for n in range(1, 13))),
        days=tuple(days["abbreviated"][n] for n in range(7)),
        long_months=("", *(months["wide"][n] for n in range(1, 13))),
        long_days=tuple(days["wide"][n] for n in range(7)),
    )


def format_date(d: date, *, weekday: bool = False, long: bool = False) -> str:
    """`1 Jan 2027`; with weekday `Fri 1 Jan 2027`; long `Friday 1 January 2027`."""
    names = _names(_language.get())
    if long:
        return f"{names.long_days[d.weekday()]} {d.day} {names.long_months[d.month]} {d.year}"
    text = f"{d.day} {names.months[d.month]} {d.year}"
    return f"{names.days[d.weekday()]} {text}" if weekday else text


def format_month(d: date) -> str:
    """`January 2027`."""
    return f"{_names(_language.get()).long_months[d.month]} {d.year}"


def format_time(at: datetime, zone: str | None = None, *, place: bool = False) -> str:
    """`15:20 GMT`; with place `16:20 Europe/Paris`, for readers who may not know the zone's letters."""
    name = zone or _zone.get()
    local = at.astimezone(ZoneInfo(name))
    return f"{local.hour:02}:{local.minute:02}{NO_BREAK}{name if place else _abbreviation(local)}"


def format_datetime(
    at: datetime, zone: str | None = None, *, weekday: bool = True, place: bool = False
) -> str:
    """`Tue 24 Nov 2026, 15:20 GMT`, in `zone` or else the reader's."""
    name = zone or _zone.get()
    local = at.astimezone(ZoneInfo(name))
    joint = " à " if _language.get() == "fr" else ", "
    return f"{format_date(local, weekday=weekday)}{joint}{format_time(at, name, place=place)}"


def _abbreviation(local: datetime) -> str:
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name


def machine_time(at: datetime | date) -> str:
    """What a `<time datetime>` attribute holds: UTC to the second, or the plain date."""
    if isinstance(at, datetime):
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return at.isoformat()


def format_duration(length: timedelta) -> str:
    """In words, the two largest units: `38 minutes`, `1 hour 50 minutes`, `2 days`."""
    seconds = abs(round(length.total_seconds()))
    if seconds < 60:
        return ngettext("%(num)s second", "%(num)s seconds", seconds)
    minutes = seconds // 60
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = [
        ngettext("%(num)s day", "%(num)s days", days) if days else "",
        ngettext("%(num)s hour", "%(num)s hours", hours) if hours else "",
        ngettext("%(num)s minute", "%(num)s minutes", minutes) if minutes else "",
    ]
    return " ".join([part for part in parts if part][:2])


def format_ago(at: datetime, now: datetime) -> str:
    """`3 hours ago` or `in 2 days`, by its largest unit; `just now` within a minute."""
    gap = now - at
    if abs(gap) < timedelta(minutes=1):
        return gettext("just now")
    length = format_duration(_coarse(gap))
    if gap < timedelta(0):
        return gettext("in %(length)s", length=length)
    return gettext("%(length)s ago", length=length)


def _coarse(gap: timedelta) -> timedelta:
    size = abs(gap)
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if size >= unit:
            return unit * (size // unit)
    return size


# --- Figures --------------------------------------------------------------------------------------


def format_number(value: Decimal | int | float, digits: int | None = None) -> str:
    """`15,500.5` or `15 500,5`; as many decimals as the value has, or exactly `digits`."""
    exact = value if isinstance(value, Decimal | int) else Decimal(repr(value))
    if digits is not None:
        exact = Decimal(exact).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    text = f"{exact:,}" if isinstance(exact, int) else f"{exact:,f}"
    if _language.get() == "fr":
        return text.replace(",", NARROW_NO_BREAK).replace(".", ",")
    return text


def format_money(amount: Decimal, currency: str, places: int | None = None) -> str:
    """`EUR 15,500.00` or `15 500,00 EUR`, to the currency's usual decimals, never broken over lines."""
    text = format_number(amount, _decimals(currency) if places is None else places)
    if _language.get() == "fr":
        return f"{text}{NO_BREAK}{currency}"
    return f"{currency}{NO_BREAK}{text}"


def format_percent(percent: Decimal | int | float, digits: int | None = None) -> str:
    """`99.90%` or `99,90 %`. The value is already in percent: 99.90, not 0.9990."""
    space = NARROW_NO_BREAK if _language.get() == "fr" else ""
    return f"{format_number(percent, digits)}{space}%"


def format_size(size_bytes: int) -> str:
    """`184 KB` or `184 Ko`, in thousands; one decimal below ten."""
    letter = "o" if _language.get() == "fr" else "B"
    if size_bytes < 1000:
        return ngettext("%(num)s byte", "%(num)s bytes", size_bytes)
    for unit, scale in (("K", 1000), ("M", 1000**2), ("G", 1000**3)):
        value = Decimal(size_bytes) / scale
        if value < Decimal("999.5") or unit == "G":
            break
    digits = 1 if value < 10 and unit != "K" else 0
    return f"{format_number(value, digits)}{NO_BREAK}{unit}{letter}"


@lru_cache(maxsize=64)
def _decimals(currency: str) -> int:
    from babel.numbers import get_currency_precision  # one look-up a currency

    return int(get_currency_precision(currency))


# --- Pages -----------------------------------------------------------------------------------------


def install(environment: Environment) -> None:
    """Teach a Jinja environment `_()`, `{% trans %}` and the filters; parameters are escaped."""
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    install_callables: Any = environment.install_gettext_callables  # type: ignore[attr-defined]
    install_callables(gettext, _one_or_many, newstyle=True, pgettext=pgettext)
    environment.globals.update(current_language=current, current_zone=current_zone, language_names=NAMES)
    environment.filters.update(
        date=format_date,
        time=format_time,
        datetime=format_datetime,
        machine_time=machine_time,
        duration=format_duration,
        ago=format_ago,
        money=format_money,
        number=format_number,
        percent=format_percent,
        size=format_size,
    )


if __name__ == "__main__":
    from portal.translations import check

    raise SystemExit(check.main())
