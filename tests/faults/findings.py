"""What there is to see of an installation: its tables by plain SQL, its store, and what they came to.

Nothing of the product is imported. The store is encrypted, so whoever asks hands over `read`, which
opens one document of it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
Read = Callable[[str], bytes]
TABLES = (
    "contract", "document", "envelope", "recipient", "act", "link_token", "registered_file", "notice", "job",
    "audit_event", "audit_detail", "chain_head",
)  # fmt: skip


@dataclass
class Findings:
    """Everything there is to read, read once."""

    tables: dict[str, list[Row]]
    read: Read
    keys: Collection[str] = ()
    bodies: dict[str, list[Row]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        events = sorted(self.tables["audit_event"], key=lambda e: (e["chain"], e["number"]))
        chains: dict[str, list[Row]] = defaultdict(list)
        for event in events:
            chains[event["chain"]].append(json.loads(event["body"]))
        self.bodies = dict(chains)

    def __getitem__(self, table: str) -> list[Row]:
        return self.tables[table]

    def content(self, document: Row) -> bytes:
        """The bytes of a document; none where the store has no such document, or a changed one."""
        key = document["storage_key"]
        if key not in self.contents:
            try:
                self.contents[key] = self.read(key)
            except Exception:
                self.contents[key] = b""
        return self.contents[key]

    def of(self, table: str, **wanted: Any) -> list[Row]:
        """The rows whose columns have these values."""
        return [
            row for row in self.tables[table] if all(row[name] == value for name, value in wanted.items())
        ]

    def said(self, act: str, subject: str) -> list[Row]:
        """The events of the trail of one kind about one thing."""
        return [
            body
            for bodies in self.bodies.values()
            for body in bodies
            if body["act"] == act and body["subject"]["id"] == subject
        ]


def look(database_url: str, read: Read, keys: Collection[str] = ()) -> Findings:
    """Read every table that matters. `keys` are the names of all that lies in the store."""
    return Findings(dict(tables_of(database_url)), read, keys)


def tables_of(database_url: str) -> Iterator[tuple[str, list[Row]]]:
    if database_url.startswith("sqlite:///"):
        file = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        file.row_factory = sqlite3.Row
        try:
            for name in TABLES:
                yield name, [dict(row) for row in file.execute(f"SELECT * FROM {name}")]
        finally:
            file.close()
        return
    with psycopg.connect(database_url, row_factory=dict_row) as server:
        for name in TABLES:
            yield name, list(server.execute(f"SELECT * FROM {name}"))


def outcome(found: Findings) -> dict[str, Any]:
    """What all this came to, without times, ids of rows or the order of independent work: two runs
    of the same work must come to the same."""
    chains = {c["id"]: c["reference"] for c in found["contract"]}
    recipients = {r["id"]: r["key"] for r in found["recipient"]}
    contract_of = {e["id"]: chains[e["contract_id"]] for e in found["envelope"]}
    return {
        "contracts": sorted((c["reference"], c["state"], c["waiting_for"]) for c in found["contract"]),
        "requests": sorted((contract_of[e["id"]], e["status"], e["seal_status"]) for e in found["envelope"]),
        "people": sorted(
            (contract_of[r["envelope_id"]], r["key"], r["status"], r["reminders"], r["problem"])
            for r in found["recipient"]
        ),
        "trail": sorted(
            (chains.get(chain, chain), count, act)
            for chain, bodies in found.bodies.items()
            if chain in chains
            for act, count in Counter(body["act"] for body in bodies).items()
        ),
        "messages": sorted(
            (chains.get(n["contract_id"], ""), recipients.get(n["recipient_id"], ""), n["kind"], n["address"])
            for n in found["notice"]
        ),
        "files": sorted(
            (chains.get(d["contract_id"], ""), d["kind"], d["version"]) for d in found["document"]
        ),
    }  # fmt: skip


def differences(calm: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"outcome: {name} differ: {sorted(set(calm[name]) ^ set(now[name]))}"
        for name in calm
        if calm[name] != now[name]
    ]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
