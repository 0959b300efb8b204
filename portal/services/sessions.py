"""Signed-in browsers. The cookie carries a random token, the row its SHA-256.

Stages: `password` (the second factor is still to come), `full`, and `outside` (somebody who proved
a mail address but has no account). Each change of stage gives the browser a new token.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.errors import NotFound
from portal.models.base import lock_row, transaction
from portal.models.people import Person, PersonRole, Session
from portal.models.prepared import Prepared
from portal.services import audit, permissions
from portal.services.audit import Actor

PASSWORD, FULL, OUTSIDE = "password", "full", "outside"

IDLE = timedelta(minutes=30)
ADMINISTRATOR_IDLE = timedelta(minutes=15)
OUTSIDE_IDLE = timedelta(minutes=60)
ABSOLUTE = timedelta(hours=12)
PASSWORD_STAGE = timedelta(minutes=10)  # to find the phone and type a code
ENROLMENT_STAGE = timedelta(minutes=30)  # to install an app as well

STEP_UP = timedelta(minutes=5)  # to open a sensitive page after a fresh code
STEP_UP_FORM = timedelta(minutes=15)  # to finish the form opened within that time
SEEN_EVERY = timedelta(minutes=1)
USER_AGENT_LENGTH = 300


def open_for(
    person: Person,
    *,
    stage: str,
    now: datetime,
    address: str = "",
    user_agent: str = "",
) -> str:
    """Sign a browser in as this person; returns the token for its cookie.

    `stage` is "full" once every factor is proved, else "password".
    """
    with transaction():
        token = insert(person, "", stage, now, address, user_agent)
        if stage == FULL:
            note_opened(person, now, address, user_agent)
    return token


def open_outside(email: str, *, now: datetime, address: str = "", user_agent: str = "") -> str:
    """Sign a browser in as the holder of a mail address, without an account."""
    with transaction():
        return insert(None, email, OUTSIDE, now, address, user_agent)


def insert(
    person: Person | None, email: str, stage: str, now: datetime, address: str, user_agent: str
) -> str:
    token = new_token()
    Session.insert(
        sha256=digest(token),
        person=person,
        email=email,
        stage=stage,
        created_at=now,
        seen_at=now,
        expires_at=now + life(person, stage),
        address=address,
        user_agent=user_agent[:USER_AGENT_LENGTH],
        pending={},
    ).execute()
    return token


def life(person: Person | None, stage: str) -> timedelta:
    if stage != PASSWORD:
        return ABSOLUTE
    return PASSWORD_STAGE if person is not None and person.totp_secret else ENROLMENT_STAGE


def find(token: str, now: datetime) -> Session | None:
    """The live session of a cookie with its person and roles, in one query; None when it has ended.

    Notes that it was seen, at most once a minute.
    """
    if not token:
        return None
    rows = HELD.rows(sha256=digest(token))
    if not rows:
        return None
    session: Session = rows[0]
    if session.person is not None:
        held = (getattr(row.person, "held", None) for row in rows)
        permissions.remember_roles(session.person, (h.role for h in held if h is not None))
    if not is_live(session, now):
        return None
    if now - session.seen_at >= SEEN_EVERY:
        Session.update(seen_at=now).where(Session.sha256 == session.sha256).execute()
        session.seen_at = now
    return session


def held_query(sha256: str) -> Any:
    """A session with its person, one row for each of their roles."""
    return (
        Session.select(Session, Person, PersonRole)
        .join(Person, peewee.JOIN.LEFT_OUTER)
        .join(PersonRole, peewee.JOIN.LEFT_OUTER, on=(PersonRole.person == Person.id), attr="held")
        .where(Session.sha256 == sha256)
    )


HELD = Prepared(held_query)


def is_live(session: Session, now: datetime) -> bool:
    """Not past its absolute end, not idle for too long, its person not disabled."""
    person = session.person
    if now >= session.expires_at or now - session.seen_at >= idle_limit(session):
        return False
    return person is None or person.disabled_at is None


def idle_limit(session: Session) -> timedelta:
    person = session.person
    if person is None or not person.is_staff:
        return OUTSIDE_IDLE
    if permissions.ADMINISTRATOR in permissions.roles_of(person):
        return ADMINISTRATOR_IDLE
    return IDLE


def renew(session: Session, *, now: datetime, **changes: Any) -> str:
    """Give the browser a new token, and the session what changed with it; the old token is dead."""
    token = new_token()
    values = {"sha256": digest(token), "seen_at": now} | changes
    moved = Session.update(**values).where(Session.sha256 == session.sha256).execute()
    if not moved:
        return ""  # it was ended, or renewed, in the meantime
    for name, value in values.items():
        setattr(session, name, value)
    return token


def complete(session: Session, *, now: datetime) -> str:
    """The second factor is proved: the session becomes full, under a new token."""
    with transaction():
        token = renew(
            session, now=now, stage=FULL, expires_at=now + ABSOLUTE, stepped_up_at=now, created_at=now
        )
        note_opened(holder(session), now, session.address, session.user_agent)
    return token


def holder(session: Session) -> Person:
    """The person of a session with an account. Raises NotFound for others."""
    if session.person is None:
        raise NotFound()
    return session.person


def step_up(session: Session, *, now: datetime) -> str:
    """A fresh code was proved in a full session; returns the new token."""
    with transaction():
        return renew(session, now=now, stepped_up_at=now)


def is_stepped_up(session: Session, now: datetime, within: timedelta = STEP_UP) -> bool:
    """Whether a code was proved in this session not longer ago than that."""
    return session.stepped_up_at is not None and now - session.stepped_up_at < within


def note_opened(person: Person, now: datetime, address: str, user_agent: str) -> None:
    audit.append(
        "session.opened",
        ("person", person.id),
        chain=audit.INSTALLATION,
        by=Actor("person", person.id, person.name, person.email, address, user_agent),
        now=now,
    )


def remember(session: Session, **pending: Any) -> None:
    """Keep something for the next page of this browser; None forgets it. Secrets come encrypted."""
    with transaction():
        row = lock_row(Session.select().where(Session.sha256 == session.sha256)).first()
        if row is None:
            return
        kept = {name: value for name, value in (row.pending | pending).items() if value is not None}
        Session.update(pending=kept).where(Session.sha256 == session.sha256).execute()
    session.pending = kept


def of(person: Person, now: datetime) -> list[Session]:
    """The person's live sessions, the one seen last on top."""
    rows = Session.select().where((Session.person == person) & (Session.stage == FULL))
    found = list(rows.order_by(Session.seen_at.desc()))
    for session in found:
        session.person = person
    return [session for session in found if is_live(session, now)]


