"""The pages on which templates are written and published."""

from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.models.people import Session
from portal.models.templates import Template, TemplateVersion
from portal.services import publication, template_drafts, templates
from tests.cast import person
from tests.pages.drafting import browser, forms
from tests.services.drafting import actor


@pytest.fixture
def people(app, cast):
    """Browsers: Ada writes, Lena and Sina approve, Ana owns contracts, Cleo is a stranger."""
    now = utc_now()
    templates.seed(now)
    publication.seed(now)
    lena, sina = person("Lena", now, ("legal",)), person("Sina", now, ("service_approver",))
    found = {"ada": cast.ada, "lena": lena, "sina": sina, "ana": cast.ana, "cleo": cast.cleo}
    return {name: browser(app, each) for name, each in found.items()}


@pytest.fixture
def draft(people, cast):
    return template_drafts.begin(
        {"en": "Night shift"}, source=templates.offered()[1], author=cast.ada, by=actor(cast.ada),
        now=utc_now(),
    )  # fmt: skip


def url(draft, rest=""):
    return f"/templates/drafts/{draft.id}{rest}"


def test_a_template_is_begun_written_asked_for_approved_and_in_use(people):
    ada = people["ada"]
    typed = forms(ada.get("/templates/new"))["/templates/new"]
    begun = ada.post("/templates/new", data={**typed, "name.en": "Night shift", "start": "copy"})
    assert begun.status_code == 303
    here = begun.headers["Location"]

    clause = f"{here}/clauses/purpose"
    filled = forms(ada.get(clause))[clause]
    assert ada.post(clause, data={**filled, "text.en": "At night, {{supplier}} answers."}).status_code == 303
    page = ada.get(here).text
    assert "At night, {{supplier}} answers." in page
    assert "Taken over unchanged; only the clauses are written here." in page
    assert ada.post(f"{here}/publication", data={"note": "For nights"}).status_code == 303

    for name in ("lena", "sina"):
        asked = people[name].get(here)
        assert "Your approval is asked for" in asked.text
        answer = people[name].post(f"{here}/approval", data=forms(asked)[f"{here}/approval"])
        assert answer.status_code == 303

    version = people["ana"].get(answer.headers["Location"])
    assert version.status_code == 200
    assert "For nights" in version.text
    assert "Lena, Legal approver" in version.text
    assert "Night shift" in people["ana"].get("/contracts/new").text
    assert ada.get(here).status_code == 404


def test_a_new_template_needs_a_name(people):
    page = people["ada"].post("/templates/new", data={"name.fr": "Nuit", "start": "empty", "source": "x"})

    assert page.status_code == 422
    assert 'id="source-reason"' in page.text
    assert 'value="Nuit"' in page.text
    source = templates.offered()[0].id
    page = people["ada"].post("/templates/new", data={"name.fr": "Nuit", "start": "empty", "source": source})
    assert page.status_code == 422
    assert 'id="name.en-reason"' in page.text
    assert Template.select().count() == 2


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"text.en": "Costs {{fees}}."}, "text.en"),
        ({"text.en": "See [[nowhere]]."}, "text.en"),
        ({"level": "7"}, "level"),
        ({"when": "full moon"}, "when"),
        ({"heading.en": "x" * 201}, "heading.en"),
    ],
)
def test_a_refused_clause_keeps_what_was_typed(people, draft, typed, field):
    path = url(draft, "/clauses/purpose")
    filled = forms(people["ada"].get(path))[path]

    page = people["ada"].post(path, data={**filled, "text.en": "My own words.", **typed})

    assert page.status_code == 422
    assert f'id="{field}-reason"' in page.text
    assert typed.get("text.en", "My own words.") in page.text
    assert template_drafts.get(draft.id).clauses == draft.clauses


def test_the_second_to_save_a_clause_sees_the_first_and_keeps_their_words(people, draft):
    path = url(draft, "/clauses/purpose")
    filled = forms(people["ada"].get(path))[path]
    people["lena"].post(path, data={**filled, "text.en": "Lena’s words."})

    page = people["ada"].post(path, data={**filled, "text.en": "Ada’s words."})

    assert page.status_code == 422
    assert "Lena’s words." in page.text
    assert "Ada’s words." in page.text
    again = forms(page)[path]
    assert people["ada"].post(path, data=again).status_code == 303
    assert template_drafts.clause(template_drafts.get(draft.id), "purpose")["text"]["en"] == "Ada’s words."


