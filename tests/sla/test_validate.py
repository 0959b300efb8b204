from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.sla import messages, shape, validate
from portal.sla.terms import empty
from tests.sla.samples import premium

Change = Callable[[Any], object]


def put(path: str, value: Any) -> Change:
    """A change that writes a value: "severities.0.response"."""

    def change(terms: Any) -> None:
        *parents, last = [int(name) if name.isdigit() else name for name in path.split(".")]
        for name in parents:
            terms = terms[name]
        terms[last] = value

    return change


def add(path: str, value: Any) -> Change:
    def change(terms: Any) -> None:
        for name in path.split("."):
            terms = terms[int(name) if name.isdigit() else name]
        terms.append(value)

    return change


def faults_after(*changes: Change) -> set[tuple[str, str]]:
    terms: Any = copy.deepcopy(premium())
    for change in changes:
        change(terms)
    return {(fault.path, fault.code) for fault in validate.check(terms)}


PEAK = {"key": "p", "label": {"en": "P"}, "target_factor": "0.5", "downtime_weight": None}
SHAPE_CASES: list[tuple[Change, str, str]] = [
    (put("uptime", []), "uptime", "object"),
    (put("severities", {}), "severities", "list"),
    (put("commercial.phi", "no"), "commercial.phi", "yes_or_no"),
    (put("side", "both"), "side", "choice"),
    (put("schema", "countersign-terms/2"), "schema", "choice"),
    (lambda terms: terms.pop("clocks"), "clocks", "missing"),
    (lambda terms: terms["uptime"].pop("tiers"), "uptime.tiers", "missing"),
    (put("severities.0.colour", "red"), "severities.S1.colour", "unknown_field"),
    (put("severities", [{}] * 1001), "severities", "too_many"),
    (put("severities.1.key", "S1"), "severities[1].key", "duplicate_key"),
    (put("severities.0.key", "S 1"), "severities[0].key", "key"),
    (put("product", "two\nlines"), "product", "line"),
    (put("severities.0.label.en", 7), "severities.S1.label.en", "text"),
    (put("uptime.target_pct", "101"), "uptime.target_pct", "percent"),
    (put("uptime.target_pct", 99.9), "uptime.target_pct", "percent"),
    (put("commercial.fee", "-1"), "commercial.fee", "money"),
    (put("peaks.0.target_factor", "0"), "peaks.peak-2027.target_factor", "decimal"),
    (put("commercial.start_on", "2027-02-30"), "commercial.start_on", "date"),
    (put("tz", "EST"), "tz", "zone"),
    (put("calendars.sales.tz", "Europe/Atlantis"), "calendars.sales.tz", "zone"),
    (put("commercial.currency", "DEM"), "commercial.currency", "currency"),
    (put("calendars.business.holidays.country", "fr"), "calendars.business.holidays.country", "country"),
    (put("calendars.sales.weekly.mon", [["9:00", "17:00"]]), "calendars.sales.weekly.mon[0]", "window"),
    (put("maintenance.min_notice_h", -1), "maintenance.min_notice_h", "count"),
    (put("severities.0.response.min", True), "severities.S1.response.min", "number"),
]

