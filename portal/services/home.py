"""What waits for me, what waits for others, what is stuck."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from portal.i18n import gettext as _
from portal.i18n import lazy, ngettext
from portal.models.approvals import Approval
from portal.models.base import Model
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope, Recipient, Task
from portal.models.negotiation import Proposal
from portal.models.notices import Notice
from portal.models.parties import Counterparty, LegalEntity
from portal.models.people import Person
from portal.services import (
    approvals,
    approvers,
    contract_states,
    held,
    permissions,
    queues,
    readiness,
    recovery,
    return_reasons,
)

MOST_ROWS = 12
LATEST = 300  # what is failed or open is looked for among so many; older ones stand in the list of contracts
OPEN = ("sent", "opened")
TASKS = {
    "paper": lazy("asked for paper"),
    "wrong_number": lazy("says the telephone number is wrong"),
    "not_for_me": lazy("says this is not for them"),
    "new_phone": lazy("has a new phone and needs a new authenticator"),
    "other_way": lazy("cannot receive text messages and needs a one-time code"),
    "question": lazy("has a question"),
    "consent_withdrawn": lazy("withdrew consent to electronic records"),
    "unanswered": lazy("has not answered five reminders"),
}


@dataclass(frozen=True)
class Row:
    """One line of the home page."""

    title: str
    reference: str
    about: str
    path: str
    action: str = ""
    since: datetime | None = None
    word: str = ""
    tone: str = "waiting"


def company_name() -> str:
    """The first of our legal entities; empty before there is one."""
    row = LegalEntity.select(LegalEntity.name).order_by(LegalEntity.created_at).limit(1).tuples().first()
    return str(row[0]) if row else ""


def waiting_for_me(person: Person, now: datetime) -> list[Row]:
    """My approval, my signature, requests and proposals on my contracts, my drafts; most pressing first."""
    asked = approvals_of(person, now) + signatures_of(person) + tasks_of(person) + proposals_to(person)
    named = {row.reference for row in asked}
    return (asked + [row for row in drafts_of(person) if row.reference not in named])[:MOST_ROWS]


def duties_of(person: Person, now: datetime) -> list[Row]:
    """What the installation needs of an administrator: a recovery key, a word on held messages."""
    if not permissions.allows(person, "installation.edit"):
        return []
    rows = []
    wanted = recovery.wanted(now)
    if wanted is not None:
        rows.append(
            Row(
                title=_("Keep the recovery key"),
                reference="",
                about=recovery.in_words(wanted),
                path="/settings/recovery",
                action=_("Download"),
            )
        )
    waiting = held.count()
    if waiting:
        rows.append(
            Row(
                title=_("Messages are held since a restore"),
                reference="",
                about=ngettext(
                    "One may have gone out before. “countersign held” lists it, then sends or drops it.",
                    "%(num)s may have gone out before. “countersign held” lists, then sends or drops them.",
                    waiting,
                ),
                path="/settings/recovery",
            )
        )
    return rows


def approvals_of(person: Person, now: datetime) -> list[Row]:
    """Texts that wait for my yes, mine or as a substitute; those that wait longest first."""
    if not approvers.may_be_asked(person, now):
        return []
    asked = Approval.select(Approval.contract).where(Approval.state == "asked")
    rows = (
        Contract.select(Contract, Counterparty)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where(Contract.id.in_(asked) & Contract.state.in_((*contract_states.EDITABLE, "approval")))
        .order_by(Contract.updated_at)
        .limit(LATEST)
    )
    found = [(contract, approvals.mine(contract, person, now)) for contract in rows]
    return [
        Row(
            title=_("%(party)s: approve", party=party_name(contract)),
            reference=contract.reference,
            about=contract.title,
            path=f"/contracts/{contract.reference}/approval",
            action=_("Decide"),
            since=mine[0][0].asked_at,
        )
        for contract, mine in found
        if mine
    ]


def signatures_of(person: Person) -> list[Row]:
    asked = (Recipient.person == person) & Recipient.status.in_(OPEN)
    rows = (
        Recipient.select(Recipient, Envelope, Contract, Counterparty)
        .join(Envelope)
        .join(Contract)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where(latest(Recipient, asked, Recipient.asked_at) & is_out())
        .order_by(Recipient.asked_at)
        .limit(MOST_ROWS)
    )
    return [
        Row(
            title=_("%(party)s: sign", party=party_name(r.envelope.contract)),
            reference=r.envelope.contract.reference,
            about=_("%(title)s. The link is in your mail.", title=r.envelope.contract.title),
            path=f"/contracts/{r.envelope.contract.reference}",
            since=r.asked_at,
        )
        for r in rows
    ]


def proposals_to(person: Person) -> list[Row]:
    """Contracts of mine in which the other side waits for an answer, each once."""
    waiting = (Proposal.state == "open") & (Proposal.side == "theirs")
    query: Any = (
        Proposal.select(
            Proposal.contract, peewee.fn.COUNT(Proposal.id).alias("count"),
            peewee.fn.MIN(Proposal.created_at).alias("since"),
        )
        .join(Contract)
        .where(waiting & (Contract.owner == person) & (Contract.state == "negotiation"))
        .group_by(Proposal.contract)
        .order_by(peewee.SQL("since"))
        .limit(MOST_ROWS)
    )  # fmt: skip
    return [
        Row(
            title=ngettext(
                "%(party)s: one proposal to answer", "%(party)s: %(num)s proposals to answer", row.count,
                party=party_name(row.contract),
            ),
            reference=row.contract.reference,
            about=row.contract.title,
            path=f"/contracts/{row.contract.reference}/negotiation",
            action=_("Answer"),
            since=row.since,
        )
        for row in query
    ]  # fmt: skip


def tasks_of(person: Person) -> list[Row]:
    rows = (
        Task.select(Task, Contract, Recipient)
        .join(Contract)
        .switch(Task)
        .join(Recipient, peewee.JOIN.LEFT_OUTER)
        .where((Contract.owner == person) & Task.done_at.is_null())
        .order_by(Task.created_at)
        .limit(MOST_ROWS)
    )
    return [
        Row(
            title=f"{task.recipient.name if task.recipient else party_name(task.contract)} "
            f"{TASKS.get(task.kind, task.kind)}",
            reference=task.contract.reference,
            about=task.text or task.contract.title,
            path=f"/contracts/{task.contract.reference}",
            action=_("Answer"),
            since=task.created_at,
        )
        for task in rows
    ]


def drafts_of(person: Person) -> list[Row]:
    rows = (
        Contract.select(Contract, Counterparty)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where((Contract.owner == person) & Contract.state.in_(("draft", "ready_to_sign", "negotiation")))
        .order_by(Contract.updated_at.desc())
        .limit(MOST_ROWS)
    )
    words = {
        "draft": (_("finish the draft"), _("Continue")),
        "ready_to_sign": (_("send it for signature"), _("Send")),
        "negotiation": (_("answer the other side"), _("Open")),
    }
    return [
        Row(
            title=_("%(party)s: %(what)s", party=party_name(contract), what=words[contract.state][0]),
            reference=contract.reference,
            about=contract.title,
            path=f"/contracts/{contract.reference}",
            action=words[contract.state][1],
            since=contract.updated_at,
        )
        for contract in rows
    ]


def latest(table: Any, condition: Any, moment: Any) -> Any:
    """The condition in the form that an index answers first, whatever the join around it."""
    return table.id.in_(table.select(table.id).where(condition).order_by(moment.desc()).limit(LATEST))


def is_out() -> Any:
    """The condition that people are being asked; the contract's state lets its index find them."""
    return (Envelope.status == "sent") & (Contract.state == "signing")


