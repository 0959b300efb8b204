"""Gateways that take a message out of the house: mail and text messages.

Each gateway has `send(message)`, which returns once the message is taken, or raises. With
`mailbox:` nothing leaves: the message stays in the database, where `/mailbox` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True)
class Attachment:
    file_name: str
    content: bytes = field(repr=False)
    media_type: str = "application/pdf"


@dataclass(frozen=True)
class Message:
    """What is to be sent. `id` is the same at every try, so that a receiver can drop doubles."""

    id: str
    to: str  # mail address or E.164 number
    text: str = field(repr=False)
    name: str = ""
    subject: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    language: str = "en"
    attachments: tuple[Attachment, ...] = ()
    # Mails only: From where it is not the gateway's own sender; where answers and returned mail go;
    # the picture that the HTML shows as `cid:logo`.
    sender: str = ""
    reply_to: str = ""
    returns_to: str = ""
    logo: bytes = field(default=b"", repr=False)


class Unavailable(Exception):
    """The gateway cannot be reached or asks to come back later.

    `after` is how long the gateway asked to be left alone, where it said so. Nothing was taken, unless
    `may_be_taken`: then the message had left and the answer was lost.
    """

    def __init__(self, reason: str, after: timedelta | None = None, *, may_be_taken: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.may_be_taken = may_be_taken


class Rejected(Exception):
    """The gateway will never take this message."""


class Gateway(Protocol):
    keeps_text: bool  # the message must stay readable here afterwards

    def send(self, message: Message) -> str | None:
        """Hand the message over; the gateway's own number for it, if it gives one. Raises Unavailable
        or Rejected."""


def mail_gateway(url: str, sender: str) -> Gateway:
    """The gateway that MAIL_URL names; `sender` is MAIL_FROM."""
    from portal.channels import mail, mailbox

    return mailbox.Mailbox() if url.startswith("mailbox:") else mail.Smtp.of(url, sender)


def sms_gateway(url: str, receipts_at: str = "") -> Gateway:
    """The gateway that SMS_URL names; `receipts_at` is where it may report what became of a message."""
    from portal.channels import mailbox, sms

    return mailbox.Mailbox() if url.startswith("mailbox:") else sms.gateway(url, receipts_at)
