"""Signing in the portal itself: a provider like the others, over the `Ceremony` it is given."""

from __future__ import annotations

from providers.errors import NotConfigured
from providers.interface import (
    Capabilities,
    Ceremony,
    EnvelopeRequest,
    EnvelopeState,
    ExecutedFile,
)

NAME = "builtin"
CAPABILITIES = Capabilities(
    factors=frozenset({"sms", "totp"}),
    approvers=True,
    embedded=True,
    reminders=True,
    expiry=True,
    corrections=True,
    asks_recipients=False,
    seals=False,
)


class BuiltIn:
    """Hands every question to the portal's ceremony."""

    name = NAME
    capabilities = CAPABILITIES

    def __init__(self, ceremony: Ceremony | None) -> None:
        if ceremony is None:
            raise NotConfigured("Built-in signing was not started with this process.")
        self._ceremony = ceremony

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        return self._ceremony.open(request)

    def fetch(self, remote_id: str) -> EnvelopeState:
        return self._ceremony.state(remote_id)

    def void(self, remote_id: str, reason: str) -> None:
        self._ceremony.void(remote_id, reason)

    def remind(self, remote_id: str, recipient_key: str) -> None:
        self._ceremony.remind(remote_id, recipient_key)

    def signing_url(self, remote_id: str, recipient_key: str, *, return_url: str) -> str:
        """`return_url` is not needed: the last screen of the ceremony is ours."""
        return self._ceremony.link(remote_id, recipient_key)

    def download(self, remote_id: str) -> ExecutedFile:
        return ExecutedFile(self._ceremony.executed_file(remote_id))
