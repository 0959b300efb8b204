"""The fields of each section of the terms, declared once: the form, its reading and its filling follow.

A field is named by its path in the terms ("uptime.target_pct", "severities.S1.response"), the very
path by which the validator speaks of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portal.i18n import lazy
from portal.sla import terms

Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Field:
    """One control. `kind` says how it is read: `section_forms.READERS` lists them."""

    name: str
    label: Any
    kind: str = "line"
    options: Options = ()
    hint: Any = None
    unit: Any = None
    optional: bool = False  # empty means none


@dataclass(frozen=True)
class Group:
    """Fields that belong together; with `blank` the whole group may be switched off (null)."""

    name: str
    label: Any
    items: tuple[Any, ...]
    blank: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Rows:
    """A list of rows with a `key` each, or with `mapped` an object by key."""

    name: str
    label: Any
    noun: str  # of the keys of new rows: "tier-4"
    add: Any
    items: tuple[Any, ...]
    blank: Callable[[str], dict[str, Any]]
    mapped: bool = False
    keeps_key: bool = True  # the key stands before the label, as S1


SIDES: Options = (("supplier", lazy("the supplier")), ("customer", lazy("the customer")))
BOTH: Options = (*SIDES, ("both", lazy("both together")))
CLOCKS: Options = (("response", lazy("Answer")), ("resolution", lazy("Fix")))
PROMISES: Options = (*CLOCKS, ("update", lazy("News")))


def text(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "text": {}, **more}


def severity(key: str) -> dict[str, Any]:
    return {"key": key, "label": {}, "description": {}, "response": None, "resolution": None, "update": None}


def peak(key: str) -> dict[str, Any]:
    return {"key": key, "label": {}, "from": None, "to": None, "target_factor": None, "downtime_weight": None}


def step(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "after": {"clock": "resolution", "pct": 100},
        "severities": [],
        "side": "supplier",
        "role": {},
        "contact": None,
        "response": None,
        "urgent": False,
    }


DEPENDENCY = (
    Field("name", lazy("Name")),
    Field(
        "responsible",
        lazy("Answered for by"),
        "choice",
        (*SIDES, ("vendor", lazy("its own vendor"))),
    ),
)

SECTIONS: dict[str, tuple[Any, ...]] = {
    "calendars": (
        Field("tz", lazy("Time zone of the contract"), "zone", hint=lazy("Such as Europe/Paris")),
        Rows(
            "calendars",
            lazy("Calendars"),
            "hours",
            lazy("Add a calendar"),
            (
                Field("label", lazy("Name"), "text"),
                Field("tz", lazy("Time zone"), "zone"),
                Field("always", lazy("Open day and night, every day"), "flag"),
                Field(
                    "weekly",
                    lazy("Hours of the week"),
                    "week",
                    hint=lazy("Such as 09:00-12:30, 13:30-18:00. Leave a closed day empty."),
                ),
                Field(
                    "overrides",
                    lazy("Holidays and other hours"),
                    "overrides",
                    hint=lazy(
                        "One line each, such as 2027-12-25 | closed | Christmas Day"
                        " or 2027-11-20 to 2027-12-31 | 06:00-24:00 | Peak."
                    ),
                ),
            ),
            lambda key: dict(terms.calendar({}, "Europe/London")),
            mapped=True,
            keeps_key=False,
        ),
    ),
    "severities": (
        Rows(
            "severities",
            lazy("Severities"),
            "S",
            lazy("Add a severity"),
            (
                Field("label", lazy("Name"), "text"),
                Field("description", lazy("Meaning"), "text"),
                Field("response", lazy("Answered within"), "target"),
                Field("resolution", lazy("Fixed within"), "target"),
                Field("update", lazy("News every"), "target"),
            ),
            severity,
        ),
    ),
    "clocks": (
        Group(
            "clocks",
            lazy("Clocks"),
            (
                Field(
                    "starts",
                    lazy("Clocks start"),
                    "choice",
                    (
                        ("report", lazy("when the incident is reported")),
                        ("acknowledgement", lazy("when the supplier acknowledges it")),
                    ),
                ),
                Field("automatic_reply_counts", lazy("An automatic reply counts as an answer"), "flag"),
                Rows(
                    "pause_reasons",
                    lazy("Reasons for which the fix clock pauses"),
                    "pause",
                    lazy("Add a reason"),
                    (Field("label", lazy("Reason"), "text"),),
                    lambda key: {"key": key, "label": {}},
                    keeps_key=False,
                ),
                Field(
                    "reopen_days",
                    lazy("Reopened within"),
                    "count",
                    unit=lazy("days of the fix"),
                    optional=True,
                ),
            ),
        ),
        Group(
            "severity_rules",
            lazy("Severity"),
            (
                Field("decided_by", lazy("Severity is decided by"), "choice", BOTH),
                Field(
                    "meanwhile",
                    lazy("Until they agree"),
                    "choice",
                    (
                        ("higher", lazy("the higher severity counts")),
                        ("current", lazy("the present severity counts")),
                    ),
                ),
            ),
        ),
    ),
    "peaks": (
        Rows(
            "peaks",
            lazy("Peak periods"),
            "peak",
            lazy("Add a period"),
            (
                Field("label", lazy("Name"), "text"),
                Field("from", lazy("First day"), "date"),
                Field("to", lazy("Last day"), "date"),
                Field("target_factor", lazy("Times are multiplied by"), "decimal", optional=True),
                Field("downtime_weight", lazy("Downtime counts times"), "decimal", optional=True),
            ),
            peak,
            keeps_key=False,
        ),
    ),
    "uptime": (
        Group(
            "uptime",
            lazy("Uptime is promised"),
            (
                Field("target_pct", lazy("At least"), "percent", unit="%"),
                Field(
                    "period",
                    lazy("Measured over each"),
                    "choice",
                    (("month", lazy("month")), ("quarter", lazy("quarter")), ("year", lazy("year"))),
                ),
                Field("measured", lazy("During"), "calendar"),
                Field(
                    "denominator",
                    lazy("Compared with"),
                    "choice",
                    (
                        ("available", lazy("all measured time without planned maintenance")),
                        ("total", lazy("all measured time")),
                    ),
                ),
                Field("min_outage_s", lazy("Outages count from"), "count", unit=lazy("seconds")),
                Field(
                    "unknown_policy",
                    lazy("Time without measurements"),
                    "choice",
                    (("exclude", lazy("is left out")), ("down", lazy("counts as downtime"))),
                ),
                Field("max_unknown_pct", lazy("Left out up to"), "percent", unit="%", optional=True),
                Rows(
                    "tiers",
                    lazy("Credits by uptime"),
                    "tier",
                    lazy("Add a row"),
                    (
                        Field("below", lazy("Uptime below"), "percent", unit="%"),
                        Field("credit_pct", lazy("Credit"), "percent", unit=lazy("% of the fee")),
                    ),
                    lambda key: {"key": key, "below": None, "credit_pct": None},
                    keeps_key=False,
                ),
                Rows(
                    "termination",
                    lazy("Rights to terminate"),
                    "right",
                    lazy("Add a right"),
                    (
                        Field("missed", lazy("Months missed"), "number", optional=True),
                        Field("of_months", lazy("Out of months"), "number", optional=True),
                        Field("below", lazy("Or one month below"), "percent", unit="%", optional=True),
                        Field(
                            "notified_days", lazy("Claimed within"), "count", unit=lazy("days"), optional=True
                        ),
                    ),
                    lambda key: {"key": key},
                    keeps_key=False,
                ),
            ),
            blank=lambda: dict(terms.no_uptime()),
        ),
    ),
    "credits": (
        Group(
            "credits",
            lazy("Service credits"),
            (
                Rows(
                    "breaches",
                    lazy("Credits for each missed time, in % of the fee"),
                    "S",
                    lazy("Add a severity"),
                    (
                        Field("response", lazy("Answer"), "percent", unit="%", optional=True),
                        Field("resolution", lazy("Fix"), "percent", unit="%", optional=True),
                        Field("update", lazy("News"), "percent", unit="%", optional=True),
                    ),
                    lambda key: {"key": key, "response": None, "resolution": None, "update": None},
                ),
                Field("peak_multiplier", lazy("In a peak period, times"), "decimal", optional=True),
                Group(
                    "caps",
                    lazy("At most"),
                    (
                        Field(
                            "period_pct",
                            lazy("A period"),
                            "percent",
                            unit=lazy("% of its fee"),
                            optional=True,
                        ),
                        Field(
                            "year_pct", lazy("A year"), "percent", unit=lazy("% of its fees"), optional=True
                        ),
                        Field("year_amount", lazy("Or, a year"), "money", optional=True),
                        Field(
                            "term_pct", lazy("In all"), "percent", unit=lazy("% of all fees"), optional=True
                        ),
                    ),
                ),
                Field("prorate", lazy("A part of a period counts by its days"), "flag"),
                Group(
                    "proportional",
                    lazy("The fee of the time lost is credited"),
                    (Field("multiple", lazy("Times"), "decimal"),),
                    blank=lambda: {"multiple": "1"},
                ),
                Group(
                    "per_day",
                    lazy("A day with an outage is credited by the hour"),
                    (
                        Field("over_min", lazy("Outages longer than"), "count", unit=lazy("minutes")),
                        Field("hourly_multiple", lazy("Times the hourly fee"), "decimal"),
                    ),
                    blank=lambda: {"over_min": 0, "hourly_multiple": "1"},
                ),
                Group(
                    "extension",
                    lazy("Free days are added to the contract"),
                    (
                        Field("per_min", lazy("For each"), "number", unit=lazy("minutes late")),
                        Field("days", lazy("Add"), "number", unit=lazy("days")),
                        Field("clocks", lazy("For missed"), "several", PROMISES),
                    ),
                    blank=lambda: {"per_min": 60, "days": 1, "clocks": ["resolution"]},
                ),
                Field(
                    "claim",
                    lazy("Credits are given"),
                    "choice",
                    (("automatic", lazy("without being asked for")), ("request", lazy("on request"))),
                ),
                Field(
                    "claim_window_days", lazy("Asked for within"), "number", unit=lazy("days"), optional=True
                ),
                Field(
                    "settled_by",
                    lazy("Settled"),
                    "choice",
                    (("next_invoice", lazy("with the next invoice")), ("refund", lazy("by repayment"))),
                ),
                Field("sole_remedy", lazy("Credits are the sole remedy"), "flag"),
            ),
        ),
    ),
    "maintenance": (
        Group(
            "maintenance",
            lazy("Maintenance"),
            (
                Field("min_notice_h", lazy("Announced ahead by"), "count", unit=lazy("hours")),
                Field(
                    "cap_h_per_period",
                    lazy("At most, each period"),
                    "decimal",
                    unit=lazy("hours"),
                    optional=True,
                ),
                Field("allowed", lazy("Only during"), "calendar", optional=True),
                Field("pauses", lazy("Clocks that stop meanwhile"), "several", CLOCKS),
                Group(
                    "emergency",
                    lazy("Emergencies"),
                    (
                        Field("counts_as_maintenance", lazy("Emergency work counts as maintenance"), "flag"),
                        Field(
                            "min_notice_h",
                            lazy("Announced ahead by"),
                            "count",
                            unit=lazy("hours"),
                            optional=True,
                        ),
                    ),
                ),
            ),
        ),
    ),
    "release": (
        Group(
            "release",
            lazy("Changes and releases"),
            (
                Field("windows", lazy("Only during"), "calendar", optional=True),
                Group(
                    "notice_h",
                    lazy("Announced ahead by, in hours"),
                    (
                        Field("standard", lazy("Standard"), "count"),
                        Field("major", lazy("Major"), "count"),
                        Field("emergency", lazy("Emergency"), "count"),
                    ),
                ),
                Rows(
                    "freezes",
                    lazy("Periods without releases"),
                    "freeze",
                    lazy("Add a period"),
                    (
                        Field("label", lazy("Name"), "text"),
                        Field("from", lazy("First day"), "date"),
                        Field("to", lazy("Last day"), "date"),
                    ),
                    lambda key: {"key": key, "label": {}, "from": None, "to": None},
                    keeps_key=False,
                ),
                Rows(
                    "testing",
                    lazy("Tests"),
                    "test",
                    lazy("Add a test"),
                    (
                        Field(
                            "stage",
                            lazy("When"),
                            "choice",
                            (("before", lazy("before the release")), ("after", lazy("after the release"))),
                        ),
                        Field("by", lazy("By"), "choice", SIDES),
                        Field("text", lazy("What"), "text"),
                    ),
                    lambda key: {"key": key, "stage": "before", "by": "supplier", "text": {}},
                    keeps_key=False,
                ),
                Field("acceptance_h", lazy("Accepted within"), "number", unit=lazy("hours"), optional=True),
                Field("approved_by", lazy("Approved by"), "choice", BOTH),
                Group(
                    "rollback",
                    lazy("A failed release is rolled back"),
                    (
                        Field("criterion", lazy("When"), "text"),
                        Field("deadline_min", lazy("Within"), "number", unit=lazy("minutes")),
                    ),
                    blank=lambda: {"criterion": {}, "deadline_min": 60},
                ),
            ),
        ),
    ),
    "scope": (
        Field("product", lazy("Product")),
        Field("level", lazy("Support level"), "key", optional=True),
        Group(
            "scope",
            lazy("Scope"),
            (
                Rows(
                    "modules",
                    lazy("Modules"),
                    "module",
                    lazy("Add a module"),
                    (Field("name", lazy("Name")),),
                    lambda key: {"key": key, "name": ""},
                    keeps_key=False,
                ),
                Rows(
                    "integrations",
                    lazy("Integrations"),
                    "integration",
                    lazy("Add an integration"),
                    DEPENDENCY,
                    lambda key: {"key": key, "name": "", "responsible": "supplier"},
                    keeps_key=False,
                ),
                Rows(
                    "third_party",
                    lazy("Third-party software"),
                    "software",
                    lazy("Add software"),
                    DEPENDENCY,
                    lambda key: {"key": key, "name": "", "responsible": "vendor"},
                    keeps_key=False,
                ),
                Rows(
                    "exclusions",
                    lazy("Not covered"),
                    "exclusion",
                    lazy("Add an exclusion"),
                    (Field("text", lazy("What"), "text"),),
                    text,
                    keeps_key=False,
                ),
            ),
        ),
    ),
    "escalation": (
        Rows(
            "escalation",
            lazy("Escalation steps"),
            "step",
            lazy("Add a step"),
            (
                Field("after", lazy("When"), "after"),
                Field(
                    "severities", lazy("For severities"), "severities", hint=lazy("None ticked means all.")
                ),
                Field("side", lazy("Side"), "choice", SIDES),
                Field("role", lazy("Who is told"), "text"),
                Field("contact", lazy("How to reach them"), "line", optional=True),
                Field("response", lazy("Answers within"), "target"),
                Field("urgent", lazy("At any hour, day and night"), "flag"),
            ),
            step,
            keeps_key=False,
        ),
        Group(
            "executive_review",
            lazy("Executive review"),
            (
                Field("breach_of", lazy("After a missed time of"), "severities"),
                Group(
                    "breaches",
                    lazy("After several missed times"),
                    (
                        Field("count", lazy("Missed times"), "number"),
                        Field("days", lazy("Within"), "number", unit=lazy("days")),
                    ),
                    blank=lambda: {"count": 3, "days": 30},
                ),
                Group(
                    "uptime_missed",
                    lazy("After uptime was missed repeatedly"),
                    (
                        Field("count", lazy("Months missed"), "number"),
                        Field("months", lazy("Out of months"), "number"),
                    ),
                    blank=lambda: {"count": 2, "months": 3},
                ),
                Field(
                    "budget_over_pct",
                    lazy("After allowed downtime is used by"),
                    "number",
                    unit="%",
                    optional=True,
                ),
                Field("disputed_credit", lazy("After a credit is disputed"), "flag"),
                Field("due", lazy("Held within"), "target"),
            ),
        ),
    ),
    "money": (
        Field("commercial.fee", lazy("Fee"), "money"),
        Field(
            "commercial.fee_period",
            lazy("For each"),
            "choice",
            (("month", lazy("month")), ("quarter", lazy("quarter")), ("year", lazy("year"))),
        ),
        Field("commercial.currency", lazy("Currency"), "currency"),
        Field("commercial.index", lazy("Price index"), "line", optional=True),
        Field("commercial.uplift_pct", lazy("Yearly rise"), "percent", unit="%", optional=True),
        Group(
            "commercial.peak_level",
            lazy("A higher level for a peak period"),
            (
                Field("from", lazy("First day"), "date"),
                Field("to", lazy("Last day"), "date"),
                Field("level", lazy("Level"), "key"),
                Field("price", lazy("Price of the whole period"), "money"),
            ),
            blank=lambda: {"from": None, "to": None, "level": "premium", "price": None},
        ),
    ),
    "dates": (
        Field("commercial.start_on", lazy("First day"), "date"),
        Field("commercial.length_months", lazy("Length"), "number", unit=lazy("months"), optional=True),
        Field(
            "commercial.end_on",
            lazy("Or, last day"),
            "date",
            optional=True,
            hint=lazy("Give the length or the last day, not both."),
        ),
        Group(
            "commercial.renewal",
            lazy("At the end"),
            (
                Field(
                    "kind",
                    lazy("Renewal"),
                    "choice",
                    (
                        ("none", lazy("it ends")),
                        ("agreement", lazy("it renews when both agree")),
                        ("tacit", lazy("it renews unless somebody gives notice")),
                    ),
                ),
                Field("months", lazy("Renews for"), "number", unit=lazy("months"), optional=True),
            ),
        ),
        Group(
            "commercial.notice",
            lazy("Notice may be given"),
            (
                Field("value", lazy("Ahead of the end by"), "number"),
                Field(
                    "unit", lazy("Counted in"), "choice", (("days", lazy("days")), ("months", lazy("months")))
                ),
                Field(
                    "form",
                    lazy("Form"),
                    "choice",
                    (
                        ("email", lazy("by mail")),
                        ("portal", lazy("through Countersign")),
                        ("letter", lazy("by letter")),
                        ("registered_letter", lazy("by registered letter")),
                    ),
                ),
            ),
            blank=lambda: {"value": 3, "unit": "months", "form": "email"},
        ),
    ),
    "liability": (
        Field("commercial.liability_cap", lazy("Liability is limited to"), "cap"),
        Rows(
            "commercial.carve_outs",
            lazy("Without limit"),
            "carve-out",
            lazy("Add a case"),
            (Field("text", lazy("Case"), "text"),),
            text,
            keeps_key=False,
        ),
    ),
    "law": (
        Field("commercial.governing_law", lazy("Governing law"), "text"),
        Field("commercial.courts", lazy("Courts"), "text"),
        Field("commercial.phi", lazy("Protected health information may be seen"), "flag"),
    ),
}

TITLES = {
    "calendars": lazy("Hours and calendars"),
    "severities": lazy("Severities and times"),
    "clocks": lazy("Clocks and pauses"),
    "peaks": lazy("Peak periods"),
    "uptime": lazy("Uptime"),
    "credits": lazy("Service credits"),
    "maintenance": lazy("Maintenance"),
    "release": lazy("Changes and releases"),
    "scope": lazy("Scope"),
    "escalation": lazy("Escalation and review"),
    "money": lazy("Fee"),
    "dates": lazy("Duration and notice"),
    "liability": lazy("Liability"),
    "law": lazy("Law and data"),
    "people": lazy("People"),
    "languages": lazy("Languages"),
    "clauses": lazy("Wording"),
}

STEPS = {
    "stakeholders": (lazy("Stakeholders"), ("people", "languages")),
    "slas": (lazy("Service levels"), ("calendars", "severities", "clocks", "peaks", "escalation")),
    "scope": (lazy("Scope"), ("scope", "maintenance", "release")),
    "metrics": (lazy("Metrics and money"), ("uptime", "credits", "money", "dates", "liability", "law")),
}
