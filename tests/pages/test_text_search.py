from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.models.base import transaction
from portal.models.contracts import Contract, Revision
from portal.services import contract_texts, revisions
from tests.cast import sign_in
from tests.services.drafting import draft


@pytest.fixture
def ana(app, cast):
    client = app.test_client()
    sign_in(client, cast.ana, utc_now())
    return client


@pytest.fixture
def contract(app, cast):
    now = utc_now()
    made = draft(cast, now)
    revision = revisions.current(made)
    text = {"en": "Walruses <script>alert(1)</script> & **seals**"}
    clause = revision.clauses[0] | {"text": text, "heading": {"en": "Animals"}}
    Revision.update(clauses=[clause]).where(Revision.id == revision.id).execute()
    with transaction():
        contract_texts.write(Contract.get_by_id(made.id), now)
    return Contract.get_by_id(made.id)


def test_what_is_found_is_marked_and_nothing_of_it_is_markup(ana, contract):
    page = ana.get("/contracts/in-texts?q=walrus+scri")

    assert page.status_code == 200
    assert "<mark>Walruses</mark> &lt;<mark>script</mark>&gt;alert" in page.text
    assert f"/contracts/{contract.reference}" in page.text
    assert "<script>alert" not in page.text


def test_the_list_leads_there_and_loads_the_first_few(ana, contract):
    page = ana.get("/contracts?q=walrus")
    part = ana.get("/contracts/in-texts?q=walrus&few=1", headers={"HX-Request": "true"})

    assert "/contracts/in-texts?q=walrus&amp;few=1" in page.text
    assert part.text.lstrip().startswith('<section id="in-texts"')
    assert "<mark>Walruses</mark>" in part.text
    assert "in-texts" not in ana.get("/contracts").text


@pytest.mark.parametrize(
    "query", ["", "?q=", "?q=%00", "?q=%27%22*", "?before=x&q=walrus", "?q=" + "x" * 5000]
)
def test_whatever_is_asked_is_answered(ana, contract, query):
    assert ana.get(f"/contracts/in-texts{query}").status_code == 200


def test_words_that_stand_nowhere_are_said_to(ana, contract):
    assert "No text holds all of these words." in ana.get("/contracts/in-texts?q=giraffe").text


def test_people_of_other_companies_do_not_get_there(app, cast, contract):
    client = app.test_client()
    assert client.get("/contracts/in-texts?q=walrus").status_code in (303, 404)
    sign_in(client, cast.cleo, utc_now())
    answer = client.get("/contracts/in-texts?q=walrus")
    assert answer.status_code in (303, 404)
    assert "Walrus" not in answer.text
