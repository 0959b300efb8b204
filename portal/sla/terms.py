"""The document `countersign-terms/1`: everything a support contract promises, as plain JSON.

These types are the one declaration: `shape.py` checks a document against them, docs/sla.md
explains every field, and nothing else may be stored. Numbers that are not whole are decimal
strings, dates are ISO strings, and each row has a `key` that survives revisions.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypedDict

SCHEMA: Final = "countersign-terms/1"

# Formats of strings and integers; shape.FORMATS says what each accepts.
Key = Annotated[str, "key"]
Line = Annotated[str, "line"]
Percent = Annotated[str, "percent"]
Money = Annotated[str, "money"]
Decimal_ = Annotated[str, "decimal"]
Day = Annotated[str, "date"]
Zone = Annotated[str, "zone"]
Currency = Annotated[str, "currency"]
Count = Annotated[int, "count"]  # 0 and up
Number = Annotated[int, "number"]  # 1 and up

SideName = Literal["supplier", "customer"]
FeePeriod = Literal["month", "quarter", "year"]
ClockName = Literal["response", "resolution"]
PromiseName = Literal["response", "resolution", "update", "escalation"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Text(TypedDict, total=False):
    """One text in the languages of the contract; at least one of them."""

    en: str
    fr: str


# -- Hours ----------------------------------------------------------------------------------

Window = Annotated[list[str], "window"]  # ["09:00", "17:30"]; close "24:00", or <= open for the next day


class Weekly(TypedDict, total=False):
    mon: list[Window]
    tue: list[Window]
    wed: list[Window]
    thu: list[Window]
    fri: list[Window]
    sat: list[Window]
    sun: list[Window]


class Holidays(TypedDict):
    """Where the public holidays among the overrides were taken from."""

    country: Annotated[str, "country"]
    subdivision: Line | None


# Either `date`, or `from` and `to` (both included). `hours: []` is closed. The first match wins.
Override = TypedDict(
    "Override",
    {"date": Day, "from": Day, "to": Day, "hours": list[Window], "name": Text},
    total=False,
)


class Calendar(TypedDict):
    label: Text
    tz: Zone | None
    always: bool
    weekly: Weekly
    holidays: Holidays | None
    overrides: list[Override]


# -- Targets --------------------------------------------------------------------------------


class Target(TypedDict, total=False):
    """Exactly one unit; `calendar` belongs to `min` and `service_days`, and is required there."""

    min: Number
    service_days: Number
    calendar_days: Number
    months: Number
    release: Literal["next", "future", "monthly"]
    calendar: Key


UNITS = ("min", "service_days", "calendar_days", "months", "release")


class Severity(TypedDict):
    """One row; the list runs from the most severe down."""

    key: Key
    label: Text
    description: Text
    response: Target | None
    resolution: Target | None
    update: Target | None


class PauseReason(TypedDict):
    key: Key
    label: Text


class Clocks(TypedDict):
    starts: Literal["report", "acknowledgement"]
    automatic_reply_counts: bool
    pause_reasons: list[PauseReason]
    reopen: Literal["resume"]
    reopen_days: Count | None


class SeverityRules(TypedDict):
    raised_impact: Literal["earlier_due"]
    raised_misclassified: Literal["from_opening"]
    lowered: Literal["later_due"]
    decided_by: Literal["supplier", "customer", "both"]
    meanwhile: Literal["higher", "current"]


Peak = TypedDict(
    "Peak",
    {
        "key": Key,
        "label": Text,
        "from": Day,
        "to": Day,
        "target_factor": Decimal_ | None,
        "downtime_weight": Decimal_ | None,
    },
)


# -- Uptime and credits ---------------------------------------------------------------------


class Tier(TypedDict):
    key: Key
    below: Percent
    credit_pct: Percent


class Keyed(TypedDict):
    key: Key


class TerminationRight(Keyed, total=False):
    """Either `missed` of `of_months`, or one month `below` a figure."""

    missed: Number
    of_months: Number
    below: Percent
    notified_days: Count | None


class Uptime(TypedDict):
    target_pct: Percent | None
    period: Literal["month", "quarter", "year"]
    measured: Key | None
    denominator: Literal["available", "total"]
    min_outage_s: Count
    unknown_policy: Literal["exclude", "down"]
    max_unknown_pct: Percent | None
    tiers: list[Tier]
    termination: list[TerminationRight]


class BreachCredit(TypedDict):
    """`key` is the key of a severity."""

    key: Key
    response: Percent | None
    resolution: Percent | None
    update: Percent | None


class Caps(TypedDict):
    period_pct: Percent | None
    year_pct: Percent | None
    year_amount: Money | None
    term_pct: Percent | None


class Proportional(TypedDict):
    multiple: Decimal_


class PerDay(TypedDict):
    over_min: Count
    hourly_multiple: Decimal_


class Extension(TypedDict):
    per_min: Number
    days: Number
    clocks: list[PromiseName]


class Credits(TypedDict):
    breaches: list[BreachCredit]
    peak_multiplier: Decimal_ | None
    caps: Caps
    prorate: bool
    proportional: Proportional | None
    per_day: PerDay | None
    extension: Extension | None
    claim: Literal["automatic", "request"]
    claim_window_days: Number | None
    settled_by: Literal["next_invoice", "refund"]
    sole_remedy: bool


# -- Maintenance, changes, scope --------------------------------------------------------------


class Emergency(TypedDict):
    counts_as_maintenance: bool
    min_notice_h: Count | None


class Maintenance(TypedDict):
    min_notice_h: Count
    cap_h_per_period: Decimal_ | None
    allowed: Key | None
    pauses: list[ClockName]
    emergency: Emergency


class NoticeHours(TypedDict):
    standard: Count
    major: Count
    emergency: Count


Freeze = TypedDict("Freeze", {"key": Key, "label": Text, "from": Day, "to": Day})


class TestingDuty(TypedDict):
    key: Key
    stage: Literal["before", "after"]
    by: SideName
    text: Text


class Rollback(TypedDict):
    criterion: Text
    deadline_min: Number


class Release(TypedDict):
    windows: Key | None
    notice_h: NoticeHours
    freezes: list[Freeze]
    testing: list[TestingDuty]
    acceptance_h: Number | None
    approved_by: Literal["supplier", "customer", "both"]
    rollback: Rollback | None


class Module(TypedDict):
    key: Key
    name: Line


class Dependency(TypedDict):
    """An integration or a third party's software, and who answers for it."""

    key: Key
    name: Line
    responsible: Literal["supplier", "customer", "vendor"]


