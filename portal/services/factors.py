"""What a recipient proves besides how they came in: a code sent to their phone, or one from an app.

A text-message code has six digits, is kept hashed with its recipient, lives ten minutes and dies
with its first use or fifth try. Over a whole envelope at most 50 such tries and 16 tries of an
app's code (three of a million are right at any time) are ever checked: under one chance in ten
thousand that a stranger who holds the link guesses through.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from portal.errors import Conflict, Invalid, TooMany
from portal.i18n import format_datetime, format_time
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.envelopes import Recipient, Right, SmsCode
from portal.models.notices import Notice
from portal.models.people import Person
from portal.services import (
    audit,
    code_messages,
    installation,
    limits,
    native_factors,
    notices,
    outside_factors,
    second_factors,
    sms_numbers,
    sms_use,
    tasks,
)
from portal.services.audit import Actor

if TYPE_CHECKING:
    from portal.services.ceremonies import Place

LIFE = timedelta(minutes=10)
TRIES = 5
WINDOW, CODES_PER_WINDOW = timedelta(minutes=15), 3
FIRST_WAIT = timedelta(minutes=2)
NUMBER_HOLD = timedelta(hours=24)
MOST_CODES = 10  # in an envelope: 50 tries of one in a million
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Codes to one number, asked for from one network address, and for the contracts of one sender.
CAPS = {
    "sms.number": (limits.Cap(6, HOUR), limits.Cap(12, DAY)),
    "sms.source": (limits.Cap(30, HOUR), limits.Cap(100, DAY)),
    "sms.sender": (limits.Cap(60, HOUR), limits.Cap(300, DAY)),
}

RIGHT, WRONG, DEAD = "right", "wrong", "dead"
# How somebody came in: a mailed link, a code out of a mail, a code read out to them by telephone.
LINK, MAIL_CODE, TOLD_CODE = "link", "mail_code", "told_code"
WAYS = (LINK, MAIL_CODE, TOLD_CODE)


# --- What is still to be proved ---------------------------------------------------------------


def next_step(place: Place, now: datetime) -> str:
    """The screen of the next factor; empty once all are met.

    code: a text message; totp: the app's code; enrol: set up an app; handed: type the one-time code
    our side gave; hold: a new app that is not good yet; number: a code is missing that nobody can be
    sent now.
    """
    met = place.held.factors_met
    wanted = unmet(place.recipient.factors, met)
    if not wanted:
        return ""
    app, phone = outside_factors.app_of(place), has_phone(place.recipient, now)
    if wanted == "sms" and "totp" in met and not phone:
        return "number"
    if app is not None and app.is_held(now) and (wanted == "totp" or not phone):
        return "hold"
    if app is not None and not app.is_held(now) and "totp" not in met:
        return "totp"
    if wanted == "totp" and "sms" in met:
        return "enrol"
    if "handed" in met:
        return "enrol"
    return "code" if phone else "handed"


def unmet(wanted: list[str], met: dict[str, Any]) -> str:
    """The first factor that is still missing: totp, sms_or_totp or sms. An app may stand for a text
    message, never the other way round, and not where both are asked for."""
    if "totp" in wanted and "totp" not in met:
        return "totp"
    if "sms" in wanted and "sms" not in met and ("totp" in wanted or "totp" not in met):
        return "sms"
    if "sms_or_totp" in wanted and not {"sms", "totp"} & met.keys():
        return "sms_or_totp"
    return ""


def has_phone(recipient: Recipient, now: datetime) -> bool:
    """Whether text messages may go to this recipient."""
    if not recipient.phone or recipient.problem == "not_mine" or held_until(recipient, now) is not None:
        return False
    return sms_numbers.can_text(recipient.phone)


def held_until(recipient: Recipient, now: datetime) -> datetime | None:
    """When codes begin to go to a number that was changed lately; None where none is held back."""
    since = recipient.phone_from
    return since if recipient.phone and since is not None and now < since else None


def ending(recipient: Recipient) -> str:
    """The last two digits: all of the number that is ever shown."""
    return str(recipient.phone)[-2:]


def meet(place: Place, factor: str, now: datetime, **more: str) -> None:
    """Note that this browser proved a factor; inside the caller's transaction."""
    row = lock_row(Right.select().where(place.right_row)).get()
    met = row.factors_met | {factor: now.isoformat(timespec="seconds")} | more
    Right.update(factors_met=met).where(place.right_row).execute()
    place.held.factors_met = met


