"""Authenticator apps of people without an account.

A seed belongs to (counterparty, address): whoever signs for the same company under the same
address next time uses the same app. It is enrolled after mail and a text message were proved, or
mail and a one-time code that our side handed over. When our side lets a lost phone be replaced,
the old seed dies at once and the new one is good after a day. Our own people use the app of their
account.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyotp

from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import ALPHABET, lock_row, transaction
from portal.models.contracts import Contract
from portal.models.envelopes import EnrolmentCode, Envelope, OutsideFactor, Recipient, Right
from portal.models.people import Person
from portal.services import audit, installation, limits, notices, second_factors, tasks
from portal.services.audit import Actor
from portal.services.second_factors import totp_step

if TYPE_CHECKING:
    from portal.services.ceremonies import Place

MOST_TRIES = 16  # of the app's code, per recipient: 48 of a million
HOLD = timedelta(hours=24)
HANDED_LIFE = timedelta(hours=48)
HANDED_TRIES = 5
HANDED_CHARACTERS = 10  # 50 bits

WRONG_CODE = "wrong"
USED_CODE = "used"
REFUSED = "refused"
RIGHT = "right"


@dataclass(frozen=True)
class App:
    """The app a recipient would use: of their account, or enrolled in an earlier signing."""

    active_from: datetime | None
    person: Person | None = None
    factor: OutsideFactor | None = None

    def is_held(self, now: datetime) -> bool:
        """Enrolled in place of a lost one, and not good yet."""
        return self.active_from is not None and now < self.active_from


def app_of(place: Place) -> App | None:
    """The recipient's app, good or still held; None when there is none."""
    if place.recipient.side == "ours":
        person = place.recipient.person
        return App(None, person=person) if person is not None and person.totp_secret else None
    factor = newest(*owner_of(place.contract, place.recipient))
    return None if factor is None else App(factor.active_from, factor=factor)


def owner_of(contract: Contract, recipient: Recipient) -> tuple[str, str]:
    """Whose seed it is: the other party (or, without one, this contract) and the mail address."""
    party = contract.counterparty
    whose = party.id if recipient.side == "theirs" and party is not None else contract.id
    return str(whose), str(recipient.email).lower()


def newest(counterparty_id: str, email: str) -> OutsideFactor | None:
    found: OutsideFactor | None = (
        OutsideFactor.select()
        .where(mine(counterparty_id, email) & OutsideFactor.ended_at.is_null())
        .order_by(OutsideFactor.created_at.desc())
        .first()
    )
    return found


def mine(counterparty_id: str, email: str) -> Any:
    return (OutsideFactor.counterparty_id == counterparty_id) & (OutsideFactor.email == email)


# --- Codes ----------------------------------------------------------------------------------------


def check(place: Place, typed: str, *, source: str, by: Actor, now: datetime) -> None:
    """Raise Invalid (beside `code`) unless this is a fresh code of the recipient's app, or TooMany.

    Call it outside a transaction: a try stays counted whatever happens next.
    """
    app = app_of(place)
    if app is None:
        raise Conflict(_("There is no authenticator app to check."))
    if app.is_held(now):
        raise Conflict(_("The new app does not count yet."))
    if app.person is not None:
        second_factors.check(app.person, typed, source=source, by=by, now=now)
        return
    assert app.factor is not None  # noqa: S101 (one of the two is set)
    attempt = limits.check("signing.app", place.recipient.id, source, now, growing_waits=True)
    with transaction():
        outcome = try_code(place, app.factor, second_factors.digits(typed), now)
        if outcome != RIGHT:
            note("code.refused", place.contract, place.recipient, by, now, factor="totp")
    if outcome == REFUSED:
        raise Invalid({"code": _("There were too many wrong codes. Ask the sender for another way.")})
    if outcome == USED_CODE:
        raise Invalid({"code": _("This code was used already. Wait for the next one, at most 30 seconds.")})
    if outcome == WRONG_CODE:
        raise Invalid({"code": _("This code is not right. Take the one your app shows now.")})
    limits.succeed(attempt)


def try_code(place: Place, factor: OutsideFactor, code: str, now: datetime) -> str:
    """Claim a try, compare, and move the last step forward; a right code again is no guess."""
    this = Recipient.id == place.recipient.id
    one_more = Recipient.update(app_tries=Recipient.app_tries + 1)
    if one_more.where(this & (Recipient.app_tries < MOST_TRIES)).execute() != 1:
        return REFUSED
    fresh = lock_row(OutsideFactor.select().where(OutsideFactor.id == factor.id)).get()
    secret = opened(fresh)
    step = totp_step(secret, code, fresh.last_step, now)
    seen_before = step is None and totp_step(secret, code, 0, now) is not None
    if step is None and not seen_before:
        return WRONG_CODE
    Recipient.update(app_tries=Recipient.app_tries - 1).where(this).execute()
    alive = (OutsideFactor.id == factor.id) & OutsideFactor.ended_at.is_null()
    if (
        step is None
        or not OutsideFactor.update(last_step=step).where(alive & (OutsideFactor.last_step < step)).execute()
    ):
        return USED_CODE
    return RIGHT


