"""Who may answer for a role: its holders, who stands in for them, and nobody for a text of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from portal.errors import Invalid, NotAllowed, NotFound
from portal.i18n import gettext as _
from portal.models.approvals import Substitute
from portal.models.audit import AuditEvent
from portal.models.base import transaction
from portal.models.contracts import Contract, Revision
from portal.models.people import Person, PersonRole
from portal.services import approval_rules, audit, permissions
from portal.services.audit import INSTALLATION, Actor


@dataclass(frozen=True)
class Right:
    """In whose place somebody answers, and whether it is for a text of their own."""

    substitute_for: Person | None = None
    is_own: bool = False


def holders(roles: Iterable[str]) -> list[Person]:
    """The staff who hold any of the roles, by name."""
    held = PersonRole.select(PersonRole.person).where(PersonRole.role.in_(list(roles)))
    query = Person.select().where(
        Person.id.in_(held) & Person.counterparty_id.is_null() & Person.disabled_at.is_null()
    )
    return list(query.order_by(Person.name, Person.id))


def authors(contract: Contract) -> set[str]:
    """Ids of everybody whose text it is: its owner, and whoever wrote in it since it was drafted."""
    texts: Any = Revision.select(Revision.author).where(Revision.contract == contract).tuples()
    written = [author for (author,) in texts]
    edits = AuditEvent.select(AuditEvent.body).where(
        (AuditEvent.chain == contract.id) & (AuditEvent.act == "contract.edited")
    )
    found = {contract.owner_id, *written}  # type: ignore[attr-defined]
    found |= {audit.read(row.body)["by"]["id"] for row in edits}
    return {each for each in found if each}


def right(contract: Contract, roles: Sequence[str], person: Person, now: datetime) -> Right | None:
    """By what right this person answers for one of the roles; None where they may not.

    Their own text they may answer for only where the installation allows it and nobody else holds a role.
    """
    held = {each.id for each in holders(roles)}
    stands_for = None if person.id in held else next(iter(represented(person, held, now)), None)
    if person.id not in held and stands_for is None:
        return None
    mine = authors(contract)
    if person.id not in mine:
        return Right(stands_for)
    if held - mine or not approval_rules.own_allowed():
        return None
    return Right(stands_for, is_own=True)


def may_be_asked(person: Person, now: datetime) -> bool:
    """Whether anything can wait for this person at all: a role that approves, or somebody's place."""
    if permissions.roles_of(person) & permissions.APPROVERS:
        return True
    return any(row.substitute.id == person.id for row in standing_in(now))


def to_ask(contract: Contract, roles: Sequence[str], now: datetime) -> list[Person]:
    """Everybody who may answer today: holders and their substitutes."""
    held = holders(roles)
    others = [row.substitute for row in standing_in(now) if row.person.id in {each.id for each in held}]
    people = {each.id: each for each in [*held, *others] if each.disabled_at is None}
    return [each for each in people.values() if right(contract, roles, each, now) is not None]


# -- Substitutes --------------------------------------------------------------------------------


def today(person: Person, now: datetime) -> date:
    return now.astimezone(ZoneInfo(person.zone)).date()


def standing_in(now: datetime) -> list[Substitute]:
    """Who stands in for whom today, each by the day where the absent person is."""
    rows = (
        Substitute.select()
        .where(Substitute.until_on >= now.date() - timedelta(days=1))
        .order_by(Substitute.id)
    )
    return [row for row in rows if row.from_on <= today(row.person, now) <= row.until_on]


def represented(person: Person, held: set[str], now: datetime) -> list[Person]:
    """Those of the holders in whose place this person answers today."""
    return [
        row.person for row in standing_in(now) if row.substitute.id == person.id and row.person.id in held
    ]


def substitutes(now: datetime, person: Person | None = None) -> list[Substitute]:
    """Who will stand in, or does: for one person, or for all."""
    query = Substitute.select().where(Substitute.until_on >= now.date())
    if person is not None:
        query = query.where((Substitute.person == person) | (Substitute.substitute == person))
    return list(query.order_by(Substitute.from_on, Substitute.id))


def add_substitute(
    person: Person, substitute: Person | None, from_on: date, until_on: date, *, by: Actor, now: datetime
) -> Substitute:
    """Somebody answers in the person's place, from a day to a day. Raises Invalid by field.

    An approver says so for themselves; administrators for anybody (the page checks that they may).
    """
    demand_own(person, by)
    errors = {}
    if substitute is None or not substitute.is_staff or substitute.disabled_at is not None:
        errors["substitute"] = _("Choose a colleague.")
    elif substitute.id == person.id:
        errors["substitute"] = _("Choose somebody else: nobody stands in for themselves.")
    if until_on < from_on:
        errors["until_on"] = _("The last day is before the first.")
    elif until_on < today(person, now):
        errors["until_on"] = _("These days are over.")
    if errors:
        raise Invalid(errors)
    with transaction():
        made: Substitute = Substitute.add(
            person=person, substitute=substitute, from_on=from_on, until_on=until_on, created_at=now
        )
        record("substitute.named", made, by, now)
    return made


def end_substitute(substitute_id: str, *, by: Actor, now: datetime) -> None:
    """From now on they answer for themselves again. Raises NotFound, NotAllowed for another's."""
    row: Substitute | None = Substitute.get_or_none(Substitute.id == substitute_id)
    if row is None:
        raise NotFound(_("There is no such substitute."))
    demand_own(row.person, by)
    with transaction():
        record("substitute.ended", row, by, now)
        row.delete_instance()


def demand_own(person: Person, by: Actor) -> None:
    """Raise NotAllowed unless it is about themselves, or they may change the rules."""
    acting = Person.get_or_none(Person.id == by.id) if by.kind == "person" else None
    if by.kind == "system" or (acting is not None and acting.id == person.id):
        return
    if not permissions.allows(acting, "policy.edit"):
        raise NotAllowed(_("Only they themselves or an administrator may say who stands in for them."))


def record(act: str, row: Substitute, by: Actor, now: datetime) -> None:
    audit.append(
        act, ("person", row.person.id), chain=INSTALLATION, by=by, now=now,
        facts={"substitute": row.substitute.id, "from_on": row.from_on.isoformat(),
               "until_on": row.until_on.isoformat()},
    )  # fmt: skip