# --- Text messages ------------------------------------------------------------------------------


@dataclass(frozen=True)
class CodeState:
    """How the newest code stands. `next_at` is when another may be asked for; None means never.

    `message` is the one it was sent with, which knows whether it arrived.
    """

    sent_at: datetime | None
    is_live: bool
    next_at: datetime | None
    codes_left: int
    message: Notice | None = None


def code_state(recipient: Recipient, now: datetime) -> CodeState:
    sent = list(SmsCode.select().where(SmsCode.recipient == recipient).order_by(SmsCode.sent_at.desc()))
    if not sent:
        return CodeState(None, False, now, MOST_CODES)
    newest = sent[0]
    live = newest.used_at is None and newest.tries < TRIES and now < newest.expires_at
    left = max(0, MOST_CODES - len(sent))
    next_at = next_code_at([code.sent_at for code in sent], now) if left else None
    return CodeState(newest.sent_at, live, next_at, left, code_messages.newest(recipient))


def next_code_at(sent: list[datetime], now: datetime) -> datetime:
    """Two minutes after the first code, four after the second, and never a fourth in 15 minutes."""
    recent = [at for at in sent if at > now - WINDOW]
    if not recent:
        return now
    earliest = recent[0] + FIRST_WAIT * 2 ** (len(recent) - 1)
    if len(recent) >= CODES_PER_WINDOW:
        earliest = max(earliest, recent[CODES_PER_WINDOW - 1] + WINDOW)
    return earliest if earliest > now else now


def send_code(place: Place, *, by: Actor, now: datetime) -> None:
    """Text a fresh code; earlier ones are dead. Raises Conflict without a usable number, TooMany
    when one was sent lately or no more are sent in this envelope."""
    recipient = place.recipient
    if not has_phone(recipient, now):
        raise Conflict(_("No text message can be sent to you. Ask for another way below."))
    try:
        with transaction():
            write_code(place, by, now)
    except sms_use.SmsClosed as closed:
        with transaction():
            # The person before the sums, as in write_code: two at once would wait for each other else.
            tasks.add("no_texts", place.contract, recipient, now=now)
            sms_use.close(closed.span, now)
        raise


def write_code(place: Place, by: Actor, now: datetime) -> None:
    """The code, its message and its line in the trail, inside the caller's transaction."""
    recipient = place.recipient
    lock_row(Recipient.select(Recipient.id).where(Recipient.id == recipient.id)).get()
    state = code_state(recipient, now)
    if state.next_at is None:
        raise TooMany(_("No more codes are sent for this contract. Use another way below."), 3600)
    if state.next_at > now:
        at = format_time(state.next_at, place.zone)
        raise TooMany(
            _("You can ask for another code from %(at)s.", at=at),
            max(1, int((state.next_at - now).total_seconds())),
        )
    check_caps(place, by.address, now)
    code = f"{secrets.randbelow(1_000_000):06}"
    SmsCode.update(expires_at=now).where(
        (SmsCode.recipient == recipient) & SmsCode.used_at.is_null() & (SmsCode.expires_at > now)
    ).execute()
    SmsCode.insert(
        recipient=recipient, code_sha256=digest(recipient, code), tries=0,
        sent_at=now, expires_at=now + LIFE,
    ).execute()  # fmt: skip
    notices.queue(
        "signing_code",
        channel="sms",
        address=recipient.phone,
        language=recipient.language,
        now=now,
        contract=place.contract,
        recipient_id=recipient.id,
        useful_until=now + LIFE,
        context={"code": code, "minutes": 10, "host": urlsplit(notices.url("")).hostname},
    )
    note("code.sent", place, by, now, number=MOST_CODES - state.codes_left + 1)


