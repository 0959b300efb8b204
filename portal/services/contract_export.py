"""The list of contracts as a file: the same filters and order, or the ticked ones alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import peewee

from portal.documents import csv_file, xlsx
from portal.documents.xlsx import Cell
from portal.i18n import current
from portal.i18n import gettext as _
from portal.models.contracts import Contract
from portal.models.lives import ContractTerm
from portal.models.parties import Counterparty
from portal.models.people import Person
from portal.services import contract_search, contract_states, permissions
from portal.services.contract_search import Filters

MOST, AT_ONCE = 10_000, 500
CENT = Decimal("0.01")


def as_csv(rows: Sequence[Sequence[Cell]]) -> bytes:
    return csv_file.table(heads(), rows, decimal_comma=current() == "fr")


def as_xlsx(rows: Sequence[Sequence[Cell]]) -> bytes:
    return xlsx.workbook(_("Contracts"), heads(), rows)


def heads() -> list[str]:
    return [
        _("Reference"), _("Title"), _("Company"), _("Side"), _("State"), _("Owner"), _("Waiting for"),
        _("Value"), _("Currency"), _("First day"), _("Last day"), _("Last day to give notice"),
        _("Last change"),
    ]  # fmt: skip


def filtered(person: Person, filters: Filters) -> list[list[Cell]]:
    """The rows of everything a list shows, at most ten thousand, in its order."""
    return rows_of(list(ids(person, filters)))


def ids(person: Person, filters: Filters) -> Iterator[str]:
    after, count = "", 0
    while count < MOST:
        page = contract_search.page(person, filters, after=after, size=AT_ONCE)
        for contract in page.contracts[: MOST - count]:
            yield contract.id
        count += len(page.contracts)
        after = page.next
        if not after:
            return


def ticked(person: Person, references: Sequence[str]) -> list[Contract]:
    """Contracts by their references, in the order given; unknown ones are left out."""
    if not permissions.allows(person, "contract.read"):
        return []
    wanted = list(dict.fromkeys(references))[:AT_ONCE]
    found = {each.reference: each for each in Contract.select().where(Contract.reference.in_(wanted))}
    return [found[each] for each in wanted if each in found]


def rows_of(contract_ids: Sequence[str]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for start in range(0, len(contract_ids), AT_ONCE):
        part = contract_ids[start : start + AT_ONCE]
        query = (
            Contract.select(Contract, Counterparty, Person)
            .join(Counterparty, peewee.JOIN.LEFT_OUTER)
            .switch(Contract)
            .join(Person, on=(Contract.owner == Person.id))
            .where(Contract.id.in_(part))
        )
        found = {each.id: each for each in query}
        notice = notice_days(part)
        rows += [row(found[each], notice) for each in part if each in found]
    return rows


def notice_days(contract_ids: Sequence[str]) -> dict[str, Cell]:
    terms = ContractTerm.select(ContractTerm.contract, ContractTerm.notice_on).where(
        ContractTerm.is_current & ContractTerm.contract.in_(contract_ids)
    )
    return {each.contract_id: each.notice_on for each in terms}  # type: ignore[attr-defined]


def row(contract: Contract, notice: dict[str, Cell]) -> list[Cell]:
    return [
        contract.reference,
        contract.title,
        contract.counterparty.name if contract.counterparty else "",
        _("We supply") if contract.side == "supplier" else _("We buy"),
        contract_states.shown_name(contract),
        contract.owner.name,
        contract.waiting_for,
        contract.value_amount.quantize(CENT) if contract.value_amount else None,
        contract.currency if contract.value_amount else "",
        contract.start_on,
        contract.end_on,
        notice.get(contract.id),
        contract.updated_at.date(),
    ]