# --- Enrolment -------------------------------------------------------------------------------------


def may_enrol(place: Place) -> str:
    """What this browser has proved that lets it enrol an app, in the words of `OutsideFactor.proof`."""
    met = place.held.factors_met
    if place.recipient.side == "ours":
        return ""
    if "sms" in met:
        return "after_signing" if place.act is not None else "mail_and_sms"
    return "mail_and_handed_code" if "handed" in met else ""


def begin(place: Place, now: datetime) -> None:
    """Make the seed this browser is about to enrol; one that is there already stays."""
    if not may_enrol(place):
        raise Conflict(_("Prove your telephone number first."))
    with transaction():
        right = lock_row(Right.select().where(place.right_row)).get()
        if "seed" not in right.draft:
            sealed = installation.current().box.seal(second_factors.new_secret())
            keep(place, right.draft | {"seed": sealed})


def seed(place: Place) -> str:
    """The seed being enrolled; empty before `begin`."""
    kept = place.held.draft.get("seed")
    return installation.current().box.open(kept) if kept else ""


def address(place: Place, secret: str) -> str:
    """The `otpauth:` link of a seed."""
    issuer = str(place.contract.entity.name)[: second_factors.LONGEST_ISSUER]
    return str(pyotp.TOTP(secret).provisioning_uri(name=place.recipient.email, issuer_name=issuer))


def confirm(place: Place, typed: str, *, source: str, by: Actor, now: datetime) -> OutsideFactor:
    """Make the pending seed the address's app, proved by one code of it; former ones are dead.

    After a replacement it is good a day later. Raises Invalid (beside `code`), Conflict or TooMany.
    """
    secret, proof = seed(place), may_enrol(place)
    if not secret or not proof:
        raise Conflict(_("This page is too old. Load it again and scan the new picture."))
    attempt = limits.check("signing.enrolment", place.recipient.id, source, now, growing_waits=True)
    step = totp_step(secret, second_factors.digits(typed), 0, now)
    if step is None:
        raise Invalid({"code": _("This code is not right. Take the one your app shows now.")})
    limits.succeed(attempt)
    party, email = owner_of(place.contract, place.recipient)
    with transaction():
        lock_row(Envelope.select(Envelope.id).where(Envelope.id == place.envelope.id)).get()
        right = lock_row(Right.select().where(place.right_row)).get()
        if "seed" not in right.draft:
            raise Conflict(_("This app is set up already."))
        replaced = was_replaced(party, email)
        end_all(party, email, now)
        factor: OutsideFactor = OutsideFactor.create(
            counterparty_id=party, email=email, secret=sealed_for(party, email, secret), last_step=step,
            enrolled_at=now, enrolled_envelope_id=place.envelope.id, created_at=now,
            proof="replaced" if replaced else proof, active_from=now + HOLD if replaced else now,
        )  # fmt: skip
        keep(place, {name: value for name, value in right.draft.items() if name != "seed"})
        note("app.enrolled", place.contract, place.recipient, by, now, proof=factor.proof)
    return factor


def was_replaced(counterparty_id: str, email: str) -> bool:
    """Whether our side ended the last app of this address, so that the next one must wait."""
    last = (
        OutsideFactor.select()
        .where(mine(counterparty_id, email))
        .order_by(OutsideFactor.created_at.desc())
        .first()
    )
    return last is not None and last.ended_at is not None


def keep(place: Place, draft: dict[str, Any]) -> None:
    Right.update(draft=draft).where(place.right_row).execute()
    place.held.draft = draft


def sealed_for(counterparty_id: str, email: str, secret: str) -> str:
    """Encrypted for this row alone."""
    return installation.current().box.seal(f"{counterparty_id}/{email}:{secret}")


def opened(factor: OutsideFactor) -> str:
    """Raises Conflict when it was copied from another row."""
    whose, _colon, secret = installation.current().box.open(factor.secret).rpartition(":")
    if whose != f"{factor.counterparty_id}/{factor.email}":
        raise Conflict(_("This authenticator app is damaged. Ask the sender to let you set up a new one."))
    return secret


# --- Our side ----------------------------------------------------------------------------------------


def recipient_in(contract: Contract, recipient_id: str) -> Recipient:
    """A recipient of this contract's envelopes. Raises NotFound for anybody else's."""
    found: Recipient | None = (
        Recipient.select(Recipient, Envelope)
        .join(Envelope)
        .where((Recipient.id == recipient_id) & (Envelope.contract == contract))
        .first()
    )
    if found is None:
        raise NotFound()
    return found


