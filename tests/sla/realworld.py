"""Real SLA tables (`sla-tables/1`) entered into our document, and their facts read back out of it.

`from_table` returns the terms and what had to be decided or left out, as path -> reason;
`facts` reads the terms back into the shape of `table_facts`, so a test can compare the two.
"""

from __future__ import annotations

import re
from typing import Any

from portal.sla.terms import Terms, empty, no_uptime

MINUTES = {"minute": 1, "hour": 60}
HOLIDAYS = {"Switzerland / Canton St. Gallen": ("CH", "SG")}
ALWAYS = {
    "label": {"en": "Day and night"},
    "tz": None,
    "always": True,
    "weekly": {},
    "holidays": None,
    "overrides": [],
}


def from_table(table: dict[str, Any]) -> tuple[Terms, dict[str, str]]:
    terms: Any = empty()
    losses: dict[str, str] = {}
    if table["hours"]:
        _enter_hours(terms, table["hours"])
    for row in table["severities"]:
        _enter_severity(terms, row, losses)
    if any("acknowledgement" in quirk for quirk in table["quirks"]):
        terms["clocks"]["starts"] = "acknowledgement"
    for step in table.get("escalation", []):
        _enter_step(terms, step)
    if "breach_credit" in table:
        _enter_extension(terms, table["breach_credit"])
    if table["uptime"]:
        _enter_uptime(terms, table["uptime"], losses)
    if "credit" in table:
        over, multiple = (re.search(r"\d+", table["credit"][name]) for name in ("when", "amount"))
        terms["credits"]["per_day"] = {"over_min": int(over[0]), "hourly_multiple": multiple[0]}  # type: ignore[index]
        terms["credits"]["claim"] = "automatic" if table["credit"]["automatic"] else "request"
    return terms, losses


def _enter_hours(terms: Any, hours: dict[str, Any]) -> None:
    place = HOLIDAYS.get(hours.get("holidays", ""))
    terms["calendars"]["hours"] = {
        "label": {"en": hours.get("note", "Service hours")},
        "tz": None if hours["tz"] == "unstated" else hours["tz"],
        "always": False,
        "weekly": hours.get("weekly", {}),
        "holidays": {"country": place[0], "subdivision": place[1]} if place else None,
        "overrides": [],
    }


def _enter_severity(terms: Any, row: dict[str, Any], losses: dict[str, str]) -> None:
    severity: dict[str, Any] = {"key": row["id"], "label": {"en": row["label"]}, "description": {}}
    for clock, given in (("response", "response"), ("resolution", "resolution"), ("update", "update_every")):
        path = f"severities.{row['id']}.{clock}.counts"
        severity[clock] = _target(terms, row.get(given), path, losses)
    terms["severities"].append(severity)


def _target(terms: Any, given: Any, path: str, losses: dict[str, str]) -> dict[str, Any] | None:
    if given is None:
        return None
    if "release" in given:
        return {"release": given["release"]}
    value, unit = given["value"], given["unit"]
    if unit in MINUTES:
        if given.get("counts", "unclear") == "unclear":
            losses[path] = "the source does not say which hours count; a contract must"
        elapsed = given.get("counts") == "elapsed"
        if elapsed:
            terms["calendars"]["always"] = dict(ALWAYS)
        return {"min": value * MINUTES[unit], "calendar": "always" if elapsed else "hours"}
    if unit == "service_day":
        return {"service_days": value, "calendar": "hours"}
    return {"calendar_days": 7 * value} if unit == "week" else {"months": value}


def _enter_step(terms: Any, step: dict[str, Any]) -> None:
    terms["escalation"].append(
        {
            "key": step["kind"].replace("_", "-"),
            "after": {"request": "urgent" if step["kind"] == "urgent" else "normal"},
            "severities": [],
            "side": "supplier",
            "role": {"en": "Manager"},
            "contact": None,
            "response": _target(terms, step["manager_response"], "", {}),
            "urgent": step["kind"] == "urgent",
        }
    )


def _enter_extension(terms: Any, credit: dict[str, Any]) -> None:
    names = {"response": "response", "escalation_response": "escalation"}
    terms["credits"]["extension"] = {
        "per_min": credit["per_minutes_over"],
        "days": credit["days"],
        "clocks": [names[each] for each in credit["applies_to"]],
    }


