"""The seam between the portal and whoever has people sign: bytes and dataclasses in and out.

A provider sends one envelope, answers what became of it, and hands over the finished file. All
that it reports is told in our words, each beside the raw message it was made from. A provider keeps
nothing: what it was told to remember comes back to it as `RemoteEnvelope`, its credentials as
`Connection`. Built-in signing is a provider like the others: what it needs from the portal is
declared here as `Ceremony`, and handed over by whoever starts the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

# What a provider, or Countersign in front of it, checks of a person besides the link.
FACTORS = ("access_code", "sms", "phone", "email_code", "kba", "id_check", "certificate", "totp")


def mark(message: str) -> str:
    """Hand a sentence to the translators and return it unchanged; a page translates it."""
    return message


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

    factors: frozenset[str] = frozenset()  # verified by the provider itself, words of FACTORS
    signing_order: bool = True
    approvers: bool = False
    copies: bool = True
    embedded: bool = False  # gives a signing address to be opened at the click, and mails nobody
    embeds_each: bool = False  # some people embedded, others mailed, in one envelope
    embedded_in_order: bool = True  # False: one step of the order is sent at a time (`send_next`)
    framed: bool = False  # the address works only inside the provider's own script (`frame`)
    returns: bool = True  # its signing page leads back here by itself
    reminders: bool = False  # one waiting person can be asked again
    reminds_embedded: bool = False  # an embedded one too
    automatic_reminders: bool = False
    voiding: bool = True
    expiry: bool = False
    corrections: bool = False  # a recipient's name and address may change after sending
    delegation: bool = False  # a signer may hand over to another
    webhooks: bool = False
    signed_webhooks: bool = False  # False: a webhook is a hint, confirmed by a read
    evidence: str = ""  # media type of a certificate or audit file beside the executed PDF
    archive: bool = False  # every completed envelope of the account can be listed
    bulk: bool = False  # one document to many people in one call
    health_data: bool = False  # the vendor offers a business associate agreement
    languages: frozenset[str] = frozenset({"en", "fr"})  # of its mails and signing pages
    largest_file_bytes: int = 25_000_000
    asks_recipients: bool = True  # writes to recipients itself; otherwise the portal does
    seals: bool = True  # hands over a finished file; otherwise the portal makes and seals it


# --- Connecting --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One thing a connection holds; the portal draws the field. `label` is the vendor's own word."""

    name: str
    label: str
    kind: str = "text"  # text | secret | pem (a secret of several lines) | choice
    help: str = ""  # a marked sentence
    required: bool = True
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()  # (value, marked label)
    when: tuple[str, str] | None = None  # asked for only while another setting has this value

    @property
    def is_secret(self) -> bool:
        return self.kind in ("secret", "pem")


@dataclass(frozen=True)
class Step:
    """One line of the checklist beside a connection, in the vendor's own words."""

    title: str  # marked
    text: str  # marked: where to click
    shows: str = ""  # redirect_url | webhook_url: shown with a copy button
    when: tuple[str, str] | None = None  # as in Setting


@dataclass(frozen=True)
class Tokens:
    """What an authorisation gave. `facts` is what came with it: account, base address, scopes."""

    access: str = field(repr=False)
    expires_at: datetime | None = None
    refresh: str = field(default="", repr=False)
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subscription:
    """A registered webhook: the provider's id for it and what its calls are verified with."""

    id: str
    secret: str = field(default="", repr=False)
    facts: Mapping[str, str] = field(default_factory=dict)


