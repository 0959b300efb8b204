from __future__ import annotations

import io
import json
import zipfile

import pytest

from portal.clock import utc_now
from portal.models.connections import Connection
from portal.models.parties import Contact, LegalEntity
from portal.models.people import Session
from portal.services import personal_erasure
from tests.cast import person, sign_in


@pytest.fixture
def browser(app, cast):
    def open_for(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        Session.update(stepped_up_at=utc_now()).execute()
        return client

    return open_for


@pytest.fixture
def ada(browser, cast):
    return browser(cast.ada)


def test_the_register_is_shown_with_accounts_and_companies(ada, cast):
    Connection.create(provider="docusign", name="DocuSign Ohio", status="active", created_at=utc_now())

    page = ada.get("/settings/privacy").text

    assert "To prove the signature" in page
    assert "DocuSign Ohio" in page
    assert cast.entity.name in page
    assert 'href="/settings/privacy"' in ada.get("/settings").text


def test_an_export_is_two_files(ada, cast):
    answer = ada.post("/settings/privacy/export", data={"email": cast.marc.email})

    with zipfile.ZipFile(io.BytesIO(answer.data)) as file:
        assert "Marc Delorme" in json.dumps(json.loads(file.read("data.json")), ensure_ascii=False)
        assert "Marc Delorme" in file.read("data.html").decode()


@pytest.mark.parametrize("email", ["", "nobody", "nobody@nowhere.example", "%"])
def test_nothing_held_is_said_beside_the_field(ada, email):
    answer = ada.post("/settings/privacy/export", data={"email": email})

    assert answer.status_code == 422
    assert 'id="email-reason"' in answer.text


def test_erasing_says_what_went(ada, cast):
    typed = {"erase_email": cast.marc.email, "reason": "Letter"}
    assert ada.post("/settings/privacy/erasure", data=typed).status_code == 422
    assert Contact.select().where(Contact.email == cast.marc.email).exists()

    page = ada.post("/settings/privacy/erasure", data=typed | {"sure": "yes"})

    assert page.status_code == 200
    assert "Contacts" in page.text
    assert not Contact.select().where(Contact.email == cast.marc.email).exists()


def test_days_region_and_companies_are_set(ada, cast):
    account = Connection.create(provider="docusign", name="D", status="active", created_at=utc_now())
    region = f"/settings/privacy/accounts/{account.id}/region"

    assert ada.post("/settings/privacy/phone-days", data={"days": "90"}).status_code == 303
    assert ada.post("/settings/privacy/phone-days", data={"days": "0"}).status_code == 422
    assert personal_erasure.phone_days() == 90
    ada.post(region, data={"region": "eu"})
    assert Connection.get_by_id(account.id).region == "eu"
    assert ada.post(region, data={"region": "x"}).status_code == 422
    ada.post(f"/settings/privacy/companies/{cast.entity.id}/eu-only", data={"on": "yes"})
    assert LegalEntity.get_by_id(cast.entity.id).is_eu_only
    assert ada.post("/settings/privacy/accounts/none/region", data={"region": "eu"}).status_code == 404


def test_who_may(browser, cast):
    now = utc_now()
    for role, reads, changes in (("privacy", True, True), ("auditor", True, False), ("owner", False, False)):
        client = browser(person(role.title(), now, (role,)))
        assert (client.get("/settings/privacy").status_code == 200) == reads
        answer = client.post("/settings/privacy/export", data={"email": cast.marc.email})
        assert (answer.status_code == 200) == changes
