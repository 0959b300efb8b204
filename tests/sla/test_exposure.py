"""The worst a year of credits can cost, against figures worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from portal.sla import exposure
from tests.sla.samples import premium, terms


def worst(document: Any) -> Decimal | None:
    return exposure.worst_year(document).amount


def without_breaches(document: Any, cap: str | None = None) -> Any:
    document["credits"]["breaches"] = []
    document["credits"]["caps"]["period_pct"] = cap
    return document


def test_with_credits_for_misses_the_cap_of_the_period_is_the_worst() -> None:
    # EUR 12,500 a month, at most 30% of each month: 12 x 3,750.
    assert worst(premium()) == Decimal("45000.00")


def test_without_such_credits_it_is_the_lowest_tier() -> None:
    # Below 99% 25% of the month: 12 x 3,125; a cap of 30% takes nothing off it, one of 20% does.
    assert worst(without_breaches(premium())) == Decimal("37500.00")
    assert worst(without_breaches(premium(), "30")) == Decimal("37500.00")
    assert worst(without_breaches(premium(), "20")) == Decimal("30000.00")


def test_the_limits_of_a_year_and_of_the_whole_contract_count_too() -> None:
    document = premium()
    document["credits"]["caps"]["year_pct"] = "10"
    assert worst(document) == Decimal("15000.00")  # of 150,000

    document["credits"]["caps"]["year_amount"] = "9000.00"
    assert worst(document) == Decimal("9000.00")

    document["credits"]["caps"]["term_pct"] = "2"
    assert worst(document) == Decimal("6000.00")  # of 300,000 in two years


def test_proportional_and_daily_credits_add_up() -> None:
    document = without_breaches(premium())
    document["credits"]["proportional"] = {"multiple": "2"}
    assert worst(document) == Decimal("337500.00")  # 25% and twice the fee, of 150,000

    document["credits"]["per_day"] = {"over_min": 60, "hourly_multiple": "12"}
    assert worst(document) == Decimal("412500.00")  # each day 12 of its 24 hours: another half


def test_any_number_of_misses_without_a_cap_has_no_limit() -> None:
    document = premium()
    document["credits"]["caps"]["period_pct"] = None

    assert exposure.worst_year(document) == exposure.Exposure(None, is_limited=False)


def test_a_fee_by_the_quarter_is_a_year_of_four() -> None:
    document = terms("business-hours", "standard", fee=Decimal("3000.00"), fee_period="quarter")

    assert worst(document) == Decimal("1800.00")  # 15% of 12,000


def test_without_a_fee_nothing_is_said_and_without_credits_nothing_is_at_stake() -> None:
    document = premium()
    document["commercial"]["fee"] = None
    assert exposure.worst_year(document) == exposure.Exposure(None)

    plain = without_breaches(premium())
    plain["uptime"]["tiers"] = []
    assert worst(plain) == Decimal("0.00")
