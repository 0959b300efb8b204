from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from portal.sla import ladder
from portal.sla.ladder import Judged


def level(key: str, number: str | None, template: str | None, *, owed_by_us: bool = True) -> Judged:
    given, was = (None if each is None else Decimal(each) for each in (number, template))
    return ladder.judged(key, given, was, owed_by_us=owed_by_us)


@pytest.mark.parametrize(
    ("key", "template", "number", "expected", "role"),
    [
        ("severities.S1.response", "30", "30", "acceptable", ""),
        ("severities.S1.response", "30", "20", "acceptable", ""),
        ("severities.S1.response", "30", "19", "approval", "service_approver"),
        ("severities.S1.response", "30", "10", "approval", "service_approver"),
        ("severities.S1.response", "30", "9", "not_allowed", ""),
        ("severities.S1.response", "30", "45", "acceptable", ""),
        ("severities.S1.response", "30", None, "acceptable", ""),
        ("severities.S1.resolution", "480", "360", "acceptable", ""),
        ("severities.S1.resolution", "480", "359", "approval", "service_approver"),
        ("severities.S1.resolution", "480", "239", "approval", "executive"),
        ("severities.S1.resolution", "480", "119", "not_allowed", ""),
        ("uptime.target_pct", "99.5", "99.9", "acceptable", ""),
        ("uptime.target_pct", "99.5", "99.91", "approval", "service_approver"),
        ("uptime.target_pct", "99.5", "99.99", "approval", "executive"),
        ("uptime.target_pct", "99.5", "99.995", "not_allowed", ""),
        ("credits.caps.period_pct", "10", "15", "acceptable", ""),
        ("credits.caps.period_pct", "10", "15.01", "approval", "finance"),
        ("credits.caps.period_pct", "10", "50", "approval", "executive"),
        ("credits.caps.period_pct", "10", "51", "not_allowed", ""),
        ("credits.caps.period_pct", "10", None, "not_allowed", ""),
        ("commercial.liability_cap", "12", "24", "approval", "legal"),
        ("commercial.liability_cap", "12", "36", "approval", "executive"),
        ("commercial.liability_cap", "12", "6", "acceptable", ""),
        ("commercial.liability_cap", "12", None, "not_allowed", ""),
        ("maintenance.min_notice_h", "120", "72", "acceptable", ""),
        ("maintenance.min_notice_h", "120", "71", "approval", "service_approver"),
        ("maintenance.min_notice_h", "120", "23", "not_allowed", ""),
        ("maintenance.min_notice_h", "120", "721", "not_allowed", ""),
    ],
)
def test_a_number_falls_into_its_range(
    key: str, template: str, number: str | None, expected: str, role: str
) -> None:
    assert level(key, number, template) == Judged(expected, role)  # type: ignore[arg-type]


def test_what_costs_no_more_than_the_template_is_acceptable_wherever_it_lies() -> None:
    assert level("severities.S1.resolution", "300", "240") == Judged("acceptable")
    assert level("credits.caps.period_pct", "40", "50") == Judged("acceptable")


def test_where_the_other_side_owes_it_only_less_than_the_template_asks() -> None:
    assert level("severities.S1.response", "5", "30", owed_by_us=False) == Judged("acceptable")
    assert level("severities.S1.response", "31", "30", owed_by_us=False) == Judged(
        "approval", "service_approver"
    )
    assert level("commercial.liability_cap", None, "12", owed_by_us=False) == Judged("acceptable")
    assert level("commercial.liability_cap", "6", "12", owed_by_us=False) == Judged("approval", "legal")


@pytest.mark.parametrize("key", ladder.LADDERS)
def test_ranges_touch_and_leave_no_hole_between_them(key: str) -> None:
    ranges = ladder.LADDERS[key].ranges
    bounds = sorted({Decimal(b) for each in ranges for b in (each.low, each.high) if b is not None})

    for low, high in itertools.pairwise(bounds):
        assert any(each.holds((low + high) / 2) for each in ranges)
