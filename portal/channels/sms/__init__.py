"""Text message gateways: which there are, and how an address names one.

To add one: a module with FIELDS and a class like `interface.SmsGateway`, a line here, a simulator, and
its case in the conformance suite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from portal.channels.sms import twilio, vonage, webhook
from portal.channels.sms.interface import Field, SmsGateway
from portal.channels.sms.webhook import Webhook
from portal.i18n import lazy

__all__ = ["KINDS", "Kind", "Webhook", "address", "gateway", "kind_of"]


@dataclass(frozen=True)
class Kind:
    """A gateway people can choose: its name, what it is for, and what it asks for."""

    name: Any
    about: Any
    fields: tuple[Field, ...]
    make: Any


KINDS: dict[str, Kind] = {
    "twilio": Kind("Twilio", lazy("Your own account at twilio.com."), twilio.FIELDS, twilio.Twilio.of),
    "vonage": Kind("Vonage", lazy("Your own account at vonage.com, formerly Nexmo."), vonage.FIELDS,
                   vonage.Vonage.of),
    "webhook": Kind(lazy("Your own gateway"), lazy("A program of yours that takes signed messages from us."),
                    webhook.FIELDS, webhook.Webhook.of),
}  # fmt: skip


def kind_of(url: str) -> str:
    """twilio, vonage or webhook; "mailbox" for none."""
    return urlsplit(url).scheme.split("+")[0]


def gateway(url: str, receipts_at: str = "") -> SmsGateway:
    """The gateway an address names."""
    made: SmsGateway = KINDS[kind_of(url)].make(url, receipts_at)
    return made


def address(kind: str, values: dict[str, str]) -> str:
    """The address of a gateway whose FIELDS were filled in."""
    if kind == "webhook":
        parts = urlsplit(values["address"])
        bare = parts._replace(netloc=f"{quote(values['token'], safe='')}@{parts.netloc}")
        return f"webhook+{bare.geturl()}"
    login = f"{quote(values['account'], safe='')}:{quote(values['token'], safe='')}"
    sender = "service" if kind == "twilio" and values["sender"].startswith("MG") else "from"
    query = {sender: values["sender"]}
    if values.get("signature_secret"):
        query["signature_secret"] = values["signature_secret"]
    return f"{kind}://{login}@{values['host']}?{urlencode(query)}"
