"""Annexes are listed, read page by page, frozen and sealed with the contract."""

from __future__ import annotations

import json

import pypdfium2
import pytest

from portal.errors import Conflict, Invalid, NotFound
from portal.models.contracts import Contract, Document
from portal.services import (
    annex_changes,
    annexes,
    documents,
    drafts,
    new_contracts,
    revisions,
    timeline,
    uploads,
)
from tests.documents import hostile
from tests.services.drafting import actor, draft


def add(contract, cast, now, name="Prices 2027", kind="price_list", pages=2):
    pdf = hostile.saved(hostile.plain(f"{name} text", pages=pages))
    taken = uploads.take(pdf, "prices.pdf", person=cast.ana, now=now)
    annex_changes.attach(contract, taken, kind=kind, name=name, by=actor(cast.ana), now=now)
    return Document.get_by_id(taken.id)


def fresh(contract):
    return Contract.get_by_id(contract.id)


def words_of(pdf):
    with pypdfium2.PdfDocument(pdf) as opened:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in opened]


def letters(text):
    """Without the breaks and hyphens that typesetting adds."""
    return "".join(c for c in text if c.isalnum())


def test_an_annex_is_listed_follows_the_contract_and_is_frozen(cast, now):
    contract = draft(cast, now)
    Contract.update(languages=["en", "fr"]).where(Contract.id == contract.id).execute()
    contract = fresh(contract)
    plain = len(words_of(revisions.preview(contract, now=now)))
    annex = add(contract, cast, now)
    annex_changes.set_order(
        contract, "Framework of 3 May 2025", ["contract", "annexes", "master"], by=actor(cast.ana), now=now
    )

    revision = revisions.freeze(fresh(contract), by=actor(cast.ana), now=now)

    shown = revisions.shown_document(revision)
    pages = words_of(documents.read(shown))
    assert shown.pages == len(pages) >= plain + 2
    assert all("Prices 2027 text" in page for page in pages[-2:])
    printed = letters(" ".join(pages[:-2]))
    for said in (
        "Annexed documents", "Documents annexés", "Prices 2027", "Framework of 3 May 2025", annex.sha256,
        "this contract; its annexed documents; the master agreement",
    ):  # fmt: skip
        assert letters(said) in printed, said
    assert max(spot["page"] for spot in shown.facts["placements"]) <= len(pages) - 2
    frozen = json.loads(bytes(revision.canonical))
    assert frozen["documents"] == [shown.sha256, annex.sha256]
    assert frozen["annexes"] == [
        {"number": 1, "kind": "price_list", "name": "Prices 2027", "sha256": annex.sha256, "pages": 2}
    ]
    assert frozen["master_agreement"] == "Framework of 3 May 2025"
    assert len(documents.pages(shown)) == shown.pages


def test_annexes_of_an_uploaded_contract_stand_before_the_page_of_signatures(cast, now):
    contract = draft(cast, now)
    upload = uploads.take(hostile.saved(hostile.plain("Their text")), "theirs.pdf", person=cast.ana, now=now)
    uploads.attach(contract, upload, mode=revisions.NO_TERMS, by=actor(cast.ana), now=now)
    add(fresh(contract), cast, now, pages=1)

    shown = revisions.shown_document(revisions.freeze(fresh(contract), by=actor(cast.ana), now=now))

    pages = words_of(documents.read(shown))
    assert "Their text" in pages[0]
    assert "Prices 2027 text" in pages[1]
    assert "Prices 2027" in pages[2]
    assert {spot["page"] for spot in shown.facts["placements"]} == {3}


