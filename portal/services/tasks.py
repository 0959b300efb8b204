"""What our side must do for a recipient: paper, a wrong number, a new phone, a question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.errors import NotFound
from portal.i18n import lazy
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.envelopes import Recipient, Task
from portal.services import audit, notices
from portal.services.audit import Actor


@dataclass(frozen=True)
class Kind:
    """What the recipient wants, what our side does about it, and within how many days."""

    says: Any
    to_do: Any
    days: int


KINDS = {
    "paper": Kind(
        lazy("wants the contract on paper"),
        lazy("Print the PDF and post it. Withdraw the signing request if they sign on paper instead."),
        5,
    ),
    "wrong_number": Kind(
        lazy("says the telephone number is not theirs"),
        lazy("Ask them for their number by another way, then correct it. Codes go to it a day later."),
        1,
    ),
    "not_for_me": Kind(
        lazy("says the contract is not for them"),
        lazy("Find out who signs instead, then correct the name and the address."),
        1,
    ),
    "new_phone": Kind(
        lazy("has a new phone and asks for a new authenticator app"),
        lazy("Make sure that it is them, by telephone or in person, then end the old app."),
        1,
    ),
    "other_way": Kind(
        lazy("cannot receive text messages and asks for a one-time code"),
        lazy("Make sure that it is them, by telephone or in person, then tell them a one-time code."),
        1,
    ),
    "no_texts": Kind(
        lazy("waits for a code, and our limit for text messages is reached"),
        lazy("Make sure that it is them, by telephone or in person, then tell them a one-time code."),
        1,
    ),
    "consent_withdrawn": Kind(
        lazy("took back the consent to electronic records: send paper"),
        lazy("Print the PDF and post it. Withdraw the signing request if they sign on paper instead."),
        5,
    ),
    "question": Kind(lazy("asks a question"), lazy("Answer by mail or telephone."), 2),
}


def add(kind: str, contract: Contract, recipient: Recipient, *, now: datetime, text: str = "") -> Task:
    """Note a task and write to whoever sent the contract. An open one of the same kind takes the text.

    Call inside the transaction of the fact behind it.
    """
    same = (Task.recipient == recipient) & (Task.kind == kind) & Task.done_at.is_null()
    found: Task | None = Task.select().where(same).first()
    if found is not None and found.text == text:
        return found
    task: Task = Task.create(
        contract=contract,
        recipient=recipient,
        kind=kind,
        text=text,
        created_at=now,
        due_at=now + timedelta(days=KINDS[kind].days),
    )
    tell_sender(task, contract, recipient, now)
    return task


def tell_sender(task: Task, contract: Contract, recipient: Recipient, now: datetime) -> None:
    sender = recipient.envelope.sender
    notices.queue(
        "signer_task",
        address=sender.email,
        name=sender.name,
        language=sender.language,
        zone=sender.zone,
        now=now,
        contract=contract,
        person_id=sender.id,
        context={
            "signer": recipient.name,
            "what": KINDS[task.kind].says,
            "message": task.text,
            "due_at": task.due_at,
            "link": notices.url(f"/contracts/{contract.reference}"),
        },
    )


def open_for(contract: Contract) -> list[Task]:
    """What is still to be done on a contract, the most urgent first."""
    return list(
        Task.select(Task, Recipient)
        .join(Recipient)
        .where((Task.contract == contract) & Task.done_at.is_null())
        .order_by(Task.due_at)
    )


def finish(contract: Contract, task_id: str, *, by: Actor, now: datetime) -> None:
    """Tick a task off; twice is once. Raises NotFound for a task of another contract."""
    with transaction():
        task = Task.get_or_none((Task.id == task_id) & (Task.contract == contract))
        if task is None:
            raise NotFound()
        close(task, by, now)


def settle(recipient: Recipient, kinds: Iterable[str], *, by: Actor, now: datetime) -> None:
    """Tick off what was asked once it has been done. Call inside the transaction that does it."""
    asked = (Task.recipient == recipient) & Task.kind.in_(list(kinds)) & Task.done_at.is_null()
    for task in Task.select().where(asked):
        close(task, by, now)


def close(task: Task, by: Actor, now: datetime) -> None:
    if Task.update(done_at=now).where((Task.id == task.id) & Task.done_at.is_null()).execute():
        audit.append(
            "task.done", ("task", task.id), chain=task.contract.id, by=by, now=now, facts={"kind": task.kind}
        )
