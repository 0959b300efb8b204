"""Lists of contracts: filters, search by the beginning of words, and pages that stay fast.

Pages follow a key (`updated_at` and id, and so on), never a number of rows, and nothing is
counted. A filter that hardly any contract meets is looked for among the next `DEEPEST` contracts
only; the page then says so and its cursor goes on from there.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import reduce
from operator import and_
from typing import Any

import peewee

from portal.models.contracts import Contract, ContractWord
from portal.models.parties import Counterparty
from portal.models.people import Person
from portal.services import contract_states, permissions

PAGE_SIZE = 50
DEEPEST = 5_000
RARE = 1_000
MOST_WORDS = 8
LONGEST_WORD = 40
REFERENCE = re.compile(r"[a-z0-9]+-[0-9]{4}-[0-9]+")

SORTS: dict[str, tuple[Any, bool]] = {
    "updated": (Contract.updated_at, True),
    "end": (Contract.end_on, False),
    "value": (Contract.value_amount, True),
}


@dataclass(frozen=True)
class Filters:
    """What a list shows. `state` is a phase or a state; `owner` and `party` are ids."""

    words: str = ""
    state: str = ""
    side: str = ""
    owner: str = ""
    party: str = ""
    sort: str = "updated"

    @property
    def states(self) -> tuple[str, ...]:
        if self.state in contract_states.PHASES and self.state not in ("draft", "archived"):
            return contract_states.PHASES[self.state]
        if self.state == "draft":
            return contract_states.PHASES["draft"]
        return (self.state,) if self.state in contract_states.NAMES else ()


@dataclass
class Page:
    """One page of a list; a cursor is "" where there is no page that way."""

    contracts: list[Contract] = field(default_factory=list)
    next: str = ""
    previous: str = ""
    is_partial: bool = False  # the search stopped at DEEPEST and can be taken up again


# -- Words ------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """Lower case, without accents; letters of other scripts become `x` and their code.

    The result holds a-z, 0-9, spaces and hyphens only, so every database sorts it alike.
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = []
    for letter in plain:
        if letter.isascii():
            letters.append(letter if letter.isalnum() or letter == "-" else " ")
        elif letter.isalnum():
            letters.append(f"x{ord(letter):05x}")
        elif not unicodedata.combining(letter):
            letters.append(" ")
    return "".join(letters)


def words(text: str) -> list[str]:
    """The folded words of a text, each once; a reference stays whole besides its parts."""
    found: dict[str, None] = {}
    for token in fold(text).split():
        if REFERENCE.fullmatch(token):
            found[token.replace("-", "")] = None
            found[token.rsplit("-", 1)[1]] = None
            continue
        for part in token.split("-"):
            if part:
                found[part[:LONGEST_WORD]] = None
    return list(found)


def wanted_words(typed: str) -> list[str]:
    """What somebody searches for: the beginnings of words, in the form of `words`."""
    found: dict[str, None] = {}
    for token in fold(typed[:200]).split():
        if re.fullmatch(r"[a-z0-9]+-[0-9]{4}(-[0-9]*)?", token):
            found[token.replace("-", "")] = None
        else:
            found.update(dict.fromkeys(part[:LONGEST_WORD] for part in token.split("-") if part))
    return list(found)[:MOST_WORDS]


def index(contract: Contract) -> None:
    """Write the words a contract is found by, inside the caller's transaction."""
    party = contract.counterparty.name if contract.counterparty else ""
    text = f"{contract.reference} {contract.title} {party}"
    contract.search_text = fold(text)
    Contract.update(search_text=contract.search_text).where(Contract.id == contract.id).execute()
    ContractWord.delete().where(ContractWord.contract == contract).execute()
    rows = [{"word": word, "contract": contract.id} for word in words(text)]
    ContractWord.insert_many(rows).execute()


def starting(word: str, table: Any = ContractWord) -> Any:
    """The condition that a word starts with this one, as a range every index can serve."""
    before_z = word.rstrip("z")
    if not before_z:
        return table.word >= word
    following = "a" if before_z[-1] == "9" else chr(ord(before_z[-1]) + 1)
    return (table.word >= word) & (table.word < before_z[:-1] + following)


# -- Pages --------------------------------------------------------------------------------------


def page(
    person: Person, filters: Filters, *, after: str = "", before: str = "", size: int = PAGE_SIZE
) -> Page:
    """One page of the contracts a person may see; empty for whoever may see none.

    `after` and `before` are cursors of an earlier page; one that cannot be read starts at the top.
    """
    if not permissions.allows(person, "contract.read"):
        return Page()
    column, falls = SORTS.get(filters.sort, SORTS["updated"])
    backwards = bool(before) and not after
    cursor = read_cursor(column, before if backwards else after)
    rows, stopped_at = _rows(filters, column, falls != backwards, cursor, size + 1)
    more, rows = len(rows) > size, rows[:size]
    if backwards:
        rows.reverse()
    found = Page(rows, is_partial=bool(stopped_at) and not more)
    ahead = more or bool(stopped_at)
    if rows:
        found.next = write_cursor(column, rows[-1]) if (ahead or backwards) else ""
        found.previous = write_cursor(column, rows[0]) if (ahead if backwards else cursor) else ""
    if found.is_partial and not backwards:
        found.next = stopped_at
    return found


