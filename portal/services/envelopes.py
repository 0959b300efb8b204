"""What was sent for signature: sending it, and the one function that moves it.

Whoever reports something (the ceremony here, a provider's webhook, a poll), it arrives as a
`ProviderEvent` in `apply_event`: under the envelope's lock, with the trail and everything that
follows in the same transaction. A group of people acts at the same time; within one number of the
signing order, those who approve come before those who sign.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from portal import failpoints
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import format_datetime
from portal.i18n import gettext as _
from portal.models.base import is_sqlite, transaction
from portal.models.connections import Connection
from portal.models.contracts import Contract, Revision
from portal.models.envelopes import Act, Envelope, Recipient
from portal.models.people import Person
from portal.services import (
    approvals,
    audit,
    calls,
    connections,
    contract_states,
    jobs,
    links,
    policies,
    routing,
    sendable,
    signing_mails,
    sms_numbers,
)
from portal.services.audit import SYSTEM, Actor
from providers import registry
from providers.interface import EventKind, ProviderEvent

OPEN = ("queued", "sent")
PROVIDER = "provider"  # the kind of actor that tells what a provider says
ASKED = ("sent", "opened")
next_group = routing.next_group
REMIND_EVERY = timedelta(hours=48)
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=365)
USUAL_LIFE = timedelta(days=30)

log = logging.getLogger(__name__)


# --- Reading ----------------------------------------------------------------------------------


def get(envelope_id: str) -> Envelope:
    """An envelope by its id; for services and jobs, which have checked who asks. Raises NotFound."""
    envelope: Envelope | None = Envelope.get_or_none(Envelope.id == envelope_id)
    if envelope is None:
        raise NotFound(_("There is no such signing request."))
    return envelope


def open_for(contract: Contract) -> Envelope | None:
    """The signing request of this contract that is still open; there is never more than one."""
    found: Envelope | None = (
        Envelope.select().where((Envelope.contract == contract) & Envelope.status.in_(OPEN)).first()
    )
    return found


def latest(contract: Contract) -> Envelope | None:
    """The newest signing request of this contract, whatever became of it."""
    found: Envelope | None = (
        Envelope.select().where(Envelope.contract == contract).order_by(Envelope.id.desc()).first()
    )
    return found


def recipients_of(envelope: Envelope) -> list[Recipient]:
    """Everybody in it: in the order in which they act, then those who get a copy."""
    rows = list(Recipient.select().where(Recipient.envelope == envelope).order_by(Recipient.id))
    for row in rows:
        row.envelope = envelope
    return sorted(rows, key=lambda r: (r.role == "copy", routing.group_of(r)))


def lock(envelope_id: str) -> Envelope:
    """The envelope, held until the caller's transaction ends. Take it before writing acts.

    On PostgreSQL the lock lets others refer to the row: two who sign at once each insert an act,
    which refers to it, before either may move it.
    """
    query: Any = Envelope.select().where(Envelope.id == envelope_id)
    envelope: Envelope | None = (query if is_sqlite() else query.for_update("FOR NO KEY UPDATE")).first()
    if envelope is None:
        raise NotFound(_("There is no such signing request."))
    return envelope


# --- Sending ----------------------------------------------------------------------------------


def send(
    contract: Contract,
    *,
    message: str,
    expires_at: datetime,
    by: Actor,
    now: datetime,
    connection: Connection | None = None,
    replaces: Envelope | None = None,
) -> Envelope:
    """Send the frozen contract to its people: envelope, recipients, trail and job in one transaction.

    Through the account `connection`, or built in where it is None. Raises Conflict unless the contract
    is ready to sign, and Invalid with reasons by field (`recipient-<key>` for a person, `connection`)
    for whatever would stop it later.
    """
    provider = connection.provider if connection is not None else "builtin"
    if not now + SHORTEST <= expires_at <= now + LONGEST:
        raise Invalid({"expires_on": _("Choose a day from tomorrow to one year from now.")})
    document = sendable.shown_document(contract)
    people = sendable.checked_people(contract, document, connection, now)
    ways = sendable.ways(contract, people, provider)
    with transaction():
        if connection is not None:
            connections.hold(connection)
        if replaces is None:
            approvals.demand_given(contract, document.revision)
        contract_states.become(
            contract, "signing", by=by, now=now, sha256=document.sha256, facts={"document": document.id}
        )
        envelope: Envelope = Envelope.create(
            contract=contract, revision=document.revision, document=document, provider=provider,
            connection=connection, replaces=replaces, message=message, sender=sender_of(contract, by),
            created_at=now, expires_at=expires_at,
        )  # fmt: skip
        for person in people:
            add_recipient(envelope, contract, person, ways[person["key"]])
        audit.append(
            "envelope.queued", ("envelope", envelope.id), chain=contract.id, by=by, now=now,
            facts=queued_facts(envelope, people), personal={"message": message},
        )  # fmt: skip
        jobs.add(
            "send_envelope", {"envelope": envelope.id}, key=f"send:{envelope.id}", now=now,
            max_attempts=12 if connection is None else calls.MOST_ATTEMPTS,
        )  # fmt: skip
        failpoints.reach("envelope.before_commit")
    failpoints.reach("envelope.after_commit")
    return envelope


def sender_of(contract: Contract, by: Actor) -> Person:
    """Who sends: a person of ours, or the owner where the portal itself does."""
    sender: Person = (
        Person.get_or_none(Person.id == by.id) if by.kind == "person" else None
    ) or contract.owner
    return sender


def add_recipient(
    envelope: Envelope, contract: Contract, person: dict[str, Any], way: sendable.Way
) -> Recipient:
    _factors, reasons = policies.factors_for(contract, person)
    row: Recipient = Recipient.create(
        envelope=envelope, key=person["key"], side=person["side"], role=person["role"],
        routing_order=person.get("routing_order", 1), name=person["name"], email=person["email"],
        title=person.get("title", ""), organisation=person.get("organisation", ""),
        phone=person.get("phone", ""), language=person.get("language", "en"),
        is_consumer=bool(person.get("is_consumer")), person=person.get("person_id") or None,
        factors=list(way.gated), native_factors=list(way.native), is_embedded=way.is_embedded,
        factor_reasons=reasons,
        status="created" if person["role"] == "copy" else "waiting",
    )  # fmt: skip
    known = sms_numbers.carry_over(row, sms_numbers.earlier(row, contract.id))
    if known:
        Recipient.update(**known).where(Recipient.id == row.id).execute()
    return row


def queued_facts(envelope: Envelope, people: list[dict[str, Any]]) -> dict[str, Any]:
    revision: Revision | None = envelope.revision
    return {
        "document": envelope.document.id,
        "document_sha256": envelope.document.sha256,
        "revision_sha256": revision.sha256 if revision else None,
        "provider": envelope.provider,
        "connection": envelope.connection.id if envelope.connection else None,
        "replaces": envelope.replaces.id if envelope.replaces else None,
        "expires_at": envelope.expires_at.isoformat(),
        "recipients": [
            {"key": p["key"], "role": p["role"], "routing_order": p.get("routing_order", 1)} for p in people
        ],
    }


# --- Moving -----------------------------------------------------------------------------------


def apply_event(envelope_id: str, event: ProviderEvent, *, by: Actor, now: datetime) -> Envelope:
    """Take in one thing that happened: the envelope's next state, its trail and what follows.

    Runs in its own transaction or joins the caller's. Raises Conflict, changing nothing, when the
    event does not fit the present state (already signed, not their turn, over, expired).
    """
    with transaction():
        envelope = lock(envelope_id)
        step = STEPS.get(event.kind)
        if step is None:
            log.warning("envelope %s: an event of an unknown kind is left alone", envelope_id)
        else:
            step(envelope, event, by, now)
    return envelope


def sent(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    become(envelope, "sent", ("queued",), sent_at=now)
    record("envelope.sent", envelope, by, now, provider=envelope.provider)
    ask_next(envelope, now)


def opened(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    """The first time only; whoever opens again, or after acting, changes nothing."""
    recipient = one(envelope, event.recipient_key)
    if envelope.status == "sent" and recipient.status == "sent":
        Recipient.update(status="opened", opened_at=now).where(Recipient.id == recipient.id).execute()
        record_of("recipient.opened", recipient, envelope, by, now)


def acted(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    """Somebody signed or approved: the next are asked, or everything is complete.

    Of what it reports a provider is the judge: nobody is too late or out of turn, and it alone says when
    everything is complete.
    """
    is_told = by.kind == PROVIDER
    recipient = told_of(envelope, event) if is_told else on_turn(envelope, event, now)
    status = "signed" if recipient.role == "signer" else "approved"
    if event.kind != status:
        raise Conflict(_("This person is not asked to do that."))
    finish_recipient(recipient, status, min(event.at, now) if is_told else now)
    shown = event.document_sha256 or envelope.document.sha256
    record_of(f"recipient.{status}", recipient, envelope, by, now, document_sha256=shown, **event.facts)
    if we_write(recipient, envelope):
        signing_mails.acknowledge(recipient, envelope, status, now)
    if next_group(recipients_of(envelope)):
        ask_next(envelope, now)
        go_on(envelope, recipient, now)
    elif is_told:
        Envelope.update(next_poll_at=now).where(Envelope.id == envelope.id).execute()
    else:
        complete(envelope, by, now)


def declined(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    """One who says no ends it for all; the contract goes back to be negotiated."""
    recipient = None
    if by.kind != PROVIDER:
        recipient = on_turn(envelope, event, now)
        finish_recipient(recipient, "declined", now)
    elif event.recipient_key:
        recipient = told_of(envelope, event)
        finish_recipient(recipient, "declined", min(event.at, now))
    close(envelope, "declined", event.reason, now)
    if recipient is not None:
        record_of("recipient.declined", recipient, envelope, by, now, reason=event.reason, **event.facts)
    record("envelope.declined", envelope, by, now)
    if by.kind != PROVIDER:
        end_there(envelope, now)  # declined at our gate: nobody else is to sign there
    back_to("negotiation", envelope, by, now, event.reason or _("A signer declined."))
    signing_mails.tell_declined(envelope, recipient, event.reason, now)


def voided(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    close(envelope, "voided", event.reason, now)
    record("envelope.voided", envelope, by, now, reason=event.reason)
    back_to("ready_to_sign", envelope, by, now, event.reason or _("The signing request was withdrawn."))
    signing_mails.tell_voided(envelope, event.reason, now, said=event.facts.get("said"))


def expired(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    close(envelope, "expired", "", now)
    record("envelope.expired", envelope, by, now)
    back_to("ready_to_sign", envelope, by, now, _("The signing request ran out of time."))
    signing_mails.tell_expired(envelope, now)


def completed_elsewhere(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    """A provider that hands over a finished file says that all is done."""
    if not registry.capabilities(envelope.provider).seals:
        raise Conflict(_("This signing request is complete once everybody has signed."))
    for recipient in recipients_of(envelope):
        if recipient.role != "copy" and recipient.status not in routing.DONE:
            status = "signed" if recipient.role == "signer" else "approved"
            finish_recipient(recipient, status, min(event.at, now))
            record_of(f"recipient.{status}", recipient, envelope, by, now, **event.facts)
    complete(envelope, by, now)


def undelivered(envelope: Envelope, event: ProviderEvent, by: Actor, now: datetime) -> None:
    recipient = one(envelope, event.recipient_key)
    Recipient.update(problem="undelivered").where(Recipient.id == recipient.id).execute()
    record_of("recipient.undelivered", recipient, envelope, by, now)


STEPS: dict[EventKind, Callable[[Envelope, ProviderEvent, Actor, datetime], None]] = {
    EventKind.SENT: sent,
    EventKind.OPENED: opened,
    EventKind.SIGNED: acted,
    EventKind.APPROVED: acted,
    EventKind.DECLINED: declined,
    EventKind.COMPLETED: completed_elsewhere,
    EventKind.VOIDED: voided,
    EventKind.EXPIRED: expired,
    EventKind.UNDELIVERED: undelivered,
}


def complete(envelope: Envelope, by: Actor, now: datetime) -> None:
    become(
        envelope, "completed", ("sent",), ended_at=now, seal_status="pending", problem="", next_poll_at=None
    )
    contract = envelope.contract
    record("envelope.completed", envelope, by, now, document_sha256=envelope.document.sha256)
    contract_states.become(contract, "signed", by=by, now=now, sha256=envelope.document.sha256)
    jobs.add("follow_contract", {"contract": contract.id}, key=f"follow:{contract.id}:signed", now=now)
    is_theirs = registry.capabilities(envelope.provider).seals
    jobs.add(
        "fetch_executed" if is_theirs else "seal_envelope", {"envelope": envelope.id},
        key=f"seal:{envelope.id}", now=now, max_attempts=calls.MOST_ATTEMPTS if is_theirs else 12,
    )  # fmt: skip
    links.end_signing(envelope, now)


def close(envelope: Envelope, status: str, reason: str, now: datetime) -> None:
    """End it without a signature; nobody is reminded and no signing link works any more."""
    become(envelope, status, OPEN, ended_at=now, ended_reason=reason, problem="", next_poll_at=None)
    Recipient.update(next_reminder_at=None).where(Recipient.envelope == envelope).execute()
    links.end_signing(envelope, now)


def become(envelope: Envelope, status: str, allowed: tuple[str, ...], **values: Any) -> None:
    """Compare and set. Raises Conflict with a sentence on how it stands."""
    moved = (
        Envelope.update(status=status, **values)
        .where((Envelope.id == envelope.id) & Envelope.status.in_(allowed))
        .execute()
    )
    if moved != 1:
        raise Conflict(how_it_stands(get(envelope.id)))
    envelope.status = status
    for name, value in values.items():
        setattr(envelope, name, value)


def how_it_stands(envelope: Envelope) -> str:
    """Why nothing can be done with it now, for the person who tried."""
    at = format_datetime(envelope.ended_at) if envelope.ended_at else ""
    sentences = {
        "queued": _("This signing request is still being sent."),
        "sent": _("This signing request is with the people asked to sign."),
        "completed": _("Everybody has signed; it was complete on %(at)s.", at=at),
        "declined": _("Somebody declined on %(at)s, so nobody can sign any more.", at=at),
        "voided": _("The sender withdrew this signing request on %(at)s.", at=at),
        "expired": _("This signing request ran out of time on %(at)s.", at=at),
    }
    return sentences[envelope.status]


def told_of(envelope: Envelope, event: ProviderEvent) -> Recipient:
    """The recipient a provider tells of. Raises Conflict once they have acted, or all is over."""
    recipient = one(envelope, event.recipient_key)
    if envelope.status != "sent":
        raise Conflict(how_it_stands(envelope))
    if recipient.status in (*routing.DONE, "declined"):
        raise Conflict(_("You have already answered; nothing was done twice."))
    return recipient


def on_turn(envelope: Envelope, event: ProviderEvent, now: datetime) -> Recipient:
    """The recipient, who may act now. Raises Conflict for everybody else."""
    recipient = one(envelope, event.recipient_key)
    if envelope.status != "sent":
        raise Conflict(how_it_stands(envelope))
    if now >= envelope.expires_at:
        raise Conflict(
            _("This signing request ran out of time on %(at)s.", at=format_datetime(envelope.expires_at))
        )
    if recipient.status in (*routing.DONE, "declined"):
        raise Conflict(_("You have already answered; nothing was done twice."))
    if recipient.status not in ASKED or recipient.id not in {
        r.id for r in next_group(recipients_of(envelope))
    }:
        raise Conflict(_("It is not your turn yet: others come before you."))
    return recipient


def finish_recipient(recipient: Recipient, status: str, now: datetime) -> None:
    """Compare and set, so that one person acts once."""
    moved = (
        Recipient.update(status=status, acted_at=now, next_reminder_at=None, problem="")
        .where((Recipient.id == recipient.id) & Recipient.status.not_in((*routing.DONE, "declined")))
        .execute()
    )
    if moved != 1:
        raise Conflict(_("You have already answered; nothing was done twice."))
    recipient.status, recipient.acted_at = status, now


def ask_next(envelope: Envelope, now: datetime) -> None:
    """Ask everybody whose turn it is and who has not been asked."""
    group = next_group(recipients_of(envelope))
    can = registry.capabilities(envelope.provider)
    has_reminded = can.reminders and not can.automatic_reminders
    for recipient in group:
        if recipient.status == "waiting":
            writes = we_write(recipient, envelope)
            recipient.status = "sent"
            Recipient.update(
                status="sent",
                asked_at=now,
                next_reminder_at=now + REMIND_EVERY if writes or has_reminded else None,
            ).where(Recipient.id == recipient.id).execute()
            record_of("recipient.asked", recipient, envelope, SYSTEM, now)
            if writes:
                signing_mails.ask(recipient, envelope, now)
                failpoints.reach("ask.after_mail_row")
    names = ", ".join(r.name for r in group)
    Contract.update(waiting_for=names).where(Contract.id == envelope.contract.id).execute()


def go_on(envelope: Envelope, recipient: Recipient, now: datetime) -> None:
    """Have the next step started by a provider that embeds one step at a time."""
    can = registry.capabilities(envelope.provider)
    if can.embedded_in_order or not recipient.is_embedded:
        return
    step = routing.group_of(next_group(recipients_of(envelope))[0])
    if step != routing.group_of(recipient):
        jobs.add(
            "send_next_step",
            {"envelope": envelope.id},
            key=f"step:{envelope.id}:{step[0]}:{step[1]}",
            now=now,
            max_attempts=calls.MOST_ATTEMPTS,
        )


def we_write(recipient: Recipient, envelope: Envelope) -> bool:
    """Whether the portal writes to this person; else the provider does."""
    return bool(recipient.is_embedded) or not registry.capabilities(envelope.provider).asks_recipients


def back_to(state: str, envelope: Envelope, by: Actor, now: datetime, reason: str) -> None:
    """The contract leaves signing; acts of this round stay in the trail but bind nobody."""
    contract = Contract.get_by_id(envelope.contract.id)
    contract_states.become(contract, state, by=by, now=now, reason=reason, sha256=envelope.document.sha256)


def one(envelope: Envelope, key: str) -> Recipient:
    recipient: Recipient | None = Recipient.get_or_none(
        (Recipient.envelope == envelope) & (Recipient.key == key)
    )
    if recipient is None:
        raise NotFound(_("There is no such person in this signing request."))
    return recipient


def record(act: str, envelope: Envelope, by: Actor, now: datetime, *, reason: str = "", **facts: Any) -> None:
    audit.append(
        act, ("envelope", envelope.id), chain=envelope.contract.id, by=by, now=now, facts=facts,
        personal={"reason": reason},
    )  # fmt: skip


def record_of(
    act: str,
    recipient: Recipient,
    envelope: Envelope,
    by: Actor,
    now: datetime,
    *,
    reason: str = "",
    **facts: Any,
) -> None:
    audit.append(
        act, ("recipient", recipient.id), chain=envelope.contract.id, by=by, now=now,
        facts={"envelope": envelope.id, "key": recipient.key, "role": recipient.role, **facts},
        personal={"name": recipient.name, "email": recipient.email, "reason": reason},
    )  # fmt: skip


# --- Ending -----------------------------------------------------------------------------------


def void(
    envelope: Envelope, *, reason: str, by: Actor, now: datetime, said: dict[str, Any] | None = None
) -> None:
    """Withdraw a request nobody has completed; everyone asked is told. The page asks for step-up.

    What an outside provider may have is withdrawn there first: see `withdraw`. `said` ({"message",
    "params"}) is the reason as a marked sentence, told to each person in their own language.
    """
    if not reason.strip():
        raise Invalid({"reason": _("Say why: the people asked to sign will read it.")})
    with transaction():
        locked = lock(envelope.id)
        if locked.provider != "builtin" and locked.handed_at is not None:
            withdraw(locked, "voided", reason.strip(), by, now, said)
            return
        facts = {"said": said} if said else {}
        event = ProviderEvent(EventKind.VOIDED, now, reason=reason.strip(), facts=facts)
        apply_event(envelope.id, event, by=by, now=now)


def withdraw(
    envelope: Envelope,
    kind: str,
    reason: str,
    by: Actor,
    now: datetime,
    said: dict[str, Any] | None = None,
) -> None:
    """Ask the provider to end it, by a job; only its yes ends it here. `kind`: voided or expired.

    Asking again changes nothing. Raises Conflict when it is over.
    """
    if envelope.status not in OPEN:
        raise Conflict(how_it_stands(envelope))
    if envelope.withdrawal is not None:
        return
    asked = {"kind": kind, "reason": reason, "by": [by.kind, by.id], "said": said}
    Envelope.update(withdrawal=asked).where(Envelope.id == envelope.id).execute()
    record("envelope.withdrawal_asked", envelope, by, now, reason=reason, kind=kind)
    jobs.add_again(
        "withdraw_envelope", {"envelope": envelope.id}, key=f"withdraw:{envelope.id}", now=now,
        max_attempts=calls.MOST_ATTEMPTS,
    )  # fmt: skip


def end_there(envelope: Envelope, now: datetime) -> None:
    """Have a provider end what has ended here, in the caller's transaction; nothing where it never went."""
    if envelope.provider != "builtin" and envelope.handed_at is not None:
        jobs.add_again(
            "end_elsewhere", {"envelope": envelope.id}, key=f"end:{envelope.id}", now=now,
            max_attempts=calls.MOST_ATTEMPTS,
        )  # fmt: skip


@jobs.recurring("expire", timedelta(minutes=5))
def expire(payload: dict[str, Any], context: jobs.Context) -> None:
    """End every request whose time is over."""
    now = context.clock()
    due = Envelope.select().where(Envelope.status.in_(OPEN) & (Envelope.expires_at <= now))
    for envelope in list(due):
        try:
            if envelope.provider != "builtin" and envelope.handed_at is not None:
                with transaction():
                    withdraw(lock(envelope.id), "expired", "", SYSTEM, now)
                continue
            apply_event(envelope.id, ProviderEvent(EventKind.EXPIRED, now), by=SYSTEM, now=now)
        except Conflict:
            log.info("envelope %s ended by itself before it could expire", envelope.id)


def acts_of(envelope: Envelope) -> list[Act]:
    """What was done, in time order."""
    return list(Act.select().where(Act.envelope == envelope).order_by(Act.at))
