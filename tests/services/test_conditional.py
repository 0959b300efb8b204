"""Clauses that hang on the terms come in and go out with them, and the draft says so."""

from __future__ import annotations

import copy

import pytest

from portal.models.templates import TemplateVersion
from portal.services import audit, conditional, drafts, new_contracts, revisions, templates, timeline
from portal.sla import conditions
from portal.sla.terms import empty
from tests.services.drafting import actor, answers
from tests.sla.samples import terms as sample_terms


def clause(key, when=""):
    made = {"key": key, "level": 1, "heading": {"en": key}, "text": {"en": key}}
    return made | ({"when": when} if when else {})


OFFERED = [clause("a"), clause("health", "phi"), clause("b"), clause("none", "no_phi")]


@pytest.fixture
def draft(cast, now):
    """Ana's draft from a template with two clauses that hang on health information."""
    templates.seed(now)
    version = templates.offered()[0]
    TemplateVersion.update(clauses=OFFERED).where(TemplateVersion.id == version.id).execute()
    return new_contracts.fast_lane(answers(cast), owner=cast.ana, by=actor(cast.ana), now=now)


def set_phi(contract, cast, now, phi):
    values = drafts.section_of(revisions.current(contract).terms, "law")
    seen = drafts.mark(values)
    drafts.save_terms(
        contract, "law", {**values, "commercial.phi": phi}, seen=seen, by=actor(cast.ana), now=now
    )


def keys(contract):
    return [each["key"] for each in revisions.current(contract).clauses]


def test_a_new_draft_has_the_clauses_its_terms_ask_for(draft):
    assert keys(draft) == ["a", "b", "none"]
    stand = conditional.standing(draft, revisions.current(draft))
    assert [(each.key, each.holds, each.is_in) for each in stand] == [
        ("health", False, False), ("none", True, True),
    ]  # fmt: skip


def test_a_change_of_the_terms_brings_clauses_in_and_out_and_tells(draft, cast, now):
    set_phi(draft, cast, now, True)

    assert keys(draft) == ["a", "health", "b"]
    event = audit.history(draft.id)[0]
    assert (event["facts"]["clauses_in"], event["facts"]["clauses_out"]) == (["health"], ["none"])
    assert timeline.of(draft)[0].text == "Ana changed the draft, 1 clause came in, 1 clause went out"
    base = revisions.base(draft)
    assert [each["key"] for each in base.clauses] == ["a", "health", "b"]

    set_phi(draft, cast, now, False)
    assert keys(draft) == ["a", "b", "none"]


def test_what_people_took_out_stays_out_until_the_condition_turns(draft, cast, now):
    drafts.remove_clause(draft, "none", by=actor(cast.ana), now=now)
    values = drafts.section_of(revisions.current(draft).terms, "dates")
    drafts.save_terms(
        draft, "dates", {**values, "commercial.length_months": 24}, seen=drafts.mark(values),
        by=actor(cast.ana), now=now,
    )  # fmt: skip

    assert keys(draft) == ["a", "b"]


def test_each_condition_is_decided_by_the_terms():
    nothing = empty("customer")
    assert {key for key in conditions.CONDITIONS if conditions.holds(key, nothing)} == {"no_phi", "customer"}
    full = copy.deepcopy(sample_terms("sales-critical-24x7", "premium"))
    full["commercial"]["phi"] = True
    assert {key for key in conditions.CONDITIONS if conditions.holds(key, full)} >= {
        "phi", "24x7", "uptime", "credits", "peaks", "supplier",
    }  # fmt: skip


def test_a_condition_that_is_no_longer_known_leaves_its_clause_in():
    assert conditions.applying([clause("x", "forgotten")], empty("supplier"))
