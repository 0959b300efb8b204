from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from portal import failpoints
from portal.errors import Conflict
from portal.models.base import transaction
from portal.models.bulk import BulkRow
from portal.models.connections import Connection
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope, Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.models.parties import Signatory
from portal.services import (
    approval_rules,
    approvals,
    audit,
    bulk,
    bulk_sending,
    documents,
    envelopes,
    jobs,
    revisions,
    templates,
)
from portal.services.audit import SYSTEM
from providers.interface import EventKind, ProviderEvent
from tests.cast import person
from tests.services.bulk import Clock, checked, file, line, started, work
from tests.services.drafting import actor
from tests.services.signing import printed


@pytest.fixture
def quick(monkeypatch):
    """One PDF for all, typeset once per process: what is tested here is who gets it, and how often."""
    rendered = printed()
    spots = [
        type(spot)(key, spot.page, spot.x, spot.y, spot.width, spot.height)
        for spot, key in zip(rendered.placements, ("theirs-1", "ours-1"), strict=True)
    ]
    same = type(rendered)(rendered.pdf, rendered.pages, spots)
    monkeypatch.setattr(revisions, "rendering", lambda contract, revision, *, draft, at: same)
    monkeypatch.setattr(documents, "put_pages", lambda pdf: [])


def rows(batch):
    return list(BulkRow.select().where(BulkRow.batch == batch).order_by(BulkRow.number))


def test_each_row_becomes_a_contract_and_a_signing_request_with_its_own_pdf(cast, now, home):
    content = file(
        [line(1), "Castellan Pharma SA,Marc Delorme,marc@castellan.example,Basic,Quote,100,EUR,1/3/2027,6"]
    )
    batch = started(cast, now, content, message="As agreed.", life_days=10)

    batch = work(Clock(now), batch)

    assert (batch.state, bulk.counts(batch).sent) == ("done", 2)
    first, second = rows(batch)
    assert (first.contract.title, first.contract.counterparty.name) == (
        "Standard support for Quote",
        "Company 1 SA",
    )
    assert second.contract.counterparty.id == cast.customer.id
    assert second.contract.value_amount == 600
    for row in (first, second):
        envelope = row.envelope
        assert (envelope.status, envelope.message, envelope.sender.id) == ("sent", "As agreed.", cast.ana.id)
        people = {r.key: (r.status, r.email) for r in envelope.recipients}
        assert people == {"theirs-1": ("sent", row.email), "ours-1": ("waiting", cast.priya.email)}
        shown = documents.read(envelope.document)
        assert shown.startswith(b"%PDF")
        assert Notice.select().where(Notice.contract_id == row.contract.id).count() == 1
    assert first.envelope.document.sha256 != second.envelope.document.sha256
    assert first.envelope.expires_at.date() == (now + timedelta(days=10)).date()
    acts = [each["act"] for each in audit.history(first.contract.id)]
    assert {"contract.drafted", "revision.frozen", "contract.approved", "envelope.sent"} <= set(acts)


POINTS = ("bulk.after_contract", "freeze.after_store", "bulk.after_ready", "envelope.before_commit",
          "envelope.after_commit", "bulk.after_sent", "job.before_finish")  # fmt: skip


def test_killed_at_every_step_each_row_still_becomes_one_contract_and_one_request(cast, now, home, quick):
    batch = started(cast, now, file([line(number) for number in range(1, 5)]))
    clock = Clock(now)

    class Killed(BaseException):
        pass

    kills = Counter()

    def die(name):
        if name in POINTS and not kills[name]:
            kills[name] += 1
            raise Killed

    failpoints.hook = die
    try:
        for _life in range(len(POINTS) + 1):
            try:
                work(clock, batch)
            except Killed:
                clock.now += jobs.LEASE + timedelta(seconds=1)
    finally:
        failpoints.hook = None
    batch = bulk.get(batch.id)

    assert set(kills) == set(POINTS)
    assert (batch.state, bulk.counts(batch).sent) == ("done", 4)
    assert Contract.select().count() == 4
    assert Envelope.select().count() == 4
    assert Recipient.select().where((Recipient.key == "theirs-1") & (Recipient.status == "sent")).count() == 4


def test_the_pace_is_kept_and_can_be_changed(cast, now, home, quick):
    batch = started(cast, now, file([line(number) for number in range(1, 6)]), pace_per_minute=2)
    clock = Clock(now)

    while clock.now < now + timedelta(seconds=61):
        if not jobs.run_due("test", clock, limit=1):
            clock.now += timedelta(seconds=1)
    assert 2 <= bulk.counts(batch).sent <= 3
    bulk.change_pace(batch, 6000, by=actor(cast.ana), now=clock.now)
    batch = work(clock, batch)

    assert bulk.counts(batch).sent == 5


