"""Where text messages stop: caps that many at once cannot pass, countries, numbers, and who is told."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import peewee
import pytest

from portal.channels.sms import segments
from portal.errors import Conflict, Invalid, TooMany
from portal.i18n import use
from portal.models import base
from portal.models.base import transaction
from portal.models.envelopes import PolicyRule, Recipient, Task
from portal.models.notices import Notice, SmsUse
from portal.models.people import Attempt
from portal.services import (
    ceremonies,
    envelopes,
    factors,
    installation,
    notices,
    outside_factors,
    policies,
    recipients,
    rendering,
    sms_numbers,
    sms_use,
)
from tests.services import ceremony_steps as steps
from tests.services.signing import actor, ready, recipient, send, sent, theirs
from tests.services.sms import leave_through
from tests.simulators import twilio
from tests.simulators.sms import running

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def remote(home):
    """Text messages leave; nothing is sent unless jobs run."""
    with running(twilio.Twilio()) as simulator:
        leave_through(simulator)
        yield simulator


@pytest.fixture
def envelope(cast, now, run_jobs):
    made = sent(cast, now, run_jobs)
    steps.asks(made, "claire", "sms_or_totp")
    return made


def cap(now, **values):
    sms_use.set_limits(sms_use.Limits(**values), by=actor_of_nobody(), now=now)


def actor_of_nobody():
    from portal.services.audit import SYSTEM

    return SYSTEM


def here(envelope, now, key="claire"):
    place = steps.enter(envelope, key, now)
    if place(now).consent is None:
        steps.agree(place, now)
    return place


def ask(place, now, source="192.0.2.1"):
    factors.send_code(place(now), by=place(now).actor(source), now=now)


def reserve(now):
    try:
        with transaction():
            sms_use.reserve("Code 123456", now)
    except (sms_use.SmsClosed, peewee.OperationalError):  # closed, or the database too busy: not sent
        return 0
    return 1


# --- The installation's cap -----------------------------------------------------------------


def test_ten_thousand_requests_send_no_more_than_the_cap(remote, cast, now):
    """S-30, from twelve threads that never rest. The short run makes a fifth of them."""
    each = 840 if os.environ.get("COUNTERSIGN_TEST_LONG") == "1" else 168
    cap(now, messages_a_month=500, messages_a_day=120)
    done, barrier = [], threading.Barrier(12)

    def press():
        barrier.wait()
        base.db.connect(reuse_if_open=True)
        try:
            done.append(sum(reserve(now) for _turn in range(each)))
        finally:
            base.db.close()

    threads = [threading.Thread(target=press) for _number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(done) == 12
    assert sum(done) == 120
    assert {row.messages for row in SmsUse.select()} == {120}


def test_fifty_signers_at_once_get_no_more_codes_than_the_cap(remote, cast, now, run_jobs):
    cap(now, messages_a_day=4)
    places = []
    for number in range(10):
        envelope = sent(cast, now, lambda at: run_jobs(at, strict=False))
        steps.asks(envelope, "claire", "sms_or_totp", phone=f"+3361234560{number}")
        places.append(here(envelope, now))

    done, refused = steps.at_once([lambda place=place: ask(place, now) for place in places * 5])

    assert (done, len(refused)) == (4, 46)
    assert Notice.select().where(Notice.kind == "signing_code").count() == 4
    assert Notice.select().where(Notice.kind == "sms_limit_reached").count() == 1


def test_an_amount_of_money_is_kept_to_the_cent(remote, now):
    cap(now, price=Decimal("0.07"), amount_a_month=Decimal("0.35"))

    assert [reserve(now) for _turn in range(7)] == [1, 1, 1, 1, 1, 0, 0]
    assert sms_use.use("month", now).amount == Decimal("0.35")


def test_a_new_day_and_a_new_month_begin_at_nothing(remote, now):
    cap(now, messages_a_month=3, messages_a_day=2)

    assert [reserve(now) for _turn in range(3)] == [1, 1, 0]
    assert [reserve(now + DAY) for _turn in range(2)] == [1, 0]
    assert reserve(now + 10 * DAY) == 1


def test_nothing_is_counted_while_messages_stay_in_the_house(envelope, now):
    ask(here(envelope, now), now)

    assert SmsUse.select().count() == 0
    assert Notice.get(Notice.kind == "signing_code").segments == 0


def test_at_the_cap_the_signer_gets_another_way_and_everybody_is_told_once(
    remote, cast, envelope, now, run_jobs
):
    cap(now, messages_a_month=500, messages_a_day=1)
    place = here(envelope, now)
    ask(place, now)
    for minutes in (3, 8, 30, 60):
        at = now + minutes * MINUTE
        with pytest.raises(sms_use.SmsClosed):
            ask(steps.enter(envelope, "claire", at), at)

    assert Task.get().kind == "no_texts"
    assert Task.select().count() == 1
    mails = [row.address for row in Notice.select().where(Notice.kind == "sms_limit_reached")]
    assert mails == [cast.ada.email]
    assert Notice.select().where(Notice.kind == "signer_task").count() == 1
    handed = outside_factors.hand_over(
        place(now).contract, place(now).recipient.id, by=actor(cast.ana), now=now
    )
    factors.check_handed(place(now), handed, by=place(now).actor(), now=now)
    assert ceremonies.state(place(now), now) == "enrol"
    assert Task.get().done_at is not None


def test_the_warning_comes_once_at_eighty_percent(remote, cast, now):
    cap(now, messages_a_month=100, messages_a_day=10)

    for _turn in range(7):
        reserve(now)
    assert Notice.select().count() == 0
    for _turn in range(3):
        reserve(now)

    rows = list(Notice.select())
    assert [row.kind for row in rows] == ["sms_near_limit"]
    assert "Sent so far: 8 of 10." in notices.read(rows[0])[0]


def test_a_raised_cap_opens_again_and_warns_anew(remote, cast, now):
    cap(now, messages_a_day=1)
    assert [reserve(now), reserve(now)] == [1, 0]

    cap(now, messages_a_day=10)
    assert reserve(now) == 1
    assert SmsUse.get(SmsUse.period == "2026-11-23").warned_at is None


def test_what_never_left_costs_nothing(remote, envelope, now, run_jobs):
    cap(now, price=Decimal("0.07"))
    remote.mood = "503"
    ask(here(envelope, now), now)
    assert sms_use.use("month", now).amount == Decimal("0.07")

    for minutes in range(1, 13):
        run_jobs(now + minutes * MINUTE, strict=False)

    assert sms_use.use("month", now).amount == 0
    assert sms_use.use("month", now).messages == 1


# --- Number, source, sender -------------------------------------------------------------------


def test_one_number_gets_six_codes_an_hour_whoever_asks(cast, now, run_jobs):
    sent_codes, refused = 0, 0
    for turn in range(4):
        envelope = sent(cast, now, run_jobs)
        steps.asks(envelope, "claire", "sms_or_totp")
        for minutes in (0, 2):
            at = now + minutes * MINUTE
            try:
                ask(here(envelope, at), at, f"192.0.2.{turn}")
                sent_codes += 1
            except TooMany:
                refused += 1

    assert (sent_codes, refused) == (6, 2)


def test_one_network_address_gets_thirty_codes_an_hour(cast, now, run_jobs):
    people = [theirs(f"p{n}", phone=f"+336123456{n:02}", routing_order=1) for n in range(39)]
    contract = ready(cast, now, [*people, theirs()])
    envelope = unchecked(cast, contract, now, run_jobs)
    outcomes = []
    for number in range(39):
        steps.asks(envelope, f"p{number}", "sms_or_totp")
        place = here(envelope, now, f"p{number}")
        try:
            ask(place, now, "198.51.100.7")
            outcomes.append(True)
        except TooMany:
            outcomes.append(False)

    assert sum(outcomes) == 30
    other = here(envelope, now, "p38")
    ask(other, now, "198.51.100.8")


def unchecked(cast, contract, now, run_jobs):
    """Sent although its PDF has no spot for so many."""
    from unittest import mock

    from portal.services import sendable

    with mock.patch.object(sendable, "gaps", return_value={}):
        return sent(cast, now, run_jobs, contract)


def test_fifty_at_once_to_one_number_are_six(cast, now, run_jobs):
    places = []
    for _turn in range(10):
        envelope = sent(cast, now, run_jobs)
        steps.asks(envelope, "claire", "sms_or_totp")
        places.append(here(envelope, now))

    done, _refused = steps.at_once([lambda place=place: ask(place, now) for place in places * 5])

    assert done == 6
    assert Attempt.select().where(Attempt.scope == "sms.number").count() == 6


def test_a_code_that_is_not_sent_counts_for_nobody(envelope, now):
    place = here(envelope, now)
    ask(place, now)
    for _press in range(20):
        with pytest.raises(TooMany):
            ask(place, now)

    assert Attempt.select().where(Attempt.scope.startswith("sms.")).count() == 3


# --- Countries and kinds of numbers ---------------------------------------------------------------


def test_codes_go_where_our_companies_and_the_other_parties_are(remote, cast, now):
    assert sms_use.countries() == {"GB", "FR", "US"}
    assert sms_numbers.why_not("+33612345638") == ""
    assert "do not go to this country" in sms_numbers.why_not("+4915112345678")

    cap(now, countries=("DE",))
    assert sms_numbers.why_not("+4915112345678") == ""
    assert "do not go to this country" in sms_numbers.why_not("+33612345638")


def test_countries_do_not_matter_while_messages_stay_here(cast):
    assert sms_numbers.why_not("+4915112345678") == ""


def test_a_number_in_a_closed_country_is_led_to_another_way(remote, envelope, now):
    place = here(envelope, now)
    cap(now, countries=("GB",))

    assert ceremonies.state(place(now), now) == "handed"
    with pytest.raises(Conflict):
        ask(place, now)


@pytest.mark.parametrize("number", ["+442079460100", "+33987654321", "+33899123456", "+881612345678"])
def test_a_fixed_or_paid_number_is_refused_beside_the_field(cast, now, number):
    contract = ready(cast, now)
    Recipient.delete().execute()
    person = theirs("p9", email="quince@castellan.example", phone=number, role="copy")

    with pytest.raises(Invalid) as refused:
        recipients.add(contract, person, by=actor(cast.ana), now=now)

    assert list(refused.value.errors) == ["phone"]


def test_a_correction_to_a_fixed_line_is_refused(cast, envelope, now):
    who = recipient(envelope, "claire")

    with pytest.raises(Invalid) as refused:
        recipients.correct(
            who, name=who.name, email=who.email, phone="+442079460100", by=actor(cast.ana), now=now
        )

    assert "fixed line" in refused.value.errors["phone"]


# --- A changed number ---------------------------------------------------------------------------


def again(cast, envelope, now, run_jobs, **changes):
    """Withdrawn, the list changed, and sent anew."""
    contract = envelope.contract
    envelopes.void(envelope, reason="A wrong number", by=actor(cast.ana), now=now)
    people = [{**p, **changes} if p["key"] == "claire" else p for p in contract.recipients]
    contract = type(contract).get_by_id(contract.id)
    type(contract).update(recipients=people).where(type(contract).id == contract.id).execute()
    made = sent(cast, now, run_jobs, type(contract).get_by_id(contract.id))
    steps.asks(made, "claire", "sms_or_totp")
    return made


def test_withdrawing_and_sending_anew_with_another_number_waits_a_day(cast, envelope, now, run_jobs):
    second = again(cast, envelope, now + HOUR, run_jobs, phone="+33698765499")
    sent_at = now + HOUR

    assert recipient(second, "claire").phone_from == sent_at + factors.NUMBER_HOLD
    assert ceremonies.state(here(second, sent_at)(sent_at), sent_at) == "handed"
    with pytest.raises(Conflict):
        ask(here(second, sent_at), sent_at)

    later = sent_at + factors.NUMBER_HOLD
    ask(here(second, later), later)


def test_sending_anew_again_shortens_nothing_and_another_name_hides_nothing(cast, envelope, now, run_jobs):
    second = again(cast, envelope, now + HOUR, run_jobs, phone="+33698765499")
    third = again(cast, second, now + 2 * HOUR, run_jobs, name="C. Aubert")

    assert recipient(third, "claire").phone_from == now + HOUR + factors.NUMBER_HOLD

    fourth = again(cast, third, now + 3 * HOUR, run_jobs, phone="")
    fifth = again(cast, fourth, now + 4 * HOUR, run_jobs, phone="+33698765499")
    assert recipient(fifth, "claire").phone_from == now + 4 * HOUR + factors.NUMBER_HOLD


def test_the_same_number_and_other_people_wait_for_nothing(cast, envelope, now, run_jobs):
    second = again(cast, envelope, now + HOUR, run_jobs)
    assert recipient(second, "claire").phone_from is None

    third = again(
        cast, second, now + 2 * HOUR, run_jobs, email="marc@castellan.example", phone="+33698765412"
    )
    assert recipient(third, "claire").phone_from is None


def test_a_number_that_is_not_theirs_stays_so_when_sent_anew(cast, envelope, now, run_jobs):
    place = here(envelope, now)
    factors.not_my_number(place(now), by=place(now).actor(), now=now)

    second = again(cast, envelope, now + HOUR, run_jobs)

    assert recipient(second, "claire").problem == "not_mine"
    at = now + HOUR
    assert ceremonies.state(here(second, at)(at), at) == "handed"


# --- Mails that leave without text messages ---------------------------------------------------------


@pytest.fixture
def mails_leave(home):
    home.settings = replace(home.settings, mail_url="smtp://127.0.0.1:9")


def test_a_text_message_that_cannot_leave_is_refused_before_sending(cast, now, mails_leave):
    policies.seed(now)
    PolicyRule.update(factor="sms").where(PolicyRule.name == "Value over EUR 50,000").execute()
    contract = ready(cast, now, value_amount=Decimal(60_000))

    with pytest.raises(Invalid) as refused:
        send(cast, now, contract)

    said = refused.value.errors["recipient-claire"]
    assert "Claire Aubert must pass “Code by text message”" in said
    assert "connects a gateway" in said
    assert "authenticator app" in said


def test_where_people_may_choose_they_are_led_to_an_app(cast, now, run_jobs, mails_leave):
    envelope = sent(cast, now, lambda at: run_jobs(at, strict=False))
    steps.asks(envelope, "claire", "sms_or_totp")
    place = here(envelope, now)

    assert ceremonies.state(place(now), now) == "handed"
    with pytest.raises(Conflict):
        ask(place, now)


def test_once_a_gateway_is_connected_the_same_request_goes(cast, now, remote, mails_leave):
    policies.seed(now)
    PolicyRule.update(factor="sms").where(PolicyRule.name == "Value over EUR 50,000").execute()
    leave_through(remote)

    send(cast, now, ready(cast, now, value_amount=Decimal(60_000)))


def test_an_installation_that_keeps_everything_stays_as_it_is(cast, now):
    policies.seed(now)
    PolicyRule.update(factor="sms").where(PolicyRule.name == "Value over EUR 50,000").execute()

    send(cast, now, ready(cast, now, value_amount=Decimal(60_000)))


# --- The words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("company", ["Larkfield Software Ltd", "Société Générale des Logiciels de l’Île"])
def test_a_code_fits_one_part_and_ends_with_the_bound_code(language, company):
    context = {
        "company": {"name": company}, "code": "042137", "reference": "LF-2026-0147", "minutes": 10,
        "host": "contracts.larkfield.example",
    }  # fmt: skip

    text = rendering.sms("signing_code", language, None, context).text

    assert segments.count(text) == 1
    assert segments.is_narrow(text)
    assert text.endswith("\n@contracts.larkfield.example #042137")
    assert text.splitlines()[-1] == "@contracts.larkfield.example #042137"
    assert text.count("042137") == 2


@pytest.mark.parametrize(
    ("base_url", "host"),
    [("https://contracts.example.com", "contracts.example.com"),
     ("https://contracts.example.com:8443", "contracts.example.com"), ("http://127.0.0.1:8000", "127.0.0.1")],
)  # fmt: skip
def test_the_host_of_the_bound_code_has_no_port(home, envelope, now, base_url, host):
    home.settings = replace(home.settings, base_url=base_url)
    ask(here(envelope, now), now)

    text = notices.read(Notice.get(Notice.kind == "signing_code"))[0]

    assert text.splitlines()[-1].split(" ")[0] == f"@{host}"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_mails_about_limits_are_written_in_both_languages(home, cast, now, language):
    with use(language):
        for kind in ("sms_near_limit", "sms_limit_reached"):
            for span in ("month", "day"):
                within = sms_use.Use(8, 10, Decimal("0.56"), Decimal("0.70") if span == "month" else None)
                made = rendering.mail(
                    kind, language, None,
                    {"name": "Ada", "company": notices.company(), "url": notices.url, "span": span,
                     "use": within, "currency": "EUR", "link": "https://x.example/"},
                )  # fmt: skip
                assert "%%" not in made.text
                assert made.subject
    assert installation.current() is home
