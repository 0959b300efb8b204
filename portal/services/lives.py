"""A contract's life after signature: the terms it runs for, its last day to give notice, its zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from portal.i18n import format_date
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.lives import ContractLife, ContractTerm
from portal.services import revisions
from portal.sla import duration

SIGNED = ("signed", "onboarding", "active", "suspended", "renewal_due", "renewed", "expired", "terminated",
          "completed", "archived")  # fmt: skip
MOST_TERMS = 200  # of one contract: tacit renewals of a month over many years


def of(contract: Contract) -> ContractLife | None:
    """What became of a contract; None before it was signed."""
    found: ContractLife | None = ContractLife.get_or_none(ContractLife.contract == contract)
    return found


def term(contract: Contract) -> ContractTerm | None:
    """The term the contract is in, or was in last."""
    found: ContractTerm | None = ContractTerm.get_or_none(
        (ContractTerm.contract == contract) & ContractTerm.is_current
    )
    return found


def terms(contract: Contract) -> list[ContractTerm]:
    """Every term, the first one first."""
    return list(ContractTerm.select().where(ContractTerm.contract == contract).order_by(ContractTerm.number))


def begin(contract: Contract, *, signed_on: date | None, now: datetime, given_by: str = "") -> ContractLife:
    """Note that a contract is signed, and the first term it runs for; inside the caller's transaction.

    `given_by` is whose copy it is, where it was signed elsewhere. Doing it twice changes nothing.
    """
    known = of(contract)
    if known is not None:
        return known
    written = revisions.current(contract).terms
    life: ContractLife = ContractLife.create(
        contract=contract,
        zone=zone_for(contract, written),
        signed_on=signed_on,
        given_by=given_by,
        given_at=now if given_by else None,
    )
    if has_terms(contract) and written:
        ContractTerm.create(contract=contract, number=1, began_at=now, **read(written))
    return life


def has_terms(contract: Contract) -> bool:
    """Whether it runs for a term of its own: not a bare file, nor an amendment, which changes another's."""
    is_bare = contract.kind == "file" and revisions.terms_mode(contract) == revisions.NO_TERMS
    return not is_bare and contract.parent_id is None


def text(contract: Contract) -> dict[str, Any]:
    """The terms in force: those of the newest signed amendment, else its own."""
    amended = amendments(contract, signed=True)
    found: dict[str, Any] = revisions.current(amended[-1] if amended else contract).terms
    return found


def amendments(contract: Contract, *, signed: bool = False) -> list[Contract]:
    """What changes this contract, A1 first."""
    wanted = Contract.parent_id == contract.id
    if signed:
        wanted &= Contract.state.in_(SIGNED)
    return list(Contract.select().where(wanted).order_by(Contract.amendment_number))


def retype(contract: Contract) -> None:
    """Take the dates of the present term from the terms in force again, where they are that term's."""
    given, present = read(text(contract)), term(contract)
    if present is None or given["starts_on"] is None:
        return
    if present.number > 1 and (
        given["ends_on"] is None or given["ends_on"] <= (present.starts_on or date.min)
    ):
        given = {"renewal": given["renewal"]}  # a text whose first term is over says only how it renews
    ContractTerm.update(reminded=None, **given).where(ContractTerm.id == present.id).execute()
    if given.get("ends_on"):
        Contract.update(end_on=given["ends_on"]).where(Contract.id == contract.id).execute()


def read(written: Mapping[str, Any]) -> dict[str, Any]:
    """The dates of the first term, as columns."""
    return {
        "starts_on": duration.first_day(written),
        "ends_on": safely(duration.last_day, written),
        "notice_on": safely(duration.notice_deadline, written),
        "renewal": written["commercial"]["renewal"]["kind"],
    }


def safely(compute: Any, written: Mapping[str, Any]) -> date | None:
    """None where a length is longer than the calendar."""
    try:
        found: date | None = compute(written)
    except (ValueError, OverflowError):
        return None
    return found


def zone_for(contract: Contract, written: Mapping[str, Any]) -> str:
    """The contract's own zone, else that of the customer."""
    party = contract.counterparty
    customer = party if contract.side == "supplier" and party is not None else contract.entity
    return str(written.get("tz") or customer.zone)


def today(life: ContractLife, now: datetime) -> date:
    """The day it is where the contract's days are counted."""
    return now.astimezone(ZoneInfo(life.zone)).date()


# -- The next term --------------------------------------------------------------------------------


def following(present: ContractTerm, written: Mapping[str, Any]) -> dict[str, Any] | None:
    """The dates of the term that follows by itself; None where none does."""
    months = written["commercial"]["renewal"]["months"]
    if present.renewal != "tacit" or present.ends_on is None or not months:
        return None
    first = written["commercial"]
    begins = present.ends_on + timedelta(days=1)
    # Counted from the first start, so that a contract begun on a 31st keeps ending on last days.
    origin = duration.first_day(written) or begins
    try:
        ends = duration.add_months(begins, months) - timedelta(days=1)
        if origin.day > begins.day:
            ends = duration.add_months(origin, months_between(origin, begins) + months) - timedelta(days=1)
        notice_on = duration.notice_deadline({**written, "commercial": {**first, "end_on": ends.isoformat()}})
    except (ValueError, OverflowError):
        return None
    return {"starts_on": begins, "ends_on": ends, "notice_on": notice_on, "renewal": "tacit"}


def months_between(first: date, later: date) -> int:
    return (later.year - first.year) * 12 + later.month - first.month


def renew_tacitly(contract: Contract, present: ContractTerm, *, now: datetime) -> ContractTerm | None:
    """Begin the next term of a contract that nobody gave notice of, inside the caller's transaction."""
    dates = following(present, text(contract))
    if dates is None or present.number >= MOST_TERMS:
        return None
    with transaction():
        ContractTerm.update(is_current=False).where(ContractTerm.id == present.id).execute()
        made: ContractTerm = ContractTerm.create(
            contract=contract, number=present.number + 1, origin="tacit", began_at=now, **dates
        )
        Contract.update(end_on=made.ends_on).where(Contract.id == contract.id).execute()
        ContractLife.update(missed_on=None).where(ContractLife.contract == contract).execute()
    return made


def if_nobody_acts(present: ContractTerm, written: Mapping[str, Any]) -> str:
    """What happens at the end of the term by itself, in one sentence."""
    if present.ends_on is None:
        return _("It runs on without an end.")
    ahead = following(present, written)
    if ahead is not None:
        return _("It renews by itself until %(day)s.", day=format_date(ahead["ends_on"]))
    return ends(present.ends_on)


def ends(day: date | None) -> str:
    return _("It ends on %(day)s.", day=format_date(day)) if day else ""