def test_paused_nothing_goes_and_resumed_everything_once(cast, now, home, quick):
    batch = started(cast, now, file([line(number) for number in range(1, 5)]))
    clock, by = Clock(now), actor(cast.ana)
    jobs.run_due("test", clock, limit=1)
    before = bulk.counts(batch).sent

    bulk.pause(batch, by=by, now=clock())
    jobs.run_due("test", clock)
    assert bulk.counts(batch).sent == before < 4
    with pytest.raises(Conflict):
        bulk.pause(batch, by=by, now=clock())
    bulk.resume(batch, by=by, now=clock())
    batch = work(clock, batch)

    assert (batch.state, bulk.counts(batch).sent) == ("done", 4)
    assert Envelope.select().count() == 4


def test_cancelled_the_rest_is_never_sent(cast, now, home, quick):
    batch = started(cast, now, file([line(number) for number in range(1, 5)]))
    clock = Clock(now)
    jobs.run_due("test", clock, limit=1)
    sent = bulk.counts(batch).sent

    bulk.cancel(batch, by=actor(cast.ana), now=clock())
    jobs.run_due("test", clock)

    tally = bulk.counts(bulk.get(batch.id))
    assert (tally.sent, tally.cancelled, tally.waiting) == (sent, 4 - sent, 0)
    with pytest.raises(Conflict):
        bulk.retry(batch, by=actor(cast.ana), now=clock())


def test_guards_hold_for_every_row_and_a_failed_one_can_be_tried_again(cast, now, home, quick):
    batch = started(cast, now, file([line(1), line(2)]))
    Signatory.update(ended_at=now).execute()
    clock = Clock(now)
    batch = work(clock, batch)
    assert (batch.state, bulk.counts(batch).failed) == ("done", 2)
    assert "may no longer sign" in bulk.why_not(bulk.rows(batch)[0])
    assert Envelope.select().count() == 0

    Signatory.update(ended_at=None).execute()
    assert bulk.retry(batch, 2, by=actor(cast.ana), now=clock()) == 1
    assert bulk.retry(batch, 2, by=actor(cast.ana), now=clock()) == 0
    batch = work(clock, bulk.get(batch.id))
    assert (bulk.counts(batch).sent, bulk.counts(batch).failed) == (1, 1)
    assert bulk.retry(batch, by=actor(cast.ana), now=clock()) == 1
    batch = work(clock, bulk.get(batch.id))

    assert (batch.state, bulk.counts(batch).sent) == ("done", 2)
    assert Contract.select().count() == 2


def test_a_request_that_came_back_before_anybody_was_asked_counts_as_failed(cast, now, home, quick):
    batch = started(cast, now, file([line(1)]))
    clock = Clock(now)
    while not Envelope.select().exists():
        jobs.run_due("test", clock, limit=1)
    envelope = Envelope.get()
    event = ProviderEvent(EventKind.VOIDED, clock(), reason="The account said no.")
    envelopes.apply_event(envelope.id, event, by=SYSTEM, now=clock())
    batch = work(clock, batch)

    tally = bulk.counts(batch)
    assert (tally.sent, tally.failed) == (0, 1)
    assert bulk.why_not(bulk.rows(batch, only="failed")[0]) == "The account said no."
    bulk.retry(batch, by=actor(cast.ana), now=clock())
    batch = work(clock, bulk.get(batch.id))

    assert bulk.counts(batch).sent == 1
    assert [e.status for e in Envelope.select().order_by(Envelope.id)] == ["voided", "sent"]
    assert Contract.select().count() == 1


def test_wrong_rows_stop_the_start_unless_they_are_left_out(cast, now):
    batch = checked(cast, now, file([line(1), line(1)]))

    with pytest.raises(Conflict, match="One row is wrong"):
        bulk.start(batch, leave_out=False, by=actor(cast.ana), now=now)
    bulk.start(batch, leave_out=True, by=actor(cast.ana), now=now)
    with pytest.raises(Conflict, match="being sent already"):
        bulk.start(batch, leave_out=True, by=actor(cast.ana), now=now)

    assert [row.state for row in rows(batch)] == ["waiting", "left_out"]
    assert Job.select().where(Job.kind == "send_bulk_rows").count() == bulk.LANES


def test_a_newer_template_version_is_not_sent_unseen(cast, now):
    batch = checked(cast, now, file([line(1)]))
    version = batch.template_version
    templates.publish(
        version.template.key, version.template.name, version.clauses[:-1], version.levels,
        change_note="", by=SYSTEM, now=now,
    )  # fmt: skip

    with pytest.raises(Conflict, match="newer version"):
        bulk.start(batch, leave_out=False, by=actor(cast.ana), now=now)


