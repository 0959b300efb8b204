from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.models.lives import ContractLife
from portal.models.people import Session
from portal.services import existing, retention
from tests import cast as people
from tests.cast import sign_in
from tests.services import existing as samples
from tests.services.drafting import actor


@pytest.fixture
def browser(app):
    def browser(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        Session.update(stepped_up_at=utc_now()).execute()
        return client

    return browser


@pytest.fixture
def lena(cast):
    return people.person("Lena", utc_now(), ("legal",))


@pytest.fixture
def old(cast):
    """Archived a while ago; its time to be kept is over."""
    now = utc_now()
    made = existing.register(samples.said(cast), samples.pdf(), "x.pdf", by=actor(cast.ana), now=now)
    Contract.update(state="archived").where(Contract.id == made.id).execute()
    ContractLife.update(
        closed_on=now.date() - timedelta(days=400), archived_at=now, checked_at=now, retain_until=now.date()
    ).where(ContractLife.contract == made).execute()
    return Contract.get_by_id(made.id)


def url(contract, rest=""):
    return f"/contracts/{contract.reference}{rest}"


def test_a_hold_is_set_and_lifted_by_legal_with_a_reason(browser, cast, lena, old):
    legal, ana = browser(lena), browser(cast.ana)

    assert ana.get(url(old, "/archive/hold")).status_code == 403
    assert legal.get(url(old, "/archive/hold")).status_code == 200
    assert legal.post(url(old, "/archive/hold"), data={"reason": ""}).status_code == 422
    assert legal.post(url(old, "/archive/hold"), data={"reason": "Dispute"}).status_code == 303
    assert "Dispute" in ana.get(url(old)).text
    assert legal.post(url(old, "/archive/lift"), data={"reason": "Settled"}).status_code == 303
    assert browser(cast.cleo).post(url(old, "/archive/hold"), data={"reason": "x"}).status_code == 404


def test_it_is_taken_out_of_the_archive_by_legal(browser, cast, lena, old):
    assert browser(cast.ada).post(url(old, "/archive/unarchive"), data={"reason": "x"}).status_code == 403
    assert browser(lena).post(url(old, "/archive/unarchive"), data={"reason": "Audit"}).status_code == 303
    assert Contract.get_by_id(old.id).state == "completed"


def test_two_people_delete_it_and_its_address_shows_the_tombstone(browser, cast, lena, old, run_jobs):
    legal, ada = browser(lena), browser(cast.ada)

    assert legal.post(url(old, "/archive/delete"), data={"reason": "Time is over"}).status_code == 303
    assert "Approve the deletion" not in legal.get(url(old)).text
    assert legal.post(url(old, "/deletion/approval")).status_code == 403
    assert "Approve the deletion" in ada.get(url(old)).text
    assert ada.post(url(old, "/deletion/approval")).status_code == 303
    run_jobs(utc_now())

    page = browser(cast.ben).get(url(old))
    assert page.status_code == 200
    assert "This contract was deleted." in page.text
    assert "Time is over" in page.text
    assert browser(cast.ana).get(url(old, "/evidence.zip")).status_code == 404
    assert browser(cast.cleo).get(url(old)).status_code == 404
    french = browser(cast.ben)
    french.set_cookie("language", "fr")
    assert "Ce contrat a été supprimé." in french.get(url(old)).text


def test_a_proposal_is_dropped(browser, cast, lena, old):
    browser(cast.ada).post(url(old, "/archive/delete"), data={"reason": "x"})

    assert browser(lena).post(url(old, "/deletion/withdrawal")).status_code == 303
    assert browser(lena).post(url(old, "/deletion/withdrawal")).status_code == 404


def test_the_evidence_package_is_for_those_who_read_the_history(browser, cast, old):
    answer = browser(cast.ana).get(url(old, "/evidence.zip"))

    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert {"check.py", "manifest.json", "SHA256SUMS", "trail.jsonl"} <= set(archive.namelist())
    assert (
        browser(people.person("Finn", utc_now(), ("finance",))).get(url(old, "/evidence.zip")).status_code
        == 403
    )


def test_the_policy_is_read_by_staff_and_changed_by_an_administrator(browser, cast):
    ada = browser(cast.ada)

    assert 'value="365"' in browser(cast.ana).get("/settings/retention").text
    assert ada.post("/settings/retention", data={"archive_days": "x", "keep_years": "0"}).status_code == 422
    assert ada.post("/settings/retention", data={"archive_days": "90", "keep_years": "7"}).status_code == 303
    assert retention.policy() == retention.Policy(90, 7)
    assert browser(cast.ana).post("/settings/retention", data={}).status_code == 403
