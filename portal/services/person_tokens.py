"""One-time links mailed to people: invitation, password reset, access to one's own contracts.

The token is 256 random bits, kept as its SHA-256, good once and for one purpose.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from portal.models.base import lock_row, transaction
from portal.models.people import Person, PersonToken
from portal.services import sessions

INVITATION, RESET, ACCESS = "invitation", "password_reset", "access"

LIFE = {INVITATION: timedelta(days=7), RESET: timedelta(minutes=30), ACCESS: timedelta(minutes=30)}


def issue(purpose: str, *, email: str, person: Person | None, now: datetime) -> str:
    """A new token; earlier ones of the same purpose for this address are dead from now on."""
    token = sessions.new_token()
    with transaction():
        same = (PersonToken.purpose == purpose) & (PersonToken.email == email)
        PersonToken.delete().where(same & PersonToken.used_at.is_null()).execute()
        PersonToken.insert(
            sha256=sessions.digest(token),
            person=person,
            email=email,
            purpose=purpose,
            created_at=now,
            expires_at=now + LIFE[purpose],
        ).execute()
    return token


def find(token: str, purpose: str, now: datetime) -> PersonToken | None:
    """The token's row while it is good for this purpose; reading changes nothing."""
    return live(token, purpose, now, lock=False)


def use(token: str, purpose: str, now: datetime) -> PersonToken | None:
    """Use it up inside the caller's transaction; None when it is not, or no longer, good."""
    row = live(token, purpose, now, lock=True)
    if row is None:
        return None
    unused = (PersonToken.sha256 == row.sha256) & PersonToken.used_at.is_null()
    return row if PersonToken.update(used_at=now).where(unused).execute() else None


def live(token: str, purpose: str, now: datetime, *, lock: bool) -> PersonToken | None:
    query = PersonToken.select().where(
        (PersonToken.sha256 == sessions.digest(token))
        & (PersonToken.purpose == purpose)
        & PersonToken.used_at.is_null()
        & (PersonToken.expires_at > now)
    )
    row: PersonToken | None = (lock_row(query) if lock else query).first()
    if row is not None and row.person is not None and row.person.disabled_at is not None:
        return None
    return row


def revoke_all(person: Person) -> None:
    """Every link mailed to this person is dead."""
    PersonToken.delete().where((PersonToken.person == person) & PersonToken.used_at.is_null()).execute()


def sweep(now: datetime) -> None:
    """Forget links that ended more than a month ago."""
    PersonToken.delete().where(PersonToken.expires_at < now - timedelta(days=30)).execute()