class Exclusion(TypedDict):
    key: Key
    text: Text


class Scope(TypedDict):
    modules: list[Module]
    integrations: list[Dependency]
    third_party: list[Dependency]
    exclusions: list[Exclusion]


# -- Escalation and review --------------------------------------------------------------------


class After(TypedDict, total=False):
    """`clock` with `pct` (100 is the breach) or `overrun_min`; or `request`, when a party asks."""

    clock: ClockName
    pct: Number
    overrun_min: Number
    request: Literal["normal", "urgent"]


class EscalationStep(TypedDict):
    key: Key
    after: After
    severities: list[Key]  # empty: all of them
    side: SideName
    role: Text
    contact: Line | None
    response: Target | None
    urgent: bool


class BreachCount(TypedDict):
    count: Number
    days: Number


class MissCount(TypedDict):
    count: Number
    months: Number


class ExecutiveReview(TypedDict):
    breach_of: list[Key]
    breaches: BreachCount | None
    uptime_missed: MissCount | None
    budget_over_pct: Number | None
    disputed_credit: bool
    due: Target | None


# -- Money, time, law -------------------------------------------------------------------------

# `price` is what the whole peak costs on top of the fee.
PeakLevel = TypedDict("PeakLevel", {"from": Day, "to": Day, "level": Key, "price": Money})


class Renewal(TypedDict):
    kind: Literal["none", "agreement", "tacit"]
    months: Number | None


class NoticePeriod(TypedDict):
    value: Number
    unit: Literal["days", "months"]
    form: Literal["email", "portal", "letter", "registered_letter"]


class LiabilityCap(TypedDict, total=False):
    """One of the two."""

    fee_months: Number
    amount: Money


class CarveOut(TypedDict):
    key: Key
    text: Text


