"""The mail pages: a server is tried before it is kept, secrets are never shown, states are told in words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from portal.channels import smtp
from portal.clock import utc_now
from portal.models.contracts import Revision
from portal.models.notices import Notice
from portal.models.people import Session
from portal.services import gateways, mail_domains, mail_hooks, mail_setup, notices, return_box, revisions
from portal.services.audit import SYSTEM
from portal.services.installation import current
from tests.cast import sign_in
from tests.services.drafting import draft
from tests.services.signing import sent
from tests.services.test_mail_hooks import Mailgun
from tests.simulators import imap
from tests.simulators.imap import Mailroom
from tests.simulators.smtp import Post, certificate_for, running

PAGE = "/settings/mail"


@pytest.fixture
def ada(app, cast):
    """An administrator's browser that has just proved a code."""
    client = app.test_client()
    sign_in(client, cast.ada, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()
    return client


def typed(post=None, **changes):
    return {
        "host": "127.0.0.1", "port": str(post.port) if post else "25", "encryption": "none", "user": "",
        "password": "", "sender_name": "Larkfield Verträge", "sender_address": "c@larkfield.example",
        **changes,
    }  # fmt: skip


def kept():
    return gateways.in_force("mail")


# --- The server -------------------------------------------------------------------------------------


def test_a_server_that_works_is_kept_and_its_password_never_shown(ada):
    post = Post(known={"portal": "hush-hush"})
    with running(post):
        answer = ada.post(f"{PAGE}/server", data=typed(post, user="portal", password="hush-hush"))

    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert kept().url == f"smtp://portal:hush-hush@127.0.0.1:{post.port}?tls=none"
    assert kept().sender == '"Larkfield Verträge" <c@larkfield.example>'
    for path in (PAGE, f"{PAGE}/server"):
        page = ada.get(path)
        assert "hush-hush" not in page.text
        assert "127.0.0.1" in page.text
        assert "Larkfield Verträge" in page.text
    assert post.mails == []


def test_an_empty_password_keeps_the_present_one_for_the_same_server_only(ada):
    post = Post(known={"portal": "hush"})
    with running(post):
        ada.post(f"{PAGE}/server", data=typed(post, user="portal", password="hush"))
        again = ada.post(f"{PAGE}/server", data=typed(post, user="portal", sender_name="Other"))
        elsewhere = ada.post(f"{PAGE}/server", data=typed(post, host="localhost", user="portal"))

    assert again.status_code == 303
    assert "hush" in kept().url
    assert elsewhere.status_code == 422
    assert 'id="password-reason"' in elsewhere.text


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": ""}, "host"),
        ({"host": "https://smtp.example.com"}, "host"),
        ({"host": "smtp example"}, "host"),
        ({"host": "user@smtp.example"}, "host"),
        ({"host": "300.300.300.300"}, "host"),
        ({"port": "70000"}, "port"),
        ({"port": "smtp"}, "port"),
        ({"encryption": "magic"}, "encryption"),
        ({"host": "mail.example", "encryption": "none"}, "encryption"),
        ({"password": "x"}, "user"),
        ({"user": "portal"}, "password"),
        ({"sender_address": ""}, "sender_address"),
        ({"sender_address": "nobody"}, "sender_address"),
        ({"sender_address": "zoë@larkfield.example"}, "sender_address"),
        ({"sender_name": "x" * 101}, "sender_name"),
        ({"port": "9"}, "host"),
    ],
)
def test_what_cannot_be_right_is_said_beside_its_field_and_nothing_typed_is_lost(
    ada, changes, field, headers
):
    page = ada.post(f"{PAGE}/server", data=typed(**changes), headers=headers)

    assert page.status_code == 422
    assert f'id="{field}-reason"' in page.text
    if "sender_name" not in changes:
        assert "Larkfield Verträge" in page.text
    assert not kept().is_real


@pytest.mark.parametrize(
    ("post", "changes", "field", "words"),
    [
        (
            Post(known={"portal": "hush"}),
            {"user": "portal", "password": "no"},
            "password",
            "refused the name and",
        ),
        (Post(), {"encryption": "required"}, "encryption", "offers no encryption"),
        (Post(moods={"hello": "421 4.3.2 closing"}), {}, "host", "421 4.3.2 closing"),
        (Post(moods={"hello": "drop"}), {}, "host", "hung up"),
    ],
)
def test_a_server_that_fails_is_not_kept(ada, post, changes, field, words):
    with running(post):
        page = ada.post(f"{PAGE}/server", data=typed(post, **changes))

    assert page.status_code == 422
    reason = page.text.split(f'id="{field}-reason">')[1].split("</p>")[0]
    assert words in reason
    assert not kept().is_real


