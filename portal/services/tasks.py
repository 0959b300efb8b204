"""What our side must do for a recipient: paper, a wrong number, a new phone, a question."""

from __future__ import annotations

from datetime import datetime, timedelta

from portal.errors import NotFound
from portal.i18n import lazy
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.envelopes import Recipient, Task
from portal.services import audit, notices
from portal.services.audit import Actor

# kind -> what our side reads, and how long it has
KINDS = {
    "paper": (lazy("wants the contract on paper"), timedelta(days=5)),
    "wrong_number": (lazy("says the telephone number is not theirs"), timedelta(days=1)),
    "not_for_me": (lazy("says the contract is not for them"), timedelta(days=1)),
    "new_phone": (lazy("has a new phone and asks for a new authenticator app"), timedelta(days=1)),
    "other_way": (lazy("cannot receive text messages and asks for a one-time code"), timedelta(days=1)),
    "consent_withdrawn": (lazy("took back the consent to electronic records: send paper"), timedelta(days=5)),
    "question": (lazy("asks a question"), timedelta(days=2)),
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
        due_at=now + KINDS[kind][1],
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
            "what": KINDS[task.kind][0],
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
        if Task.update(done_at=now).where((Task.id == task_id) & Task.done_at.is_null()).execute():
            audit.append(
                "task.done", ("task", task_id), chain=contract.id, by=by, now=now, facts={"kind": task.kind}
            )
