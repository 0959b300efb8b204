"""The trail: one hash chain per contract, one for the installation.

Only `append` writes it. Personal details lie beside the chain under a salt: the chain holds
their salted SHA-256 alone, so erasing them leaves it verifiable.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal.models.audit import AuditDetail, AuditEvent, ChainHead
from portal.models.base import lock_row, transaction
from portal.services import event_messages, text_changes

INSTALLATION = "installation"
GENESIS = "0" * 64
SCHEMA = "countersign-event/1"


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where. `kind`: person, recipient or system."""

    kind: str
    id: str
    name: str = ""
    email: str = ""
    address: str = ""
    user_agent: str = ""


SYSTEM = Actor("system", "countersign")


@dataclass(frozen=True)
class Fault:
    """The first entry of a chain that does not hold, and why."""

    chain: str
    number: int
    reason: str


def append(
    act: str,
    subject: tuple[str, str],
    *,
    chain: str,
    by: Actor,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
    personal: Mapping[str, str] | None = None,
) -> str:
    """Add one event, `noun.past_verb`, inside the caller's transaction; returns its hash.

    `facts` are ids, hashes, numbers and words that may stay for ever; `personal` (names,
    addresses, what somebody typed) can be erased later. The actor's own name, mail address,
    network address and user agent are always personal.
    """
    head = claim_head(chain)
    details = personal_details(by, personal or {})
    salt = secrets.token_hex(16)
    body = encode(
        {
            "schema": SCHEMA,
            "chain": chain,
            "number": head.number + 1,
            "at": now.astimezone(UTC).isoformat(timespec="microseconds"),
            "act": act,
            "by": {"kind": by.kind, "id": by.id},
            "subject": {"kind": subject[0], "id": subject[1]},
            "facts": dict(facts or {}),
            "personal": {name: salted(salt, value) for name, value in details.items()},
            "previous": head.hash,
        }
    )
    digest = hashlib.sha256(body.encode()).hexdigest()
    AuditEvent.insert(
        chain=chain, number=head.number + 1, act=act, at=now, body=body,
        previous_hash=head.hash, hash=digest,
    ).execute()  # fmt: skip
    if details:
        AuditDetail.insert(chain=chain, number=head.number + 1, salt=salt, values=details).execute()
    ChainHead.update(number=head.number + 1, hash=digest).where(ChainHead.chain == chain).execute()
    if subject[0] == "contract":
        event_messages.note(act, subject[1], facts or {}, now)
    text_changes.note(act, chain, now)
    return digest


def claim_head(chain: str) -> ChainHead:
    """The chain's last link, locked; made when the chain is new."""
    ChainHead.insert(chain=chain, number=0, hash=GENESIS).on_conflict_ignore().execute()
    head: ChainHead = lock_row(ChainHead.select().where(ChainHead.chain == chain)).get()
    return head


def personal_details(by: Actor, personal: Mapping[str, str]) -> dict[str, str]:
    own = {
        "by_name": by.name,
        "by_email": by.email,
        "by_address": by.address,
        "by_user_agent": by.user_agent,
    }
    return {name: value for name, value in {**own, **personal}.items() if value}


def salted(salt: str, value: str) -> str:
    return hashlib.sha256(f"{salt}:{value}".encode()).hexdigest()


def encode(body: Mapping[str, Any]) -> str:
    """Canonical JSON: sorted keys, no spaces, UTF-8 as it is."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def history(chain: str, *, newest_first: bool = True, limit: int = 500) -> list[dict[str, Any]]:
    """The events of a chain as dicts: the hashed body, its hash, and `details` still kept."""
    order = AuditEvent.number.desc() if newest_first else AuditEvent.number
    rows = AuditEvent.select().where(AuditEvent.chain == chain).order_by(order).limit(limit)
    kept = {d.number: d.values for d in AuditDetail.select().where(AuditDetail.chain == chain)}
    return [json.loads(r.body) | {"hash": r.hash, "details": kept.get(r.number, {})} for r in rows]


def read(body: str) -> dict[str, Any]:
    """The hashed body of one event."""
    found: dict[str, Any] = json.loads(body)
    return found


def erase_details(chain: str, numbers: list[int], *, by: Actor, now: datetime) -> None:
    """Forget personal details of some events; the chain still verifies and says they were erased."""
    with transaction():
        AuditDetail.delete().where((AuditDetail.chain == chain) & AuditDetail.number.in_(numbers)).execute()
        append("details.erased", ("chain", chain), chain=chain, by=by, now=now, facts={"numbers": numbers})
