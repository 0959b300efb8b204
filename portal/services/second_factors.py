"""Codes from an authenticator app (TOTP, RFC 6238) and recovery codes.

A secret has 160 bits and lies encrypted, bound to its person. A code counts once: the last step
used is moved forward by compare-and-set. Codes of one step (30 seconds) before and after now are
taken, since phones' clocks differ. After fifty wrong codes in a row the app's codes are refused
until an administrator allows them again; recovery codes (80 bits) go on working.
"""

from __future__ import annotations

import hmac
import json
import secrets
from datetime import datetime
from typing import Any

import pyotp

from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import ALPHABET, transaction
from portal.models.people import Person, RecoveryCode, Session
from portal.services import audit, installation, limits, notices, sessions
from portal.services.audit import Actor

STEP_S = 30
DRIFT_STEPS = 1
DIGITS = 6
SECRET_CHARACTERS = 32  # of base32: 160 bits
LONGEST_ISSUER = 60  # of our company in an app's list; any name of that length fits a QR code
MOST_FAILURES = 50
TRIES_PER_CHALLENGE = 5
RECOVERY_CODES = 10
RECOVERY_CHARACTERS = 16  # 80 bits
CAPS = (limits.Cap(100, limits.LOOK_BACK, limits.STRANGERS, failures=True),)

RIGHT, WRONG, USED, REFUSED = "right", "wrong", "used", "refused"


# --- Codes ------------------------------------------------------------------------------------


def new_secret() -> str:
    return str(pyotp.random_base32(SECRET_CHARACTERS))


def step_at(now: datetime) -> int:
    return int(now.timestamp()) // STEP_S


def totp_step(secret: str, code: str, last_step: int, now: datetime) -> int | None:
    """The step this code is right for, when it is one step around now and later than the last used."""
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return None
    totp, here = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S), step_at(now)
    found = None
    for step in range(here - DRIFT_STEPS, here + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step), code) and step > last_step and found is None:
            found = step
    return found


def digits(typed: str) -> str:
    """What was typed without spaces and dashes."""
    return "".join(c for c in typed if not c.isspace() and c not in "-‐–\u00a0")


def sealed(person: Person, secret: str) -> str:
    """The secret encrypted for this person's row alone."""
    return installation.current().box.seal(f"{person.id}:{secret}")


def opened(person: Person, kept: str) -> str:
    """Raises Conflict when it was copied from somebody else's row."""
    whose, _colon, secret = installation.current().box.open(kept).partition(":")
    if whose != person.id:
        raise Conflict(_("The second factor of this account is damaged. Ask an administrator to reset it."))
    return secret


def current_code(person: Person, now: datetime) -> str:
    """What the person's app shows now, for the page of sample data; empty without an app."""
    if not person.totp_secret:
        return ""
    return str(pyotp.TOTP(opened(person, person.totp_secret)).generate_otp(step_at(now)))


def check(person: Person, typed: str, *, source: str, by: Actor, now: datetime) -> None:
    """Prove the second factor with a code of the app or a recovery code.

    Raises Invalid with the reason beside `code`, or TooMany. Call it outside a transaction.
    """
    attempt = limits.check("code", person.id, source, now, CAPS, growing_waits=True)
    code = digits(typed)
    is_totp = len(code) == DIGITS and code.isascii() and code.isdigit()
    outcome = prove_totp(person, code, by, now) if is_totp else use_recovery_code(person, code, by, now)
    if outcome != RIGHT:
        raise Invalid({"code": reason(outcome)})
    limits.succeed(attempt)


def reason(outcome: str) -> str:
    if outcome == USED:
        return _("This code was used already. Wait for the next one, at most 30 seconds.")
    if outcome == REFUSED:
        return _(
            "There were too many wrong codes. Use a recovery code, or ask an administrator to allow "
            "the app's codes again."
        )
    return _("This code is not right. Take the one your app shows now.")


