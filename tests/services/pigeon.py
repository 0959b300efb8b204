"""A provider of the tests, without a network: what it was sent lies in a list, and it fails on request."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest

from portal.services import connections
from portal.services.audit import SYSTEM
from providers import registry
from providers.base import BaseProvider
from providers.errors import BadSignature, Refused, Unavailable
from providers.interface import (
    Account,
    Answer,
    ArchivedEnvelope,
    ArchivePage,
    Capabilities,
    Connection,
    Delivery,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    ExecutedFile,
    Notification,
    RecipientState,
    RecipientStatus,
    RemoteEnvelope,
    Setting,
    Subscription,
)

CAN = Capabilities(
    factors=frozenset({"sms", "access_code"}), approvers=True, embedded=True, embeds_each=True,
    reminders=True, reminds_embedded=True, expiry=True, corrections=True, webhooks=True, signed_webhooks=True,
    evidence="application/pdf", archive=True,
)  # fmt: skip


@dataclass
class Held:
    """One envelope at the vendor. `people`: key to status."""

    request: EnvelopeRequest
    status: EnvelopeStatus = EnvelopeStatus.SENT
    people: dict[str, RecipientStatus] = field(default_factory=dict)
    raw: str = "out"
    reason: str = ""


@dataclass
class Loft:
    """The vendor's side. `trouble` holds errors to be raised by the next calls, before or after them."""

    can: Capabilities = CAN
    held: dict[str, Held] = field(default_factory=dict)
    before: list[BaseException] = field(default_factory=list)
    after: list[BaseException] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    during: dict[str, Any] = field(default_factory=dict)  # what else happens while it is asked, once
    archive: list[ArchivedEnvelope] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    executed: bytes = b"%PDF-1.4 executed elsewhere\n%%EOF\n"

    def sign(self, remote_id: str, key: str) -> None:
        held = self.held[remote_id]
        held.people[key] = RecipientStatus.SIGNED
        acting = [each.key for each in held.request.recipients if each.role != "copy"]
        if all(held.people.get(each) is RecipientStatus.SIGNED for each in acting):
            held.status, held.raw = EnvelopeStatus.COMPLETED, "done"

    def complete(self, remote_id: str) -> None:
        for each in self.held[remote_id].request.recipients:
            self.sign(remote_id, each.key)


class Pigeon(BaseProvider):
    name = label = "pigeon"

    def __init__(self, loft: Loft, connection: Connection) -> None:
        self.loft, self.connection = loft, connection
        self.label, self.capabilities = "Pigeon", loft.can

    def call(self, name: str, act: Any) -> Any:
        self.loft.asked.append(name)
        if name in self.loft.during:
            self.loft.during.pop(name)()
        if self.loft.before:
            raise self.loft.before.pop(0)
        found = act()
        if self.loft.after:
            raise self.loft.after.pop(0)
        return found

    def check(self) -> Account:
        return Account("loft-1", "Larkfield")

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        def act() -> EnvelopeState:
            found = (
                [k for k, h in self.loft.held.items() if h.request.id == request.id]
                if request.is_repeat
                else []
            )
            remote_id = found[0] if found else f"r{len(self.loft.held) + 1}"
            self.loft.held.setdefault(remote_id, Held(request))
            return self.state(remote_id)

        return self.call("send", act)

    def state(self, remote_id: str) -> EnvelopeState:
        held = self.loft.held[remote_id]
        people = tuple(
            RecipientState(
                each.key,
                held.people.get(each.key, RecipientStatus.SENT),
                remote_id=f"{remote_id}-{each.key}",
                raw_status="x",
            )
            for each in held.request.recipients
        )
        return EnvelopeState(remote_id, held.status, people, held.reason, b"{}", held.raw)

    def find(self, request_id: str) -> EnvelopeState | None:
        found = [k for k, h in self.loft.held.items() if h.request.id == request_id]
        return self.call("find", lambda: self.state(found[0]) if found else None)

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        return self.call("fetch", lambda: self.state(envelope.remote_id))

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        def act() -> None:
            held = self.loft.held[envelope.remote_id]
            if held.status is EnvelopeStatus.COMPLETED:
                raise Refused("It is complete.")
            held.status, held.reason = EnvelopeStatus.VOIDED, reason

        self.call("void", act)

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        self.call(f"remind {recipient_key}", lambda: None)

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        self.call(f"correct {recipient_key} {email}", lambda: None)

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        return self.call(
            "signing_url", lambda: f"https://pigeon.example/sign/{recipient_key}?back={return_url}"
        )

    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        def act() -> ArchivePage:
            start = int(cursor or 0)
            fitting = [e for e in self.loft.archive if since <= e.completed_at < until]
            more = str(start + 50) if len(fitting) > start + 50 else ""
            return ArchivePage(tuple(fitting[start : start + 50]), more, len(fitting))

        return self.call("archive", act)

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        if envelope.remote_id in self.loft.unreadable:
            raise Refused("Pigeon refused: purged.")
        if envelope.remote_id.startswith("old-"):
            file = ExecutedFile(b"%PDF-1.4 " + envelope.remote_id.encode(), b"%PDF-c", "application/pdf")
            return self.call("download", lambda: file)
        return self.call(
            "download", lambda: ExecutedFile(self.loft.executed, b"%PDF-certificate", "application/pdf")
        )

    def subscribe(self, url: str) -> Subscription:
        return Subscription("s1", "pigeon-proof")

    def acknowledge(self, delivery: Delivery) -> Answer:
        return Answer(200, {"X-Heard": "yes"}, b"heard")

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        if delivery.headers.get("x-proof") != "pigeon-proof":
            raise BadSignature("The proof does not hold.")
        remote_id, _, number = delivery.body.decode().partition(":")
        return (Notification(f"n-{number}", remote_id, "moved"),)


def install(monkeypatch: pytest.MonkeyPatch, loft: Loft) -> None:
    module: Any = ModuleType("tests.pigeon")
    module.LABEL, module.CAPABILITIES, module.STEPS = "Pigeon", loft.can, ()
    module.SETTINGS = (Setting("api_key", "API key", kind="secret"),)
    module.connect = lambda connection: Pigeon(loft, connection)
    monkeypatch.setitem(sys.modules, "tests.pigeon", module)
    monkeypatch.setitem(registry.MODULES, "pigeon", "tests.pigeon")


def connected(name: str, now: datetime) -> Any:
    """An account at it that let us in."""
    made = connections.create("pigeon", name, {"api_key": "MARKED-key"}, by=SYSTEM, now=now)
    connections.checked(made, Account("loft-1", "Larkfield"), by=SYSTEM, now=now)
    return connections.get(made.id)


def can(monkeypatch: pytest.MonkeyPatch, loft: Loft, **changes: Any) -> None:
    """Another set of capabilities."""
    loft.can = replace(loft.can, **changes)
    install(monkeypatch, loft)


def down() -> Unavailable:
    return Unavailable("Pigeon is away.")
