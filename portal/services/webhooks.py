"""Webhook calls of e-signature providers: stored raw, answered at once, worked through by a job.

Nothing is believed before the provider's module has verified the bytes. Where a call is no more than a
hint, or does not hold the whole state, the envelope is read before anything moves.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from portal import scrub
from portal.errors import NotFound
from portal.models.base import transaction
from portal.models.connections import Connection, WebhookCall, WebhookSeen
from portal.models.envelopes import Envelope
from portal.services import calls, connections, jobs, polling, remote_states
from providers.errors import BadSignature, ProviderError
from providers.interface import Answer, Delivery, Notification

LARGEST_BYTES = 10 * 1024 * 1024
KEPT_FOR = timedelta(days=30)
# What proves a call, and what reads it. Everything else a proxy or a browser adds is left out.
KEPT_HEADERS = ("content-type", "user-agent", "authorization")
KEPT_PREFIXES = ("x-", "webhook-", "event-")

log = logging.getLogger(__name__)


def receive(connection_id: str, delivery: Delivery, *, now: datetime) -> Answer:
    """Keep a call and answer it as the provider expects. Raises NotFound for an account not here."""
    connection = connections.get(connection_id)
    if connection.status == "disconnected":
        raise NotFound
    try:
        answer = connections.provider(connection).acknowledge(delivery)
    except ProviderError as error:
        log.warning(
            "webhook.unanswered", extra={"fields": {"connection": connection.id, "error": str(error)}}
        )
        # Who cannot prove it is us they mean is turned away; in any other trouble of ours they come again.
        answer = Answer(403 if isinstance(error, BadSignature) else 503)
    if delivery.method == "POST" and answer.status < 400:
        with transaction():
            kept: WebhookCall = WebhookCall.create(
                connection=connection, method=delivery.method, query=delivery.query,
                headers=kept_headers(delivery), body=delivery.body, received_at=now,
            )  # fmt: skip
            jobs.add("read_webhook", {"call": kept.id}, key=f"webhook:{kept.id}", now=now)
    return answer


def kept_headers(delivery: Delivery) -> dict[str, str]:
    return {
        name: value
        for name, value in delivery.headers.items()
        if name in KEPT_HEADERS or name.startswith(KEPT_PREFIXES)
    }


@jobs.handler("read_webhook", outward=True)
def read_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Verify one call and take in what it says. Running twice changes nothing."""
    call = WebhookCall.get_or_none(WebhookCall.id == payload["call"])
    if call is None or call.status not in ("new", "failed"):
        return
    connection = connections.get(call.__data__["connection"])
    delivery = Delivery(call.method, call.query, call.headers, bytes(call.body))
    try:
        notes = connections.provider(connection).read(delivery)
    except BadSignature as error:
        settle(call, "refused", str(error), context)
        return
    except ProviderError as error:
        settle(call, "failed", calls.said(error), context)
        raise calls.later(error) from error
    for note in notes:
        take_in(connection, note, context)
    Connection.update(called_at=context.clock()).where(Connection.id == connection.id).execute()
    settle(call, "done", "", context)


def take_in(connection: Connection, note: Notification, context: jobs.Context) -> None:
    """One notification: once, for an envelope of this very account."""
    note = replace(note, id=note.id.replace("\0", "")[:200])
    seen = (WebhookSeen.connection == connection) & (WebhookSeen.notification == note.id)
    if WebhookSeen.select().where(seen).exists():
        return
    envelope = find(connection, note)
    now = context.clock()
    if envelope is not None and envelope.status == "queued":
        jobs.hurry(f"send:{envelope.id}", now)  # its sending reads what became of it; it is looked at now
    elif envelope is not None and (envelope.status == "sent" or note.state is not None):
        if note.state is not None:
            with transaction():
                context.hold()
                remote_states.take_in(envelope.id, note.state, now=now)
        else:
            polling.look(envelope.id, now, hold=context.hold)
    WebhookSeen.insert(
        connection=connection, notification=note.id, seen_at=now
    ).on_conflict_ignore().execute()


def find(connection: Connection, note: Notification) -> Envelope | None:
    """The envelope a notification names; None for what was not sent from here."""
    ours = Envelope.connection == connection
    number, request = note.remote_id.replace("\0", ""), note.request_id.replace("\0", "")
    found: Envelope | None = Envelope.get_or_none(ours & (Envelope.remote_id == number))
    if found is None and request:
        found = Envelope.get_or_none(ours & (Envelope.id == request))
        if found is not None and found.remote_id and number:
            log.warning("envelope %s: a webhook call names it under another number", found.id)
            return None
    return found


def settle(call: WebhookCall, status: str, reason: str, context: jobs.Context) -> None:
    with transaction():
        context.hold()
        WebhookCall.update(status=status, reason=scrub.text(reason)[:300], done_at=context.clock()).where(
            WebhookCall.id == call.id
        ).execute()


@jobs.recurring("forget_webhook_calls", timedelta(hours=24))
def forget(payload: dict[str, Any], context: jobs.Context) -> None:
    """Calls are kept for thirty days."""
    before = context.clock() - KEPT_FOR
    WebhookCall.delete().where(WebhookCall.received_at < before).execute()
    WebhookSeen.delete().where(WebhookSeen.seen_at < before).execute()


# --- Asking to be called ----------------------------------------------------------------------


@jobs.handler("begin_webhooks", outward=True)
def begin_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Have the provider call us; with `again`, even where it should already."""
    connection = connections.get(payload["connection"])
    if connection.status == "disconnected" or (connection.subscription and not payload.get("again")):
        return
    try:
        with calls.to(connection, context.clock()):
            end_former(connection)
            made = connections.provider(connection).subscribe(connections.webhook_address(connection))
    except ProviderError as error:
        raise calls.later(error) from error
    with transaction():
        context.hold()
        connections.keep_subscription(connection, made)


def end_former(connection: Connection) -> None:
    """What was registered before, so that nothing calls twice; a provider that knows it no more says so."""
    former = connections.subscription_of(connection)
    if former is None:
        return
    try:
        connections.provider(connection).unsubscribe(former)
    except ProviderError as error:
        if error.retry:
            raise
        log.warning("webhook.left", extra={"fields": {"connection": connection.id, "error": str(error)}})


@jobs.handler("end_webhooks", outward=True)
def end_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """End the calls of a disconnected account, then forget its secrets."""
    connection = connections.get(payload["connection"])
    subscription = connections.subscription_of(connection)
    if subscription is not None:
        try:
            connections.provider(connection).unsubscribe(subscription)
        except ProviderError as error:
            if error.retry:
                raise calls.later(error) from error
            log.warning("webhook.left", extra={"fields": {"connection": connection.id, "error": str(error)}})
    with transaction():
        context.hold()
        connections.keep_subscription(connection, None)
        if connection.status == "disconnected":
            connections.forget_secrets(connection)


@jobs.on_failure("end_webhooks")
def ending_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """The provider could not be told; the secrets go all the same."""
    connection = connections.get(payload["connection"])
    if connection.status == "disconnected":
        connections.forget_secrets(connection)
