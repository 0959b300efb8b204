"""The terms of each shared example survive the way into our document and back."""

from __future__ import annotations

from typing import Any

import pytest

from portal.sla import validate
from portal.sla.examples import to_example
from portal.sla.terms import Terms, empty, no_uptime
from tests.sla.samples import premium, shared

IGNORED = {"id", "kind", "title", "note", "expected", "events", "as_of", "warn_pct", "period", "maintenance"}
HAPPENED = {"outages", "unknown", "breaches", "exclusions", "contract_term", "overruns_min"}


def from_example(example: dict[str, Any]) -> Terms:
    """What an example agrees, as our document."""
    terms: Any = empty()
    for name, hours in example["calendars"].items():
        overrides = [{**each, "name": {"en": each["name"]}} for each in hours.get("overrides", [])]
        terms["calendars"][name] = {
            "label": {"en": name},
            "tz": hours["tz"],
            "always": hours.get("always", False),
            "weekly": hours.get("weekly", {}),
            "holidays": None,
            "overrides": overrides,
        }
    agreed = example.get("terms", {})
    for key in agreed.get("severity_order", []):
        row = agreed["severities"][key]
        severity = {"key": key, "label": {"en": key}, "description": {}, "update": None}
        for clock in ("response", "resolution"):
            severity[clock] = {"calendar": row["calendar"], **row[clock]} if clock in row else None
        terms["severities"].append(severity)
    reasons = agreed.get("pause_reasons", [])
    terms["clocks"]["pause_reasons"] = [{"key": key, "label": {"en": key}} for key in reasons]
    for number, peak in enumerate(agreed.get("peaks", example.get("peaks", []))):
        blank = {"key": f"p{number}", "label": {"en": "Peak"}, "target_factor": None, "downtime_weight": None}
        terms["peaks"].append(blank | peak)
    for field, value in (agreed.get("maintenance_rules") or example.get("maintenance_rules") or {}).items():
        terms["maintenance"][field] = value
    terms["maintenance"]["pauses"] = agreed.get("maintenance_pauses", [])
    if "target_pct" in example:
        _read_uptime(terms, example)
    return terms


def _read_uptime(terms: Any, example: dict[str, Any]) -> None:
    terms["uptime"] = {**no_uptime(), "max_unknown_pct": None}
    for field in (
        "target_pct",
        "measured",
        "denominator",
        "min_outage_s",
        "unknown_policy",
        "max_unknown_pct",
    ):
        if field in example:
            terms["uptime"][field] = example[field]
    terms["uptime"]["tiers"] = [
        {"key": f"t{number}", **tier} for number, tier in enumerate(example.get("tiers", []))
    ]
    for key, credits in example.get("breach_credit_pct", {}).items():
        row = {"key": key, "response": None, "resolution": None, "update": None, **credits}
        terms["credits"]["breaches"].append(row)
    terms["credits"]["peak_multiplier"] = example.get("peak_credit_multiplier")
    terms["credits"]["caps"]["period_pct"] = example.get("cap_pct")
    terms["credits"]["prorate"] = example.get("prorate", False)
    if "annual_cap" in example:
        terms["credits"]["caps"]["year_amount"] = example["annual_cap"]["limit"]
    if "extension" in example:
        parts = {field: example["extension"][field] for field in ("per_min", "days")}
        terms["credits"]["extension"] = {**parts, "clocks": ["response"]}
    terms["commercial"]["fee"] = example["fee"]["monthly"]
    terms["commercial"]["currency"] = example["fee"]["currency"]


def same(agreed: Any, written: Any) -> bool:
    """Everything the example says is said again; defaults it leaves out may be spelt out."""
    if isinstance(agreed, dict):
        return all(name in written and same(value, written[name]) for name, value in agreed.items())
    if isinstance(agreed, list):
        return len(agreed) == len(written) and all(map(same, agreed, written))
    return bool(agreed == written)


@pytest.mark.parametrize("number", range(10))
def test_an_example_comes_back_as_it_was(number: int) -> None:
    example = shared("sla_examples.json")["examples"][number]
    terms = from_example(example)

    written = to_example(terms)

    agreed = {name: value for name, value in example.items() if name not in IGNORED | HAPPENED}
    assert same(agreed, written)
    shape = {fault.code for fault in validate.check(terms)}
    assert shape <= {"required", "promises_nothing", "unknown_severity", "credit_without_target"}


def test_a_clock_names_its_own_calendar_only_where_it_differs() -> None:
    terms = premium()
    terms["severities"][0]["resolution"] = {"min": 600, "calendar": "sales"}

    severities = to_example(terms)["terms"]["severities"]

    assert severities["S1"] == {
        "calendar": "always",
        "response": {"min": 30},
        "resolution": {"min": 600, "calendar": "sales"},
        "update": {"min": 60},
    }
    assert severities["S4"] == {
        "calendar": "business",
        "response": {"service_days": 1},
        "resolution": {"release": "next"},
    }


def test_fees_and_yearly_caps_become_monthly_money() -> None:
    terms = premium()
    terms["commercial"] |= {"fee": "100000.00", "fee_period": "year"}
    terms["credits"]["caps"]["year_pct"] = "10"

    written = to_example(terms, credits_used="1200.00")

    assert written["fee"] == {"monthly": "8333.33", "currency": "EUR"}
    assert written["annual_cap"] == {"limit": "10000.00", "used": "1200.00"}


def test_maintenance_that_stops_clocks_reaches_the_clocks() -> None:
    terms = premium()
    terms["maintenance"]["pauses"] = ["resolution"]

    agreed = to_example(terms)

    assert agreed["terms"]["maintenance_pauses"] == ["resolution"]
    assert agreed["terms"]["maintenance_rules"] == agreed["maintenance_rules"]
    assert agreed["maintenance_rules"] == {
        "min_notice_h": 120,
        "cap_h_per_period": "6",
        "allowed": "maintenance",
    }


def test_without_an_uptime_promise_there_is_nothing_to_measure() -> None:
    terms = premium()
    terms["uptime"] = None

    assert "target_pct" not in to_example(terms)
