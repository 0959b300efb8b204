"""The page of text messages, and the address where gateways report."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from portal.clock import utc_now
from portal.models.audit import AuditEvent, InstallationFact
from portal.models.contracts import Revision
from portal.models.notices import Notice
from portal.models.people import Person, Session
from portal.services import gateways, sms_use
from portal.sla.terms import empty
from tests.cast import sign_in
from tests.services import ceremony_steps as steps
from tests.services.signing import sent
from tests.services.sms import PUBLIC, leave_through
from tests.simulators import sms_webhook, twilio, vonage
from tests.simulators.sms import running

PAGE = "/settings/text-messages"


@pytest.fixture
def ada(app, cast):
    """An administrator's browser that has just proved a code."""
    client = app.test_client()
    Person.update(phone="+447400123456").where(Person.id == cast.ada.id).execute()
    sign_in(client, cast.ada, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()
    return client


@pytest.fixture
def remote(home):
    with running(twilio.Twilio()) as simulator:
        yield simulator


def typed(remote, **changes):
    return {"account": twilio.ACCOUNT, "token": twilio.TOKEN, "sender": "+44 7400 123456",
            "host": remote.host, **changes}  # fmt: skip


def test_before_anything_is_connected_the_page_says_what_happens_meanwhile(ada):
    page = ada.get(PAGE)

    assert page.status_code == 200
    assert "Text messages stay on this machine" in page.text
    assert f'href="{PAGE}/twilio"' in page.text
    assert "This month: 0 of 500 messages" in page.text
    assert "France" in page.text
    assert PAGE in ada.get("/settings").text


def test_a_gateway_is_tried_before_it_is_kept_and_its_key_never_shown(ada, remote):
    answer = ada.post(f"{PAGE}/twilio", data=typed(remote))

    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert gateways.in_force("sms").is_real
    assert remote.asked == 1
    assert remote.taken == []
    page = ada.get(PAGE).text
    assert "Twilio" in page
    assert "+447400123456" in page
    form = ada.get(f"{PAGE}/twilio").text
    kept = str(InstallationFact.get(InstallationFact.name == "gateway_sms").value)
    assert twilio.TOKEN not in page + form + kept
    assert AuditEvent.select().where(AuditEvent.act == "gateway.connected").count() == 1


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"token": "wrong"}, "token", "refuses our name and password"),
        ({"account": ""}, "account", "Fill this in"),
        ({"account": "SK123"}, "account", "An account SID is AC"),
        ({"sender": "much too long a name"}, "sender", "Write a number with +"),
        ({"host": "https://api.twilio.com/"}, "host", "the name of the server only"),
        ({"token": "x" * 300}, "token", "Shorten this"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    ada, remote, changes, field, reason, headers
):
    answer = ada.post(f"{PAGE}/twilio", data=typed(remote, **changes), headers=headers)

    assert answer.status_code == 422
    note = answer.text.split(f'id="{field}-reason">')[1].split("<")[0]
    assert reason in note
    if field != "sender":
        assert 'value="+44 7400 123456"' in answer.text
    assert twilio.TOKEN not in answer.text
    assert not gateways.in_force("sms").is_real


def test_a_gateway_nobody_answers_for_is_not_kept(ada, remote):
    answer = ada.post(f"{PAGE}/twilio", data=typed(remote, host="127.0.0.1:9"))

    assert answer.status_code == 422
    assert "cannot be reached" in answer.text


def test_vonage_and_a_gateway_of_ones_own_are_connected_too(ada):
    with running(vonage.Vonage()) as remote:
        data = {"account": vonage.KEY, "token": vonage.SECRET, "sender": "Larkfield", "host": remote.host,
                "signature_secret": vonage.SIGNATURE_SECRET}  # fmt: skip
        assert ada.post(f"{PAGE}/vonage", data=data).status_code == 303
    assert "Vonage" in ada.get(PAGE).text

    for address in ("http://sms.example/x", "ftp://sms.example", "https://key@sms.example/", "nonsense"):
        wrong = ada.post(f"{PAGE}/webhook", data={"address": address, "token": "0123456789abcdef"})
        assert wrong.status_code == 422
    assert (
        ada.post(f"{PAGE}/webhook", data={"address": "https://sms.example/", "token": "short"}).status_code
        == 422
    )
    own = {"address": "https://sms.example/send", "token": sms_webhook.KEY}
    assert ada.post(f"{PAGE}/webhook", data=own).status_code == 303
    assert "sms.example" in ada.get(PAGE).text
    assert ada.post(f"{PAGE}/disconnection").status_code == 303
    assert not gateways.in_force("sms").is_real
    assert ada.post(f"{PAGE}/disconnection").status_code == 409


