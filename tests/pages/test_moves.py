from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.models.envelopes import Envelope
from portal.models.people import Session
from portal.services import connections, moves, policies
from portal.services.audit import SYSTEM
from providers.interface import ArchivedEnvelope
from tests.cast import sign_in
from tests.services import pigeon
from tests.services.signing import sent


@pytest.fixture
def loft(monkeypatch):
    found = pigeon.Loft()
    pigeon.install(monkeypatch, found)
    return found


@pytest.fixture
def account(cast, loft):
    return pigeon.connected("Pigeon EU", utc_now())


def browser(app, person):
    client = app.test_client()
    sign_in(client, person, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()
    return client


@pytest.fixture
def ada(app, cast):
    policies.seed(utc_now())
    return browser(app, cast.ada)


def test_the_page_says_what_would_break_before_anything_changes(ada, loft, account, monkeypatch):
    pigeon.can(monkeypatch, loft, embedded=False)
    page = ada.get(f"/settings/providers/move?to={account.id}")

    assert page.status_code == 200
    assert "0 of 6 can go" in page.text or "of 6 can go" in page.text
    assert "Pigeon cannot check this factor" in page.text
    assert connections.default() is None


def test_a_change_of_today_happens_at_once_and_one_of_tomorrow_waits(ada, account):
    today, url = utc_now().date(), "/settings/providers/move"
    data = {"to": account.id, "starts_on": "2020-01-01"}
    refused = ada.post(url, data=data)
    assert refused.status_code == 422
    assert "Choose today or a later day." in refused.text

    assert ada.post(url, data={**data, "starts_on": today.isoformat()}).status_code == 303
    assert connections.default() == account
    assert ada.post(url, data={"to": "builtin", "starts_on": "2099-01-01"}).status_code == 303
    assert "A change is planned" in ada.get(url).text
    ada.post(f"{url}/plan/end")
    assert moves.planned() is None


def test_open_requests_are_ticked_and_moved(ada, cast, account, run_jobs):
    envelope = sent(cast, utc_now(), run_jobs)
    page = ada.get(f"/settings/providers/move?to={account.id}")
    assert f'value="{envelope.id}"' in page.text
    data = {"to": account.id, "from": "builtin"}
    assert ada.post("/settings/providers/move/requests", data=data).status_code == 422

    done = ada.post("/settings/providers/move/requests", data={**data, "envelope": [envelope.id]})
    assert "1 signing request is moved." in done.text
    run_jobs(utc_now(), strict=False)
    run_jobs(utc_now(), strict=False)
    assert Envelope.get(Envelope.replaces == envelope).connection == account


def test_others_may_neither_see_nor_change_it(app, cast, account):
    ana = browser(app, cast.ana)
    for url in ("/settings/providers/move", f"/settings/providers/{account.id}/archive"):
        assert ana.get(url).status_code in (403, 404)
        assert ana.post(url, data={"to": account.id}).status_code in (403, 404)


def test_an_archive_is_started_watched_and_looked_through(ada, loft, account, run_jobs):
    loft.archive = [
        ArchivedEnvelope(f"old-{n}", f"=Agreement {n}", utc_now(), "", (("Olga", "o@x.example"),))
        for n in range(3)
    ]
    url = f"/settings/providers/{account.id}/archive"
    page = ada.get(url)
    assert "Do not close this account yet" in page.text
    wrong = ada.post(url, data={"since_on": "2026-01-02", "until_on": "2026-01-01"})
    assert wrong.status_code == 422
    assert 'value="2026-01-02"' in wrong.text

    assert ada.post(url, data={}).status_code == 303
    assert "<progress" in ada.get(url).text
    run_jobs(utc_now(), strict=False)
    page = ada.get(url)
    assert "3 of 3 are here." in page.text
    assert "Safe to close" in page.text
    report = ada.get(f"{url}/report.csv").text
    assert "'=Agreement 0" in report
    assert ada.get(url, query_string={"q": "nobody"}).text.count("old-") == 0
    fragment = ada.get(url, headers={"HX-Request": "true"}).text
    assert fragment.lstrip().startswith("<section")


def test_a_file_of_the_archive_is_read_and_one_of_another_account_is_not(ada, loft, account, run_jobs):
    from portal.models.imports import ImportedEnvelope

    loft.archive = [ArchivedEnvelope("old-1", "A", utc_now())]
    ada.post(f"/settings/providers/{account.id}/archive", data={})
    run_jobs(utc_now(), strict=False)
    row = ImportedEnvelope.get()
    other = pigeon.connected("Other", utc_now())

    found = ada.get(f"/settings/providers/{account.id}/archive/files/{row.id}")
    assert found.data == b"%PDF-1.4 old-1"
    assert ada.get(f"/settings/providers/{account.id}/archive/files/{row.id}/evidence").data == b"%PDF-c"
    assert ada.get(f"/settings/providers/{other.id}/archive/files/{row.id}").status_code == 404
    connections.pause(account, by=SYSTEM, now=utc_now())
