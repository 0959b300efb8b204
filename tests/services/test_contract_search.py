"""Lists: filters, words, stable pages in every order, in both directions."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from portal.models.contracts import Contract
from portal.services import contract_search, contracts
from portal.services.contract_search import Filters, fold, page, wanted_words, words
from tests.services.drafting import actor


@pytest.fixture
def many(cast, now):
    """Sixty contracts with the customer, a minute apart; every third for the stranger's company."""
    made = []
    for n in range(60):
        party = cast.stranger_company if n % 3 == 0 else cast.customer
        made.append(
            contracts.create(
                entity=cast.entity,
                side="customer" if n % 3 == 0 else "supplier",
                owner=cast.ben if n % 10 == 0 else cast.ana,
                title=f"Prémium support number {n:02}",
                counterparty=party,
                by=actor(cast.ana),
                now=now + timedelta(minutes=n // 2),  # two share each minute
            )
        )
    for n, contract in enumerate(made):
        Contract.update(
            value_amount=n * 7 % 5 * 100, end_on=date(2027, 1, 1) + timedelta(days=n % 4) if n % 2 else None
        ).where(Contract.id == contract.id).execute()
    return made


def test_words_fold_case_accents_and_other_scripts():
    assert fold("Prémium ÉTÉ") == "premium ete"
    assert words("LF-2026-0147 Prémium") == ["lf20260147", "0147", "premium"]
    assert wanted_words("lf-2026-01") == ["lf202601"]
    assert fold("жук").isascii()
    assert wanted_words("жук")[0].startswith(wanted_words("жу")[0])


@pytest.mark.parametrize("sort", ["updated", "end", "value"])
def test_pages_follow_each_other_without_gap_or_double_and_lead_back(cast, many, sort):
    filters = Filters(sort=sort)
    whole = [c.id for c in page(cast.ana, filters, size=100).contracts]
    seen, after, before = [], "", ""
    while True:
        found = page(cast.ana, filters, after=after, size=7)
        seen += [c.id for c in found.contracts]
        before = found.previous
        if not found.next:
            break
        after = found.next

    back = page(cast.ana, filters, before=before, size=7)

    assert seen == whole
    assert len(whole) == (30 if sort == "end" else 60)
    assert [c.id for c in back.contracts] == whole[
        len(whole) - len(found.contracts) - 7 : len(whole) - len(found.contracts)
    ]


def test_a_contract_that_changes_meanwhile_moves_no_other(cast, many, now):
    first = page(cast.ana, Filters(), size=10)
    touched = page(cast.ana, Filters(), size=60).contracts[30]
    Contract.update(updated_at=now + timedelta(days=1)).where(Contract.id == touched.id).execute()

    second = page(cast.ana, Filters(), after=first.next, size=60)

    ids = [c.id for c in first.contracts + second.contracts]
    assert len(ids) == len(set(ids)) == 59
    assert touched.id not in ids


def test_filters_narrow_by_state_side_owner_and_party(cast, many):
    def count(**values):
        return len(page(cast.ana, Filters(**values), size=100).contracts)

    Contract.update(state="signing").where(Contract.id == many[5].id).execute()
    assert count(side="customer") == 20
    assert count(owner=cast.ben.id) == 6
    assert count(party=cast.customer.id) == 40
    assert count(state="sign") == count(state="signing") == 1
    assert count(state="draft") == 59
    assert count(state="nonsense") == 60
    assert count(party=cast.customer.id, owner=cast.ben.id, sort="value") == 4


def test_words_are_found_by_their_beginning_in_any_order(cast, many):
    def titles(typed, **more):
        return [c.reference for c in page(cast.ana, Filters(words=typed, **more), size=100).contracts]

    assert titles("castel 07") == ["LF-2026-0008"]
    assert titles("LF-2026-0012") == ["LF-2026-0012"]
    assert titles("0012") == ["LF-2026-0012"]
    assert len(titles("premium")) == 60
    assert len(titles("CORVID", sort="value")) == 20
    assert titles("nothinglikethis") == []


def test_a_rare_match_far_down_is_reached_by_going_on(cast, many, monkeypatch):
    monkeypatch.setattr(contract_search, "DEEPEST", 10)
    Contract.update(side="customer").execute()
    Contract.update(side="supplier").where(Contract.id == many[0].id).execute()

    found, after, steps = None, "", 0
    while found is None:
        steps += 1
        part = page(cast.ana, Filters(side="supplier", sort="value"), after=after)
        found = part.contracts[0] if part.contracts else None
        assert part.contracts or part.is_partial
        after = part.next

    assert found.id == many[0].id
    assert steps == 6


def test_strangers_and_broken_cursors_do_no_harm(cast, many):
    assert page(cast.cleo, Filters()).contracts == []
    for cursor in ("x", "!!", "WyJhIl0", "bm90IGpzb24", "W251bGwsIG51bGxd", "a" * 500):
        for sort in contract_search.SORTS:
            assert page(cast.ana, Filters(sort=sort), after=cursor, size=5).contracts


def test_a_renamed_company_is_found_by_its_new_name(cast, many, now):
    from portal.services import parties

    values = {field: getattr(cast.stranger_company, field) for field in parties.FIELDS}
    parties.save(cast.stranger_company, {**values, "name": "Raven CRM"}, by=actor(cast.ada), now=now)

    assert len(page(cast.ana, Filters(words="raven"), size=100).contracts) == 20
    assert page(cast.ana, Filters(words="corvid")).contracts == []