def _forget(_tokens: Tokens) -> None:
    """Tokens of a connection that nobody keeps."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Connection:
    """One account at a provider, as the portal hands it over.

    `base_url`, for a rehearsal, replaces scheme, host and base path of every vendor address; token
    exchange and discovery are skipped and the bearer token is `token`. `server`, for a simulator,
    replaces scheme and host alone. Both are plain http on loopback only. `keep` is called with each
    new set of tokens, `reload` gives the set another process may have kept meanwhile.
    """

    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    id: str = ""
    tokens: Tokens | None = None
    subscription: Subscription | None = None
    keep: Callable[[Tokens], None] = field(default=_forget, repr=False)
    reload: Callable[[], Tokens | None] = field(default=lambda: None, repr=False)
    server: str = ""
    base_url: str = ""
    token: str = field(default="", repr=False)
    clock: Callable[[], datetime] = field(default=_now, repr=False)

    @property
    def is_rehearsal(self) -> bool:
        return bool(self.base_url)


@dataclass(frozen=True)
class Account:
    """Whose account a connection reaches."""

    id: str
    name: str
    email: str = ""
    is_test: bool = False  # what is signed there binds nobody
    facts: Mapping[str, str] = field(default_factory=dict)


# --- Sending -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placement:
    """A signature spot: page from 1, points from the lower left corner of a page of that size."""

    recipient_key: str
    page: int
    x: float
    y: float
    width: float
    height: float
    page_height: float = 842.0

    @property
    def top(self) -> float:
        """Points from the upper edge of the page to the upper edge of the spot."""
        return self.page_height - self.y - self.height


@dataclass(frozen=True)
class OutgoingDocument:
    """The file everyone is shown. `read` gives its bytes when the provider needs them."""

    name: str
    sha256: str
    pages: int
    read: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True)
class OutgoingRecipient:
    """One person. `factors` are those the provider itself checks; `is_embedded` ones it never mails."""

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
    access_code: str = field(default="", repr=False)
    is_embedded: bool = False


@dataclass(frozen=True)
class EnvelopeRequest:
    """What is to be signed by whom. `id` is ours: the same id never makes two envelopes.

    `is_repeat` says that an earlier call may have arrived; `remote_id` is what that call made, where
    it is known. `return_url` is where the provider's signing page ends.
    """

    id: str
    title: str
    message: str
    language: str
    document: OutgoingDocument
    recipients: tuple[OutgoingRecipient, ...]
    placements: tuple[Placement, ...]
    expires_at: datetime
    return_url: str = ""
    remind_after_days: int = 2
    is_repeat: bool = False
    remote_id: str = ""


@dataclass(frozen=True)
class RemoteRecipient:
    """A person of an envelope that was sent; `remote_id` as the provider last gave it."""

    key: str
    role: str
    routing_order: int
    name: str
    email: str
    remote_id: str = ""
    is_embedded: bool = False


@dataclass(frozen=True)
class RemoteEnvelope:
    """An envelope that was sent: the provider's id, ours, and its people."""

    remote_id: str
    id: str
    recipients: tuple[RemoteRecipient, ...] = ()
    expires_at: datetime | None = None

    def one(self, key: str) -> RemoteRecipient:
        return next(recipient for recipient in self.recipients if recipient.key == key)


@dataclass(frozen=True)
class RecipientState:
    key: str
    status: RecipientStatus
    at: datetime | None = None
    reason: str = ""
    remote_id: str = ""
    raw_status: str = ""  # the provider's own word


@dataclass(frozen=True)
class EnvelopeState:
    """How an envelope stands at its provider. People it does not tell apart are left out."""

    remote_id: str
    status: EnvelopeStatus
    recipients: tuple[RecipientState, ...] = ()
    reason: str = ""
    raw: bytes = b""
    raw_status: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Frame:
    """What a page needs that opens a signing address inside the provider's own script."""

    script_url: str
    origins: tuple[str, ...]  # for frame-src, connect-src, img-src and style-src
    client_id: str
    is_test: bool = False


@dataclass(frozen=True)
class ExecutedFile:
    """The finished PDF byte for byte, and the provider's own evidence where it is separate."""

    pdf: bytes = field(repr=False)
    evidence: bytes = field(default=b"", repr=False)
    evidence_media: str = ""


# --- Webhooks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivery:
    """One webhook call as it arrived. Header names are lower case; `query` is what follows `?`."""

    method: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What a webhook call is answered with."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Notification:
    """What one webhook call says of one envelope.

    `id` is the same for a repeated call. `state` is given only where the call is signed whole and
    holds the envelope's state; without it, the portal reads the envelope.
    """

    id: str
    remote_id: str
    word: str  # the provider's own
    at: datetime | None = None
    request_id: str = ""  # ours, where the call names it
    state: EnvelopeState | None = None


