"""Filling the form of a section from the terms, and reading it back, field by declared field."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from portal.i18n import format_number
from portal.i18n import gettext as _
from portal.pages.forms import Form, parse_date
from portal.pages.section_fields import SECTIONS, Field, Group, Rows
from portal.services import drafts
from portal.sla.shape import KEY, is_currency, is_zone
from portal.sla.terms import WEEKDAYS

ROWS = "rows:"
MOST_ROWS = 100
MINUTES = {"minutes": 1, "hours": 60}
RELEASES = ("next", "future", "monthly")
CLOSED = {"closed", "fermé", "ferme", "-", "–"}
TIME = r"([01]?[0-9]|2[0-4])[:h.]([0-5][0-9])"
WINDOW = re.compile(rf"\s*{TIME}\s*(?:-|–|—|to|à)\s*{TIME}\s*")


# -- Filling --------------------------------------------------------------------------------------


def defaults(section: str, terms: dict[str, Any], languages: Sequence[str]) -> dict[str, str]:
    """What the section's form holds when it is opened, by field name."""
    found: dict[str, str] = {f"seen:{section}": drafts.mark(drafts.section_of(terms, section))}
    for item in SECTIONS[section]:
        found.update(fill(item, item.name, drafts.value_at(terms, item.name), languages))
    return found