def hand_over(contract: Contract, recipient_id: str, *, by: Actor, now: datetime) -> str:
    """A one-time code for our side to give through another channel; shown once, good two days.

    With it, somebody who cannot get text messages may enrol an app.
    """
    code = "".join(secrets.choice(ALPHABET) for _place in range(HANDED_CHARACTERS))
    with transaction():
        recipient = recipient_in(contract, recipient_id)
        EnrolmentCode.update(expires_at=now).where(
            (EnrolmentCode.recipient == recipient) & EnrolmentCode.used_at.is_null()
        ).execute()
        EnrolmentCode.insert(
            recipient=recipient, code_sha256=handed_digest(recipient, code), created_by=by.id,
            created_at=now, expires_at=now + HANDED_LIFE, tries=0,
        ).execute()  # fmt: skip
        tasks.settle(recipient, ["other_way", "no_texts"], by=by, now=now)
        note("enrolment_code.made", contract, recipient, by, now)
    return f"{code[:5]}-{code[5:]}"


def check_handed(place: Place, typed: str, *, by: Actor, now: datetime) -> bool:
    """Use up the handed-over code. Raises Invalid with the reason beside `code`."""
    plain = second_factors.digits(typed).lower().translate(str.maketrans("oil", "011"))
    with transaction():
        right = try_handed(place.recipient, plain, now)
        act = "enrolment_code.used" if right else "enrolment_code.refused"
        note(act, place.contract, place.recipient, by, now)
    if not right:
        raise Invalid({"code": _("This code is not right, or no longer works. Ask the sender for another.")})
    return True


def try_handed(recipient: Recipient, code: str, now: datetime) -> bool:
    """Claim a try before comparing, as for every code."""
    newest_code = (
        EnrolmentCode.select()
        .where(EnrolmentCode.recipient == recipient)
        .order_by(EnrolmentCode.created_at.desc())
        .first()
    )
    if newest_code is None:
        return False
    this = (EnrolmentCode._meta.primary_key == newest_code.get_id()) & EnrolmentCode.used_at.is_null()
    usable = this & (EnrolmentCode.tries < HANDED_TRIES) & (EnrolmentCode.expires_at > now)
    if EnrolmentCode.update(tries=EnrolmentCode.tries + 1).where(usable).execute() != 1:
        return False
    if not hmac.compare_digest(newest_code.code_sha256, handed_digest(recipient, code)):
        return False
    return bool(EnrolmentCode.update(used_at=now).where(this).execute() == 1)


def handed_digest(recipient: Recipient, code: str) -> str:
    key = installation.current().settings.secret_key.encode()
    return hmac.new(key, f"handed:{recipient.id}:{code}".encode(), "sha256").hexdigest()


def replace(contract: Contract, recipient_id: str, *, reason: str, by: Actor, now: datetime) -> None:
    """End a recipient's app at once, for a lost or new phone; the next one they enrol waits a day.

    Tries of the old one no longer count: they say nothing about another seed.
    The page asks for step-up. Raises Invalid without a reason, Conflict without an app.
    """
    if not reason.strip():
        raise Invalid({"reason": _("Say how you know that it is them.")})
    with transaction():
        recipient = recipient_in(contract, recipient_id)
        party, email = owner_of(contract, recipient)
        if not end_all(party, email, now):
            raise Conflict(_("There is no authenticator app to replace."))
        Right.delete().where(Right.recipient == recipient).execute()
        Recipient.update(app_tries=0).where(Recipient.id == recipient.id).execute()
        tasks.settle(recipient, ["new_phone"], by=by, now=now)
        audit.append(
            "app.replaced", ("recipient", recipient.id), chain=contract.id, by=by, now=now,
            personal={"reason": reason.strip()},
        )  # fmt: skip
        notices.queue(
            "app_replaced", address=recipient.email, name=recipient.name, language=recipient.language,
            now=now, contract=contract, recipient_id=recipient.id,
        )  # fmt: skip


def end_all(counterparty_id: str, email: str, now: datetime) -> int:
    """End the apps of an address; how many there were."""
    alive = mine(counterparty_id, email) & OutsideFactor.ended_at.is_null()
    return int(OutsideFactor.update(ended_at=now).where(alive).execute())


def current_code(factor: OutsideFactor, now: datetime) -> str:
    """What an app shows now, for the page of sample data."""
    return str(pyotp.TOTP(opened(factor)).generate_otp(second_factors.step_at(now)))


def pending_codes(now: datetime) -> list[tuple[str, str]]:
    """Address and present code of each app being set up, for the page of sample data."""
    rows = Right.select(Right, Recipient).join(Recipient).where(Right.expires_at > now).limit(500)
    seeds = [(row.recipient.email, row.draft["seed"]) for row in rows if "seed" in row.draft]
    box, step = installation.current().box, second_factors.step_at(now)
    return [(email, str(pyotp.TOTP(box.open(sealed)).generate_otp(step))) for email, sealed in seeds]


def note(act: str, contract: Contract, recipient: Recipient, by: Actor, now: datetime, **facts: str) -> None:
    audit.append(act, ("recipient", recipient.id), chain=contract.id, by=by, now=now, facts=facts)
