"""The state machine from outside: what the table does not hold happens for nobody, whatever is tried."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.clock import utc_now
from portal.errors import Conflict, NotAllowed, PortalError
from portal.models.audit import AuditEvent
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.services import (
    approval_rules,
    approvals,
    audit,
    audit_chains,
    contract_states,
    contracts,
    envelopes,
    permissions,
    revisions,
)
from portal.services.contract_states import MOVES, NAMES, NO_APPROVAL, NO_REVIEW, become
from tests.cast import person, sign_in
from tests.services.approving import deal, prepared
from tests.services.drafting import actor

LONG = os.environ.get("COUNTERSIGN_TEST_LONG") == "1"
STEPS = 50
WALKS = 200 if LONG else 3  # ten thousand steps, or a hundred and fifty
STATES = sorted(NAMES)


@pytest.fixture
def actors(cast, now):
    """Somebody in every role, the owner, another owner, a stranger, and the system."""
    assert envelopes.send  # registers its guards
    named = {role: actor(person(f"Role-{role}", now, (role,))) for role in permissions.ROLES}
    return named | {
        "ana": actor(cast.ana), "ben": actor(cast.ben), "cleo": actor(cast.cleo),
        "system": audit.SYSTEM, "recipient": audit.Actor("recipient", "r", "R", "r@r.example"),
        "outside": audit.Actor("outside", "", "", ""),
    }  # fmt: skip


def tried(contract, state, target, by, now):
    """Try a move past everything but the service, with every guard's help that can be given."""
    contract.state = state
    with transaction():
        become(contract, target, by=by, now=now, reason="why", sha256="0" * 64)


def test_no_move_beyond_the_table_for_any_role(cast, now, actors):
    contract = deal(cast, now)
    count = AuditEvent.select().count()
    for state in STATES:
        for target in STATES:
            if (state, target) in MOVES:
                continue
            for name, by in actors.items():
                with pytest.raises(Conflict) as refused:
                    tried(contract, state, target, by, now)
                assert str(NAMES[state]) in refused.value.message, (state, target, name)
    assert AuditEvent.select().count() == count
    assert Contract.get_by_id(contract.id).state == "draft"


def held_by(name):
    """What each of them is to Ana's contract, as the table of permissions says."""
    if name in ("system", "recipient", "outside"):
        return {name}
    roles = {"ana": {"owner"}, "ben": {"owner"}, "cleo": set()}.get(name, {name})
    edits_all = any("contract.edit_all" in permissions.PERMISSIONS[role] for role in roles)
    return roles | ({"author"} if name == "ana" or edits_all else set())


def test_no_move_of_the_table_for_somebody_without_its_role(cast, now, actors):
    contract = deal(cast, now)
    count = AuditEvent.select().count()
    for (state, target), move in MOVES.items():
        for name, by in actors.items():
            if not move.roles or held_by(name) & set(move.roles):
                continue
            with pytest.raises(NotAllowed):
                tried(contract, state, target, by, now)
    assert AuditEvent.select().count() == count


def test_a_move_that_needs_a_reason_has_none_without_for_anybody(cast, now, actors):
    contract = deal(cast, now)
    for (state, target), move in MOVES.items():
        if not move.needs_reason:
            continue
        for by in actors.values():
            contract.state = state
            with pytest.raises((Conflict, NotAllowed)), transaction():
                become(contract, target, by=by, now=now, sha256="0" * 64)


# -- Walks ----------------------------------------------------------------------------------------

who = st.sampled_from(
    [*sorted(permissions.ROLES), "ana", "ana", "ana", "ben", "cleo", "system", "recipient", "outside"]
)
MOVE = st.one_of(
    st.tuples(
        st.just("become"), who, st.sampled_from(STATES), st.sampled_from(["", "why"]),
        st.sampled_from(["", "", NO_REVIEW, NO_APPROVAL, "made up"]), st.booleans(),
    ),
    st.tuples(st.sampled_from(["put up", "open again", "approve", "send back"]), who),
    st.tuples(st.just("put up"), st.just("ana")),
    st.tuples(st.sampled_from(["approve", "send back"]), st.sampled_from(["legal", "finance"])),
    st.tuples(st.sampled_from(["withdraw"]), st.sampled_from(["cleo", "ben", "finance"])),
)  # fmt: skip


