"""Asking providers how envelopes stand: the way when no webhook comes, and a net when they do.

An account whose calls arrive is asked about an envelope every hour only; a silent one every fifteen
minutes, and no account about more than a few in a minute. Each look is a job of its own, so one slow
provider holds up nobody else.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.envelopes import Envelope, Recipient
from portal.services import calls, envelopes, jobs, remote, remote_states
from providers.errors import ProviderError

SILENT, HEARD = timedelta(minutes=15), timedelta(hours=1)
HEARD_WITHIN = timedelta(hours=24)
AT_ONCE, PER_PASS = 500, 20  # in all, and of one account

log = logging.getLogger(__name__)


@jobs.recurring("poll_providers", timedelta(minutes=1))
def poll(payload: dict[str, Any], context: jobs.Context) -> None:
    """Queue a look at every envelope whose time has come."""
    now = context.clock()
    due = (
        Envelope.select(Envelope.id, Envelope.next_poll_at, Envelope.connection)
        .join(Connection)
        .where(
            (Envelope.status == "sent")
            & (Envelope.next_poll_at <= now)
            & (Connection.open_until.is_null() | (Connection.open_until <= now))
        )
        .order_by(Envelope.next_poll_at)
        .limit(AT_ONCE)
    )
    taken: Counter[str] = Counter()
    for envelope in list(due):
        account = envelope.__data__["connection"]
        taken[account] += 1
        if taken[account] <= PER_PASS:
            with transaction():
                key = f"look:{envelope.id}:{envelope.next_poll_at.isoformat()}"
                ask_soon(envelope.id, now, key=key, is_poll=True)


def ask_soon(envelope_id: str, now: datetime, *, key: str | None = None, is_poll: bool = False) -> None:
    """Queue one look, inside the caller's transaction."""
    Envelope.update(next_poll_at=now + SILENT).where(Envelope.id == envelope_id).execute()
    payload = {"envelope": envelope_id, "poll": is_poll}
    jobs.add("look_at_envelope", payload, key=key, now=now, max_attempts=30)


@jobs.handler("look_at_envelope", outward=True)
def look_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """One look. A poll that fails is not repeated: the next one comes by itself."""
    is_poll, now = bool(payload.get("poll")), context.clock()
    context.renew(calls.LEASE)
    before = envelopes.get(payload["envelope"])
    try:
        after = look(before.id, now, hold=context.hold, attempts=context.attempts)
    except (jobs.Retry, jobs.GiveUp) as trouble:
        if not is_poll:
            raise
        log.info("envelope %s could not be read: %s", before.id, trouble)
        return
    account = remote.account_of(after)
    if is_poll and account is not None and is_heard(account, now) and has_news(before, after):
        look_sooner(account, now)


def has_news(before: Envelope, after: Envelope) -> bool:
    return (before.status, before.raw_status) != (after.status, after.raw_status) or bool(
        Recipient.select(Recipient.id)
        .where((Recipient.envelope == after) & (Recipient.acted_at > (before.polled_at or before.created_at)))
        .exists()
    )


def look_sooner(account: Connection, now: datetime) -> None:
    """A look found what no call had told: nothing else of this account is left alone for an hour."""
    Envelope.update(next_poll_at=now + SILENT).where(
        (Envelope.connection == account)
        & (Envelope.status == "sent")
        & (Envelope.next_poll_at > now + SILENT)
    ).execute()


def look(envelope_id: str, now: datetime, *, hold: Any = None, attempts: int = 0) -> Envelope:
    """Read one envelope at its provider and take in what is new. Raises what a job raises."""
    envelope = envelopes.get(envelope_id)
    account = remote.account_of(envelope)
    if envelope.status != "sent" or account is None or not envelope.remote_id:
        return envelope
    try:
        with calls.to(account, now):
            state = remote.provider_of(envelope).fetch(remote.handle(envelope))
    except ProviderError as error:
        remote.tell(envelope, error)
        raise calls.later(error, attempts) from error
    with transaction():
        if hold is not None:
            hold()
        Envelope.update(polled_at=now, next_poll_at=now + pace(account, now), problem="").where(
            (Envelope.id == envelope.id) & (Envelope.withdrawal.is_null())
        ).execute()
        return remote_states.take_in(envelope.id, state, now=now)


def pace(account: Connection, now: datetime) -> timedelta:
    """How long until the next look, by whether the account's webhooks are heard."""
    return HEARD if is_heard(account, now) else SILENT


def is_heard(account: Connection, now: datetime) -> bool:
    return bool(account.subscription) and bool(account.called_at and account.called_at > now - HEARD_WITHIN)
