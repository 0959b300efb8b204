"""Which gateway takes mails, and which takes text messages.

The environment comes first (`MAIL_URL`, `SMS_URL`); else the gateway an administrator connected on a
page, kept encrypted; else `mailbox:`, where nothing leaves the house. Sample data never leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from portal import channels, scrub
from portal.channels import sms
from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.audit import InstallationFact
from portal.models.base import transaction
from portal.services import audit, installation
from portal.services.audit import Actor
from portal.settings import url_secrets

MAIL, SMS = "mail", "sms"
MAILBOX = "mailbox:"
ENVIRONMENT, PAGE, DEFAULT = "environment", "page", "default"


@dataclass(frozen=True)
class InForce:
    """The gateway of a channel: its address with secrets, the sender of mails, and who said so."""

    url: str = field(repr=False)
    sender: str
    source: str  # environment | page | default

    @property
    def is_real(self) -> bool:
        """Whether messages leave the house."""
        return not self.url.startswith(MAILBOX)


def in_force(channel: str) -> InForce:
    """What a channel ("mail" or "sms") goes through now."""
    settings = installation.current().settings
    given = settings.mail_url if channel == MAIL else settings.sms_url
    name = "MAIL_URL" if channel == MAIL else "SMS_URL"
    if not given.startswith(MAILBOX) or settings.sources.get(name) == ENVIRONMENT:
        return InForce(given, settings.mail_from, ENVIRONMENT)
    kept = installation.fact(fact_name(channel))
    if kept is None or settings.sample_marker.is_file():
        return InForce(MAILBOX, settings.mail_from, DEFAULT)
    url = installation.current().box.open(kept["url"])
    scrub.hide(url_secrets(url))  # as the environment's are from the start
    return InForce(url, kept["sender"] or settings.mail_from, PAGE)


def of(channel: str) -> channels.Gateway:
    """The gateway itself."""
    found = in_force(channel)
    if channel == MAIL:
        return channels.mail_gateway(found.url, found.sender)
    return channels.sms_gateway(found.url, receipts_at(sms.kind_of(found.url)))


def receipts_at(kind: str) -> str:
    """Where a gateway reports what became of a text message; empty where nobody outside reaches us."""
    settings = installation.current().settings
    return "" if settings.base_url_is_local else f"{settings.base_url}/webhooks/sms/{kind}"


def can_text() -> bool:
    """Whether text messages reach people: false where only mails leave the house."""
    return in_force(SMS).is_real or not in_force(MAIL).is_real


def all_stay_here() -> bool:
    """Whether neither mails nor text messages leave the house."""
    return not in_force(MAIL).is_real and not in_force(SMS).is_real


def connect(channel: str, url: str, *, sender: str = "", by: Actor, now: datetime) -> None:
    """Use this gateway from now on; waiting messages go through it too.

    The page has checked `url` and `sender`. Raises Conflict where the environment decides or the
    data is a sample.
    """
    demand_free(channel)
    with transaction():
        box = installation.current().box
        installation.set_fact(fact_name(channel), {"url": box.seal(url), "sender": sender}, now)
        note("gateway.connected", channel, by, now)


def disconnect(channel: str, *, by: Actor, now: datetime) -> None:
    """Keep messages in the house again. Raises Conflict where nothing was connected on a page."""
    demand_free(channel)
    with transaction():
        gone = InstallationFact.delete().where(InstallationFact.name == fact_name(channel)).execute()
        if not gone:
            raise Conflict(_("No gateway is connected."))
        note("gateway.disconnected", channel, by, now)


def demand_free(channel: str) -> None:
    settings = installation.current().settings
    if settings.sample_marker.is_file():
        raise Conflict(
            _("This installation holds sample data, whose messages stay here. Start an empty one to send.")
        )
    if in_force(channel).source == ENVIRONMENT:
        raise Conflict(_("This gateway is set where the portal is started, and is changed there."))


def fact_name(channel: str) -> str:
    return f"gateway_{channel}"


def note(act: str, channel: str, by: Actor, now: datetime) -> None:
    audit.append(act, ("gateway", channel), chain=audit.INSTALLATION, by=by, now=now)
