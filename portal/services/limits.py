"""How often something may be tried. Every limit that matters is a row in the database.

A try is counted before it is checked, so that fifty at once are fifty tries. Limits hold for a
subject (the account under attack), for a source (the network address it comes from), for the pair
of both, or over all. Limits on a subject alone spare sources it was reached from before: whoever attacks
an account from a hundred places cannot shut its owner out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import peewee

from portal.errors import TooMany
from portal.i18n import format_duration
from portal.i18n import gettext as _
from portal.models.base import db, is_sqlite, transaction
from portal.models.people import Attempt

PAIR, SUBJECT, STRANGERS, SOURCE, ALL = "pair", "subject", "strangers", "source", "all"

FREE_FAILURES = 5
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
LOOK_BACK = timedelta(hours=24)
KNOWN_FOR = timedelta(days=30)
KEPT_FOR = timedelta(days=31)


@dataclass(frozen=True)
class Cap:
    """At most `count` tries within `per`.

    `by` says what is counted: "pair" (subject from this source), "subject" (from anywhere),
    "strangers" (as subject, but sources that succeeded before are spared), "source" (whatever the
    subject) or "all" (every try of the scope). With `failures`, tries that succeeded do not count.
    """

    count: int
    per: timedelta
    by: str = SUBJECT
    failures: bool = False


def check(
    scope: str,
    subject: str,
    source: str,
    now: datetime,
    caps: Sequence[Cap] = (),
    *,
    growing_waits: bool = False,
) -> int:
    """Count one try and return its number, for `succeed`. Raises TooMany when a limit is reached.

    With `growing_waits`, the pair must wait after five failures in a row: 30 seconds, then twice
    as long after each further one, up to an hour. Refused tries are not counted. Call it outside
    a transaction, since it must stay counted whatever happens next.
    """
    with transaction():
        queue_up(scope, "" if any(cap.by == ALL for cap in caps) else subject)
        wait = longest_wait(scope, subject, source, now, caps, growing_waits)
        if wait is None:
            attempt = Attempt.create(scope=scope, subject=subject, source=source, succeeded=False, at=now)
            return int(attempt.id)
    raise TooMany(
        _("Too many attempts. Try again in %(wait)s.", wait=format_duration(rounded(wait))),
        retry_after_s=max(1, int(wait.total_seconds())),
    )


def succeed(attempt: int) -> None:
    """The try was right: the row of failures before it is over."""
    Attempt.update(succeeded=True).where(Attempt.id == attempt).execute()


def clear(scope: str, subject: str, source: str, now: datetime) -> None:
    """Somebody proved themselves another way from this source: it counts as a try that was right."""
    Attempt.create(scope=scope, subject=subject, source=source, succeeded=True, at=now)


def queue_up(scope: str, subject: str) -> None:
    """Let tries at one subject (with "", of the whole scope) go one after the other; SQLite has one
    writer anyway."""
    if not is_sqlite():
        key = int.from_bytes(hashlib.sha256(f"{scope}:{subject}".encode()).digest()[:8], signed=True)
        db.execute_sql("SELECT pg_advisory_xact_lock(%s)", (key,))


def longest_wait(
    scope: str, subject: str, source: str, now: datetime, caps: Sequence[Cap], growing_waits: bool
) -> timedelta | None:
    waits = [wait_for_cap(scope, subject, source, now, cap) for cap in caps]
    if growing_waits:
        waits.append(wait_after_failures(scope, subject, source, now))
    return max((wait for wait in waits if wait is not None), default=None)


def wait_for_cap(scope: str, subject: str, source: str, now: datetime, cap: Cap) -> timedelta | None:
    if cap.by == STRANGERS and is_known(scope, subject, source, now):
        return None
    counted = (Attempt.scope == scope) & (Attempt.at > now - cap.per)
    if cap.by in (PAIR, SUBJECT, STRANGERS):
        counted &= Attempt.subject == subject
    if cap.by in (PAIR, SOURCE):
        counted &= Attempt.source == source
    if cap.failures:
        counted &= Attempt.succeeded == False  # noqa: E712 (peewee's way to say it)
    newest = Attempt.select(Attempt.at).where(counted).order_by(Attempt.at.desc())
    limiting = newest.offset(cap.count - 1).limit(1).first()
    return None if limiting is None else limiting.at + cap.per - now


def wait_after_failures(scope: str, subject: str, source: str, now: datetime) -> timedelta | None:
    """What is left of the wait that the failures in a row of this pair call for."""
    of_pair = (Attempt.scope == scope) & (Attempt.subject == subject) & (Attempt.source == source)
    rows = (
        Attempt.select(Attempt.succeeded, Attempt.at)
        .where(of_pair & (Attempt.at > now - LOOK_BACK))
        .order_by(Attempt.at.desc(), Attempt.id.desc())
        .limit(FREE_FAILURES + 16)
    )
    failures, latest = 0, None
    for row in rows:
        if row.succeeded:
            break
        failures, latest = failures + 1, latest or row.at
    if failures < FREE_FAILURES or latest is None:
        return None
    left = latest + min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - FREE_FAILURES)) - now
    return left if left > timedelta(0) else None


def is_known(scope: str, subject: str, source: str, now: datetime) -> bool:
    """Whether this source reached the subject lately."""
    return bool(
        Attempt.select(Attempt.at)
        .where(
            (Attempt.scope == scope)
            & (Attempt.subject == subject)
            & (Attempt.source == source)
            & Attempt.succeeded
            & (Attempt.at > now - KNOWN_FOR)
        )
        .exists()
    )


def rounded(wait: timedelta) -> timedelta:
    """Whole seconds below a minute, whole minutes above, never less than what is left."""
    unit = 1 if wait < timedelta(minutes=1) else 60
    return timedelta(seconds=-(-wait.total_seconds() // unit) * unit)


def failures_in_a_row(scope: str, subject: str, source: str | None = None) -> int:
    """Tries at this subject since it was last reached, from anywhere or from one source."""
    rows = (Attempt.scope == scope) & (Attempt.subject == subject)
    if source is not None:
        rows &= Attempt.source == source
    last = Attempt.select(peewee.fn.MAX(Attempt.id)).where(rows & Attempt.succeeded).scalar()
    return int(Attempt.select().where(rows & (Attempt.id > (last or 0))).count())


def sweep(now: datetime) -> None:
    """Forget tries that no limit looks back to."""
    Attempt.delete().where(Attempt.at < now - KEPT_FOR).execute()
