"""An envelope as its provider knows it: the account it went through, and what the provider is handed back."""

from __future__ import annotations

from portal.i18n import use
from portal.models.connections import Connection
from portal.models.envelopes import Envelope, Recipient
from portal.services import calls, connections, envelopes, routing
from providers import registry
from providers.errors import ProviderError
from providers.interface import Provider, RemoteEnvelope, RemoteRecipient


def account_of(envelope: Envelope) -> Connection | None:
    """The account, read afresh; None for built-in signing."""
    chosen = envelope.__data__.get("connection")
    return connections.get(chosen) if chosen else None


def provider_of(envelope: Envelope) -> Provider:
    """Raises NotConfigured."""
    account = account_of(envelope)
    return registry.get(envelope.provider) if account is None else connections.provider(account)


def tell(envelope: Envelope, error: ProviderError) -> None:
    """Why it is not done yet, for our side to see at once, in the sender's language."""
    if envelope.provider != "builtin":
        with use(envelope.sender.language, envelope.sender.zone):
            said = calls.said(error)[:500]
        Envelope.update(problem=said).where(
            (Envelope.id == envelope.id) & Envelope.status.in_(envelopes.OPEN)
        ).execute()


def people_of(envelope: Envelope) -> list[Recipient]:
    """Those a provider is told of: who acts. Copies at the end are ours to send, to nobody past what is
    asked of them."""
    rows = envelopes.recipients_of(envelope)
    return [r for r in rows if r.role != "copy" or envelope.provider == "builtin"]


def handle(envelope: Envelope) -> RemoteEnvelope:
    """What the provider needs to find it again: as it was sent (see `sending.request_of`)."""
    people = people_of(envelope)
    order = routing.steps(people)
    return RemoteEnvelope(
        envelope.remote_id or "",
        envelope.id,
        tuple(
            RemoteRecipient(
                r.key, r.role, order.get(r.key, r.routing_order), r.name, r.email, r.remote_id, r.is_embedded
            )
            for r in people
        ),
        envelope.expires_at,
    )
