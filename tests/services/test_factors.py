from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid, TooMany
from portal.i18n import use
from portal.models.audit import AuditEvent
from portal.models.envelopes import Act, Recipient, SmsCode, Task
from portal.models.notices import Notice
from portal.services import ceremonies, factors, outside_factors, recipients
from tests.services import ceremony_steps as steps
from tests.services.signing import actor, recipient, sent

MINUTE = timedelta(minutes=1)


@pytest.fixture
def envelope(cast, now, run_jobs):
    made = sent(cast, now, run_jobs)
    steps.asks(made, "claire", "sms")
    return made


@pytest.fixture
def place(envelope, now):
    found = steps.enter(envelope, "claire", now)
    steps.agree(found, now)
    return found


def check(place, code, now):
    factors.check_code(place(now), code, by=place(now).actor(), now=now)


def wrong(code):
    return f"{(int(code) + 1) % 1_000_000:06}"


def test_the_right_code_opens_the_pages_of_this_browser_only(envelope, place, now):
    other = steps.enter(envelope, "claire", now)
    code = steps.send_code(place, now)
    assert ceremonies.state(place(), now) == "code"

    check(place, f"{code[:3]} {code[3:]}", now)

    assert ceremonies.state(place(), now) == "read"
    assert ceremonies.state(other(), now) == "code"


def test_a_code_is_kept_hashed_with_its_recipient(place, now):
    code = steps.send_code(place, now)

    row = SmsCode.get()
    assert code not in str(SmsCode.select().dicts().get())
    assert row.code_sha256 == factors.digest(place().recipient, code)
    other = Recipient(id="another")
    assert factors.digest(other, code) != row.code_sha256


def test_a_code_works_once(place, now):
    code = steps.send_code(place, now)
    check(place, code, now)

    with pytest.raises(Invalid):
        check(place, code, now)


def test_a_code_works_for_ten_minutes(place, now):
    code = steps.send_code(place, now)

    with pytest.raises(Invalid):
        check(place, code, now + timedelta(minutes=10))
    check(place, code, now + timedelta(minutes=10) - timedelta(seconds=1))


def test_the_fifth_wrong_try_ends_a_code(place, now):
    code = steps.send_code(place, now)
    for _try in range(5):
        with pytest.raises(Invalid):
            check(place, wrong(code), now)

    with pytest.raises(Invalid):
        check(place, code, now)
    assert SmsCode.get().tries == 5


def test_a_newer_code_ends_the_older_one(place, now):
    first = steps.send_code(place, now)
    second = steps.send_code(place, now + 2 * MINUTE)
    if first != second:
        with pytest.raises(Invalid):
            check(place, first, now + 2 * MINUTE)

    check(place, second, now + 2 * MINUTE)


def test_codes_are_sent_with_growing_waits_and_three_in_fifteen_minutes(place, now):
    steps.send_code(place, now)
    for after in (1, 119):
        with pytest.raises(TooMany):
            steps.send_code(place, now + timedelta(seconds=after))
    steps.send_code(place, now + 2 * MINUTE)
    with pytest.raises(TooMany):
        steps.send_code(place, now + 5 * MINUTE)
    steps.send_code(place, now + 6 * MINUTE)
    with pytest.raises(TooMany):
        steps.send_code(place, now + 14 * MINUTE)

    steps.send_code(place, now + 15 * MINUTE)
    assert SmsCode.select().count() == 4


def test_twenty_requests_at_once_send_one_message(place, now):
    def send():
        factors.send_code(place(now), by=place(now).actor(), now=now)

    done, _refused = steps.at_once([send] * 20)

    assert done == 1
    assert Notice.select().where(Notice.kind == "signing_code").count() == 1


def test_a_number_that_is_not_mine_gets_no_more_messages(envelope, place, now):
    code = steps.send_code(place, now)
    for _press in range(2):
        factors.not_my_number(place(), by=place().actor(), now=now)

    assert recipient(envelope, "claire").problem == "not_mine"
    assert Task.select().count() == 1
    with pytest.raises(Conflict):
        steps.send_code(place, now + 20 * MINUTE)
    with pytest.raises(Invalid):
        check(place, code, now)
    assert ceremonies.state(place(), now) == "handed"


