"""One suite for every text message gateway, against simulators that misbehave on request."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal.channels import Message, Rejected, Unavailable, sms
from portal.channels.sms import http, numbers, segments
from portal.channels.sms.interface import DELIVERED, LOOK, ON_ITS_WAY, RETURNED, BadSignature, Call
from portal.channels.sms.reasons import SENTENCES, reason, said
from tests.simulators import sms_webhook, twilio, vonage
from tests.simulators.sms import Report, running

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
REPORTS_TO = "https://contracts.example.com/webhooks/sms/"
SIMULATORS: dict[str, Any] = {
    "twilio": twilio.Twilio, "vonage": vonage.Vonage, "webhook": sms_webhook.SmsWebhook,
}  # fmt: skip
SECRETS = (twilio.TOKEN, vonage.SECRET, vonage.SIGNATURE_SECRET, sms_webhook.KEY)


@pytest.fixture(params=list(SIMULATORS))
def remote(request):
    with running(SIMULATORS[request.param]()) as simulator:
        if request.param == "webhook":
            simulator.clock = lambda: NOW.timestamp()
        simulator.kind = request.param
        yield simulator


@pytest.fixture
def gateway(remote):
    return sms.gateway(remote.address(), REPORTS_TO + remote.kind)


def message(**changes):
    return Message(**{"id": "notice1", "to": "+33612345638", "text": "Larkfield: 987654", **changes})


def call(report: Report) -> Call:
    return Call(report.url, report.headers, report.body)


# --- Sending ------------------------------------------------------------------------------------


def test_a_message_arrives_as_it_was_written(gateway, remote):
    remote_id = gateway.send(message(text="Larkfield : 123456 €"))

    taken = remote.taken[0]
    assert (taken.to, taken.text) == ("+33612345638", "Larkfield : 123456 €")
    assert remote_id in (None, taken.id)
    assert taken.reports_to.startswith(REPORTS_TO + remote.kind)


def test_without_a_public_address_no_report_is_asked_for(remote):
    sms.gateway(remote.address()).send(message())

    assert remote.taken[0].reports_to == ""


@pytest.mark.parametrize("mood", ["429", "503"])
def test_a_busy_gateway_is_left_alone_as_long_as_it_asks(gateway, remote, mood):
    remote.mood = mood

    with pytest.raises(Unavailable) as refused:
        gateway.send(message())

    assert refused.value.after == timedelta(seconds=7)
    assert not refused.value.may_be_taken
    assert said(str(refused.value)).startswith("the gateway is overloaded")


def test_a_wrong_password_waits_for_an_administrator(gateway, remote):
    remote.mood = "401"

    with pytest.raises(Unavailable, match="credentials"):
        gateway.send(message())


@pytest.mark.parametrize("mood", ["500", "reset", "half", "garbage", "hang"])
def test_a_lost_answer_leaves_it_open_whether_it_was_taken(gateway, remote, mood, monkeypatch):
    monkeypatch.setattr(http, "SECONDS", (1, 0.3))
    remote.mood = mood
    if remote.kind == "webhook" and mood in ("garbage", "half"):
        pytest.skip("any 2xx means taken, whatever its body")

    with pytest.raises(Unavailable) as lost:
        gateway.send(message())

    assert lost.value.may_be_taken
    assert len(remote.taken) == 1


def test_after_a_lost_answer_it_is_found_or_dropped_where_the_gateway_offers_that(gateway, remote):
    remote.moods = ["500"]
    with pytest.raises(Unavailable):
        gateway.send(message())

    found = gateway.find(message(), NOW)
    if gateway.on_doubt == LOOK:
        assert found == remote.taken[0].id
        assert gateway.find(message(text="another"), NOW) is None
    else:
        assert found is None


def test_nobody_at_the_address_has_taken_nothing(gateway, remote):
    from tests.processes import free_port

    away = sms.gateway(remote.address().replace(remote.host, f"127.0.0.1:{free_port()}"))

    with pytest.raises(Unavailable, match="unreachable") as refused:
        away.send(message())
    assert not refused.value.may_be_taken


@pytest.mark.parametrize("number", list(twilio.REFUSED))
def test_a_number_that_cannot_be_texted_is_refused_for_good_in_plain_words(gateway, remote, number):
    with pytest.raises(Rejected) as refused:
        gateway.send(message(to=number))

    assert str(refused.value).split(" ")[0] in SENTENCES
    assert remote.taken == []


@pytest.mark.parametrize(
    ("code", "word"),
    [("+15005550001", "invalid"), ("+15005550003", "country"), ("+15005550004", "opted_out")],
)
def test_the_vendors_numbers_say_why(code, word):
    for made, name in ((twilio.Twilio(), "twilio"), (vonage.Vonage(), "vonage")):
        with running(made) as remote, pytest.raises(Rejected) as refused:
            sms.gateway(remote.address()).send(message(to=code))
        assert str(refused.value).startswith(word), name


def test_the_account_is_tried_without_sending(gateway, remote):
    gateway.check()

    assert remote.taken == []


def test_a_suspended_account_and_wrong_keys_are_told_apart():
    with running(twilio.Twilio(status="suspended")) as remote:
        with pytest.raises(Rejected, match="account"):
            sms.gateway(remote.address()).check()
        with pytest.raises(Unavailable, match="credentials 20003"):
            sms.gateway(remote.address().replace(twilio.TOKEN, "wrong")).check()
    with running(vonage.Vonage()) as remote, pytest.raises(Unavailable, match="credentials"):
        sms.gateway(remote.address().replace(vonage.SECRET, "wrong")).check()


def test_a_messaging_service_takes_the_place_of_a_number():
    with running(twilio.Twilio()) as remote:
        sms.gateway(remote.address().split("?")[0] + "?service=MG" + "0" * 32).send(message())
        assert len(remote.taken) == 1


def test_only_this_machine_is_spoken_to_without_encryption():
    assert http.base("api.twilio.com", None) == "https://api.twilio.com"
    assert http.base("127.0.0.1", 9011) == "http://127.0.0.1:9011"
    assert http.base("10.0.0.1", 80) == "https://10.0.0.1:80"
    assert http.base("127.0.0.1.evil.example", None).startswith("https://")


def test_an_endless_answer_is_cut_off():
    def endless(environ, start):
        start("201 Created", [("Content-Type", "application/json")])
        return (b" " * 65536 for _ in range(200))

    with running(endless_simulator(endless)) as remote, pytest.raises(Unavailable) as lost:
        sms.gateway(f"twilio://AC1:t@{remote.host}?from=X").send(message())
    assert lost.value.may_be_taken


def endless_simulator(application):
    class Endless(twilio.Twilio):
        def __call__(self, environ, start):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return application(environ, start)

    return Endless()


def test_no_secret_stands_in_errors_logs_or_names(gateway, remote, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(http, "SECONDS", (1, 0.3))
    words = [repr(gateway)]
    for mood in ("401", "429", "500", "reset", "garbage"):
        remote.mood = mood
        for act in (lambda: gateway.send(message()), gateway.check):
            try:
                act()
            except (Unavailable, Rejected) as error:
                words += [str(error), repr(error.__cause__)]

    everything = " ".join(words) + caplog.text
    assert not [secret for secret in SECRETS if secret in everything]
    assert "987654" not in everything


@pytest.mark.parametrize(
    ("given", "after"), [("7", 7), ("0", 1), ("999999", 3600), ("soon", None), ("", None), ("-5", None)]
)
def test_how_long_to_wait_is_read_with_care(given, after):
    found = http.rest({"Retry-After": given})

    assert found == (None if after is None else timedelta(seconds=after))


# --- Receipts -----------------------------------------------------------------------------------


@pytest.fixture
def taken(gateway, remote):
    gateway.send(message())
    return remote.taken[0]


WORDS = {
    "twilio": {"sent": ON_ITS_WAY, "delivered": DELIVERED, "undelivered": RETURNED, "failed": RETURNED},
    "vonage": {"submitted": ON_ITS_WAY, "delivered": DELIVERED, "rejected": RETURNED,
               "undeliverable": RETURNED},
    "webhook": {"sent": ON_ITS_WAY, "delivered": DELIVERED, "undelivered": RETURNED, "failed": RETURNED},
}  # fmt: skip


def test_every_state_is_understood_and_names_our_message(gateway, remote, taken):
    for word, outcome in WORDS[remote.kind].items():
        receipt = gateway.receipt(call(remote.report(taken, word)), NOW)

        assert (receipt.outcome, receipt.message_id) == (outcome, "notice1")
        assert bool(receipt.reason) == (outcome == RETURNED)


def test_why_it_came_back_is_one_of_our_words(gateway, remote, taken):
    word, number = {"twilio": ("undelivered", 30003), "vonage": ("rejected", 1180),
                    "webhook": ("undelivered", 1)}[remote.kind]  # fmt: skip

    receipt = gateway.receipt(call(remote.report(taken, word, number)), NOW)

    assert receipt.reason == reason("off", number)
    assert said(receipt.reason).startswith("number switched off")


def test_an_unknown_word_is_left_alone_with_a_line_in_the_log(gateway, remote, taken, caplog):
    assert gateway.receipt(call(remote.report(taken, "teleported")), NOW) is None
    assert "unknown status" in caplog.text


def test_a_price_comes_with_the_receipt_or_is_asked_for(gateway, remote, taken):
    taken.price = "0.0700"
    report = remote.report(taken, "delivered")

    receipt = gateway.look_up(taken.id) if gateway.can_be_asked else gateway.receipt(call(report), NOW)

    assert (receipt.price, receipt.currency) == (Decimal("0.0700"), "EUR")


def test_what_was_changed_on_its_way_is_refused(gateway, remote, taken):
    report = remote.report(taken, "delivered")
    without = {name: value for name, value in report.headers.items() if name == "Content-Type"}

    for wrong in (
        remote.forged(report),
        Report(report.url, without, report.body),
        Report(report.url, report.headers, report.body + b" "),
        Report(report.url, report.headers, b""),
    ):
        with pytest.raises(BadSignature):
            gateway.receipt(call(wrong), NOW)


def test_every_byte_of_a_receipt_counts(gateway, remote, taken):
    report = remote.report(taken, "delivered")

    for at in range(len(report.body)):
        changed = report.body[:at] + bytes([report.body[at] ^ 1]) + report.body[at + 1 :]
        with pytest.raises(BadSignature):
            gateway.receipt(call(Report(report.url, report.headers, changed)), NOW)


def test_a_key_that_is_not_ours_signs_nothing(gateway, remote, taken, monkeypatch):
    for module, name in ((twilio, "TOKEN"), (sms_webhook, "KEY"), (vonage, "KEY")):
        monkeypatch.setattr(module, name, "another-key-of-somebody-else")
    report = remote.report(taken, "delivered")

    with pytest.raises(BadSignature):
        gateway.receipt(call(report), NOW)


def test_twilio_signs_the_address_too():
    with running(twilio.Twilio()) as remote:
        gateway = sms.gateway(remote.address(), REPORTS_TO + "twilio")
        gateway.send(message())
        report = remote.report(remote.taken[0], "delivered")

    elsewhere = report.url.replace("message=notice1", "message=notice2")
    with pytest.raises(BadSignature):
        gateway.receipt(call(Report(elsewhere, report.headers, report.body)), NOW)


@pytest.mark.parametrize(
    "changes",
    [{"api_key": "other"}, {"payload_hash": "0" * 64}, {"payload_hash": None}, {"api_key": None}],
)
def test_a_vonage_token_must_name_the_account_and_these_bytes(changes):
    import hashlib

    gateway = sms.gateway(vonage.Vonage(url="http://127.0.0.1:1").address())
    body = b'{"status":"delivered","client_ref":"notice1"}'
    claims = {"api_key": vonage.KEY, "payload_hash": hashlib.sha256(body).hexdigest()}

    def answer(token):
        return gateway.receipt(Call("", {"Authorization": f"Bearer {token}"}, body), NOW)

    assert answer(vonage.token(claims)).outcome == DELIVERED
    for token in (
        vonage.token(claims | changes),
        vonage.token(claims, algorithm="none"),
        vonage.token(claims, secret="another-secret-another-secret-1234"),
        "a.b", "", "x" * 3000,
    ):  # fmt: skip
        with pytest.raises(BadSignature):
            answer(token)


def test_the_address_of_the_older_api_of_vonage_leads_to_the_newer_one():
    gateway = sms.gateway("vonage://key:secret@rest.nexmo.com?from=Larkfield")

    assert gateway.base == "https://api.nexmo.com"


def test_without_a_signature_secret_no_report_of_vonage_is_believed():
    with running(vonage.Vonage()) as remote:
        url = remote.address().split("&signature_secret")[0]
        gateway = sms.gateway(url, REPORTS_TO + "vonage")
        gateway.send(message())

        with pytest.raises(BadSignature):
            gateway.receipt(call(remote.report(remote.taken[0], "delivered")), NOW)


def test_an_old_report_of_a_web_hook_is_refused():
    with running(sms_webhook.SmsWebhook(clock=lambda: NOW.timestamp())) as remote:
        gateway = sms.gateway(remote.address(), REPORTS_TO + "webhook")
        gateway.send(message())
        report = remote.report(remote.taken[0], "delivered")

    assert gateway.receipt(call(report), NOW + timedelta(minutes=4)) is not None
    for at in (NOW + timedelta(minutes=6), NOW - timedelta(minutes=6)):
        with pytest.raises(BadSignature):
            gateway.receipt(call(report), at)


# --- Addresses, letters, numbers ------------------------------------------------------------------


def test_an_address_is_made_of_what_was_typed_and_read_back():
    made = sms.address("twilio", {"account": "AC1", "token": "p/w:@", "sender": "+447", "host": "h.example"})
    service = sms.address("twilio", {"account": "AC1", "token": "t", "sender": "MG9", "host": "h.example"})
    own = sms.address("webhook", {"address": "https://sms.example/a?b=c", "token": "k@y/1"})

    gateway = sms.gateway(made)
    assert (gateway.account, gateway.token, gateway.sender) == ("AC1", "p/w:@", "+447")
    assert "service=MG9" in service
    assert (sms.gateway(own).url, sms.gateway(own).key) == ("https://sms.example/a?b=c", b"k@y/1")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2),
        ("ê" * 70, 1), ("ê" * 71, 2), ("à" * 160, 1), ("😀" * 35, 1), ("😀" * 36, 2),
    ],
)  # fmt: skip
def test_parts_are_counted_as_they_are_paid(text, parts):
    assert segments.count(text) == parts


def test_letters_outside_the_alphabet_are_written_plainer():
    assert segments.narrowed("L’été à Nîmes «\u00a0ça\u00a0» œuf…") == 'L\'été à Nimes " ca " oeuf...'
    assert segments.narrowed("Договор") == "Договор"


@pytest.mark.parametrize(
    ("number", "word"),
    [
        ("+33612345638", ""), ("+447400123456", ""), ("+4915112345678", ""), ("+12025550100", ""),
        ("+442079460100", "fixed"), ("+33899123456", "premium"), ("+33987654321", "internet"),
        ("+881612345678", "satellite"), ("+870773111632", "satellite"), ("+447600123456", "pager"),
        ("+33", "invalid"), ("hello", "invalid"),
    ],
)  # fmt: skip
def test_codes_go_to_mobile_numbers_only(number, word):
    assert numbers.why_not(number) == word


def test_countries_are_told_by_the_number():
    assert numbers.is_written_to("+33612345638", {"FR"})
    assert not numbers.is_written_to("+4915112345678", {"FR", "GB"})
    assert numbers.is_written_to("+4915112345678", ())
