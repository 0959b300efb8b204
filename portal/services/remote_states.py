"""What a provider says of an envelope becomes what happened to it: forward only, each thing once.

A state may be old, repeated or out of order; it is compared with how the envelope stands here, and only
what lies ahead of that becomes events for `envelopes.apply_event`. The end is believed last: first the
people who acted, in their order, then the envelope.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Act, Envelope, Recipient
from portal.services import envelopes, native_factors, routing
from portal.services.audit import Actor
from providers.interface import (
    EnvelopeState,
    EnvelopeStatus,
    EventKind,
    ProviderEvent,
    RecipientState,
    RecipientStatus,
)

ACTED = {
    RecipientStatus.SIGNED: EventKind.SIGNED,
    RecipientStatus.APPROVED: EventKind.APPROVED,
}
ENDED = {
    EnvelopeStatus.VOIDED: EventKind.VOIDED,
    EnvelopeStatus.EXPIRED: EventKind.EXPIRED,
    EnvelopeStatus.FAILED: EventKind.VOIDED,
}

log = logging.getLogger(__name__)


def take_in(envelope_id: str, state: EnvelopeState, *, now: datetime) -> Envelope:
    """Move the envelope to where the provider says it is; nothing when that is behind or unknown."""
    with transaction():
        envelope = envelopes.lock(envelope_id)
        state = with_our_keys(envelope, state)
        remember(envelope, state)
        by = Actor("provider", envelope.provider)
        if envelope.status == "queued" and state.status in (EnvelopeStatus.SENT, EnvelopeStatus.COMPLETED):
            envelopes.apply_event(envelope.id, ProviderEvent(EventKind.SENT, now), by=by, now=now)
        if envelopes.get(envelope.id).status == "sent":
            people(envelope, state, by, now)
            end(envelope, state, by, now)
        return envelopes.get(envelope.id)


def with_our_keys(envelope: Envelope, state: EnvelopeState) -> EnvelopeState:
    """A copy of a provider's bulk call bears our id for the request beside its one signer, and no other."""
    if not any(each.key == envelope.id for each in state.recipients):
        return state
    signer = next(each.key for each in envelopes.recipients_of(envelope) if each.role == "signer")
    people = tuple(replace(r, key=signer) if r.key == envelope.id else r for r in state.recipients)
    return replace(state, recipients=people)


def remember(envelope: Envelope, state: EnvelopeState) -> None:
    """The provider's own words and ids, beside ours."""
    if state.raw_status and state.raw_status != envelope.raw_status:
        Envelope.update(raw_status=state.raw_status[:100]).where(Envelope.id == envelope.id).execute()
    if state.status is EnvelopeStatus.UNKNOWN:
        log.warning(
            "envelope %s: %s says %r, a word not known here", envelope.id, envelope.provider, state.raw_status
        )
    for each in state.recipients:
        Recipient.update(
            remote_id=each.remote_id or Recipient.remote_id, raw_status=each.raw_status[:100]
        ).where(
            (Recipient.envelope == envelope)
            & (Recipient.key == each.key)
            & ((Recipient.remote_id != each.remote_id) | (Recipient.raw_status != each.raw_status[:100]))
        ).execute()


def people(envelope: Envelope, state: EnvelopeState, by: Actor, now: datetime) -> None:
    """Everybody who opened or acted, in the order in which they act."""
    told = {each.key: each for each in state.recipients}
    for _round in range(len(told) + 1):
        moved = False
        for recipient in envelopes.recipients_of(envelope):
            each = told.get(recipient.key)
            if each is not None and recipient.role != "copy":
                moved = one(envelope, recipient, each, by, now) or moved
        if not moved:
            return


