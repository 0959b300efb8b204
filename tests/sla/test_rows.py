"""The rows that are negotiated one by one: each value is written, and read back as the same value."""

from __future__ import annotations

import pytest

from portal.i18n import LANGUAGES, use
from portal.sla import levels, rows, shape, validate
from tests.sla.samples import terms as terms_of

EVERY = [pytest.param(template, level, id=f"{template}-{level}") for template, level in levels.PRESETS]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("template", "level"), EVERY)
def test_every_value_is_read_back_as_it_was_written(template, level, language):
    terms = terms_of(template, level)
    written = rows.rows(terms, language)

    assert len({row.key for row in written}) == len(written) > 25
    for row in written:
        with use(language):
            assert rows.read(terms, row.key, row.text) == row.value, row
        assert rows.value_at(terms, row.key) == row.value
        assert row.group in rows.GROUPS


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("severities.S1.response", "15 min", {"min": 15, "calendar": "always"}),
        ("severities.S1.response", "1 h 30 min (Business hours)", {"min": 90, "calendar": "business"}),
        ("severities.S1.response", "2 heures, jour et nuit", {"min": 120, "calendar": "always"}),
        ("severities.S3.response", "3 working days", {"service_days": 3, "calendar": "business"}),
        ("severities.S1.resolution", "the next release", {"release": "next"}),
        ("severities.S1.update", "–", None),
        ("severities.S1.update", "every 2 hours", {"min": 120, "calendar": "always"}),
        ("uptime.target_pct", "99,95 %", "99.95"),
        ("commercial.fee", "12 500,50 EUR", "12500.50"),
        ("commercial.fee", "€12,500", "12500.00"),
        ("commercial.start_on", "31/01/2027", "2027-01-31"),
        ("commercial.notice", "2 mois", {"value": 2, "unit": "months", "form": "email"}),
        ("commercial.liability_cap", "24 months of fees", {"fee_months": 24}),
        ("commercial.liability_cap", "1000000 EUR", {"amount": "1000000.00"}),
        ("maintenance.cap_h_per_period", "2.5", "2.5"),
    ],
)
def test_people_write_values_as_they_please(key, typed, value):
    terms = terms_of("sales-critical-24x7", "premium")
    terms["commercial"]["notice"] = {"value": 3, "unit": "months", "form": "email"}

    assert rows.read(terms, key, typed) == value
    changed = rows.change(terms, key, value)
    assert rows.value_at(changed, key) == value
    assert not shape.read(changed)[1]


@pytest.mark.parametrize(
    ("key", "typed"),
    [
        ("severities.S1.response", "soon"),
        ("severities.S1.response", "0 min"),
        ("severities.S1.response", "30 min (Office hours)"),
        ("uptime.target_pct", "101 %"),
        ("uptime.target_pct", "high"),
        ("commercial.fee", "12500 USD"),
        ("commercial.fee", "–"),
        ("commercial.start_on", "31/02/2027"),
        ("commercial.length_months", "2.5"),
        ("product", ""),
    ],
)
def test_what_means_nothing_is_refused_with_a_sentence(key, typed):
    terms = terms_of("sales-critical-24x7", "premium")

    with pytest.raises(rows.Unreadable) as refused:
        rows.read(terms, key, typed)
    assert str(refused.value).endswith(".")


def test_a_changed_row_leaves_all_others_alone():
    terms = terms_of("business-hours", "standard")

    changed = rows.change(terms, "severities.S2.response", {"min": 45, "calendar": "business"})

    assert terms["severities"][1]["response"] != changed["severities"][1]["response"]
    before, after = rows.by_key(terms, "en"), rows.by_key(changed, "en")
    assert [key for key in before if before[key] != after[key]] == ["severities.S2.response"]
    assert validate.check(changed, language="en", languages=["en"]) == []


def test_an_unknown_row_is_an_error():
    with pytest.raises(KeyError):
        rows.read(terms_of("business-hours", "basic"), "severities.S9.response", "1 h")