def waiting_for_others(person: Person) -> list[Row]:
    """People who have been asked to approve or sign my contracts and have not."""
    return (being_approved(person) + being_signed(person))[:MOST_ROWS]


def being_approved(person: Person) -> list[Row]:
    rows = (
        Contract.select(Contract, Counterparty)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where((Contract.owner == person) & (Contract.state == "approval"))
        .order_by(Contract.updated_at)
        .limit(MOST_ROWS)
    )
    return [
        Row(
            title=party_name(contract),
            reference=contract.reference,
            about=_("%(name)s to approve", name=contract.waiting_for),
            path=f"/contracts/{contract.reference}",
            since=contract.updated_at,
        )
        for contract in rows
    ]


def being_signed(person: Person) -> list[Row]:
    rows = (
        Recipient.select(Recipient, Envelope, Contract, Counterparty)
        .join(Envelope)
        .join(Contract)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where(
            (Contract.owner == person) & is_out() & Recipient.status.in_(OPEN) & (Recipient.problem == "")
        )
        .order_by(Recipient.asked_at)
        .limit(MOST_ROWS)
    )  # fmt: skip
    return [
        Row(
            title=party_name(r.envelope.contract),
            reference=r.envelope.contract.reference,
            about=(
                _("%(name)s to approve", name=r.name)
                if r.role == "approver"
                else _("%(name)s to sign", name=r.name)
            ),
            path=f"/contracts/{r.envelope.contract.reference}",
            since=r.asked_at,
        )
        for r in rows
    ]