def name_of(session: Session) -> str:
    """What a page calls a session: enough of its digest to tell it from others, no use as a token."""
    return str(session.sha256[:20])


def end(session: Session, *, by: Actor, now: datetime) -> None:
    """Sign this browser out: the row is gone, the cookie opens nothing."""
    with transaction():
        gone = Session.delete().where(Session.sha256 == session.sha256).execute()
        if gone and session.person is not None and session.stage == FULL:
            audit.append(
                "session.ended", ("person", session.person.id), chain=audit.INSTALLATION, by=by, now=now
            )


def end_named(person: Person, name: str, *, by: Actor, now: datetime) -> bool:
    """End one of the person's sessions by the name its page shows; False when there is none."""
    for session in of(person, now):
        if name_of(session) == name:
            end(session, by=by, now=now)
            return True
    return False


def end_all(person: Person, *, by: Actor, now: datetime, keep: Session | None = None) -> int:
    """Sign the person out everywhere, but for the session to keep. Returns how many ended."""
    query = Session.delete().where(Session.person == person)
    if keep is not None:
        query = query.where(Session.sha256 != keep.sha256)
    with transaction():
        count = int(query.execute())
        if count:
            audit.append(
                "session.ended_everywhere",
                ("person", person.id),
                chain=audit.INSTALLATION,
                by=by,
                now=now,
                facts={"count": count},
            )
    return count


def sweep(now: datetime) -> None:
    """Forget sessions past their absolute end."""
    Session.delete().where(Session.expires_at < now).execute()


def new_token() -> str:
    """256 bits of chance."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