RULE_CASES: list[tuple[Change, str, str]] = [
    (put("product", ""), "product", "required"),
    (put("severities.0.label", {}), "severities.S1.label", "required"),
    (put("commercial.governing_law", {"en": ""}), "commercial.governing_law", "required"),
    (put("calendars.releases.weekly", {}), "calendars.releases.weekly", "empty_hours"),
    (
        put("calendars.always.weekly", {"mon": [["09:00", "10:00"]]}),
        "calendars.always.weekly",
        "contradictory_hours",
    ),
    (
        put("calendars.always.label", {"en": "Business hours"}),
        "calendars.always.label",
        "contradictory_label",
    ),
    (put("calendars.business.label", {"en": "24/7"}), "calendars.business.label", "contradictory_label"),
    (
        put("severities.0.label", {"en": "1 business hour, 24/7"}),
        "severities.S1.label",
        "contradictory_label",
    ),
    (
        put("severities.1.description", {"fr": "jour et nuit"}),
        "severities.S2.response",
        "contradictory_label",
    ),
    (
        put("severities.0.description", {"en": "In office hours"}),
        "severities.S1.response",
        "contradictory_label",
    ),
    (
        put("calendars.sales.weekly.mon", [["09:00", "12:00"], ["11:30", "17:00"]]),
        "calendars.sales.weekly.mon",
        "overlapping_windows",
    ),
    (
        put("calendars.sales.weekly.sat", [["20:00", "11:00"]]),
        "calendars.sales.weekly.sun",
        "overlapping_windows",
    ),
    (put("calendars.sales.overrides.0", {"hours": []}), "calendars.sales.overrides[0]", "date_or_range"),
    (
        add("calendars.business.overrides", {"date": "2027-01-01", "hours": []}),
        "calendars.business.overrides[22]",
        "duplicate_date",
    ),
    (
        put("calendars.sales.overrides.0", {"from": "2027-02-02", "to": "2027-02-01", "hours": []}),
        "calendars.sales.overrides[0].to",
        "start_after_end",
    ),
    (put("uptime.measured", "nowhere"), "uptime.measured", "unknown_calendar"),
    (
        put("severities.0.response", {"min": 5, "calendar": "x"}),
        "severities.S1.response.calendar",
        "unknown_calendar",
    ),
    (put("maintenance.allowed", "x"), "maintenance.allowed", "unknown_calendar"),
    (put("release.windows", "x"), "release.windows", "unknown_calendar"),
    (add("peaks", PEAK | {"from": "2027-12-31", "to": "2028-01-09"}), "peaks.p", "peaks_overlap"),
    (add("peaks", PEAK | {"from": "2029-12-31", "to": "2030-01-09"}), "peaks.p", "outside_term"),
    (add("peaks", PEAK | {"from": "2028-02-09", "to": "2028-02-01"}), "peaks.p.to", "start_after_end"),
    (
        add("peaks", PEAK | {"from": "2028-02-01", "to": "2028-02-09", "target_factor": None}),
        "peaks.p",
        "no_effect",
    ),
    (put("severities.0.response", {"min": 5, "months": 1}), "severities.S1.response", "one_unit"),
    (
        lambda terms: terms["severities"][3].update(response=None, resolution=None, update=None),
        "severities.S4",
        "no_target",
    ),
    (put("severities.0.response", {}), "severities.S1.response", "one_unit"),
    (put("severities.0.response", {"min": 5}), "severities.S1.response.calendar", "calendar_needed"),
    (
        put("severities.0.update", {"months": 1, "calendar": "always"}),
        "severities.S1.update.calendar",
        "calendar_not_used",
    ),
    (
        put("severities.0.response", {"min": 241, "calendar": "always"}),
        "severities.S1.resolution",
        "response_above_resolution",
    ),
    (
        put("severities.2.response", {"service_days": 4, "calendar": "business"}),
        "severities.S3.resolution",
        "response_above_resolution",
    ),
    (
        put("severities.2.response", {"min": 3 * 540 + 1, "calendar": "business"}),
        "severities.S3.resolution",
        "response_above_resolution",
    ),
    (put("uptime.tiers.0.below", "99.8"), "uptime.tiers.tier-1.below", "tier_hole"),
    (put("uptime.tiers.0.below", "99.95"), "uptime.tiers.tier-1.below", "tier_above_target"),
    (put("uptime.tiers.1.below", "99.90"), "uptime.tiers.tier-2.below", "equal_bounds"),
    (put("uptime.tiers.2.credit_pct", "9"), "uptime.tiers.tier-3.credit_pct", "falling_credit"),
    (put("uptime.tiers.2.below", "99.7"), "uptime.tiers.tier-3.below", "tier_order"),
    (put("credits.breaches.0.key", "S9"), "credits.breaches.S9", "unknown_severity"),
    (put("escalation.0.severities", ["S9"]), "escalation.support-lead.severities", "unknown_severity"),
    (put("executive_review.breach_of", ["S9"]), "executive_review.breach_of", "unknown_severity"),
    (put("severities.0.response", None), "credits.breaches.S1.response", "credit_without_target"),
    (put("credits.claim", "request"), "credits.claim_window_days", "claim_window_needed"),
    (put("credits.claim_window_days", 30), "credits.claim_window_days", "not_used"),
    (put("maintenance.emergency.min_notice_h", 3), "maintenance.emergency.min_notice_h", "not_used"),
    (
        put("maintenance.emergency", {"counts_as_maintenance": True, "min_notice_h": 121}),
        "maintenance.emergency.min_notice_h",
        "emergency_longer",
    ),
    (put("uptime.termination.0.of_months", 2), "uptime.termination.repeated.missed", "missed_of"),
    (put("uptime.termination.0.below", "90"), "uptime.termination.repeated", "right_unclear"),
    (put("release.notice_h.emergency", 100), "release.notice_h", "notice_order"),
    (
        put("escalation.0.after", {"clock": "resolution"}),
        "escalation.support-lead.after",
        "escalation_unclear",
    ),
    (put("escalation.1.after.pct", 50), "escalation.service-director.after", "escalation_order"),
    (put("escalation.1.after.pct", 101), "escalation.service-director.after.pct", "escalation_pct"),
    (put("uptime", None), "executive_review.uptime_missed", "uptime_needed"),
    (put("executive_review.due", None), "executive_review.due", "required"),
    (put("commercial.end_on", "2028-01-01"), "commercial.length_months", "two_ends"),
    (put("commercial.notice.value", 25), "commercial.notice.value", "notice_above_term"),
    (put("commercial.notice.value", 1_000_000), "commercial.notice.value", "notice_above_term"),
    (put("commercial.renewal.months", None), "commercial.renewal.months", "renewal_months"),
    (put("commercial.notice", None), "commercial.notice", "notice_needed"),
    (put("commercial.liability_cap", {}), "commercial.liability_cap", "one_cap"),
    (put("commercial.liability_cap", {"amount": "0"}), "commercial.liability_cap.amount", "amount_zero"),
    (
        put(
            "commercial.peak_level",
            {"from": "2027-12-01", "to": "2027-11-01", "level": "premium", "price": "1"},
        ),
        "commercial.peak_level.to",
        "start_after_end",
    ),
]


