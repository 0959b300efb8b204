"""The recovery key's page: for administrators with a fresh code; the sender is told, nobody is stopped."""

from __future__ import annotations

import dataclasses
import json

import pytest

from portal.clock import utc_now
from portal.models.people import Session
from portal.services import backups, installation, key_sets
from tests.cast import sign_in
from tests.services import signing

PAGE, KEY = "/settings/recovery", "/settings/recovery/key"
TYPED = {"passphrase": "four words nobody guesses", "repeated": "four words nobody guesses"}


@pytest.fixture(autouse=True)
def cheap_guesses(monkeypatch):
    monkeypatch.setitem(key_sets.COST, "n", 2**12)


def enter(client, person, *, stepped_up=True):
    sign_in(client, person, utc_now())
    if stepped_up:
        Session.update(stepped_up_at=utc_now()).execute()


@pytest.fixture
def sends_for_real(app, home):
    """The same installation, with gateways that reach people."""
    given = dataclasses.replace(
        home.settings, mail_url="smtp://mail.example", sms_url="webhook+https://x.example"
    )
    installation.open_installation(given)
    app.config["COUNTERSIGN"] = given


def test_an_administrator_downloads_it_and_the_page_says_so(client, cast, tmp_path):
    enter(client, cast.ada)
    before = client.get(PAGE)

    answer = client.post(KEY, data=TYPED)

    assert "Nobody keeps it yet" in before.text
    assert answer.status_code == 200
    assert "countersign-recovery.json" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    path = tmp_path / "key"
    path.write_bytes(answer.data)
    assert key_sets.read_from(path, lambda: TYPED["passphrase"]).encryption_keys
    after = client.get(PAGE).text
    assert "Nobody keeps it yet" not in after
    assert "the keys in use now" in after
    assert "Ada" in after


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_wrong_passphrase_is_refused_beside_its_field(client, cast, headers):
    enter(client, cast.ada)

    for typed in ({"passphrase": "short"}, {**TYPED, "repeated": "other"}, {}):
        answer = client.post(KEY, data=typed, headers=headers)
        assert answer.status_code == 422
        assert 'class="reason"' in answer.text
        assert TYPED["passphrase"] not in answer.text
    assert client.get(PAGE).text.count("Never.") == 1


def test_it_asks_for_a_fresh_code_first(client, cast):
    enter(client, cast.ada, stepped_up=False)

    assert client.get(PAGE).headers["Location"].startswith("/step-up")
    refused = client.post(KEY, data=TYPED)
    assert refused.headers["Location"] == "/step-up?next=%2Fsettings%2Frecovery"


def test_nobody_else_gets_it(client, cast):
    assert client.post(KEY, data=TYPED).status_code == 404
    for person in (cast.ana, cast.cleo):
        enter(client, person)
        assert client.get(PAGE).status_code in (403, 404)
        assert client.post(KEY, data=TYPED).status_code in (403, 404)


def test_the_page_says_how_the_last_backup_went(client, cast, tmp_path):
    enter(client, cast.ada)
    assert "None was made yet" in client.get(PAGE).text
    backups.make(tmp_path / "b", with_keys=False, now=utc_now())
    assert "Last good one" in client.get(PAGE).text
    backups.note_failure("No space left on device.", utc_now())
    assert "No space left on device." in client.get(PAGE).text


def test_the_sender_is_told_that_nobody_keeps_the_keys_and_may_send(client, cast, now, sends_for_real):
    contract = signing.ready(cast, now)
    enter(client, cast.ana)
    url = f"/contracts/{contract.reference}/send"

    page = client.get(url)

    assert "No recovery key is kept yet" in page.text
    assert f"Send {contract.reference}" in page.text
    enter(client, cast.ada)
    assert "Keep the recovery key" in client.get("/").text
    client.post(KEY, data=TYPED)
    assert "Keep the recovery key" not in client.get("/").text
    enter(client, cast.ana)
    assert "No recovery key is kept yet" not in client.get(url).text


def test_on_a_trial_nobody_is_asked(client, cast, now):
    contract = signing.ready(cast, now)
    enter(client, cast.ana)

    assert "recovery key" not in client.get(f"/contracts/{contract.reference}/send").text
    enter(client, cast.ada)
    assert "Keep the recovery key" not in client.get("/").text


def test_the_settings_page_leads_there(client, cast):
    enter(client, cast.ada)

    assert PAGE in client.get("/settings").text
    text = client.get("/settings/operations").text
    assert PAGE in text
    assert "Nobody has downloaded the recovery key yet." in text


def test_the_file_names_the_company_and_nothing_secret(client, cast):
    enter(client, cast.ada)

    file = json.loads(client.post(KEY, data=TYPED).data)

    assert file["company"] == "Larkfield Software Ltd"
    assert set(file) == {"schema", "made_at", "company", "kdf", "cipher", "sealed"}