def _enter_uptime(terms: Any, given: dict[str, Any], losses: dict[str, str]) -> None:
    terms["calendars"]["always"] = dict(ALWAYS)
    target = None if given["target_pct"] == "variable" else given["target_pct"]
    uptime: dict[str, Any] = {**no_uptime(), "target_pct": target, "measured": "always"}
    uptime["denominator"] = given.get("denominator", "available").split()[0]
    uptime["min_outage_s"] = given.get("min_outage_min", 0) * 60
    bound = target
    for number, tier in enumerate(given.get("tiers", []), start=1):
        if "range" in tier:
            losses[f"uptime.tiers.{number}.range"] = "closed ranges leave holes; entered as one upper bound"
            below, bound = bound, tier["range"][0]
        else:
            below = tier["below"]
        row = {"key": f"t{number}", "below": below, "credit_pct": tier["credit_pct"]}
        uptime["tiers"].append(row)
    if "termination" in given:
        uptime["termination"] = _rights(given["termination"])
    terms["uptime"] = uptime
    caps = terms["credits"]["caps"]
    caps["period_pct"] = given.get("cap_pct_of_month")
    caps["term_pct"] = given.get("cap_pct_of_subscription_fees")
    terms["credits"]["prorate"] = "partial_month" in given
    if "claim_days" in given:
        terms["credits"] |= {"claim": "request", "claim_window_days": given["claim_days"]}


def _rights(text: str) -> list[dict[str, Any]]:
    row = re.search(r"(\d+) consecutive", text)
    of = re.search(r"(\d+) of (?:a rolling|any) (\d+)", text)
    told = re.search(r"notified within (\d+) days", text)
    rights = []
    if row and "of any" not in text:
        rights.append({"key": "in-a-row", "missed": int(row[1]), "of_months": int(row[1])})
    if of:
        rights.append({"key": "of-months", "missed": int(of[1]), "of_months": int(of[2])})
    return [right | ({"notified_days": int(told[1])} if told else {}) for right in rights]


# -- Facts, from both sides -------------------------------------------------------------------


def table_facts(table: dict[str, Any]) -> dict[str, Any]:
    """What a table says, flat: path -> value, times in minutes, "unclear" where it does not say."""
    found: dict[str, Any] = {}
    hours = table["hours"] or {}
    for name in ("tz", "note", "holidays"):
        found[f"hours.{name}"] = hours.get(name)
    for day, windows in hours.get("weekly", {}).items():
        found[f"hours.{day}"] = windows
    for row in table["severities"]:
        found[f"severities.{row['id']}.label"] = row["label"]
        for clock, given in (
            ("response", "response"),
            ("resolution", "resolution"),
            ("update", "update_every"),
        ):
            found |= _given(row.get(given), f"severities.{row['id']}.{clock}")
    found["starts"] = "acknowledgement" if "acknowledgement" in str(table["quirks"]) else "report"
    for step in table.get("escalation", []):
        found |= _given(step["manager_response"], f"escalation.{step['kind']}")
    if "breach_credit" in table:
        found |= {
            f"extension.{name}": value for name, value in table["breach_credit"].items() if name != "kind"
        }
    if "credit" in table:
        found["per_day"] = (table["credit"]["when"], table["credit"]["amount"], table["credit"]["automatic"])
    return found | _uptime_given(table["uptime"])


def _given(given: Any, path: str) -> dict[str, Any]:
    if given is None:
        return {}
    if "release" in given:
        return {f"{path}.release": given["release"]}
    if given["unit"] in MINUTES:
        minutes = given["value"] * MINUTES[given["unit"]]
        return {f"{path}.minute": minutes, f"{path}.counts": given.get("counts", "unclear")}
    return {f"{path}.{given['unit']}": given["value"]}


def _uptime_given(uptime: Any) -> dict[str, Any]:
    if not uptime:
        return {}
    found = {
        "uptime.target_pct": uptime["target_pct"],
        "uptime.period": uptime["period"],
        "uptime.denominator": uptime.get("denominator", "available").split()[0],
        "uptime.min_outage_min": uptime.get("min_outage_min", 0),
        "uptime.cap_pct_of_month": uptime.get("cap_pct_of_month"),
        "uptime.cap_pct_of_subscription_fees": uptime.get("cap_pct_of_subscription_fees"),
        "uptime.partial_month": "partial_month" in uptime,
        "uptime.claim_days": uptime.get("claim_days"),
        "uptime.termination": uptime.get("termination"),
    }
    for number, tier in enumerate(uptime.get("tiers", []), start=1):
        found[f"uptime.tiers.{number}.credit_pct"] = tier["credit_pct"]
        if "range" in tier:
            found[f"uptime.tiers.{number}.range"] = tier["range"]
        else:
            found[f"uptime.tiers.{number}.below"] = tier["below"]
        if "at_least" in tier:
            found[f"uptime.tiers.{number}.at_least"] = tier["at_least"]
    return found


