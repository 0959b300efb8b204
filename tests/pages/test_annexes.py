"""The page of a draft's annexes."""

from __future__ import annotations

from io import BytesIO

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.services import annexes
from tests.documents import hostile
from tests.pages.drafting import browser, forms
from tests.services.drafting import draft


@pytest.fixture
def contract(app, cast):
    return draft(cast, utc_now())


def url(contract, rest="/annexes"):
    return f"/contracts/{contract.reference}{rest}"


def file():
    return (BytesIO(hostile.saved(hostile.plain("Prices"))), "prices.pdf")


def test_an_annex_is_added_seen_and_taken_out(app, cast, contract):
    ana = browser(app, cast.ana)

    added = ana.post(url(contract), data={"name": "Prices", "kind": "price_list", "file": file()})

    assert added.status_code == 303
    annex = annexes.of(contract)[0]
    page = ana.get(url(contract))
    assert "Price list, 1 pages" in page.text
    assert "Prices" in ana.get(url(contract, "")).text
    assert ana.get(url(contract, f"/documents/{annex.id}")).content_type == "application/pdf"
    for act in ("up", "down", "removal"):
        assert ana.post(url(contract, f"/annexes/{annex.id}/{act}")).status_code == 303
    assert annexes.of(contract) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"name": ""}, "name"), ({"kind": "poem"}, "kind"), ({"file": ""}, "file")],
)
def test_a_refused_annex_keeps_what_was_typed(app, cast, contract, changes, field):
    ana = browser(app, cast.ana)
    page = ana.post(url(contract), data={"name": "Prices", "kind": "price_list", "file": file(), **changes})

    assert page.status_code == 422
    assert f'id="{field}-reason"' in page.text
    if field != "file":
        kept = forms(page)[url(contract)]["kept"]
        assert ana.post(url(contract), data={"name": "Again", "kind": "dpa", "kept": kept}).status_code == 303


def test_what_is_no_pdf_is_refused_beside_the_field(app, cast, contract):
    typed = {"name": "Prices", "kind": "dpa", "file": (BytesIO(b"no"), "a.pdf")}
    page = browser(app, cast.ana).post(url(contract), data=typed)

    assert page.status_code == 422
    assert "This file is not a PDF." in page.text


def test_master_agreement_and_order_are_kept(app, cast, contract):
    ana = browser(app, cast.ana)
    path = url(contract, "/document-order")
    other = draft(cast, utc_now(), product="Framework")

    refused = ana.post(path, data={"master": "", "first": "master"})
    assert refused.status_code == 422
    assert 'id="master-reason"' in refused.text
    typed = {"master": other.reference, "first": "master", "second": "contract"}
    assert ana.post(path, data=typed).status_code == 303

    assert Contract.get_by_id(contract.id).precedence == ["master", "contract"]
    page = ana.get(url(contract, "")).text
    assert f'href="/contracts/{other.reference}"' in page
    assert "First prevails: the master agreement; this contract." in page


def test_only_the_owner_changes_them(app, cast, contract):
    ben, cleo = browser(app, cast.ben), browser(app, cast.cleo)

    assert ben.get(url(contract)).status_code == 403
    assert ben.post(url(contract), data={"name": "x", "kind": "dpa", "file": file()}).status_code == 403
    assert cleo.get(url(contract)).status_code == 404
    assert cleo.post(url(contract, "/document-order")).status_code == 404
