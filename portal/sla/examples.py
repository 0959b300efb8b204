"""The terms in the fields of `sla-examples/1`, which is what the engine runs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from portal.sla import money
from portal.sla.terms import Calendar, Severity, Target, Terms, Uptime, severity_calendar


def to_example(terms: Terms, *, credits_used: str = "0.00") -> dict[str, Any]:
    """Everything the signed terms say to a clock or an uptime month, in the examples' own fields.

    The caller adds what happened: `kind`, `events` and `as_of`, or `period`, `outages` and the like.
    Named additions: a clock's target may carry its own `calendar`, and targets the engine does not
    count (releases, calendar days, months) appear as they are. `credits_used` is what the contract
    year has credited already.
    """
    example: dict[str, Any] = {
        "calendars": {name: _calendar(each) for name, each in terms["calendars"].items()},
        "terms": _clock_terms(terms),
        "peaks": _peaks(terms),
    }
    if terms["uptime"] is not None:
        example |= _uptime(terms["uptime"], terms)
    if terms["commercial"]["fee"] is not None:
        monthly = f"{money.monthly_fee(terms):.2f}"
        example["fee"] = {"monthly": monthly, "currency": terms["commercial"]["currency"]}
    return example | _credits(terms, credits_used)


def _calendar(calendar: Calendar) -> dict[str, Any]:
    hours: dict[str, Any] = {"tz": calendar["tz"]}
    if calendar["always"]:
        hours["always"] = True
    else:
        hours["weekly"] = dict(calendar["weekly"])
    overrides = []
    for override in calendar["overrides"]:
        plain: dict[str, Any] = dict(override)
        names = plain.pop("name", None)
        if names:
            plain["name"] = names.get("en") or next(iter(names.values()))
        overrides.append(plain)
    return hours | ({"overrides": overrides} if overrides else {})


def _clock_terms(terms: Terms) -> dict[str, Any]:
    return {
        "severities": {each["key"]: _severity(each) for each in terms["severities"]},
        "severity_order": [each["key"] for each in terms["severities"]],
        "pause_reasons": [reason["key"] for reason in terms["clocks"]["pause_reasons"]],
        "reopen_policy": terms["clocks"]["reopen"],
        "starts": terms["clocks"]["starts"],
        "peaks": _peaks(terms),
        "maintenance_rules": _maintenance(terms),
        "maintenance_pauses": list(terms["maintenance"]["pauses"]),
    }


def _severity(severity: Severity) -> dict[str, Any]:
    name = severity_calendar(severity)
    clocks: dict[str, Any] = {"calendar": name}
    for clock, target in (
        ("response", severity["response"]),
        ("resolution", severity["resolution"]),
        ("update", severity["update"]),
    ):
        if target is not None:
            clocks[clock] = _target(target, name)
    return clocks


def _target(target: Target, severity_hours: str | None) -> dict[str, Any]:
    """The target, naming its calendar only where that is not the severity's."""
    return {field: value for field, value in target.items() if (field, value) != ("calendar", severity_hours)}


def _peaks(terms: Terms) -> list[dict[str, Any]]:
    wanted = ("from", "to", "target_factor", "downtime_weight")
    given: list[Any] = list(terms["peaks"])
    return [{name: peak[name] for name in wanted if peak[name] is not None} for peak in given]


def _maintenance(terms: Terms) -> dict[str, Any]:
    rules = terms["maintenance"]
    given: dict[str, Any] = {"min_notice_h": rules["min_notice_h"]}
    if rules["cap_h_per_period"] is not None:
        given["cap_h_per_period"] = rules["cap_h_per_period"]
    if rules["allowed"] is not None:
        given["allowed"] = rules["allowed"]
    return given


def _uptime(uptime: Uptime, terms: Terms) -> dict[str, Any]:
    given: dict[str, Any] = {
        "measured": uptime["measured"],
        "target_pct": uptime["target_pct"],
        "denominator": uptime["denominator"],
        "min_outage_s": uptime["min_outage_s"],
        "unknown_policy": uptime["unknown_policy"],
        "maintenance_rules": _maintenance(terms),
        "tiers": [{"below": tier["below"], "credit_pct": tier["credit_pct"]} for tier in uptime["tiers"]],
    }
    if uptime["max_unknown_pct"] is not None:
        given["max_unknown_pct"] = uptime["max_unknown_pct"]
    return given


def _credits(terms: Terms, used: str) -> dict[str, Any]:
    credits, caps = terms["credits"], terms["credits"]["caps"]
    given: dict[str, Any] = {"prorate": credits["prorate"]}
    if credits["breaches"]:
        given["breach_credit_pct"] = {
            breach["key"]: {
                clock: credit
                for clock, credit in (
                    ("response", breach["response"]),
                    ("resolution", breach["resolution"]),
                    ("update", breach["update"]),
                )
                if credit is not None
            }
            for breach in credits["breaches"]
        }
    if credits["peak_multiplier"] is not None:
        given["peak_credit_multiplier"] = credits["peak_multiplier"]
    if caps["period_pct"] is not None:
        given["cap_pct"] = caps["period_pct"]
    limit = _annual_limit(terms)
    if limit is not None:
        given["annual_cap"] = {"limit": limit, "used": used}
    if credits["extension"] is not None:
        extension = credits["extension"]
        given["extension"] = {"per_min": extension["per_min"], "days": extension["days"]}
    return given


def _annual_limit(terms: Terms) -> str | None:
    caps, yearly = terms["credits"]["caps"], money.yearly_fee(terms)
    if caps["year_amount"] is not None:
        return caps["year_amount"]
    if caps["year_pct"] is not None and yearly is not None:
        return f"{yearly * Decimal(caps['year_pct']) / 100:.2f}"
    return None
