"""Checking the trail, folding every chain into the installation's, and exporting it.

A bare hash chain does not stop whoever owns the database: they can compute it afresh or cut its
tail. So the heads of all chains are folded into the installation's chain, whose head is signed
with the audit key, and the signed head leaves the house with every export.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import peewee

from portal import failpoints
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.audit import AuditDetail, AuditEvent, ChainHead
from portal.models.base import transaction
from portal.models.jobs import Job
from portal.services import audit, installation, jobs
from portal.services.audit import GENESIS, INSTALLATION, SYSTEM, Fault

FOLD_EVERY = timedelta(hours=1)
MOST_HEADS = 5000  # in one folding event
ANCHOR_SCHEMA = "countersign-anchor/1"
LAST_CHECK, CHECKING = "last_audit_check", "check_audit"
MOST_FAULTS = 20  # kept of one check; `countersign audit verify` names all
RENEW_EVERY = timedelta(seconds=15)


@jobs.recurring("fold_chains", FOLD_EVERY)
def fold(_payload: dict[str, Any], context: jobs.Context) -> None:
    """Write the heads of all chains that have grown into the installation's chain, then sign it."""
    while fold_some(context):
        context.renew()
    failpoints.reach("fold.before_anchor")
    anchor(context.clock())


def fold_some(context: jobs.Context) -> bool:
    """Fold one batch of grown chains; false when none is left."""
    with transaction():
        context.hold()
        grown = list(
            ChainHead.select()
            .where((ChainHead.number > ChainHead.folded_number) & (ChainHead.chain != INSTALLATION))
            .order_by(ChainHead.chain)
            .limit(MOST_HEADS)
        )
        if not grown:
            return False
        audit.append(
            "chains.folded", ("installation", INSTALLATION), chain=INSTALLATION, by=SYSTEM,
            now=context.clock(), facts={"heads": {h.chain: [h.number, h.hash] for h in grown}},
        )  # fmt: skip
        failpoints.reach("fold.before_mark")
        for head in grown:
            ChainHead.update(folded_number=head.number).where(ChainHead.chain == head.chain).execute()
    return len(grown) == MOST_HEADS


def anchor(now: datetime) -> dict[str, Any]:
    """The installation's head, signed with the audit key; kept, and part of every export."""
    head = ChainHead.get_or_none(ChainHead.chain == INSTALLATION)
    statement = audit.encode(
        {
            "schema": ANCHOR_SCHEMA,
            "number": head.number if head else 0,
            "hash": head.hash if head else GENESIS,
            "at": now.isoformat(timespec="seconds"),
        }
    )
    signed = {
        "statement": statement,
        "signature": base64.b64encode(
            installation.current().authority.sign_audit(statement.encode())
        ).decode(),
    }
    with transaction():
        installation.set_fact("last_anchor", signed, now)
    return signed


# --- checking ----------------------------------------------------------------------------------


def ask_for_check(now: datetime) -> None:
    """Have every chain checked by a worker; nothing when that is about to happen anyway."""
    with transaction():
        if not is_checking():
            jobs.add(CHECKING, now=now, max_attempts=3)


def is_checking() -> bool:
    waiting = (Job.kind == CHECKING) & Job.status.in_(("ready", "running"))
    return bool(Job.select(Job.id).where(waiting).exists())


@jobs.handler(CHECKING)
def check(_payload: dict[str, Any], context: jobs.Context) -> None:
    """Check every chain and keep the outcome, with the first faults."""
    renewed = context.clock()

    def tick() -> None:
        nonlocal renewed
        if context.clock() - renewed > RENEW_EVERY:
            context.renew()
            renewed = context.clock()

    report = verify(tick)
    now = context.clock()
    kept = {**report, "faults": report["faults"][:MOST_FAULTS], "at": now.isoformat()}
    with transaction():
        context.hold()
        installation.set_fact(LAST_CHECK, kept, now)


