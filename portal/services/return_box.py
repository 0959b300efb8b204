"""The mailbox that returned mail comes back to: which one is read, and how reading it went.

The environment comes first (`BOUNCE_URL`, `BOUNCE_ADDRESS`); else what an administrator typed, kept
encrypted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from portal import scrub
from portal.channels import postboxes
from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.audit import InstallationFact
from portal.models.base import transaction
from portal.services import audit, gateways, installation
from portal.services.audit import Actor
from portal.settings import url_secrets

BOX, STATE = "mail_returns", "mail_returns_state"


@dataclass(frozen=True)
class InForce:
    """The mailbox read for returned mail; `address` is what mails name as their return path."""

    url: str = field(repr=False)
    address: str
    source: str  # environment | page | default


@dataclass(frozen=True)
class State:
    """When the mailbox was read last, why it cannot be read now, and how many reports it has given."""

    at: datetime | None = None
    problem: str = ""
    since: datetime | None = None
    reports: int = 0


def in_force() -> InForce:
    settings = installation.current().settings
    kept = installation.fact(BOX)
    if settings.bounce_url:
        return InForce(settings.bounce_url, settings.bounce_address, gateways.ENVIRONMENT)
    if kept is None:
        return InForce("", settings.bounce_address, gateways.DEFAULT)
    url = installation.current().box.open(kept["url"])
    scrub.hide(url_secrets(url))
    return InForce(url, kept["address"], gateways.PAGE)


def address() -> str:
    """Where servers send a mail back to; empty for the sender's own address. A `*` stands for its number."""
    return in_force().address


def connect(url: str, given: str, *, by: Actor, now: datetime) -> None:
    """Read this mailbox from now on. The page has tried it. Raises Conflict where the environment decides."""
    demand_free()
    with transaction():
        box = installation.current().box
        installation.set_fact(BOX, {"url": box.seal(url), "address": given}, now)
        forget_state()
        audit.append("returns.connected", ("gateway", BOX), chain=audit.INSTALLATION, by=by, now=now)


def disconnect(*, by: Actor, now: datetime) -> None:
    """Read it no more; mails name their sender as return path again."""
    demand_free()
    with transaction():
        if not InstallationFact.delete().where(InstallationFact.name == BOX).execute():
            raise Conflict(_("No mailbox for returned mail is set."))
        forget_state()
        audit.append("returns.disconnected", ("gateway", BOX), chain=audit.INSTALLATION, by=by, now=now)


def demand_free() -> None:
    if in_force().source == gateways.ENVIRONMENT:
        raise Conflict(_("This mailbox is set where the portal is started, and is changed there."))


def forget_state() -> None:
    InstallationFact.delete().where(InstallationFact.name == STATE).execute()


def try_out(url: str) -> None:
    """Open the mailbox and look whether it can be read. Raises Away."""
    with postboxes.opened(url, "") as box:
        for _letter in box.letters():
            break


def state() -> State:
    kept = installation.fact(STATE) or {}
    return State(
        at=moment(kept.get("at")), problem=kept.get("problem", ""), since=moment(kept.get("since")),
        reports=kept.get("reports", 0),
    )  # fmt: skip


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def where(url: str) -> str:
    """The mailbox in words: host and folder, without name and password."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "maildir" else f"{parts.hostname}{parts.path}"
