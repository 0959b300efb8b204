"""What built-in signing asks of the portal: the `Ceremony` handed over when a process starts.

The envelope's own rows are the ceremony, so opening and closing it has nothing left to do; `state`
reads the same rows that the screens are computed from.
"""

from __future__ import annotations

from portal.clock import utc_now
from portal.models.base import transaction
from portal.models.envelopes import Envelope, Recipient
from providers import errors
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
WAITING = ("sent", "opened")


class BuiltinCeremony:
    """The portal's side of `providers.interface.Ceremony`."""

    def open(self, request: EnvelopeRequest) -> EnvelopeState:
        """The rows are there already; the envelope's id is its remote id."""
        envelope = found(request.id)
        return EnvelopeState(envelope.id, EnvelopeStatus.SENT)

    def state(self, envelope_id: str) -> EnvelopeState:
        envelope = found(envelope_id)
        rows = Recipient.select().where(Recipient.envelope == envelope).order_by(Recipient.id)
        people = tuple(
            RecipientState(row.key, RECIPIENT_STATUS.get(row.status, RecipientStatus.UNKNOWN), row.acted_at)
            for row in rows
        )
        status = STATUS.get(envelope.status, EnvelopeStatus.UNKNOWN)
        return EnvelopeState(envelope.id, status, people, reason=envelope.ended_reason)

    def link(self, envelope_id: str, recipient_key: str) -> str:
        """A fresh address; refused for anybody whose turn it is not."""
        from portal.services import links, notices

        recipient = waiting(found(envelope_id), recipient_key)
        with transaction():
            token = links.issue(recipient, now=utc_now())
        return notices.url(f"/sign/{token}")

    def remind(self, envelope_id: str, recipient_key: str) -> None:
        from portal.services import signing_mails

        envelope = found(envelope_id)
        recipient = waiting(envelope, recipient_key)
        with transaction():
            signing_mails.ask(recipient, envelope, utc_now(), kind="reminder")

    def void(self, envelope_id: str, reason: str) -> None:
        """Closing is a change of the envelope's status, which `envelopes` has made or will make."""
        found(envelope_id)

    def executed_file(self, envelope_id: str) -> bytes:
        from portal.services import documents

        envelope = found(envelope_id)
        if envelope.executed is None:
            raise errors.Unavailable("The signed PDF is still being made.")
        return documents.read(envelope.executed)


def found(envelope_id: str) -> Envelope:
    envelope: Envelope | None = Envelope.get_or_none(Envelope.id == envelope_id)
    if envelope is None:
        raise errors.Refused("There is no such envelope here.")
    return envelope


def waiting(envelope: Envelope, recipient_key: str) -> Recipient:
    recipient: Recipient | None = Recipient.get_or_none(
        (Recipient.envelope == envelope) & (Recipient.key == recipient_key)
    )
    if recipient is None or envelope.status != "sent" or recipient.status not in WAITING:
        raise errors.Refused("It is not this person's turn.")
    return recipient