def check_caps(place: Place, source: str, now: datetime) -> None:
    """Count one code for its number, for the network address that asks and for whoever sent the contract,
    one after the other; the caller's transaction takes it back when no code is sent. Raises TooMany."""
    for scope, subject in (
        ("sms.number", str(place.recipient.phone)),
        ("sms.source", source),
        ("sms.sender", str(place.sender.id)),
    ):
        if subject:
            limits.check(scope, subject, source, now, CAPS[scope])


def check_code(place: Place, typed: str, *, by: Actor, now: datetime) -> None:
    """Use up the newest code. The try is claimed before anything is compared, so fifty at once are
    fifty tries and one right code works once. Raises Invalid with the reason beside `code`."""
    with transaction():
        outcome, left = try_code(place, second_factors.digits(typed), now)
        if outcome == RIGHT:
            meet(place, "sms", now)
            begin_enrolment(place, now)
        note("code.passed" if outcome == RIGHT else "code.refused", place, by, now, factor="sms")
    if outcome == DEAD:
        raise Invalid({"code": _("This code no longer works. Ask for another one.")})
    if outcome == WRONG and left:
        raise Invalid({"code": _("This is not the code we sent last. Look at the newest message.")})
    if outcome == WRONG:
        raise Invalid({"code": _("That was the fifth wrong code. Ask for another one.")})


def try_code(place: Place, code: str, now: datetime) -> tuple[str, int]:
    """The outcome, and the tries that are left."""
    mine = SmsCode.select().where(SmsCode.recipient == place.recipient)
    newest = mine.order_by(SmsCode.sent_at.desc()).first()
    if newest is None:
        return DEAD, 0
    this = SmsCode._meta.primary_key == newest.get_id()
    usable = this & SmsCode.used_at.is_null() & (SmsCode.tries < TRIES) & (SmsCode.expires_at > now)
    if SmsCode.update(tries=SmsCode.tries + 1).where(usable).execute() != 1:
        return DEAD, 0
    if not hmac.compare_digest(newest.code_sha256, digest(place.recipient, code)):
        return WRONG, TRIES - SmsCode.select(SmsCode.tries).where(this).get().tries
    used = SmsCode.update(used_at=now).where(this & SmsCode.used_at.is_null()).execute()
    return (RIGHT if used == 1 else DEAD), 0


def digest(recipient: Recipient, code: str) -> str:
    """A six-digit code is soon guessed from a plain hash, so this one has the installation's key."""
    key = installation.current().settings.secret_key.encode()
    return hmac.new(key, f"code:{recipient.id}:{code}".encode(), "sha256").hexdigest()


def not_my_number(place: Place, *, by: Actor, now: datetime) -> None:
    """Stop text messages to this recipient until our side corrects the number, and tell the sender.

    Nobody can type another number here: whoever holds the link might be anybody.
    """
    with transaction():
        changed = (
            Recipient.update(problem="not_mine")
            .where((Recipient.id == place.recipient.id) & (Recipient.problem != "not_mine"))
            .execute()
        )
        if changed:
            SmsCode.update(expires_at=now).where(
                (SmsCode.recipient == place.recipient) & (SmsCode.expires_at > now)
            ).execute()
            note("number.disowned", place, by, now)
            tasks.add("wrong_number", place.contract, place.recipient, now=now)


# --- Authenticator apps ----------------------------------------------------------------------------


def check_app(place: Place, typed: str, *, source: str, by: Actor, now: datetime) -> None:
    """Prove the app. Raises Invalid with the reason beside `code`, or TooMany."""
    outside_factors.check(place, typed, source=source, by=by, now=now)
    with transaction():
        meet(place, "totp", now)
        note("code.passed", place, by, now, factor="totp")


def check_handed(place: Place, typed: str, *, by: Actor, now: datetime) -> None:
    """Use up the one-time code our side handed over; an app is enrolled next. Raises Invalid."""
    outside_factors.check_handed(place, typed, by=by, now=now)
    with transaction():
        meet(place, "handed", now)
        begin_enrolment(place, now)