def test_what_the_environment_sets_is_shown_and_stays(ada, home, remote):
    leave_through(remote, public=False)

    page = ada.get(PAGE).text

    assert "Set where the portal is started" in page
    assert f'href="{PAGE}/vonage"' not in page
    assert ada.get(f"{PAGE}/twilio").status_code == 409
    assert ada.post(f"{PAGE}/twilio", data=typed(remote)).status_code == 409
    assert ada.post(f"{PAGE}/disconnection").status_code == 409


def test_sample_data_says_that_messages_stay_here(ada, home, remote):
    home.settings.sample_marker.write_text("invented")

    assert "holds sample data" in ada.get(PAGE).text
    assert ada.post(f"{PAGE}/twilio", data=typed(remote)).status_code == 409


# --- The test message ---------------------------------------------------------------------------


def test_a_test_message_shows_what_became_of_it(ada, home, remote, run_jobs):
    leave_through(remote, public=False)

    answer = ada.post(f"{PAGE}/test", headers={"HX-Request": "true"})

    assert answer.status_code == 200
    assert answer.text.startswith('<section id="test"')
    assert "waiting to go out" in answer.text
    assert 'hx-trigger="load delay:3s"' in answer.text
    run_jobs(utc_now())
    assert remote.taken[0].to == "+447400123456"
    assert "this is the test message you asked for" in remote.taken[0].text
    assert "handed to the gateway" in ada.get(PAGE).text
    remote.taken[0].status, remote.taken[0].error = "undelivered", 30003
    run_jobs(utc_now() + timedelta(seconds=20), strict=False)
    page = ada.get(PAGE, headers={"HX-Request": "true"}).text
    assert "not delivered: number switched off or out of reach (30003)" in page
    assert "hx-trigger" not in page


def test_without_javascript_it_comes_back_to_the_page(ada, remote):
    answer = ada.post(f"{PAGE}/test")

    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)


def test_test_messages_are_limited_and_need_a_number_of_ones_own(ada, cast, remote):
    leave_through(remote, public=False)
    for _turn in range(5):
        assert ada.post(f"{PAGE}/test").status_code == 303
    assert ada.post(f"{PAGE}/test").status_code == 429

    Person.update(phone="").where(Person.id == cast.ada.id).execute()
    assert "Add your mobile number" in ada.get(PAGE).text
    assert ada.post(f"{PAGE}/test").status_code == 409
    Person.update(phone="+442079460100").where(Person.id == cast.ada.id).execute()
    assert "fixed line" in ada.post(f"{PAGE}/test").text


# --- Limits -----------------------------------------------------------------------------------------

LIMITS = {"messages_a_month": "500", "messages_a_day": "50", "price": "0.07", "currency": "EUR",
          "amount_a_month": "35", "countries": "fr, GB; de"}  # fmt: skip


def test_limits_are_typed_in_and_shown_as_sums(ada, remote, home):
    assert ada.post(f"{PAGE}/limits", data=LIMITS).status_code == 303

    found = sms_use.limits()
    assert (found.messages_a_day, str(found.price), found.countries) == (50, "0.07", ("DE", "FR", "GB"))
    leave_through(remote, public=False)
    for _turn in range(3):
        sms_use.reserve("Code 123456", utc_now())
    page = ada.get(PAGE).text
    assert "This month: 3 of 500 messages, EUR\xa00.21 of EUR\xa035.00." in page
    assert "Germany" in page
    form = ada.get(f"{PAGE}/limits").text
    assert 'value="DE, FR, GB"' in form
    assert AuditEvent.select().where(AuditEvent.act == "sms_limits.changed").count() == 1


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"messages_a_month": ""}, "messages_a_month"), ({"messages_a_day": "-1"}, "messages_a_day"),
        ({"price": "much"}, "price"), ({"price": ""}, "price"), ({"currency": "XXX"}, "currency"),
        ({"countries": "FR, Atlantis"}, "countries"), ({"amount_a_month": "x"}, "amount_a_month"),
    ],
)  # fmt: skip
def test_wrong_limits_are_refused_beside_the_field(ada, changes, field, headers):
    answer = ada.post(f"{PAGE}/limits", data=LIMITS | changes, headers=headers)

    assert answer.status_code == 422
    assert f'id="{field}-reason"' in answer.text
    assert 'value="50"' in answer.text or field == "messages_a_day"
    assert sms_use.limits() == sms_use.Limits()


