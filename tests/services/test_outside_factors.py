from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest

from portal.errors import Conflict, Invalid, NotFound, TooMany
from portal.i18n import use
from portal.models.contracts import Contract
from portal.models.envelopes import Act, EnrolmentCode, OutsideFactor, Recipient, Right
from portal.models.notices import Notice
from portal.services import ceremonies, factors, outside_factors, second_factors
from tests.services import ceremony_steps as steps
from tests.services.signing import actor, ours, ready, recipient, sent, theirs

STEP = timedelta(seconds=30)


@pytest.fixture
def envelope(cast, now, run_jobs):
    made = sent(cast, now, run_jobs)
    steps.asks(made, "claire", "totp")
    return made


def agreed(envelope, now):
    place = steps.enter(envelope, "claire", now)
    if place().consent is None:
        steps.agree(place, now)
    return place


def code_of(secret, at):
    return pyotp.TOTP(secret).generate_otp(second_factors.step_at(at))


def enrol(place, now):
    """Prove mail and SMS, then set up an app; its seed."""
    factors.check_code(place(), steps.send_code(place, now), by=place().actor(), now=now)
    secret = outside_factors.seed(place())
    factors.enrol(place(), code_of(secret, now), source="192.0.2.1", by=place().actor(), now=now)
    return secret


def check(place, code, at, source="192.0.2.1"):
    factors.check_app(place(at), code, source=source, by=place(at).actor(), now=at)


def test_enrolment_comes_after_mail_and_sms_and_keeps_the_place(envelope, now):
    place = agreed(envelope, now)
    assert ceremonies.state(place(), now) == "code"
    with pytest.raises(Conflict):
        outside_factors.begin(place(), now)

    factors.check_code(place(), steps.send_code(place, now), by=place().actor(), now=now)
    assert ceremonies.state(place(), now) == "enrol"
    secret = outside_factors.seed(place())
    assert len(secret) == 32  # 160 bits
    assert outside_factors.address(place(), secret).startswith("otpauth://totp/Larkfield%20Software%20Ltd:")
    factors.enrol(place(), code_of(secret, now), source="192.0.2.1", by=place().actor(), now=now)

    assert ceremonies.state(place(), now) == "read"


def test_the_seed_is_nowhere_in_plain(envelope, now):
    place = agreed(envelope, now)
    factors.check_code(place(), steps.send_code(place, now), by=place().actor(), now=now)
    secret = outside_factors.seed(place())

    assert secret not in str(list(Right.select().dicts()))
    factors.enrol(place(), code_of(secret, now), source="192.0.2.1", by=place().actor(), now=now)
    assert secret not in str(list(OutsideFactor.select().dicts()))


def test_a_seed_copied_to_another_row_opens_nothing(envelope, now):
    enrol(agreed(envelope, now), now)
    row = OutsideFactor.get()
    row.email = "thief@castellan.example"

    with pytest.raises(Conflict):
        outside_factors.opened(row)


def test_the_certificate_says_enrolled_here_the_first_time_and_counts_it_the_second(
    envelope, cast, now, run_jobs
):
    place = agreed(envelope, now)
    secret = enrol(place, now)
    steps.prepare(place, now)
    steps.confirm(place, now)
    first = Act.get().factors
    with use("en"):
        words = factors.sentences(first, "claire@castellan.example", "Europe/Paris")
    assert words[-1].startswith("TOTP enrolled in this signing, after mail and SMS")

    run_jobs(now)
    later = now + timedelta(days=1)
    second = sent(cast, later, run_jobs)
    steps.asks(second, "claire", "totp")
    place = agreed(second, later)
    assert ceremonies.state(place(later), later) == "totp"
    check(place, code_of(secret, later), later)
    steps.prepare(place, later)
    steps.confirm(place, later)
    checked = {each["factor"]: each for each in Act.get(Act.envelope == second).factors}
    assert "enrolled" not in checked["totp"]
    assert "sms" not in checked


