from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from portal import failpoints
from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.models.contracts import Contract, Document, Revision
from portal.models.jobs import Job
from portal.models.lives import ContractLife
from portal.models.people import PersonRole
from portal.services import (
    archiving,
    audit,
    audit_chains,
    contract_search,
    contracts,
    deletions,
    documents,
    existing,
    installation,
    jobs,
    lives,
    permissions,
    readiness,
    retention,
    verification,
)
from portal.services.contract_search import Filters
from tests.services import existing as samples
from tests.services.drafting import actor

CLOSED = date(2025, 11, 20)


class Killed(BaseException):
    """As the process ends."""


@pytest.fixture
def lena(cast):
    from tests.cast import person

    return person("Lena", datetime(2026, 1, 1, tzinfo=UTC), ("legal",))


@pytest.fixture
def closed(cast, now):
    """A contract that was closed a year and some days ago."""
    made = existing.register(samples.said(cast), samples.pdf(), "x.pdf", by=actor(cast.ana), now=now)
    Contract.update(state="completed").where(Contract.id == made.id).execute()
    ContractLife.update(closed_on=CLOSED).where(ContractLife.contract == made).execute()
    return Contract.get_by_id(made.id)


@pytest.fixture
def run_archive(run_jobs):
    count = iter(range(100))

    def run(now):
        jobs.add("archive_contracts", now=now, key=f"archive:{next(count)}")
        run_jobs(now, strict=False)

    return run


def state(contract):
    return Contract.get_by_id(contract.id).state


def at(*parts):
    return datetime(*parts, 9, tzinfo=UTC)


def test_a_closed_contract_is_archived_after_365_days_and_leaves_the_daily_lists(closed, cast, run_archive):
    run_archive(at(2026, 11, 19))
    assert state(closed) == "completed"
    run_archive(at(2026, 11, 20))

    life = lives.of(closed)
    assert state(closed) == "archived"
    assert life.retain_until == date(2035, 11, 20)
    assert (life.checked_at, life.check_problem) == (at(2026, 11, 20), "")
    assert contract_search.page(cast.ana, Filters()).contracts == []
    for filters in (Filters(words="castellan"), Filters(state="archived")):
        assert [each.id for each in contract_search.page(cast.ana, filters).contracts] == [closed.id]


def test_days_are_those_of_the_setting(closed, cast, now, run_archive):
    retention.change(retention.Policy(400, 12), by=actor(cast.ada), now=now)
    run_archive(at(2026, 11, 25))
    assert state(closed) == "completed"
    retention.change(retention.Policy(30, 12), by=actor(cast.ada), now=now)
    run_archive(at(2026, 11, 25))
    assert lives.of(closed).retain_until == date(2037, 11, 20)
    with pytest.raises(Invalid):
        retention.change(retention.Policy(-1, 0), by=actor(cast.ada), now=now)


def test_a_bare_file_is_archived_after_its_signing(cast, now, run_archive):
    bare = Contract.create(
        reference="LF-2025-0009", title="NDA", kind="file", side="supplier", state="signed", owner=cast.ana,
        entity=cast.entity, counterparty=cast.customer, created_at=now, updated_at=now,
    )  # fmt: skip
    Revision.create(contract=bare, number=1, clauses=[], terms={}, created_at=now)
    lives.begin(bare, signed_on=date(2025, 11, 24), now=now)

    run_archive(at(2026, 11, 23))
    assert state(bare) == "signed"
    run_archive(at(2026, 11, 24))
    assert state(bare) == "archived"


def test_health_data_is_kept_six_years_from_the_last_day_in_force(closed, cast, now, run_archive):
    retention.change(retention.Policy(365, 2), by=actor(cast.ada), now=now)
    Contract.update(has_phi=True, end_on=date(2026, 12, 31)).where(Contract.id == closed.id).execute()

    run_archive(at(2026, 11, 25))

    assert lives.of(closed).retain_until == date(2032, 12, 31)


def test_a_hold_keeps_it_out_and_the_page_says_why(closed, cast, lena, now, run_archive):
    with pytest.raises(NotAllowed):
        archiving.hold(closed, "Dispute", person=cast.ana, by=actor(cast.ana), now=now)
    with pytest.raises(Invalid):
        archiving.hold(closed, " ", person=lena, by=actor(lena), now=now)
    archiving.hold(closed, "Dispute over March", person=lena, by=actor(lena), now=now)

    run_archive(at(2026, 11, 25))

    assert state(closed) == "completed"
    assert lives.of(closed).wait_reasons == ["held"]
    assert archiving.waits(closed, lives.of(closed), at(2026, 11, 25)) == ["It is held: Dispute over March"]
    archiving.lift(closed, "Settled", person=lena, by=actor(lena), now=now)
    with pytest.raises(Conflict):
        archiving.lift(closed, "Settled", person=lena, by=actor(lena), now=now)
    run_archive(at(2026, 11, 25))
    assert state(closed) == "archived"
    assert [e["act"] for e in audit.history(closed.id)][:3] == [
        "contract.archived",
        "hold.lifted",
        "hold.set",
    ]


def damage(contract):
    document = documents.of(contract, "executed")[0]
    Document.update(sha256="0" * 64).where(Document.id == document.id).execute()


def test_a_damaged_file_keeps_it_out_and_shows_on_operations(closed, run_archive, now):
    damage(closed)

    run_archive(at(2026, 11, 25))

    assert state(closed) == "completed"
    assert lives.of(closed).wait_reasons == ["damaged"]
    concerns = {each.key: each.sentence for each in readiness.concerns(now)}
    assert closed.reference in concerns["archive-damaged"]


