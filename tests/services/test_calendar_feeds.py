from __future__ import annotations

from datetime import date

import pytest

from portal.errors import NotAllowed, NotFound
from portal.models.contracts import Contract
from portal.models.lives import ContractTerm
from portal.models.people import Person
from portal.models.views import CalendarFeed
from portal.services import calendar_feeds
from tests.services.drafting import actor, draft


@pytest.fixture
def contract(home, cast, now):
    made = draft(cast, now)
    Contract.update(state="active").where(Contract.id == made.id).execute()
    ContractTerm.create(
        contract=made, number=1, starts_on=date(2027, 1, 1), ends_on=date(2029, 12, 31),
        notice_on=date(2029, 9, 30), began_at=now,
    )  # fmt: skip
    return Contract.get_by_id(made.id)


def made(person, now, *, shows_all=False):
    return calendar_feeds.make(person, shows_all=shows_all, by=actor(person), now=now)


def test_it_shows_the_days_of_contracts_and_nobodys_name(contract, cast, now):
    text = calendar_feeds.read(made(cast.ana, now), now).decode().replace("\r\n ", "")

    for day in ("20270101", "20291231", "20290930"):
        assert f"DTSTART;VALUE=DATE:{day}" in text
    assert contract.reference in text
    for name in ("Marc", "Delorme", "castellan.example", "Ana", "ATTENDEE", "ORGANIZER"):
        assert name not in text


def test_one_shows_ones_own_or_all(contract, cast, now):
    assert b"VEVENT" not in calendar_feeds.read(made(cast.ben, now), now)
    assert b"VEVENT" in calendar_feeds.read(made(cast.ben, now, shows_all=True), now)


def test_drafts_and_what_has_ended_without_force_are_left_out(contract, cast, now):
    token = made(cast.ana, now)
    for state in ("draft", "withdrawn", "void", "declined", "archived"):
        Contract.update(state=state).execute()
        assert b"VEVENT" not in calendar_feeds.read(token, now)


def test_only_the_fingerprint_of_the_address_is_kept_and_a_new_one_ends_it(contract, cast, now):
    first = made(cast.ana, now)
    second = made(cast.ana, now)

    assert CalendarFeed.get().token_sha256 not in (first, second)
    with pytest.raises(NotFound):
        calendar_feeds.read(first, now)
    assert calendar_feeds.read(second, now)
    calendar_feeds.end(cast.ana, by=actor(cast.ana), now=now)
    calendar_feeds.end(cast.ana, by=actor(cast.ana), now=now)
    for token in (second, "", "x" * 43, "x" * 5000):
        with pytest.raises(NotFound):
            calendar_feeds.read(token, now)


def test_whoever_may_no_longer_read_contracts_has_no_calendar(contract, cast, now):
    token = made(cast.ana, now)
    Person.update(disabled_at=now).where(Person.id == cast.ana.id).execute()

    with pytest.raises(NotFound):
        calendar_feeds.read(token, now)
    with pytest.raises(NotAllowed):
        made(cast.cleo, now)
