"""Signing in: the password, then the second factor; a forgotten password; a link to one's contracts.

An unknown address is answered as a wrong password is, in the same words and the same time. A mailed
link is never a second factor: after a password reset the code is still asked for.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from portal.errors import Invalid, NotFound, TooMany
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Recipient
from portal.models.parties import Contact
from portal.models.people import Person, Session
from portal.services import (
    audit,
    jobs,
    limits,
    notices,
    passwords,
    person_tokens,
    second_factors,
    sessions,
)
from portal.services.audit import Actor

MOST_FAILURES = 100  # in a row: then only a mailed link helps
PASSWORD_CAPS = (
    limits.Cap(100, timedelta(minutes=15), limits.SOURCE, failures=True),
    limits.Cap(100, limits.LOOK_BACK, limits.STRANGERS, failures=True),
)
MAIL_CAPS = (
    limits.Cap(3, timedelta(minutes=15), limits.SUBJECT),
    limits.Cap(20, timedelta(minutes=15), limits.SOURCE),
)
CHALLENGE_CAPS = (limits.Cap(second_factors.TRIES_PER_CHALLENGE, sessions.ABSOLUTE, limits.SUBJECT),)


class ChallengeOver(TooMany):
    """Five wrong codes: this browser begins again with the password."""


class Nobody(Exception):
    """The address is unknown: what was written for it is rolled back, in the time it takes for others."""


# --- Password ---------------------------------------------------------------------------------


def check_password(email: str, password: str, *, source: str, user_agent: str = "", now: datetime) -> Person:
    """The person with this address and password. Raises Invalid (key "") or TooMany.

    Call it outside a transaction: every try stays counted.
    """
    email = email.strip().lower()
    subject = sessions.digest(f"address:{email}")[:32]
    attempt = limits.check("password", subject, source, now, PASSWORD_CAPS, growing_waits=True)
    refuse_after_too_many(subject, source, now)
    person = Person.get_or_none(Person.email == email)
    kept = person.password_hash if person is not None and person.disabled_at is None else None
    right = passwords.matches(password, kept)
    if person is None or kept is None or not right:
        note_failures(subject, source, email, user_agent, now)
        raise Invalid({"": _("The mail address or the password is not right.")})
    limits.succeed(attempt)
    if passwords.is_outdated(kept):
        Person.update(password_hash=passwords.hashed(password)).where(Person.id == person.id).execute()
    return person


def refuse_after_too_many(subject: str, source: str, now: datetime) -> None:
    """After a hundred failures in a row no password is checked any more, however slowly they came."""
    only = source if limits.is_known("password", subject, source, now) else None
    if limits.failures_in_a_row("password", subject, only) > MOST_FAILURES:
        raise TooMany(_("Too many wrong passwords. Ask for a new one with “Forgotten your password?”."))


def note_failures(subject: str, source: str, email: str, user_agent: str, now: datetime) -> None:
    """One entry in the trail when waits begin, whether or not the address is known."""
    if limits.failures_in_a_row("password", subject, source) == limits.FREE_FAILURES:
        with transaction():
            audit.append(
                "sign_in.refused",
                ("address", subject),
                chain=audit.INSTALLATION,
                by=Actor("outside", "", "", email, source, user_agent),
                now=now,
                facts={"failures": limits.FREE_FAILURES},
            )


def demand_password(person: Person, typed: str, *, source: str, now: datetime, field: str) -> None:
    """Ask who is signed in for their password again. Raises Invalid beside the field, or TooMany."""
    attempt = limits.check("own_password", person.id, source, now, growing_waits=True)
    if not passwords.matches(typed, person.password_hash):
        raise Invalid({field: _("This is not your password.")})
    limits.succeed(attempt)


# --- Code ------------------------------------------------------------------------------------------


def needs_factor(person: Person) -> bool:
    """Staff always, an outside account once it has one."""
    return bool(person.is_staff or person.totp_secret)


def check_code(session: Session, typed: str, *, by: Actor, now: datetime) -> None:
    """Prove the second factor in this browser, at sign-in or to step up.

    Raises Invalid beside `code`, TooMany, or ChallengeOver after five wrong codes: the browser
    is then signed out.
    """
    challenge = session.sha256[:32]
    try:
        attempt = limits.check("challenge", challenge, by.address, now, CHALLENGE_CAPS)
    except TooMany as error:
        sessions.end(session, by=by, now=now)
        raise ChallengeOver(_("Too many wrong codes. Sign in again with your password.")) from error
    second_factors.check(sessions.holder(session), typed, source=by.address, by=by, now=now)
    limits.succeed(attempt)


def step_up(session: Session, form: dict[str, str], *, by: Actor, now: datetime) -> str:
    """Prove it again for a sensitive act: the code, or the password where there is no code.

    Returns the browser's new token. Raises Invalid, TooMany or ChallengeOver.
    """
    person = sessions.holder(session)
    if person.totp_secret:
        check_code(session, form.get("code", ""), by=by, now=now)
    else:
        demand_password(person, form.get("password", ""), source=by.address, now=now, field="password")
    return sessions.step_up(session, now=now)


# --- A forgotten password -----------------------------------------------------------------------------


def request_reset(email: str, *, source: str, now: datetime) -> None:
    """Mail a link for a new password, if the address has an account; the answer never tells."""
    email = email.strip().lower()
    limits.check("reset", sessions.digest(f"address:{email}")[:32], source, now, MAIL_CAPS)
    person = Person.get_or_none(
        (Person.email == email) & Person.disabled_at.is_null() & Person.activated_at.is_null(False)
    )
    with suppress(Nobody), transaction():
        token = person_tokens.issue(person_tokens.RESET, email=email, person=person, now=now)
        mail_link(person or stand_in(email), "password_reset", f"/password-reset/{token}", now)
        if person is None:
            raise Nobody  # the same work, undone
        note("password.reset_requested", person, Actor("outside", "", address=source), now)


def stand_in(email: str) -> Person:
    return Person(id=None, email=email, name=email)


def find_reset(token: str, now: datetime) -> Person:
    """Whose password this link may set. Raises NotFound when it has ended."""
    found = person_tokens.find(token, person_tokens.RESET, now)
    if found is None or found.person is None:
        raise NotFound(_("This link has ended or was used. Ask for a new one."))
    return found.person


def reset_password(token: str, password: str, repeated: str, *, source: str, now: datetime) -> Person:
    """Set a new password by a mailed link; every session ends, the second factor stays.

    Raises Invalid beside `password` or `repeated`, NotFound when the link is no longer good.
    """
    person = find_reset(token, now)
    good = checked_new(person, password, repeated)
    made = passwords.hashed(good)
    by = Actor("person", person.id, person.name, person.email, source)
    with transaction():
        if person_tokens.use(token, person_tokens.RESET, now) is None:
            raise NotFound(_("This link has ended or was used. Ask for a new one."))
        set_password(person, made)
        sessions.end_all(person, by=by, now=now)
        note("password.reset", person, by, now)
        second_factors.tell(person, "password_changed", now)
    forgive(person, source, now)
    return person


def change_password(
    session: Session, current: str, password: str, repeated: str, *, by: Actor, now: datetime
) -> None:
    """Change one's own password; the other browsers are signed out.

    Raises Invalid beside `current`, `password` or `repeated`, or TooMany.
    """
    person = sessions.holder(session)
    demand_password(person, current, source=by.address, now=now, field="current")
    made = passwords.hashed(checked_new(person, password, repeated))
    with transaction():
        set_password(person, made)
        person_tokens.revoke_all(person)
        sessions.end_all(person, by=by, now=now, keep=session)
        note("password.changed", person, by, now)
        second_factors.tell(person, "password_changed", now)


def checked_new(person: Person, password: str, repeated: str, name: str = "") -> str:
    """A new password in one spelling. Raises Invalid."""
    own = (name or person.name, person.email)
    good = passwords.demand_good(password, own=own, alone=not needs_factor(person))
    if passwords.one_spelling(repeated) != good:
        raise Invalid({"repeated": _("This is not the same password. Type it once more.")})
    return good


def set_password(person: Person, made: str) -> None:
    Person.update(password_hash=made).where(Person.id == person.id).execute()
    person.password_hash = made


def forgive(person: Person, source: str, now: datetime) -> None:
    """A mailed link was used from here: wrong passwords from elsewhere no longer stand in the way."""
    limits.clear("password", sessions.digest(f"address:{person.email}")[:32], source, now)


# --- A link to one's own contracts ----------------------------------------------------------------------


def send_access_link(email: str, *, source: str, language: str, now: datetime) -> None:
    """Mail somebody outside a link to the contracts they are part of; the answer never tells."""
    email = email.strip().lower()
    limits.check("access", sessions.digest(f"address:{email}")[:32], source, now, MAIL_CAPS)
    name = outside_name(email)
    with suppress(Nobody), transaction():
        token = person_tokens.issue(person_tokens.ACCESS, email=email, person=None, now=now)
        notices.queue(
            "access",
            address=email,
            name=name or email,
            language=language,
            context={"link": notices.url(f"/access/{token}"), "minutes": 30},
            now=now,
        )
        if name is None:
            raise Nobody


def outside_name(email: str) -> str | None:
    """How we know this address from outside; None for strangers and for our own staff."""
    if Person.select().where((Person.email == email) & Person.counterparty_id.is_null()).exists():
        return None
    for model in (Recipient, Contact):
        row = model.select(model.name).where(model.email == email).order_by(model.id.desc()).first()
        if row is not None:
            return str(row.name)
    return None


def use_access_link(token: str, *, source: str, user_agent: str, now: datetime) -> str:
    """Exchange the mailed link for a session; returns its token. Raises NotFound."""
    with transaction():
        row = person_tokens.use(token, person_tokens.ACCESS, now)
        if row is None:
            raise NotFound(_("This link has ended or was used. Ask for a new one."))
        return sessions.open_outside(row.email, now=now, address=source, user_agent=user_agent)


# --- Trail, mail, housekeeping -----------------------------------------------------------------------------


def note(act: str, person: Person, by: Actor, now: datetime) -> None:
    audit.append(act, ("person", person.id), chain=audit.INSTALLATION, by=by, now=now)


def mail_link(
    person: Person, kind: str, path: str, now: datetime, context: dict[str, Any] | None = None
) -> None:
    """Mail the person a one-time link, by its path."""
    second_factors.tell(person, kind, now, {"link": notices.url(path)} | (context or {}))


@jobs.recurring("sweep_sign_in", timedelta(hours=1))
def sweep(_payload: dict[str, Any], context: jobs.Context) -> None:
    """Forget ended sessions, old tries and old links."""
    now = context.clock()
    sessions.sweep(now)
    limits.sweep(now)
    person_tokens.sweep(now)
