"""Asking providers how envelopes stand: the way when no webhook comes, and a net when they do.

An account whose calls arrive is asked about an envelope every few hours only; a silent one every fifteen
minutes. Each look is a job of its own, so one slow provider holds up nobody else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.envelopes import Envelope
from portal.services import calls, envelopes, jobs, remote, remote_states
from providers.errors import ProviderError

SILENT, HEARD = timedelta(minutes=15), timedelta(hours=4)
HEARD_WITHIN = timedelta(hours=24)
AT_ONCE = 500


@jobs.recurring("poll_providers", timedelta(minutes=1))
def poll(payload: dict[str, Any], context: jobs.Context) -> None:
    """Queue a look at every envelope whose time has come."""
    now = context.clock()
    due = (
        Envelope.select(Envelope.id, Envelope.next_poll_at)
        .where((Envelope.status == "sent") & (Envelope.next_poll_at <= now))
        .order_by(Envelope.next_poll_at)
        .limit(AT_ONCE)
    )
    for envelope in list(due):
        with transaction():
            ask_soon(envelope.id, now, key=f"look:{envelope.id}:{envelope.next_poll_at.isoformat()}")


def ask_soon(envelope_id: str, now: datetime, *, key: str | None = None) -> None:
    """Queue one look, inside the caller's transaction."""
    Envelope.update(next_poll_at=now + SILENT).where(Envelope.id == envelope_id).execute()
    jobs.add("look_at_envelope", {"envelope": envelope_id}, key=key, now=now)


@jobs.handler("look_at_envelope", outward=True)
def look_job(payload: dict[str, Any], context: jobs.Context) -> None:
    look(payload["envelope"], context.clock(), hold=context.hold)


def look(envelope_id: str, now: datetime, *, hold: Any = None) -> Envelope:
    """Read one envelope at its provider and take in what is new. Raises what a job raises."""
    envelope = envelopes.get(envelope_id)
    account = remote.account_of(envelope)
    if envelope.status != "sent" or account is None or not envelope.remote_id:
        return envelope
    try:
        with calls.to(account, now):
            state = remote.provider_of(envelope).fetch(remote.handle(envelope))
    except ProviderError as error:
        Envelope.update(problem=calls.said(error)[:500]).where(Envelope.id == envelope.id).execute()
        raise calls.later(error) from error
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
