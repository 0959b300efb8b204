"""What every provider begins with: an honest no to all it does not have, and calls to a vendor's API."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from providers.errors import NotConfigured, Refused, Unsupported
from providers.http import NOT_LET_IN, Client, Expired, Reply
from providers.interface import (
    Account,
    Answer,
    ArchivePage,
    BulkRequest,
    BulkState,
    Capabilities,
    Connection,
    Delivery,
    EnvelopeRequest,
    EnvelopeState,
    ExecutedFile,
    Frame,
    Notification,
    Placement,
    RemoteEnvelope,
    Setting,
    Subscription,
    Tokens,
    mark,
)

CANNOT = mark("%(provider)s cannot do this.")
NO_CREDENTIALS = mark("%(provider)s is not connected: %(setting)s is missing.")
EARLY = timedelta(seconds=60)  # tokens are renewed this long before they end


class BaseProvider:
    """Answers `Unsupported` to everything; a provider overrides what it has."""

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    capabilities: ClassVar[Capabilities] = Capabilities()

    def cannot(self) -> Unsupported:
        return Unsupported(CANNOT, provider=self.label)

    def check(self) -> Account:
        raise self.cannot()

    def authorise_url(self, *, redirect_url: str, state: str) -> str:
        raise self.cannot()

    def authorise(self, answer: Mapping[str, str], *, redirect_url: str) -> Tokens:
        raise self.cannot()

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        raise self.cannot()

    def send_next(self, envelope: RemoteEnvelope, request: EnvelopeRequest) -> EnvelopeState:
        raise self.cannot()

    def find(self, request_id: str) -> EnvelopeState | None:
        raise self.cannot()

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        raise self.cannot()

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        raise self.cannot()

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        raise self.cannot()

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        raise self.cannot()

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        raise self.cannot()

    def frame(self) -> Frame | None:
        return None

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        raise self.cannot()

    def subscribe(self, url: str) -> Subscription:
        raise self.cannot()

    def unsubscribe(self, subscription: Subscription) -> None:
        raise self.cannot()

    def acknowledge(self, delivery: Delivery) -> Answer:
        return Answer()

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        raise self.cannot()

    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        raise self.cannot()

    def send_bulk(self, request: BulkRequest) -> BulkState:
        raise self.cannot()

    def bulk_state(self, remote_id: str) -> BulkState:
        raise self.cannot()


class RemoteProvider(BaseProvider):
    """A vendor reached over HTTP. Give `name`, `label`, `capabilities`, `settings` and `client`."""

    settings: ClassVar[tuple[Setting, ...]] = ()

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.http = self.client()
        self.http.is_rehearsal = connection.is_rehearsal
        self._tokens = connection.tokens

    def client(self) -> Client:
        """The careful client, with the vendor's way of telling reasons."""
        return Client(self.label)

    def renew(self, tokens: Tokens | None) -> Tokens:
        """Fresh tokens by refresh or by our own key. For connections that use tokens."""
        raise NotConfigured(NOT_LET_IN, provider=self.label)

    def authorisation(self) -> dict[str, str]:
        """The headers that let a call in."""
        return {"Authorization": f"Bearer {self.access_token()}"}

    # --- Helpers for adapters ------------------------------------------------------------------

    def setting(self, name: str) -> str:
        """A setting as stored, else its default. Raises NotConfigured for a required one that is missing."""
        declared = next(each for each in self.settings if each.name == name)
        value = self.connection.settings.get(name, "") or declared.default
        if not value and declared.required and not self.connection.is_rehearsal:
            raise NotConfigured(NO_CREDENTIALS, provider=self.label, setting=declared.label)
        return value

    def address(self, vendor: str, path: str = "") -> str:
        """A vendor address (scheme, host, base path) plus `path`, as this connection reaches it."""
        if self.connection.base_url:
            return self.connection.base_url.rstrip("/") + path
        if self.connection.server:
            return self.connection.server.rstrip("/") + urlsplit(vendor).path.rstrip("/") + path
        return vendor.rstrip("/") + path

    def call(
        self,
        method: str,
        url: str,
        *,
        accept: tuple[int, ...] = (),
        headers: Mapping[str, str] | None = None,
        **what: Any,
    ) -> Reply:
        """An authorised request. A 401 is answered once by renewed tokens, if the connection has any."""
        try:
            mine = {**self.authorisation(), **(headers or {})}
            return self.http.request(method, url, accept=accept, headers=mine, **what)
        except Expired as error:
            if self._tokens is None or self.connection.is_rehearsal:
                raise NotConfigured(NOT_LET_IN, provider=self.label) from error
        self._renew()
        try:
            mine = {**self.authorisation(), **(headers or {})}
            return self.http.request(method, url, accept=accept, headers=mine, **what)
        except Expired as error:
            raise NotConfigured(NOT_LET_IN, provider=self.label) from error

    def access_token(self) -> str:
        """The present bearer token, renewed a minute before it ends; `token` in a rehearsal."""
        if self.connection.is_rehearsal:
            return self.connection.token
        tokens = self._tokens
        ends = tokens.expires_at if tokens else None
        if tokens is None or (ends is not None and ends - EARLY <= self.connection.clock()):
            tokens = self._renew()
        return tokens.access

    @property
    def tokens(self) -> Tokens | None:
        return self._tokens

    def _renew(self) -> Tokens:
        """Renewed tokens, kept. Where another process was quicker, its tokens are taken."""
        seen = self._tokens
        newer = self.connection.reload()
        if newer is not None and (seen is None or newer.access != seen.access):
            self._tokens = newer
            return newer
        try:
            fresh = self.renew(seen)
        except (Refused, Expired) as error:
            newer = self.connection.reload()
            if newer is None or (seen is not None and newer.access == seen.access):
                raise NotConfigured(NOT_LET_IN, provider=self.label) from error
            fresh = newer
        else:
            self.connection.keep(fresh)
        self._tokens = fresh
        return fresh


def expiry_of(reply: Mapping[str, Any], now: datetime) -> datetime | None:
    """When the tokens of an OAuth answer end, by its `expires_in` in seconds."""
    try:
        return now + timedelta(seconds=float(reply["expires_in"]))
    except (KeyError, TypeError, ValueError):
        return None


def hmac_sha256(key: str | bytes, body: bytes) -> bytes:
    return hmac.new(key.encode() if isinstance(key, str) else key, body, hashlib.sha256).digest()


def matches(expected: str, given: str) -> bool:
    """Whether two signatures are the same, in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode())


def placements_of(placements: tuple[Placement, ...], key: str) -> list[Placement]:
    return [placement for placement in placements if placement.recipient_key == key]


def instant(said: object) -> datetime | None:
    """A time as vendors write it: ISO 8601 (UTC where no zone is said) or Unix seconds; else None."""
    if isinstance(said, int | float) and not isinstance(said, bool):
        return datetime.fromtimestamp(said, UTC)
    if not isinstance(said, str) or not said:
        return None
    if said.isdigit():
        return datetime.fromtimestamp(int(said), UTC)
    try:
        found = datetime.fromisoformat(said[:-1] + "+00:00" if said.endswith("Z") else said)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
