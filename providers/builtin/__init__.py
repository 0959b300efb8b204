"""Signing in the portal itself: a provider like the others, over the `Ceremony` it is given."""

from __future__ import annotations

from providers.base import BaseProvider
from providers.errors import NotConfigured
from providers.interface import (
    Account,
    Capabilities,
    Ceremony,
    EnvelopeRequest,
    EnvelopeState,
    ExecutedFile,
    RemoteEnvelope,
    Setting,
    Step,
    mark,
)

NAME = "builtin"
LABEL = "Countersign"
CAPABILITIES = Capabilities(
    factors=frozenset({"sms", "totp"}),
    approvers=True,
    embedded=True,
    embeds_each=True,
    reminders=True,
    reminds_embedded=True,
    automatic_reminders=True,
    expiry=True,
    corrections=True,
    health_data=True,
    asks_recipients=False,
    seals=False,
)
SETTINGS: tuple[Setting, ...] = ()
STEPS: tuple[Step, ...] = ()
NOT_STARTED = mark("Built-in signing was not started with this process.")


class BuiltIn(BaseProvider):
    """Hands every question to the portal's ceremony."""

    name = NAME
    label = LABEL
    capabilities = CAPABILITIES

    def __init__(self, ceremony: Ceremony | None) -> None:
        if ceremony is None:
            raise NotConfigured(NOT_STARTED)
        self._ceremony = ceremony

    def check(self) -> Account:
        return Account(NAME, LABEL)

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        return self._ceremony.open(request)

    def find(self, request_id: str) -> EnvelopeState | None:
        """Its id is ours."""
        return self._ceremony.state(request_id)

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        return self._ceremony.state(envelope.remote_id)

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        self._ceremony.void(envelope.remote_id, reason)

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        self._ceremony.remind(envelope.remote_id, recipient_key)

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        """`return_url` is not needed: the last screen of the ceremony is ours."""
        return self._ceremony.link(envelope.remote_id, recipient_key)

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        return ExecutedFile(self._ceremony.executed_file(envelope.remote_id))
