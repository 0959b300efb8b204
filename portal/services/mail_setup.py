"""Setting mail up on a page: a server is tried before it is kept, then a test mail shows that it works.

`state` says how mail stands, for whoever guides through the first set-up.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from urllib.parse import quote, urlencode, urlsplit

from portal.channels import addresses, mail, postboxes, smtp
from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.notices import Notice
from portal.models.people import Person
from portal.services import gateways, mail_domains, notices, return_box, return_reasons
from portal.services.audit import Actor

SECONDS = 8  # nobody waits longer for a page
TEST = "mail_test"
ENCRYPTIONS = (smtp.REQUIRED, smtp.IMPLICIT, smtp.NONE)
PORTS = {smtp.REQUIRED: 587, smtp.IMPLICIT: 465, smtp.NONE: 25}


@dataclass(frozen=True)
class Typed:
    """A mail server as typed on the page; an empty password keeps the present one."""

    host: str
    port: int
    encryption: str
    user: str
    password: str
    sender_name: str
    sender_address: str


@dataclass(frozen=True)
class State:
    """How mail stands: whether it leaves the house, from whom, how the last test mail went, and what
    the DNS says of each sending domain."""

    is_real: bool
    sender: str
    source: str  # environment | page | default
    test: Notice | None
    domains: tuple[mail_domains.Domain, ...]
    returns_problem: str


def state(now: datetime) -> State:
    used, box = gateways.in_force(gateways.MAIL), return_box.state()
    return State(
        is_real=used.is_real, sender=used.sender, source=used.source, test=last_test(),
        domains=tuple(mail_domains.overview()) if used.is_real else (), returns_problem=box.problem,
    )  # fmt: skip


# --- The server ------------------------------------------------------------------------------


def present() -> Typed:
    """What is in force now, without its password."""
    used = gateways.in_force(gateways.MAIL)
    name, address = parseaddr(used.sender)
    if not used.is_real:
        return Typed("", PORTS[smtp.REQUIRED], smtp.REQUIRED, "", "", name, "")
    server = mail.server_of(used.url)
    return Typed(server.host, server.port, server.encryption, server.user, "", name, address)


def connect(typed: Typed, *, by: Actor, now: datetime) -> None:
    """Try the server, then send through it from now on. Raises Invalid beside the field at fault."""
    gateways.demand_free(gateways.MAIL)
    check(typed)
    url = url_of(typed, typed.password or kept_password(typed))
    try_server(url)
    sender = addresses.written(typed.sender_name, typed.sender_address)
    gateways.connect(gateways.MAIL, url, sender=sender, by=by, now=now)
    mail_domains.ask(now)


def check(typed: Typed) -> None:
    errors = {}
    if typed.encryption == smtp.NONE and not smtp.is_loopback(typed.host):
        errors["encryption"] = _("Without encryption only a server on this machine can be used.")
    if typed.password and not typed.user:
        errors["user"] = _("Write the user name that belongs to the password.")
    if typed.user and not typed.password and not kept_password(typed):
        errors["password"] = _("Write the password.")
    if errors:
        raise Invalid(errors)


def kept_password(typed: Typed) -> str:
    """The present password, if it is for the same user at the same server."""
    used = gateways.in_force(gateways.MAIL)
    if not used.is_real:
        return ""
    server = mail.server_of(used.url)
    is_same = (server.host, server.user) == (typed.host, typed.user)
    return server.password if is_same else ""


def url_of(typed: Typed, password: str) -> str:
    scheme = "smtps" if typed.encryption == smtp.IMPLICIT else "smtp"
    login = f"{quote(typed.user, safe='')}:{quote(password, safe='')}@" if typed.user else ""
    host = f"[{typed.host}]" if ":" in typed.host else typed.host
    query = "" if scheme == "smtps" else f"?{urlencode({'tls': typed.encryption})}"
    return f"{scheme}://{login}{host}:{typed.port}{query}"


def try_server(url: str) -> None:
    """Connect, encrypt, sign in, hang up. Raises Invalid beside the field at fault."""
    try:
        within(SECONDS, lambda: mail.server_of(url).try_out(SECONDS))
    except TimeoutError:
        raise Invalid(
            {"host": _("No answer within %(seconds)s seconds. Check server and port.", seconds=SECONDS)}
        ) from None
    except smtp.Trouble as trouble:
        field = {smtp.TLS: "encryption", smtp.LOGIN: "password"}.get(trouble.step, "host")
        words = return_reasons.in_words(str(trouble))
        said = _("The server says: %(words)s", words=str(trouble))
        raise Invalid({field: f"{words} {said}" if words else said}) from trouble


def within(seconds: float, act: object) -> None:
    """Do it in a thread that nobody waits for longer than this: looking a name up knows no limit."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()  # type: ignore[operator]
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if raised:
        raise raised[0]


# --- The mailbox for returned mail -------------------------------------------------------------


def connect_returns(url: str, address: str, *, by: Actor, now: datetime) -> None:
    """Try the mailbox, then read it from now on. Raises Invalid beside the field at fault."""
    return_box.demand_free()
    try:
        within(SECONDS, lambda: return_box.try_out(url))
    except TimeoutError:
        raise Invalid(
            {"host": _("No answer within %(seconds)s seconds. Check server and port.", seconds=SECONDS)}
        ) from None
    except postboxes.Away as away:
        raise Invalid(
            {"host": _("The mailbox cannot be read. It says: %(words)s", words=str(away))}
        ) from away
    return_box.connect(url, address, by=by, now=now)


def kept_returns_password(host: str, user: str) -> str:
    """The present password of the mailbox, if it is for the same user at the same server."""
    from urllib.parse import unquote

    parts = urlsplit(return_box.in_force().url)
    is_same = (parts.hostname, unquote(parts.username or "")) == (host, user)
    return unquote(parts.password or "") if is_same else ""


# --- The test mail -----------------------------------------------------------------------------


def send_test(person: Person, *, now: datetime) -> Notice:
    """A mail to whoever asks, through the gateway in force. Raises TooMany."""
    notices.check_rate(gateways.MAIL, person.email, person.id, now)
    with transaction():
        return notices.queue(
            TEST, address=person.email, name=person.name, language=person.language, zone=person.zone,
            person_id=person.id, sender_id=person.id, now=now,
            context={"at": now, "link": notices.url("/settings/mail")},
        )  # fmt: skip


def last_test() -> Notice | None:
    found: Notice | None = Notice.select().where(Notice.kind == TEST).order_by(Notice.id.desc()).first()
    return found


def is_mail_address(text: str) -> bool:
    """Whether mail can be sent to it, letters of other scripts included."""
    return bool(addresses.comparable(text)) and "." in addresses.domain_of(text)
