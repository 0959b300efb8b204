"""The seam between the portal and whoever has people sign: bytes and dataclasses in and out.

A provider sends one envelope, answers what became of it, and hands over the finished file. All
that it reports comes as `ProviderEvent`s in our words, each with the raw message it was made from.
Built-in signing is a provider like the others: what it needs from the portal is declared here as
`Ceremony`, and handed over by whoever starts the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class EnvelopeStatus(StrEnum):
    DRAFT = "draft"
    SENT = "sent"
    COMPLETED = "completed"
    DECLINED = "declined"
    VOIDED = "voided"
    EXPIRED = "expired"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a word this version does not know; never an error

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset(
    {
        EnvelopeStatus.COMPLETED,
        EnvelopeStatus.DECLINED,
        EnvelopeStatus.VOIDED,
        EnvelopeStatus.EXPIRED,
        EnvelopeStatus.FAILED,
    }
)


class RecipientStatus(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    OPENED = "opened"
    SIGNED = "signed"
    APPROVED = "approved"
    DECLINED = "declined"
    COPIED = "copied"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"


class EventKind(StrEnum):
    """What happened, to an envelope or (with `recipient_key`) to one recipient."""

    SENT = "sent"
    OPENED = "opened"
    SIGNED = "signed"
    APPROVED = "approved"
    DECLINED = "declined"
    COMPLETED = "completed"
    VOIDED = "voided"
    EXPIRED = "expired"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ProviderEvent:
    """One thing that happened, as the built-in ceremony, a webhook or a poll reports it.

    `facts` go into the trail as they are: hashes, versions, factor words, never personal details.
    """

    kind: EventKind
    at: datetime
    recipient_key: str = ""
    reason: str = ""
    document_sha256: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes = b""


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do. What is not declared is refused before anything is sent."""

    factors: frozenset[str] = frozenset()  # verified by the provider itself: "sms", "totp", ...
    signing_order: bool = True
    approvers: bool = False
    copies: bool = True
    embedded: bool = False  # gives a signing address to be opened at the click
    reminders: bool = False
    voiding: bool = True
    expiry: bool = False
    corrections: bool = False  # a recipient's address may change after sending
    asks_recipients: bool = True  # writes to recipients itself; otherwise the portal does
    seals: bool = True  # hands over a finished file; otherwise the portal makes and seals it


@dataclass(frozen=True)
class Placement:
    """A signature spot: page from 1, points from the lower left corner."""

    recipient_key: str
    page: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class OutgoingDocument:
    """The file everyone is shown. `read` gives its bytes when the provider needs them."""

    name: str
    sha256: str
    pages: int
    read: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True)
class OutgoingRecipient:
    key: str
    role: str  # signer | approver | copy
    routing_order: int
    name: str
    email: str
    title: str = ""
    organisation: str = ""
    phone: str = ""
    language: str = "en"
    factors: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnvelopeRequest:
    """What is to be signed by whom. `id` is ours: the same id never makes two envelopes."""

    id: str
    title: str
    message: str
    language: str
    document: OutgoingDocument
    recipients: tuple[OutgoingRecipient, ...]
    placements: tuple[Placement, ...]
    expires_at: datetime


@dataclass(frozen=True)
class RecipientState:
    key: str
    status: RecipientStatus
    at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class EnvelopeState:
    """How an envelope stands at its provider."""

    remote_id: str
    status: EnvelopeStatus
    recipients: tuple[RecipientState, ...] = ()
    reason: str = ""
    raw: bytes = b""


@dataclass(frozen=True)
class ExecutedFile:
    """The finished PDF byte for byte, and the provider's own evidence where it is separate."""

    pdf: bytes = field(repr=False)
    evidence: bytes = field(default=b"", repr=False)


class Provider(Protocol):
    """One way to have an envelope signed. Every method raises ProviderError and nothing else."""

    name: str
    capabilities: Capabilities

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        """Create the envelope and start it. May be called again with the same `request.id`."""

    def fetch(self, remote_id: str) -> EnvelopeState:
        """How it stands now. An unknown word is UNKNOWN."""

    def void(self, remote_id: str, reason: str) -> None:
        """Stop it. Voiding what is already void is no error."""

    def remind(self, remote_id: str, recipient_key: str) -> None:
        """Ask one waiting recipient again."""

    def signing_url(self, remote_id: str, recipient_key: str, *, return_url: str) -> str:
        """Where this recipient signs now; fetched at the click and never stored."""

    def download(self, remote_id: str) -> ExecutedFile:
        """The finished file. Raises Unavailable while it is still being made."""


class Ceremony(Protocol):
    """What built-in signing needs from the portal; the envelope's id is ours and its remote id."""

    def open(self, request: EnvelopeRequest) -> EnvelopeState:
        """Make the envelope ready to be signed here. Opening it again changes nothing."""

    def state(self, envelope_id: str) -> EnvelopeState:
        """How it stands. Raises Refused for an id that is not here."""

    def link(self, envelope_id: str, recipient_key: str) -> str:
        """A fresh signing address for a recipient whose turn it is."""

    def remind(self, envelope_id: str, recipient_key: str) -> None:
        """Write to a waiting recipient again."""

    def void(self, envelope_id: str, reason: str) -> None:
        """Close the ceremony to everyone. Closing it again changes nothing."""

    def executed_file(self, envelope_id: str) -> bytes:
        """The sealed PDF. Raises Unavailable until it is sealed."""
