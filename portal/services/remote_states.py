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
from portal.i18n import use
from portal.models.base import transaction
from portal.models.envelopes import Act, Envelope, Recipient
from portal.services import envelopes, native_factors, routing
from portal.services.audit import Actor
from providers import registry
from providers.interface import (
    EnvelopeState,
    EnvelopeStatus,
    EventKind,
    ProviderEvent,
    RecipientState,
    RecipientStatus,
)

ACTED = (RecipientStatus.SIGNED, RecipientStatus.APPROVED)
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
        is_known = envelope.raw_status == plain(state.raw_status)[:100]
        state = with_our_keys(envelope, state)
        remember(envelope, state)
        by = Actor(envelopes.PROVIDER, envelope.provider, registry.label(envelope.provider))
        if envelope.status in ("voided", "declined", "expired") and not is_known:
            note_contradiction(envelope, state, by, now)
        if envelope.status == "queued" and state.status in (EnvelopeStatus.SENT, EnvelopeStatus.COMPLETED):
            envelopes.apply_event(envelope.id, ProviderEvent(EventKind.SENT, now), by=by, now=now)
        if envelopes.get(envelope.id).status == "sent":
            people(envelope, state, by, now)
            end(envelope, state, by, now)
        return envelopes.get(envelope.id)


def plain(text: str) -> str:
    """What a database takes, and people read."""
    return text.replace("\0", "")[:2000]


def note_contradiction(envelope: Envelope, state: EnvelopeState, by: Actor, now: datetime) -> None:
    """It was completed there after it had ended here: nobody may overlook that, and nothing is undone."""
    if state.status is not EnvelopeStatus.COMPLETED:
        return
    log.warning("envelope %s: completed at its provider after it was %s here", envelope.id, envelope.status)
    with use(envelope.sender.language):
        problem = _(
            "%(provider)s says that everybody signed it there, after it had ended here.", provider=by.name
        )
    Envelope.update(problem=problem).where(Envelope.id == envelope.id).execute()
    envelopes.record(
        "envelope.contradicted", envelope, by, now, here=envelope.status, there=state.status.value
    )


def with_our_keys(envelope: Envelope, state: EnvelopeState) -> EnvelopeState:
    """A copy of a provider's bulk call bears our id for the request beside its one signer, and no other."""
    if not any(each.key == envelope.id for each in state.recipients):
        return state
    signer = next(each.key for each in envelopes.recipients_of(envelope) if each.role == "signer")
    people = tuple(replace(r, key=signer) if r.key == envelope.id else r for r in state.recipients)
    return replace(state, recipients=people)


def remember(envelope: Envelope, state: EnvelopeState) -> None:
    """The provider's own words and ids, beside ours."""
    word = plain(state.raw_status)[:100]
    if word and word != envelope.raw_status:
        Envelope.update(raw_status=word).where(Envelope.id == envelope.id).execute()
    if state.status is EnvelopeStatus.UNKNOWN:
        log.warning(
            "envelope %s: %s says %r, a word not known here", envelope.id, envelope.provider, state.raw_status
        )
    for each in state.recipients:
        number, word = plain(each.remote_id), plain(each.raw_status)[:100]
        Recipient.update(remote_id=number or Recipient.remote_id, raw_status=word).where(
            (Recipient.envelope == envelope)
            & (Recipient.key == each.key)
            & ((Recipient.remote_id != number) | (Recipient.raw_status != word))
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
    if told.status in ACTED:
        # A provider without approvers reports a signature; here the role says what it was.
        kind = EventKind.APPROVED if recipient.role == "approver" else EventKind.SIGNED
        return applied(envelope, kind, recipient.key, told, by, now)
    if told.status is RecipientStatus.OPENED and recipient.status == "sent":
        return applied(envelope, EventKind.OPENED, recipient.key, told, by, now)
    if told.status is RecipientStatus.UNDELIVERED and recipient.problem != "undelivered":
        return applied(envelope, EventKind.UNDELIVERED, recipient.key, told, by, now)
    return False


def moment(at: datetime | None, now: datetime) -> datetime:
    """When it happened there; never later than we hear of it."""
    return min(at, now) if at is not None else now


def applied(
    envelope: Envelope, kind: EventKind, key: str, told: RecipientState, by: Actor, now: datetime
) -> bool:
    """Apply it where it fits; a state that is ahead of the order waits for the others."""
    event = ProviderEvent(kind, moment(told.at, now), recipient_key=key, reason=plain(told.reason))
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
    at, reason = moment(state.at, now), plain(state.reason)
    event: ProviderEvent | None = None
    if state.status is EnvelopeStatus.COMPLETED:
        event = ProviderEvent(EventKind.COMPLETED, at)
        for left in envelopes.recipients_of(envelope):
            if left.role != "copy" and left.status not in routing.DONE:
                note_act(envelope, left.key, "sign" if left.role == "signer" else "approve", event)
    elif state.status is EnvelopeStatus.DECLINED:
        who = decliner(envelope, state)
        if who is None:
            event = ProviderEvent(EventKind.DECLINED, at, reason=reason)
        else:
            event = ProviderEvent(
                EventKind.DECLINED, moment(who.at or state.at, now), who.key, plain(who.reason) or reason
            )
            note_act(envelope, who.key, "decline", event)
    elif state.status in ENDED:
        if state.status is EnvelopeStatus.FAILED:
            reason = reason or _("The provider could not process it.")
        event = ProviderEvent(ENDED[state.status], at, reason=reason)
    if event is not None:
        envelopes.apply_event(envelope.id, event, by=by, now=now)


def decliner(envelope: Envelope, state: EnvelopeState) -> RecipientState | None:
    """Who declined, as told; else the only one whose turn it is. None where that is not known."""
    left = {r.key: r for r in envelopes.recipients_of(envelope) if r.status not in routing.DONE}
    for each in state.recipients:
        if each.status is RecipientStatus.DECLINED and each.key in left:
            return each
    group = envelopes.next_group(left.values())
    return RecipientState(group[0].key, RecipientStatus.DECLINED) if len(group) == 1 else None
