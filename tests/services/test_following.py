from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from portal.errors import Conflict
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.lives import ContractLife, ContractTerm
from portal.models.notices import Notice
from portal.services import audit, contract_states, existing, following, lives
from portal.services.audit import SYSTEM
from tests.services import existing as samples
from tests.services import signing
from tests.services.drafting import actor, draft


def at(*parts, hour=9):
    return datetime(*parts, hour, tzinfo=UTC)


def follow(contract, now):
    with transaction():
        fresh = Contract.get_by_id(contract.id)
        following.follow(fresh, now=now)
    return Contract.get_by_id(contract.id)


def register(cast, now, **changes):
    return existing.register(
        samples.said(cast, **changes), samples.pdf(), "x.pdf", by=actor(cast.ana), now=now
    )


def acts(contract):
    return [event["act"] for event in audit.history(contract.id, newest_first=False)]


def signed(cast, now):
    """A draft whose last signature has just been given."""
    made = draft(cast, now)
    Contract.update(state="signed").where(Contract.id == made.id).execute()
    return Contract.get_by_id(made.id)


# --- Going live ---------------------------------------------------------------------------------------


def test_a_signed_contract_goes_live_on_its_first_day_in_its_own_zone(cast, now):
    contract = signed(cast, now)  # starts on 1 January 2027 in Paris

    assert follow(contract, at(2026, 12, 31, hour=22)).state == "signed"
    assert follow(contract, at(2026, 12, 31, hour=23)).state == "active"
    assert acts(contract)[-2:] == ["contract.accepted", "contract.activated"]
    event = audit.history(contract.id, limit=1)[0]
    assert event["facts"]["policy"] == contract_states.NO_CHECKLIST
    follow(contract, at(2027, 1, 1))
    assert acts(contract).count("contract.activated") == 1


def test_the_last_signature_asks_for_it_at_once(cast, now, run_jobs):
    contract = signing.ready(cast, now)
    envelope = signing.send(cast, now, contract)
    run_jobs(now)
    signing.act(envelope, "claire", now)
    run_jobs(now)
    signing.act(envelope, "ana", now)
    run_jobs(now)

    assert lives.of(contract).signed_on == now.date()


def test_a_contract_signed_before_it_was_followed_keeps_its_day(cast, now, run_jobs):
    """As after an upgrade: signed long ago, and nobody has followed it yet."""
    contract = signing.ready(cast, now)
    envelope = signing.sent(cast, now, run_jobs, contract)
    for key in ("claire", "ana"):
        signing.act(envelope, key, now)
        run_jobs(now)
    ContractLife.delete().execute()

    follow(contract, now + timedelta(days=90))

    assert lives.of(contract).signed_on == now.date()


def test_a_service_manager_may_start_it_before_and_nobody_twice(cast, now):
    contract = signed(cast, now)

    following.start_now(contract, by=actor(cast.ben), now=now)

    assert Contract.get_by_id(contract.id).state == "active"
    with pytest.raises(Conflict):
        following.start_now(contract, by=actor(cast.ben), now=now)


# --- The end of a term ----------------------------------------------------------------------------------


def test_a_term_nobody_gave_notice_of_is_followed_by_the_next(cast, now):
    contract = register(cast, now)

    follow(contract, at(2026, 12, 31, hour=22))
    assert lives.term(contract).number == 1
    follow(contract, at(2026, 12, 31, hour=23))

    term = lives.term(contract)
    assert (term.number, term.starts_on, term.ends_on, term.notice_on, term.origin) == (
        2, date(2027, 1, 1), date(2027, 12, 31), date(2027, 11, 30), "tacit",
    )  # fmt: skip
    assert [each.is_current for each in lives.terms(contract)] == [False, True]
    assert Contract.get_by_id(contract.id).end_on == date(2027, 12, 31)
    assert acts(contract)[-1] == "term.renewed"


def test_an_old_contract_comes_to_its_present_term_at_once(cast, now):
    contract = register(
        cast, now, signed_on=date(2015, 1, 31), start_on=date(2015, 1, 31), end_on=None, length_months=1,
        renewal_months=1, notice_value=7, notice_unit="days",
    )  # fmt: skip

    follow(contract, now)

    term = lives.term(contract)
    assert (term.starts_on, term.ends_on) == (date(2026, 10, 31), date(2026, 11, 29))
    lasts = [each.ends_on for each in lives.terms(contract)]
    assert lasts[:4] == [date(2015, 2, 27), date(2015, 3, 30), date(2015, 4, 29), date(2015, 5, 30)]


def test_without_renewal_it_expires_behind_its_last_day(cast, now):
    contract = register(cast, now, renewal="none", notice_value=None, end_on=date(2026, 11, 22))

    with pytest.raises(Conflict), transaction():
        contract_states.become(contract, "expired", by=SYSTEM, now=at(2026, 11, 22, hour=22))
    assert follow(contract, at(2026, 11, 22, hour=23)).state == "expired"


def test_a_signed_renewal_takes_its_place(cast, now):
    contract = register(cast, now)
    renewal = signed(cast, now)
    Contract.update(renews_id=contract.id).where(Contract.id == renewal.id).execute()

    assert follow(contract, at(2026, 12, 31, hour=20)).state == "active"
    assert follow(contract, at(2027, 1, 1)).state == "renewed"
    assert [event["facts"].get("renewal") for event in audit.history(contract.id, limit=1)] == [
        renewal.reference
    ]


