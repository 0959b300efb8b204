"""The terms as the schedules A to G of the signed text, in each language of the contract.

The shape is that of `portal.documents.layouts.Schedule`. Every language is written from the same
row, so no figure can differ between two columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from portal.i18n import format_date, format_money, use
from portal.i18n import gettext as _
from portal.sla import commercial_sentences, credit_sentences, duration, service_sentences, words
from portal.sla.terms import Override, Target, Terms


@dataclass
class Table:
    """One table in one language."""

    key: str
    caption: str
    head: list[str]
    rows: list[tuple[str, list[str]]] = field(default_factory=list)


@dataclass
class Schedule:
    """One schedule in one language; sentences are (key, label, text)."""

    key: str
    title: str
    tables: list[Table] = field(default_factory=list)
    sentences: list[tuple[str, str, str]] = field(default_factory=list)

    def say(self, key: str, label: str, lines: Iterable[str]) -> None:
        text = " ".join(lines)
        if text:
            self.sentences.append((key, label, text))

    def show(self, *tables: Table) -> None:
        self.tables += [table for table in tables if table.rows]


def schedules(terms: Terms, languages: Sequence[str]) -> list[dict[str, Any]]:
    """All seven schedules, always: a clause may refer to each of them by its letter."""
    written = {}
    for language in languages:
        with use(language):
            written[language] = [write(terms) for write in SCHEDULES]
    return [_joined(dict(zip(written, parts, strict=True))) for parts in zip(*written.values(), strict=True)]


def _joined(parts: dict[str, Schedule]) -> dict[str, Any]:
    first = next(iter(parts.values()))
    return {
        "key": first.key,
        "title": {language: part.title for language, part in parts.items()},
        "tables": [
            _joined_table({language: part.tables[index] for language, part in parts.items()})
            for index in range(len(first.tables))
        ],
        "sentences": [
            {
                "key": key,
                "label": {language: part.sentences[index][1] for language, part in parts.items()},
                "text": {language: part.sentences[index][2] for language, part in parts.items()},
            }
            for index, (key, _label, _text) in enumerate(first.sentences)
        ],
    }


def _joined_table(parts: dict[str, Table]) -> dict[str, Any]:
    first = next(iter(parts.values()))
    return {
        "key": first.key,
        "caption": {language: part.caption for language, part in parts.items()} if first.caption else None,
        "head": {language: part.head for language, part in parts.items()},
        "rows": [
            {"key": key, "cells": {language: part.rows[index][1] for language, part in parts.items()}}
            for index, (key, _cells) in enumerate(first.rows)
        ],
    }


# -- A: scope ---------------------------------------------------------------------------------


def scope(terms: Terms) -> Schedule:
    parts = terms["scope"]
    made = Schedule("A", _("Schedule A: Scope"))
    made.say("product", _("Product"), [terms["product"]])
    made.say("level", _("Support level"), [words.level(terms["level"])])
    modules = Table("modules", _("Modules"), [_("Module")])
    modules.rows = [(row["key"], [row["name"]]) for row in parts["modules"]]
    made.show(modules)
    for key, caption, rows in (
        ("integrations", _("Integrations"), parts["integrations"]),
        ("third_party", _("Third-party software"), parts["third_party"]),
    ):
        table = Table(key, caption, [_("Name"), _("Answered for by")])
        table.rows = [(row["key"], [row["name"], words.by_side(row["responsible"])]) for row in rows]
        made.show(table)
    exclusions = Table("exclusions", _("Not covered"), [_("Exclusion")])
    exclusions.rows = [(row["key"], [words.capital(words.text(row["text"]))]) for row in parts["exclusions"]]
    made.show(exclusions)
    if not made.sentences and not made.tables:
        made.say("nothing", _("Scope"), [_("Nothing is agreed here.")])
    return made


# -- B: hours ---------------------------------------------------------------------------------


def hours(terms: Terms) -> Schedule:
    made = Schedule("B", _("Schedule B: Hours and calendars"))
    calendars = Table("calendars", "", [_("Calendar"), _("Opening hours"), _("Time zone")])
    for name, calendar in terms["calendars"].items():
        cells = [words.text(calendar["label"]), words.week(calendar), calendar["tz"] or ""]
        calendars.rows.append((name, cells))
    made.show(calendars)
    for name, calendar in terms["calendars"].items():
        caption = _("%(label)s: holidays and other hours", label=words.text(calendar["label"]))
        table = Table(f"overrides-{name}", caption, [_("Date"), _("Occasion"), _("Opening hours")])
        for override in calendar["overrides"]:
            table.rows.append((_dates(override), _override(override)))
        made.show(table)
    made.show(_peaks(terms))
    if not made.tables:
        made.say("nothing", _("Hours"), [_("Nothing is agreed here.")])
    return made


def _dates(override: Override) -> str:
    return override.get("date") or f"{override.get('from', '')}/{override.get('to', '')}"


def _override(override: Override) -> list[str]:
    if "from" in override and "to" in override:
        dates = _("%(first)s to %(last)s", first=words.day(override["from"]), last=words.day(override["to"]))
    else:
        dates = words.day(override["date"]) if "date" in override else _("(to be agreed)")
    return [dates, words.text(override.get("name")), words.windows(override.get("hours", [])) or _("closed")]


def _peaks(terms: Terms) -> Table:
    head = [_("Period"), _("First day"), _("Last day"), _("Factor for minutes"), _("Weight of downtime")]
    table = Table("peaks", _("Peak periods"), head)
    for peak in terms["peaks"]:
        factor, weight = peak["target_factor"], peak["downtime_weight"]
        dates = [words.day(peak["from"]), words.day(peak["to"])]
        figures = [words.number(figure) if figure else "–" for figure in (factor, weight)]
        table.rows.append((peak["key"], [words.text(peak["label"]), *dates, *figures]))
    return table


# -- C: severities ----------------------------------------------------------------------------


def severities(terms: Terms) -> Schedule:
    made = Schedule("C", _("Schedule C: Severities and targets"))
    head = [_("Severity"), _("Meaning"), _("Response"), _("Resolution"), _("News")]
    table = Table("severities", "", head)
    for row in terms["severities"]:
        name = f"{row['key']} {words.text(row['label'])}".strip()
        update = words.every(row["update"], terms) if row["update"] else "–"
        targets = [_target(terms, row["response"]), _target(terms, row["resolution"]), update]
        table.rows.append((row["key"], [name, words.text(row["description"]), *targets]))
    made.show(table)
    made.say("clocks", _("Clocks and pauses"), service_sentences.clocks(terms))
    if not made.tables:
        made.say("nothing", _("Severities"), [_("No response times are promised.")])
    return made


def _target(terms: Terms, target: Target | None) -> str:
    return words.counted(target, terms) if target else "–"


# -- D: uptime and credits --------------------------------------------------------------------


def credits(terms: Terms) -> Schedule:
    made = Schedule("D", _("Schedule D: Uptime and service credits"))
    made.say("uptime", _("Uptime"), credit_sentences.uptime(terms))
    made.say("credits", _("Service credits"), credit_sentences.beside_tables(terms))
    tiers = Table("tiers", _("Credits by uptime"), [_("Uptime below"), _("Credit, share of the fee")])
    for tier in terms["uptime"]["tiers"] if terms["uptime"] else []:
        tiers.rows.append((tier["key"], [words.percent(tier["below"]), words.percent(tier["credit_pct"])]))
    head = [_("Severity"), _("Response"), _("Resolution"), _("News")]
    breaches = Table("breaches", _("Credits for each missed target"), head)
    for row in terms["credits"]["breaches"]:
        given = (row["response"], row["resolution"], row["update"])
        breaches.rows.append(
            (row["key"], [row["key"], *(words.percent(each) if each else "–" for each in given)])
        )
    made.show(tiers, breaches)
    return made


# -- E: maintenance and releases --------------------------------------------------------------


def changes(terms: Terms) -> Schedule:
    made = Schedule("E", _("Schedule E: Maintenance and releases"))
    rules = terms["release"]
    made.say("maintenance", _("Maintenance"), service_sentences.maintenance(terms))
    made.say("release", _("Changes and releases"), service_sentences.releases(terms))
    made.say("approval", _("Approval"), _approval(terms))
    if rules["rollback"] is not None:
        made.say("rollback", _("Ground for rolling back"), [words.text(rules["rollback"]["criterion"])])
    freezes = Table("freezes", _("Periods without releases"), [_("Period"), _("First day"), _("Last day")])
    for freeze in rules["freezes"]:
        dates = [words.day(freeze["from"]), words.day(freeze["to"])]
        freezes.rows.append((freeze["key"], [words.text(freeze["label"]), *dates]))
    duties = Table("testing", _("Tests"), [_("When"), _("Done by"), _("What")])
    stages = {"before": _("before the release"), "after": _("after the release")}
    for duty in rules["testing"]:
        cells = [stages[duty["stage"]], words.by_side(duty["by"]), words.text(duty["text"])]
        cells = [words.capital(cell) for cell in cells]
        duties.rows.append((duty["key"], cells))
    made.show(freezes, duties)
    if not made.sentences:
        made.say("nothing", _("Changes and releases"), [_("Nothing is agreed here.")])
    return made


def _approval(terms: Terms) -> list[str]:
    if terms["release"]["windows"] is None:
        return []
    return [_("A release is approved by: %(side)s.", side=words.side(terms["release"]["approved_by"]))]


# -- F: escalation ----------------------------------------------------------------------------


def escalation(terms: Terms) -> Schedule:
    made = Schedule("F", _("Schedule F: Escalation and executive review"))
    table = Table("steps", "", [_("When"), _("Who"), _("Party"), _("Contact"), _("Answers within")])
    for step in terms["escalation"]:
        who, contact = words.text(step["role"]), step["contact"] or "–"
        answer = _target(terms, step["response"])
        cells = [service_sentences.when(step), who, words.side(step["side"]), contact, answer]
        table.rows.append((step["key"], cells))
    made.show(table)
    made.say("executive_review", _("Executive review"), service_sentences.review(terms))
    if not made.tables and not made.sentences:
        made.say("nothing", _("Escalation"), [_("Nothing is agreed here.")])
    return made


# -- G: fees and duration ---------------------------------------------------------------------


def fees(terms: Terms) -> Schedule:
    made = Schedule("G", _("Schedule G: Fees and duration"))
    commercial = terms["commercial"]
    table = Table("fees", "", [_("Item"), _("Amount")])
    if commercial["fee"] is not None:
        amount = format_money(Decimal(commercial["fee"]), commercial["currency"] or "")
        period = words.per_period(commercial["fee_period"])
        table.rows.append(("fee", [_("Support fee"), f"{amount} {period}"]))
    peak = commercial["peak_level"]
    if peak is not None:
        item = _(
            "Level %(level)s from %(first)s to %(last)s",
            level=words.level(peak["level"]),
            first=words.day(peak["from"]),
            last=words.day(peak["to"]),
        )
        table.rows.append(
            ("peak_level", [item, format_money(Decimal(peak["price"]), commercial["currency"] or "")])
        )
    made.show(table)
    made.say("indexation", _("Indexation"), commercial_sentences.indexation(terms))
    made.say("duration", _("Duration and notice"), commercial_sentences.duration(terms))
    last = duration.last_day(terms)
    if last:
        made.say("end", _("Last day"), [format_date(last, long=True)])
    made.say("liability", _("Liability"), commercial_sentences.liability(terms))
    made.say("law", _("Law and data"), commercial_sentences.law(terms))
    return made


SCHEDULES: tuple[Callable[[Terms], Schedule], ...] = (
    scope,
    hours,
    severities,
    credits,
    changes,
    escalation,
    fees,
)
