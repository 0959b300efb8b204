"""Delivers messages to the programs that are told of events, signed after Standard Webhooks.

Every try carries the same id and the same bytes; the time and the signatures are those of the try. A
receiver that answers nothing good for three days is paused, and an administrator resumes it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal import scrub
from portal.channels import Unavailable, web
from portal.models.base import transaction
from portal.models.event_receivers import EventDelivery, EventMessage, EventReceiver
from portal.services import audit, event_messages, event_receivers, jobs
from portal.services.audit import SYSTEM

# Waits after the first, second, ... try: about three days in all.
WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 20 * 3600, 34 * 3600)
)
PATIENCE = timedelta(days=3)
GONE = 410  # the receiver asks for no more


@jobs.handler(event_messages.DELIVER, outward=True)
def deliver(payload: dict[str, Any], context: jobs.Context) -> None:
    """Try once, then write down what was answered."""
    delivery = load(payload["delivery"])
    if delivery is None or delivery.state != "waiting":
        return
    receiver = delivery.receiver
    if receiver.paused_at is not None or not receiver.is_active:
        with transaction():
            context.hold()
            EventDelivery.update(state="held").where(EventDelivery.id == delivery.id).execute()
        return
    status, problem = attempt(delivery, context.clock())
    with transaction():
        context.hold()
        note(delivery, status, problem, context.clock())
    if problem:
        wait = WAITS[min(context.attempts, len(WAITS)) - 1]
        raise jobs.Retry(problem, wait)


def load(delivery_id: str) -> EventDelivery | None:
    rows = EventDelivery.select(EventDelivery, EventMessage, EventReceiver)
    found: EventDelivery | None = (
        rows.join(EventMessage)
        .switch(EventDelivery)
        .join(EventReceiver)
        .where(EventDelivery.id == delivery_id)
        .first()
    )
    return found


def attempt(delivery: EventDelivery, now: datetime) -> tuple[int | None, str]:
    """The status of the answer where one came, and what went wrong; "" when the message was taken."""
    body = delivery.message.text.encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Countersign"} | signed(
        delivery.message.id, body, event_receivers.opened(delivery.receiver, now), now
    )
    try:
        answer = web.fetch(
            delivery.receiver.url,
            is_local=event_receivers.is_local(),
            is_public=True,
            body=body,
            headers=headers,
        )
    except (Unavailable, web.Forbidden) as error:
        return None, scrub.text(str(error))[:300]
    return answer.status, "" if 200 <= answer.status < 300 else f"answered {answer.status}"


def signed(message_id: str, body: bytes, secrets: list[str], now: datetime) -> dict[str, str]:
    """The three headers; one signature for each secret, the one in force first."""
    at = str(int(now.timestamp()))
    told = f"{message_id}.{at}.".encode() + body
    marks = []
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix(event_receivers.PREFIX))
        marks.append("v1," + base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode())
    return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": " ".join(marks)}


def note(delivery: EventDelivery, status: int | None, problem: str, now: datetime) -> None:
    """Write down a try, inside the caller's transaction; after long failure the receiver is paused."""
    EventDelivery.update(
        state="waiting" if problem else "delivered",
        attempts=EventDelivery.attempts + 1,
        answer_status=status,
        last_problem=problem,
        tried_at=now,
    ).where(EventDelivery.id == delivery.id).execute()
    this = EventReceiver.id == delivery.receiver.id
    if not problem:
        EventReceiver.update(failing_since=None).where(this).execute()
        return
    since = EventReceiver.failing_since
    EventReceiver.update(failing_since=peewee.fn.COALESCE(since, now)).where(this).execute()
    is_old = since <= now - PATIENCE
    pauses = this & EventReceiver.paused_at.is_null() & (is_old | peewee.Value(status == GONE))
    if EventReceiver.update(paused_at=now).where(pauses).execute():
        subject = ("event_receiver", delivery.receiver.id)
        facts = {"answer": status or 0}
        audit.append(
            "event_receiver.given_up", subject, chain=audit.INSTALLATION, by=SYSTEM, now=now, facts=facts
        )


@jobs.on_failure(event_messages.DELIVER)
def failed(payload: dict[str, Any], _reason: str, _now: datetime) -> None:
    EventDelivery.update(state="failed").where(EventDelivery.id == payload["delivery"]).execute()


@jobs.on_retry(event_messages.DELIVER)
def tried_again(payload: dict[str, Any], _now: datetime) -> None:
    EventDelivery.update(state="waiting").where(EventDelivery.id == payload["delivery"]).execute()
