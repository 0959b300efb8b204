"""Templates are written, asked for, approved by others, published and retired."""

from __future__ import annotations

import threading

import pytest

from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.models import base
from portal.models.audit import AuditEvent
from portal.models.contracts import Contract
from portal.models.notices import Notice
from portal.models.templates import Template, TemplateVersion
from portal.services import (
    drafts,
    new_contracts,
    notices,
    publication,
    revisions,
    template_drafts,
    template_history,
    templates,
)
from tests.cast import person
from tests.services.drafting import actor, answers


@pytest.fixture
def people(cast, now):
    """Ada writes; Lena (legal) and Sina (service) approve."""
    templates.seed(now)
    publication.seed(now)
    return {"lena": person("Lena", now, ("legal",)), "sina": person("Sina", now, ("service_approver",))}


def begin(cast, now, name="Night shift", **more):
    return template_drafts.begin(
        {"en": name, "fr": f"{name} (fr)"}, source=templates.offered()[1], author=cast.ada,
        by=actor(cast.ada), now=now, **more,
    )  # fmt: skip


def write(draft, cast, now, key="purpose", who=None, **words):
    who = who or cast.ada
    found = template_drafts.clause(draft, key)
    values = {"heading": {}, "text": {"en": "New words."}, "level": 1, "when": "", **words}
    values.setdefault("seen", drafts.mark(found))
    template_drafts.save_clause(draft, key, **values, author=who, by=actor(who), now=now)


def ask(draft, cast, now):
    publication.ask(draft, "Clearer purpose", by=actor(cast.ada), now=now)


def approve(draft, who, now):
    return publication.approve(draft, who, seen=draft.sha256, by=actor(who), now=now)


def acts():
    query = AuditEvent.select().where(AuditEvent.act.startswith("template.")).order_by(AuditEvent.number)
    return [event.act.removeprefix("template.") for event in query]


def test_a_new_template_is_published_once_both_roles_have_approved_it(cast, now, people):
    draft = begin(cast, now)
    write(draft, cast, now)
    assert draft.template.key == "night-shift"
    ask(draft, cast, now)

    assert approve(draft, people["lena"], now) is False
    assert [(need.role, need.by) for need in publication.needs(draft)] == [
        ("legal", "Lena"), ("service_approver", ""),
    ]  # fmt: skip
    assert approve(draft, people["sina"], now) is True

    version = templates.offered()[-1]
    assert (version.template.key, version.number, version.change_note) == (
        "night-shift",
        1,
        "Clearer purpose",
    )
    assert version.sha256 == templates.digest_of(version.clauses, version.levels)
    assert {each.person.name for each in publication.given(version)} == {"Lena", "Sina"}
    assert acts()[-6:] == [
        "drafted", "edited", "publication_asked", "publication_approved", "publication_approved", "published",
    ]  # fmt: skip


def test_a_contract_starts_from_what_is_published_and_its_levels_hold(cast, now, people):
    draft = begin(cast, now)
    write(draft, cast, now)
    ask(draft, cast, now)
    approve(draft, people["lena"], now)
    approve(draft, people["sina"], now)
    version = templates.offered()[-1]

    made = new_contracts.fast_lane(
        answers(cast, template_version_id=version.id, level="standard"), owner=cast.ana, by=actor(cast.ana),
        now=now,
    )  # fmt: skip

    text = revisions.current(made)
    assert text.clauses[0]["text"]["en"] == "New words."
    assert text.terms["severities"] == version.levels["standard"]["terms"]["severities"]
    assert revisions.faults(made, text) == []


def test_those_asked_get_a_message_and_authors_hear_of_the_answer(cast, now, people, run_jobs):
    draft = begin(cast, now)
    ask(draft, cast, now)
    approve(draft, people["lena"], now)
    publication.send_back(
        draft, people["sina"], "Say which hours.", seen=draft.sha256, by=actor(people["sina"]), now=now
    )

    sent = [(row.kind, row.name) for row in Notice.select().order_by(Notice.created_at, Notice.id)]
    assert sorted(sent) == [
        ("template_asked", "Lena"), ("template_asked", "Sina"), ("template_returned", "Ada"),
    ]  # fmt: skip
    text, html = notices.read(Notice.get(Notice.kind == "template_returned"))
    assert "Say which hours." in text
    assert f"/templates/drafts/{draft.id}" in html


def test_nobody_approves_what_they_wrote(cast, now, people):
    draft = begin(cast, now)
    write(draft, cast, now, who=people["lena"])
    ask(draft, cast, now)

    with pytest.raises(NotAllowed, match="You wrote in this draft"):
        approve(draft, people["lena"], now)
    assert not publication.may_answer(draft, people["lena"])
    assert publication.may_answer(draft, people["sina"])
    assert [list(need.people) for need in publication.needs(draft)] == [[], ["Sina"]]


