"""One call to a provider, watched: its outcome counts for the account's health."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from portal.i18n import gettext as _
from portal.models.connections import Connection
from portal.services import connections, jobs
from providers.errors import Preparing, ProviderError, Throttled, Unavailable
from providers.interface import mark

SLOWEST = timedelta(hours=1)
# One step at a provider is several requests of up to 35 seconds: nobody takes its job over before.
LEASE = timedelta(minutes=4)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)
MOST_ATTEMPTS = 600  # at five minutes each: two days
RESTING = mark("%(name)s is left alone for a while after failures in a row.")


class Resting(Unavailable):
    """Nothing was asked: the account rests after failures in a row."""


def demand_open(connection: Connection | None, now: datetime) -> None:
    """Raise Resting, with the time to come back, while nothing is asked of the account."""
    until = connections.is_open(connection, now) if connection is not None else None
    if connection is not None and until is not None:
        seconds = max(1.0, (until - now).total_seconds())
        raise Resting(RESTING, name=connection.name, retry_after_s=seconds)


@contextmanager
def to(connection: Connection | None, now: datetime) -> Iterator[None]:
    """Around one call. Raises Resting before it while the breaker is open; passes on what it raises.

    Only trouble of the provider counts against it: a refusal, or being asked to come back later, is an
    answer. Built-in signing (None) is not watched.
    """
    if connection is None:
        yield
        return
    demand_open(connection, now)
    try:
        yield
    except (Preparing, Throttled):
        connections.record_success(connection, now)
        raise
    except Unavailable as error:
        connections.record_failure(connection, str(error), now)
        raise
    except ProviderError:
        connections.record_success(connection, now)
        raise
    connections.record_success(connection, now)


def said(error: ProviderError) -> str:
    """The sentence for people, in their language."""
    return _(error.sentence, **error.params) if error.sentence else type(error).__name__


def later(error: ProviderError, attempts: int = 0) -> jobs.Retry | jobs.GiveUp:
    """What a job raises for it: come back when the provider says, or give up.

    With the job's `attempts`, waits grow to five minutes only: what people wait for goes on soon after
    a provider is back.
    """
    if not error.retry:
        return jobs.GiveUp(said(error))
    if error.retry_after_s:
        return jobs.Retry(said(error), min(timedelta(seconds=error.retry_after_s), SLOWEST))
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts - 1, 10)) if attempts else None
    return jobs.Retry(said(error), wait)