def verify(tick: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Check every chain against its hashes, its personal details and the heads folded so far.

    `tick` is called after each chain.
    Returns {"valid", "chains", "events", "erased", "faults": [{"chain", "number", "reason"}]}.
    """
    report: dict[str, Any] = {"valid": True, "chains": 0, "events": 0, "erased": 0, "faults": []}
    recorded = {h.chain: (h.number, h.hash) for h in ChainHead.select()}
    folded: dict[str, list[Any]] = {}
    for chain, rows in by_chain():
        report["chains"] += 1
        fault = check_chain(chain, rows, recorded.pop(chain, None), report, folded)
        if fault is not None:
            report["faults"].append(vars(fault))
        tick()
    report["faults"] += [
        {"chain": chain, "number": number, "reason": "every event of this chain is gone"}
        for chain, (number, _hash) in recorded.items()
        if number > 0
    ]
    report["faults"] += [vars(fault) for fault in check_folded(folded)]
    report["valid"] = not report["faults"]
    return report


def by_chain() -> Iterator[tuple[str, Iterable[AuditEvent]]]:
    names: Any = AuditEvent.select(AuditEvent.chain).distinct().order_by(AuditEvent.chain).tuples()
    for (chain,) in names:
        yield (
            chain,
            AuditEvent.select().where(AuditEvent.chain == chain).order_by(AuditEvent.number).iterator(),
        )


def check_chain(
    chain: str,
    rows: Iterable[AuditEvent],
    recorded: tuple[int, str] | None,
    report: dict[str, Any],
    folded: dict[str, list[Any]],
) -> Fault | None:
    """The first link that does not hold, or None."""
    details = {d.number: d for d in AuditDetail.select().where(AuditDetail.chain == chain)}
    number, previous = 0, GENESIS
    for row in rows:
        report["events"] += 1
        number += 1
        fault = check_link(row, number, previous)
        if fault:
            return Fault(chain, number, fault)
        body = json.loads(row.body)
        detail = details.get(number)
        if detail is None:
            report["erased"] += bool(body["personal"])
        elif {n: audit.salted(detail.salt, v) for n, v in detail.values.items()} != body["personal"]:
            return Fault(chain, number, "a personal detail is not the one recorded")
        if body["act"] == "chains.folded":
            folded.update(body["facts"]["heads"])
        previous = row.hash
    if recorded != (number, previous):
        return Fault(chain, number + 1, "the chain is shorter or longer than its recorded head")
    return None


def check_link(row: AuditEvent, number: int, previous: str) -> str:
    if hashlib.sha256(row.body.encode()).hexdigest() != row.hash:
        return "its content is not what was hashed"
    body = json.loads(row.body)
    if (body["number"], body["chain"]) != (number, row.chain) or row.number != number:
        return "its number is not the next one"
    if body["previous"] != previous or row.previous_hash != previous:
        return "it does not continue the event before"
    if body["act"] != row.act or datetime.fromisoformat(body["at"]) != row.at:
        return "its act or time is not the one hashed"
    return ""


def check_folded(folded: dict[str, list[Any]]) -> list[Fault]:
    """Chains that no longer contain a head folded into the installation's chain: recomputed or cut."""
    faults = []
    for chain, (number, digest) in folded.items():
        found = AuditEvent.get_or_none((AuditEvent.chain == chain) & (AuditEvent.number == number))
        if found is None or found.hash != digest:
            faults.append(Fault(chain, number, "it is not the event folded into the installation's chain"))
    return faults


def anchor_fault() -> str:
    """What is wrong with the last signed head: quick, since nothing but the head is looked at."""
    signed: dict[str, str] | None = installation.fact("last_anchor")
    if signed is None:
        return ""
    if not installation.current().authority.is_signed_for_audit(
        signed["statement"].encode(), base64.b64decode(signed["signature"])
    ):
        return "the signature of the last signed head is not by this installation's key"
    said = json.loads(signed["statement"])
    found = AuditEvent.get_or_none((AuditEvent.chain == INSTALLATION) & (AuditEvent.number == said["number"]))
    if said["number"] and (found is None or found.hash != said["hash"]):
        return "the installation's history is not the one that was signed"
    return ""


def as_text(report: dict[str, Any]) -> str:
    if report["valid"]:
        return ngettext(
            "The trail is whole: %(events)s events in one chain.",
            "The trail is whole: %(events)s events in %(num)s chains.",
            report["chains"],
            events=report["events"],
        )
    return "\n".join(
        _("Chain %(chain)s, event %(number)s: %(reason)s.", **fault) for fault in report["faults"]
    )


# --- export ------------------------------------------------------------------------------------


def export(path: Path) -> int:
    """Write the whole trail as JSON lines: a first line with the signed head and the audit key,
    then one line per event with the personal details still kept. Returns how many events.

    `docs/check_audit.py` checks such a file without this product.
    """
    head = installation.fact("last_anchor")
    first = {
        "schema": "countersign-audit/1",
        "anchor": head,
        "audit_key": installation.current().authority.audit_pem.decode(),
        "heads": {h.chain: [h.number, h.hash] for h in ChainHead.select()},
    }
    count = 0
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8") as out:
        out.write(audit.encode(first) + "\n")
        for line in export_lines():
            out.write(line + "\n")
            count += 1
    draft.replace(path)
    return count


def export_lines() -> Iterator[str]:
    rows = (
        AuditEvent.select(AuditEvent, AuditDetail)
        .join(
            AuditDetail,
            peewee.JOIN.LEFT_OUTER,
            on=(AuditDetail.chain == AuditEvent.chain) & (AuditDetail.number == AuditEvent.number),
            attr="detail",
        )
        .order_by(AuditEvent.chain, AuditEvent.number)
        .iterator()
    )
    for row in rows:
        detail = getattr(row, "detail", None)
        kept = {"salt": detail.salt, "values": detail.values} if detail and detail.salt else None
        yield audit.encode({"body": row.body, "hash": row.hash, "details": kept})