def fill(item: Any, name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    if isinstance(item, Field):
        yield from FILLERS.get(item.kind, fill_plain)(name, value, languages)
    elif isinstance(item, Group):
        if item.blank is not None:
            yield f"{name}.on", "yes" if value is not None else ""
        inside = value if value is not None else item.blank() if item.blank else {}
        for each in item.items:
            yield from fill(each, f"{name}.{each.name}", (inside or {}).get(each.name), languages)
    else:
        rows = value.items() if item.mapped else ((row["key"], row) for row in value)
        keys = []
        for key, row in rows:
            keys.append(key)
            yield from fill_row(item, name, key, row, languages)
        yield ROWS + name, " ".join(keys)


def fill_row(
    item: Rows, name: str, key: str, row: dict[str, Any], languages: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for each in item.items:
        yield from fill(each, f"{name}.{key}.{each.name}", row.get(each.name), languages)


def fill_plain(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield name, "" if value is None else str(value)


def fill_number(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield name, "" if value is None else format_number(Decimal(str(value)))


def fill_flag(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield name, "yes" if value else ""


def fill_text(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    for language in languages:
        yield f"{name}.{language}", (value or {}).get(language, "")


def fill_several(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    for each in value or ():
        yield f"{name}.{each}", "yes"


def fill_target(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    target = value or {}
    amount, unit = "", ""
    if "min" in target:
        unit = "hours" if target["min"] % 60 == 0 else "minutes"
        amount = str(target["min"] // MINUTES[unit])
    for each in ("service_days", "calendar_days", "months"):
        if each in target:
            amount, unit = str(target[each]), each
    if "release" in target:
        unit = target["release"]
    yield name, amount
    yield f"{name}.unit", unit
    yield f"{name}.calendar", target.get("calendar", "")


def fill_after(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    after = value or {}
    kind, amount = "", ""
    if "request" in after:
        kind = f"request-{after['request']}"
    elif "pct" in after:
        kind, amount = f"{after['clock']}-pct", str(after["pct"])
    elif "overrun_min" in after:
        kind, amount = f"{after['clock']}-over", str(after["overrun_min"])
    yield name, amount
    yield f"{name}.kind", kind


def fill_cap(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    cap = value or {}
    kind = next((each for each in ("fee_months", "amount") if each in cap), "none")
    yield f"{name}.kind", kind
    yield name, format_number(Decimal(str(cap[kind]))) if kind in cap else ""


def fill_week(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    for day in WEEKDAYS:
        yield f"{name}.{day}", windows_text((value or {}).get(day, ()))


def fill_overrides(name: str, value: Any, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield name, "\n".join(override_line(each, languages) for each in value or ())


FILLERS: dict[str, Callable[[str, Any, Sequence[str]], Iterator[tuple[str, str]]]] = {
    "percent": fill_number,
    "decimal": fill_number,
    "money": fill_number,
    "flag": fill_flag,
    "text": fill_text,
    "several": fill_several,
    "severities": fill_several,
    "target": fill_target,
    "after": fill_after,
    "cap": fill_cap,
    "week": fill_week,
    "overrides": fill_overrides,
}


def windows_text(windows: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"{opens}-{closes}" for opens, closes in windows)


def override_line(override: dict[str, Any], languages: Sequence[str]) -> str:
    days = override["date"] if "date" in override else f"{override['from']} to {override['to']}"
    name = " / ".join(filter(None, (override.get("name", {}).get(each, "") for each in languages)))
    hours = windows_text(override.get("hours", ())) or "closed"
    return " | ".join(filter(None, (days, hours, name)))


# -- Rows -----------------------------------------------------------------------------------------


def rows_item(section: str, path: str) -> Rows | None:
    """The list of rows at this path of the section; None where there is none."""

    def search(items: Sequence[Any], before: str) -> Rows | None:
        for item in items:
            name = f"{before}.{item.name}" if before else item.name
            if isinstance(item, Rows) and name == path:
                return item
            found = search(item.items, name) if isinstance(item, Group) else None
            if found is not None:
                return found
        return None

    return search(SECTIONS.get(section, ()), "")


def row_keys(form: Form, name: str) -> list[str]:
    """The keys of the rows a form holds, in order, without what nobody here has written."""
    keys = str(form.value(ROWS + name)).split()
    return [key for key in dict.fromkeys(keys) if KEY.fullmatch(key)][:MOST_ROWS]


def add_row(form: Form, item: Rows, name: str, languages: Sequence[str], taken: Sequence[str] = ()) -> str:
    """One more row in the form, unsaved; gives its key. `taken` are keys offered first (severities)."""
    keys = row_keys(form, name)
    wanted = [key for key in taken if key not in keys]
    separator = "" if item.noun.isupper() else "-"
    numbered = (f"{item.noun}{separator}{n}" for n in range(1, MOST_ROWS + 2))
    key = wanted[0] if wanted else next(each for each in numbered if each not in keys)
    form.values[ROWS + name] = " ".join([*keys, key])
    form.values.update(fill_row(item, name, key, item.blank(key), languages))
    return key


def remove_row(form: Form, name: str, key: str) -> None:
    form.values[ROWS + name] = " ".join(each for each in row_keys(form, name) if each != key)


# -- Reading --------------------------------------------------------------------------------------


def read_section(section: str, form: Form, terms: dict[str, Any], languages: Sequence[str]) -> dict[str, Any]:
    """The section's values by path, as far as they were typed well; the form notes what was not."""
    values = {}
    for item in SECTIONS[section]:
        before = copy.deepcopy(drafts.value_at(terms, item.name))
        values[item.name] = read(item, form, item.name, before, languages)
    return values


def read(item: Any, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    if isinstance(item, Field):
        return READERS[item.kind](item, form, name, before, languages)
    if isinstance(item, Rows):
        return read_rows(item, form, name, before, languages)
    if item.blank is not None and not form.value(f"{name}.on"):
        return None
    inside = before if before is not None else item.blank() if item.blank else {}
    return read_items(item.items, form, name, inside, languages)


def read_items(
    items: Sequence[Any], form: Form, name: str, before: dict[str, Any], languages: Sequence[str]
) -> dict[str, Any]:
    made = dict(before)
    for each in items:
        made[each.name] = read(each, form, f"{name}.{each.name}", before.get(each.name), languages)
    return made


def read_rows(item: Rows, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    known = before if item.mapped else {row["key"]: row for row in before}
    made = {}
    for key in row_keys(form, name):
        row = read_items(item.items, form, f"{name}.{key}", known.get(key) or item.blank(key), languages)
        if item.noun == "right":  # a right has only the fields that say something
            row = {field: value for field, value in row.items() if value is not None}
        made[key] = row
    return made if item.mapped else list(made.values())


def read_line(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    typed = form.text(name, most=300).replace("\n", " ").replace("\t", " ")
    return typed or (None if item.optional else "")


def read_key(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    typed = form.text(name, most=60).strip().lower()
    if typed and not KEY.fullmatch(typed):
        form.refuse(name, _("Use letters, digits, - and _ only."))
        return before
    return typed or None


def read_text(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    made = dict(before or {})
    for language in languages:
        typed = form.text(f"{name}.{language}", most=5000)
        if typed:
            made[language] = typed
        else:
            made.pop(language, None)
    return made


def read_flag(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    return bool(form.value(name))


def read_choice(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    return form.choice(name, (value for value, _label in item.options)) or before


def read_calendar(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    typed = str(form.value(name))
    if typed and not KEY.fullmatch(typed):
        form.refuse(name, _("Choose one of the calendars."))
        return before
    return typed or None


def read_several(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    return [value for value, _label in item.options if form.value(f"{name}.{value}")]


def read_severities(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    ticked = [
        field[len(name) + 1 :] for field in form.values if field.startswith(f"{name}.") and form.value(field)
    ]
    return [key for key in ticked if KEY.fullmatch(key)]


def read_whole(least: int) -> Callable[..., Any]:
    def reader(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
        return form.integer(name, least=least, required=not item.optional)

    return reader


def read_figure(most: str, places: int, least: str = "0") -> Callable[..., Any]:
    def reader(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
        number = form.decimal(name, least=least, most=most, places=places, required=False)
        if number is None:
            return None
        return before if is_same(before, number) else f"{number:f}"

    return reader


def is_same(before: Any, number: Decimal) -> bool:
    """Whether a stored figure is this number, however it was written."""
    try:
        return isinstance(before, str) and Decimal(before) == number
    except InvalidOperation:
        return False


def read_money(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    number = form.decimal(name, places=4)
    if number is None:
        return None
    return before if is_same(before, number) else f"{number:.2f}"


def read_date(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    day = form.date(name)
    return day.isoformat() if day else None


def read_zone(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    typed = form.text(name, most=60)
    if typed and not is_zone(typed):
        form.refuse(name, _("This time zone is not known; choose one such as Europe/Paris."))
        return before
    return typed or None


def read_currency(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    typed = form.text(name, most=10).upper()
    if typed and not is_currency(typed):
        form.refuse(name, _("This currency is not known; choose one such as EUR."))
        return before
    return typed or None


def read_target(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    unit, calendar = str(form.value(f"{name}.unit")), str(form.value(f"{name}.calendar"))
    if unit in RELEASES:
        return {"release": unit}
    amount = form.integer(name, least=1, most=500_000)
    if amount is None:
        if unit and name not in form.errors:
            form.refuse(name, _("Write how many, or choose that nothing is promised."))
        return None
    if unit in ("calendar_days", "months"):
        return {unit: amount}
    if unit not in (*MINUTES, "service_days"):
        form.refuse(name, _("Choose what this counts: minutes, hours or days."))
        return before
    target = {"service_days": amount} if unit == "service_days" else {"min": amount * MINUTES[unit]}
    return target | ({"calendar": calendar} if KEY.fullmatch(calendar) else {})


def read_after(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    kind, _dash, measure = str(form.value(f"{name}.kind")).partition("-")
    if kind == "request" and measure in ("normal", "urgent"):
        return {"request": measure}
    if kind not in ("response", "resolution") or measure not in ("pct", "over"):
        form.refuse(name, _("Say when this step is taken."))
        return before
    amount = form.integer(name, least=1, most=100 if measure == "pct" else 500_000, required=True)
    if amount is None:
        return before
    return {"clock": kind, "pct" if measure == "pct" else "overrun_min": amount}


def read_cap(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    kind = str(form.value(f"{name}.kind"))
    if kind == "fee_months":
        months = form.integer(name, least=1, most=1200, required=True)
        return {"fee_months": months} if months else before
    if kind == "amount":
        number = form.decimal(name, required=True)
        return {"amount": f"{number:.2f}"} if number is not None else before
    if kind != "none":
        form.refuse(name, _("Choose one of the answers offered."))
    return None


def read_week(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    made = {}
    for day in WEEKDAYS:
        typed = str(form.value(f"{name}.{day}")).strip()
        windows = read_windows(typed)
        if windows is None:
            form.refuse(f"{name}.{day}", _("Write hours such as 09:00-12:30, 13:30-18:00."))
        elif windows:
            made[day] = windows
    return made


def read_windows(typed: str) -> list[list[str]] | None:
    """`09:00-12:30, 13:30-18:00` as windows; empty for closed; None for what cannot be read."""
    if not typed or typed.lower() in CLOSED:
        return []
    found = []
    for part in re.split(r"[,;]", typed):
        match = WINDOW.fullmatch(part)
        if match is None:
            return None
        opens, closes = f"{int(match[1]):02}:{match[2]}", f"{int(match[3]):02}:{match[4]}"
        if opens.startswith("24") or (closes.startswith("24") and closes != "24:00"):
            return None
        found.append([opens, closes])
    return found


def read_overrides(item: Field, form: Form, name: str, before: Any, languages: Sequence[str]) -> Any:
    known = {override_line(each, languages): each for each in before or ()}
    made = []
    lines = [line.strip() for line in str(form.value(name)).splitlines() if line.strip()]
    for number, line in enumerate(lines[:400], start=1):
        override = known.get(line) or read_override(line, languages)
        if override is None:
            form.refuse(
                name,
                _(
                    "Line %(number)s cannot be read. Write a date, hours and a name, with | between them.",
                    number=number,
                ),
            )
            return before
        made.append(override)
    return made


def read_override(line: str, languages: Sequence[str]) -> dict[str, Any] | None:
    parts = [part.strip() for part in line.split("|")]
    days = [parse_date(day.strip()) for day in re.split(r"\s+(?:to|au|à)\s+", parts[0])]
    hours = read_windows(parts[1]) if len(parts) > 1 else []
    if hours is None or not 1 <= len(days) <= 2 or not all(isinstance(day, date) for day in days):
        return None
    written = [day.isoformat() for day in days if day]
    made: dict[str, Any] = {"hours": hours}
    made |= {"date": written[0]} if len(written) == 1 else {"from": written[0], "to": written[1]}
    if len(parts) > 2 and parts[2]:
        names = [name.strip() for name in parts[2].split(" / ")]
        names += [names[0]] * (len(languages) - len(names))
        made["name"] = dict(zip(languages, names, strict=False))
    return made


READERS: dict[str, Callable[..., Any]] = {
    "line": read_line,
    "key": read_key,
    "text": read_text,
    "flag": read_flag,
    "choice": read_choice,
    "calendar": read_calendar,
    "several": read_several,
    "severities": read_severities,
    "count": read_whole(0),
    "number": read_whole(1),
    "percent": read_figure("100", 6),
    "decimal": read_figure("999999999", 6, "0.000001"),
    "money": read_money,
    "date": read_date,
    "zone": read_zone,
    "currency": read_currency,
    "target": read_target,
    "after": read_after,
    "cap": read_cap,
    "week": read_week,
    "overrides": read_overrides,
}


def place_faults(form: Form, section: str, faults: Sequence[Any]) -> None:
    """Put each fault of the terms beside the field it is about, or the nearest one drawn."""
    names = [name for name in form.values if not name.startswith((ROWS, "seen:"))]
    for fault in faults:
        form.refuse(nearest(fault.path.replace("[", ".").replace("]", ""), names), fault.message)


def nearest(path: str, names: Sequence[str]) -> str:
    if path in names:
        return path
    while path:
        inside = next((name for name in names if name.startswith(f"{path}.")), None)
        if inside is not None:
            return inside
        path = path.rpartition(".")[0]
        if path in names:
            return path
    return ""
