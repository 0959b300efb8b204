"""Clauses that templates share: versions, pins, other wordings, defined terms."""

from __future__ import annotations

import pytest

from portal.errors import Conflict, Invalid, NotFound
from portal.models.contracts import Revision
from portal.services import clause_library, deviations, new_contracts, revisions, template_drafts, templates
from portal.services.audit import SYSTEM
from portal.sla import defined_terms, wording
from tests.services.drafting import actor, answers

TEXT = {
    "en": "Liability is limited to the fees of twelve months.",
    "fr": "La responsabilité est limitée à douze mois.",
}


def values(**changes):
    return {
        "heading": {"en": "Liability", "fr": "Responsabilité"}, "text": TEXT, "applies_when": "",
        "role": "finance", "positions": [], "change_note": "", **changes,
    }  # fmt: skip


def other(level, en, fr="", role=""):
    return {"level": level, "role": role, "text": {"en": en, "fr": fr}}


POSITIONS = [
    other("acceptable", "Liability is limited to the fees of eighteen months.", "Dix-huit mois."),
    other("approval", "Liability is limited to the fees of two years.", "Deux ans.", role="executive"),
    other("not_allowed", "without any limit"),
]


def create(cast, now, name="Cap", **changes):
    return clause_library.create(
        {"en": name}, values(**changes), person=cast.ada, by=actor(cast.ada), now=now
    )


def save(version, cast, now, seen=None, **changes):
    return clause_library.save(
        version.clause, values(**{"change_note": "Clearer", **changes}), seen=seen or version.number,
        person=cast.ada, by=actor(cast.ada), now=now,
    )  # fmt: skip


@pytest.fixture
def draft(cast, now):
    """A draft of a template with the library's cap at its front."""
    templates.seed(now)
    made = template_drafts.begin(
        {"en": "With cap", "fr": "Avec plafond"}, source=templates.offered()[0], author=cast.ada,
        by=actor(cast.ada), now=now,
    )  # fmt: skip
    version = create(cast, now, positions=POSITIONS)
    clause_library.take_in(made, version, "", person=cast.ada, by=actor(cast.ada), now=now)
    return made


def contract_with(draft, cast, now, en, fr="Dix-huit mois."):
    """A contract from the published draft, with these words in the library's clause."""
    templates.publish(
        draft.template.key, draft.template.name, draft.clauses, draft.levels, change_note="", by=SYSTEM,
        now=now,
    )  # fmt: skip
    version = templates.newest(draft.template)
    made = new_contracts.fast_lane(
        answers(cast, template_version_id=version.id), owner=cast.ana, by=actor(cast.ana), now=now
    )
    text = revisions.current(made)
    clauses = [
        {**each, "text": {"en": en, "fr": fr}} if each["key"] == "cap" else each for each in text.clauses
    ]
    Revision.update(clauses=clauses).where(Revision.id == text.id).execute()
    made.languages = ["en"]
    return made, revisions.current(made)


@pytest.mark.parametrize(
    ("en", "level", "role"),
    [
        ("Liability is limited to the fees of  eighteen months.", "acceptable", "finance"),
        ("Liability is limited to the fees of two years.", "approval", "executive"),
        ("Liability stands without any limit.", "not_allowed", "finance"),
        ("Liability is limited to one euro.", "approval", "finance"),
    ],
)
def test_other_wordings_have_the_level_the_library_says(draft, cast, now, en, level, role):
    contract, text = contract_with(draft, cast, now, en)

    found = [each for each in deviations.of(contract, text) if each.key == "clauses.cap"]

    assert [(each.level, each.role) for each in found] == [(level, role)]


def test_a_clause_of_no_library_asks_legal_as_ever(draft, cast, now):
    contract, text = contract_with(draft, cast, now, TEXT["en"], TEXT["fr"])
    clauses = [
        {**each, "text": {"en": "Other."}} if each["key"] == "purpose" else each for each in text.clauses
    ]
    Revision.update(clauses=clauses).where(Revision.id == text.id).execute()

    found = deviations.of(contract, revisions.current(contract))

    assert [(each.key, each.level, each.role) for each in found] == [("clauses.purpose", "approval", "legal")]


