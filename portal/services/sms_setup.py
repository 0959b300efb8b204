"""Setting text messages up: choosing a gateway, trying it, and how it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from portal.channels import Rejected, Unavailable, sms
from portal.channels.sms import reasons
from portal.channels.sms.interface import Field
from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.base import transaction
from portal.models.notices import Notice
from portal.models.people import Person
from portal.services import audit, gateways, installation, limits, notices, sms_numbers, sms_receipts, sms_use
from portal.services.audit import Actor
from portal.services.sms_use import Use
from portal.settings import is_loopback

TEST = "test"
TESTS = (limits.Cap(5, timedelta(hours=1)), limits.Cap(20, timedelta(days=1)))
USEFUL = timedelta(minutes=30)
LONGEST = 200
SHORTEST_KEY = 16

# What a field must look like, and what to say where it does not.
SHAPES = {
    ("twilio", "account"): (
        re.compile(r"AC[0-9a-fA-F]{32}"),
        lazy("An account SID is AC and 32 more letters and digits."),
    ),
    ("twilio", "sender"): (
        re.compile(r"\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}"),
        lazy("Write a number with + and its country code, a name of up to 11 letters, or MG and 32 more."),
    ),
    ("vonage", "account"): (
        re.compile(r"[A-Za-z0-9]{4,40}"),
        lazy("An API key is made of letters and digits."),
    ),
    ("vonage", "sender"): (
        re.compile(r"\+?[1-9][0-9]{6,14}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}"),
        lazy("Write a number with its country code, or a name of up to 11 letters and digits."),
    ),
}
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class State:
    """How text messages stand, for pages that ask what is still to be set up."""

    kind: str  # twilio | vonage | webhook | mailbox
    name: str
    sender: str
    source: str  # environment | page | default
    is_sample: bool
    reports: str  # reported | asked | none: how we learn what became of a message
    month: Use
    day: Use
    currency: str
    problem: str  # why messages wait at this moment; empty where none do
    is_closed: bool  # a cap is reached

    @property
    def is_connected(self) -> bool:
        return self.kind != "mailbox"

    @property
    def is_near(self) -> bool:
        return self.is_connected and max(self.month.percent, self.day.percent) >= sms_use.WARN_AT


def state(now: datetime) -> State:
    found, within = gateways.in_force(gateways.SMS), sms_use.limits()
    kind = sms.kind_of(found.url)
    return State(
        kind=kind,
        name=str(sms.KINDS[kind].name) if found.is_real else "",
        sender=sender(),
        source=found.source,
        is_sample=installation.current().settings.sample_marker.is_file(),
        reports=reports(),
        month=sms_use.use(sms_use.MONTH, now, within),
        day=sms_use.use(sms_use.DAY, now, within),
        currency=within.currency,
        problem=problem(),
        is_closed=sms_use.is_closed(now),
    )


def sender() -> str:
    """What people see as the sender, or where a gateway of our own is."""
    asked = sms_receipts.gateway()
    if asked is None:
        return ""
    return str(getattr(asked, "sender", "")) or str(urlsplit(str(getattr(asked, "url", ""))).hostname or "")


def reports() -> str:
    asked = sms_receipts.gateway()
    if asked is None:
        return "none"
    if gateways.receipts_at(asked.name) and getattr(asked, "signature_secret", "given"):
        return "reported"
    return "asked" if asked.can_be_asked else "none"


def problem() -> str:
    """Why the message that has waited longest waits."""
    waiting = (
        Notice.select()
        .where((Notice.status == "queued") & (Notice.channel == gateways.SMS) & (Notice.failure != ""))
        .order_by(Notice.created_at)
        .first()
    )
    return reasons.said(waiting.failure) if waiting is not None else ""


# --- Choosing a gateway -----------------------------------------------------------------------


def connect(kind: str, typed: Mapping[str, str], *, by: Actor, now: datetime) -> None:
    """Use this gateway from now on, once it has answered that it knows us.

    Raises Invalid by field, Conflict where the environment decides or the data is a sample.
    """
    gateways.demand_free(gateways.SMS)
    values = checked(kind, typed)
    url = sms.address(kind, values)
    try:
        sms.gateway(url).check()
    except (Unavailable, Rejected) as error:
        raise Invalid({blamed(str(error)): refusal(str(error))}) from error
    gateways.connect(gateways.SMS, url, sender=values.get("sender", ""), by=by, now=now)


def checked(kind: str, typed: Mapping[str, str]) -> dict[str, str]:
    """What was typed, as the gateway takes it. Raises Invalid by field."""
    errors: dict[str, str] = {}
    values = {}
    for each in sms.KINDS[kind].fields:
        value = typed.get(each.name, "").strip() or each.default
        values[each.name] = squeezed(value) if each.name == "sender" else value
        reason = why_not(kind, each, values[each.name])
        if reason:
            errors[each.name] = reason
    if errors:
        raise Invalid(errors)
    return values


def squeezed(sender: str) -> str:
    """A number without the spaces people write it with."""
    return re.sub(r"[\s().-]", "", sender) if re.fullmatch(r"\+?[\d\s().-]+", sender) else sender


def why_not(kind: str, asked: Field, value: str) -> str:
    if not value:
        return "" if asked.is_optional else _("Fill this in.")
    if len(value) > LONGEST or any(letter.isspace() for letter in value.replace(" ", "")):
        return _("This is too long, or holds a line break.")
    shape = SHAPES.get((kind, asked.name))
    if shape is not None and not shape[0].fullmatch(value):
        return str(shape[1])
    if asked.name == "host" and not HOST.fullmatch(value):
        return _("Write the name of the server only, such as %(example)s.", example=asked.default)
    if asked.name == "address" and not is_safe_address(value):
        return _("Write an address that begins with https:// and holds no name or key.")
    if kind == "webhook" and asked.is_secret and len(value) < SHORTEST_KEY:
        return _("Use a key of at least %(least)s characters.", least=SHORTEST_KEY)
    return ""


def is_safe_address(text: str) -> bool:
    """https, or http on this machine, without a login."""
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_open = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return is_open and bool(host) and "@" not in parts.netloc


def blamed(why: str) -> str:
    """The field a refusal at the trial belongs to."""
    return "token" if why.startswith("credentials") else ""


def refusal(why: str) -> str:
    return _("The gateway was tried and this came back: %(reason)s.", reason=reasons.said(why))


# --- Trying it ------------------------------------------------------------------------------------


def send_test(person: Person, *, by: Actor, now: datetime) -> Notice:
    """Text a person's own number. Raises Conflict without a usable one, TooMany, or SmsClosed."""
    number = str(person.phone)
    if not number:
        raise Conflict(_("Your account has no telephone number. Add your mobile number there first."))
    if sms_numbers.why_not(number):
        raise Conflict(sms_numbers.why_not(number))
    limits.check("sms.test", person.id, by.address, now, TESTS)
    with transaction():
        audit.append("sms_test.sent", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now)
        return notices.queue(
            TEST, channel=gateways.SMS, address=number, name=person.name, language=person.language,
            zone=person.zone, now=now, person_id=person.id, sender_id=person.id, useful_until=now + USEFUL,
        )  # fmt: skip


def newest_test(person: Person) -> Notice | None:
    """The last test message a person sent themselves."""
    this = (Notice.person_id == person.id) & (Notice.channel == gateways.SMS) & (Notice.kind == TEST)
    found: Notice | None = Notice.select().where(this).order_by(Notice.id.desc()).first()
    return found


def last_test() -> Notice | None:
    """The newest test message of anybody."""
    is_test = (Notice.channel == gateways.SMS) & (Notice.kind == TEST)
    found: Notice | None = Notice.select().where(is_test).order_by(Notice.id.desc()).first()
    return found
