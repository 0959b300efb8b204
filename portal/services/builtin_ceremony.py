"""What built-in signing needs from the portal: the `Ceremony` of providers/interface.py.

Whoever starts a process hands it over: `registry.set_ceremony(BuiltinCeremony())`.
"""

from __future__ import annotations

from portal.clock import utc_now
from portal.errors import PortalError
from portal.models.envelopes import Envelope, Recipient
from portal.services import documents, envelopes, links, notices, reminders
from portal.services.audit import SYSTEM
from providers.errors import Refused, Unavailable
from providers.interface import (
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    RecipientState,
    RecipientStatus,
)

STATUS = {
    "queued": EnvelopeStatus.DRAFT,
    "sent": EnvelopeStatus.SENT,
    "completed": EnvelopeStatus.COMPLETED,
    "declined": EnvelopeStatus.DECLINED,
    "voided": EnvelopeStatus.VOIDED,
    "expired": EnvelopeStatus.EXPIRED,
}
RECIPIENT_STATUS = {
    "created": RecipientStatus.WAITING,
    "waiting": RecipientStatus.WAITING,
    "sent": RecipientStatus.SENT,
    "opened": RecipientStatus.OPENED,
    "signed": RecipientStatus.SIGNED,
    "approved": RecipientStatus.APPROVED,
    "declined": RecipientStatus.DECLINED,
    "copied": RecipientStatus.COPIED,
}


class BuiltinCeremony:
    """The portal's own tables are the remote side; an envelope's id is its remote id."""

    def open(self, request: EnvelopeRequest) -> EnvelopeState:
        """All that people will sign on is here already: the event `sent` opens the ceremony."""
        return self.state(request.id)

    def state(self, envelope_id: str) -> EnvelopeState:
        envelope = found(envelope_id)
        return EnvelopeState(
            envelope.id,
            STATUS.get(envelope.status, EnvelopeStatus.UNKNOWN),
            tuple(
                RecipientState(r.key, RECIPIENT_STATUS.get(r.status, RecipientStatus.UNKNOWN), r.acted_at)
                for r in envelopes.recipients_of(envelope)
            ),
            envelope.ended_reason,
        )

    def link(self, envelope_id: str, recipient_key: str) -> str:
        recipient = one(envelope_id, recipient_key)
        if recipient.status not in envelopes.ASKED:
            raise Refused(f"{recipient_key} is not asked to act now.")
        return notices.url(f"/sign/{links.issue(recipient, now=utc_now())}")

    def remind(self, envelope_id: str, recipient_key: str) -> None:
        try:
            reminders.remind_now(one(envelope_id, recipient_key), by=SYSTEM, now=utc_now())
        except PortalError as error:
            raise Refused(error.message) from error

    def void(self, envelope_id: str, reason: str) -> None:
        envelope = found(envelope_id)
        if envelope.status == "voided":
            return
        try:
            envelopes.void(envelope, reason=reason, by=SYSTEM, now=utc_now())
        except PortalError as error:
            raise Refused(error.message) from error

    def executed_file(self, envelope_id: str) -> bytes:
        envelope = found(envelope_id)
        if envelope.executed is None:
            raise Unavailable("It is not sealed yet.")
        return documents.read(envelope.executed)


def found(envelope_id: str) -> Envelope:
    envelope: Envelope | None = Envelope.get_or_none(Envelope.id == envelope_id)
    if envelope is None:
        raise Refused("There is no such envelope.")
    return envelope


def one(envelope_id: str, key: str) -> Recipient:
    envelope = found(envelope_id)
    recipient: Recipient | None = Recipient.get_or_none(
        (Recipient.envelope == envelope) & (Recipient.key == key)
    )
    if recipient is None:
        raise Refused("There is no such recipient.")
    return recipient
