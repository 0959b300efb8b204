"""An approval holds for exactly what was approved: chance changes of one character, from a fixed seed."""

from __future__ import annotations

import copy
import os
import random

import pytest

from portal.errors import Conflict
from portal.models.contracts import Contract
from portal.services import approvals, deviations, drafts, revisions
from tests.services.approving import (
    approve_all,
    change_clause,
    change_terms,
    deal,
    put_up,
    staff,
)
from tests.services.drafting import actor

SEED = 20261125
CHANGES = 400 if os.environ.get("COUNTERSIGN_TEST_LONG") == "1" else 10


@pytest.fixture
def approved(cast, now):
    """Approved by Legal, Finance and Service: words, liability, length and an answer differ."""
    people = staff(now)
    contract = deal(cast, now, length_months=48)
    change_clause(contract, cast.ana, now, 1, "The Supplier does its best.")
    change_terms(contract, cast.ana, now, lambda t: t["commercial"].update(liability_cap={"fee_months": 18}))
    change_terms(contract, cast.ana, now, lambda t: t["severities"][1]["response"].update(min=40))
    put_up(contract, cast.ana, now)
    approve_all(contract, people, now)
    return contract, people


def leaves(value, path=()):
    """Every text and number of a document by its path."""
    if isinstance(value, dict):
        for name in sorted(value):
            yield from leaves(value[name], (*path, name))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from leaves(each, (*path, at))
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield path


def nudge(value, chance):
    """The same with one character changed, put in or taken out; a number one more."""
    if isinstance(value, int):
        return value + 1
    at = chance.randrange(len(value) + 1)
    kind = chance.choice(("put in", "take out", "change"))
    letter = chance.choice("aé0 .x")
    rest = value[at:] if kind == "put in" else value[at + 1 :]
    return value[:at] + ("" if kind == "take out" else letter) + rest


def change_one(revision, chance):
    """One character of the clauses, or of the terms, in place; the path of what was changed."""
    clauses, terms = copy.deepcopy(revision.clauses), copy.deepcopy(revision.terms)
    name, document = chance.choice((("clauses", clauses), ("terms", terms)))
    path = chance.choice(list(leaves(document)))
    found = document
    for step in path[:-1]:
        found = found[step]
    found[path[-1]] = nudge(found[path[-1]], chance)
    revision.clauses, revision.terms = clauses, terms
    return (name, *path)


def asked_of(contract):
    """What an approval looks at, told apart from the service: differences, dates, money."""
    revision = revisions.current(contract)
    grave = {e.key: (e.before, e.after, e.matter) for e in deviations.of(contract, revision)
             if e.level == "approval"}  # fmt: skip
    return grave, contract.start_on, contract.end_on


def test_any_one_character_of_what_was_approved_blocks_until_it_is_approved_again(cast, now, approved):
    contract, people = approved
    chance = random.Random(SEED)
    blocked = carried = 0
    for _attempt in range(CHANGES * 4):
        if blocked + carried >= CHANGES:
            break
        before, old = asked_of(contract), revisions.current(contract)
        saved = (copy.deepcopy(old.clauses), copy.deepcopy(old.terms), old.sha256)
        revisions.open_again(contract, by=actor(cast.ana), now=now)
        changed = []
        drafts.write(
            contract, "any", lambda r, c=changed: c.append(change_one(r, chance)), by=actor(cast.ana), now=now
        )
        contract = Contract.get_by_id(contract.id)
        outcome = put_up_if_sound(contract, cast, now)
        if outcome is not None:
            revision = outcome
            if revision.sha256 == saved[2]:
                continue
            is_grave = asked_of(contract) != before
            if is_grave:
                assert contract.state == "approval", changed
                with pytest.raises(Conflict):
                    approvals.demand_given(contract, revision)
                blocked += 1
                approve_all(contract, people, now)
            else:
                carried += 1
            assert contract.state == "ready_to_sign", changed
            approvals.demand_given(contract, revision)
        if contract.state in ("ready_to_sign", "approval"):
            revisions.open_again(contract, by=actor(cast.ana), now=now)
        restore(contract, cast, now, saved)
        put_up(contract, cast.ana, now)
        approve_all(contract, people, now)
    assert blocked >= CHANGES // 4, (blocked, carried)
    assert carried, (blocked, carried)


def put_up_if_sound(contract, cast, now):
    """The frozen text; None where the change made it unsound, or where no rule allows it."""
    revision = revisions.current(contract)
    if revisions.faults(contract, revision):
        return None
    try:
        return put_up(contract, cast.ana, now)
    except Conflict:
        return None


def restore(contract, cast, now, saved):
    def write(revision):
        revision.clauses, revision.terms = saved[0], saved[1]

    drafts.write(contract, "back", write, by=actor(cast.ana), now=now)


def test_every_changed_character_of_a_clause_is_a_difference(cast, now):
    """Not one word of the standard text changes without asking Legal."""
    contract = deal(cast, now)
    chance = random.Random(SEED)
    standard = revisions.current(contract)
    language = contract.languages[0]
    for _turn in range(CHANGES * 4):
        clauses = copy.deepcopy(standard.clauses)
        clause = chance.choice(clauses)
        part = clause[chance.choice(("heading", "text"))]
        was = part.get(language, "")
        part[language] = nudge(was, chance)
        if part[language] == was:
            continue
        changed = revisions.Revision(contract=contract, number=1, clauses=clauses, terms=standard.terms)

        found = approvals.needed(contract, changed)

        assert [need.roles for need in found] == [("legal",)], clause["key"]
