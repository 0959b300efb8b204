"""One PDF to many people in the provider's own call: against the simulated DocuSign, over real HTTP."""

from __future__ import annotations

import pytest

from portal import failpoints
from portal.errors import Invalid
from portal.models.bulk import BulkRow
from portal.models.connections import Connection
from portal.models.envelopes import Envelope, PolicyRule, Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import bulk, connections, documents, jobs, polling
from providers.interface import Account
from tests.services.bulk import Clock, checked, file, started, work
from tests.services.drafting import actor
from tests.services.signing import printed
from tests.simulators.docusign import DocuSign

PEOPLE = "Company,Signer,Email,Language"


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture(scope="module")
def served():
    with DocuSign().serving() as vendor:
        yield vendor


@pytest.fixture
def account(cast, now, served, home, monkeypatch):
    monkeypatch.setattr(documents, "put_pages", lambda pdf: [])  # costly, and told elsewhere
    by = actor(cast.ada)
    made = connections.create(
        "docusign", "DocuSign EU", served.connection_settings(), by=by, now=now, server=served.origin
    )
    connections.checked(made, Account("1", "Acme"), by=by, now=now)
    return connections.get(made.id)


@pytest.fixture
def vendor(served):
    """The vendor as new, at the address it is served at."""
    served.envelopes.clear()
    served.mails.clear()
    served.bulk.__init__(served)
    return served


def many(now, account, **changes):
    facts = {"original_sha256": "0", "removed": [], "had_signatures": []}
    upload = documents.add(printed().pdf, "upload", file_name="code.pdf", pages=3, facts=facts, now=now)
    return {"version": None, "signatory": None, "document": upload, "title": "Code of conduct",
            "connection": account, "is_native": True, **changes}  # fmt: skip


def content(count=3):
    return file([f"C{n} SA,P{n},p{n}@c.example,fr" for n in range(count)], PEOPLE)


def test_everyone_gets_a_copy_of_the_same_pdf_in_one_call(cast, now, account, vendor):
    batch = started(cast, now, content(), **many(now, account))

    batch = work(Clock(now), batch)

    assert (batch.state, bulk.counts(batch).sent) == ("done", 3)
    assert len(vendor.bulk.batches) == 1
    assert len(vendor.sent()) == 3
    remote = {row.envelope.remote_id for row in BulkRow.select()}
    assert remote == {each.id for each in vendor.sent()}
    assert {each.status for each in Envelope.select()} == {"sent"}
    assert {each.document.sha256 for each in Envelope.select()} == {batch.shown.sha256}
    assert not Notice.select().where(Notice.kind == "sign_request").exists()


def test_what_somebody_does_with_a_copy_is_known_here(cast, now, account, vendor):
    batch = started(cast, now, content(1), **many(now, account))
    clock = Clock(now)
    work(clock, batch)
    [copy] = vendor.sent()
    vendor.act(copy.id, "p0@c.example", "decline", reason="Not ours.")

    polling.look(Envelope.get().id, clock())

    assert Envelope.get().status == "declined"
    assert Recipient.get().status == "declined"


@pytest.mark.parametrize("point", ["bulk.after_call", "job.before_finish", "call"])
def test_a_lost_answer_or_a_kill_makes_no_second_batch(cast, now, account, vendor, point):
    batch = started(cast, now, content(), **many(now, account))
    clock, killed = Clock(now), []

    def die(name):
        if name == point and not killed and vendor.bulk.batches:
            killed.append(name)
            raise Killed

    if point == "call":
        vendor.misbehave("500_after", method="POST", path="/send$")
    failpoints.hook = die
    try:
        work(clock, batch)
    except Killed:
        clock.now += jobs.LEASE * 2
    finally:
        failpoints.hook = None
    batch = work(clock, bulk.get(batch.id))

    assert (batch.state, bulk.counts(batch).sent) == ("done", 3)
    assert len(vendor.bulk.batches) == 1
    assert len(vendor.sent()) == 3


def test_who_the_provider_refuses_is_named_and_can_be_sent_alone(cast, now, account, vendor):
    vendor.bulk.fails["p1@c.example"] = "The recipient is on a block list."
    batch = started(cast, now, content(), **many(now, account))
    clock = Clock(now)

    batch = work(clock, batch)

    assert (bulk.counts(batch).sent, bulk.counts(batch).failed) == (2, 1)
    [row] = bulk.rows(batch, only="failed")
    assert (row.name, bulk.why_not(row)) == ("P1", "The recipient is on a block list.")
    assert bulk.retry(batch, by=actor(cast.ana), now=clock()) == 1
    jobs.run_due("test", clock)

    assert bulk.counts(batch).sent == 3
    assert {each.status for each in Envelope.select()} == {"sent"}
    assert len(vendor.sent()) == 3


def test_people_who_are_checked_by_us_first_are_refused_with_the_reason(cast, now, account, vendor):
    given = many(now, account)
    checked(cast, now, content(), **given)
    PolicyRule.create(name="All", condition={}, applies_to="theirs", factor="totp", updated_at=now)

    batch = checked(cast, now, content(), **many(now, account))

    row = bulk.rows(batch)[0]
    assert "checked by Countersign first" in row.errors[0][1]
    assert bulk.counts(batch).right == 0


def test_only_an_account_with_such_a_call_can_be_chosen(cast, now, account, vendor):
    from tests.services.bulk import answers

    with pytest.raises(Invalid) as refused:
        bulk.create(answers(cast, now, **many(now, None)), content(), "x.csv", owner=cast.ana,
                    by=actor(cast.ana), now=now)  # fmt: skip
    assert "no call of its own" in refused.value.errors["is_native"]
    assert Connection.select().count() == 1


def test_one_by_one_a_row_whose_request_has_stopped_can_be_tried_again(cast, now, account, vendor):
    batch = started(cast, now, content(2), **many(now, account, is_native=False))
    clock = Clock(now)
    while not Envelope.select().exists():
        jobs.run_due("test", clock, limit=1)
    stopped = Envelope.get()
    Envelope.update(problem="The account said no.").execute()
    Job.update(status="failed").where(Job.key == f"send:{stopped.id}").execute()

    batch = work(clock, batch)
    jobs.run_due("test", clock)
    tally = bulk.counts(batch)
    [row] = bulk.rows(batch, only="failed")
    assert (tally.sent, tally.failed, bulk.why_not(row)) == (1, 1, "The account said no.")
    assert bulk.retry(batch, row.number, by=actor(cast.ana), now=clock()) == 1
    jobs.run_due("test", clock)

    assert (bulk.counts(batch).sent, Envelope.select().count()) == (2, 2)
    assert len(vendor.sent()) == 2