def stuck(person: Person) -> list[Row]:
    """Messages that could not be delivered, people with a problem, and seals that failed."""
    lost = lost_messages(person)
    told = {notice.recipient_id for notice in lost if notice.recipient_id}
    return (undelivered(lost) + seals_failed(person) + problems(person, told))[:MOST_ROWS]


def operations(person: Person, now: datetime) -> list[Row]:
    """For administrators: one row when something failed for good, or stands in the way."""
    if not permissions.allows(person, "installation.edit"):
        return []
    reasons = readiness.reasons(now)
    failed = queues.count_failed(now)
    if failed:
        reasons.append(
            ngettext("%(num)s piece of work has failed.", "%(num)s pieces of work have failed.", failed)
        )
    if not reasons:
        return []
    return [
        Row(
            title=_("Operations"),
            reference="",
            about=" ".join(reasons),
            path="/settings/operations",
            word=_("Needs you"),
            tone="failed",
        )
    ]


def lost_messages(person: Person) -> list[Any]:
    """The newest message to each address that did not arrive, unless the person was reached since."""
    never_arrived = Notice.status.in_(("failed", "returned"))
    rows: Any = (
        Notice.select(Notice, Contract, Counterparty)
        .join(Contract, on=(Notice.contract_id == Contract.id), attr="contract")
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .switch(Notice)
        .join(Recipient, peewee.JOIN.LEFT_OUTER, on=(Notice.recipient_id == Recipient.id))
        .where((Contract.owner == person) & latest(Notice, never_arrived, Notice.created_at))
        .where(Recipient.id.is_null() | (Recipient.problem != "") | (Notice.channel != "mail"))
        .order_by(Notice.created_at.desc())
        .limit(LATEST)
    )
    newest: dict[Any, Any] = {}
    for notice in rows:
        newest.setdefault((notice.contract_id, notice.address), notice)
    return list(newest.values())[:MOST_ROWS]


def undelivered(lost: list[Any]) -> list[Row]:
    return [
        Row(
            title=party_name(n.contract),
            reference=n.contract.reference,
            about=_(
                "Message to %(address)s: %(failure)s",
                address=n.address,
                failure=return_reasons.why(n),
            ),
            path=f"/contracts/{n.contract.reference}",
            since=n.created_at,
            word=_("Not delivered"),
            tone="failed",
        )
        for n in lost
    ]


def seals_failed(person: Person) -> list[Row]:
    rows = (
        Envelope.select(Envelope, Contract, Counterparty)
        .join(Contract)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where(
            (Contract.owner == person) & latest(Envelope, Envelope.seal_status == "failed", Envelope.ended_at)
        )
        .limit(MOST_ROWS)
    )
    return [
        Row(
            title=party_name(envelope.contract),
            reference=envelope.contract.reference,
            about=_("Everyone has signed; the company seal could not be set yet."),
            path=f"/contracts/{envelope.contract.reference}",
            since=envelope.ended_at,
            word=_("Seal failed"),
            tone="failed",
        )
        for envelope in rows
    ]


def problems(person: Person, told: set[str]) -> list[Row]:
    """What signers have said or suffered, but for those whose lost message is `told` already."""
    words = {
        "not_mine": _("The telephone number is not theirs."),
        "undelivered": _("The mail did not arrive."),
        "not_for_me": _("They say this is not for them."),
    }
    rows = (
        Recipient.select(Recipient, Envelope, Contract, Counterparty)
        .join(Envelope)
        .join(Contract)
        .join(Counterparty, peewee.JOIN.LEFT_OUTER)
        .where((Contract.owner == person) & is_out() & (Recipient.problem != ""))
        .limit(MOST_ROWS)
    )
    return [
        Row(
            title=_("%(party)s: %(what)s", party=party_name(r.envelope.contract), what=r.name),
            reference=r.envelope.contract.reference,
            about=words.get(r.problem, r.problem),
            path=f"/contracts/{r.envelope.contract.reference}",
            word=_("Needs you"),
            tone="failed",
        )
        for r in rows
        if r.problem != "undelivered" or r.id not in told
    ]


def party_name(contract: Contract) -> str:
    party: Model | None = contract.counterparty
    return str(party.name) if party is not None else str(contract.title)  # type: ignore[attr-defined]


def has_contracts() -> bool:
    """Whether any contract exists yet; a fresh installation shows what to do first instead."""
    return bool(Contract.select(Contract.id).limit(1).exists())
