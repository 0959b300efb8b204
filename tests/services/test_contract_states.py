"""The table of states: what may become what, by whom, and what the trail says of it."""

from __future__ import annotations

import pytest

from portal.errors import Conflict, NotAllowed
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.services import archiving, audit, closing, contract_states, envelopes, following, revisions
from portal.services.contract_states import MOVES, NAMES, PHASE_OF, Attempt, become
from tests.services.drafting import actor, draft


def test_every_state_of_a_move_has_a_name_and_a_phase():
    states = {state for move in MOVES for state in move}

    assert states <= set(NAMES)
    assert states == set(PHASE_OF)


def test_every_guard_is_registered_met_by_a_policy_or_never_holds_yet():
    guards = {move.guard for move in MOVES.values() if move.guard}
    # Each of these registers its guards when it is loaded.
    assert all((envelopes.send, following.follow, closing.close, archiving.archive))
    known = set(contract_states.GUARDS) | set(contract_states.BY_POLICY)

    # What no service records yet keeps the contract where it is.
    assert guards - known == set()


def test_an_illegal_move_names_the_allowed_ones(cast, now):
    contract = draft(cast, now)

    with transaction(), pytest.raises(Conflict) as refused:
        become(contract, "signed", by=actor(cast.ana), now=now, sha256="ab")

    assert "In review" in refused.value.message
    assert "Withdrawn" in refused.value.message
    assert Contract.get_by_id(contract.id).state == "draft"


def test_a_move_is_on_the_trail_with_role_hash_and_policy(cast, now):
    contract = draft(cast, now)

    revision = revisions.make_ready(contract, by=actor(cast.ana), now=now)

    events = {event["act"]: event["facts"] for event in audit.history(contract.id)}
    assert contract.state == "ready_to_sign"
    assert events["contract.submitted"]["role"] == "author"
    assert events["contract.shared"]["policy"] == "no review asked for"
    assert events["contract.approved"] == {
        "from": "approval", "to": "ready_to_sign", "role": "policy", "sha256": revision.sha256,
        "policy": "no approval asked for",
    }  # fmt: skip


def test_a_colleague_may_not_move_another_owners_contract(cast, now):
    contract = draft(cast, now)

    with transaction(), pytest.raises(NotAllowed):
        become(contract, "withdrawn", by=actor(cast.ben), now=now, reason="not mine")


def test_two_moves_at_once_leave_one(cast, now):
    contract = draft(cast, now)
    same = Contract.get_by_id(contract.id)
    with transaction():
        become(contract, "withdrawn", by=actor(cast.ana), now=now, reason="no longer wanted")

    with transaction(), pytest.raises(Conflict):
        become(same, "withdrawn", by=actor(cast.ana), now=now, reason="again")


def test_approval_needs_a_policy_or_its_approvals(cast, now):
    contract = draft(cast, now)
    Contract.update(state="approval").where(Contract.id == contract.id).execute()
    contract.state = "approval"

    with transaction(), pytest.raises(Conflict):
        become(contract, "ready_to_sign", by=audit.SYSTEM, now=now)


def test_a_move_that_needs_a_reason_is_refused_without(cast, now):
    contract = draft(cast, now)

    with transaction(), pytest.raises(Conflict):
        become(contract, "withdrawn", by=actor(cast.ana), now=now)


def test_a_draft_with_faults_is_not_submitted(cast, now):
    contract = draft(cast, now)
    revision = revisions.current(contract)
    revision.terms["commercial"]["fee"] = None
    revision.save()

    assert "One thing" in contract_states.GUARDS["terms_complete"](contract, Attempt(now))