def test_in_another_session_of_the_same_signing_it_counts_of_its_own(envelope, now):
    secret = enrol(agreed(envelope, now), now)
    later = now + 4 * STEP
    place = agreed(envelope, later)

    check(place, code_of(secret, later), later)

    assert factors.evidence(place(later))[-1].keys() == {"factor", "at"}


def test_a_code_of_the_app_works_once(envelope, now):
    secret = enrol(agreed(envelope, now), now)
    place = agreed(envelope, now)

    with pytest.raises(Invalid):
        check(place, code_of(secret, now), now)  # the enrolment used it
    at = now + STEP
    check(place, code_of(secret, at), at)
    with pytest.raises(Invalid):
        check(place, code_of(secret, at), at)


@pytest.mark.parametrize(
    ("steps_off", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_codes_one_step_around_now_are_right(envelope, now, steps_off, is_right):
    secret = enrol(agreed(envelope, now), now)
    at = now + 10 * STEP
    place = agreed(envelope, at)
    code = code_of(secret, at + steps_off * STEP)

    if abs(steps_off) <= 1:
        check(place, code, at)
    else:
        with pytest.raises(Invalid):
            check(place, code, at)


def test_waits_grow_after_five_wrong_codes(envelope, now):
    secret = enrol(agreed(envelope, now), now)
    at = now + 10 * STEP
    place = agreed(envelope, at)
    wrong = f"{(int(code_of(secret, at)) + 7) % 1_000_000:06}"

    for _try in range(5):
        with pytest.raises(Invalid):
            check(place, wrong, at)
    with pytest.raises(TooMany):
        check(place, code_of(secret, at), at)
    check(place, code_of(secret, at), at, source="198.51.100.9")


def test_fifty_confirmations_of_one_enrolment_make_one_app(envelope, now):
    place = agreed(envelope, now)
    factors.check_code(place(), steps.send_code(place, now), by=place().actor(), now=now)
    secret = outside_factors.seed(place())

    def press():
        factors.enrol(place(), code_of(secret, now), source="192.0.2.1", by=place().actor(), now=now)

    done, _refused = steps.at_once([press] * 20)

    assert done == 1
    assert OutsideFactor.select().count() == 1


def test_the_app_belongs_to_company_and_address(envelope, cast, now, run_jobs):
    enrol(agreed(envelope, now), now)
    other = ready(cast, now, [theirs(), ours(cast)])
    Contract.update(counterparty=cast.stranger_company).where(Contract.id == other.id).execute()
    others = sent(cast, now, run_jobs, Contract.get_by_id(other.id))

    def app(of):
        return outside_factors.newest(*outside_factors.owner_of(of.contract, recipient(of, "claire")))

    assert app(envelope) is not None
    assert app(others) is None


def test_a_new_phone_ends_the_old_app_at_once_and_the_new_one_waits_a_day(envelope, cast, now):
    secret = enrol(agreed(envelope, now), now)
    who = recipient(envelope, "claire")
    place = agreed(envelope, now)

    with pytest.raises(Invalid):
        outside_factors.replace(envelope.contract, who.id, reason=" ", by=actor(cast.ana), now=now)
    outside_factors.replace(
        envelope.contract, who.id, reason="Telephoned the number on file", by=actor(cast.ana), now=now
    )

    with pytest.raises(NotFound):
        place()
    assert Notice.select().where(Notice.kind == "app_replaced").count() == 1
    later = now + timedelta(minutes=20)
    place = agreed(envelope, later)
    assert ceremonies.state(place(later), later) == "code"
    factors.check_code(place(later), steps.send_code(place, later), by=place(later).actor(), now=later)
    new = outside_factors.seed(place(later))
    assert new != secret
    factors.enrol(place(later), code_of(new, later), source="192.0.2.1", by=place(later).actor(), now=later)
    assert ceremonies.state(place(later), later) == "hold"
    with pytest.raises(Conflict):
        check(place, code_of(new, later), later)
    with pytest.raises(Conflict):
        steps.prepare(place, later)

    after = later + outside_factors.HOLD
    place = agreed(envelope, after)
    assert ceremonies.state(place(after), after) == "totp"
    with pytest.raises(Invalid):
        check(place, code_of(secret, after), after)
    check(place, code_of(new, after), after)


def test_only_this_contracts_recipients_can_be_helped(envelope, cast, now, run_jobs):
    other = sent(cast, now, run_jobs)

    with pytest.raises(NotFound):
        outside_factors.recipient_in(envelope.contract, recipient(other, "claire").id)


def test_a_handed_over_code_lets_somebody_without_a_phone_enrol(envelope, cast, now):
    Recipient.update(phone="").execute()
    place = agreed(envelope, now)
    assert ceremonies.state(place(), now) == "handed"
    code = outside_factors.hand_over(
        envelope.contract, recipient(envelope, "claire").id, by=actor(cast.ana), now=now
    )
    assert code.replace("-", "") not in str(list(EnrolmentCode.select().dicts()))

    with pytest.raises(Invalid):
        factors.check_handed(place(), "aaaaa-aaaaa", by=place().actor(), now=now)
    factors.check_handed(place(), f" {code.upper()} ", by=place().actor(), now=now)
    assert ceremonies.state(place(), now) == "enrol"
    secret = outside_factors.seed(place())
    factors.enrol(place(), code_of(secret, now), source="192.0.2.1", by=place().actor(), now=now)

    assert ceremonies.state(place(), now) == "read"
    assert [each["factor"] for each in factors.evidence(place())] == ["link", "handed_code", "totp"]
    assert factors.evidence(place())[-1]["enrolled"] == "mail_and_handed_code"
    with pytest.raises(Invalid):
        factors.check_handed(place(), code, by=place().actor(), now=now)


def test_a_handed_over_code_dies_after_two_days_or_five_tries(envelope, cast, now):
    Recipient.update(phone="").execute()
    who = recipient(envelope, "claire")
    code = outside_factors.hand_over(envelope.contract, who.id, by=actor(cast.ana), now=now)

    assert not outside_factors.try_handed(who, code.replace("-", ""), now + outside_factors.HANDED_LIFE)
    for _try in range(5):
        assert not outside_factors.try_handed(who, "wrong", now)
    assert not outside_factors.try_handed(who, code.replace("-", ""), now)


def test_after_signing_an_app_can_be_set_up_for_next_time(envelope, cast, now, run_jobs):
    steps.asks(envelope, "claire", "sms")
    place = agreed(envelope, now)
    factors.check_code(place(), steps.send_code(place, now), by=place().actor(), now=now)
    steps.prepare(place, now)
    steps.confirm(place, now)

    outside_factors.begin(place(), now)
    secret = outside_factors.seed(place())
    factors.enrol(place(), code_of(secret, now), source="192.0.2.1", by=place().actor(), now=now)

    assert OutsideFactor.get().proof == "after_signing"
    assert [each["factor"] for each in Act.get().factors] == ["link", "sms"]
    run_jobs(now)
    later = now + timedelta(days=30)
    second = sent(cast, later, run_jobs)
    steps.asks(second, "claire", "sms_or_totp")
    assert ceremonies.state(agreed(second, later)(later), later) == "totp"


def test_a_person_of_ours_uses_the_app_of_their_account(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs, ready(cast, now, [ours(cast, routing_order=1)]))
    steps.asks(envelope, "ana", "totp")
    secret = second_factors.new_secret()
    second_factors.enrol(cast.priya, secret)
    place = steps.enter(envelope, "ana", now)
    steps.agree(place, now)
    assert ceremonies.state(place(), now) == "totp"

    check(place, code_of(secret, now), now)

    assert ceremonies.state(place(), now) == "read"
    with pytest.raises(Invalid):
        check(place, code_of(secret, now), now)