def test_files_are_compared_again_each_year(closed, run_archive):
    run_archive(at(2026, 11, 25))
    damage(closed)
    run_archive(at(2027, 11, 24))
    assert lives.of(closed).check_problem == ""
    run_archive(at(2027, 11, 25))

    assert "executed" in lives.of(closed).check_problem
    assert audit.history(closed.id, limit=1)[0]["act"] == "archive.checked"


def test_legal_alone_takes_it_out_again_and_it_stays_out(closed, cast, lena, now, run_archive):
    run_archive(at(2026, 11, 25))
    archived = Contract.get_by_id(closed.id)

    with pytest.raises(NotAllowed):
        archiving.unarchive(archived, "Audit", by=actor(cast.ana), now=now)
    archiving.unarchive(archived, "Audit", by=actor(lena), now=now)
    run_archive(at(2026, 12, 25))

    assert state(closed) == "completed"
    assert lives.of(closed).closed_on == CLOSED


def test_what_is_archived_does_not_change_hands(closed, cast, now, run_archive):
    run_archive(at(2026, 11, 25))

    with pytest.raises(Conflict):
        contracts.change_owner(Contract.get_by_id(closed.id), cast.ben, by=actor(cast.ana), now=now)


# --- Deletion -----------------------------------------------------------------------------------------------


@pytest.fixture
def old(closed, run_archive):
    """Archived, and its time to be kept is over."""
    run_archive(at(2026, 11, 25))
    ContractLife.update(retain_until=date(2026, 11, 24)).where(ContractLife.contract == closed).execute()
    return Contract.get_by_id(closed.id)


def test_two_people_delete_it_and_a_tombstone_is_left(old, cast, lena, run_jobs):
    later = at(2026, 12, 1)
    digest = documents.of(old, "executed")[0].sha256
    asked = deletions.ask(old, "Time is over", person=lena, by=actor(lena), now=later)
    deletions.approve(asked, person=cast.ada, by=actor(cast.ada), now=later)
    run_jobs(later)

    stone = deletions.tombstone(old.reference, cast.ben)
    assert (stone.reason, stone.tombstone["sha256s"]) == ("Time is over", [digest])
    assert (stone.tombstone["closed_on"], stone.tombstone["archived_on"]) == ("2025-11-20", "2026-11-25")
    assert list(installation.current().store.keys()) == []
    with pytest.raises(NotFound):
        contracts.get(old.reference, cast.ana)
    with pytest.raises(NotFound):
        deletions.tombstone(old.reference, cast.cleo)
    gone = Contract.get_by_id(old.id)
    assert (gone.title, gone.recipients, gone.search_text) == (old.reference, [], "")
    assert audit_chains.verify()["valid"]
    assert all(not e["details"] for e in audit.history(old.id))
    answer = verification.verify(samples.pdf())
    assert answer["valid"] is False
    assert "deleted" in answer["reasons"][0]


def test_one_person_alone_or_two_of_one_role_delete_nothing(old, cast, lena, now):
    from tests.cast import person

    later = at(2026, 12, 1)
    luis = person("Luis", now, ("legal",))
    with pytest.raises(NotAllowed):
        deletions.ask(old, "x", person=cast.ana, by=actor(cast.ana), now=later)
    asked = deletions.ask(old, "x", person=lena, by=actor(lena), now=later)
    with pytest.raises(Conflict):
        deletions.ask(old, "x", person=cast.ada, by=actor(cast.ada), now=later)
    for who in (lena, luis, cast.ana):
        with pytest.raises(NotAllowed):
            deletions.approve(asked, person=who, by=actor(who), now=later)
    PersonRole.create(person=lena, role="administrator")
    permissions.forget_roles(lena)
    with pytest.raises(NotAllowed):
        deletions.approve(asked, person=lena, by=actor(lena), now=later)
    deletions.withdraw(asked, person=lena, by=actor(lena), now=later)
    assert deletions.open_for(old) is None


def test_what_is_held_or_must_be_kept_is_not_deleted(old, closed, cast, lena, now, run_jobs):
    later = at(2026, 12, 1)
    asked = deletions.ask(old, "x", person=lena, by=actor(lena), now=later)
    archiving.hold(old, "Dispute", person=lena, by=actor(lena), now=later)
    with pytest.raises(Conflict, match="held"):
        deletions.approve(asked, person=cast.ada, by=actor(cast.ada), now=later)
    archiving.lift(old, "Settled", person=lena, by=actor(lena), now=later)
    ContractLife.update(retain_until=date(2030, 1, 1)).where(ContractLife.contract == old).execute()
    with pytest.raises(Conflict, match="kept until"):
        deletions.approve(asked, person=cast.ada, by=actor(cast.ada), now=later)
    assert state(old) == "archived"


@pytest.mark.parametrize("point", ["deletion.after_bytes", "deletion.before_commit"])
def test_killed_while_deleting_it_is_finished_by_the_next_run(old, cast, lena, run_jobs, point, monkeypatch):
    later = at(2026, 12, 1)
    asked = deletions.ask(old, "x", person=lena, by=actor(lena), now=later)
    deletions.approve(asked, person=cast.ada, by=actor(cast.ada), now=later)

    def die(name):
        if name == point:
            raise Killed

    monkeypatch.setattr(failpoints, "hook", die)
    while (job := jobs.claim("doomed", later)).kind != "delete_contract":
        jobs.run(job, lambda: later)
    with pytest.raises(Killed):
        jobs.run(job, lambda: later)
    monkeypatch.setattr(failpoints, "hook", None)
    Job.update(lease_until=later - timedelta(days=900)).where(Job.id == job.id).execute()
    run_jobs(later)

    assert deletions.tombstone(old.reference, cast.ben).state == "done"
    assert list(installation.current().store.keys()) == []