def test_notice_that_was_given_ends_it_without_a_new_term(cast, now):
    contract = register(cast, now)
    ContractLife.update(notice_given_on=now.date(), ends_on=date(2026, 12, 31)).execute()

    assert follow(contract, at(2026, 12, 31)).state == "active"
    assert follow(contract, at(2027, 1, 1)).state == "expired"
    assert ContractTerm.select().count() == 1


# --- Amendments -----------------------------------------------------------------------------------------


def test_a_signed_amendment_is_said_once_on_its_contract(cast, now):
    contract = register(cast, now)
    amendment = signed(cast, now)
    Contract.update(parent_id=contract.id, amendment_number=1).where(Contract.id == amendment.id).execute()

    follow(amendment, now)
    follow(amendment, now + timedelta(hours=1))

    assert acts(contract).count("contract.amended") == 1
    assert lives.term(contract).ends_on == date(2029, 12, 31)
    assert lives.term(amendment) is None
    assert Contract.get_by_id(contract.id).state == "active"


# --- Reminders ------------------------------------------------------------------------------------------


def reminders():
    return [row.subject for row in Notice.select().where(Notice.kind == "renewal_due").order_by(Notice.id)]


def test_the_owner_hears_once_of_each_step(cast, now):
    contract = register(cast, now, end_on=date(2027, 12, 31))  # notice until 30 November 2027
    steps = []
    day = at(2027, 8, 25)
    while day < at(2027, 12, 20):
        before = len(reminders())
        follow(contract, day)
        follow(contract, day + timedelta(minutes=1))
        if len(reminders()) > before:
            steps.append((date(2027, 11, 30) - day.date()).days)
            assert len(reminders()) == before + 1
        day += timedelta(hours=6)

    assert steps == [90, 60, 30, 7, 1]  # the last within 48 hours of midnight in Paris
    assert lives.of(contract).missed_on == date(2027, 11, 30)
    assert acts(contract)[-1] == "notice.missed"


def test_the_last_reminder_comes_48_elapsed_hours_before_the_end_of_the_day_there(cast, now):
    contract = register(cast, now)
    life = lives.of(contract)  # Paris; 30 November ends at 23:00 UTC

    assert following.due_step(date(2026, 11, 30), life, at(2026, 11, 28, hour=22)) == 7
    assert following.due_step(date(2026, 11, 30), life, at(2026, 11, 28, hour=23)) == 2
    # The clock goes back in Los Angeles on 1 November 2026: two days there hold 49 hours.
    life.zone = "America/Los_Angeles"
    assert following.due_step(date(2026, 11, 1), life, datetime(2026, 10, 31, 7, 30, tzinfo=UTC)) == 7
    assert following.due_step(date(2026, 11, 1), life, datetime(2026, 10, 31, 8, 0, tzinfo=UTC)) == 2


def test_the_reminder_of_a_closed_day_names_the_last_working_day(cast, now):
    contract = register(cast, now, end_on=date(2027, 2, 28))  # notice until Sunday 31 January 2027

    follow(contract, at(2027, 1, 28))

    notice = Notice.get(Notice.kind == "renewal_due")
    assert "Sunday 31 January 2027" in notice.subject
    from portal.services import notices

    assert "the last working day before it is Friday 29 January 2027" in notices.read(notice)[0]


def test_after_notice_or_for_a_colleague_who_left(cast, now):
    contract = register(cast, now)
    from portal.models.people import Person

    Person.update(disabled_at=now).where(Person.id == cast.ana.id).execute()
    follow(contract, now)
    assert [row.address for row in Notice.select().where(Notice.kind == "renewal_due")] == [cast.ada.email]
    ContractLife.update(notice_given_on=now.date(), ends_on=date(2026, 12, 31)).execute()
    follow(contract, at(2026, 11, 29))
    assert len(reminders()) == 1


@pytest.mark.parametrize(
    ("last", "unit", "value", "deadline"),
    [
        ("2027-02-28", "months", 1, "2027-01-31"), ("2028-02-29", "months", 3, "2027-11-30"),
        ("2027-05-31", "months", 3, "2027-02-28"), ("2027-03-30", "months", 1, "2027-02-27"),
        ("2027-12-31", "days", 90, "2027-10-02"), ("2027-03-31", "days", 30, "2027-03-01"),
    ],
)  # fmt: skip
def test_notice_is_counted_by_the_calendar(cast, now, last, unit, value, deadline):
    contract = register(cast, now, end_on=date.fromisoformat(last), notice_value=value, notice_unit=unit)

    assert lives.term(contract).notice_on == date.fromisoformat(deadline)


def test_the_hourly_job_finds_what_is_due_and_nothing_else(cast, now, run_jobs):
    near = register(cast, now)
    far = existing.register(
        samples.said(cast, end_on=date(2029, 12, 31)), samples.pdf(2), "x.pdf", by=actor(cast.ana), now=now
    )
    waiting = signed(cast, now)

    assert set(following.candidates(now)) == {near.id, waiting.id}
    from portal.services import jobs

    jobs.add("follow_contracts", now=now, key="again")
    run_jobs()
    assert len(reminders()) == 1
    assert lives.of(waiting) is not None
    assert far.id not in following.candidates(now)
