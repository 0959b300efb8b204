"""Approvals nobody has answered: a reminder after a day, the executives after 48 hours, once.

What is next stands beside the row and moves on in the transaction that writes the mails, so neither a
restart nor a second worker writes twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.i18n import use
from portal.models.approvals import Approval
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.services import approval_mails, approvals, approvers, jobs
from portal.services.audit import SYSTEM

ESCALATE_AFTER = timedelta(hours=48)
REMIND_EVERY = timedelta(hours=48)
MOST = 5


@jobs.recurring("remind_approvers", timedelta(minutes=10))
def remind(payload: dict[str, Any], context: jobs.Context) -> None:
    """Remind whoever is asked, and escalate what nobody has answered for 48 hours."""
    now = context.clock()
    for row in due(now):
        with transaction():
            remind_one(row, now)
    for row in late(now):
        with transaction():
            escalate_one(row, now)


def due(now: datetime) -> list[Approval]:
    return live(Approval.next_reminder_at <= now)


def late(now: datetime) -> list[Approval]:
    return live(Approval.escalated_at.is_null() & (Approval.asked_at <= now - ESCALATE_AFTER))


def live(condition: Any) -> list[Approval]:
    """Asked rows whose contract still waits for them."""
    query = Approval.select(Approval, Contract).join(Contract)
    rows = query.where((Approval.state == "asked") & condition).order_by(Approval.asked_at, Approval.id)
    return [row for row in rows if approvals.is_live(row.contract, row)]


def remind_one(row: Approval, now: datetime) -> None:
    """One reminder to whoever may answer; nothing when another was quicker, none after the last."""
    number = row.reminders + 1
    moved = (
        Approval.update(
            reminders=number, next_reminder_at=now + REMIND_EVERY if number < MOST else None
        )
        .where((Approval.id == row.id) & (Approval.state == "asked") & (Approval.reminders == row.reminders))
        .execute()
    )  # fmt: skip
    if moved != 1:
        return
    people = {row.id: approvers.to_ask(row.contract, row.roles, now)}
    say = approvals.reasons(row.contract, [row])
    approval_mails.ask(row.contract, people, [row], now, say, moment=row.moment, kind="approval_reminder")
    approvals.record("approval.reminded", row.contract, SYSTEM, now, approval=row.id, number=number)


def escalate_one(row: Approval, now: datetime) -> None:
    moved = (
        Approval.update(escalated_at=now)
        .where((Approval.id == row.id) & (Approval.state == "asked") & Approval.escalated_at.is_null())
        .execute()
    )
    if moved != 1:
        return
    contract = row.contract
    for person in {each.id: each for each in [*approvers.holders(["executive"]), contract.owner]}.values():
        with use(person.language):
            who = approvals.either(row.roles)
        approval_mails.escalate(contract, [person], who, row.asked_at or now, now)
    approvals.record("approval.escalated", contract, SYSTEM, now, approval=row.id, roles=list(row.roles))
