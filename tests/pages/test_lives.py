from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.models.lives import ContractLife, Letter
from portal.models.people import PersonRole, Session
from portal.services import existing, following, letters
from tests.cast import sign_in
from tests.services import existing as samples
from tests.services import signing
from tests.services.drafting import actor, draft


@pytest.fixture
def browser(app):
    def browser(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        Session.update(stepped_up_at=utc_now()).execute()
        return client

    return browser


@pytest.fixture
def live(cast):
    now = utc_now()
    made = draft(cast, now)
    Contract.update(state="signed").where(Contract.id == made.id).execute()
    following.start_now(Contract.get_by_id(made.id), by=actor(cast.ben), now=now)
    return Contract.get_by_id(made.id)


@pytest.fixture(autouse=True)
def plain_letters(monkeypatch):
    monkeypatch.setattr(letters, "typeset", lambda letter: signing.printed(1, 2).pdf)


def url(contract, rest=""):
    return f"/contracts/{contract.reference}{rest}"


def test_the_page_says_what_happens_and_offers_each_way_to_its_owner(browser, cast, live):
    ana, ben = browser(cast.ana).get(url(live)).text, browser(cast.ben).get(url(live)).text

    assert "It renews by itself until" in ana
    for label in ("Renew", "Amend", "Give notice"):
        assert label in ana
    assert url(live, "/renewal") not in ben


def test_renewing_and_amending_lead_to_a_draft_that_names_its_contract(browser, cast, live):
    ana = browser(cast.ana)

    renewal = ana.post(url(live, "/renewal"))
    amendment = ana.post(url(live, "/amendment"))

    assert renewal.status_code == amendment.status_code == 303
    assert amendment.headers["Location"].startswith(url(live, "-A1"))
    page = ana.get(url(live)).text
    assert "Renewed by" in page
    assert "Amendment A1" in page
    assert live.reference in ana.get(url(live, "-A1")).text
    assert ana.post(url(live, "/renewal")).status_code == 409
    assert browser(cast.ben).post(url(live, "/renewal")).status_code == 403
    assert browser(cast.ada).post(url(live, "/renewal")).status_code == 403
    assert browser(cast.cleo).post(url(live, "/renewal")).status_code == 404


def test_notice_is_drafted_read_and_signed_by_the_signatory(browser, cast, live, run_jobs):
    ana, priya = browser(cast.ana), browser(cast.priya)

    assert ana.get(url(live, "/notice")).status_code == 200
    wrong = ana.post(url(live, "/notice"), data={"kind": "termination", "signatory": cast.signatory.id})
    assert wrong.status_code == 422
    assert "Name the ground in the contract." in wrong.text
    made = ana.post(url(live, "/notice"), data={"kind": "end", "signatory": cast.signatory.id, "reason": ""})
    letter_url = made.headers["Location"]
    assert "has been asked by mail to sign it today" in ana.get(letter_url).text
    assert ana.post(f"{letter_url}/signature", data={"name": "Priya", "meant": "1"}).status_code == 403
    assert priya.get(f"{letter_url}/file").data.startswith(b"%PDF-")
    assert priya.post(f"{letter_url}/signature", data={"name": "Nobody", "meant": "1"}).status_code == 422
    assert priya.post(f"{letter_url}/signature", data={"name": "Priya", "meant": "1"}).status_code == 303
    run_jobs(utc_now())
    assert "Sealed and sent" in ana.get(letter_url).text
    assert "Notice given on" in ana.get(url(live)).text
    assert browser(cast.cleo).get(letter_url).status_code == 404


def test_a_letter_is_dropped_before_it_is_signed(browser, cast, live):
    ana = browser(cast.ana)
    made = ana.post(url(live, "/notice"), data={"kind": "end", "signatory": cast.signatory.id})

    assert ana.post(made.headers["Location"] + "/withdrawal").status_code == 303
    assert Letter.get().state == "withdrawn"


def test_a_service_manager_starts_and_closes(browser, cast, live):
    PersonRole.create(person=cast.ben, role="service_manager")
    ben = browser(cast.ben)
    Contract.update(state="expired").where(Contract.id == live.id).execute()

    assert browser(cast.ana).get(url(live, "/closing")).status_code == 403
    wrong = ben.post(url(live, "/closing"), data={"closed_on": utc_now().date().isoformat()})
    assert wrong.status_code == 422
    done = {"period": "1", "credits": "1", "data": "1", "access": "1"}
    assert ben.post(url(live, "/closing"), data=done | {"closed_on": "soon"}).status_code == 422
    answer = ben.post(url(live, "/closing"), data=done | {"closed_on": utc_now().date().isoformat()})
    assert answer.status_code == 303
    assert ContractLife.get_by_id(live.id).closed_on is not None
    assert "Closed" in ben.get(url(live)).text


def test_ticked_contracts_and_those_of_a_leaver_change_hands(browser, cast, live):
    ana, ada = browser(cast.ana), browser(cast.ada)

    assert "/hand-over/chosen" in ana.get("/contracts").text
    chosen = ana.post("/hand-over/chosen", data={"row": live.reference})
    assert chosen.headers["Location"] == f"/hand-over?reference={live.reference}"
    page = ana.get(f"/hand-over?reference={live.reference}").text
    assert live.title in page
    assert ana.post("/hand-over", data={"owner": cast.ben.id}).status_code == 422
    assert ana.post("/hand-over", data={"reference": live.reference}).status_code == 422
    assert "Hand them over" in ada.get(f"/people/{cast.ana.id}").text
    answer = ada.post("/hand-over", data={"owner": cast.ben.id, "reference": live.reference, "note": "Hello"})
    assert answer.status_code == 303
    assert Contract.get_by_id(live.id).owner.id == cast.ben.id
    assert "Hello" in ada.get(url(live)).text
    assert ada.get("/hand-over?owner=nobody").status_code == 404
    assert browser(cast.cleo).get("/hand-over").status_code == 404


def test_the_board_offers_one_button_each_to_the_owner(browser, cast):
    existing.register(samples.said(cast), samples.pdf(), "x.pdf", by=actor(cast.ana), now=utc_now())

    page = browser(cast.ana).get("/renewals?days=365").text

    for label in ("Renew", "Amend", "Give notice"):
        assert label in page
    assert "/amendment" not in browser(cast.ben).get("/renewals?days=365").text
    assert browser(cast.ana).get("/renewals?days=12345&after=x.y").status_code == 200
