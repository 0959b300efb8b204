from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from portal.sla import calendars, duration, levels, money, validate
from portal.sla.canonical import canonical
from portal.sla.terms import Terms, empty, row
from tests.sla.samples import premium, terms


@pytest.mark.parametrize(("template", "level"), list(levels.PRESETS))
@pytest.mark.parametrize("country", ["FR", "GB", "US", "CH"])
def test_every_preset_is_ready_to_send(template: str, level: str, country: str) -> None:
    document = terms(template, level, country=country, side="customer")

    assert validate.check(document, languages=("en", "fr")) == []
    assert document["side"] == "customer"
    assert canonical(document)


def test_each_template_has_three_levels() -> None:
    assert set(levels.PRESETS) == {(each, level) for each in levels.TEMPLATES for level in levels.LEVELS}


def test_without_a_country_only_the_law_is_left_open() -> None:
    faults = validate.check(premium(country=None))

    assert {fault.path for fault in faults} == {"commercial.governing_law", "commercial.courts"}


def test_each_year_of_the_contract_has_its_peak() -> None:
    document = premium(start_on=date(2026, 12, 1), length_months=24)

    assert [each["key"] for each in document["peaks"]] == ["peak-2026", "peak-2027", "peak-2028"]
    assert document["release"]["freezes"][0]["key"] == "freeze-2026"
    assert premium(start_on=date(2027, 2, 1), length_months=6)["peaks"] == []


def test_a_short_contract_does_not_renew_by_itself() -> None:
    document = premium(length_months=3)

    assert document["commercial"]["renewal"]["kind"] == "none"
    assert validate.check(document) == []


# -- Holidays ---------------------------------------------------------------------------------


def test_holidays_are_cut_to_the_contract_and_named_in_both_languages() -> None:
    found = calendars.holiday_overrides("FR", None, date(2026, 12, 25), date(2027, 1, 1))

    assert found == [
        {"date": "2026-12-25", "hours": [], "name": {"en": "Christmas Day", "fr": "Noël"}},
        {"date": "2027-01-01", "hours": [], "name": {"en": "New Year's Day", "fr": "Jour de l'an"}},
    ]


def test_substitute_days_and_our_own_french_names() -> None:
    found = calendars.holiday_overrides("GB", "ENG", date(2026, 12, 25), date(2026, 12, 31))
    names: dict[Any, Any] = {each["date"]: each["name"]["fr"] for each in found}

    assert names == {
        "2026-12-25": "Noël",
        "2026-12-26": "Lendemain de Noël",
        "2026-12-28": "Lendemain de Noël (reporté)",
    }


@pytest.mark.parametrize(("country", "part"), [("XX", None), ("FR", "nowhere"), ("__name__", None)])
def test_an_unknown_place_has_no_holidays(country: str, part: str | None) -> None:
    assert calendars.holiday_overrides(country, part, date(2026, 1, 1), date(2026, 12, 31)) == []


# -- Time and money ---------------------------------------------------------------------------


def contract(**commercial: Any) -> Terms:
    document = empty()
    document["commercial"] |= commercial  # type: ignore[typeddict-item]
    return document


@pytest.mark.parametrize(
    ("start", "months", "last"),
    [
        ("2027-01-01", 12, date(2027, 12, 31)),
        ("2027-01-31", 1, date(2027, 2, 27)),
        ("2024-02-29", 12, date(2025, 2, 27)),
        ("2027-03-15", 24, date(2029, 3, 14)),
    ],
)
def test_a_length_ends_the_day_before_its_date_comes_round(start: str, months: int, last: date) -> None:
    assert duration.last_day(contract(start_on=start, length_months=months)) == last


@pytest.mark.parametrize(
    ("value", "unit", "deadline"),
    [(3, "months", date(2027, 9, 30)), (1, "months", date(2027, 11, 30)), (90, "days", date(2027, 10, 2))],
)
def test_the_notice_deadline_follows_its_unit(value: int, unit: str, deadline: date) -> None:
    notice = {"value": value, "unit": unit, "form": "email"}
    document = contract(start_on="2027-01-01", length_months=12, notice=notice)

    assert duration.notice_deadline(document) == deadline


def test_fees_in_any_period_give_the_same_value() -> None:
    span = {"start_on": "2027-01-01", "length_months": 24, "currency": "EUR"}

    values = {
        money.value(contract(fee=fee, fee_period=period, **span))
        for fee, period in (("1000.00", "month"), ("3000.00", "quarter"), ("12000.00", "year"))
    }

    assert values == {Decimal("24000.00")}


def test_a_peak_level_and_spare_days_are_part_of_the_value() -> None:
    document = contract(fee="3000.00", start_on="2027-01-01", end_on="2027-02-15", currency="EUR")
    document["commercial"]["peak_level"] = {
        "from": "2027-01-01",
        "to": "2027-01-31",
        "level": "premium",
        "price": "500.00",
    }

    assert money.value(document) == Decimal("5000.00")


def test_liability_is_an_amount_where_it_can_be_known() -> None:
    document = premium()

    assert money.liability(document) == Decimal("150000.00")
    document["commercial"]["liability_cap"] = {"amount": "99000.00"}
    assert money.liability(document) == Decimal("99000.00")
    document["commercial"]["liability_cap"] = None
    assert money.liability(document) is None


def test_a_row_is_found_by_its_key() -> None:
    document = premium()

    assert row(document["severities"], "S2") is document["severities"][1]
    assert row(document["severities"], "S9") is None
