"""Somebody else's PDF in a contract: kept, confirmed, signed with our page behind it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid
from portal.models.contracts import Document
from portal.services import contracts, documents, installation, jobs, new_contracts, revisions, uploads
from tests.documents import hostile
from tests.services.drafting import actor, draft


@pytest.fixture
def pdf():
    return hostile.saved(hostile.plain("Non-disclosure agreement", pages=2))


@pytest.fixture
def nda(cast, now):
    return new_contracts.from_file(
        title="Non-disclosure agreement",
        entity_id=cast.entity.id,
        signatory_id=cast.signatory.id,
        party="Castellan Pharma SA",
        language="en",
        signers=[
            {"name": "Marc Delorme", "email": "marc@castellan.example", "title": "Managing Director"},
            {"name": "Claire Aubert", "email": "claire@castellan.example", "title": "IT Director"},
        ],
        owner=cast.ana,
        by=actor(cast.ana),
        now=now,
    )


def test_a_pdf_and_its_people_are_ready_without_terms(cast, now, nda, pdf):
    upload = uploads.take(pdf, "nda.pdf", person=cast.ana, now=now)
    uploads.attach(nda, upload, mode=revisions.NO_TERMS, by=actor(cast.ana), now=now)

    revision = revisions.make_ready(nda, by=actor(cast.ana), now=now)

    shown = revisions.shown_document(revision)
    assert nda.state == "ready_to_sign"
    assert shown.pages == 3
    assert {spot["page"] for spot in shown.facts["placements"]} == {3}
    assert len(shown.facts["placements"]) == 3
    assert upload.sha256 in bytes(revision.canonical).decode()
    assert [each["routing_order"] for each in nda.recipients] == [1, 1, 2]


def test_without_its_file_it_cannot_be_sent(cast, now, nda):
    assert [fault.path for fault in revisions.faults(nda, revisions.current(nda))] == ["file"]
    with pytest.raises(Conflict):
        revisions.make_ready(nda, by=actor(cast.ana), now=now)


def test_their_text_with_our_terms_as_a_schedule(cast, now, pdf):
    contract = draft(cast, now)
    upload = uploads.take(pdf, "theirs.pdf", person=cast.ana, now=now)
    uploads.attach(contract, upload, mode=revisions.SCHEDULE, by=actor(cast.ana), now=now)

    shown = revisions.shown_document(revisions.freeze(contract, by=actor(cast.ana), now=now))

    words = " ".join(page.text for page in documents.pages(shown))
    assert "Non-disclosure agreement" in words
    assert "30 minutes" in words  # the schedules are part of what is signed
    assert shown.facts["placements"][0]["page"] == shown.pages


def test_our_reading_of_their_text_is_not_printed(cast, now, pdf):
    contract = draft(cast, now)
    upload = uploads.take(pdf, "theirs.pdf", person=cast.ana, now=now)
    uploads.attach(contract, upload, mode=revisions.READING, by=actor(cast.ana), now=now)

    revision = revisions.freeze(contract, by=actor(cast.ana), now=now)

    words = " ".join(page.text for page in documents.pages(revisions.shown_document(revision)))
    assert "30 minutes" not in words
    assert '"terms_are":"terms_reading"' in bytes(revision.canonical).decode()


def test_a_newer_file_replaces_the_one_before_and_can_be_taken_out(cast, now, pdf):
    contract = draft(cast, now)
    for name in ("one.pdf", "two.pdf"):
        upload = uploads.take(pdf, name, person=cast.ana, now=now)
        uploads.attach(contract, upload, mode=revisions.READING, by=actor(cast.ana), now=now)
    assert [each.file_name for each in revisions.uploads(contract)] == ["two.pdf"]

    uploads.detach(contract, by=actor(cast.ana), now=now)

    assert revisions.uploads(contract) == []
    assert (contract.kind, contract.flags) == ("support", [])
    assert revisions.faults(contract, revisions.current(contract)) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7 and nothing else"])
def test_what_is_no_pdf_is_refused_beside_the_file(cast, now, content):
    with pytest.raises(Invalid) as refused:
        uploads.take(content, "x.pdf", person=cast.ana, now=now)

    assert refused.value.errors["file"]


def test_a_kept_file_is_its_senders_alone_and_not_for_ever(cast, now, pdf):
    upload = uploads.take(pdf, "../../etc/nda\r\n.pdf", person=cast.ana, now=now)

    assert upload.file_name == "nda .pdf"
    assert uploads.kept(upload.id, person=cast.ana, now=now).id == upload.id
    for who, when in ((cast.ben, now), (cast.ana, now + timedelta(days=2))):
        with pytest.raises(Invalid):
            uploads.kept(upload.id, person=who, now=when)


def test_files_never_used_are_forgotten(cast, now, nda, pdf, run_jobs):
    unused = uploads.take(pdf, "unused.pdf", person=cast.ana, now=now)
    used = uploads.take(pdf, "used.pdf", person=cast.ana, now=now)
    uploads.attach(nda, used, mode=revisions.NO_TERMS, by=actor(cast.ana), now=now)
    later = now + timedelta(days=3)

    jobs.add("forget_uploads", now=later)
    run_jobs(later)

    assert Document.get_or_none(Document.id == unused.id) is None
    assert not installation.current().store.exists(unused.storage_key)
    assert documents.read(Document.get_by_id(used.id)).startswith(b"%PDF")


def test_a_file_that_was_changed_in_the_store_is_not_handed_out(cast, now, pdf):
    upload = uploads.take(pdf, "nda.pdf", person=cast.ana, now=now)
    Document.update(sha256="0" * 64).where(Document.id == upload.id).execute()

    with pytest.raises(documents.Damaged):
        documents.read(Document.get_by_id(upload.id))


def test_two_people_need_two_addresses(cast, now):
    same = {"name": "Marc Delorme", "email": "marc@castellan.example", "title": ""}
    with pytest.raises(Invalid) as refused:
        new_contracts.from_file(
            title="NDA", entity_id=cast.entity.id, signatory_id="", party="Castellan Pharma SA",
            language="en", signers=[same, same], owner=cast.ana, by=actor(cast.ana), now=now,
        )  # fmt: skip

    assert "email_2" in refused.value.errors
    assert contracts.next_reference("LF", now.year) == "LF-2026-0001"