def test_clauses_are_added_moved_and_removed(people, draft):
    added = people["ada"].post(url(draft, "/clauses"), data={"after": "purpose"})
    key = added.headers["Location"].rsplit("/", 1)[1]
    people["ada"].post(url(draft, f"/clauses/{key}/up"))
    assert template_drafts.get(draft.id).clauses[0]["key"] == key
    assert "keeps it from being published" in people["ada"].get(url(draft)).text
    people["ada"].post(url(draft, f"/clauses/{key}/down"))
    people["ada"].post(url(draft, f"/clauses/{key}/removal"))
    assert template_drafts.get(draft.id).clauses == draft.clauses
    assert people["ada"].get(url(draft, "/clauses/nowhere")).status_code == 404


def test_asking_without_a_note_says_so_beside_it(people, draft):
    page = people["ada"].post(url(draft, "/publication"), data={"note": ""})

    assert page.status_code == 422
    assert 'id="note-reason"' in page.text
    assert template_drafts.get(draft.id).asked_at is None


def test_sending_back_needs_a_reason_and_shows_it(people, draft):
    people["ada"].post(url(draft, "/publication"), data={"note": "For nights"})
    typed = forms(people["lena"].get(url(draft)))[url(draft, "/return")]

    page = people["lena"].post(url(draft, "/return"), data={**typed, "reason": ""})
    assert page.status_code == 422
    assert 'id="reason-reason"' in page.text
    assert people["lena"].post(url(draft, "/return"), data={**typed, "reason": "Too dark"}).status_code == 303

    assert "Lena sent it back" in people["ada"].get(url(draft)).text
    assert "Too dark" in people["ada"].get(url(draft)).text


def test_an_answer_to_a_text_that_has_changed_is_refused(people, draft):
    people["ada"].post(url(draft, "/publication"), data={"note": "For nights"})
    typed = forms(people["lena"].get(url(draft)))[url(draft, "/approval")]
    people["ada"].post(url(draft, "/recall"))

    assert people["lena"].post(url(draft, "/approval"), data=typed).status_code == 409


def test_who_may_not_write_reads_only(people, draft):
    ana = people["ana"]
    page = ana.get(url(draft))

    assert page.status_code == 200
    assert "Ask for publication" not in page.text
    assert ana.get("/templates/new").status_code == 403
    for rest in (
        "/clauses",
        "/publication",
        "/recall",
        "/removal",
        "/clauses/purpose",
        "/clauses/purpose/up",
    ):
        assert ana.post(url(draft, rest)).status_code == 403
    version = templates.offered()[0]
    assert ana.post(f"/templates/{version.id}/draft").status_code == 403
    assert ana.post(f"/templates/{version.id}/retirement").status_code == 403
    people["ada"].post(url(draft, "/publication"), data={"note": "For nights"})
    seen = template_drafts.get(draft.id).sha256
    assert ana.post(url(draft, "/approval"), data={"seen": seen}).status_code == 403


def test_a_stranger_finds_nothing(people, draft):
    cleo = people["cleo"]

    for path in ("/templates", "/templates/new", url(draft), url(draft, "/clauses/purpose")):
        assert cleo.get(path).status_code == 404
    assert cleo.post(url(draft, "/approval")).status_code == 404


def test_the_next_version_opens_the_one_draft_there_is(people):
    version = templates.offered()[0]

    first = people["ada"].post(f"/templates/{version.id}/draft").headers["Location"]
    again = people["lena"].post(f"/templates/{version.id}/draft").headers["Location"]

    assert first == again
    assert "The draft after version 1" in people["ada"].get(first).text
    assert "Open the draft" in people["ada"].get(f"/templates/{version.id}").text
    assert "after version 1" in people["ana"].get("/templates").text
    assert people["ada"].post(f"{first}/removal").status_code == 303
    assert TemplateVersion.select().count() == 2


def test_retired_templates_stand_apart_and_are_not_offered(people):
    version = templates.offered()[0]
    name = templates.name_of(version, "en")

    people["ada"].post(f"/templates/{version.id}/retirement")
    assert name not in people["ana"].get("/contracts/new").text
    assert "No new contract begins with these." in people["ana"].get("/templates").text
    assert "Bring it back into use" in people["ada"].get(f"/templates/{version.id}").text

    people["ada"].post(f"/templates/{version.id}/return")
    assert name in people["ana"].get("/contracts/new").text


def test_who_approves_is_chosen_by_an_administrator_with_a_fresh_code(people, cast):
    ada = people["ada"]
    assert "/step-up" in ada.get("/templates/approvers").headers["Location"]
    Session.update(stepped_up_at=utc_now()).where(Session.person == cast.ada).execute()

    assert "Lena" in ada.get("/templates/approvers").text
    ada.post("/templates/approvers", data={"role.privacy": "yes"})

    assert publication.roles_asked() == ["privacy"]
    assert people["lena"].get("/templates/approvers").status_code == 403
