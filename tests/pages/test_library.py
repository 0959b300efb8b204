"""The pages of the clause library."""

from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.services import clause_library, template_drafts, templates
from tests.pages.drafting import browser, forms
from tests.services.drafting import actor

NEW = "/templates/library/new"
TYPED = {
    "name.en": "Cap", "heading.en": "Liability", "text.en": "Limited to the fees.", "role": "finance",
    "rows": "1", "positions.0.level": "acceptable", "positions.0.text.en": "Limited to twice the fees.",
}  # fmt: skip


@pytest.fixture
def ada(app, cast):
    templates.seed(utc_now())
    return browser(app, cast.ada)


def test_a_clause_is_written_changed_and_taken_into_a_draft(ada, cast):
    assert ada.get(NEW).status_code == 200
    here = ada.post(NEW, data=TYPED).headers["Location"]
    assert "Limited to twice the fees." in ada.get(here).text
    typed = forms(ada.get(f"{here}/edit"))[f"{here}/edit"]
    assert typed["rows"] == "2"
    changed = {**typed, "text.en": "Limited to all fees.", "change_note": "Clearer"}
    draft = template_drafts.begin(
        {"en": "Night"}, source=templates.offered()[0], author=cast.ada, by=actor(cast.ada), now=utc_now()
    )
    ada.post(f"/templates/library/into/{draft.id}", data={"library": "cap", "after": "purpose"})
    assert ada.post(f"{here}/edit", data=changed).status_code == 303

    page = ada.get(f"/templates/drafts/{draft.id}").text
    assert "Library, version 1." in page
    assert "Take version 2 of the library" in page
    assert ada.post(f"/templates/library/into/{draft.id}/cap").status_code == 303
    assert (
        template_drafts.clause(template_drafts.get(draft.id), "cap")["text"]["en"] == "Limited to all fees."
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name.en": ""}, "name.en"),
        ({"text.en": ""}, "text.en"),
        ({"role": "owner"}, "role"),
        ({"positions.0.level": ""}, "positions.0.level"),
        ({"applies_when": "moon"}, "applies_when"),
    ],
)
def test_a_refused_clause_keeps_what_was_typed(ada, changes, field):
    page = ada.post(NEW, data={**TYPED, **changes})

    assert page.status_code == 422
    assert f'id="{field}-reason"' in page.text
    assert "Limited to twice the fees." in page.text
    assert clause_library.everything() == []


def test_the_second_to_save_is_told(ada):
    here = ada.post(NEW, data=TYPED).headers["Location"]
    typed = forms(ada.get(f"{here}/edit"))[f"{here}/edit"]
    ada.post(f"{here}/edit", data={**typed, "text.en": "First.", "change_note": "x"})

    page = ada.post(f"{here}/edit", data={**typed, "text.en": "Second.", "change_note": "x"})

    assert page.status_code == 422
    assert "Somebody has saved this clause meanwhile." in page.text
    assert "Second." in page.text


def test_owners_read_and_strangers_find_nothing(ada, app, cast):
    here = ada.post(NEW, data=TYPED).headers["Location"]
    ana, cleo = browser(app, cast.ana), browser(app, cast.cleo)

    assert ana.get(here).status_code == 200
    assert ana.get("/templates/library").status_code == 200
    for path in (f"{here}/edit", f"{here}/retirement", NEW):
        assert ana.post(path, data=TYPED).status_code == 403
    assert cleo.get(here).status_code == 404
    assert ada.post(f"{here}/retirement", data={"on": "yes"}).status_code == 303
    assert "Retired" in ana.get("/templates/library").text