def _rows(
    filters: Filters, column: Any, falls: bool, cursor: tuple[Any, str] | None, most: int
) -> tuple[list[Contract], str]:
    """The next rows in order, and the cursor at which the search stopped early ("" at the end)."""
    conditions = _conditions(filters, column)
    word_conditions, is_rare = _word_conditions(filters.words)
    direct = is_rare or (filters.sort == "updated" and not word_conditions and not filters.side)
    if direct:
        return _direct(filters, conditions + word_conditions, column, falls, cursor, most), ""
    return _walk(filters, conditions + word_conditions, column, falls, cursor, most)


def _conditions(filters: Filters, column: Any) -> list[Any]:
    conditions = []
    if filters.side in ("supplier", "customer"):
        conditions.append(Contract.side == filters.side)
    if filters.owner:
        conditions.append(Contract.owner == filters.owner)
    if filters.party:
        conditions.append(Contract.counterparty == filters.party)
    if column is Contract.end_on:
        conditions.append(Contract.end_on.is_null(False))
    return conditions


def _word_conditions(typed: str) -> tuple[list[Any], bool]:
    """Conditions for the words typed; rare when one of them leaves at most RARE contracts."""
    conditions, rarest = [], None
    for word in wanted_words(typed):
        matches = ContractWord.select(ContractWord.contract).where(starting(word))
        few = [contract_id for (contract_id,) in rows_of(matches.limit(RARE + 1))]
        if len(few) <= RARE and (rarest is None or len(few) < len(rarest)):
            rarest = few
        again = ContractWord.alias()
        same = starting(word, again) & (again.contract == Contract.id)
        conditions.append(peewee.fn.EXISTS(again.select(peewee.SQL("1")).where(same)))
    if rarest is not None:
        return [Contract.id.in_(list(set(rarest))), *conditions], True
    return conditions, False


def rows_of(query: Any) -> list[tuple[Any, ...]]:
    return list(query.tuples())


def _direct(
    filters: Filters, conditions: list[Any], column: Any, falls: bool, cursor: Any, most: int
) -> list[Contract]:
    """One indexed query per state asked for, merged."""
    rows: list[Contract] = []
    for state in filters.states or ("",):
        wanted = [*conditions, Contract.state == state] if state else conditions
        query = _select().where(*_all([*wanted, *_beyond(column, falls, cursor)]))
        rows += list(query.order_by(*_order(column, falls)).limit(most))
    key = column.name
    rows.sort(key=lambda row: (getattr(row, key), row.id), reverse=falls)
    return rows[:most]


def _walk(
    filters: Filters, conditions: list[Any], column: Any, falls: bool, cursor: Any, most: int
) -> tuple[list[Contract], str]:
    """Look through the next DEEPEST contracts in order for those that meet the conditions."""
    near = Contract.select(Contract.id, column).where(
        *_all(_sorted_only(column) + _beyond(column, falls, cursor))
    )
    near = near.order_by(*_order(column, falls)).limit(DEEPEST)
    wanted = list(conditions)
    if filters.states:
        wanted.append(Contract.state.in_(filters.states))
    ids = Contract.id.in_(near.select(Contract.id))
    query = _select().where(*_all([ids, *wanted])).order_by(*_order(column, falls))
    rows = list(query.limit(most))
    if len(rows) >= most:
        return rows, ""
    last = near.offset(DEEPEST - 1).limit(1).first()
    return rows, write_cursor(column, last) if last is not None else ""


def _select() -> Any:
    return (
        Contract.select(Contract, Counterparty)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER, on=(Contract.counterparty == Counterparty.id))
        .switch(Contract)
    )


def _sorted_only(column: Any) -> list[Any]:
    return [Contract.end_on.is_null(False)] if column is Contract.end_on else []


def _all(conditions: list[Any]) -> list[Any]:
    return [reduce(and_, conditions)] if conditions else [peewee.SQL("1 = 1")]


def _order(column: Any, falls: bool) -> list[Any]:
    return [column.desc(), Contract.id.desc()] if falls else [column.asc(), Contract.id.asc()]


def _beyond(column: Any, falls: bool, cursor: tuple[Any, str] | None) -> list[Any]:
    """What lies behind the cursor in this order."""
    if cursor is None:
        return []
    value, last_id = cursor
    if falls:
        return [column <= value, (column < value) | (Contract.id < last_id)]
    return [column >= value, (column > value) | (Contract.id > last_id)]


# -- Cursors ------------------------------------------------------------------------------------


def write_cursor(column: Any, row: Contract) -> str:
    value = getattr(row, column.name)
    shown = value.isoformat() if isinstance(value, date | datetime) else str(value)
    return base64.urlsafe_b64encode(json.dumps([shown, row.id]).encode()).decode().rstrip("=")


def read_cursor(column: Any, cursor: str) -> tuple[Any, str] | None:
    """The key a cursor stands for; None for none, or for one that nobody here has written."""
    if not cursor or len(cursor) > 200:
        return None
    try:
        shown, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if column is Contract.updated_at:
            value: Any = datetime.fromisoformat(shown)
            value = value if value.tzinfo else value.replace(tzinfo=UTC)
        elif column is Contract.end_on:
            value = date.fromisoformat(shown)
        else:
            value = Decimal(shown)
            if not value.is_finite() or abs(value) > Decimal("1e15"):
                return None
    except (ValueError, TypeError, InvalidOperation, binascii.Error):
        return None
    return (value, row_id) if isinstance(row_id, str) and "\0" not in row_id else None