def test_a_reached_limit_stands_on_top_of_the_page(ada, remote):
    leave_through(remote, public=False)
    ada.post(f"{PAGE}/limits", data=LIMITS | {"messages_a_day": "1"})
    sms_use.reserve("Code 123456", utc_now())

    assert "No more text messages are sent" in ada.get(PAGE).text


# --- Who may -----------------------------------------------------------------------------------------


def test_it_is_read_by_those_who_oversee_and_changed_with_a_fresh_code(client, ada, cast, remote):
    assert client.get(PAGE).status_code in (303, 404)
    sign_in(client, cast.ana, utc_now())
    assert client.get(PAGE).status_code == 403
    assert client.post(f"{PAGE}/test").status_code == 403

    Session.update(stepped_up_at=None).execute()
    for path in ("/twilio", "/limits", "/test", "/disconnection"):
        answer = ada.post(PAGE + path, data=typed(remote))
        assert answer.headers["Location"].startswith("/step-up")
    assert Notice.select().count() == 0


# --- Reports ------------------------------------------------------------------------------------------


@pytest.fixture
def handed_over(app, cast, remote, run_jobs):
    """A code that Twilio took, and its report of delivery."""
    now = utc_now()
    envelope = sent(cast, now, run_jobs)
    steps.asks(envelope, "claire", "sms_or_totp")
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)
    leave_through(remote)
    steps.factors.send_code(place(now), by=place(now).actor("192.0.2.1"), now=now)
    run_jobs(now)
    return envelope, remote.report(remote.taken[0], "delivered")


def post(client, report, **changes):
    return client.post(
        report.url.removeprefix(PUBLIC), data=changes.get("body", report.body), headers=report.headers
    )


def test_a_signed_report_needs_no_form_token(app, handed_over):
    _envelope, report = handed_over
    app.config["WTF_CSRF_ENABLED"] = True

    answer = post(app.test_client(), report)

    assert (answer.status_code, answer.data) == (204, b"")
    assert Notice.get(Notice.kind == "signing_code").status == "delivered"


def test_a_report_that_is_not_signed_changes_nothing(app, handed_over, remote):
    _envelope, report = handed_over
    client = app.test_client()

    assert post(client, report, body=report.body + b"&x=1").status_code == 403
    assert client.post("/webhooks/sms/twilio", data=b"").status_code == 403
    assert client.post("/webhooks/sms/vonage", data=b"{}").status_code == 404
    assert client.post("/webhooks/sms/nexmo").status_code == 404
    assert client.get("/webhooks/sms/twilio").status_code == 405
    assert post(client, report, body=b"x" * 70_000).status_code == 413
    assert Notice.get(Notice.kind == "signing_code").status == "sent"


def test_the_owners_pages_show_what_became_of_the_newest_code(app, home, cast, handed_over, remote):
    envelope, _report = handed_over
    post(app.test_client(), remote.report(remote.taken[0], "undelivered", 30003))
    home.settings = replace(home.settings, base_url="")
    ana = app.test_client()
    sign_in(ana, cast.ana, utc_now())
    reference = envelope.contract.reference
    Revision.update(terms=empty("supplier")).execute()

    for path in (f"/contracts/{reference}", f"/contracts/{reference}/signing"):
        page = ana.get(path).text
        assert "Text message to the number ending 38: not delivered" in page
        assert "number switched off" in page
        assert remote.taken[0].text.rsplit("#")[1] not in page
    assert "A code by text message did not reach Claire Aubert" in ana.get(f"/contracts/{reference}").text
