"""What our side asks a provider to do with an envelope that is there: withdraw, remind, correct, go on.

Each is a job: the provider is asked first, and only its answer changes anything here, so that what it
completed meanwhile is never taken for withdrawn.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Envelope, Recipient
from portal.models.people import Person
from portal.services import (
    calls,
    envelopes,
    jobs,
    notices,
    recipients,
    remote,
    remote_states,
    routing,
    sending,
)
from portal.services.audit import SYSTEM, Actor
from providers import registry
from providers.errors import ProviderError, Refused
from providers.interface import EventKind, ProviderEvent

SENDING_WAIT = timedelta(seconds=10)

log = logging.getLogger(__name__)


# --- Withdrawing ------------------------------------------------------------------------------


@jobs.handler("withdraw_envelope", outward=True)
def withdraw_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """End it at the provider, then here. Whatever the provider says it is already counts first."""
    envelope = envelopes.get(payload["envelope"])
    asked = envelope.withdrawal
    if asked is None or envelope.status not in envelopes.OPEN:
        return
    if sending.is_under_way(envelope):
        raise jobs.Retry("it is being handed over at this moment", SENDING_WAIT)
    context.renew(calls.LEASE)
    try:
        with calls.to(remote.account_of(envelope), context.clock()):
            is_there = end_there(envelope, asked["reason"] or asked["kind"], context.clock())
    except ProviderError as error:
        remote.tell(envelope, error)
        raise calls.later(error, context.attempts) from error
    with transaction():
        context.hold()
        now = context.clock()
        locked = envelopes.lock(envelope.id)
        Envelope.update(problem="").where(Envelope.id == envelope.id).execute()
        if locked.status in envelopes.OPEN:
            kind = EventKind.EXPIRED if asked["kind"] == "expired" else EventKind.VOIDED
            by = whoever(*asked["by"])
            facts = {"said": asked["said"]} if asked.get("said") else {}
            event = ProviderEvent(kind, now, reason=asked["reason"], facts=facts)
            envelopes.apply_event(envelope.id, event, by=by, now=now)
    if not is_there:
        log.info("envelope %s: nothing was there to withdraw", envelope.id)


def whoever(kind: str, who: str) -> Actor:
    """Who asked for it, as the trail names them."""
    person = Person.get_or_none(Person.id == who) if kind == "person" else None
    return Actor(kind, who) if person is None else Actor(kind, who, person.name, person.email)


def end_there(envelope: Envelope, reason: str, now: datetime) -> bool:
    """Void it at the provider; false when it has never arrived. What it ended as otherwise is taken in."""
    provider = remote.provider_of(envelope)
    if not envelope.remote_id:
        found = provider.find(envelope.id)
        if found is None:
            return False
        envelope.remote_id = found.remote_id
        Envelope.update(remote_id=found.remote_id).where(Envelope.id == envelope.id).execute()
    handle = remote.handle(envelope)
    state = provider.fetch(handle)
    if not state.status.is_final:
        try:
            provider.void(handle, reason)
        except Refused:
            state = provider.fetch(handle)
            if not state.status.is_final:
                raise
    if state.status.is_final:
        remote_states.take_in(envelope.id, state, now=now)
    return True


@jobs.handler("end_elsewhere", outward=True)
def end_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Void at the provider what has ended here: declined at our gate, or sent through another account."""
    envelope = envelopes.get(payload["envelope"])
    if sending.is_under_way(envelope):
        raise jobs.Retry("it is being handed over at this moment", SENDING_WAIT)
    context.renew(calls.LEASE)
    try:
        with calls.to(remote.account_of(envelope), context.clock()):
            end_there(envelope, envelope.ended_reason or "declined", context.clock())
    except ProviderError as error:
        raise calls.later(error, context.attempts) from error


@jobs.on_failure("withdraw_envelope")
def withdrawing_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """It stays open, with the reason; withdrawing may be asked for again."""
    Envelope.update(problem=reason[:500], withdrawal=None).where(
        (Envelope.id == payload["envelope"]) & Envelope.status.in_(envelopes.OPEN)
    ).execute()


# --- Reminding and correcting -----------------------------------------------------------------


def remind(recipient: Recipient, *, by: Actor, now: datetime) -> None:
    """Have the provider write again to somebody it has asked. Raises Conflict, Invalid or TooMany."""
    with transaction():
        envelope = envelopes.lock(recipient.envelope.id)
        if not registry.capabilities(envelope.provider).reminders:
            label = registry.label(envelope.provider)
            raise Conflict(_("%(provider)s cannot remind one person.", provider=label))
        if envelope.withdrawal is not None:
            raise Conflict(_("This request is being withdrawn."))
        recipient = Recipient.get_by_id(recipient.id)
        if envelope.status != "sent":
            raise Conflict(envelopes.how_it_stands(envelope))
        if recipient.status not in envelopes.ASKED:
            raise Conflict(
                _("It is not the turn of %(name)s, so there is nothing to ask.", name=recipient.name)
            )
        notices.check_rate("mail", recipient.email, by.id, now)
        at = recipient.next_reminder_at and now + envelopes.REMIND_EVERY
        Recipient.update(next_reminder_at=at, problem="").where(Recipient.id == recipient.id).execute()
        envelopes.record_of("recipient.reminded", recipient, envelope, by, now, by_hand=True)
        queue_reminder(recipient, now)


def queue_reminder(recipient: Recipient, now: datetime) -> None:
    """Have the provider write again, inside the caller's transaction."""
    key = f"remind:{recipient.id}:{now.isoformat(timespec='minutes')}"
    jobs.add("remind_elsewhere", {"recipient": recipient.id}, now=now, key=key, max_attempts=30)


