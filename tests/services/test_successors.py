from __future__ import annotations

from datetime import date

import pytest

from portal.errors import Conflict, Invalid, NotAllowed
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.lives import ContractLife
from portal.models.notices import Notice
from portal.services import (
    audit,
    closing,
    contracts,
    existing,
    following,
    handovers,
    lives,
    policies,
    revisions,
    successors,
)
from tests.services import existing as samples
from tests.services.drafting import actor, draft


@pytest.fixture
def live(cast, now):
    """A support contract of ours that has been signed and made live."""
    made = draft(cast, now)
    Contract.update(state="signed").where(Contract.id == made.id).execute()
    made = Contract.get_by_id(made.id)
    following.start_now(made, by=actor(cast.ben), now=now)
    return Contract.get_by_id(made.id)


def test_a_renewal_is_a_draft_with_the_same_terms_for_the_time_that_follows(live, cast, now):
    made = successors.renew(live, owner=cast.ana, by=actor(cast.ana), now=now)

    terms = revisions.current(made).terms
    assert (made.state, made.renews_id, made.kind) == ("draft", live.id, "support")
    assert (made.start_on, made.end_on) == (date(2030, 1, 1), date(2030, 12, 31))
    assert terms["severities"] == revisions.current(live).terms["severities"]
    assert revisions.faults(made, revisions.current(made)) == []
    assert [each["name"] for each in made.recipients] == [each["name"] for each in live.recipients]
    with pytest.raises(Conflict, match=made.reference):
        successors.renew(live, owner=cast.ana, by=actor(cast.ana), now=now)
    contracts.withdraw(made, reason="no", by=actor(cast.ana), now=now)
    assert successors.renew(live, owner=cast.ana, by=actor(cast.ana), now=now).id != made.id


def test_an_amendment_is_numbered_compared_with_what_is_in_force_and_says_what_it_is(live, cast, now):
    made = successors.amend(live, owner=cast.ana, by=actor(cast.ana), now=now)

    assert (made.reference, made.kind, made.parent_id) == (f"{live.reference}-A1", "amendment", live.id)
    assert revisions.base(made).terms == revisions.current(live).terms
    clause = revisions.current(made).clauses[0]
    assert clause["key"] == "amendment"
    assert live.reference in clause["text"][made.languages[0]]
    assert revisions.faults(made, revisions.current(made)) == []
    assert policies.facts_of(made)["is_support"]
    with pytest.raises(Conflict):
        successors.amend(live, owner=cast.ana, by=actor(cast.ana), now=now)


def test_a_second_amendment_starts_from_the_first(live, cast, now):
    first = successors.amend(live, owner=cast.ana, by=actor(cast.ana), now=now)
    Contract.update(state="signed").where(Contract.id == first.id).execute()
    with transaction():
        following.follow(Contract.get_by_id(first.id), now=now)

    second = successors.amend(live, owner=cast.ana, by=actor(cast.ana), now=now)

    assert second.reference == f"{live.reference}-A2"
    assert [clause["key"] for clause in revisions.current(second).clauses].count("amendment") == 1
    assert [each.reference for each in lives.amendments(live, signed=True)] == [first.reference]
    assert audit.history(live.id, limit=5)[1]["act"] == "contract.amended"


def test_what_was_signed_elsewhere_is_renewed_by_a_file_of_its_own(cast, now):
    paper = existing.register(samples.said(cast), samples.pdf(), "x.pdf", by=actor(cast.ana), now=now)

    made = successors.renew(paper, owner=cast.ana, by=actor(cast.ana), now=now)

    assert (made.kind, made.flags) == ("file", [])
    assert made.start_on == date(2027, 1, 1)


def test_drafts_and_ended_contracts_are_neither_renewed_nor_amended(cast, now):
    made = draft(cast, now)
    for move in (successors.renew, successors.amend):
        with pytest.raises(Conflict):
            move(made, owner=cast.ana, by=actor(cast.ana), now=now)


# --- Closing --------------------------------------------------------------------------------------------


@pytest.fixture
def mona(cast):
    from portal.models.people import PersonRole

    PersonRole.create(person=cast.ben, role="service_manager")
    return cast.ben


def test_an_ended_contract_is_closed_once_all_is_done(live, cast, mona, now):
    Contract.update(state="expired").where(Contract.id == live.id).execute()
    live.state = "expired"
    done = list(closing.DUTIES)

    with pytest.raises(Invalid) as refused:
        closing.close(live, closed_on=now.date(), done=done[1:], by=actor(mona), now=now)
    assert list(refused.value.errors) == done[:1]
    with pytest.raises(Invalid):
        closing.close(live, closed_on=date(2027, 5, 1), done=done, by=actor(mona), now=now)
    with pytest.raises(NotAllowed):
        closing.close(live, closed_on=now.date(), done=done, by=actor(cast.ana), now=now)
    closing.close(live, closed_on=now.date(), done=done, by=actor(mona), now=now)

    assert Contract.get_by_id(live.id).state == "completed"
    assert ContractLife.get_by_id(live.id).closed_on == now.date()


def test_a_live_contract_cannot_be_closed(live, mona, now):
    with pytest.raises(Conflict):
        closing.close(live, closed_on=now.date(), done=closing.DUTIES, by=actor(mona), now=now)


# --- Handing over ------------------------------------------------------------------------------------------


def test_contracts_are_handed_over_together_with_a_note(live, cast, now):
    other = draft(cast, now)

    count = handovers.give(
        handovers.of(cast.ana), cast.ben, note="Talk to Claire first", person=cast.ada, by=actor(cast.ada),
        now=now,
    )  # fmt: skip

    assert count == 2
    assert {each.owner.id for each in Contract.select()} == {cast.ben.id}
    assert audit.history(other.id, limit=1)[0]["details"]["note"] == "Talk to Claire first"
    mails = list(Notice.select().where(Notice.kind == "handed_over"))
    assert [(mail.address, mail.subject) for mail in mails] == [
        (cast.ben.email, "2 contracts were handed over to you")
    ]


def test_all_are_handed_over_or_none(live, cast, now):
    bens = Contract.get_by_id(draft(cast, now).id)
    Contract.update(owner=cast.ben).where(Contract.id == bens.id).execute()

    with pytest.raises(Invalid) as refused:
        handovers.give(
            handovers.chosen([live.reference, bens.reference]), cast.ben, note="", person=cast.ben,
            by=actor(cast.ben), now=now,
        )  # fmt: skip
    assert live.reference in refused.value.errors["contracts"]
    with pytest.raises(Invalid):
        handovers.give([live], cast.cleo, note="", person=cast.ana, by=actor(cast.ana), now=now)
    assert Contract.get_by_id(live.id).owner.id == cast.ana.id
