"""What people are told about approvals, each in their language. Queued in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from portal.i18n import use
from portal.models.approvals import Approval
from portal.models.contracts import Contract
from portal.models.people import Person
from portal.services import notices
from portal.services.audit import Actor

# Approval id -> why it is asked, in the language that is spoken.
Say = Callable[[], Mapping[str, str]]


def link(contract: Contract) -> str:
    """The approver's page, by an address that survives signing in first."""
    return notices.url("/approvals?" + urlencode({"contract": contract.reference}))


def ask(
    contract: Contract, people: Mapping[str, list[Person]], rows: list[Approval], now: datetime, say: Say,
    *, moment: str, kind: str = "approval_asked",
) -> None:  # fmt: skip
    """One mail to each who may answer, naming all they are asked for; nobody is mailed about their own
    asking."""
    told: dict[str, tuple[Person, list[Approval]]] = {}
    for row in rows:
        for person in people[row.id]:
            told.setdefault(person.id, (person, []))[1].append(row)
    for person, theirs in told.values():
        with use(person.language):
            said = say()
            reasons = list(dict.fromkeys(said.get(row.id, row.why) for row in theirs))
        asker = theirs[0].asked_by
        send(person, kind, contract, now, link(contract), asker=asker.name if asker else "",
             reasons=reasons, moment=moment, asked_at=theirs[0].asked_at or now)  # fmt: skip


def tell_ready(contract: Contract, moment: str, now: datetime) -> None:
    """Everybody has approved: the owner can send it, or show it to the other side."""
    page = notices.url(f"/contracts/{contract.reference}" + ("/send" if moment == "sign" else ""))
    send(contract.owner, "approval_given", contract, now, page, moment=moment)


def tell_returned(contract: Contract, by: Actor, reason: str, now: datetime) -> None:
    page = notices.url(f"/contracts/{contract.reference}")
    send(contract.owner, "approval_returned", contract, now, page, approver=by.name, reason=reason)


def escalate(
    contract: Contract, people: Iterable[Person], who: str, asked_at: datetime, now: datetime
) -> None:
    """Nobody has answered in time: the executives and the owner learn of it, once."""
    for person in people:
        page = notices.url(f"/contracts/{contract.reference}/approval")
        send(person, "approval_late", contract, now, page, who=who, asked_at=asked_at)


def send(person: Person, kind: str, contract: Contract, now: datetime, page: str, **context: Any) -> None:
    notices.queue(
        kind, address=person.email, name=person.name, language=person.language, zone=person.zone, now=now,
        contract=contract, person_id=person.id, context={"link": page, **context},
    )  # fmt: skip