class Commercial(TypedDict):
    fee: Money | None
    fee_period: FeePeriod
    currency: Currency | None
    index: Line | None
    uplift_pct: Percent | None
    peak_level: PeakLevel | None
    start_on: Day | None
    end_on: Day | None
    length_months: Number | None
    renewal: Renewal
    notice: NoticePeriod | None
    liability_cap: LiabilityCap | None
    carve_outs: list[CarveOut]
    governing_law: Text
    courts: Text
    phi: bool


class Terms(TypedDict):
    schema: Literal["countersign-terms/1"]
    side: SideName
    level: Key | None
    product: Line
    tz: Zone | None
    calendars: dict[Key, Calendar]
    severities: list[Severity]
    clocks: Clocks
    severity_rules: SeverityRules
    peaks: list[Peak]
    uptime: Uptime | None
    credits: Credits
    maintenance: Maintenance
    release: Release
    scope: Scope
    escalation: list[EscalationStep]
    executive_review: ExecutiveReview
    commercial: Commercial


def empty(side: SideName = "supplier") -> Terms:
    """A document of the right shape that promises nothing yet."""
    return {
        "schema": SCHEMA,
        "side": side,
        "level": None,
        "product": "",
        "tz": None,
        "calendars": {},
        "severities": [],
        "clocks": {
            "starts": "report",
            "automatic_reply_counts": False,
            "pause_reasons": [],
            "reopen": "resume",
            "reopen_days": None,
        },
        "severity_rules": {
            "raised_impact": "earlier_due",
            "raised_misclassified": "from_opening",
            "lowered": "later_due",
            "decided_by": "both",
            "meanwhile": "higher",
        },
        "peaks": [],
        "uptime": None,
        "credits": _no_credits(),
        "maintenance": {
            "min_notice_h": 0,
            "cap_h_per_period": None,
            "allowed": None,
            "pauses": [],
            "emergency": {"counts_as_maintenance": False, "min_notice_h": None},
        },
        "release": {
            "windows": None,
            "notice_h": {"standard": 0, "major": 0, "emergency": 0},
            "freezes": [],
            "testing": [],
            "acceptance_h": None,
            "approved_by": "both",
            "rollback": None,
        },
        "scope": {"modules": [], "integrations": [], "third_party": [], "exclusions": []},
        "escalation": [],
        "executive_review": {
            "breach_of": [],
            "breaches": None,
            "uptime_missed": None,
            "budget_over_pct": None,
            "disputed_credit": False,
            "due": None,
        },
        "commercial": _no_money(),
    }


def no_uptime() -> Uptime:
    """An uptime promise with nothing filled in, for a form that has just switched it on."""
    return {
        "target_pct": None,
        "period": "month",
        "measured": None,
        "denominator": "available",
        "min_outage_s": 0,
        "unknown_policy": "exclude",
        "max_unknown_pct": "5",
        "tiers": [],
        "termination": [],
    }


def calendar(label: Text, tz: str | None, *, always: bool = False) -> Calendar:
    """A calendar without hours, or one that is always open."""
    return {"label": label, "tz": tz, "always": always, "weekly": {}, "holidays": None, "overrides": []}


def severity_calendar(severity: Severity) -> str | None:
    """The calendar a severity as a whole is said to run on: its first target that names one."""
    for target in (severity["response"], severity["resolution"], severity["update"]):
        if target and "calendar" in target:
            return target["calendar"]
    return None


def row(rows: list[Any], key: str) -> Any | None:
    """The row with that key, or None."""
    return next((each for each in rows if each["key"] == key), None)


def _no_credits() -> Credits:
    return {
        "breaches": [],
        "peak_multiplier": None,
        "caps": {"period_pct": None, "year_pct": None, "year_amount": None, "term_pct": None},
        "prorate": True,
        "proportional": None,
        "per_day": None,
        "extension": None,
        "claim": "automatic",
        "claim_window_days": None,
        "settled_by": "next_invoice",
        "sole_remedy": False,
    }


def _no_money() -> Commercial:
    return {
        "fee": None,
        "fee_period": "month",
        "currency": None,
        "index": None,
        "uplift_pct": None,
        "peak_level": None,
        "start_on": None,
        "end_on": None,
        "length_months": None,
        "renewal": {"kind": "none", "months": None},
        "notice": None,
        "liability_cap": None,
        "carve_outs": [],
        "governing_law": {},
        "courts": {},
        "phi": False,
    }