def prove_totp(person: Person, code: str, by: Actor, now: datetime) -> str:
    """Count the try, compare, and move the last step forward: all under the row's lock."""
    if not person.totp_secret:
        return WRONG
    with transaction():
        claimed = (
            Person.update(factor_failures=Person.factor_failures + 1)
            .where((Person.id == person.id) & (Person.factor_failures < MOST_FAILURES))
            .execute()
        )
        if not claimed:
            return REFUSED
        row = Person.get_by_id(person.id)
        secret = opened(row, row.totp_secret or "")
        step = totp_step(secret, code, row.totp_last_step, now)
        if step is not None:
            moved = (
                Person.update(totp_last_step=step, factor_failures=0)
                .where((Person.id == person.id) & (Person.totp_last_step < step))
                .execute()
            )
            return RIGHT if moved else USED
        if totp_step(secret, code, 0, now) is not None:
            # A right code again is no guess.
            Person.update(factor_failures=Person.factor_failures - 1).where(Person.id == person.id).execute()
            return USED
        if row.factor_failures >= MOST_FAILURES:
            note("factor.disabled", row, by, now, {"failures": row.factor_failures})
            tell(row, "factor_disabled", now)
        return WRONG


# --- Enrolment ------------------------------------------------------------------------------------


def begin(session: Session, *, anew: bool = False) -> str:
    """The secret this browser is about to enrol; the same again when the page is loaded again."""
    person, kept = sessions.holder(session), session.pending.get("totp")
    if kept and not anew:
        return opened(person, kept)
    secret = new_secret()
    sessions.remember(session, totp=sealed(person, secret))
    return secret


def address(person: Person, secret: str) -> str:
    """The `otpauth:` link of a secret."""
    issuer = notices.company()["name"][:LONGEST_ISSUER]
    return str(pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name=issuer))


def picture(text: str) -> bytes:
    """A QR code as SVG, without style or script, dark on white with its quiet zone."""
    import io

    import segno

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", scale=5, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None
    )
    return out.getvalue()


def grouped(secret: str) -> str:
    """In groups of four, for typing."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))


def confirm(session: Session, typed: str, *, source: str, by: Actor, now: datetime) -> None:
    """Make the pending secret the person's second factor, proved by one code of it.

    The former one is dead at once, with its recovery codes and every other session. The new
    recovery codes wait in the session until they were shown. Raises Invalid or TooMany.
    """
    person, kept = sessions.holder(session), session.pending.get("totp")
    if not kept:
        raise Invalid({"code": _("This page is too old. Load it again and scan the new picture.")})
    attempt = limits.check("enrolment", person.id, source, now, growing_waits=True)
    step = totp_step(opened(person, kept), digits(typed), 0, now)
    if step is None:
        raise Invalid({"code": _("This code is not right. Take the one your app shows now.")})
    limits.succeed(attempt)
    with transaction():
        replaced = bool(person.totp_secret)
        Person.update(totp_secret=kept, totp_last_step=step, factor_failures=0).where(
            Person.id == person.id
        ).execute()
        person.totp_secret, person.totp_last_step, person.factor_failures = kept, step, 0
        codes = make_recovery_codes(person)
        sessions.remember(session, totp=None, codes=installation.current().box.seal(json.dumps(codes)))
        sessions.end_all(person, by=by, now=now, keep=session)
        note("factor.replaced" if replaced else "factor.enrolled", person, by, now, {"factor": "totp"})
        if replaced:
            tell(person, "factor_changed", now)


def enrol(person: Person, secret: str) -> None:
    """Set a known secret without any proof: for sample people and tests."""
    person.totp_secret, person.totp_last_step, person.factor_failures = sealed(person, secret), 0, 0
    person.save(only=[Person.totp_secret, Person.totp_last_step, Person.factor_failures])


def reset(person: Person, *, by: Actor, now: datetime, why: str) -> None:
    """Forget the second factor inside the caller's transaction; the person enrols anew."""
    Person.update(totp_secret=None, totp_last_step=0, factor_failures=0).where(
        Person.id == person.id
    ).execute()
    person.totp_secret, person.totp_last_step, person.factor_failures = None, 0, 0
    RecoveryCode.delete().where(RecoveryCode.person == person).execute()
    note("factor.reset", person, by, now, {}, {"reason": why})