def test_a_seeded_contract_has_no_fault() -> None:
    assert validate.check(premium(), languages=("en", "fr")) == []


@pytest.mark.parametrize(("change", "path", "code"), SHAPE_CASES)
def test_a_wrong_shape_is_named_with_its_path(change: Change, path: str, code: str) -> None:
    assert (path, code) in faults_after(change)


@pytest.mark.parametrize(("change", "path", "code"), RULE_CASES)
def test_a_broken_rule_is_named_with_its_path(change: Change, path: str, code: str) -> None:
    assert (path, code) in faults_after(change)


def test_a_calendar_open_only_on_special_dates_is_not_empty() -> None:
    assert not any("sales" in path for path, _code in faults_after(put("calendars.sales.weekly", {})))


def test_two_caps_for_a_year_are_refused() -> None:
    found = faults_after(put("credits.caps.year_pct", "10"), put("credits.caps.year_amount", "900.00"))

    assert ("credits.caps.year_amount", "two_caps") in found


def test_an_end_before_the_start_is_refused() -> None:
    found = faults_after(put("commercial.length_months", None), put("commercial.end_on", "2026-12-31"))

    assert ("commercial.end_on", "start_after_end") in found


def test_a_step_on_a_clock_nobody_has_is_refused() -> None:
    changes = [put(f"severities.{number}.response", None) for number in range(4)]
    found = faults_after(*changes, put("escalation.0.after", {"clock": "response", "pct": 75}))

    assert ("escalation.support-lead.after.clock", "clock_without_target") in found


def test_an_empty_document_asks_for_what_is_needed_once() -> None:
    faults = validate.check(empty())

    assert ("severities", "promises_nothing") in {(each.path, each.code) for each in faults}
    assert len(faults) == len({each.path for each in faults})


def test_a_bilingual_contract_needs_each_text_twice() -> None:
    terms: Any = premium()
    terms["severities"][0]["label"] = {"en": "Critical"}

    faults = validate.check(terms, languages=("en", "fr"))

    assert [(each.path, each.code) for each in faults] == [("severities.S1.label.fr", "translation_missing")]
    assert validate.check(terms, languages=("en",)) == []


def test_faults_are_said_in_the_reader_s_language() -> None:
    terms: Any = premium()
    terms["uptime"]["tiers"][0]["below"] = "99.5"
    terms["uptime"]["tiers"] = terms["uptime"]["tiers"][:1]

    english = validate.check(terms, language="en")[0].message
    french = validate.check(terms, language="fr")[0].message

    assert english == "Between 99.5% and the target of 99.9% no row applies; start at the target."
    assert french.startswith("Entre 99,5\u202f% et l’objectif de 99,9\u202f%")


def test_every_rule_is_tried_here() -> None:
    tried = {code for _change, _path, code in SHAPE_CASES + RULE_CASES}
    elsewhere = {"two_caps", "clock_without_target", "promises_nothing", "translation_missing"}

    assert messages.codes() - tried == elsewhere


def test_faults_of_one_step_can_be_picked_out() -> None:
    terms: Any = premium()
    terms["uptime"]["target_pct"] = "x"
    terms["product"] = ""

    faults = validate.by_path(validate.check(terms), "uptime")

    assert [fault.path for fault in faults] == ["uptime.target_pct"]


# -- Whatever arrives ---------------------------------------------------------------------------

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**7)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["S1", "99.9", "2027-01-01", "always", "business", "EUR", "09:00", "24:00", "", "\ud800"]
    )
    | st.text(max_size=5)
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
WHOLE: Any = premium()


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for name, inner in inside for path in paths(inner, (*at, name)))]


@settings(deadline=None)
@given(ANYTHING)
def test_any_json_is_answered_with_faults(value: Any) -> None:
    faults = validate.check(value)

    assert faults
    assert all(fault.message and fault.code in messages.codes() for fault in faults)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(paths(WHOLE)[1:]), ANYTHING), min_size=1, max_size=4))
def test_a_contract_damaged_anywhere_never_raises(damages: list[tuple[tuple[Any, ...], Any]]) -> None:
    terms = json.loads(json.dumps(WHOLE))
    for path, value in damages:
        place = terms
        try:
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue

    assert isinstance(validate.check(terms, language="fr", languages=("en", "fr")), list)


def test_a_clean_document_is_read_unchanged() -> None:
    clean, problems = shape.read(WHOLE)

    assert problems == []
    assert clean == WHOLE
