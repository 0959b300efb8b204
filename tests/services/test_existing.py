from __future__ import annotations

from datetime import date, timedelta

import pytest

from portal.errors import Conflict, Invalid, NotAllowed
from portal.models.contracts import Contract, RegisteredFile
from portal.services import (
    audit,
    documents,
    drafts,
    existing,
    lives,
    renewals,
    revisions,
    timeline,
    verification,
)
from tests.services import existing as samples
from tests.services.drafting import actor


@pytest.fixture
def contract(cast, now):
    return existing.register(samples.said(cast), samples.pdf(), "signed.pdf", by=actor(cast.ana), now=now)


def test_a_signed_contract_is_live_with_its_pdf_byte_for_byte(contract, cast, now):
    kept = documents.of(contract, "executed")[0]

    assert contract.state == "active"
    assert documents.read(kept) == samples.pdf()
    assert RegisteredFile.get_by_id(kept.sha256).kind == "given"
    assert (contract.value_amount, contract.end_on) == (10800, date(2026, 12, 31))
    term = lives.term(contract)
    assert (term.notice_on, term.renewal) == (date(2026, 11, 30), "tacit")
    assert lives.of(contract).zone == "Europe/Paris"
    assert [event["act"] for event in audit.history(contract.id)] == ["contract.registered"]
    assert [each.text for each in timeline.of(contract)] == ["Ana registered it with its signed PDF"]


def test_verify_says_whose_copy_it_is(contract):
    answer = verification.verify(samples.pdf())

    assert (answer["valid"], answer["kind"]) == (True, "given")
    assert "given to us by Ana on 23 Nov 2026" in answer["given"]
    assert "It was not signed here" in verification.as_text(answer)


def test_the_same_file_is_registered_once(contract, cast, now):
    with pytest.raises(Invalid) as refused:
        existing.register(samples.said(cast), samples.pdf(), "again.pdf", by=actor(cast.ana), now=now)

    assert contract.reference in refused.value.errors["file"]
    assert Contract.select().count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"signed_on": date(2026, 11, 25)}, "signed_on"),
        ({"end_on": date(2025, 1, 1)}, "end_on"),
        ({"end_on": None}, "end_on"),
        ({"notice_value": None}, "notice"),
    ],
)
def test_dates_that_cannot_be_are_refused(cast, now, changes, field):
    with pytest.raises(Invalid) as refused:
        existing.register(samples.said(cast, **changes), samples.pdf(), "x.pdf", by=actor(cast.ana), now=now)

    assert field in refused.value.errors
    assert not Contract.select().exists()


def test_what_is_no_pdf_is_refused(cast, now):
    with pytest.raises(Invalid):
        existing.register(samples.said(cast), b"PK\x03\x04", "x.pdf", by=actor(cast.ana), now=now)


def test_an_owner_who_may_not_own_is_refused(cast, now):
    with pytest.raises(Invalid) as refused:
        existing.register(
            samples.said(cast, owner=cast.ada), samples.pdf(), "x.pdf", by=actor(cast.ana), now=now
        )

    assert "owner" in refused.value.errors


def type_terms(contract, by, now):
    section = drafts.section_of(revisions.current(contract).terms, "dates")
    drafts.save_terms(
        contract, "dates", section | {"commercial.notice": {"value": 60, "unit": "days", "form": "letter"}},
        seen=drafts.mark(section), by=by, now=now,
    )  # fmt: skip


def test_typed_terms_name_who_typed_and_who_confirmed(contract, cast, now):
    assert "no terms typed yet" in existing.label(contract)

    type_terms(contract, actor(cast.ana), now)
    assert existing.label(contract) == "Transcribed by Ana on 23 Nov 2026, not confirmed yet."
    assert lives.term(contract).notice_on == date(2026, 11, 1)

    existing.confirm(contract, by=actor(cast.ben), now=now)
    assert existing.label(contract) == "Transcribed by Ana on 23 Nov 2026, confirmed by Ben."
    frozen = revisions.current(contract)
    assert frozen.frozen_at == now
    assert documents.of(contract, "executed")[0].sha256.encode() in bytes(frozen.canonical)


def test_whoever_typed_cannot_confirm_and_nothing_is_confirmed_twice(contract, cast, now):
    with pytest.raises(Conflict):
        existing.confirm(contract, by=actor(cast.ben), now=now)
    type_terms(contract, actor(cast.ana), now)
    with pytest.raises(NotAllowed):
        existing.confirm(contract, by=actor(cast.ana), now=now)
    existing.confirm(contract, by=actor(cast.ben), now=now)
    with pytest.raises(Conflict):
        existing.confirm(contract, by=actor(cast.ben), now=now)


def test_terms_typed_again_lose_their_confirmation_and_keep_the_confirmed_ones(contract, cast, now):
    type_terms(contract, actor(cast.ana), now)
    existing.confirm(contract, by=actor(cast.ben), now=now)
    confirmed = revisions.current(contract)

    section = drafts.section_of(confirmed.terms, "law")
    given = section | {"commercial.governing_law": {"en": "England"}}
    drafts.save_terms(
        contract, "law", given, seen=drafts.mark(section), by=actor(cast.ben), now=now + timedelta(days=1)
    )

    assert existing.label(contract) == "Transcribed by Ben on 24 Nov 2026, not confirmed yet."
    assert revisions.current(contract).number == confirmed.number + 1


def test_the_board_holds_it_by_its_last_day_to_give_notice(contract, cast, now):
    rows, more = renewals.board(cast.ben, days=30, now=now)

    assert [(row.contract.reference, row.decide_on, row.days_left) for row in rows] == [
        (contract.reference, date(2026, 11, 30), 7)
    ]
    assert rows[0].happens == "It renews by itself until 31 Dec 2027."
    assert more == ""
    assert renewals.board(cast.cleo, days=30, now=now)[0] == []
    assert renewals.board(cast.ben, days=30, now=now, owner=cast.ben.id)[0] == []


def test_the_board_goes_on_where_it_stopped(cast, now):
    for number in range(3):
        existing.register(samples.said(cast), samples.pdf(number), "x.pdf", by=actor(cast.ana), now=now)

    first, more = renewals.board(cast.ana, days=90, now=now, size=2)
    second, end = renewals.board(cast.ana, days=90, now=now, size=2, after=more)

    assert (len(first), len(second), end) == (2, 1, "")
    assert len({row.contract.id for row in first + second}) == 3
