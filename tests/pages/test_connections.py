"""Settings of e-signature providers, against the real adapters and their simulators."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
import requests

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.connections import Connection
from portal.models.contracts import Document
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.models.people import Session
from portal.pages import account_view
from portal.services import connections, readiness
from portal.services.audit import SYSTEM
from providers.errors import Refused
from providers.interface import Account
from providers.rehearsal import page as one_page
from tests.cast import sign_in
from tests.services import pigeon
from tests.services.signing import sent
from tests.simulators.__main__ import made

BASE = "/settings/providers"


def browser(app, person):
    client = app.test_client()
    sign_in(client, person, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()
    return client


@pytest.fixture
def ada(app, cast):
    return browser(app, cast.ada)


@pytest.fixture
def signnow():
    with made("signnow").serving() as vendor:
        yield vendor


@pytest.fixture
def loft(monkeypatch):
    found = pigeon.Loft()
    pigeon.install(monkeypatch, found)
    return found


@pytest.fixture
def account(cast, loft):
    return pigeon.connected("Pigeon EU", utc_now())


def test_an_account_is_typed_in_checked_and_its_secret_is_never_shown_again(ada, signnow, run_jobs):
    given = signnow.connection_settings()
    assert ada.get(BASE).status_code == 200
    form = ada.get(f"{BASE}/new/signnow").text
    assert 'name="name"' in form

    empty = ada.post(f"{BASE}/new/signnow", data={"name": "", **given, "api_key": ""})
    assert empty.status_code == 422
    assert 'id="name-reason"' in empty.text
    done = ada.post(f"{BASE}/new/signnow", data={"name": "signNow EU", **given})
    assert done.status_code == 303
    Connection.update(server=signnow.origin).execute()
    run_jobs(utc_now(), strict=False)

    found = Connection.get()
    page = ada.get(f"{BASE}/{found.id}").text
    assert found.status == "active"
    assert "In use" in page
    edited = ada.get(f"{BASE}/{found.id}/edit").text
    for text in (page, edited, ada.get(BASE).text):
        assert given["api_key"] not in text
    assert not [e for e in AuditEvent.select() if given["api_key"] in e.body]
    assert not [j for j in Job.select() if given["api_key"] in f"{j.payload}{j.last_error}"]


def test_wrong_credentials_say_so_on_the_page(ada, signnow, run_jobs):
    given = {**signnow.connection_settings(), "api_key": "not-the-key"}
    ada.post(f"{BASE}/new/signnow", data={"name": "signNow", **given})
    Connection.update(server=signnow.origin).execute()
    run_jobs(utc_now(), strict=False)

    found = Connection.get()
    assert found.status == "draft"
    assert "does not let us in" in ada.get(f"{BASE}/{found.id}").text
    refused = ada.post(f"{BASE}/{found.id}/default")
    assert refused.status_code == 409
    assert "Check the account first" in refused.text


def hidden(text, name):
    return re.search(rf'name="{name}" value="([^"]+)"', text)[1]


def test_a_refused_form_keeps_typed_secrets_without_showing_them(app, ada, cast, signnow):
    given = signnow.connection_settings()
    refused = ada.post(f"{BASE}/new/signnow", data={**given, "name": ""})
    typed = hidden(refused.text, "typed")
    assert given["api_key"] not in refused.text
    assert "What you typed is kept" in refused.text

    # Not for somebody else, not for another provider, and not when it was tampered with.
    without = {**given, "name": "S", "api_key": ""}
    people_and_texts = [(browser(app, cast.ben), typed), (ada, typed[:-2]), (ada, "x")]
    for client, text in people_and_texts:
        assert client.post(f"{BASE}/new/signnow", data={**without, "typed": text}).status_code in (403, 422)
    assert ada.post(f"{BASE}/new/signnow", data={**without, "typed": typed}).status_code == 303
    assert connections.of(Connection.get()).settings["api_key"] == given["api_key"]


def test_a_pasted_key_is_never_shown_again(ada):
    key = "-----BEGIN RSA PRIVATE KEY-----\nMARKED\n-----END RSA PRIVATE KEY-----"
    asked = {"name": "", "method": "jwt", "private_key": key}
    for more in ({}, {"again": "yes"}):
        page = ada.post(f"{BASE}/new/docusign", data={**asked, **more}).text
        assert 'name="private_key"' in page
        assert "MARKED" not in page


def test_with_script_only_the_fields_are_swapped(ada):
    asked = {"name": "S", "method": "password", "again": "yes"}
    part = ada.post(f"{BASE}/new/signnow", data=asked, headers={"HX-Request": "true"}).text

    assert part.lstrip().startswith('<div id="fields">')
    assert 'name="password"' in part
    assert 'name="api_key"' not in part


@pytest.mark.parametrize("name", ["docusign", "signnow"])
def test_the_fields_follow_the_method_that_is_chosen(ada, name):
    from providers import registry

    [method] = [each for each in registry.settings(name) if each.name == "method"]
    for value, _label in method.choices:
        page = ada.post(f"{BASE}/new/{name}", data={"name": "X", "method": value, "again": "yes"}).text
        for each in registry.settings(name):
            is_asked = each.when is None or each.when[0] != "method" or each.when[1] == value
            assert (f'name="{each.name}"' in page) is is_asked, (value, each.name)


def test_consent_at_the_provider_counts_once_and_only_in_this_browser(app, ada, cast, run_jobs, caplog):
    caplog.set_level("DEBUG")
    with made("docusign").serving() as vendor:
        settings = {**vendor.connection_settings(), "method": "code", "secret_key": vendor.accounts.secret}
        found = connections.create("docusign", "D", settings, by=SYSTEM, now=utc_now(), server=vendor.origin)
        assert "Press Connect" in ada.get(f"{BASE}/{found.id}").text

        going = ada.post(f"{BASE}/{found.id}/authorise").text
        url = re.search(r'href="([^"]+)" rel', going)[1].replace("&amp;", "&")
        assert url in going.replace("&amp;", "&")
        allowed = requests.post(url, data={"act": "allow", "allow": "yes"}, timeout=5, allow_redirects=False)
        back = allowed.headers["Location"].split("/settings", 1)[1]
        other = browser(app, cast.ada)
        assert other.get(f"/settings{back}").status_code == 409
        assert ada.get(f"/settings{back}").status_code == 303
        assert ada.get(f"/settings{back}").status_code == 409
        run_jobs(utc_now(), strict=False)

        assert connections.tokens_of(connections.get(found.id)) is not None
        assert connections.get(found.id).status == "active"
        code = re.search(r"code=([^&]+)", back)[1]
        assert code not in caplog.text
        assert not [e for e in AuditEvent.select() if code in e.body]


def test_a_refused_consent_is_said_on_the_accounts_page_and_not_at_the_address_with_the_code(ada):
    with made("docusign").serving() as vendor:
        settings = {**vendor.connection_settings(), "method": "code", "secret_key": vendor.accounts.secret}
        found = connections.create("docusign", "D", settings, by=SYSTEM, now=utc_now(), server=vendor.origin)
        ada.post(f"{BASE}/{found.id}/authorise")
        with ada.session_transaction() as kept:
            state = kept["provider_errand"]["state"]
        back = ada.get(f"{BASE}/oauth?state={state}&error=access_denied")

    assert back.status_code == 303
    assert back.headers["Location"].endswith(found.id)
    assert "does not let us in" in ada.get(f"{BASE}/{found.id}").text


@pytest.mark.parametrize("change", ["late", "another"])
def test_an_answer_counts_for_ten_minutes_and_for_who_left(ada, cast, account, monkeypatch, change):
    errand = {
        "state": "s1", "connection": account.id, "person": cast.ada.id if change == "late" else cast.ben.id,
        "at": (utc_now() - timedelta(minutes=11 if change == "late" else 1)).isoformat(),
    }  # fmt: skip
    with ada.session_transaction() as kept:
        kept["provider_errand"] = errand

    assert ada.get(f"{BASE}/oauth?state=s1&code=c").status_code == 409
    assert connections.get(account.id).tokens == ""


def test_new_credentials_of_another_account_are_not_taken_while_something_is_open(
    ada, cast, account, run_jobs, monkeypatch
):
    sent(cast, utc_now(), run_jobs, connection=account)
    monkeypatch.setattr(pigeon.Pigeon, "check", lambda self: Account("loft-2", "Somebody else"))
    ada.post(f"{BASE}/{account.id}/edit", data={"name": "Pigeon EU", "api_key": "MARKED-other-key"})
    run_jobs(utc_now(), strict=False)

    found = connections.get(account.id)
    assert found.account["id"] == "loft-1"
    assert "another account (Somebody else)" in ada.get(f"{BASE}/{account.id}").text


def test_calls_are_asked_for_with_a_button_and_a_no_is_said(ada, account, loft, run_jobs, monkeypatch):
    url = f"{BASE}/{account.id}"
    assert ada.post(f"{url}/calls").status_code == 409  # no public address, no simulator
    Connection.update(server="http://127.0.0.1:9").execute()
    loft_says_no = lambda self, url: (_ for _ in ()).throw(Refused("Pigeon refused: not in this plan."))  # noqa: E731
    monkeypatch.setattr(pigeon.Pigeon, "subscribe", loft_says_no)
    assert ada.post(f"{url}/calls").status_code == 303
    assert "hx-trigger" in ada.get(url, headers={"HX-Request": "true"}).text
    run_jobs(utc_now(), strict=False)
    assert "not in this plan" in ada.get(url).text

    monkeypatch.undo()
    pigeon.install(monkeypatch, loft)
    ada.post(f"{url}/calls")
    run_jobs(utc_now(), strict=False)
    page = ada.get(url).text
    assert "not in this plan" not in page
    assert "Ask it to call here again" in page


def test_what_waits_and_what_fails_stands_on_the_list(ada, cast, account, loft, run_jobs):
    now = utc_now()
    sent(cast, now, run_jobs, connection=account)
    for _number in range(5):
        connections.record_failure(account, "Down.", now)
    Job.update(status="ready", run_at=now).where(Job.kind == "send_envelope").execute()

    page = ada.get(BASE).text
    assert "Paused after failures until" in page
    assert "Work waiting: 1" in page
    assert "Calls without an answer in 24 hours" in page
    assert "this installation, which has no public address" in page


def test_months_are_counted_for_the_bill(cast, account, loft, run_jobs):
    now = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
    for at in (now, datetime(2026, 3, 1, 0, 0, tzinfo=UTC), datetime(2026, 1, 31, 23, 59, tzinfo=UTC),
               datetime(2025, 3, 1, tzinfo=UTC)):  # fmt: skip
        envelope = sent(cast, utc_now(), run_jobs, connection=account)
        Envelope.update(sent_at=at).where(Envelope.id == envelope.id).execute()

    assert account_view.by_month(account, now) == [
        ("March 2026", 2), ("February 2026", 0), ("January 2026", 1),
    ]  # fmt: skip


def test_a_disconnected_account_is_only_looked_at(ada, account):
    url = f"{BASE}/{account.id}"
    assert ada.post(f"{url}/removal").status_code == 409
    assert ada.post(f"{url}/disconnect").status_code == 303
    for tail in ("check", "test-run", "calls", "authorise", "edit", "pause", "resume", "default"):
        answer = ada.post(f"{url}/{tail}", data={"name": "N", "api_key": "k"})
        assert answer.status_code == 409, tail
    assert connections.get(account.id).secrets == ""

    assert ada.post(f"{url}/removal").status_code == 303
    assert ada.get(url).status_code == 404


def test_a_test_run_shows_each_step(ada, signnow, run_jobs):
    found = connections.create(
        "signnow", "S", signnow.connection_settings(), by=SYSTEM, now=utc_now(), server=signnow.origin
    )
    assert ada.post(f"{BASE}/{found.id}/test-run").status_code == 303
    assert "Under way" in ada.get(f"{BASE}/{found.id}").text
    assert ada.post(f"{BASE}/{found.id}/test-run").status_code == 409
    run_jobs(utc_now(), strict=False)

    page = ada.get(f"{BASE}/{found.id}", headers={"HX-Request": "true"}).text
    assert page.count('<th role="rowheader"') >= 7
    assert "wrong" not in page
    assert connections.get(found.id).rehearsal["is_right"]
    assert "hx-trigger" not in page


def test_default_pause_and_disconnect(ada, cast, account, run_jobs):
    url = f"{BASE}/{account.id}"
    assert ada.post(f"{url}/default").status_code == 303
    assert connections.default() == account
    envelope = sent(cast, utc_now(), run_jobs, connection=account)

    refused = ada.post(f"{url}/disconnect")
    assert refused.status_code == 409
    assert "Signing requests are still open there: 1" in refused.text
    assert envelope.contract.reference in ada.get(f"{url}/requests").text
    assert ada.post(f"{url}/pause").status_code == 303
    assert "Paused" in ada.get(url).text
    assert ada.post(f"{url}/resume").status_code == 303
    assert ada.post(f"{BASE}/builtin/default").status_code == 303
    assert connections.default() is None


def test_what_matters_asks_for_a_fresh_code(ada, account):
    Session.update(stepped_up_at=None).execute()
    for tail in ("default", "disconnect", "agreement", "authorise", "edit"):
        answer = ada.post(f"{BASE}/{account.id}/{tail}")
        assert answer.status_code == 303
        assert "/step-up" in answer.headers["Location"]


def test_an_agreement_is_kept_and_warned_of_before_it_ends(ada, account):
    url = f"{BASE}/{account.id}/agreement"
    wrong = ada.post(
        url, data={"baa_signed_on": "2099-01-01", "agreement": (io.BytesIO(one_page()), "baa.pdf")}
    )
    assert wrong.status_code == 422
    assert "not in the future" in wrong.text
    assert not Document.select().exists()  # a refused file is not kept
    today = utc_now().date()
    data = {
        "baa_signed_on": (today - timedelta(days=300)).isoformat(),
        "baa_expires_on": (today + timedelta(days=20)).isoformat(),
    }
    assert ada.post(url, data=data).status_code == 422
    done = ada.post(url, data={**data, "agreement": (io.BytesIO(one_page()), "baa.pdf")})
    assert done.status_code == 303

    assert connections.has_agreement(connections.get(account.id), today)
    assert ada.get(f"{url}.pdf").data.startswith(b"%PDF")
    assert any("Pigeon EU" in each.sentence for each in readiness.concerns(utc_now()))


def test_an_administrator_alone_may_change_anything(app, cast, account):
    for who in (cast.ana, cast.ben):
        client = browser(app, who)
        assert client.get(BASE).status_code in (403, 404)
        assert client.post(f"{BASE}/{account.id}/default").status_code in (403, 404)


def test_a_webhook_is_taken_in_without_a_session_and_too_large_a_one_is_not(app, account):
    client = app.test_client()
    url = f"/webhooks/{account.id}"
    answer = client.post(url, data=b"r1:1", headers={"X-Proof": "pigeon-proof"})
    assert (answer.status_code, answer.data) == (200, b"heard")
    assert client.get(url).status_code == 200
    assert client.post("/webhooks/nowhere", data=b"x").status_code == 404
    assert client.post(url, data=b"x" * (10 * 1024 * 1024 + 1)).status_code == 413