def test_without_a_number_a_handed_over_code_is_the_way(envelope, place, now):
    Recipient.update(phone="").execute()

    assert ceremonies.state(place(), now) == "handed"


def change_number(envelope, cast, now):
    """Our side changes Claire's number, who then opens the new link and agrees."""
    who = recipient(envelope, "claire")
    recipients.correct(who, name=who.name, email=who.email, phone="+33698765499", by=actor(cast.ana), now=now)
    found = steps.enter(envelope, "claire", now)
    if found(now).consent is None:
        steps.agree(found, now)
    return found


def test_no_code_goes_to_a_changed_number_for_a_day(envelope, place, cast, now):
    place = change_number(envelope, cast, now)
    almost = now + factors.NUMBER_HOLD - timedelta(seconds=1)

    assert ceremonies.state(place(), now) == "handed"
    for at in (now, almost):
        with pytest.raises(Conflict):
            steps.send_code(steps.enter(envelope, "claire", at), at)

    later = steps.enter(envelope, "claire", now + factors.NUMBER_HOLD)
    at = now + factors.NUMBER_HOLD
    check(later, steps.send_code(later, at), at)
    assert ceremonies.state(later(at), at) == "read"


def test_a_changed_name_alone_holds_no_code_back(envelope, place, cast, now):
    who = recipient(envelope, "claire")
    recipients.correct(who, name="C. Aubert", email=who.email, phone=who.phone, by=actor(cast.ana), now=now)

    assert ceremonies.state(steps.enter(envelope, "claire", now)(now), now) == "code"


def test_a_handed_over_code_is_the_way_while_a_number_is_held(envelope, place, cast, now):
    place = change_number(envelope, cast, now)
    code = outside_factors.hand_over(place().contract, place().recipient.id, by=actor(cast.ana), now=now)

    factors.check_handed(place(), code, by=place().actor(), now=now)

    assert ceremonies.state(place(), now) == "enrol"


def test_where_both_are_asked_for_the_app_never_stands_for_a_held_number(envelope, place, cast, now):
    steps.asks(envelope, "claire", "sms", "totp")
    place = change_number(envelope, cast, now)

    factors.meet(place(), "totp", now)

    assert ceremonies.state(place(), now) == "number"
    assert factors.next_step(place(), now + factors.NUMBER_HOLD) == "code"


@pytest.mark.parametrize(
    ("wanted", "met", "left"),
    [
        ([], {}, ""),
        (["sms"], {}, "sms"),
        (["sms"], {"sms": "x"}, ""),
        (["sms"], {"totp": "x"}, ""),
        (["totp"], {"sms": "x"}, "totp"),
        (["sms", "totp"], {"totp": "x"}, "sms"),
        (["sms", "totp"], {"sms": "x", "totp": "x"}, ""),
        (["sms_or_totp"], {}, "sms_or_totp"),
        (["sms_or_totp"], {"sms": "x"}, ""),
        (["sms_or_totp"], {"totp": "x"}, ""),
    ],
)
def test_what_is_still_missing(wanted, met, left):
    assert factors.unmet(wanted, met) == left


def test_the_evidence_says_what_was_checked_and_shows_two_digits_of_the_number(place, now):
    check(place, steps.send_code(place, now), now)
    steps.prepare(place, now)
    steps.confirm(place, now)

    checked = Act.get().factors
    assert [each["factor"] for each in checked] == ["link", "sms"]
    assert "612345638" not in str(checked)
    with use("en"):
        words = factors.sentences(checked, "claire@castellan.example", "Europe/Paris")
    assert words[1] == "Code texted to the number ending 38, Mon 23 Nov 2026, 10:41\u00a0CET"


def test_refused_and_passed_codes_are_in_the_trail(place, now):
    code = steps.send_code(place, now)
    with pytest.raises(Invalid):
        check(place, wrong(code), now)
    check(place, code, now)

    rows = AuditEvent.select().where(AuditEvent.act.startswith("code.")).order_by(AuditEvent.number)
    assert [row.act for row in rows] == ["code.sent", "code.refused", "code.passed"]
    assert not any(code in row.body for row in rows)
