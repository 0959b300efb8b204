"""Freezing: canonical bytes, their hash, the PDF with its placements, its pages."""

from __future__ import annotations

import hashlib
import json

import pytest

from portal.errors import Conflict, Invalid
from portal.models.contracts import Contract
from portal.services import contracts, documents, drafts, revisions
from portal.sla import canonical
from tests.services.drafting import actor, draft


def test_a_frozen_revision_is_bytes_with_their_hash(cast, now):
    contract = draft(cast, now)

    revision = revisions.freeze(contract, by=actor(cast.ana), now=now)

    stored = bytes(revision.canonical)
    content = json.loads(stored)
    assert hashlib.sha256(stored).hexdigest() == revision.sha256
    assert canonical.canonical(content) == stored
    assert content["schema"] == "countersign-revision/1"
    assert content["terms"] == revision.terms
    assert content["value"] == {"amount": "558000.00", "currency": "EUR"}
    assert content["documents"] == [revisions.shown_document(revision).sha256]
    assert content["template"]["sha256"] == contract.template_version.sha256


def test_the_shown_pdf_has_a_spot_for_each_signer_and_its_pages(cast, now):
    contract = draft(cast, now)

    shown = revisions.shown_document(revisions.freeze(contract, by=actor(cast.ana), now=now))

    spots = shown.facts["placements"]
    assert {spot["recipient_key"] for spot in spots} == {each["key"] for each in contract.recipients}
    assert all(1 <= spot["page"] <= shown.pages for spot in spots)
    assert documents.read(shown).startswith(b"%PDF-")
    assert [page.number for page in documents.pages(shown)] == list(range(1, shown.pages + 1))
    assert documents.picture(documents.page(shown, 1))[8:12] == b"WEBP"
    assert "Larkfield Quote" in documents.page(shown, 1).text


def test_freezing_twice_gives_the_same_revision(cast, now):
    contract = draft(cast, now)

    first = revisions.freeze(contract, by=actor(cast.ana), now=now)
    second = revisions.freeze(contract, by=actor(cast.ana), now=now)

    assert first.id == second.id


def test_other_signers_need_another_revision(cast, now):
    contract = draft(cast, now)
    first = revisions.freeze(contract, by=actor(cast.ana), now=now)
    contract.recipients = contract.recipients[:1]
    contract.save()

    second = revisions.freeze(contract, by=actor(cast.ana), now=now)

    assert second.number == first.number + 1
    assert len(revisions.shown_document(second).facts["placements"]) == 1


def test_a_text_opened_again_becomes_the_next_revision(cast, now):
    contract = draft(cast, now)
    first = revisions.make_ready(contract, by=actor(cast.ana), now=now)

    revisions.open_again(contract, by=actor(cast.ana), now=now)
    drafts.save_title(contract, "Another title", by=actor(cast.ana), now=now)

    assert contract.state == "negotiation"
    assert revisions.current(contract).number == 2
    assert bytes(revisions.versions(contract)[1].sha256, "ascii") == first.sha256.encode()


def test_a_text_with_faults_is_not_frozen(cast, now):
    contract = draft(cast, now)
    revision = revisions.current(contract)
    revision.terms["product"] = ""
    revision.save()

    with pytest.raises(Conflict):
        revisions.freeze(contract, by=actor(cast.ana), now=now)

    assert revisions.current(contract).frozen_at is None


def test_a_text_that_changed_while_the_pdf_was_made_is_not_frozen(cast, now):
    contract = draft(cast, now)
    prepared = revisions.prepare(contract, revisions.current(contract), now=now)
    Contract.update(version=Contract.version + 1).where(Contract.id == contract.id).execute()

    with pytest.raises(Conflict):
        revisions.fix(contract, revisions.current(contract), prepared, by=actor(cast.ana), now=now)


def test_what_no_font_can_print_is_named(cast, now):
    contract = draft(cast, now)
    contract.title = "Support \U0001f600"
    contract.save()

    with pytest.raises(Invalid) as refused:
        revisions.preview(contract, now=now)

    assert "\U0001f600" in refused.value.message


def test_a_clause_with_an_unknown_variable_is_a_fault(cast, now):
    contract = draft(cast, now)
    revision = revisions.current(contract)
    revision.clauses[0]["text"]["fr"] = "Voir {{nowhere}} et [[purpose]]."
    revision.save()

    faults = revisions.faults(contract, revision)

    assert [fault.path for fault in faults] == ["clauses.purpose.fr"]


def test_two_languages_print_in_facing_columns(cast, now):
    contract = draft(cast, now)
    seen = drafts.mark(drafts.languages_section(contract))
    drafts.save_languages(contract, ["en", "fr"], "en", seen=seen, by=actor(cast.ana), now=now)

    shown = revisions.shown_document(
        revisions.freeze(contracts.get(contract.reference, cast.ana), by=actor(cast.ana), now=now)
    )

    text = documents.page(shown, 1).text
    assert "Larkfield" in text
    assert shown.pages > 9
