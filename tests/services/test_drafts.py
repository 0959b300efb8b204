"""Changing a draft section by section; two people at once."""

from __future__ import annotations

import pytest

from portal.errors import Conflict, Invalid
from portal.models.contracts import Contract
from portal.services import audit, contracts, drafts, revisions
from tests.services.drafting import actor, draft


def section(contract: Contract, name: str) -> tuple[dict, str]:
    value = drafts.section_of(revisions.current(contract).terms, name)
    return value, drafts.mark(value)


def test_sections_cover_every_field_of_the_terms_once(cast, now):
    terms = revisions.current(draft(cast, now)).terms
    paths = [path for paths in drafts.SECTIONS.values() for path in paths]
    whole = {path.split(".")[0] for path in paths}

    assert len(paths) == len(set(paths))
    assert whole == set(terms) - {"schema", "side"}
    assert {f"commercial.{name}" for name in terms["commercial"]} == {
        p for p in paths if p.startswith("commercial")
    }


def test_saving_a_section_updates_what_lists_show(cast, now):
    contract = draft(cast, now)
    values, seen = section(contract, "money")
    values["commercial.fee"] = "1000.00"

    drafts.save_terms(contract, "money", values, seen=seen, by=actor(cast.ana), now=now)

    stored = Contract.get_by_id(contract.id)
    assert stored.value_amount == 36000
    assert stored.version == 2
    assert audit.history(contract.id)[0]["facts"] == {"section": "money", "revision": 1}


def test_the_second_of_two_editors_sees_the_firsts_text(cast, now):
    contract = draft(cast, now)
    values, seen = section(contract, "uptime")
    values["uptime"]["target_pct"] = "99.95"
    values["uptime"]["tiers"][0]["below"] = "99.95"
    drafts.save_terms(contract, "uptime", values, seen=seen, by=actor(cast.ben), now=now)
    mine = {"uptime": None}

    with pytest.raises(drafts.Changed) as changed:
        drafts.save_terms(contract, "uptime", mine, seen=seen, by=actor(cast.ana), now=now)

    assert changed.value.theirs["uptime"]["target_pct"] == "99.95"
    assert changed.value.by_name == "Ben"
    drafts.save_terms(
        contract, "uptime", mine, seen=drafts.mark(changed.value.theirs), by=actor(cast.ana), now=now
    )
    assert revisions.current(contract).terms["uptime"] is None


def test_two_editors_of_different_sections_never_meet(cast, now):
    contract = draft(cast, now)
    money, seen_money = section(contract, "money")
    dates, seen_dates = section(contract, "dates")
    money["commercial.fee"] = "1.00"
    dates["commercial.length_months"] = 12

    drafts.save_terms(contract, "money", money, seen=seen_money, by=actor(cast.ben), now=now)
    drafts.save_terms(contract, "dates", dates, seen=seen_dates, by=actor(cast.ana), now=now)

    assert Contract.get_by_id(contract.id).value_amount == 12


def test_what_has_the_wrong_shape_is_not_stored(cast, now):
    contract = draft(cast, now)
    values, seen = section(contract, "severities")
    values["severities"][0]["response"] = {"min": -5, "calendar": "always"}

    with pytest.raises(Invalid) as refused:
        drafts.save_terms(contract, "severities", values, seen=seen, by=actor(cast.ana), now=now)

    assert list(refused.value.errors) == ["severities.S1.response.min"]


def test_saving_the_same_again_leaves_no_trace(cast, now):
    contract = draft(cast, now)
    values, seen = section(contract, "scope")
    before = len(audit.history(contract.id))

    drafts.save_terms(contract, "scope", values, seen=seen, by=actor(cast.ana), now=now)

    assert len(audit.history(contract.id)) == before


def test_a_fixed_text_is_not_changed(cast, now):
    contract = draft(cast, now)
    values, seen = section(contract, "scope")
    revisions.make_ready(contract, by=actor(cast.ana), now=now)

    with pytest.raises(Conflict):
        drafts.save_terms(contract, "scope", values, seen=seen, by=actor(cast.ana), now=now)


def test_clauses_are_added_moved_and_removed(cast, now):
    contract = draft(cast, now)
    ana = actor(cast.ana)
    first, second = (each["key"] for each in revisions.current(contract).clauses[:2])

    made = drafts.add_clause(contract, first, by=ana, now=now)
    drafts.move_clause(contract, made, -1, by=ana, now=now)
    drafts.remove_clause(contract, second, by=ana, now=now)

    keys = [each["key"] for each in revisions.current(contract).clauses]
    assert keys[:2] == [made, first]
    assert second not in keys


def test_a_clause_saved_by_two_is_kept_for_the_second(cast, now):
    contract = draft(cast, now)
    clause = drafts.clause(revisions.current(contract), "purpose")
    words = {"heading": {"fr": "But"}, "level": 1, "seen": drafts.mark(clause), "now": now}
    drafts.save_clause(contract, "purpose", text={"fr": "Le mien."}, by=actor(cast.ben), **words)

    with pytest.raises(drafts.Changed) as changed:
        drafts.save_clause(contract, "purpose", text={"fr": "Le tien."}, by=actor(cast.ana), **words)

    assert changed.value.theirs["text"]["fr"] == "Le mien."
    assert changed.value.theirs["text"]["en"]  # the language not edited keeps its words


def test_people_are_named_by_role_and_the_owner_stays(cast, now):
    contract = draft(cast, now)

    drafts.save_people(
        contract,
        [("theirs", "it", cast.claire.id), ("ours", "legal", cast.ben.id)],
        by=actor(cast.ana),
        now=now,
    )

    named = {(each.side, each.role) for each in contracts.people(contract)}
    assert named == {("ours", "owner"), ("theirs", "it"), ("ours", "legal")}
