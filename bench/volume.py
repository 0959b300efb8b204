"""Fills a database with many contracts, quickly: `python -m bench.volume FOLDER COUNT`.

The newest 300 contracts are mostly open and a quarter of them Ana's; behind them nearly all are live or
ended and one in forty is hers. So her lists and her home page show as many lines at any size, and only
what lies behind them grows: contracts, their words, parties, envelopes, recipients, messages.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from portal.models import base

NEWEST = 300
OWNERS = 40
CHUNK = 50_000
OPEN = ("draft", "draft", "negotiation", "ready_to_sign", "signing", "signing", "signing", "active")
SETTLED = ("active", "active", "active", "completed", "completed", "expired", "archived", "declined")
SYLLABLES = ("ba", "cor", "del", "fin", "gar", "hol", "jun", "kel", "lor", "mer", "nor", "pel", "quin", "ros",
             "sal", "tor", "ul", "ver", "wes", "zan")  # fmt: skip


def load(cast: Any, count: int, now: datetime, *, texts: bool = False) -> None:
    """Add `count` contracts around the cast: Ana owns, the entity is ours; with `texts`, each with words
    of a real one, to be searched."""
    chance = random.Random(1)
    owners = [cast.ana, *colleagues(now)]
    parties = list(companies(chance, max(5, count // 20)))
    fill("counterparty", base_row(cast.customer), ({"id": i, "name": n} for i, n in parties))
    document = shown(cast, now)
    with_party = Many(cast, owners, parties, document, now, count)
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        contracts = [with_party.contract(number, chance) for number in numbers]
        fill("contract", with_party.pattern, contracts)
        fill("contract_word", {}, sorted(word_rows(contracts), key=lambda each: each["word"]))
        sent = [each for each in contracts if each["state"] not in ("draft", "negotiation", "ready_to_sign")]
        fill("envelope", with_party.envelope_pattern, map(with_party.envelope, sent))
        fill("recipient", with_party.recipient_pattern, (r for c in sent for r in with_party.recipients(c)))
        fill("notice", with_party.notice_pattern, map(with_party.notice, sent))
        if texts:
            fill("revision", base_row(Text.revision(now)), map(Text.revised, contracts))
            fill("contract_text", {}, Text(now).rows(contracts))
    base.db.execute_sql("ANALYZE")


# --- Rows ------------------------------------------------------------------------------------


class Many:
    """Makes the rows of contract number 0, 1, 2 ..., the last being the newest."""

    def __init__(
        self,
        cast: Any,
        owners: list[Any],
        parties: list[tuple[str, str]],
        document: Any,
        now: datetime,
        count: int,
    ) -> None:
        from portal.models.contracts import Contract
        from portal.models.envelopes import Envelope, Recipient
        from portal.models.notices import Notice

        self.owners, self.parties, self.now, self.count = owners, parties, now, count
        contract = Contract(
            reference="", title="", side="supplier", owner=cast.ana, entity=cast.entity, created_at=now,
            updated_at=now, value_amount=Decimal(0), end_on=date(2027, 1, 1), counterparty=cast.customer,
        )  # fmt: skip
        self.pattern = base_row(contract)
        self.envelope_pattern = base_row(
            Envelope(
                contract=contract, document=document, sender=cast.ana, created_at=now, expires_at=now,
                sent_at=now, status="completed", seal_status="sealed",
            )
        )  # fmt: skip
        self.recipient_pattern = base_row(
            Recipient(envelope="", key="", side="theirs", role="signer", name="Claire Aubert", email="",
                      status="signed", asked_at=now)
        )  # fmt: skip
        self.signatory = cast.priya.id
        self.notice_pattern = base_row(
            Notice(channel="mail", kind="sign_request", address="claire@castellan.example", status="sent",
                   created_at=now)
        )  # fmt: skip

    def contract(self, number: int, chance: random.Random) -> dict[str, Any]:
        from portal.services.contract_search import words

        behind = self.count - number
        newest = behind <= NEWEST
        owner = self.owners[0] if newest and number % 4 == 0 else self.owners[number % OWNERS]
        state = chance.choice(OPEN) if newest or chance.random() < 0.01 else chance.choice(SETTLED)
        party_id, party = self.parties[chance.randrange(len(self.parties))]
        reference = f"LF-{2016 + number % 10}-{number:07}"
        title = f"Support for {word(chance)} {word(chance)}"
        return {
            "id": f"{number:020d}",
            "reference": reference,
            "title": title,
            "owner_id": owner.id,
            "counterparty_id": party_id,
            "state": state,
            "value_amount": text_of("value_amount", Decimal(chance.randrange(2_000, 900_000))),
            "end_on": text_of("end_on", date(2027, 1, 1) + timedelta(days=chance.randrange(1500))),
            "search_text": "".join(f" {each}" for each in words(f"{reference} {title} {party}")),
            "waiting_for": owner.name if state in ("draft", "ready_to_sign") else "",
            "updated_at": moment(self.now - timedelta(minutes=behind)),
        }

    def envelope(self, contract: dict[str, Any]) -> dict[str, Any]:
        signing = contract["state"] == "signing"
        return {
            "id": contract["id"],
            "contract_id": contract["id"],
            "status": "sent" if signing else "declined" if contract["state"] == "declined" else "completed",
            "seal_status": "none" if signing else "sealed",
            "sender_id": contract["owner_id"],
        }

    def recipients(self, contract: dict[str, Any]) -> Iterator[dict[str, Any]]:
        status = "opened" if contract["state"] == "signing" else "signed"
        for order, side in ((1, "theirs"), (2, "ours")):
            yield {
                "id": contract["id"][:-1] + f"{contract['id'][-1]}-{order}",
                "envelope_id": contract["id"],
                "key": side,
                "side": side,
                "person_id": self.signatory if side == "ours" else None,
                "routing_order": order,
                "email": f"{side}-{contract['id']}@castellan.example",
                "status": status,
            }

    def notice(self, contract: dict[str, Any]) -> dict[str, Any]:
        failed = contract["id"].endswith("77")
        return {
            "id": contract["id"],
            "contract_id": contract["id"],
            "status": "failed" if failed else "sent",
            "created_at": contract["updated_at"],
        }


class Text:
    """What stands in each contract: the words of a standard one, two of its own, and one that is common."""

    def __init__(self, now: datetime) -> None:
        from portal.services.contract_search import words
        from portal.sla import wording

        clauses = (each for template in wording.templates() for each in template.clauses)
        self.common = words(" ".join(text for clause in clauses for text in clause["text"].values()))
        self.at = moment(now)

    def rows(self, contracts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for contract in contracts:
            found = {*self.common, *contract["search_text"].split()}
            yield {"contract_id": contract["id"], "words": " ".join(sorted(found)), "indexed_at": self.at}

    @staticmethod
    def revision(now: datetime) -> Any:
        from portal.models.contracts import Revision

        clause = {"key": "a", "level": 1, "heading": {"en": "Support"}, "text": {"en": "The liability."}}
        return Revision(contract="", number=1, clauses=[clause], terms={}, created_at=now)

    @staticmethod
    def revised(contract: dict[str, Any]) -> dict[str, Any]:
        return {"id": contract["id"], "contract_id": contract["id"]}


def word_rows(contracts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for contract in contracts:
        for found in contract["search_text"].split():
            yield {"word": found, "contract_id": contract["id"]}


def companies(chance: random.Random, count: int) -> Iterator[tuple[str, str]]:
    for number in range(count):
        yield f"p{number:019d}", f"{word(chance).title()} {word(chance).title()} SA"


def word(chance: random.Random) -> str:
    return "".join(chance.choice(SYLLABLES) for _syllable in range(3))


def colleagues(now: datetime) -> list[Any]:
    from tests.cast import person

    return [person(f"Owner{number}", now, ("owner",)) for number in range(1, OWNERS)]


def shown(cast: Any, now: datetime) -> Any:
    """One document row that every envelope points to."""
    from portal.models.contracts import Document

    return Document.create(kind="shown", file_name="c.pdf", sha256="0" * 64, size_bytes=1, pages=10,
                           storage_key="none", created_at=now)  # fmt: skip


# --- Writing ---------------------------------------------------------------------------------


def base_row(model: Any) -> dict[str, Any]:
    """Every column of a row as the database keeps it, for rows that differ from it in a few."""
    return {
        each.column_name: each.db_value(model.__data__.get(each.name)) for each in model._meta.sorted_fields
    }


def text_of(column: str, value: Any) -> Any:
    from portal.models.contracts import Contract

    return getattr(Contract, column).db_value(value)


def moment(at: datetime) -> Any:
    return base.UtcField().db_value(at)


def fill(table: str, pattern: dict[str, Any], rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows that differ from the pattern in some columns."""
    rest = iter(rows)
    first = next(rest, None)
    if first is None:
        return
    columns = list(pattern | first)
    values = (tuple((pattern | row)[name] for name in columns) for row in (first, *rest))
    writer: Callable[..., None] = write_sqlite if base.is_sqlite() else write_postgresql
    writer(table, columns, values)


def write_sqlite(table: str, columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    holes = ", ".join("?" * len(columns))
    connection = base.db.connection()
    connection.execute("PRAGMA synchronous = OFF")
    while chunk := list(islice(rows, CHUNK)):
        with base.db.atomic():
            connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({holes})', chunk)


def write_postgresql(table: str, columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    with (
        base.db.atomic(),
        base.db.connection().cursor() as cursor,
        cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy,
    ):
        for row in rows:
            copy.write_row(row)


def main() -> None:
    from bench import stage
    from portal import serving
    from tests.cast import assemble

    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    now = datetime.now(UTC)
    serving.prepare(stage.read_settings(folder, ""))
    load(assemble(now), count, now)


if __name__ == "__main__":
    main()