def test_a_certificate_that_nobody_trusts_is_said_beside_the_encryption(ada, tmp_path):
    context, _file = certificate_for(tmp_path)
    with running(Post(), context) as post:
        page = ada.post(f"{PAGE}/server", data=typed(post, host="localhost", encryption="required"))

    assert page.status_code == 422
    assert "certificate of our mail server" in page.text.split('id="encryption-reason">')[1].split("</p>")[0]


def test_a_silent_server_keeps_nobody_waiting(ada, monkeypatch):
    monkeypatch.setattr(mail_setup, "SECONDS", 0.3)
    with running(Post(moods={"hello": "slow"})) as post:
        page = ada.post(f"{PAGE}/server", data=typed(post))

    assert page.status_code == 422
    assert 'id="host-reason"' in page.text
    assert smtp.SECONDS > mail_setup.SECONDS


def test_the_server_can_be_taken_away(ada, now):
    gateways.connect("mail", "smtp://127.0.0.1:9", by=SYSTEM, now=now)

    assert ada.post(f"{PAGE}/server/ending").status_code == 303
    assert not kept().is_real


def test_what_the_environment_sets_is_shown_and_cannot_be_changed(ada):
    current().settings = replace(current().settings, mail_url="smtps://portal:hush@mail.larkfield.example")

    page = ada.get(PAGE)
    assert "COUNTERSIGN_MAIL_URL" in page.text
    assert "mail.larkfield.example" in page.text
    assert "hush" not in page.text
    assert f'href="{PAGE}/server"' not in page.text
    assert ada.get(f"{PAGE}/server").status_code == 409
    assert ada.post(f"{PAGE}/server", data=typed()).status_code == 409


def test_sample_data_says_where_its_messages_stay(ada):
    current().settings.sample_marker.write_text("invented")

    page = ada.get(PAGE)
    assert 'href="/mailbox"' in page.text
    assert f'href="{PAGE}/server"' not in page.text


# --- The test mail -----------------------------------------------------------------------------------


def test_a_test_mail_shows_how_it_went_by_itself_and_then_stops_asking(ada, cast, run_jobs):
    with running(Post(moods={"rcpt": "450 4.2.0 later"})) as post:
        current().settings = replace(current().settings, mail_url=f"smtp://127.0.0.1:{post.port}")
        asked = ada.post(f"{PAGE}/test", headers={"HX-Request": "true"})
        assert asked.status_code == 200
        assert 'hx-trigger="load delay:2s"' in asked.text
        assert f'href="{PAGE}/test"' in asked.text, "a link for who has no script"

        run_jobs(utc_now(), strict=False)
        waiting = ada.get(f"{PAGE}/test", headers={"HX-Request": "true"})
        assert "asks to come back later" in waiting.text
        assert "450 4.2.0 later" in waiting.text

        post.moods = {}
        run_jobs(utc_now() + timedelta(minutes=5), strict=False)

    done = ada.get(f"{PAGE}/test", headers={"HX-Request": "true"})
    assert "Handed over" in done.text
    assert "hx-trigger" not in done.text
    assert post.mails[0]["To"].addresses[0].addr_spec == cast.ada.email
    assert mail_setup.state(utc_now()).test.status == "sent"


def test_a_test_mail_without_script_leads_back_to_the_page(ada):
    answer = ada.post(f"{PAGE}/test")

    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}#test")
    assert ada.get(f"{PAGE}/test").text.count("<h1") == 1


def test_too_many_test_mails_are_refused(ada):
    answers = [ada.post(f"{PAGE}/test").status_code for _turn in range(14)]

    assert answers[0] == 303
    assert answers[-1] == 429


# --- Mail that comes back -----------------------------------------------------------------------------


def mailbox(at, **changes):
    return {"kind": "imaps", "host": "localhost", "port": str(at), "user": "portal", "password": "hush",
            "folder": "", "address": "returns+*@larkfield.example", **changes}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "imap"}, "kind"),
        ({"host": "a b"}, "host"),
        ({"port": "0"}, "port"),
        ({"user": ""}, "user"),
        ({"password": ""}, "password"),
        ({"address": "returns@larkfield.*"}, "address"),
        ({"address": "**@larkfield.example"}, "address"),
        ({"port": "9"}, "host"),
    ],
)
def test_a_mailbox_that_cannot_be_read_is_not_kept(ada, changes, field):
    page = ada.post(f"{PAGE}/returns", data=mailbox(9, **changes))

    assert page.status_code == 422
    assert f'id="{field}-reason"' in page.text
    assert return_box.in_force().url == ""


