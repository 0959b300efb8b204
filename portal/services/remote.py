"""An envelope as its provider knows it: the account it went through, and what the provider is handed back."""

from __future__ import annotations

from portal.models.connections import Connection
from portal.models.envelopes import Envelope
from portal.services import connections, envelopes
from providers import registry
from providers.interface import Provider, RemoteEnvelope, RemoteRecipient


def account_of(envelope: Envelope) -> Connection | None:
    """The account, read afresh; None for built-in signing."""
    chosen = envelope.__data__.get("connection")
    return connections.get(chosen) if chosen else None


def provider_of(envelope: Envelope) -> Provider:
    """Raises NotConfigured."""
    account = account_of(envelope)
    return registry.get(envelope.provider) if account is None else connections.provider(account)


def handle(envelope: Envelope) -> RemoteEnvelope:
    """What the provider needs to find it again."""
    return RemoteEnvelope(
        envelope.remote_id or "",
        envelope.id,
        tuple(
            RemoteRecipient(r.key, r.role, r.routing_order, r.name, r.email, r.remote_id, r.is_embedded)
            for r in envelopes.recipients_of(envelope)
        ),
        envelope.expires_at,
    )
