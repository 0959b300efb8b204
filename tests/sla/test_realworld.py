"""Every real table goes in without loss, except what docs/sla.md says a contract must decide."""

from __future__ import annotations

from typing import Any

import pytest

from portal.sla import validate
from tests.sla.realworld import facts, from_table, table_facts
from tests.sla.samples import shared

IDS = (
    *("amplication-2023", "govuk-pay", "zitadel-support-2023", "iplicit-clause", "izymes", "jabetto"),
    *("bonterms-sla-1.0", "commonpaper-sla-2.0", "basecamp-big"),
)
LEFT_OPEN = {"required", "empty_hours", "promises_nothing"}  # what a source does not state


def table(name: str) -> dict[str, Any]:
    tables = shared("realworld/sla_tables.json")["tables"]
    return next(each for each in tables if each["id"] == name)


def test_no_table_is_forgotten() -> None:
    assert tuple(each["id"] for each in shared("realworld/sla_tables.json")["tables"]) == IDS


@pytest.mark.parametrize("name", IDS)
def test_every_fact_of_a_real_table_can_be_read_back(name: str) -> None:
    given = table(name)
    terms, losses = from_table(given)

    said, kept = table_facts(given), facts(terms, given)

    differing = {path for path in said.keys() | kept.keys() if said.get(path) != kept.get(path)}
    assert differing == set(losses)


@pytest.mark.parametrize("name", IDS)
def test_a_real_table_is_a_lawful_document(name: str) -> None:
    terms, _losses = from_table(table(name))

    assert {fault.code for fault in validate.check(terms)} <= LEFT_OPEN


def test_only_unstated_hours_and_closed_ranges_are_lost() -> None:
    lost = {path.rsplit(".", 1)[-1] for name in IDS for path in from_table(table(name))[1]}

    assert lost == {"counts", "range"}


def test_the_contradiction_of_a_real_table_is_caught_in_words() -> None:
    terms, _losses = from_table(table("amplication-2023"))
    terms["severities"][0]["description"] = {"en": "Answered within 1 business hour (24/7 x 365)"}

    faults = validate.check(terms)

    assert ("severities.urgent.label", "contradictory_label") in {(each.path, each.code) for each in faults}