def test_health_information_without_its_agreement_is_not_sent(cast, now):
    contract = draft(cast, now)
    values = drafts.section_of(revisions.current(contract).terms, "law")
    drafts.save_terms(
        contract, "law", {**values, "commercial.phi": True}, seen=drafts.mark(values), by=actor(cast.ana),
        now=now,
    )  # fmt: skip

    faults = revisions.faults(contract, revisions.current(contract))
    assert [fault.path for fault in faults] == ["commercial.phi"]
    assert "BAA" in faults[0].message
    with pytest.raises(Conflict, match="must be corrected"):
        revisions.freeze(fresh(contract), by=actor(cast.ana), now=now)

    add(fresh(contract), cast, now, name="BAA", kind="baa")
    assert revisions.faults(contract, revisions.current(contract)) == []


def test_annexes_are_ordered_and_taken_out(cast, now):
    contract = draft(cast, now)
    first, second = add(contract, cast, now), add(contract, cast, now, "Runbook", "runbook")
    by = {"by": actor(cast.ana), "now": now}

    annex_changes.move(contract, second, -1, **by)
    annex_changes.move(contract, second, -1, **by)
    assert [annexes.name_of(each) for each in annexes.of(contract)] == ["Runbook", "Prices 2027"]
    annex_changes.remove(contract, first, **by)
    annex_changes.remove(contract, first, **by)
    assert [annexes.name_of(each) for each in annexes.of(contract)] == ["Runbook"]
    told = [each.text for each in timeline.of(contract)]
    assert told[:2] == ["Ana took out the annex “Prices 2027”", "Ana added the annex “Runbook”"]


def test_once_the_text_is_fixed_its_annexes_are_too(cast, now):
    contract = draft(cast, now)
    annex = add(contract, cast, now)
    revisions.make_ready(fresh(contract), by=actor(cast.ana), now=now)
    contract = fresh(contract)

    for change in (
        lambda: add(contract, cast, now),
        lambda: annex_changes.remove(contract, annex, by=actor(cast.ana), now=now),
        lambda: annex_changes.move(contract, annex, 1, by=actor(cast.ana), now=now),
        lambda: annex_changes.set_order(contract, "x", [], by=actor(cast.ana), now=now),
    ):
        with pytest.raises(Conflict, match="fixed"):
            change()


def test_a_change_after_reopening_makes_a_new_revision(cast, now):
    contract = draft(cast, now)
    revisions.make_ready(contract, by=actor(cast.ana), now=now)
    contract = fresh(contract)
    revisions.open_again(contract, by=actor(cast.ana), now=now)

    add(fresh(contract), cast, now)

    assert [each.number for each in revisions.versions(contract)] == [2, 1]
    again = revisions.freeze(fresh(contract), by=actor(cast.ana), now=now)
    assert revisions.shown_document(again).sha256 != revisions.versions(contract)[1].sha256


@pytest.mark.parametrize(
    ("master", "order"), [("", ["master"]), ("x", ["contract", "contract"]), ("x", ["moon"])]
)
def test_an_order_that_is_none_is_refused(cast, now, master, order):
    contract = draft(cast, now)

    with pytest.raises(Invalid):
        annex_changes.set_order(contract, master, order, by=actor(cast.ana), now=now)


def test_what_cannot_be_taken(cast, now):
    contract = draft(cast, now)
    annex = add(contract, cast, now)
    with pytest.raises(Invalid):
        add(contract, cast, now, name=" ")
    with pytest.raises(Invalid):
        add(contract, cast, now, kind="poem")
    with pytest.raises(NotFound):  # a file that is part of a contract is not taken twice
        annex_changes.attach(contract, annex, kind="other", name="Twice", by=actor(cast.ana), now=now)
    other = draft(cast, now, product="Other")
    with pytest.raises(NotFound):
        annex_changes.get(other, annex.id)


def test_a_copy_keeps_the_order_of_documents(cast, now):
    contract = draft(cast, now)
    annex_changes.set_order(contract, "Framework", ["master", "contract"], by=actor(cast.ana), now=now)

    made = new_contracts.copy_from(fresh(contract), owner=cast.ana, by=actor(cast.ana), now=now)

    assert (made.master_agreement, made.precedence) == ("Framework", ["master", "contract"])
