"""What every text message gateway offers, and the words it answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from portal.channels import Message

DELIVERED, RETURNED, ON_ITS_WAY = "delivered", "returned", ""

# What to do where it is not known whether a gateway took a message. REPEAT: send it again, the same id
# lets it drop the second. LOOK: ask it first. ONCE: send it again once and count that.
REPEAT, LOOK, ONCE = "repeat", "look", "once"


@dataclass(frozen=True)
class Field:
    """One thing a gateway asks for; the page of text messages draws its form from these."""

    name: str
    label: Any
    hint: Any = None
    is_secret: bool = False
    is_optional: bool = False
    default: str = ""


@dataclass(frozen=True)
class Call:
    """A report as it arrived: the address it was sent to, as outsiders write it, and its raw bytes."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """What became of a message: ours by `message_id`, theirs by `remote_id`.

    `outcome` is DELIVERED, RETURNED or ON_ITS_WAY; `reason` begins with one of the words of `reasons`.
    """

    outcome: str
    message_id: str = ""
    remote_id: str = ""
    reason: str = ""
    price: Decimal | None = None
    currency: str = ""


class BadSignature(Exception):
    """A report that does not come from the gateway, or was changed on its way."""


class SmsGateway(Protocol):
    name: str  # twilio | vonage | webhook
    keeps_text: bool
    on_doubt: str  # REPEAT | LOOK | ONCE
    can_be_asked: bool  # whether `look_up` says what became of a message

    def send(self, message: Message) -> str | None:
        """Hand a message over; the gateway's own number for it. Raises Unavailable or Rejected."""

    def find(self, message: Message, since: datetime) -> str | None:
        """The gateway's number for this very message, if it took it since then. Raises Unavailable."""

    def look_up(self, remote_id: str) -> Receipt:
        """What became of a message. Raises Unavailable."""

    def receipt(self, call: Call, now: datetime) -> Receipt | None:
        """A report read, once it is proved to be genuine; None for what says nothing we know.

        Raises BadSignature.
        """

    def check(self) -> None:
        """Try name and password in a way that sends nothing. Raises Unavailable or Rejected."""
