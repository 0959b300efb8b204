from __future__ import annotations

import json
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pyotp
import pytest

from portal.errors import Conflict, Invalid, TooMany
from portal.models.audit import AuditEvent
from portal.models.notices import Notice
from portal.models.people import Person, RecoveryCode, Session
from portal.services import installation, second_factors, sessions
from portal.services.audit import Actor
from tests.cast import Cast
from tests.threads import at_once

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def ana(cast: Cast) -> Person:
    second_factors.enrol(cast.ana, SECRET)
    return cast.ana


def code(now: datetime, step: int = 0) -> str:
    return str(pyotp.TOTP(SECRET).at(now + timedelta(seconds=30 * step)))


def actor(person: Person) -> Actor:
    return Actor("person", person.id, person.name, person.email, "192.0.2.1")


def check(person: Person, typed: str, now: datetime, source: str = "192.0.2.1") -> None:
    second_factors.check(person, typed, source=source, by=actor(person), now=now)


def acts() -> list[str]:
    return [event.act for event in AuditEvent.select().order_by(AuditEvent.number)]


def test_a_step_before_and_after_now_is_taken_and_no_other(now: datetime) -> None:
    taken = {
        step for step in range(-4, 5) if second_factors.totp_step(SECRET, code(now, step), 0, now) is not None
    }

    assert taken == {-1, 0, 1}


def test_only_six_plain_digits_are_a_code(now: datetime) -> None:
    for typed in ("", "12345", "1234567", "abcdef", "１２３４５６", "12345\u0664", "-12345"):
        assert second_factors.totp_step(SECRET, typed, 0, now) is None


def test_a_code_counts_once_and_so_do_the_steps_before_it(ana: Person, now: datetime) -> None:
    check(ana, code(now), now)

    for used in (code(now), code(now, -1)):
        with pytest.raises(Invalid) as refused:
            check(ana, used, now)
        assert "used already" in refused.value.errors["code"]
    check(ana, code(now, 1), now)
    assert Person.get_by_id(ana.id).factor_failures == 0


def test_spaces_in_a_code_do_not_matter(ana: Person, now: datetime) -> None:
    right = code(now)

    check(ana, f" {right[:3]} {right[3:]}\u00a0", now)


def test_fifty_uses_of_one_recovery_code_at_once_are_one_success(ana: Person, now: datetime) -> None:
    plain = second_factors.make_recovery_codes(ana)[0].replace("-", "")

    def use() -> str:
        return second_factors.use_recovery_code(ana, plain, actor(ana), now)

    assert at_once(use, 50).count(second_factors.RIGHT) == 1


def test_after_fifty_wrong_codes_the_app_is_refused_and_recovery_codes_work(
    ana: Person, now: datetime
) -> None:
    recovery = second_factors.make_recovery_codes(ana)
    for number in range(60):
        source = f"198.51.100.{number}"
        with pytest.raises(Invalid):
            check(ana, "000000" if code(now) != "000000" else "111111", now, source)

    with pytest.raises(Invalid) as refused:
        check(ana, code(now), now, "203.0.113.1")
    check(ana, recovery[3].upper(), now, "203.0.113.2")

    assert "too many wrong codes" in refused.value.errors["code"]
    assert Person.get_by_id(ana.id).factor_failures == second_factors.MOST_FAILURES
    assert acts().count("factor.disabled") == 1
    assert Notice.select().where(Notice.kind == "factor_disabled").count() == 1


def test_an_administrator_allows_codes_again(ana: Person, cast: Cast, now: datetime) -> None:
    with pytest.raises(Conflict):
        second_factors.allow_again(ana, by=actor(cast.ada), now=now)
    Person.update(factor_failures=50).where(Person.id == ana.id).execute()

    second_factors.allow_again(Person.get_by_id(ana.id), by=actor(cast.ada), now=now)

    check(Person.get_by_id(ana.id), code(now), now)
    assert "factor.allowed_again" in acts()


def test_wrong_codes_from_one_place_wait_longer_and_longer(ana: Person, now: datetime) -> None:
    for _try in range(5):
        with pytest.raises(Invalid):
            check(ana, "12", now)

    with pytest.raises(TooMany):
        check(ana, code(now), now)
    check(ana, code(now), now, "203.0.113.1")


def test_secrets_have_160_bits_and_lie_encrypted_for_their_person(
    ana: Person, cast: Cast, now: datetime
) -> None:
    kept = Person.get_by_id(ana.id).totp_secret
    Person.update(totp_secret=kept).where(Person.id == cast.ben.id).execute()

    assert len(second_factors.new_secret()) == 32
    assert SECRET not in kept
    assert second_factors.opened(ana, kept) == SECRET
    with pytest.raises(Conflict):
        check(Person.get_by_id(cast.ben.id), code(now), now)


def enrolling(person: Person, now: datetime) -> Session:
    found = sessions.find(sessions.open_for(person, stage="full", now=now), now)
    assert found is not None
    return found


def test_a_new_app_ends_the_old_one_its_recovery_codes_and_other_sessions(ana: Person, now: datetime) -> None:
    old = second_factors.make_recovery_codes(ana)[0]
    other = sessions.open_for(ana, stage="full", now=now)
    session = enrolling(ana, now)
    secret = second_factors.begin(session)

    with pytest.raises(Invalid):
        second_factors.confirm(session, code(now), source="a", by=actor(ana), now=now)
    assert second_factors.begin(session) == secret
    second_factors.confirm(session, pyotp.TOTP(secret).at(now), source="a", by=actor(ana), now=now)

    changed = Person.get_by_id(ana.id)
    assert second_factors.opened(changed, changed.totp_secret) == secret
    assert sessions.find(other, now) is None
    for dead in (code(now, 1), old):
        with pytest.raises(Invalid):
            check(changed, dead, now)
    with pytest.raises(Invalid):
        check(changed, pyotp.TOTP(secret).at(now), now)  # the confirming code is used up
    shown = second_factors.codes_to_show(session)
    assert len(set(shown)) == second_factors.RECOVERY_CODES
    check(changed, shown[0], now)
    assert second_factors.codes_left(changed) == 9
    assert "factor.replaced" in acts()
    assert Notice.select().where(Notice.kind == "factor_changed").count() == 1


def test_recovery_codes_are_kept_as_digests_and_shown_until_put_away(ana: Person, now: datetime) -> None:
    session = enrolling(ana, now)
    second_factors.renew_recovery_codes(session, by=actor(ana), now=now)
    shown = second_factors.codes_to_show(session)

    kept = {row.sha256 for row in RecoveryCode.select()}
    pending = json.dumps(Session.get(Session.sha256 == session.sha256).pending)
    second_factors.put_away(session)

    assert len(kept) == 10
    assert all(each not in pending and each.replace("-", "") not in pending for each in shown)
    assert second_factors.codes_to_show(session) == []
    assert second_factors.codes_to_show(Session.get(Session.sha256 == session.sha256)) == []


def test_the_picture_holds_the_link_and_no_style(ana: Person, home: installation.Installation) -> None:
    link = second_factors.address(ana, SECRET)
    picture = second_factors.picture(link)

    assert link.startswith("otpauth://totp/Larkfield%20Software%20Ltd:ana%40larkfield.example?")
    assert f"secret={SECRET}" in link
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert b"style" not in picture
    assert b"script" not in picture


def test_the_page_of_sample_data_shows_the_code_that_works(ana: Person, now: datetime) -> None:
    check(ana, second_factors.current_code(ana, now), now)
