"""Programs that are told of events: named, changed, tried, paused and removed by an administrator.

A receiver's secret is shown once, when it is made; afterwards only another one can be made, and for a
day both sign, so that nothing is missed while the receiver learns the new one.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from portal import scrub
from portal.channels import web
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.event_receivers import EventDelivery, EventMessage, EventReceiver
from portal.services import audit, event_messages, installation, jobs
from portal.services.audit import Actor

PREFIX, SECRET_BYTES = "whsec_", 32
OVERLAP = timedelta(days=1)
MOST, LOG_LENGTH = 20, 50


def get(receiver_id: str) -> EventReceiver:
    """Raises NotFound."""
    found: EventReceiver | None = EventReceiver.get_or_none(EventReceiver.id == receiver_id)
    if found is None:
        raise NotFound
    return found


def all_receivers() -> list[EventReceiver]:
    return list(EventReceiver.select().order_by(EventReceiver.created_at, EventReceiver.id))


def is_local() -> bool:
    """Whether this installation is only tried out on its own machine."""
    return installation.current().settings.base_url_is_local


# --- Secrets ------------------------------------------------------------------------------------


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed(receiver_id: str, secret: str) -> str:
    """The secret encrypted for this receiver's row alone."""
    return installation.current().box.seal(f"{receiver_id}:{secret}")


def opened(receiver: EventReceiver, now: datetime) -> list[str]:
    """The secrets that sign at this moment: the one in force, and for a day the one before it."""
    kept = [receiver.signing_secret]
    if receiver.former_secret and receiver.former_until is not None and now < receiver.former_until:
        kept.append(receiver.former_secret)
    found = []
    for each in kept:
        whose, _colon, secret = installation.current().box.open(each).partition(":")
        if whose != receiver.id:
            raise Conflict(_("The secret of this receiver is damaged. Make a new one."))
        found.append(secret)
    scrub.hide(found)
    return found


# --- Naming and changing --------------------------------------------------------------------------


def add(name: str, url: str, kinds: Iterable[str], *, by: Actor, now: datetime) -> tuple[EventReceiver, str]:
    """A new receiver and its secret, which is never shown again. Raises Invalid."""
    demand_good(name, url)
    if EventReceiver.select().count() >= MOST:
        raise Invalid({"": _("There are %(most)s receivers already. Remove one first.", most=MOST)})
    secret = new_secret()
    receiver = EventReceiver(name=name, url=url, kinds=known(kinds), created_at=now)
    receiver.signing_secret = sealed(receiver.id, secret)
    with transaction():
        receiver.save(force_insert=True)
        record("event_receiver.added", receiver, by, now, {"url": url, "kinds": receiver.kinds})
    return receiver, secret


def change(
    receiver: EventReceiver, name: str, url: str, kinds: Iterable[str], *, by: Actor, now: datetime
) -> None:
    """Raises Invalid."""
    demand_good(name, url)
    wanted = {"name": name, "url": url, "kinds": known(kinds)}
    changed = sorted(field for field, value in wanted.items() if getattr(receiver, field) != value)
    if not changed:
        return
    with transaction():
        EventReceiver.update(wanted).where(EventReceiver.id == receiver.id).execute()
        record("event_receiver.changed", receiver, by, now, {"fields": changed, "url": url})


def known(kinds: Iterable[str]) -> list[str]:
    """The chosen events in their order; all of them is the same as none chosen."""
    chosen = [kind for kind in event_messages.KINDS if kind in set(kinds)]
    return [] if len(chosen) == len(event_messages.KINDS) else chosen


def demand_good(name: str, url: str) -> None:
    errors = {} if name else {"name": _("Fill this in.")}
    try:
        if len(url) > 500:
            raise web.Forbidden("too long")
        parts = web.judge(url, is_local=is_local())
        if not (is_local() and web.names_loopback(parts.hostname)) and is_number_inside(parts.hostname):
            raise web.Forbidden("not public")
    except web.Forbidden:
        errors["url"] = _(
            "Write an address on the internet that begins with https://, such as https://hooks.example.com/in."
        )
    if errors:
        raise Invalid(errors)


