"""Approvals: who is asked, what an answer holds for, and what can never go out without one."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from portal.errors import Conflict, Invalid, NotAllowed
from portal.i18n import use
from portal.models.approvals import Approval, ApprovalRule
from portal.models.contracts import Revision
from portal.models.notices import Notice
from portal.models.people import PersonRole
from portal.services import (
    approval_rules,
    approvals,
    approvers,
    audit,
    contract_states,
    contracts,
    jobs,
    revisions,
    timeline,
)
from tests.cast import person
from tests.services.approving import (
    approve_all,
    change_clause,
    change_terms,
    deal,
    fresh,
    put_up,
    staff,
    states,
)
from tests.services.drafting import actor
from tests.threads import at_once


@pytest.fixture
def people(cast, now):
    return staff(now)


def acts(contract):
    return [event["act"] for event in audit.history(contract.id, newest_first=False)]


def mails(kind):
    return sorted(n.address.split("@")[0] for n in Notice.select().where(Notice.kind == kind))


def more_liability(months):
    def change(terms):
        terms["commercial"]["liability_cap"] = {"fee_months": months}

    return change


def answer(contract, who, now, sha256=None):
    sha256 = sha256 or revisions.current(contract).sha256
    approvals.approve(contract, sha256=sha256, by=actor(who), now=now)


# -- When nobody is asked ---------------------------------------------------------------------------


def test_a_standard_deal_is_ready_with_one_press(cast, now, people):
    contract = deal(cast, now)

    put_up(contract, cast.ana, now)

    assert contract.state == "ready_to_sign"
    assert approvals.of(contract) == []
    assert Notice.select().count() == 0


def test_without_rules_nothing_is_asked(cast, now, people):
    contract = deal(cast, now, fee=Decimal("15500"), length_months=48)
    ApprovalRule.update(is_active=False).execute()

    put_up(contract, cast.ana, now)

    assert contract.state == "ready_to_sign"


# -- The seeded matrix --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "change", "roles"),
    [
        ({"fee": Decimal("8333.33")}, None, []),
        ({"fee": Decimal("8333.34")}, None, ["finance"]),
        ({"fee": Decimal("45000")}, None, ["executive", "finance"]),
        ({"length_months": 36}, None, []),
        ({"length_months": 37}, None, ["finance", "legal"]),
        ({}, lambda t: t["commercial"]["renewal"].update(months=13), ["finance", "legal"]),
        ({}, lambda t: t["commercial"].update(phi=True), ["legal", "privacy"]),
        ({}, more_liability(18), ["legal"]),
        ({}, more_liability(36), ["executive"]),
        ({}, lambda t: t["uptime"].update(target_pct="99.95"), ["service_approver"]),
        ({}, lambda t: t["severities"][0]["response"].update(min=25), []),
        ({}, lambda t: t["severities"][1]["response"].update(min=10), ["service_approver"]),
    ],
)
def test_the_seeded_rules_ask(cast, now, people, answers, change, roles):
    contract = deal(cast, now, **answers)
    if change:
        change_terms(contract, cast.ana, now, change)

    needs = approvals.needed(contract, revisions.current(contract))

    assert sorted({role for need in needs for role in need.roles}) == roles


def test_reasons_carry_the_figures_in_the_readers_language(cast, now, people):
    contract = deal(cast, now, fee=Decimal("15500"))

    with use("fr"):
        why = approvals.needed(contract, revisions.current(contract))[0].why

    assert "186\u202f000,00\u00a0EUR" in why


def test_what_no_limit_allows_is_refused_before_anything_is_fixed(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, lambda t: t["commercial"].update(liability_cap=None))

    with pytest.raises(Conflict) as refused:
        put_up(contract, cast.ana, now)

    assert "Liability" in refused.value.message
    assert (contract.state, revisions.current(contract).frozen_at) == ("draft", None)


# -- Asking and answering ---------------------------------------------------------------------------------


def test_the_text_waits_until_all_have_approved_in_their_order(cast, now, people):
    contract = deal(cast, now, fee=Decimal("45000"))

    put_up(contract, cast.ana, now)
    assert contract.state == "approval"
    assert ("executive", "waiting") in states(contract)
    assert "finn" in mails("approval_asked")

    approve_all(contract, people, now)

    assert contract.state == "ready_to_sign"
    assert acts(contract)[-1] == "contract.approved"
    assert mails("approval_given") == ["ana"]


def test_a_later_step_is_asked_only_after_the_earlier(cast, now, people):
    contract = deal(cast, now)
    ApprovalRule.update(is_active=False).execute()
    rule = {"condition": {}, "mode": "all", "moment": "sign"}
    for name, role, step in (("First", "finance", 1), ("Second", "executive", 2)):
        values = {**rule, "name": name, "roles": [role], "step": step}
        approval_rules.add(values=values, by=audit.SYSTEM, now=now)

    put_up(contract, cast.ana, now)
    assert mails("approval_asked") == ["finn"]
    with pytest.raises(NotAllowed):
        answer(contract, people["executive"], now)

    answer(contract, people["finance"], now)
    assert (contract.state, mails("approval_asked")) == ("approval", ["emil", "finn"])
    answer(contract, people["executive"], now)
    assert contract.state == "ready_to_sign"


def test_any_one_of_several_roles_is_enough_where_the_rule_says_so(cast, now, people):
    contract = deal(cast, now)
    ApprovalRule.update(is_active=False).execute()
    values = {"name": "Either", "condition": {}, "roles": ["legal", "finance"], "mode": "any", "step": 1,
              "moment": "sign"}  # fmt: skip
    approval_rules.add(values=values, by=audit.SYSTEM, now=now)
    put_up(contract, cast.ana, now)

    answer(contract, people["legal"], now)

    assert contract.state == "ready_to_sign"


def test_somebody_with_another_role_a_stranger_and_an_owner_may_not_answer(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    put_up(contract, cast.ana, now)

    for who in (people["finance"], cast.ben, cast.cleo, cast.ada, cast.ana):
        with pytest.raises(NotAllowed):
            answer(contract, who, now)

    assert fresh(contract).state == "approval"


def test_pressing_twice_answers_once(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    put_up(contract, cast.ana, now)
    same = fresh(contract)
    answer(contract, people["legal"], now)

    with pytest.raises(Conflict):
        answer(same, people["legal"], now)

    assert acts(contract).count("approval.given") == 1


def test_it_is_sent_back_with_a_reason_mended_and_approved(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    sha256 = put_up(contract, cast.ana, now).sha256
    with pytest.raises(Invalid):
        approvals.send_back(contract, sha256=sha256, reason=" ", by=actor(people["legal"]), now=now)

    approvals.send_back(
        contract, sha256=sha256, reason="At most 15 months.", by=actor(people["legal"]), now=now
    )
    assert contract.state == "negotiation"
    assert mails("approval_returned") == ["ana"]

    change_terms(contract, cast.ana, now, more_liability(15))
    put_up(contract, cast.ana, now)
    answer(contract, people["legal"], now)
    assert contract.state == "ready_to_sign"
    assert [state for _role, state in states(contract)] == ["returned", "approved"]


def test_what_was_sent_back_and_put_up_unchanged_is_asked_again(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    sha256 = put_up(contract, cast.ana, now).sha256
    approvals.send_back(contract, sha256=sha256, reason="No.", by=actor(people["legal"]), now=now)

    put_up(contract, cast.ana, now)

    assert contract.state == "approval"
    assert [state for _role, state in states(contract)] == ["returned", "asked"]


def test_the_owner_takes_it_back_and_nobody_can_answer_any_more(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    sha256 = put_up(contract, cast.ana, now).sha256

    revisions.open_again(contract, by=actor(cast.ana), now=now)

    assert contract.state == "negotiation"
    with pytest.raises(Conflict):
        answer(contract, people["legal"], now, sha256)


# -- Exactly this text --------------------------------------------------------------------------------


def test_an_approval_is_carried_over_when_nothing_it_looked_at_changed(cast, now, people):
    contract = deal(cast, now, length_months=48)
    put_up(contract, cast.ana, now)
    approve_all(contract, people, now)
    first = revisions.current(contract).sha256
    revisions.open_again(contract, by=actor(cast.ana), now=now)
    change_terms(contract, cast.ana, now, lambda t: t["escalation"][0].update(contact="duty desk"))

    second = put_up(contract, cast.ana, now).sha256

    assert second != first
    assert contract.state == "ready_to_sign"
    carried = [row for row in approvals.of(contract) if row.sha256 == second]
    assert {row.state for row in carried} == {"approved"}
    assert all(row.carried_from for row in carried)
    assert acts(contract).count("approval.carried_over") == len(carried)
    assert any("still holds" in each.text for each in timeline.of(contract))


def test_a_change_of_what_was_approved_asks_again_and_only_that(cast, now, people):
    contract = deal(cast, now, length_months=48)
    change_terms(contract, cast.ana, now, more_liability(18))
    put_up(contract, cast.ana, now)
    approve_all(contract, people, now)
    revisions.open_again(contract, by=actor(cast.ana), now=now)
    change_terms(contract, cast.ana, now, more_liability(19))

    revision = put_up(contract, cast.ana, now)

    assert contract.state == "approval"
    rows = approvals.latest(contract, revision.sha256, "sign").values()
    by_state = sorted((row.state, ",".join(row.roles)) for row in rows)
    assert by_state == [("approved", "finance"), ("approved", "legal"), ("asked", "legal")]


def test_nothing_is_sent_under_another_hash_than_the_approved(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    put_up(contract, cast.ana, now)
    approve_all(contract, people, now)
    Revision.update(sha256="f" * 64).where(Revision.id == revisions.current(contract).id).execute()

    with pytest.raises(Conflict) as refused:
        approvals.demand_given(contract, revisions.current(contract))

    assert "Legal approver" in refused.value.message


def test_a_rule_made_since_stops_the_sending(cast, now, people):
    contract = deal(cast, now)
    put_up(contract, cast.ana, now)
    values = {"name": "Now all", "condition": {}, "roles": ["legal"], "mode": "all", "step": 1,
              "moment": "sign"}  # fmt: skip
    approval_rules.add(values=values, by=audit.SYSTEM, now=now)

    with pytest.raises(Conflict):
        approvals.demand_given(contract, revisions.current(contract))

    put_up(contract, cast.ana, now)
    assert contract.state == "approval"


def test_the_guard_wants_the_hash_of_the_text(cast, now, people):
    contract = deal(cast, now)
    put_up(contract, cast.ana, now)
    guard = contract_states.GUARDS["approvals_given"]

    assert guard(contract, contract_states.Attempt(now))
    assert guard(contract, contract_states.Attempt(now, "0" * 64))
    assert guard(contract, contract_states.Attempt(now, revisions.current(contract).sha256)) == ""


# -- One's own text ---------------------------------------------------------------------------------------


def test_nobody_approves_what_they_wrote(cast, now, people):
    contract = deal(cast, now)
    change_clause(contract, people["legal"], now, 0, "Written by our counsel.")
    put_up(contract, cast.ana, now)

    with pytest.raises(NotAllowed) as refused:
        answer(contract, people["legal"], now)
    assert "somebody else" in refused.value.message

    lena = person("Lena", now, ("legal",))
    answer(contract, lena, now)
    assert contract.state == "ready_to_sign"
    assert not approvals.is_approved_by_author(contract)


def test_where_allowed_and_unavoidable_it_leaves_a_lasting_mark(cast, now, people):
    approval_rules.allow_own(True, by=actor(cast.ada), now=now)
    contract = deal(cast, now)
    change_clause(contract, people["legal"], now, 0, "Written by our counsel.")
    put_up(contract, cast.ana, now)

    answer(contract, people["legal"], now)

    assert contract.state == "ready_to_sign"
    assert approvals.is_approved_by_author(contract)
    given = next(e for e in audit.history(contract.id) if e["act"] == "approval.given")
    assert given["facts"]["own_text"] is True


def test_with_another_holder_it_is_avoidable(cast, now, people):
    approval_rules.allow_own(True, by=actor(cast.ada), now=now)
    person("Lena", now, ("legal",))
    contract = deal(cast, now)
    change_clause(contract, people["legal"], now, 0, "Written by our counsel.")
    put_up(contract, cast.ana, now)

    with pytest.raises(NotAllowed):
        answer(contract, people["legal"], now)


def test_an_owner_with_the_role_is_not_asked(cast, now, people):
    PersonRole.create(person=cast.ana, role="finance")
    contract = deal(cast, now, fee=Decimal("15500"))

    put_up(contract, cast.ana, now)

    assert mails("approval_asked") == ["finn"]
    with pytest.raises(NotAllowed):
        answer(contract, cast.ana, now)


# -- Substitutes, reminders, escalation ---------------------------------------------------------------------


def test_a_substitute_answers_within_their_days_only(cast, now, people):
    day = now.date()
    row = approvers.add_substitute(
        people["legal"], cast.ben, day, day + timedelta(days=2), by=actor(people["legal"]), now=now
    )
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    put_up(contract, cast.ana, now)
    assert mails("approval_asked") == ["ben", "leila"]
    with pytest.raises(NotAllowed):
        answer(contract, cast.ben, now + timedelta(days=3))

    answer(contract, cast.ben, now + timedelta(days=1))

    given = Approval.get(Approval.state == "approved")
    assert (given.decided_by.name, given.substitute_for.name) == ("Ben", "Leila")
    approvers.end_substitute(row.id, by=actor(people["legal"]), now=now)
    assert approvers.standing_in(now) == []


def test_a_substitute_sends_it_back(cast, now, people):
    day = now.date()
    approvers.add_substitute(people["legal"], cast.ben, day, day, by=actor(people["legal"]), now=now)
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    sha256 = put_up(contract, cast.ana, now).sha256

    approvals.send_back(contract, sha256=sha256, reason="No.", by=actor(cast.ben), now=now)

    assert contract.state == "negotiation"


def test_only_they_themselves_or_an_administrator_name_a_substitute(cast, now, people):
    day = now.date()
    with pytest.raises(NotAllowed):
        approvers.add_substitute(people["legal"], cast.ben, day, day, by=actor(cast.ben), now=now)
    with pytest.raises(Invalid) as refused:
        approvers.add_substitute(
            people["legal"], people["legal"], day, date(2026, 1, 1), by=actor(cast.ada), now=now
        )
    assert set(refused.value.errors) == {"substitute", "until_on"}


def test_after_a_day_they_are_reminded_and_after_two_the_executives_learn_of_it_once(
    cast, now, people, run_jobs
):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    put_up(contract, cast.ana, now)

    for hours in (1, 25, 49, 50, 60):
        jobs.add_recurring(now + timedelta(hours=hours))
        run_jobs(now + timedelta(hours=hours))

    assert mails("approval_reminder") == ["leila"]
    assert mails("approval_late") == ["ana", "emil"]
    assert acts(contract).count("approval.escalated") == 1


def test_an_answered_question_reminds_nobody(cast, now, people, run_jobs):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    put_up(contract, cast.ana, now)
    answer(contract, people["legal"], now)

    jobs.add_recurring(now + timedelta(hours=60))
    run_jobs(now + timedelta(hours=60))

    assert mails("approval_reminder") == mails("approval_late") == []


# -- Before sharing ---------------------------------------------------------------------------------------


def test_a_text_that_differs_gravely_is_looked_at_before_the_other_side_sees_it(cast, now, people):
    contract = deal(cast, now)
    assert approvals.before_sharing(contract, revisions.current(contract), now) == ""
    change_terms(contract, cast.ana, now, more_liability(18))
    assert "Legal approver" in approvals.before_sharing(contract, revisions.current(contract), now)

    approvals.ask_to_share(contract, revisions.current(contract), by=actor(cast.ana), now=now)
    row = approvals.open_rows(contract)[0]
    approvals.approve(contract, sha256=row.sha256, by=actor(people["legal"]), now=now)

    assert approvals.before_sharing(contract, revisions.current(contract), now) == ""
    assert contract.state == "draft"
    change_terms(contract, cast.ana, now, more_liability(20))
    assert approvals.before_sharing(contract, revisions.current(contract), now)


def test_a_look_at_a_text_that_changed_is_asked_for_anew(cast, now, people):
    contract = deal(cast, now)
    change_terms(contract, cast.ana, now, more_liability(18))
    approvals.ask_to_share(contract, revisions.current(contract), by=actor(cast.ana), now=now)
    assert approvals.mine(contract, people["legal"], now)

    change_terms(contract, cast.ana, now, more_liability(20))
    assert approvals.mine(contract, people["legal"], now) == []
    approvals.ask_to_share(contract, revisions.current(contract), by=actor(cast.ana), now=now)

    [(row, _right)] = approvals.mine(contract, people["legal"], now)
    approvals.approve(contract, sha256=row.sha256, by=actor(people["legal"]), now=now)
    assert [state for _role, state in states(contract)] == ["void", "approved"]
    subject = Notice.get(Notice.kind == "approval_given").subject
    assert subject == f"{contract.reference} is approved: the other side may see it"


def test_what_is_withdrawn_waits_for_nobody(cast, now, people):
    contract = deal(cast, now, fee=Decimal("15500"))
    put_up(contract, cast.ana, now)

    contracts.withdraw(contract, reason="No longer wanted.", by=actor(cast.ana), now=now)

    assert [state for _role, state in states(contract)] == ["void"]
    assert approvals.mine(contract, people["finance"], now) == []


# -- At the same moment ---------------------------------------------------------------------------


def test_all_pressing_at_once_make_it_ready_once(cast, now, people):
    contract = deal(cast, now, length_months=48)
    sha256 = put_up(contract, cast.ana, now).sha256
    pressing = [people["legal"], people["finance"]] * 3
    by = [actor(each) for each in pressing]

    answers = at_once(
        lambda: approvals.approve(fresh(contract), sha256=sha256, by=by.pop(), now=now), len(pressing)
    )

    assert answers.count(None) == 2
    assert {type(each) for each in answers if each is not None} <= {Conflict, NotAllowed}
    assert fresh(contract).state == "ready_to_sign"
    assert acts(contract).count("approval.given") == 2
    assert acts(contract).count("contract.approved") == 1
    assert mails("approval_given") == ["ana"]