def facts(terms: Terms, table: dict[str, Any]) -> dict[str, Any]:
    """What our document says, in the words of `table_facts`; the table only tells which paths to ask for."""
    found: dict[str, Any] = {"starts": terms["clocks"]["starts"]}
    found |= _hours_facts(terms)
    for severity in terms["severities"]:
        path = f"severities.{severity['key']}"
        found[f"{path}.label"] = severity["label"]["en"]
        for clock in ("response", "resolution", "update"):
            found |= _target_facts(severity[clock], f"{path}.{clock}")  # type: ignore[literal-required]
    for step in terms["escalation"]:
        found |= _target_facts(step["response"], f"escalation.{step['key'].replace('-', '_')}")
    credits: Any = terms["credits"]
    if credits["extension"]:
        names = {"response": "response", "escalation": "escalation_response"}
        found["extension.per_minutes_over"] = credits["extension"]["per_min"]
        found["extension.days"] = credits["extension"]["days"]
        found["extension.applies_to"] = [names[each] for each in credits["extension"]["clocks"]]
    if credits["per_day"]:
        over, multiple = credits["per_day"]["over_min"], credits["per_day"]["hourly_multiple"]
        when = f"a day's outage exceeds {over} minutes"
        amount = f"{multiple} times the hourly rate for a full hour"
        found["per_day"] = (when, amount, credits["claim"] == "automatic")
    return found | _uptime_facts(terms, table)


def _hours_facts(terms: Terms) -> dict[str, Any]:
    hours: Any = terms["calendars"].get("hours")
    if hours is None:
        return {"hours.tz": None, "hours.note": None, "hours.holidays": None}
    label, place = hours["label"]["en"], hours["holidays"]
    known = {pair: name for name, pair in HOLIDAYS.items()}
    return {
        "hours.tz": hours["tz"] or "unstated",
        "hours.note": None if label == "Service hours" else label,
        "hours.holidays": known[place["country"], place["subdivision"]] if place else None,
        **{f"hours.{day}": windows for day, windows in hours["weekly"].items()},
    }


def _target_facts(target: Any, path: str) -> dict[str, Any]:
    if target is None:
        return {}
    if "min" in target:
        counts = {"always": "elapsed", "hours": "service"}[target["calendar"]]
        return {f"{path}.minute": target["min"], f"{path}.counts": counts}
    if "calendar_days" in target:
        return {f"{path}.week": target["calendar_days"] // 7}
    name = {"service_days": "service_day", "months": "month", "release": "release"}
    unit = next(each for each in name if each in target)
    return {f"{path}.{name[unit]}": target[unit]}


def _uptime_facts(terms: Terms, table: dict[str, Any]) -> dict[str, Any]:
    uptime: Any = terms["uptime"]
    if uptime is None:
        return {}
    credits: Any = terms["credits"]
    found = {
        "uptime.target_pct": uptime["target_pct"] or "variable",
        "uptime.period": f"calendar_{uptime['period']}",
        "uptime.denominator": uptime["denominator"],
        "uptime.min_outage_min": uptime["min_outage_s"] // 60,
        "uptime.cap_pct_of_month": credits["caps"]["period_pct"],
        "uptime.cap_pct_of_subscription_fees": credits["caps"]["term_pct"],
        "uptime.partial_month": credits["prorate"],
        "uptime.claim_days": credits["claim_window_days"],
        "uptime.termination": _termination(uptime["termination"]),
    }
    given = table["uptime"].get("tiers", [])
    for number, tier in enumerate(uptime["tiers"], start=1):
        found[f"uptime.tiers.{number}.credit_pct"] = tier["credit_pct"]
        if "range" not in given[number - 1]:
            found[f"uptime.tiers.{number}.below"] = tier["below"]
        if "at_least" in given[number - 1]:
            found[f"uptime.tiers.{number}.at_least"] = uptime["tiers"][number]["below"]
    return found


def _termination(rights: list[dict[str, Any]]) -> str | None:
    if not rights:
        return None
    parts = []
    for right in rights:
        if right["missed"] == right["of_months"]:
            parts.append(f"{right['missed']} consecutive months")
        elif len(rights) > 1:
            parts.append(f"{right['missed']} of a rolling {right['of_months']}")
        else:
            parts.append(f"{right['missed']} of any {right['of_months']} consecutive months")
    told = rights[0].get("notified_days")
    ending = f", each notified within {told} days" if told else ""
    return f"target missed in {' or '.join(parts)}{ending}"
