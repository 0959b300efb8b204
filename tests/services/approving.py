"""People who approve, and a deal for them: quick to freeze, since nobody prints it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.documents import render
from portal.models.contracts import Contract, Revision
from portal.models.people import Person
from portal.services import approval_rules, approvals, documents, drafts, revisions
from tests.cast import Cast, person
from tests.services.drafting import actor, draft


def staff(now: datetime) -> dict[str, Person]:
    """One person in each role that approves."""
    names = {
        "legal": "Leila", "finance": "Finn", "service_approver": "Sara", "privacy": "Pia",
        "executive": "Emil",
    }  # fmt: skip
    return {role: person(name, now, (role,)) for role, name in names.items()}


def deal(cast: Cast, now: datetime, **changes: Any) -> Contract:
    """A standard contract of EUR 3,600 a year under the seeded rules."""
    approval_rules.seed(now)
    return draft(cast, now, **{"fee": Decimal("300"), "length_months": 12, **changes})


def prepared(contract: Contract) -> revisions.Prepared:
    """A PDF nobody reads."""
    digest = hashlib.sha256(contract.reference.encode()).hexdigest()
    return revisions.Prepared(render.Rendered(b"", 1, []), documents.Stored("nowhere", digest, 1), [])


def put_up(contract: Contract, by: Person, now: datetime) -> Revision:
    """Freeze the text and ask whoever must approve it."""
    return revisions.make_ready(contract, by=actor(by), now=now, prepared=prepared(contract))


def change_terms(contract: Contract, by: Person, now: datetime, change: Callable[[Any], None]) -> None:
    """Write the terms past the forms."""

    def write(revision: Revision) -> None:
        terms = copy.deepcopy(revision.terms)
        change(terms)
        revision.terms = terms

    drafts.write(contract, "terms", write, by=actor(by), now=now)


def change_clause(contract: Contract, by: Person, now: datetime, at: int, text: str) -> None:
    def write(revision: Revision) -> None:
        clauses = copy.deepcopy(revision.clauses)
        clauses[at]["text"][contract.languages[0]] = text
        revision.clauses = clauses

    drafts.write(contract, "clauses", write, by=actor(by), now=now)


def approve_all(contract: Contract, people: dict[str, Person], now: datetime) -> None:
    """Everybody who is asked says yes, step by step."""
    while contract.state == "approval":
        asked = [row for row in approvals.of(contract) if row.state == "asked"]
        assert asked, "nobody is asked and it still waits"
        approvals.approve(contract, sha256=asked[0].sha256, by=actor(people[asked[0].roles[0]]), now=now)


def fresh(contract: Contract) -> Contract:
    return Contract.get_by_id(contract.id)


def states(contract: Contract) -> list[tuple[str, str]]:
    return [(",".join(row.roles), row.state) for row in approvals.of(contract)]
