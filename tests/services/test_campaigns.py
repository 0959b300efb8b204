"""Contracts in force are brought to a newer version of their template, each once."""

from __future__ import annotations

import pytest

from portal.errors import Conflict, Invalid
from portal.models.campaigns import CampaignContract
from portal.models.contracts import Contract, Revision
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.models.templates import TemplateVersion
from portal.services import campaigns, jobs, notices, revisions, template_comparison, templates
from portal.services.audit import SYSTEM
from tests.services.drafting import actor, draft


def newer(version, now, **changes):
    """The next version: the purpose in new words, the third clause gone, one more at the end."""
    clauses = [dict(each) for each in version.clauses]
    clauses[0] = {**clauses[0], "text": {"en": "New purpose.", "fr": "Nouvel objet."}}
    del clauses[2]
    clauses.append(
        {"key": "extra", "level": 1, "heading": {"en": "Extra"}, "text": {"en": "More.", "fr": "Plus."}}
    )
    return templates.publish(
        version.template.key, version.template.name, clauses, version.levels, change_note="Clearer",
        by=SYSTEM, now=now,
    )  # fmt: skip


def live(cast, now, **changes):
    made = draft(cast, now, **changes)
    Contract.update(state="active").where(Contract.id == made.id).execute()
    return Contract.get_by_id(made.id)


def start(version, contracts, cast, now, note="New purpose for all"):
    return campaigns.start(
        version, [each.reference for each in contracts], note, person=cast.ada, by=actor(cast.ada), now=now
    )


def test_each_contract_gets_one_draft_for_its_owner(cast, now, run_jobs):
    contracts = [live(cast, now), live(cast, now, product="Second")]
    version = newer(contracts[0].template_version, now)
    assert campaigns.live_counts(version.template) == {contracts[0].template_version.id: 2, version.id: 0}

    campaign = start(version, contracts, cast, now)
    run_jobs()

    rows = campaigns.rows(campaign)
    assert [row.problem for row in rows] == ["", ""]
    drafts = [row.draft for row in rows]
    assert {each.owner.id for each in drafts} == {cast.ana.id}
    assert [each.copied_from_id for each in drafts] == [each.id for each in contracts]
    assert all(each.template_version == version and each.state == "draft" for each in drafts)
    text = revisions.current(drafts[0])
    assert [each["key"] for each in text.clauses] == [each["key"] for each in version.clauses]
    assert text.terms == revisions.current(contracts[0]).terms
    assert revisions.base(drafts[0]).clauses == text.clauses
    assert campaigns.get(campaign.id).ended_at == now
    words, _html = notices.read(Notice.get(Notice.contract_id == drafts[0].id))
    assert "New purpose for all" in words
    assert f"/contracts/{drafts[0].reference}/draft" in words


def test_the_job_may_run_twice_and_goes_on_where_it_stopped(cast, now, run_jobs):
    contracts = [live(cast, now), live(cast, now, product="Second")]
    version = newer(contracts[0].template_version, now)
    campaign = start(version, contracts, cast, now)
    job = jobs.claim("first", now)
    campaigns.make(campaigns.rows(campaign)[0], jobs.Context(job.id, "first", job.attempts, lambda: now))
    Job.update(status="ready", lease_owner=None, lease_until=None).where(Job.id == job.id).execute()

    run_jobs()
    Job.update(status="ready", run_at=now).where(Job.kind == "make_amendments").execute()
    run_jobs()

    assert Contract.select().where(Contract.copied_from_id.is_null(False)).count() == 2
    assert Notice.select().where(Notice.kind == "campaign_draft").count() == 2


def test_what_was_agreed_beside_the_template_stays(cast, now, run_jobs):
    contract = live(cast, now)
    old = contract.template_version
    text = revisions.current(contract)
    clauses = [dict(each) for each in text.clauses]
    agreed = {**clauses[0], "text": {"en": "Agreed purpose."}}
    own = {"key": "clause-1", "level": 1, "heading": {"en": "Own"}, "text": {"en": "Only here."}}
    Revision.update(clauses=[agreed, own, *clauses[2:]]).where(Revision.id == text.id).execute()

    start(newer(old, now), [contract], cast, now)
    run_jobs()

    made = revisions.current(CampaignContract.get().draft)
    assert made.clauses[:2] == [agreed, own]
    present = {each["key"] for each in made.clauses}
    assert clauses[1]["key"] not in present  # taken out by agreement
    assert clauses[2]["key"] not in present  # gone from the template
    assert "extra" in present


def test_a_contract_that_ended_meanwhile_is_named_and_the_others_go_on(cast, now, run_jobs):
    contracts = [live(cast, now), live(cast, now, product="Second")]
    version = newer(contracts[0].template_version, now)
    campaign = start(version, contracts, cast, now)
    Contract.update(state="terminated").where(Contract.id == contracts[0].id).execute()

    run_jobs()

    assert [bool(row.draft) for row in campaigns.rows(campaign)] == [False, True]
    assert campaigns.rows(campaign)[0].problem == "It is no longer in force."


def test_starting_needs_contracts_a_note_and_the_newest_version(cast, now):
    contract = live(cast, now)
    old = contract.template_version
    with pytest.raises(Invalid, match="no longer in force on an older version"):
        start(old, [contract], cast, now)
    version = newer(old, now)
    with pytest.raises(Invalid, match="Say what changes"):
        start(version, [contract], cast, now, note=" ")
    with pytest.raises(Invalid, match="at least one"):
        start(version, [], cast, now)
    with pytest.raises(Conflict, match="newer version"):
        start(old, [contract], cast, now)


# -- Comparing two versions ---------------------------------------------------------------------


def test_two_versions_are_compared_word_by_word_and_promise_by_promise(cast, now):
    old = draft(cast, now).template_version
    new = newer(old, now)
    levels = {key: {**each, "terms": {**each["terms"]}} for key, each in new.levels.items()}
    maintenance = {**levels["premium"]["terms"]["maintenance"], "min_notice_h": 24}
    levels["premium"]["terms"]["maintenance"] = maintenance
    TemplateVersion.update(levels=levels).where(TemplateVersion.id == new.id).execute()

    found = template_comparison.compare(old, TemplateVersion.get_by_id(new.id), "en")

    assert [(each.key, each.kind) for each in found.clauses if each.kind != "moved"] == [
        (old.clauses[0]["key"], "changed"), (old.clauses[2]["key"], "removed"), ("extra", "added"),
    ]  # fmt: skip
    ops = found.clauses[0].words["en"]
    assert "New purpose." in "".join(op.text for op in ops if op.op == "insert")
    assert [level.kind for level in found.levels] == ["changed"]
    assert "120 hours" in found.levels[0].differences[0].was
    assert "24 hours" in found.levels[0].differences[0].now
    assert template_comparison.compare(old, old, "en").is_same


def test_the_fewest_clauses_count_as_moved():
    assert template_comparison.out_of_order(list("abcde"), list("eabcd")) == {"e"}
    assert template_comparison.out_of_order(list("abc"), list("axbc")) == set()
