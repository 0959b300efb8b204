"""Search in texts: found by the beginnings of words, in both languages, as contracts change."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal import i18n
from portal.models.base import transaction
from portal.models.contract_texts import ContractText
from portal.models.contracts import Contract, Document, PageImage, Revision
from portal.models.jobs import Job
from portal.services import contract_texts, jobs, revisions, text_marks
from tests.cast import person
from tests.services.drafting import draft


@pytest.fixture
def contract(home, cast, now, run_jobs):
    made = draft(cast, now)
    run_jobs(now)
    return Contract.get_by_id(made.id)


def found(cast, typed, **more):
    return [hit.contract.id for hit in contract_texts.search(cast.ana, typed, **more).hits]


def reread(contract, now):
    with transaction():
        contract_texts.write(contract, now)


def reword(contract, **text):
    revision = revisions.current(contract)
    clauses = [revision.clauses[0] | {"text": text, "heading": dict.fromkeys(text, "Penguins")}]
    Revision.update(clauses=clauses).where(Revision.id == revision.id).execute()


def with_page(contract, now, text, kind="upload"):
    document = Document.create(
        contract=contract, kind=kind, file_name="order form.pdf", sha256="ab" * 32, size_bytes=1,
        storage_key="x", created_at=now,
    )  # fmt: skip
    PageImage.create(document=document, number=3, width=1, height=1, text=text, storage_key="y")
    return document


def test_clauses_are_found_by_the_beginnings_of_words_without_accents_or_capitals(contract, cast, now):
    reword(
        contract,
        en="The Supplier feeds **emperor** penguins.",
        fr="Le prestataire nourrit les manchots à Évreux.",
    )
    reread(contract, now)

    for typed in ("penguin", "EMPEROR peng", "manchots evreux", "Évr", "supplier"):
        assert found(cast, typed) == [contract.id], typed
    for typed in ("enguin", "penguin walrus", "", "  ", "**", '"penguin', "'); DROP"):
        assert found(cast, typed) == ([contract.id] if typed in ('"penguin',) else []), typed


def test_terms_are_found_as_sentences_in_either_language(contract, cast, now):
    with i18n.use("fr"):
        assert found(cast, "prestataire repond") or found(cast, "réponse")
    assert found(cast, "working hours") or found(cast, "answer")


def test_people_are_found_by_name_and_address(contract, cast):
    asked = contract.recipients[0]

    assert found(cast, asked["name"]) == [contract.id]
    assert found(cast, asked["email"]) == [contract.id]


def test_pages_of_files_are_found_and_lead_to_the_page(contract, cast, now):
    document = with_page(contract, now, "Delivery to Kerguelen by ship")
    reread(contract, now)

    hit = contract_texts.search(cast.ana, "kerguelen").hits[0]

    passage, pieces = hit.shown[0]
    assert (passage.document_id, passage.number, passage.where) == (document.id, 3, "order form.pdf, page 3")
    assert ("Kerguelen", True) in pieces


def test_pages_with_health_information_are_not_read(contract, cast, now):
    with_page(contract, now, "Patient Kerguelen")
    Contract.update(has_phi=True).where(Contract.id == contract.id).execute()
    reread(Contract.get_by_id(contract.id), now)

    assert found(cast, "kerguelen") == []


def test_somebody_who_may_read_no_contract_finds_nothing(contract, cast, now):
    assert contract_texts.search(cast.cleo, "supplier").hits == []
    assert contract_texts.search(person("Olga", now), "supplier").hits == []


def test_a_change_is_found_once_its_job_has_run_and_a_rolled_back_one_never(contract, cast, now, run_jobs):
    from portal.services import text_changes

    reword(contract, en="Walruses")
    with pytest.raises(RuntimeError), transaction():
        text_changes.note("contract.edited", contract.id, now)
        raise RuntimeError
    run_jobs(now)
    assert found(cast, "walrus") == []

    with transaction():
        text_changes.note("contract.edited", contract.id, now)
        text_changes.note("contract.edited", contract.id, now)
    assert Job.select().where((Job.kind == "read_contract_text") & (Job.status == "ready")).count() == 1
    run_jobs(now)
    assert found(cast, "walrus") == [contract.id]


def test_what_was_missed_is_read_by_the_sweep_and_removed_contracts_are_forgotten(
    contract, cast, now, run_jobs
):
    reword(contract, en="Walruses")
    assert contract_texts.rebuild(now) == 1
    assert found(cast, "walrus") == []

    run_jobs(now)
    assert found(cast, "walrus") == [contract.id]
    reword(contract, en="Seals")
    later = now + timedelta(minutes=1)
    Contract.update(updated_at=later).execute()
    jobs.add("read_contract_texts", now=later)
    run_jobs(later)
    assert (found(cast, "walrus"), found(cast, "seals")) == ([], [contract.id])

    ContractText.delete().execute()
    assert found(cast, "seals") == []


def test_the_newest_come_first_a_page_at_a_time(home, cast, now, run_jobs):
    made = [draft(cast, now).id for _each in range(5)]
    run_jobs(now)

    first = contract_texts.search(cast.ana, "supplier", size=2)
    second = contract_texts.search(cast.ana, "supplier", before=first.next, size=2)
    third = contract_texts.search(cast.ana, "supplier", before=second.next, size=2)

    pages = [[hit.contract.id for hit in each.hits] for each in (first, second, third)]
    assert pages == [[made[4], made[3]], [made[2], made[1]], [made[0]]]
    assert third.next is None


def test_an_excerpt_marks_words_and_cuts_between_them():
    text = "word " * 60 + "The Événement <b>begins</b> here " + "tail " * 60

    pieces = text_marks.excerpt(text, ["even", "begin"])

    assert [each for each, is_hit in pieces if is_hit] == ["Événement", "begins"]
    said = "".join(each for each, _hit in pieces)
    assert (said[:6], said[-2:]) == ("… word", " …")
    assert "<b>" in said
    assert len(said) < 240


def test_an_excerpt_of_one_endless_word_still_ends():
    assert len("".join(p for p, _h in text_marks.excerpt("x" * 5000, ["x"]))) < 240
    assert text_marks.excerpt("", ["x"]) == []