def one(envelope: Envelope, recipient: Recipient, told: RecipientState, by: Actor, now: datetime) -> bool:
    """Move one person forward; true when something changed."""
    if recipient.status in (*routing.DONE, "declined"):
        return False
    kind = ACTED.get(told.status)
    if kind is not None:
        # A provider without approvers reports a signature; here the role says what it was.
        kind = EventKind.APPROVED if recipient.role == "approver" else EventKind.SIGNED
        return applied(envelope, kind, recipient.key, told, by, now)
    if told.status is RecipientStatus.OPENED and recipient.status == "sent":
        return applied(envelope, EventKind.OPENED, recipient.key, told, by, now)
    if told.status is RecipientStatus.UNDELIVERED and recipient.problem != "undelivered":
        return applied(envelope, EventKind.UNDELIVERED, recipient.key, told, by, now)
    return False


def applied(
    envelope: Envelope, kind: EventKind, key: str, told: RecipientState, by: Actor, now: datetime
) -> bool:
    """Apply it where it fits; a state that is ahead of the order waits for the others."""
    event = ProviderEvent(kind, told.at or now, recipient_key=key, reason=told.reason)
    try:
        with transaction():
            if kind in (EventKind.SIGNED, EventKind.APPROVED):
                note_act(envelope, key, "sign" if kind is EventKind.SIGNED else "approve", event)
            envelopes.apply_event(envelope.id, event, by=by, now=now)
    except Conflict:
        return False
    return True


def checked_there(recipient: Recipient) -> list[str]:
    """What the provider checked: the factors asked of it, and its own mailed link where it wrote."""
    mailed = [] if recipient.is_embedded else [native_factors.MAILED]
    return [*mailed, *recipient.native_factors]


def note_act(envelope: Envelope, key: str, kind: str, event: ProviderEvent) -> None:
    """What somebody did at the provider, with all that was checked: by it, and by our gate before."""
    recipient = envelopes.one(envelope, key)
    gate = recipient.gate or {}
    native = [
        {"factor": word, "by": envelope.provider, "at": event.at.isoformat()}
        for word in checked_there(recipient)
    ]
    Act.insert(
        envelope=envelope, recipient=recipient, kind=kind, at=event.at,
        document_sha256=envelope.document.sha256, name=recipient.name, title=recipient.title,
        reason=event.reason, factors=[*gate.get("factors", []), *native],
        address=gate.get("address", ""), user_agent=gate.get("user_agent", ""),
    ).on_conflict_ignore().execute()  # fmt: skip


def end(envelope: Envelope, state: EnvelopeState, by: Actor, now: datetime) -> None:
    """Completed, declined, voided, expired or failed."""
    if envelopes.get(envelope.id).status != "sent":
        return
    event: ProviderEvent | None = None
    if state.status is EnvelopeStatus.COMPLETED:
        event = ProviderEvent(EventKind.COMPLETED, state.at or now)
        for left in envelopes.recipients_of(envelope):
            if left.role != "copy" and left.status not in routing.DONE:
                note_act(envelope, left.key, "sign" if left.role == "signer" else "approve", event)
    elif state.status is EnvelopeStatus.DECLINED:
        who = decliner(envelope, state)
        note_act(envelope, who.key, "decline", ProviderEvent(EventKind.DECLINED, who.at or state.at or now))
        event = ProviderEvent(EventKind.DECLINED, state.at or now, who.key, who.reason or state.reason)
    elif state.status in ENDED:
        reason = state.reason
        if state.status is EnvelopeStatus.FAILED:
            reason = reason or _("The provider could not process it.")
        event = ProviderEvent(ENDED[state.status], state.at or now, reason=reason)
    if event is not None:
        envelopes.apply_event(envelope.id, event, by=by, now=now)


def decliner(envelope: Envelope, state: EnvelopeState) -> RecipientState:
    """Who declined, as told; else the first whose turn it is."""
    told = [each for each in state.recipients if each.status is RecipientStatus.DECLINED]
    if told:
        return told[0]
    group = envelopes.next_group(envelopes.recipients_of(envelope))
    return RecipientState(group[0].key, RecipientStatus.DECLINED)