def test_a_draft_keeps_its_version_until_the_newest_is_taken(draft, cast, now):
    version = clause_library.newest(clause_library.get("cap"))
    save(version, cast, now, text={**TEXT, "en": "New words."}, positions=POSITIONS)
    assert template_drafts.clause(draft, "cap")["text"] == TEXT
    assert clause_library.behind(draft.clauses) == {"cap": 2}

    clause_library.take_newest(draft, "cap", person=cast.ada, by=actor(cast.ada), now=now)

    found = template_drafts.clause(draft, "cap")
    assert (found["text"]["en"], found["library"]) == ("New words.", {"key": "cap", "version": 2})
    assert clause_library.behind(draft.clauses) == {}


def test_a_clause_that_is_rewritten_in_the_template_is_no_longer_the_librarys(draft, cast, now):
    from portal.services import drafts

    found = template_drafts.clause(draft, "cap")
    template_drafts.save_clause(
        draft, "cap", heading={}, text={"en": "Own words."}, level=1, when="", seen=drafts.mark(found),
        author=cast.ada, by=actor(cast.ada), now=now,
    )  # fmt: skip

    assert "library" not in template_drafts.clause(draft, "cap")
    with pytest.raises(Conflict):
        clause_library.take_newest(draft, "cap", person=cast.ada, by=actor(cast.ada), now=now)


def test_saving_needs_a_note_and_the_newest_version(cast, now):
    version = create(cast, now)
    assert save(version, cast, now) == version  # nothing changed
    with pytest.raises(Invalid, match="Say what changes"):
        save(version, cast, now, role="legal", change_note="")
    save(version, cast, now, role="legal")
    with pytest.raises(Conflict, match="meanwhile"):
        save(version, cast, now, role="privacy")
    assert [each.number for each in clause_library.versions(version.clause)] == [2, 1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": {"en": " "}}, "text.en"),
        ({"text": {"en": "Costs {{fees}}."}}, "text.en"),
        ({"role": "owner"}, "role"),
        ({"applies_when": "full moon"}, "applies_when"),
        ({"positions": [other("acceptable", "Only English.")]}, "positions.0.text.fr"),
        ({"positions": [other("gladly", "x", "y")]}, "positions.0.level"),
    ],
)
def test_what_is_no_clause_is_refused_by_field(cast, now, changes, field):
    with pytest.raises(Invalid) as refused:
        create(cast, now, **changes)

    assert field in refused.value.errors


def test_a_retired_clause_is_taken_into_nothing_new(draft, cast, now):
    clause = clause_library.get("cap")
    clause_library.retire(clause, on=True, by=actor(cast.ada), now=now)

    with pytest.raises(Conflict, match="retired"):
        version = clause_library.everything()[0]
        clause_library.take_in(draft, version, "", person=cast.ada, by=actor(cast.ada), now=now)
    clause_library.retire(clause, on=False, by=actor(cast.ada), now=now)
    assert clause_library.get("cap").retired_at is None
    with pytest.raises(NotFound):
        clause_library.get("nowhere")


# -- Defined terms ------------------------------------------------------------------------------


def clauses(text, language="en"):
    return [{"text": {language: text}}]


def test_terms_that_are_defined_and_never_used_are_found():
    found = defined_terms.check(
        clauses(
            "- **Outage** means silence;\n- **Peak** means noise.\n\nAn outage is bad. (the “Service Desk”)"
        ),
        "en",
    )

    assert found.defined == ("Outage", "Peak", "Service Desk")
    assert found.unused == ("Peak", "Service Desk")


def test_terms_that_are_used_and_never_defined_are_found():
    text = "We keep the Private Papers. Nobody shows Private Papers. The Customer pays in May."
    assert defined_terms.check(clauses(text), "en").undefined == ("Private Papers",)

    french = "Selon les Données Client, le Prestataire agit. Il rend les Données Client."
    assert defined_terms.check(clauses(french, "fr"), "fr").undefined == ("Données Client",)
    assert defined_terms.check(clauses(french + " (les « Données Client »)", "fr"), "fr").undefined == ()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_templates_that_come_with_the_portal_have_no_loose_term(language):
    for template in wording.templates():
        found = defined_terms.check(template.clauses, language)
        assert (found.unused, found.undefined) == ((), ())
        assert len(found.defined) == 7