@jobs.handler("remind_elsewhere", outward=True)
def remind_job(payload: dict[str, Any], context: jobs.Context) -> None:
    recipient = Recipient.get_by_id(payload["recipient"])
    envelope = envelopes.get(recipient.envelope.id)
    if envelope.status != "sent" or recipient.status not in envelopes.ASKED:
        return
    context.renew(calls.LEASE)
    try:
        with calls.to(remote.account_of(envelope), context.clock()):
            remote.provider_of(envelope).remind(remote.handle(envelope), recipient.key)
    except ProviderError as error:
        raise calls.later(error, context.attempts) from error


@jobs.on_failure("remind_elsewhere")
def not_reminded(payload: dict[str, Any], reason: str, now: datetime) -> None:
    note_problem(payload["recipient"], "not_reminded", reason, now)


@jobs.on_failure("correct_elsewhere")
def not_corrected(payload: dict[str, Any], reason: str, now: datetime) -> None:
    note_problem(payload["recipient"], "not_corrected", reason, now)


def note_problem(recipient_id: str, problem: str, reason: str, now: datetime) -> None:
    """What the provider did not do for a person stands beside them, with its reason in the trail."""
    recipient = Recipient.get_by_id(recipient_id)
    Recipient.update(problem=problem).where(Recipient.id == recipient_id).execute()
    envelopes.record_of(
        "recipient.not_corrected" if problem == "not_corrected" else "recipient.not_reminded",
        recipient, recipient.envelope, SYSTEM, now, reason=reason,
    )  # fmt: skip


def is_asked_elsewhere(envelope: Envelope) -> bool:
    """Whether an outside provider knows its people by name and address."""
    return envelope.provider != "builtin" and envelope.handed_at is not None


def present(recipient: Recipient) -> dict[str, str]:
    return {"name": recipient.name, "email": recipient.email}


def correct(recipient: Recipient, name: str, email: str, *, by: Actor, now: datetime) -> None:
    """Give somebody who has not acted another name and address, at the provider first."""
    if not registry.capabilities(recipient.envelope.provider).corrections:
        label = registry.label(recipient.envelope.provider)
        raise Invalid({"email": _("%(provider)s cannot change it. Withdraw and send again.", provider=label)})
    with transaction():
        envelope = envelopes.lock(recipient.envelope.id)
        recipient = Recipient.get_by_id(recipient.id)
        if envelope.status == "queued":
            raise Conflict(_("It is being handed over. Try again in a minute."))
        if envelope.status != "sent":
            raise Conflict(envelopes.how_it_stands(envelope))
        if recipient.status in (*routing.DONE, "declined"):
            raise Conflict(_("This person has answered already."))
        values = recipients.corrected(
            recipient, envelope, recipients.one_line(name), email.strip().lower(), recipient.phone
        )
        envelopes.record_of("recipient.correction_asked", recipient, envelope, by, now)
        said = {"recipient": recipient.id, "name": values["name"], "email": values["email"]}
        key = f"correct:{recipient.id}:{now.isoformat()}"
        jobs.add("correct_elsewhere", said, now=now, key=key, max_attempts=30)


@jobs.handler("correct_elsewhere", outward=True)
def correct_job(payload: dict[str, Any], context: jobs.Context) -> None:
    recipient = Recipient.get_by_id(payload["recipient"])
    envelope = envelopes.get(recipient.envelope.id)
    if envelope.status != "sent" or present(recipient) == {k: payload[k] for k in ("name", "email")}:
        return
    if recipient.status in (*routing.DONE, "declined"):
        return
    context.renew(calls.LEASE)
    try:
        with calls.to(remote.account_of(envelope), context.clock()):
            remote.provider_of(envelope).correct(
                remote.handle(envelope), recipient.key, name=payload["name"], email=payload["email"]
            )
    except ProviderError as error:
        raise calls.later(error, context.attempts) from error
    with transaction():
        context.hold()
        if recipient.is_embedded:
            # Our gate is theirs alone too: links and proofs of before are worth nothing.
            recipients.correct(
                recipient, name=payload["name"], email=payload["email"], phone=recipient.phone, by=SYSTEM,
                now=context.clock(),
            )  # fmt: skip
        else:
            Recipient.update(name=payload["name"], email=payload["email"], problem="").where(
                Recipient.id == recipient.id
            ).execute()
            fresh = Recipient.get_by_id(recipient.id)
            envelopes.record_of("recipient.corrected", fresh, envelope, SYSTEM, context.clock())
        Recipient.update(remote_id="").where(Recipient.id == recipient.id).execute()


# --- Going on, one step at a time -------------------------------------------------------------


@jobs.handler("send_next_step", outward=True)
def next_step_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Start the next step at a provider that embeds one step at a time. Safe to run twice."""
    envelope = envelopes.get(payload["envelope"])
    if envelope.status != "sent":
        return
    request = replace(sending.request_of(envelope, is_repeat=True), remote_id=envelope.remote_id or "")
    context.renew(calls.LEASE)
    try:
        with calls.to(remote.account_of(envelope), context.clock()):
            state = remote.provider_of(envelope).send_next(remote.handle(envelope), request)
    except ProviderError as error:
        remote.tell(envelope, error)
        raise calls.later(error, context.attempts) from error
    with transaction():
        context.hold()
        Envelope.update(problem="").where(Envelope.id == envelope.id).execute()
        remote_states.take_in(envelope.id, state, now=context.clock())