def is_number_inside(host: str) -> bool:
    """Whether the host is written as a number that the whole world cannot reach; names are judged later."""
    digits = host.strip("[]")
    is_number = ":" in digits or digits.replace(".", "").isdigit()
    return is_number and not web.is_allowed(digits, public=True)


def rotate(receiver: EventReceiver, *, by: Actor, now: datetime) -> str:
    """A new secret; the one before it signs beside it for a day. Returns it, for this one time."""
    secret = new_secret()
    with transaction():
        EventReceiver.update(
            signing_secret=sealed(receiver.id, secret),
            former_secret=EventReceiver.signing_secret,
            former_until=now + OVERLAP,
        ).where(EventReceiver.id == receiver.id).execute()
        record("event_receiver.secret_renewed", receiver, by, now)
    return secret


def switch(receiver: EventReceiver, *, on: bool, by: Actor, now: datetime) -> None:
    """Tell it, or no longer. Switched on, what a pause held back goes out, at most a thousand messages."""
    if on == (receiver.is_active and receiver.paused_at is None):
        return
    with transaction():
        EventReceiver.update(is_active=on, paused_at=None, failing_since=None).where(
            EventReceiver.id == receiver.id
        ).execute()
        if on:
            release(receiver, now)
        record("event_receiver.resumed" if on else "event_receiver.paused", receiver, by, now)


def release(receiver: EventReceiver, now: datetime) -> None:
    held = EventDelivery.select(EventDelivery, EventMessage).join(EventMessage)
    is_held = (EventDelivery.receiver == receiver) & (EventDelivery.state == "held")
    for each in held.where(is_held).order_by(EventDelivery.created_at).limit(1000):
        EventDelivery.update(state="waiting").where(EventDelivery.id == each.id).execute()
        event_messages.queue(each, each.message.contract_id, now)


def remove(receiver: EventReceiver, *, by: Actor, now: datetime) -> None:
    """Forget the receiver, its secret and its log."""
    with transaction():
        EventReceiver.delete().where(EventReceiver.id == receiver.id).execute()
        record("event_receiver.removed", receiver, by, now, {"url": receiver.url})


# --- Trying, and the log ------------------------------------------------------------------------


def test(receiver: EventReceiver, *, by: Actor, now: datetime) -> None:
    """Send a message that says it is a test, through the same way as every other."""
    with transaction():
        data = {"reference": "TEST", "title": "Test", "state": "draft"}
        message = event_messages.write(event_messages.TEST, data, None, now)
        event_messages.hand_on(message, receiver, now)
        record("event_receiver.tested", receiver, by, now)


def log(receiver: EventReceiver) -> list[EventDelivery]:
    """The newest deliveries with their messages."""
    rows = EventDelivery.select(EventDelivery, EventMessage).join(EventMessage)
    newest = rows.where(EventDelivery.receiver == receiver).order_by(
        EventDelivery.created_at.desc(), EventDelivery.id.desc()
    )
    return list(newest.limit(LOG_LENGTH))


def send_again(receiver: EventReceiver, delivery_id: str, *, by: Actor, now: datetime) -> None:
    """Deliver once more, with the same id and the same bytes. Raises NotFound, Conflict while paused."""
    found = EventDelivery.get_or_none(
        (EventDelivery.id == delivery_id) & (EventDelivery.receiver == receiver)
    )
    if found is None:
        raise NotFound
    if receiver.paused_at is not None or not receiver.is_active:
        raise Conflict(_("This receiver is paused. Resume it first."))
    with transaction():
        EventDelivery.update(state="waiting").where(EventDelivery.id == found.id).execute()
        event_messages.queue(found, found.message.contract_id, now)
        record("event_receiver.sent_again", receiver, by, now, {"message": found.message.id})


@jobs.recurring("forget_events", timedelta(days=1))
def forget(_payload: Mapping[str, Any], context: jobs.Context) -> None:
    """Messages are kept for 30 days, to be looked at and sent again."""
    with transaction():
        context.hold()
        EventMessage.delete().where(EventMessage.created_at < context.clock() - timedelta(days=30)).execute()


def record(
    act: str, receiver: EventReceiver, by: Actor, now: datetime, facts: Mapping[str, Any] | None = None
) -> None:
    subject = ("event_receiver", receiver.id)
    audit.append(act, subject, chain=audit.INSTALLATION, by=by, now=now, facts=facts)
