"""Does a JSON value have the shape that terms.py declares?

`read` walks the type declarations beside the value, so a field exists once: as a TypedDict entry.
It never raises. What is wrong becomes a Problem with a path, and the copy it returns is complete
(faulty leaves are None, missing parts are empty), so the rules can look at what was right.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin

from portal.sla import terms as declared

LONGEST_TEXT = 20_000
LONGEST_LINE = 300
MOST_ROWS = 1_000

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
WALL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
DECIMAL = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?")
MONEY = re.compile(r"(0|[1-9][0-9]{0,12})(\.[0-9]{1,4})?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, a code of messages.py, and the words its sentence needs."""

    path: str
    code: str
    values: dict[str, str] = field(default_factory=dict)


def read(document: Any) -> tuple[dict[str, Any], list[Problem]]:
    """The document as far as it has the right shape, and every problem of shape in it."""
    problems: list[Problem] = []
    clean = _read(declared.Terms, document, "", problems)
    return clean, problems


@functools.cache
def fields(kind: Any) -> dict[str, Any]:
    """The declared fields of a TypedDict, annotations included."""
    return typing.get_type_hints(kind, include_extras=True)


def _read(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    kind, nullable = _without_none(kind)
    if value is None and nullable:
        return None
    if typing.is_typeddict(kind):
        return _read_object(kind, value, path, problems, nullable)
    if get_origin(kind) is Annotated and isinstance(get_args(kind)[1], str):
        return _read_format(get_args(kind)[1], value, path, problems)
    if get_origin(kind) is Literal:
        if isinstance(value, str) and value in get_args(kind):
            return value
        problems.append(Problem(path, "choice", {"choices": ", ".join(get_args(kind))}))
        return None
    if get_origin(kind) is list:
        return _read_list(get_args(kind)[0], value, path, problems)
    if get_origin(kind) is dict:
        return _read_map(get_args(kind)[1], value, path, problems)
    if kind is bool:
        if isinstance(value, bool):
            return value
        problems.append(Problem(path, "yes_or_no"))
        return None
    return _read_format("text", value, path, problems)


def _read_object(kind: Any, value: Any, path: str, problems: list[Problem], nullable: bool) -> Any:
    if not isinstance(value, dict):
        problems.append(Problem(path, "missing" if value is None else "object"))
        return None if nullable else _blank(kind)
    wanted = fields(kind)
    for name in value:
        if name not in wanted:
            problems.append(Problem(_join(path, _shown(name)), "unknown_field", {"name": _shown(name)}))
    clean: dict[str, Any] = {}
    for name, inner in wanted.items():
        if name in value:
            clean[name] = _read(inner, value[name], _join(path, name), problems)
        elif name in kind.__required_keys__:
            problems.append(Problem(_join(path, name), "missing"))
            clean[name] = _blank(inner)
    return clean


def _read_list(inner: Any, value: Any, path: str, problems: list[Problem]) -> list[Any]:
    if not isinstance(value, list):
        problems.append(Problem(path, "list"))
        return []
    if len(value) > MOST_ROWS:
        problems.append(Problem(path, "too_many", {"most": str(MOST_ROWS)}))
        return []
    keyed = typing.is_typeddict(inner) and "key" in fields(inner)
    seen: set[str] = set()
    clean = []
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        key = item.get("key") if keyed and isinstance(item, dict) else None
        if isinstance(key, str) and KEY.fullmatch(key):
            if key in seen:
                problems.append(Problem(f"{place}.key", "duplicate_key", {"key": key}))
            else:
                place = _join(path, key)
            seen.add(key)
        read_item = _read(inner, item, place, problems)
        if read_item is not None and (not keyed or read_item.get("key") is not None):
            clean.append(read_item)
    return clean


def _read_map(inner: Any, value: Any, path: str, problems: list[Problem]) -> dict[str, Any]:
    if not isinstance(value, dict):
        problems.append(Problem(path, "object"))
        return {}
    if len(value) > MOST_ROWS:
        problems.append(Problem(path, "too_many", {"most": str(MOST_ROWS)}))
        return {}
    clean = {}
    for name, item in value.items():
        place = _join(path, _shown(name))
        if isinstance(name, str) and KEY.fullmatch(name):
            clean[name] = _read(inner, item, place, problems)
        else:
            problems.append(Problem(place, "key"))
    return clean


def _read_format(name: str, value: Any, path: str, problems: list[Problem]) -> Any:
    if FORMATS[name](value):
        return value
    problems.append(Problem(path, name))
    return None


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) in (types.UnionType, typing.Union):
        others = [each for each in get_args(kind) if each is not type(None)]
        return others[0], True
    return kind, False


def _blank(kind: Any) -> Any:
    kind, nullable = _without_none(kind)
    if nullable:
        return None
    if typing.is_typeddict(kind):
        return {name: _blank(inner) for name, inner in fields(kind).items() if name in kind.__required_keys__}
    if get_origin(kind) is list:
        return []
    if get_origin(kind) is dict:
        return {}
    return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(name: Any) -> str:
    """A stranger's field name, short and on one line."""
    return re.sub(r"[^\w-]", "?", str(name)[:40]) or "?"


# -- Formats ----------------------------------------------------------------------------------


def is_line(value: Any) -> bool:
    return is_text(value) and len(value) <= LONGEST_LINE and not any(ord(letter) < 32 for letter in value)


def is_text(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return False
    return not any((ord(c) < 32 and c not in "\n\t") or 0xD800 <= ord(c) <= 0xDFFF for c in value)


def is_percent(value: Any) -> bool:
    return _matches(DECIMAL, value) and Decimal(value) <= 100


def is_positive(value: Any) -> bool:
    return _matches(DECIMAL, value) and Decimal(value) > 0


def is_date(value: Any) -> bool:
    if not _matches(DAY, value):
        return False
    try:
        return 1990 <= date.fromisoformat(value).year <= 2200
    except ValueError:
        return False


def is_window(value: Any) -> bool:
    """["09:00", "17:30"]: wall times; the close may be 24:00."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    opens, closes = value
    return _matches(WALL_TIME, opens) and (closes == "24:00" or _matches(WALL_TIME, closes))


def is_zone(value: Any) -> bool:
    return isinstance(value, str) and value in zones()


def is_currency(value: Any) -> bool:
    return isinstance(value, str) and value in currencies()


@functools.cache
def zones() -> frozenset[str]:
    """The IANA zones one may choose: places and UTC, not the abbreviations that hide a clock change."""
    import zoneinfo

    return frozenset(
        name for name in zoneinfo.available_timezones() if name == "UTC" or name.split("/")[0] in REGIONS
    )


REGIONS = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)


@functools.cache
def currencies() -> frozenset[str]:
    """The currencies that are legal tender somewhere today, by ISO 4217 code."""
    from babel.core import get_global

    used = get_global("territory_currencies").values()
    return frozenset(code for rows in used for code, _start, end, tender in rows if tender and end is None)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= 1_000_000


FORMATS: dict[str, Callable[[Any], bool]] = {
    "key": functools.partial(_matches, KEY),
    "line": is_line,
    "text": is_text,
    "percent": is_percent,
    "money": functools.partial(_matches, MONEY),
    "decimal": is_positive,
    "date": is_date,
    "zone": is_zone,
    "currency": is_currency,
    "country": functools.partial(_matches, re.compile("[A-Z]{2}")),
    "window": is_window,
    "count": lambda value: _whole(value, 0),
    "number": lambda value: _whole(value, 1),
}