def begin_enrolment(place: Place, now: datetime) -> None:
    """Where an app is what comes next, make its seed: pages only show it."""
    if next_step(place, now) == "enrol":
        outside_factors.begin(place, now)


def enrol(place: Place, typed: str, *, source: str, by: Actor, now: datetime) -> None:
    """Enrol the pending app with one of its codes, which also proves it for this signing."""
    factor = outside_factors.confirm(place, typed, source=source, by=by, now=now)
    if factor.active_from <= now and unmet(place.recipient.factors, place.held.factors_met):
        with transaction():
            meet(place, "totp", now, enrolled=factor.proof)


# --- Evidence ----------------------------------------------------------------------------------------


def evidence(place: Place) -> list[dict[str, str]]:
    """What was checked, for the act: factor, time and, where it matters, how. No personal details."""
    met = place.held.factors_met
    found = ways_in(place.held)
    if "sms" in met:
        found.append({"factor": "sms", "at": met["sms"], "ending": ending(place.recipient)})
    if "handed" in met:
        found.append({"factor": "handed_code", "at": met["handed"]})
    if "totp" in met:
        found.append({"factor": "totp", "at": met["totp"]} | how_enrolled(met))
    return found


def ways_in(right: Right) -> list[dict[str, str]]:
    """How this browser came in. A right from before ways were kept came by a mailed link."""
    met = right.factors_met
    found = [{"factor": way, "at": met[way]} for way in WAYS if way in met]
    if TOLD_CODE in met:
        found[-1]["by"] = met["told_by"]
    return found or [{"factor": LINK, "at": right.granted_at.isoformat(timespec="seconds")}]


def how_enrolled(met: dict[str, str]) -> dict[str, str]:
    return {"enrolled": met["enrolled"]} if "enrolled" in met else {}


def sentences(checked: list[dict[str, str]], email: str, zone: str) -> list[str]:
    """The evidence of an act in words, in the present language: for pages and the certificate."""
    found = [
        sentence(each, email, format_datetime(datetime.fromisoformat(each["at"]), zone)) for each in checked
    ]
    if [each["factor"] for each in checked] == [TOLD_CODE]:
        found.append(_("Nothing else was checked: neither the mailbox nor a telephone number nor an app"))
    return found


def sentence(checked: dict[str, str], email: str, at: str) -> str:
    if native_factors.is_one(checked):
        return native_factors.sentence(checked, email, at)
    if checked["factor"] == LINK:
        return _("Link mailed to %(email)s, opened %(at)s", email=email, at=at)
    if checked["factor"] == MAIL_CODE:
        return _("Code mailed to %(email)s, typed in %(at)s", email=email, at=at)
    if checked["factor"] == TOLD_CODE:
        return _(
            "Code read out by %(name)s by telephone, typed in %(at)s; it does not show who reads the mail of "
            "%(email)s", name=name_of(checked["by"]), email=email, at=at,
        )  # fmt: skip
    if checked["factor"] == "sms":
        return _("Code texted to the number ending %(ending)s, %(at)s", ending=checked["ending"], at=at)
    if checked["factor"] == "handed_code":
        return _("One-time code handed over by the sender through another channel, %(at)s", at=at)
    enrolled = checked.get("enrolled")
    if enrolled == "mail_and_sms":
        return _("TOTP enrolled in this signing, after mail and SMS, %(at)s", at=at)
    if enrolled == "mail_and_handed_code":
        return _("TOTP enrolled in this signing, after mail and a handed-over code, %(at)s", at=at)
    return _("Code from an authenticator app (TOTP), %(at)s", at=at)


def name_of(person_id: str) -> str:
    person = Person.get_or_none(Person.id == person_id)
    return str(person.name) if person is not None else _("the sender")


def note(act: str, place: Place, by: Actor, now: datetime, **facts: Any) -> None:
    audit.append(act, ("recipient", place.recipient.id), chain=place.contract.id, by=by, now=now, facts=facts)
