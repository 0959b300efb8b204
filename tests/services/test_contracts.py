"""Making contracts, who sees and owns them, and what comes next."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.models.contracts import ContractContact, Revision
from portal.models.parties import Contact, Counterparty
from portal.services import contracts, new_contracts, revisions, templates
from portal.services.timeline import of as timeline_of
from tests.services.drafting import actor, answers, draft


def test_eight_answers_make_a_contract_that_misses_nothing(cast, now):
    contract = draft(cast, now)

    assert contract.reference == "LF-2026-0001"
    assert contract.value_amount == Decimal("558000.00")
    assert (contract.start_on, contract.end_on) == (date(2027, 1, 1), date(2029, 12, 31))
    assert contract.languages == ["fr"]  # the customer's
    assert revisions.faults(contract, revisions.current(contract)) == []
    assert [each["name"] for each in contract.recipients] == ["Marc Delorme", "Priya"]
    assert revisions.current(contract).terms["commercial"]["governing_law"]["fr"]


def test_references_count_up_by_company_and_year(cast, now):
    first, second = draft(cast, now), draft(cast, now)
    later = draft(cast, now + timedelta(days=365))

    assert [first.reference, second.reference, later.reference] == [
        "LF-2026-0001", "LF-2026-0002", "LF-2027-0001",
    ]  # fmt: skip


def test_a_new_company_is_made_with_law_and_hours_of_its_country(cast, now):
    contract = draft(
        cast, now, party="Bellweather GmbH", party_country="DE", their_email="ute@bellweather.example"
    )

    terms = revisions.current(contract).terms
    assert contract.counterparty.zone == "Europe/Berlin"
    assert terms["tz"] == "Europe/Berlin"
    assert "German" in terms["commercial"]["governing_law"]["en"]
    assert Contact.get(Contact.email == "ute@bellweather.example").counterparty == contract.counterparty


def test_a_known_company_is_taken_however_its_name_is_typed(cast, now):
    contract = draft(cast, now, party="  castellan  pharma sa ")

    assert contract.counterparty == cast.customer
    assert Counterparty.select().count() == 2


def test_a_signatory_above_the_limit_is_refused_beside_the_field(cast, now):
    templates.seed(now)

    with pytest.raises(Invalid) as refused:
        new_contracts.fast_lane(
            answers(cast, fee=Decimal("50000")), owner=cast.ana, by=actor(cast.ana), now=now
        )

    assert "EUR\u00a01,000,000.00" in refused.value.errors["signatory"]


def test_nothing_is_left_of_a_refused_contract(cast, now):
    templates.seed(now)

    with pytest.raises(Invalid):
        new_contracts.fast_lane(
            answers(cast, fee=Decimal("50000"), party="Never Made Ltd"),
            owner=cast.ana,
            by=actor(cast.ana),
            now=now,
        )

    assert Counterparty.get_or_none(Counterparty.name == "Never Made Ltd") is None


def test_when_we_buy_hours_and_law_are_ours(cast, now):
    contract = draft(cast, now, side="customer", party="Corvid CRM, Inc.", their_email="wes@corvid.example")

    assert revisions.current(contract).terms["tz"] == "Europe/London"
    assert contract.side == "customer"


def test_a_copy_has_the_same_text_and_people_and_says_from_where(cast, now):
    contract = draft(cast, now)

    copy = new_contracts.copy_from(contract, owner=cast.ben, by=actor(cast.ben), now=now)

    assert copy.reference == "LF-2026-0002"
    assert copy.owner == cast.ben
    assert revisions.current(copy).terms == revisions.current(contract).terms
    assert copy.recipients == contract.recipients
    assert revisions.base(copy).terms == revisions.base(contract).terms
    assert [e.role for e in contracts.people(copy)] == ["owner", "signatory", "signatory"]
    assert "LF-2026-0001" in timeline_of(copy)[0].text


def test_strangers_find_nothing_and_colleagues_may_not_edit(cast, now):
    contract = draft(cast, now)

    assert contracts.get(contract.reference, cast.ben).id == contract.id
    for stranger in (cast.cleo, None):
        with pytest.raises(NotFound):
            contracts.get(contract.reference, stranger)
    with pytest.raises(NotFound):
        contracts.get("LF-2026-9999", cast.ana)
    with pytest.raises(NotAllowed):
        contracts.demand_edit(contract, cast.ben)


def test_a_fixed_text_cannot_be_edited(cast, now):
    contract = draft(cast, now)
    revisions.make_ready(contract, by=actor(cast.ana), now=now)

    with pytest.raises(Conflict):
        contracts.demand_edit(contract, cast.ana)


def test_the_owner_changes_and_there_is_still_exactly_one(cast, now):
    contract = draft(cast, now)

    contracts.change_owner(contract, cast.ben, by=actor(cast.ana), now=now)

    owners = ContractContact.select().where(
        (ContractContact.contract == contract) & (ContractContact.role == "owner")
    )
    assert [row.person for row in owners] == [cast.ben]
    assert contract.waiting_for == "Ben"
    with pytest.raises(Invalid):
        contracts.change_owner(contract, cast.cleo, by=actor(cast.ana), now=now)


def test_the_next_step_follows_the_state(cast, now):
    contract = draft(cast, now)
    assert contracts.next_step(contract, cast.ana).action == "prepare"
    assert contracts.next_step(contract, cast.ben).action == ""

    contract.recipients = []
    assert contracts.next_step(contract, cast.ana).action == "recipients"

    Revision.update(terms={**revisions.current(contract).terms, "product": ""}).where(
        (Revision.contract == contract) & (Revision.number == 1)
    ).execute()
    assert contracts.next_step(contract, cast.ana).action == "draft"


def test_withdrawing_needs_a_reason_and_ends_it(cast, now):
    contract = draft(cast, now)
    with pytest.raises(Invalid):
        contracts.withdraw(contract, reason=" ", by=actor(cast.ana), now=now)

    contracts.withdraw(contract, reason="They chose another vendor", by=actor(cast.ana), now=now)

    assert contract.state == "withdrawn"
    assert "They chose another vendor" in timeline_of(contract)[0].note