def test_a_resting_account_is_left_alone_until_it_may_be_asked(cast, now, home):
    account = Connection.create(provider="builtin", name="Acme", status="active", created_at=now,
                                open_until=now + timedelta(minutes=2))  # fmt: skip
    batch = started(cast, now, file([line(1)]), connection=account)

    wait = bulk_sending.why_wait(batch, now)

    assert wait == now + timedelta(minutes=2)
    assert "paused after failures" in bulk.get(batch.id).problem
    assert bulk_sending.why_wait(bulk.get(batch.id), now + timedelta(minutes=3)) is None
    assert bulk.get(batch.id).problem == ""


def test_rows_wait_while_an_account_has_not_taken_those_before(cast, now, home, quick, monkeypatch):
    monkeypatch.setattr(bulk_sending, "MOST_ON_THE_WAY", 1)
    batch = started(cast, now, file([line(number) for number in range(1, 4)]))
    clock = Clock(now)
    while not Envelope.select().exists():
        jobs.run_due("test", clock, limit=1)

    assert bulk_sending.why_wait(bulk.get(batch.id), clock()) is not None
    batch = work(clock, batch)
    assert bulk.counts(batch).sent == 3


def test_one_pdf_for_everyone_is_made_once_and_shown_to_all(cast, now, home):
    facts = {"original_sha256": "0", "removed": [], "had_signatures": []}
    upload = documents.add(
        printed().pdf, "upload", file_name="code.pdf", pages=printed().pages, facts=facts, now=now
    )
    people = file(
        ["A SA,Anna,anna@a.example,fr", "B SA,Bert,bert@b.example,"], "Company,Signer,Email,Language"
    )
    batch = started(cast, now, people, version=None, signatory=None, document=upload, title="Code of conduct")

    batch = work(Clock(now), batch)

    assert (batch.state, bulk.counts(batch).sent) == ("done", 2)
    shown = {row.envelope.document.sha256 for row in rows(batch)}
    assert shown == {batch.shown.sha256}
    assert documents.read(batch.shown).startswith(b"%PDF")
    for row in rows(batch):
        assert documents.pages(row.envelope.document)[-1].text
        assert [spot["recipient_key"] for spot in row.envelope.document.facts["placements"]] == ["theirs-1"]
        assert row.contract.title == "Code of conduct"
        assert revisions.current(row.contract).sha256
    with transaction():  # nothing drops the bytes that all of them show
        assert Document.select().where((Document.kind == "upload") & Document.contract.is_null()).count() == 0


def test_a_request_sent_by_hand_meanwhile_is_taken_as_it_is(cast, now, home, quick):
    batch = started(cast, now, file([line(1)]))
    clock = Clock(now)
    row = rows(batch)[0]

    class Killed(BaseException):
        pass

    def die(name):
        if name == "bulk.after_ready":
            raise Killed

    failpoints.hook = die
    try:
        with pytest.raises(Killed):
            work(clock, batch)
    finally:
        failpoints.hook = None
    contract = Contract.get()
    by_hand = envelopes.send(
        contract, message="", expires_at=now + timedelta(days=5), by=actor(cast.ana), now=now
    )
    clock.now += jobs.LEASE + timedelta(seconds=1)
    batch = work(clock, batch)

    assert BulkRow.get_by_id(row.id).envelope.id == by_hand.id
    assert Envelope.select().count() == 1


def test_a_row_that_ends_its_worker_each_time_is_not_begun_for_ever(cast, now, home):
    batch = started(cast, now, file([line(1)]))
    BulkRow.update(attempts=bulk_sending.MOST_BEGINNINGS).execute()

    batch = work(Clock(now), batch)

    assert bulk.counts(batch).failed == 1
    assert "never ended" in rows(batch)[0].problem


def test_a_row_that_needs_approval_says_so_and_goes_once_it_is_given(cast, now, home, quick):
    approval_rules.seed(now)
    legal = person("Finn", now, ("finance",))
    large = line(2).replace("900.00", "9500.00")
    batch = work(Clock(now), started(cast, now, file([line(1), large])))

    first, second = rows(batch)
    assert (first.state, second.state) == ("sent", "failed")
    assert second.problem.startswith("Approval is missing: Finance approver. It was asked for")
    assert second.contract.state == "approval"
    assert Envelope.select().count() == 1

    sha256 = revisions.current(second.contract).sha256
    approvals.approve(second.contract, sha256=sha256, by=actor(legal), now=now)
    bulk.retry(batch, by=actor(cast.ana), now=now)
    work(Clock(now), bulk.get(batch.id))

    assert [row.state for row in rows(batch)] == ["sent", "sent"]
    assert Contract.get_by_id(second.contract.id).state == "signing"
