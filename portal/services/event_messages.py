"""One message per event of a contract, for the programs an administrator named.

`audit.append` calls `note` for every act of a contract: whatever the trail says happened is told, in
the same transaction, and nothing else is. A message says what happened to which contract; no link, no
token, no reason, nobody's name. Who may read more asks the portal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from portal.i18n import lazy
from portal.models.base import new_id
from portal.models.contracts import Contract
from portal.models.event_receivers import EventDelivery, EventMessage, EventReceiver
from portal.services import jobs

TEST = "countersign.test"
DELIVER = "deliver_event"
# Every event there is, and what it means to an administrator who chooses.
KINDS = {
    "contract.drafted": lazy("A draft was made"),
    "contract.registered": lazy("A contract signed elsewhere was registered"),
    "contract.submitted": lazy("The draft is complete and goes into review"),
    "contract.returned": lazy("The review sends it back"),
    "contract.shared": lazy("It is shown to the other party"),
    "contract.agreed": lazy("Both sides agree on the text"),
    "contract.approved": lazy("All approvals are given: it is ready to sign"),
    "contract.rejected": lazy("An approver refuses the text"),
    "contract.reopened": lazy("A text that was ready is taken back into work"),
    "contract.sent": lazy("People are asked to sign"),
    "contract.refused": lazy("Somebody declined to sign; it goes back to negotiation"),
    "contract.recalled": lazy("The signing request was withdrawn or ran out of time"),
    "contract.signed": lazy("Everybody has signed"),
    "contract.withdrawn": lazy("It is given up before it was signed"),
    "contract.declined": lazy("The other party ends it before it was signed"),
    "contract.voided": lazy("It is declared to have no force"),
    "contract.accepted": lazy("It is being set up"),
    "contract.activated": lazy("It is live"),
    "contract.amended": lazy("A signed amendment changes it"),
    "contract.suspended": lazy("The service is suspended"),
    "contract.resumed": lazy("A suspension ends"),
    "contract.brought_up": lazy("The last day to give notice is near"),
    "contract.renewed": lazy("It goes on for another period"),
    "contract.expired": lazy("Its time is over"),
    "contract.terminated": lazy("One side ends it"),
    "contract.closed": lazy("What was owed at the end is done"),
    "contract.archived": lazy("It is moved to the archive"),
    "contract.unarchived": lazy("It is taken out of the archive again"),
    "contract.handed_over": lazy("It has a new owner"),
}
# Facts of the trail that are told as they are; whatever else stands there stays here.
TOLD = {"from": "former_state", "sha256": "sha256"}


def note(act: str, contract_id: str, facts: Mapping[str, Any], now: datetime) -> None:
    """Write one message for the receivers that want this event, inside the caller's transaction."""
    if act not in KINDS:
        return
    wanted = [each for each in active() if not each.kinds or act in each.kinds]
    contract = Contract.get_or_none(Contract.id == contract_id) if wanted else None
    if contract is None:
        return
    message = write(act, about(contract, facts), contract_id, now)
    for receiver in wanted:
        hand_on(message, receiver, now)


def active() -> list[EventReceiver]:
    """Those not switched off; a paused one is kept supplied, for the day it answers again."""
    return list(EventReceiver.select().where(EventReceiver.is_active))


def about(contract: Contract, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a contract."""
    told = {
        "reference": contract.reference,
        "title": contract.title,
        "state": contract.state,
        "side": contract.side,
        "start_on": contract.start_on.isoformat() if contract.start_on else None,
        "end_on": contract.end_on.isoformat() if contract.end_on else None,
    }
    told |= {name: facts[fact] for fact, name in TOLD.items() if facts.get(fact)}
    return told | ({"by_policy": True} if facts.get("policy") else {})


def write(kind: str, data: Mapping[str, Any], contract_id: str | None, now: datetime) -> EventMessage:
    at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = json.dumps({"type": kind, "timestamp": at, "data": dict(data)}, ensure_ascii=False, sort_keys=True)
    message: EventMessage = EventMessage.create(
        id=f"msg_{new_id()}", kind=kind, contract_id=contract_id, text=text, created_at=now
    )
    return message


def hand_on(message: EventMessage, receiver: EventReceiver, now: datetime) -> EventDelivery:
    """A row for the log, and the job that delivers it unless the receiver is paused."""
    is_paused = receiver.paused_at is not None
    made: EventDelivery = EventDelivery.create(
        message=message, receiver=receiver, state="held" if is_paused else "waiting", created_at=now
    )
    if not is_paused:
        queue(made, message.contract_id, now)
    return made


def queue(delivery: EventDelivery, contract_id: str | None, now: datetime) -> None:
    """Have it delivered now, whether for the first time or once more."""
    payload = {"delivery": delivery.id} | ({"contract": contract_id} if contract_id else {})
    jobs.add_again(DELIVER, payload, key=f"event:{delivery.id}", now=now, max_attempts=10)