def sha_of(contract):
    return revisions.current(contract).sha256 or ""


def go(contract, move, actors, now):
    kind, name, *rest = move
    by = actors[name]
    if kind == "become":
        target, reason, policy, with_hash = rest
        with transaction():
            sha256 = sha_of(contract) if with_hash else ""
            become(contract, target, by=by, now=now, reason=reason, policy=policy, sha256=sha256)
    elif kind == "put up":
        revisions.make_ready(contract, by=by, now=now, prepared=prepared(contract))
    elif kind == "open again":
        revisions.open_again(contract, by=by, now=now)
    elif kind == "approve":
        approvals.approve(contract, sha256=sha_of(contract), by=by, now=now)
    elif kind == "send back":
        approvals.send_back(contract, sha256=sha_of(contract), reason="Not so.", by=by, now=now)
    else:
        contracts.withdraw(contract, reason="No longer wanted.", by=by, now=now)


def told(contract):
    """The state as the trail tells it, and how much of a trail there is; each step is one of the table."""
    state, count = "draft", 0
    for event in audit.history(contract.id, newest_first=False, limit=100_000):
        count += 1
        facts = event["facts"]
        if event["act"].startswith("contract.") and {"from", "to"} <= set(facts) and facts["to"] in NAMES:
            assert facts["from"] == state
            assert MOVES[state, facts["to"]].verb == event["act"].removeprefix("contract.")
            state = facts["to"]
    return state, count


def test_trail_and_state_agree_on_every_walk(cast, now, actors):
    values = {"name": "All", "condition": {}, "roles": ["legal", "finance"], "mode": "all", "step": 1,
              "moment": "sign"}  # fmt: skip
    approval_rules.add(values=values, by=audit.SYSTEM, now=now)
    reached = set()

    @settings(
        max_examples=WALKS, deadline=None, derandomize=not LONG, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(MOVE, min_size=STEPS, max_size=STEPS))
    def walk(moves):
        contract = deal(cast, now)
        before = told(contract)
        for move in moves:
            fresh = Contract.get_by_id(contract.id)
            try:
                go(fresh, move, actors, now)
                refused = False
            except PortalError:
                refused = True
            after = told(contract)
            if refused and move[0] != "put up":  # which may fix the text and then be refused
                assert after == before, move
            before = after
            state = Contract.get_by_id(contract.id).state
            assert after[0] == state, move
            reached.add(state)
            if state == "ready_to_sign":
                given = {row.roles[0] for row in approvals.of(contract) if row.state == "approved"
                         and row.sha256 == sha_of(contract)}  # fmt: skip
                assert given == {"legal", "finance"}, move

    walk()
    assert audit_chains.verify()["faults"] == []
    assert {"draft", "approval", "negotiation"} <= reached
    assert contract_states.EDITABLE


# -- The same on pages ----------------------------------------------------------------------------

PAST = ("signing", "signed", "active", "completed", "archived", "withdrawn", "void")
ROUTES = (
    "ready", "reopening", "send/preparation", "send/reopening", "approval/given", "approval/return",
    "approval/asking", "approval/taking-back", "withdrawal",
)  # fmt: skip


def test_no_page_moves_what_has_gone_out_or_ended_for_any_role(app, cast):
    now = utc_now()
    contract = deal(cast, now)
    with_roles = {role: person(f"On-{role}", now, (role,)) for role in permissions.ROLES}
    browsers = {}
    for name, who in (with_roles | {"ana": cast.ana, "cleo": cast.cleo}).items():
        browsers[name] = app.test_client()
        sign_in(browsers[name], who, now)
    typed = {"reason": "why", "sha256": "0" * 64}
    events = AuditEvent.select().where(AuditEvent.chain == contract.id).count()

    for state in PAST:
        Contract.update(state=state).where(Contract.id == contract.id).execute()
        for route in ROUTES:
            asking = browsers if state == "signing" else {name: browsers[name] for name in ("ana", "legal")}
            for name, browser in asking.items():
                answer = browser.post(f"/contracts/{contract.reference}/{route}", data=typed)
                assert answer.status_code in (403, 404, 409, 422), (state, route, name)
        assert Contract.get_by_id(contract.id).state == state

    assert AuditEvent.select().where(AuditEvent.chain == contract.id).count() == events
