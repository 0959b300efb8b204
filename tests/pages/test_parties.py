"""Companies on both sides and templates: who may read, who may change, what is refused."""

from __future__ import annotations

import io

import pytest

from portal.clock import utc_now
from portal.models.parties import Contact, Counterparty, LegalEntity, Signatory
from portal.models.people import Session
from portal.services import templates
from tests.documents import hostile
from tests.pages.drafting import browser, forms
from tests.services.test_parties_and_entities import SHAPES


@pytest.fixture
def ana(app, cast):
    return browser(app, cast.ana)


@pytest.fixture
def ada(app, cast):
    """Ada administers, and has just typed her code."""
    client = browser(app, cast.ada)
    Session.update(stepped_up_at=utc_now()).where(Session.person == cast.ada).execute()
    return client


@pytest.fixture
def cleo(app, cast):
    return browser(app, cast.cleo)


def text(answer):
    return answer.get_data(as_text=True)


def test_a_company_is_added_changed_and_found(ana):
    form = forms(ana.get("/parties/new"))["/parties/new"]
    made = ana.post("/parties/new", data=form | {"name": "Bellweather GmbH", "country": "DE"})
    url = made.headers["Location"]

    details = forms(ana.get(f"{url}/details"))[f"{url}/details"]
    ana.post(f"{url}/details", data=details | {"name": "Bellweather AG", "zone": "Europe/Berlin"})

    assert "Bellweather AG" in text(ana.get("/parties?q=bell"))
    assert Counterparty.get(Counterparty.name == "Bellweather AG").country == "DE"
    for wrong in (
        {"name": ""},
        {"name": "Castellan Pharma SA"},
        {"zone": "Mars"},
        {"language": "xx"},
        {"country": "QQ"},
    ):
        refused = ana.post(f"{url}/details", data=details | wrong)
        assert refused.status_code == 422
        assert f'id="{next(iter(wrong))}-reason"' in text(refused)


def test_a_contact_is_checked_field_by_field(ana, cast):
    url = f"/parties/{cast.customer.id}"
    form = forms(ana.get(url))[f"{url}/contacts"] | {"name": "Zoé", "email": "zoe@castellan.example"}
    for wrong in ({"email": "nobody"}, {"phone": "12"}, {"name": ""}, {"email": "claire@castellan.example"}):
        assert ana.post(f"{url}/contacts", data=form | wrong).status_code == 422

    assert (
        ana.post(f"{url}/contacts", data=form | {"phone": "06 12 34 56 70", "role": "legal"}).status_code
        == 303
    )

    zoe = Contact.get(Contact.email == "zoe@castellan.example")
    assert zoe.phone == "+33612345670"
    one = f"{url}/contacts/{zoe.id}"
    assert ana.post(one, data=forms(ana.get(one))[one] | {"title": "Juriste"}).status_code == 303
    assert "Juriste" in text(ana.get(url))
    assert ana.get(f"/parties/{cast.stranger_company.id}/contacts/{zoe.id}").status_code == 404


def test_our_company_is_changed_by_administrators_only(ana, ada, cast):
    url = f"/entities/{cast.entity.id}"
    assert "Priya" in text(ana.get(url))
    assert ana.get(f"{url}/details").status_code == 403
    assert ana.post(f"{url}/logo").status_code == 403

    form = forms(ada.get(f"{url}/details"))[f"{url}/details"]
    assert ada.post(f"{url}/details", data=form | {"courts": "Bristol"}).status_code == 303
    assert LegalEntity.get_by_id(cast.entity.id).courts == "Bristol"
    for wrong in ({"name": ""}, {"reference_prefix": "9"}, {"zone": "x"}, {"currency": "x"}, {"phone": "1"}):
        assert ada.post(f"{url}/details", data=form | wrong).status_code == 422
    made = ada.post("/entities/new", data=form | {"name": "Larkfield SAS", "reference_prefix": "lfr"})
    assert LegalEntity.get(LegalEntity.name == "Larkfield SAS").reference_prefix == "LFR"
    assert ada.post(made.headers["Location"] + "/retirement").status_code == 303


def test_a_logo_is_shown_as_a_picture_and_nothing_else(ada, cast):
    url = f"/entities/{cast.entity.id}/logo"
    assert ada.get(url).status_code == 404
    assert ada.post(url, data={"logo": (io.BytesIO(b"<svg onload='x'/>"), "x.svg")}).status_code == 422

    assert ada.post(url, data={"logo": (io.BytesIO(SHAPES), "x.svg")}).status_code == 303

    shown = ada.get(url)
    assert shown.mimetype == "image/svg+xml"
    assert shown.headers["Content-Security-Policy"].startswith("sandbox")


def test_a_signatory_needs_a_fresh_code_and_their_document_is_kept(ana, ada, cast):
    url = f"/entities/{cast.entity.id}/signatories"
    values = {
        "person": cast.ben.id, "title": "Director", "limit_amount": "250,000.00", "limit_currency": "EUR",
        "valid_until": "2030-12-31", "authority": "Board resolution",
    }  # fmt: skip
    Session.update(stepped_up_at=None).execute()
    assert "/step-up" in ada.post(url, data=values).headers["Location"]
    Session.update(stepped_up_at=utc_now()).execute()
    for wrong in ({"person": "x"}, {"title": ""}, {"limit_amount": "much"}, {"valid_until": "never"}):
        assert ada.post(url, data=values | wrong).status_code == 422
    bad_file = values | {"authority_document": (io.BytesIO(b"no"), "x.pdf")}
    assert 'id="authority_document-reason"' in text(ada.post(url, data=bad_file))

    paper = (io.BytesIO(hostile.saved(hostile.plain("Resolution"))), "resolution.pdf")
    assert ada.post(url, data=values | {"authority_document": paper}).status_code == 303

    made = Signatory.get(Signatory.person == cast.ben)
    assert ana.get(f"{url}/{made.id}/authority").data.startswith(b"%PDF-")
    assert "EUR\u00a0250,000.00 until 31 Dec 2030" in text(ana.get(f"/entities/{cast.entity.id}"))
    assert ana.post(f"{url}/{made.id}/ending").status_code == 403
    assert "May sign" in text(ada.get(f"{url}/{made.id}/ending"))
    assert ada.post(f"{url}/{made.id}/ending").status_code == 303
    assert ana.get(f"{url}/{cast.signatory.id}/authority").status_code == 404


def test_templates_are_read_by_staff(ana, cleo):
    templates.seed(utc_now())
    version = templates.offered()[0]

    assert "Sales-critical support" in text(ana.get("/templates"))
    page = text(ana.get(f"/templates/{version.id}"))
    assert "Answered within 30 minutes" in page
    assert version.sha256 in page
    assert ana.get("/templates/nothing").status_code == 404
    assert cleo.get(f"/templates/{version.id}").status_code == 404


def test_strangers_find_no_company(app, cleo, cast):
    for url in (
        "/parties",
        f"/parties/{cast.customer.id}",
        "/entities",
        f"/entities/{cast.entity.id}",
        "/templates",
    ):
        assert cleo.get(url).status_code == 404
    assert app.test_client().get(f"/parties/{cast.customer.id}").status_code == 404
