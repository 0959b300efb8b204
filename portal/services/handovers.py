"""Giving many contracts to somebody else at once, with a note for each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.people import Person
from portal.services import audit, contracts, notices, permissions

MOST = 1_000
LONGEST_NOTE = 2_000
OVER = ("archived", "completed", "withdrawn", "declined", "void")


def of(owner: Person) -> list[Contract]:
    """What a colleague owns and somebody must look after: neither closed nor archived nor given up."""
    mine = (Contract.owner == owner) & Contract.state.not_in(OVER)
    return list(Contract.select().where(mine).order_by(Contract.reference).limit(MOST))


def chosen(references: Iterable[str]) -> list[Contract]:
    """The contracts of these references; those that are not there are passed over."""
    wanted = [each for each in dict.fromkeys(references) if "\0" not in each][:MOST]
    return list(Contract.select().where(Contract.reference.in_(wanted)).order_by(Contract.reference))


def may_give(contract: Contract, person: Person) -> bool:
    return contracts.is_author(contract, person) or permissions.allows(person, "contract.reassign")


def give(
    found: Iterable[Contract], owner: Person, *, note: str, person: Person, by: audit.Actor, now: datetime
) -> int:
    """Hand contracts over, all or none; how many changed hands. One mail tells the new owner.

    Raises Invalid for somebody who may not own contracts, for a note that is too long, and when a
    contract is not this person's to give.
    """
    given = [each for each in found if each.owner.id != owner.id]
    foreign = [each.reference for each in given if not may_give(each, person)]
    if foreign:
        raise Invalid({"contracts": _("Not yours to hand over: %(names)s.", names=", ".join(foreign[:10]))})
    if len(note) > LONGEST_NOTE:
        raise Invalid({"note": _("Shorten the note.")})
    with transaction():
        for contract in given:
            contracts.change_owner(contract, owner, by=by, now=now, note=note.strip())
        if given:
            tell(owner, given, note.strip(), by, now)
    return len(given)


def tell(owner: Person, given: list[Contract], note: str, by: audit.Actor, now: datetime) -> None:
    notices.queue(
        "handed_over", address=owner.email, name=owner.name, language=owner.language, zone=owner.zone,
        now=now, person_id=owner.id,
        context={
            "giver": by.name,
            "count": len(given),
            "references": ", ".join(each.reference for each in given[:40]),
            # What people wrote stays here where one of the contracts holds protected data.
            "note": "" if any(each.has_phi for each in given) else note,
            "link": notices.url(f"/contracts?owner={owner.id}"),
        },
    )  # fmt: skip
