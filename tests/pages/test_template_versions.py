"""The pages that compare versions and bring contracts over."""

from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.models.campaigns import Campaign, CampaignContract
from portal.services import templates
from tests.pages.drafting import browser, forms
from tests.services.test_campaigns import live, newer


@pytest.fixture
def contract(app, cast):
    return live(cast, utc_now())


@pytest.fixture
def version(contract):
    return newer(contract.template_version, utc_now())


def here(version, rest):
    return f"/templates/{version.template.key}/{rest}"


def test_versions_are_compared_on_a_page(app, cast, version):
    ana = browser(app, cast.ana)

    page = ana.get(here(version, "compare"))

    assert page.status_code == 200
    assert "<ins>" in page.text
    assert "<del>" in page.text
    assert 'lang="fr"' in page.text
    same = ana.get(here(version, "compare?old=1&new=1"))
    assert "The two are the same, word for word." in same.text
    assert ana.get(here(version, "compare?old=7&new=1")).status_code == 404
    assert ana.get("/templates/nowhere/compare").status_code == 404
    assert "Compare versions" in ana.get(f"/templates/{version.id}").text


def test_contracts_are_chosen_and_their_drafts_made(app, cast, contract, version, run_jobs):
    ada = browser(app, cast.ada)
    page = ada.get(here(version, "contracts"))
    assert "1 live contract on version 1" in page.text
    assert "0 live contracts on version 2" in page.text
    typed = forms(page)[here(version, "campaigns")]
    chosen = {**typed, "note": "New purpose", "contracts": contract.reference}

    begun = ada.post(here(version, "campaigns"), data=chosen)

    assert begun.status_code == 303
    waiting = ada.get(begun.headers["Location"])
    assert "0 of 1 contracts done" in waiting.text
    assert "hx-trigger" in waiting.text
    run_jobs(utc_now())
    fragment = ada.get(begun.headers["Location"], headers={"HX-Request": "true"})
    assert "1 draft was made." in fragment.text
    assert "<html" not in fragment.text
    assert "hx-trigger" not in fragment.text
    made = CampaignContract.get().draft
    assert made.reference in ada.get(here(version, "contracts")).text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"note": ""}, "note-reason"), ({"contracts": []}, "Choose at least one contract.")],
)
def test_a_refused_choice_keeps_what_was_typed(app, cast, contract, version, changes, reason):
    ada = browser(app, cast.ada)
    typed = {"version": "2", "note": "New purpose", "contracts": contract.reference, **changes}

    page = ada.post(here(version, "campaigns"), data=typed)

    assert page.status_code == 422
    assert reason in page.text
    assert ("New purpose" in page.text) is bool(typed["note"])
    assert Campaign.select().count() == 0


def test_a_version_that_was_replaced_meanwhile_is_refused(app, cast, contract, version):
    answer = browser(app, cast.ada).post(
        here(version, "campaigns"), data={"version": "1", "note": "x", "contracts": contract.reference}
    )

    assert answer.status_code == 409


def test_who_may_not_edit_templates_starts_nothing_and_a_stranger_finds_nothing(app, cast, version):
    ana, cleo = browser(app, cast.ana), browser(app, cast.cleo)

    assert "Make the drafts" not in ana.get(here(version, "contracts")).text
    assert ana.post(here(version, "campaigns"), data={"version": "2"}).status_code == 403
    for rest in ("compare", "contracts"):
        assert cleo.get(here(version, rest)).status_code == 404
    assert templates.newest(version.template).id == version.id
