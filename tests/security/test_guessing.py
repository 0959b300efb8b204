"""Codes of every kind under attack: from a hundred addresses never more than the cap is checked, the
person it is meant for gets in by another way, and one right code opens once however many try.

What is checked is counted where the comparison happens, so a limit that counts and then looks all the
same would be found.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyotp
import pytest

from portal.errors import Invalid, PortalError, TooMany
from portal.models.contracts import Contract
from portal.models.envelopes import OutsideFactor
from portal.services import (
    ceremonies,
    factors,
    invitation_codes,
    invitations,
    outside_factors,
    second_factors,
    sessions,
    sign_in,
)
from portal.services.audit import Actor
from tests.services import ceremony_steps as steps
from tests.services.signing import actor, ready, recipient, sent

ADDRESSES = [f"198.51.100.{number}" for number in range(100)]
GUESSES = 1000 if os.environ.get("COUNTERSIGN_TEST_LONG") == "1" else 250
AT_ONCE = 50
REFERENCE = "LF-2026-0147"
STEP = timedelta(seconds=30)


@dataclass
class Lock:
    """One kind of code on one person, ready to be typed."""

    right: Callable[[datetime], str]
    type_in: Callable[[str, str, datetime], Any]  # what, from where, when; raises unless it is right
    most: int  # guesses checked in the whole attack, however long it goes on
    apart: timedelta  # between two guesses
    compared: tuple[Any, str, int]  # the function that looks, and how often for one guess
    by_another_way: Callable[[datetime], None]  # the person gets in all the same


class Setting:
    """The people and the request around a lock."""

    def __init__(self, cast: Any, now: datetime, run_jobs: Any) -> None:
        self.cast, self.now = cast, now
        contract = ready(cast, now)
        Contract.update(reference=REFERENCE).where(Contract.id == contract.id).execute()
        self.envelope = sent(cast, now, run_jobs, Contract.get_by_id(contract.id))

    def place(self, at: datetime) -> ceremonies.Place:
        """A browser that holds the link and has agreed, of the person or of whoever stole it."""
        found = steps.enter(self.envelope, "claire", at)
        if found(at).consent is None:
            steps.agree(found, at)
        return found(at)

    def hand_over(self, at: datetime) -> str:
        who = recipient(self.envelope, "claire")
        by = actor(self.cast.ana)
        return outside_factors.hand_over(self.envelope.contract, who.id, by=by, now=at)

    def set_up_an_app(self, place: ceremonies.Place, at: datetime) -> None:
        """With a code our side hands over: what somebody does whose own way is barred."""
        factors.check_handed(place, self.hand_over(at), by=place.actor(), now=at)
        outside_factors.begin(place, at)
        code = app_code(outside_factors.seed(place), at)
        factors.enrol(place, code, source="192.0.2.1", by=place.actor(), now=at)


def app_code(secret: str, at: datetime) -> str:
    return str(pyotp.TOTP(secret).generate_otp(second_factors.step_at(at)))


# --- The kinds -----------------------------------------------------------------------------------


def text_message(it: Setting) -> Lock:
    """Whoever holds the link asks for another code whenever one is dead."""
    steps.asks(it.envelope, "claire", "sms")
    place = it.place(it.now)
    texted = [steps.send_code(lambda *_at: place, it.now)]

    def guess(typed: str, source: str, at: datetime) -> None:
        if not factors.code_state(place.recipient, at).is_live and at > it.now:
            texted.append(steps.send_code(lambda *_at: place, at))
        factors.check_code(place, typed, by=place.actor(source), now=at)

    def another_way(at: datetime) -> None:
        mine = it.place(at)
        it.set_up_an_app(mine, at)
        assert ceremonies.state(mine, at) == "read"

    # Five tries of each code; and each of the nine codes sent on the way is hashed once.
    most = factors.MOST_CODES * factors.TRIES + factors.MOST_CODES - 1
    apart = timedelta(minutes=1)
    return Lock(lambda at: texted[-1], guess, most, apart, (factors, "digest", 1), another_way)


def app_of_an_outsider(it: Setting) -> Lock:
    steps.asks(it.envelope, "claire", "totp", phone="")
    place, secret = it.place(it.now), second_factors.new_secret()
    party, email = outside_factors.owner_of(it.envelope.contract, place.recipient)
    OutsideFactor.create(
        counterparty_id=party, email=email, secret=outside_factors.sealed_for(party, email, secret),
        enrolled_at=it.now, active_from=it.now, created_at=it.now, proof="mail_and_sms",
    )  # fmt: skip

    def guess(typed: str, source: str, at: datetime) -> None:
        factors.check_app(place, typed, source=source, by=place.actor(source), now=at)

    def another_way(at: datetime) -> None:
        """Our side ends the app; the one set up instead counts a day later."""
        who, by = recipient(it.envelope, "claire"), actor(it.cast.ana)
        outside_factors.replace(it.envelope.contract, who.id, reason="Telephoned her", by=by, now=at)
        mine = it.place(at)
        it.set_up_an_app(mine, at)
        later = at + outside_factors.HOLD
        mine = it.place(later)
        code = outside_factors.current_code(outside_factors.newest(party, email), later)
        factors.check_app(mine, code, source="192.0.2.1", by=mine.actor(), now=later)
        assert ceremonies.state(mine, later) == "read"

    return Lock(
        lambda at: app_code(secret, at), guess, outside_factors.MOST_TRIES, timedelta(minutes=40),
        (outside_factors, "totp_step", 2), another_way,
    )  # fmt: skip


def handed_over(it: Setting) -> Lock:
    steps.asks(it.envelope, "claire", "totp", phone="")
    place, code = it.place(it.now), it.hand_over(it.now)

    def guess(typed: str, source: str, at: datetime) -> None:
        factors.check_handed(place, typed, by=place.actor(source), now=at)

    def another_way(at: datetime) -> None:
        mine = it.place(at)
        it.set_up_an_app(mine, at)
        assert ceremonies.state(mine, at) == "read"

    return Lock(
        lambda at: code, guess, outside_factors.HANDED_TRIES, timedelta(minutes=2),
        (outside_factors, "handed_digest", 1), another_way,
    )  # fmt: skip


def code_of_a_way(way: str) -> Callable[[Setting], Lock]:
    def invitation(it: Setting) -> Lock:
        who, apart = recipient(it.envelope, "claire"), timedelta(seconds=86)
        if way == invitation_codes.TOLD:
            apart = timedelta(seconds=1)
            by = actor(it.cast.ana)
            code = invitations.tell(it.envelope.contract, who.id, by=by, now=it.now).code
        else:
            code = invitation_codes.issue(who, now=it.now)

        def guess(typed: str, source: str, at: datetime) -> None:
            found = invitation_codes.find(REFERENCE, typed, source=source, now=at)
            token = sessions.open_outside("", now=at)
            by = Actor("recipient", who.id, who.name, who.email, source)
            invitations.enter(found, sessions.digest(token), by=by, now=at)

        def another_way(at: datetime) -> None:
            assert ceremonies.state(it.place(at), at) == "read"

        steps.asks(it.envelope, "claire")
        most = invitation_codes.CAPS[0].count
        return Lock(lambda at: code, guess, most, apart, (invitation_codes, "match", 1), another_way)

    return invitation


def staff_sign_in(it: Setting) -> Lock:
    """Whoever knows the password begins again with it whenever they are thrown out."""
    ana, secret = it.cast.ana, second_factors.new_secret()
    second_factors.enrol(ana, secret)
    recovery = second_factors.make_recovery_codes(ana)

    def guess(typed: str, source: str, at: datetime) -> None:
        token = sessions.open_for(ana, stage=sessions.PASSWORD, now=at)
        by = Actor("person", ana.id, ana.name, ana.email, source)
        sign_in.check_code(sessions.find(token, at), typed, by=by, now=at)

    def another_way(at: datetime) -> None:
        guess(recovery[0], "192.0.2.1", at)

    return Lock(
        lambda at: app_code(secret, at), guess, second_factors.MOST_FAILURES, timedelta(minutes=40),
        (second_factors, "totp_step", 2), another_way,
    )  # fmt: skip


KINDS = {
    "text message": text_message,
    "app": app_of_an_outsider,
    "handed over": handed_over,
    "code in the mail": code_of_a_way(invitation_codes.MAIL),
    "code read out": code_of_a_way(invitation_codes.TOLD),
    "staff sign-in": staff_sign_in,
}


@pytest.fixture(params=list(KINDS))
def lock(request, cast, now, run_jobs):
    return KINDS[request.param](Setting(cast, now, run_jobs))


def wrong(lock: Lock, number: int, at: datetime) -> str:
    """A guess of the right shape that is not right now, nor a step of an app before or after."""
    near = {lock.right(at + off * STEP).replace("-", "").lower() for off in (-1, 0, 1)}
    length = len(next(iter(near)))
    return next(guess for n in range(9) if (guess := f"{number * 7 + n:0{length}}") not in near)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[str]:
    """Each call of the function that compares, while it goes on doing so."""
    calls, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: calls.append(name) or real(*given))
    return calls


# --- What holds for all of them ------------------------------------------------------------------------


def test_a_hundred_addresses_get_no_more_than_the_cap_checked(lock, now, monkeypatch):
    module, name, per_guess = lock.compared
    calls, at = counted(monkeypatch, module, name), now
    for number in range(GUESSES):
        at = now + lock.apart * number
        with pytest.raises((Invalid, TooMany)):
            lock.type_in(wrong(lock, number, at), ADDRESSES[number % len(ADDRESSES)], at)

    assert len(calls) / per_guess == lock.most
    with pytest.raises(PortalError):
        lock.type_in(lock.right(at), ADDRESSES[0], at)
    lock.by_another_way(at + STEP)


def test_fifty_at_once_with_one_right_code_are_one_success(lock, now):
    at = now + 2 * STEP
    right = lock.right(at)
    jobs = [lambda n=n: lock.type_in(right, ADDRESSES[n], at) for n in range(AT_ONCE)]

    done, refused = steps.at_once(jobs)

    assert (done, len(refused)) == (1, AT_ONCE - 1)
    with pytest.raises((Invalid, TooMany)):
        lock.type_in(right, "203.0.113.9", at + STEP)


def test_fifty_wrong_ones_at_once_are_no_more_than_the_cap(lock, now, monkeypatch):
    module, name, per_guess = lock.compared
    at = now + 2 * STEP
    guesses = [wrong(lock, number, at) for number in range(AT_ONCE)]
    calls = counted(monkeypatch, module, name)

    done, refused = steps.at_once(
        [lambda n=n: lock.type_in(guesses[n], ADDRESSES[n], at) for n in range(AT_ONCE)]
    )

    assert (done, len(refused)) == (0, AT_ONCE)
    assert len(calls) // per_guess <= lock.most


def test_the_caps_leave_less_than_one_chance_in_ten_thousand():
    """What stands in docs/invitations.md and in the modules, computed anew."""
    life_days = 365
    texts = factors.MOST_CODES * factors.TRIES / 10**6
    apps = outside_factors.MOST_TRIES * 3 / 10**6
    typed = 2 * invitation_codes.CAPS[0].count * life_days / 32**invitation_codes.CHARACTERS

    assert texts + apps + typed <= 1e-4
    assert typed < 1 / 30_000_000
