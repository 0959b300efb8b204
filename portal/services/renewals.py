"""What must be decided soon: contracts whose last day to give notice, or whose end, is near."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import peewee

from portal.models.contracts import Contract, Revision
from portal.models.lives import ContractLife, ContractTerm
from portal.models.parties import Counterparty
from portal.models.people import Person
from portal.services import lives, permissions
from portal.services.contract_states import RUNNING

RANGES = (30, 90, 180, 365)
USUAL_RANGE = 90
PAGE_SIZE = 100
# Renewal due is said from so many days before the last day to give notice.
LEAD = timedelta(days=90)


@dataclass(frozen=True)
class Row:
    """One contract on the board. `decide_on` is the last day to act."""

    contract: Contract
    party: str
    value: Decimal
    decide_on: date
    ends_on: date | None
    days_left: int
    happens: str  # if nobody acts
    is_missed: bool  # the last day has passed and nobody acted
    notice_given_on: date | None
    renewal: str


def decide_by() -> Any:
    """The last day to give notice or, where there is none, the last day in force."""
    return peewee.fn.COALESCE(ContractTerm.notice_on, ContractTerm.ends_on)


def board(
    person: Person, *, days: int, now: datetime, owner: str = "", after: str = "", size: int = PAGE_SIZE
) -> tuple[list[Row], str]:
    """The contracts to decide about within so many days, the most urgent first; and where to go on.

    What was missed stays on it until its term is over. Empty for whoever may see no contract.
    """
    if not permissions.allows(person, "contract.read"):
        return [], ""
    # A day more than any zone is ahead; each row is then judged in its own zone.
    until = now.date() + timedelta(days=days + 1)
    day = decide_by()
    query = (
        ContractTerm.select(ContractTerm, Contract, ContractLife, Counterparty, Person)
        .join(Contract)
        .join(ContractLife, on=(ContractLife.contract == Contract.id), attr="life")
        .switch(Contract)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .switch(Contract)
        .join(Person)
        .where(ContractTerm.is_current & Contract.state.in_(RUNNING) & (day <= until))
        .order_by(day, Contract.id)
    )
    if owner:
        query = query.where(Contract.owner == owner)
    day_after, _dot, id_after = after.partition(".")
    if id_after and (start := parsed(day_after)) is not None:
        query = query.where((day > start) | ((day == start) & (Contract.id > id_after)))
    found = list(query.limit(size + 1))
    texts = newest_terms([each.contract.id for each in found])
    rows = [row_of(each, texts, now) for each in found[:size]]
    rows = [row for row in rows if row.days_left <= days]
    last = found[size - 1] if len(found) > size else None
    return rows, f"{day_of(last).isoformat()}.{last.contract.id}" if last else ""


def day_of(term: ContractTerm) -> date:
    """The last day to act, of a term that has one."""
    return term.notice_on or term.ends_on or date.max


def parsed(day: str) -> date | None:
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None


def newest_terms(ids: list[str]) -> dict[str, dict[str, Any]]:
    """The terms each contract runs by, read together; of an amended one those of the amendment."""
    amended: Any = (
        Contract.select(Contract.id, Contract.parent_id)
        .where(Contract.parent_id.in_(ids) & Contract.state.in_(lives.SIGNED))
        .order_by(Contract.amendment_number)
    )
    by = {row.parent_id: row.id for row in amended} if ids else {}
    found = own_terms([*ids, *by.values()])
    return {each: found[by.get(each, each)] for each in ids}


def own_terms(ids: list[str]) -> dict[str, dict[str, Any]]:
    newest: Any = (
        Revision.select(Revision.contract, peewee.fn.MAX(Revision.number).alias("number"))
        .where(Revision.contract.in_(ids))
        .group_by(Revision.contract)
        .alias("newest")
    )
    query: Any = Revision.select(Revision.contract, Revision.terms).join(
        newest, on=((Revision.contract == newest.c.contract_id) & (Revision.number == newest.c.number))
    )
    return {row.contract_id: row.terms for row in query} if ids else {}


def row_of(term: ContractTerm, texts: dict[str, dict[str, Any]], now: datetime) -> Row:
    contract: Any = term.contract
    life, decide_on = contract.life, day_of(term)
    left = (decide_on - lives.today(life, now)).days
    return Row(
        contract=contract,
        party=contract.counterparty.name if contract.counterparty else "",
        value=contract.value_amount,
        decide_on=decide_on,
        ends_on=term.ends_on,
        days_left=left,
        happens=lives.if_nobody_acts(term, texts[contract.id])
        if life.notice_given_on is None
        else lives.ends(life.ends_on or term.ends_on),
        is_missed=left < 0 and life.notice_given_on is None and term.renewal == "tacit",
        notice_given_on=life.notice_given_on,
        renewal=term.renewal,
    )


def is_due(contract: Contract, now: datetime) -> bool:
    """Whether it must be decided soon about a contract: a flag that is computed, never kept."""
    life, term = lives.of(contract), lives.term(contract)
    if life is None or term is None or contract.state not in RUNNING or life.notice_given_on:
        return False
    return day_of(term) < date.max and day_of(term) - LEAD <= lives.today(life, now)