def test_a_mailbox_is_tried_over_an_encrypted_line_then_kept(ada, tmp_path, monkeypatch):
    context, file = certificate_for(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with imap.serving(Mailroom(letters=[b"Subject: x\r\n\r\n"]), "imap", context) as port:
        answer = ada.post(f"{PAGE}/returns", data=mailbox(port))
        assert answer.status_code == 303, answer.text
        again = ada.post(f"{PAGE}/returns", data=mailbox(port, password="", address=""))
        wrong = ada.post(f"{PAGE}/returns", data=mailbox(port, password="wrong"))

    assert (again.status_code, wrong.status_code) == (303, 422)
    assert "wrong name or password" in wrong.text
    assert return_box.in_force().url == f"imaps://portal:hush@localhost:{port}/INBOX"
    page = ada.get(PAGE)
    assert "localhost/INBOX" in page.text
    assert "hush" not in page.text + ada.get(f"{PAGE}/returns").text

    assert ada.post(f"{PAGE}/returns/ending").status_code == 303
    assert return_box.in_force().url == ""


def test_a_mailbox_that_is_away_shows_on_the_page(ada, run_jobs, tmp_path):
    from portal.services import jobs

    current().settings = replace(current().settings, bounce_url=f"maildir:{tmp_path}/nowhere")
    jobs.add("read_returned_mail", now=utc_now())
    run_jobs(utc_now())

    page = ada.get(PAGE)
    assert "The mailbox cannot be read" in page.text
    assert "COUNTERSIGN_BOUNCE_URL" in page.text
    assert ada.get(f"{PAGE}/returns").status_code == 409


# --- Reports of mail services --------------------------------------------------------------------------


def test_a_key_is_kept_and_calls_are_taken_from_then_on(ada, client, app):
    now = utc_now()
    notice = Notice.create(
        id="0123456789abcdefghjk", channel="mail", kind="sign_request", address="claire@castellan.example",
        status="sent", created_at=now,
    )  # fmt: skip
    headers, raw = Mailgun().call("returned", now)
    stranger = app.test_client()
    assert stranger.post("/webhooks/mail/mailgun", data=raw, headers=headers).status_code == 404

    assert ada.post(f"{PAGE}/reports/mailgun", data={"key": "short"}).status_code == 422
    assert ada.post(f"{PAGE}/reports/mailgun", data={"key": Mailgun.key}).status_code == 303
    assert Mailgun.key not in ada.get(f"{PAGE}/reports/mailgun").text + ada.get(PAGE).text

    assert stranger.post("/webhooks/mail/mailgun", data=b"{}", headers=headers).status_code == 401
    assert Notice.get_by_id(notice.id).status == "sent"
    taken = stranger.post("/webhooks/mail/mailgun", data=raw, content_type="application/json")
    assert (taken.status_code, taken.mimetype) == (200, "text/plain")
    assert Notice.get_by_id(notice.id).status == "returned"

    assert ada.post(f"{PAGE}/reports/mailgun/ending").status_code == 303
    assert stranger.post("/webhooks/mail/mailgun", data=raw).status_code == 404


def test_calls_need_no_token_of_a_form_and_take_none_from_a_browser(ada, app, now):
    mail_hooks.connect("mailgun", Mailgun.key, by=SYSTEM, now=now)
    headers, raw = Mailgun().call("ignored", utc_now())
    app.config["WTF_CSRF_ENABLED"] = True
    stranger = app.test_client()

    assert stranger.post("/webhooks/mail/mailgun", data=raw, headers=headers).status_code == 200
    foreign = stranger.post("/webhooks/mail/mailgun", data=raw, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 400


def test_a_call_that_is_too_large_is_refused(app, now):
    mail_hooks.connect("mailgun", Mailgun.key, by=SYSTEM, now=now)
    raw = json.dumps({"x": "y" * mail_hooks.LONGEST_CALL}).encode()

    assert app.test_client().post("/webhooks/mail/mailgun", data=raw).status_code == 413


# --- Sending domains -----------------------------------------------------------------------------------


def test_domains_are_looked_up_on_demand_and_the_page_stops_asking(ada, now, run_jobs):
    from tests.simulators.names import Zone, serving

    gateways.connect("mail", "smtps://a:b@mail.example", sender="L <c@larkfield.example>", by=SYSTEM, now=now)
    with serving(Zone({"larkfield.example": ["v=spf1 mx -all"]})) as port:
        current().settings = replace(current().settings, dns_servers=(("127.0.0.1", port),))
        asked = ada.post(f"{PAGE}/domains", headers={"HX-Request": "true"})
        assert "hx-trigger" in asked.text
        run_jobs(utc_now())

    found = ada.get(f"{PAGE}/domains", headers={"HX-Request": "true"})
    assert "hx-trigger" not in found.text
    assert "v=spf1 mx -all" in found.text
    assert "v=DMARC1; p=none; rua=mailto:postmaster@larkfield.example" in found.text
    assert ada.get(PAGE).text.count("<h1") == 1


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_selector_is_kept_or_refused_beside_its_field(ada, now, headers):
    gateways.connect("mail", "smtps://a:b@mail.example", sender="L <c@larkfield.example>", by=SYSTEM, now=now)
    url = f"{PAGE}/domains/selectors"

    wrong = ada.post(url, data={"domain": "larkfield.example", "selectors": "a/b"}, headers=headers)
    assert wrong.status_code == 422
    assert 'id="selectors-1-reason"' in wrong.text
    assert 'value="a/b"' in wrong.text
    ada.post(url, data={"domain": "larkfield.example", "selectors": "s1, s2"}, headers=headers)
    assert mail_domains.selectors_of("larkfield.example") == ["s1", "s2"]


# --- Who may ---------------------------------------------------------------------------------------------


def test_auditors_read_and_change_nothing_and_owners_see_nothing(app, cast):
    from portal.models.people import PersonRole

    PersonRole.create(person=cast.ben, role="auditor")
    ben, ana = app.test_client(), app.test_client()
    sign_in(ben, cast.ben, utc_now())
    sign_in(ana, cast.ana, utc_now())

    page = ben.get(PAGE)
    assert page.status_code == 200
    assert "<form" not in page.text.split("<main")[1].split("</main")[0]
    assert ben.post(f"{PAGE}/test").status_code == 403
    assert ana.get(PAGE).status_code == 403
    assert app.test_client().get(PAGE).status_code == 303


def test_changes_ask_for_a_fresh_code(app, cast):
    ada = app.test_client()
    sign_in(ada, cast.ada, utc_now())

    for path in ("server", "returns", "reports/mailgun"):
        assert "/step-up" in ada.get(f"{PAGE}/{path}").headers["Location"]


# --- What the owner sees --------------------------------------------------------------------------------


def test_the_owner_sees_why_a_mail_waits_and_why_it_came_back(app, cast, now, run_jobs):
    from portal.services import deliveries

    current().settings = replace(current().settings, mail_url="smtp://127.0.0.1:9")
    envelope = sent(cast, utc_now(), lambda at: run_jobs(at, strict=False))
    drawn_up = revisions.current(draft(cast, utc_now()))
    Revision.update(terms=drawn_up.terms).where(Revision.contract == envelope.contract).execute()
    ana = app.test_client()
    sign_in(ana, cast.ana, utc_now())
    pages = [f"/contracts/{envelope.contract.reference}", f"/contracts/{envelope.contract.reference}/signing"]
    for path in pages:
        assert "Our mail server is not listening." in ana.get(path).text
    assert "Waiting since" in ana.get(pages[1]).text

    notice = Notice.get(Notice.kind == "sign_request")
    deliveries.report(notice.id, "returned", reason="5.2.2 552 mailbox over quota", now=utc_now())
    for path in pages:
        assert "The mailbox is full." in ana.get(path).text
    state = ana.get(pages[1]).text
    assert "552 mailbox over quota" in state
    assert "Send again" in state
    assert "Correct the address" in state


def test_the_owner_sees_that_a_mail_was_delivered(app, cast, run_jobs):
    from portal.services import deliveries

    envelope = sent(cast, utc_now(), run_jobs)
    deliveries.report(Notice.get(Notice.kind == "sign_request").id, "delivered", now=utc_now())
    ana = app.test_client()
    sign_in(ana, cast.ana, utc_now())

    assert "Mail delivered on" in ana.get(f"/contracts/{envelope.contract.reference}/signing").text


def test_a_company_of_ours_gets_a_sender_of_its_own(ada, cast):
    url = f"/entities/{cast.entity.id}"
    form = {
        "name": cast.entity.name, "country": "GB", "zone": "Europe/London", "currency": "EUR",
        "languages.en": "yes", "reference_prefix": "LF", "sender_name": "Larkfield Contracts",
    }  # fmt: skip
    wrong = ada.post(f"{url}/details", data=form | {"sender_address": "not an address"})
    assert wrong.status_code == 422
    assert 'id="sender_address-reason"' in wrong.text
    assert "Larkfield Contracts" in wrong.text

    assert (
        ada.post(f"{url}/details", data=form | {"sender_address": "Sign@Bücher.example"}).status_code == 303
    )
    page = ada.get(url).text
    assert "Larkfield Contracts, sign@xn--bcher-kva.example" in page
    assert f'href="{PAGE}#domains"' in page


def test_the_logo_shows_in_the_mailbox_too(app, cast, now, run_jobs):
    from portal.services import entities, mailbox
    from tests.security.world import LOGO

    entities.set_logo(cast.entity, LOGO, by=SYSTEM, now=now)
    run_jobs(now)
    notice = notices.queue(
        "expired", address="claire@castellan.example", language="en", now=now, name="Claire",
        context={"sender": "Ana", "reference": "LF-1", "title": "Support"},
    )  # fmt: skip

    html = mailbox.message(notice.id).html
    assert 'src="data:image/png;base64,iVBOR' in html
    assert "cid:" not in html