def allow_again(person: Person, *, by: Actor, now: datetime) -> None:
    """Take the app's codes again after too many wrong ones: an administrator's act."""
    if person.factor_failures < MOST_FAILURES:
        raise Conflict(_("The codes of this account are not refused."))
    with transaction():
        Person.update(factor_failures=0).where(Person.id == person.id).execute()
        person.factor_failures = 0
        note("factor.allowed_again", person, by, now, {})


# --- Recovery codes ----------------------------------------------------------------------------------


def make_recovery_codes(person: Person) -> list[str]:
    """Ten new ones inside the caller's transaction; the former are dead."""
    codes = [
        "".join(secrets.choice(ALPHABET) for _place in range(RECOVERY_CHARACTERS))
        for _number in range(RECOVERY_CODES)
    ]
    RecoveryCode.delete().where(RecoveryCode.person == person).execute()
    RecoveryCode.insert_many(
        [{"person": person, "sha256": recovery_digest(person, code)} for code in codes]
    ).execute()
    return ["-".join(code[i : i + 4] for i in range(0, RECOVERY_CHARACTERS, 4)) for code in codes]


def renew_recovery_codes(session: Session, *, by: Actor, now: datetime) -> None:
    """Ten new codes, to be shown to this browser once."""
    person = sessions.holder(session)
    if not person.totp_secret:
        raise NotFound()
    with transaction():
        codes = make_recovery_codes(person)
        sessions.remember(session, codes=installation.current().box.seal(json.dumps(codes)))
        note("recovery_codes.renewed", person, by, now, {})
        tell(person, "recovery_codes_renewed", now)


def codes_to_show(session: Session) -> list[str]:
    """The new codes this browser has not yet put away."""
    kept = session.pending.get("codes")
    return list(json.loads(installation.current().box.open(kept))) if kept else []


def put_away(session: Session) -> None:
    sessions.remember(session, codes=None)


def codes_left(person: Person) -> int:
    return int(
        RecoveryCode.select().where((RecoveryCode.person == person) & RecoveryCode.used_at.is_null()).count()
    )


def use_recovery_code(person: Person, code: str, by: Actor, now: datetime) -> str:
    """Use one up: compare-and-set, so that two at once are one."""
    mine = (RecoveryCode.person == person) & (RecoveryCode.sha256 == recovery_digest(person, code))
    with transaction():
        used = RecoveryCode.update(used_at=now).where(mine & RecoveryCode.used_at.is_null()).execute()
        if not used:
            return WRONG
        left = codes_left(person)
        note("recovery_code.used", person, by, now, {"left": left})
        tell(person, "recovery_code_used", now, {"left": left})
    return RIGHT


def recovery_digest(person: Person, code: str) -> str:
    plain = code.lower().translate(str.maketrans("oil", "011"))
    return sessions.digest(f"{person.id}:{plain}")


# --- Trail and mail ------------------------------------------------------------------------------------


def note(
    act: str,
    person: Person,
    by: Actor,
    now: datetime,
    facts: dict[str, Any],
    personal: dict[str, str] | None = None,
) -> None:
    subject = ("person", person.id)
    audit.append(act, subject, chain=audit.INSTALLATION, by=by, now=now, facts=facts, personal=personal)


def tell(person: Person, kind: str, now: datetime, context: dict[str, Any] | None = None) -> None:
    """Mail the person what changed about their account."""
    notices.queue(
        kind,
        address=person.email,
        name=person.name,
        language=person.language,
        zone=person.zone,
        person_id=person.id,
        context={"at": now} | (context or {}),
        now=now,
    )