# --- Archive and bulk --------------------------------------------------------------------------


@dataclass(frozen=True)
class ArchivedEnvelope:
    """A completed envelope of the account, whoever sent it."""

    remote_id: str
    title: str
    completed_at: datetime | None = None
    request_id: str = ""  # ours, where Countersign sent it
    people: tuple[tuple[str, str], ...] = ()  # (name, address)


@dataclass(frozen=True)
class ArchivePage:
    """Some of them; `cursor` asks for the next page and is empty after the last."""

    envelopes: tuple[ArchivedEnvelope, ...]
    cursor: str = ""
    total: int | None = None


@dataclass(frozen=True)
class BulkRow:
    """One person who gets an envelope of their own; `key` is our id for it."""

    key: str
    name: str
    email: str
    language: str = "en"


@dataclass(frozen=True)
class BulkRequest:
    """One document for many people. `id` is ours: the same id never makes two batches."""

    id: str
    title: str
    message: str
    document: OutgoingDocument
    placements: tuple[Placement, ...]  # recipient_key is ignored: there is one signer
    rows: tuple[BulkRow, ...]
    expires_at: datetime
    is_repeat: bool = False
    remote_id: str = ""


@dataclass(frozen=True)
class BulkRowState:
    key: str
    remote_id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class BulkState:
    """How a batch stands: the envelopes made so far; `is_final` once no more will come."""

    remote_id: str
    rows: tuple[BulkRowState, ...] = ()
    is_final: bool = False


class Provider(Protocol):
    """One way to have an envelope signed. Every method raises ProviderError and nothing else."""

    name: str
    capabilities: Capabilities

    def check(self) -> Account:
        """Whose account this is; shows that the credentials work."""

    def authorise_url(self, *, redirect_url: str, state: str) -> str:
        """Where an administrator allows us in, for connections by OAuth. Raises Unsupported elsewhere."""

    def authorise(self, answer: Mapping[str, str], *, redirect_url: str) -> Tokens:
        """Exchange what came back to `redirect_url` (its query) for tokens."""

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        """Create the envelope and start it. May be called again with the same `request.id`.

        With `is_repeat`, what an earlier call made is looked for before anything is created. Raises
        Preparing, with the remote id, while the provider is still reading the document.
        """

    def send_next(self, envelope: RemoteEnvelope, request: EnvelopeRequest) -> EnvelopeState:
        """Start the next step, for providers without `embedded_in_order`. Safe to call twice."""

    def find(self, request_id: str) -> EnvelopeState | None:
        """The envelope we named so, or None. Recipients may be left out."""

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        """How it stands now. An unknown word is UNKNOWN."""

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        """Stop it. Voiding what is already void is no error."""

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        """Ask one waiting recipient again."""

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        """Give a recipient who has not acted another name and address."""

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        """Where this embedded recipient signs now; fetched at the click and never stored.

        Raises Preparing while the provider is not ready for them.
        """

    def frame(self) -> Frame | None:
        """What a page needs to open a signing address; None where it is opened as it is."""

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        """The finished file. Raises Preparing while it is still being made."""

    def subscribe(self, url: str) -> Subscription:
        """Have webhook calls sent to `url`."""

    def unsubscribe(self, subscription: Subscription) -> None:
        """End them. Ending what is gone is no error."""

    def acknowledge(self, delivery: Delivery) -> Answer:
        """What a webhook call is answered with, at once and without a request of our own."""

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        """Verify a webhook call, then read it. Raises BadSignature before anything is parsed."""

    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        """Completed envelopes of the account by time of completion, oldest first where it can."""

    def send_bulk(self, request: BulkRequest) -> BulkState:
        """Send one document to many. May be called again with the same `request.id`."""

    def bulk_state(self, remote_id: str) -> BulkState:
        """How a batch stands."""


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
