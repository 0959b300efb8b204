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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
DEEPEST = 1_000
FIRST_STEP = 100
RARE = 1_000
MOST_WORDS = 8
LONGEST_WORD = 40
MOST_LETTERS = 5_000
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
        """The states that are asked for; empty for all."""
        one = (self.state,) if self.state in contract_states.NAMES else ()
        return contract_states.PHASES.get(self.state, one)


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
    return unicodedata.normalize("NFKD", text.casefold()).translate(LETTERS)


class Letters(dict[int, str]):
    """What becomes of each character, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        if letter.isascii():
            found = letter if letter.isalnum() or letter == "-" else " "
        elif letter.isalnum():
            found = f"x{code:05x}"
        else:
            found = "" if unicodedata.combining(letter) else " "
        if len(self) < MOST_LETTERS:
            self[code] = found
        return found


LETTERS = Letters()


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
    contract.search_text = "".join(f" {word}" for word in words(text))
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


Key = tuple[Any, str]  # the value a list is sorted by, and the contract's id
Row = tuple[Any, ...]  # a key, then CHECKED
SHOWN = (
    Contract.id, Contract.reference, Contract.title, Contract.state, Contract.flags, Contract.waiting_for,
    Contract.value_amount, Contract.currency, Contract.end_on, Contract.updated_at, Contract.counterparty,
    Counterparty.id, Counterparty.name,
)  # fmt: skip
CHECKED = (Contract.side, Contract.state, Contract.owner, Contract.counterparty, Contract.search_text)


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
    order = Order(column, falls != backwards, read_cursor(column, before if backwards else after))
    keys, stopped_at = find(filters, order, size + 1)
    more, keys = len(keys) > size, keys[:size]
    if backwards:
        keys.reverse()
    found = Page(load(keys), is_partial=bool(stopped_at))
    ahead = more or bool(stopped_at)
    if keys:
        found.next = write_cursor(keys[-1]) if (ahead or backwards) else ""
        found.previous = write_cursor(keys[0]) if (ahead if backwards else order.cursor) else ""
    if stopped_at and not backwards:
        found.next = write_cursor(stopped_at)
    return found


@dataclass(frozen=True)
class Order:
    """How a list is sorted, and behind which key it goes on."""

    column: Any
    falls: bool
    cursor: Key | None

    def next(self, conditions: Sequence[Any], most: int) -> list[Row]:
        """The next rows that meet the conditions."""
        wanted = [*conditions, *self.beyond()]
        if self.column is Contract.end_on:
            wanted.append(Contract.end_on.is_null(False))
        query = Contract.select(self.column, Contract.id, *CHECKED)
        if wanted:
            query = query.where(reduce(and_, wanted))
        ends = (self.column, Contract.id)
        return rows_of(query.order_by(*(end.desc() if self.falls else end for end in ends)).limit(most))

    def beyond(self) -> list[Any]:
        if self.cursor is None:
            return []
        value, last_id = self.cursor
        if self.falls:
            return [self.column <= value, (self.column < value) | (Contract.id < last_id)]
        return [self.column >= value, (self.column > value) | (Contract.id > last_id)]

    def merged(self, streams: Sequence[Sequence[Any]], most: int) -> list[Row]:
        """The next rows of several queries taken together, each of which one index serves."""
        rows = [row for conditions in streams for row in self.next(conditions, most)]
        rows.sort(key=lambda row: row[:2], reverse=self.falls)
        return rows[:most]


def find(filters: Filters, order: Order, most: int) -> tuple[list[Key], Key | None]:
    """The next keys in order, and the key at which the search stopped early."""
    typed = wanted_words(filters.words)
    ids = ids_of_rare(typed)
    if ids is not None:
        rows = order.next([Contract.id.in_(ids), *exactly(filters)], RARE)
        return [row[:2] for row in rows if has_words(row, typed)][:most], None
    streams, served = indexed(filters)
    streams = [[*conditions, *daily(filters)] for conditions in streams]
    if not typed and served == asked(filters):
        return [row[:2] for row in order.merged(streams, most)], None
    return walk(filters, order, streams, most, typed)


def walk(
    filters: Filters, order: Order, streams: Sequence[Sequence[Any]], most: int, typed: Sequence[str]
) -> tuple[list[Key], Key | None]:
    """Look through the next DEEPEST contracts in order for those that fit, in growing steps."""
    found: list[Key] = []
    seen, step = 0, min(FIRST_STEP, DEEPEST)
    while seen < DEEPEST:
        rows = order.merged(streams, step)
        found += [row[:2] for row in rows if fits(row, filters) and has_words(row, typed)]
        if len(found) >= most or len(rows) < step:
            return found[:most], None
        seen, order = seen + len(rows), replace(order, cursor=rows[-1][:2])
        step = min(step * 2, DEEPEST - seen)
    return found, order.cursor


def asked(filters: Filters) -> set[str]:
    """Which of the filters are set."""
    return {name for name in ("party", "owner", "states", "side") if getattr(filters, name)}


def daily(filters: Filters) -> list[Any]:
    """The archive stays out of lists until somebody asks for it, or searches for words."""
    return [] if filters.states or filters.words else [Contract.state != "archived"]


def indexed(filters: Filters) -> tuple[list[list[Any]], set[str]]:
    """The queries that an index in the wanted order can serve, and the filters they settle."""
    by_state = [[Contract.state == state] for state in filters.states]
    if filters.sort not in ("", "updated"):
        return [[]], set()
    if filters.party:
        return [[Contract.counterparty == filters.party]], {"party"}
    if filters.owner:
        mine = Contract.owner == filters.owner
        return [[mine, *each] for each in by_state or [[]]], {"owner"} | ({"states"} if by_state else set())
    if by_state:
        return by_state, {"states"}
    if filters.side:
        return [[Contract.side == filters.side]], {"side"}
    return [[]], set()


def exactly(filters: Filters) -> list[Any]:
    """Every filter as a condition."""
    conditions = {
        "party": Contract.counterparty == filters.party,
        "owner": Contract.owner == filters.owner,
        "states": Contract.state.in_(filters.states),
        "side": Contract.side == filters.side,
    }
    return [conditions[name] for name in sorted(asked(filters))]


def fits(row: Row, filters: Filters) -> bool:
    _value, _id, side, state, owner, party, _words = row
    return (
        filters.side in ("", side)
        and (not filters.states or state in filters.states)
        and filters.owner in ("", owner)
        and filters.party in ("", party)
    )


def has_words(row: Row, typed: Sequence[str]) -> bool:
    return all(f" {word}" in row[-1] for word in typed)


def ids_of_rare(typed: Sequence[str]) -> set[str] | None:
    """The contracts that hold the rare ones among the words; None when every word is common."""
    found: set[str] | None = None
    for word in typed:
        matches = rows_of(ContractWord.select(ContractWord.contract).where(starting(word)).limit(RARE + 1))
        if len(matches) <= RARE:
            ids = {contract_id for (contract_id,) in matches}
            found = ids if found is None else found & ids
    return found


def rows_of(query: Any) -> list[Row]:
    return list(query.tuples())


def load(keys: Sequence[Key]) -> list[Contract]:
    """The contracts of a page with their companies, in the order of the keys; only what is SHOWN is read."""
    ids = [contract_id for _value, contract_id in keys]
    query = (
        Contract.select(*SHOWN)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER, on=(Contract.counterparty == Counterparty.id))
        .where(Contract.id.in_(ids))
    )
    contracts = {contract.id: contract for contract in query} if ids else {}
    return [contracts[contract_id] for contract_id in ids if contract_id in contracts]


# -- Cursors ------------------------------------------------------------------------------------


def write_cursor(key: Key) -> str:
    value, row_id = key
    shown = value.isoformat() if isinstance(value, date | datetime) else str(value)
    return base64.urlsafe_b64encode(json.dumps([shown, row_id]).encode()).decode().rstrip("=")


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