def test_who_holds_no_asked_role_does_not_approve(cast, now, people):
    draft = begin(cast, now)
    ask(draft, cast, now)

    for stranger in (cast.ana, cast.ben, cast.cleo):
        with pytest.raises(NotAllowed):
            approve(draft, stranger, now)
    approve(draft, people["lena"], now)
    with pytest.raises(NotAllowed, match="not asked"):
        approve(draft, people["lena"], now)


def test_without_a_policy_one_other_person_is_enough(cast, now):
    templates.seed(now)
    other = person("Otto", now, ("administrator",))
    draft = begin(cast, now)
    ask(draft, cast, now)

    with pytest.raises(NotAllowed):
        approve(draft, cast.ada, now)
    assert approve(draft, other, now) is True


def test_an_answer_is_bound_to_the_text_it_was_given_for(cast, now, people):
    draft = begin(cast, now)
    ask(draft, cast, now)
    seen = draft.sha256
    approve(draft, people["lena"], now)
    publication.recall(draft, by=actor(cast.ada), now=now)
    write(draft, cast, now)
    ask(draft, cast, now)

    with pytest.raises(Conflict, match="has changed"):
        publication.approve(draft, people["sina"], seen=seen, by=actor(people["sina"]), now=now)
    assert [need.by for need in publication.needs(draft)] == ["", ""]


def test_what_waits_for_approval_cannot_be_changed(cast, now, people):
    draft = begin(cast, now)
    ask(draft, cast, now)

    with pytest.raises(Conflict, match="waits for approval"):
        write(draft, cast, now)
    with pytest.raises(Conflict, match="waits for approval"):
        template_drafts.discard(draft, by=actor(cast.ada), now=now)
    with pytest.raises(Conflict, match="already"):
        ask(draft, cast, now)


def test_what_is_published_cannot_be_changed(cast, now, people):
    draft = begin(cast, now)
    ask(draft, cast, now)
    approve(draft, people["lena"], now)
    approve(draft, people["sina"], now)
    stands = TemplateVersion.get_by_id(draft.id)

    for change in (
        lambda: write(draft, cast, now, seen=drafts.mark(stands.clauses[0])),
        lambda: template_drafts.discard(draft, by=actor(cast.ada), now=now),
        lambda: ask(draft, cast, now),
        lambda: approve(draft, people["lena"], now),
    ):
        with pytest.raises(Conflict):
            change()
    with pytest.raises(NotFound):
        template_drafts.get(draft.id)
    assert TemplateVersion.get_by_id(draft.id).clauses == stands.clauses


def test_asking_needs_a_note_words_in_every_language_and_a_change(cast, now, people):
    draft = begin(cast, now)
    with pytest.raises(Invalid, match="Say what changes"):
        publication.ask(draft, " ", by=actor(cast.ada), now=now)

    write(draft, cast, now, text={"fr": ""})
    assert [fault.path for fault in template_drafts.faults(draft)] == ["clauses.purpose.fr"]
    with pytest.raises(Conflict, match="marked"):
        ask(draft, cast, now)

    empty = begin(cast, now, "Nothing", clauses=[])
    with pytest.raises(Conflict, match="marked"):
        ask(empty, cast, now)


def test_an_unknown_variable_is_a_fault(cast, now, people):
    draft = begin(cast, now)
    write(draft, cast, now, text={"en": "It costs {{fees}}."})

    assert [fault.message for fault in template_drafts.faults(draft)] == [
        "There is no variable called {{fees}}."
    ]


def test_the_next_version_counts_on_and_contracts_keep_theirs(cast, now, people):
    first = templates.offered()[1]
    contract = new_contracts.fast_lane(
        answers(cast, template_version_id=first.id, level="standard"), owner=cast.ana, by=actor(cast.ana),
        now=now,
    )  # fmt: skip
    draft = template_drafts.begin_next(first, author=cast.ada, by=actor(cast.ada), now=now)
    with pytest.raises(Conflict, match="open already"):
        template_drafts.begin_next(first, author=cast.ada, by=actor(cast.ada), now=now)
    with pytest.raises(Conflict, match="Nothing has changed"):
        ask(draft, cast, now)
    write(draft, cast, now)
    ask(draft, cast, now)
    approve(draft, people["lena"], now)
    approve(draft, people["sina"], now)

    assert [each.number for each in templates.published_versions(first.template)] == [2, 1]
    assert templates.newest(first.template).id == draft.id
    assert Contract.get_by_id(contract.id).template_version == first


