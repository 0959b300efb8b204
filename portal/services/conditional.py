"""Clauses that hang on the terms of a contract: in or out as the terms are, and always said.

A template's clause may carry a condition (`portal.sla.conditions`). It is left out of a new draft whose
terms do not meet it, and comes in or goes out when a change of the terms turns the condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.models.contracts import Contract, Revision
from portal.sla import conditions


@dataclass(frozen=True)
class Standing:
    """One clause with a condition: whether its condition holds, and whether the text has it."""

    key: str
    heading: dict[str, str]
    condition: str  # in the reader's words
    holds: bool
    is_in: bool


def standing(contract: Contract, revision: Revision) -> list[Standing]:
    """Every clause of the contract's template that hangs on a condition, as things stand."""
    present = {each["key"] for each in revision.clauses}
    return [
        Standing(
            each["key"], each["heading"], conditions.name(each["when"]),
            conditions.holds(each["when"], revision.terms), each["key"] in present,
        )
        for each in offered(contract)
        if each.get("when")
    ]  # fmt: skip


def follow(contract: Contract, revision: Revision, before: dict[str, Any]) -> dict[str, Any]:
    """Bring clauses in and out after a change of the terms, inside the caller's transaction.

    `before` are the terms as they were; `revision` holds the new ones and is not saved here. What the
    template gave (revision 0) moves along, so that a clause that came in counts as the template's.
    Gives what the trail is told: the keys that came in and went out.
    """
    clauses, came, went = conditions.follow(revision.clauses, offered(contract), before, revision.terms)
    if not came and not went:
        return {}
    revision.clauses = clauses
    given = Revision.get_or_none((Revision.contract == contract) & (Revision.number == 0))
    if given is not None:
        given.clauses = conditions.follow(given.clauses, offered(contract), before, revision.terms)[0]
        given.save()
    return {name: keys for name, keys in (("clauses_in", came), ("clauses_out", went)) if keys}


def offered(contract: Contract) -> list[dict[str, Any]]:
    """The clauses of the template version that the contract came from; none for somebody's PDF."""
    version = contract.template_version
    if version is None or contract.kind == "file":
        return []
    found: list[dict[str, Any]] = version.clauses
    return found