def test_the_portals_own_wording_leaves_a_template_alone_that_people_look_after(cast, now, people):
    first = templates.offered()[1]
    draft = template_drafts.begin_next(first, author=cast.ada, by=actor(cast.ada), now=now)
    write(draft, cast, now)
    ask(draft, cast, now)
    approve(draft, people["lena"], now)
    approve(draft, people["sina"], now)
    other = templates.offered()[0].template
    templates.retire(other, by=actor(cast.ada), now=now)

    templates.seed(now)

    assert templates.newest(first.template).number == 2
    assert templates.offered() == [TemplateVersion.get_by_id(draft.id)]
    assert templates.newest(other).number == 1


def test_a_retired_template_is_not_offered_until_it_is_brought_back(cast, now, people):
    template = templates.offered()[0].template

    templates.retire(template, by=actor(cast.ada), now=now)
    templates.retire(template, by=actor(cast.ada), now=now)
    assert template.key not in [each.template.key for each in templates.offered()]
    assert [each.template.key for each in templates.newest_of(retired=True)] == [template.key]

    templates.bring_back(template, by=actor(cast.ada), now=now)
    assert template.key in [each.template.key for each in templates.offered()]
    assert acts()[-2:] == ["retired", "brought_back"]


def test_two_people_writing_one_clause_lose_nothing(cast, now, people):
    draft = begin(cast, now)
    seen = drafts.mark(template_drafts.clause(draft, "purpose"))
    write(draft, cast, now, text={"en": "Ada’s words."})

    with pytest.raises(drafts.Changed) as refused:
        write(draft, cast, now, seen=seen, who=people["lena"])

    assert refused.value.theirs["text"]["en"] == "Ada’s words."


def test_clauses_are_added_moved_and_removed(cast, now, people):
    draft = begin(cast, now, clauses=[])
    how = {"author": cast.ada, "by": actor(cast.ada), "now": now}
    first = template_drafts.add_clause(draft, "", **how)
    second = template_drafts.add_clause(draft, first, **how)
    template_drafts.move_clause(draft, second, -1, **how)
    template_drafts.move_clause(draft, second, -1, **how)
    assert [each["key"] for each in draft.clauses] == [second, first]

    template_drafts.remove_clause(draft, second, **how)
    template_drafts.remove_clause(draft, second, **how)
    assert [each["key"] for each in draft.clauses] == [first]


def test_a_draft_that_is_thrown_away_takes_its_unpublished_template_along(cast, now, people):
    draft = begin(cast, now)
    template_drafts.discard(draft, by=actor(cast.ada), now=now)
    assert Template.get_or_none(Template.key == "night-shift") is None

    kept = template_drafts.begin_next(templates.offered()[0], author=cast.ada, by=actor(cast.ada), now=now)
    template_drafts.discard(kept, by=actor(cast.ada), now=now)
    assert len(templates.offered()) == 2


def test_names_that_are_taken_get_a_number(cast, now, people):
    assert [begin(cast, now, name).template.key for name in ("New", "Night", "Night")] == [
        "new-template", "night", "night-2",
    ]  # fmt: skip


def test_the_page_of_a_template_tells_its_story(cast, now, people):
    draft = begin(cast, now)
    write(draft, cast, now)
    write(draft, cast, now, text={"en": "Other words."})
    ask(draft, cast, now)
    publication.send_back(
        draft, people["lena"], "Too short.", seen=draft.sha256, by=actor(people["lena"]), now=now
    )

    told = template_history.of(draft.template)

    assert [each.text for each in told] == [
        "Lena sent the draft back", "Ada asked for publication", "Ada changed the draft",
        "Ada began a draft",
    ]  # fmt: skip
    assert told[0].note == "Reason: Too short."


def test_policy_is_chosen_among_the_roles_that_approve(cast, now, people):
    publication.choose_roles(["privacy"], by=actor(cast.ada), now=now)
    assert publication.roles_asked() == ["privacy"]
    publication.seed(now)
    assert publication.roles_asked() == ["privacy"]
    with pytest.raises(Invalid):
        publication.choose_roles(["owner"], by=actor(cast.ada), now=now)


def test_two_last_approvals_at_once_publish_once(cast, now, people, home):
    publication.choose_roles([], by=actor(cast.ada), now=now)
    draft = begin(cast, now)
    ask(draft, cast, now)
    results = []

    def press(who):
        base.db.connect(reuse_if_open=True)
        try:
            mine = template_drafts.get(draft.id)
            results.append(publication.approve(mine, who, seen=draft.sha256, by=actor(who), now=now))
        except (Conflict, NotAllowed, NotFound):
            results.append(None)
        finally:
            base.db.close()

    threads = [threading.Thread(target=press, args=(people[name],)) for name in ("lena", "sina")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(results, key=str) == [None, True]
    assert acts().count("published") == 3
