from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from portal.clock import utc_now
from portal.errors import Conflict
from portal.models.approvals import Approval, ApprovalRule, Substitute
from portal.models.contracts import Contract, Revision
from portal.models.envelopes import Envelope
from portal.models.people import Session
from portal.services import approval_rules, approvals, approvers, audit, envelopes, revisions
from tests.cast import sign_in
from tests.services.approving import (
    approve_all,
    change_clause,
    change_terms,
    deal,
    fresh,
    put_up,
    staff,
)
from tests.services.drafting import actor


@pytest.fixture
def people(cast):
    return staff(utc_now())


@pytest.fixture
def browser(app):
    """Gives a signed-in browser for somebody, stepped up."""

    def open_for(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        Session.update(stepped_up_at=utc_now()).execute()
        return client

    return open_for


@pytest.fixture
def waiting(cast, people):
    """Waits for Legal and Finance: 18 months of liability, EUR 114,000 a year."""
    now = utc_now()
    contract = deal(cast, now, fee=Decimal("9500"))
    change_terms(contract, cast.ana, now, lambda t: t["commercial"].update(liability_cap={"fee_months": 18}))
    put_up(contract, cast.ana, now)
    return fresh(contract)


def page(contract, rest=""):
    return f"/contracts/{contract.reference}/approval{rest}"


def sha(contract):
    return revisions.current(contract).sha256


# -- The approver's screen ------------------------------------------------------------------------


def test_one_screen_says_why_what_differs_and_what_is_at_stake(browser, waiting, people):
    text = browser(people["legal"]).get(page(waiting)).text

    assert "Differs from the template: Liability." in text
    assert "Liability is limited to the fees of 12 months" in text
    assert "Liability is limited to the fees of 18 months" in text
    assert "Legal approver decides" in text
    assert "EUR\xa0171,000.00" in text  # the liability cap
    assert "EUR\xa034,200.00" in text  # 30% of 114,000
    assert "Approve revision 1" in text


def test_an_owner_reads_it_without_a_decision_and_may_take_it_back(browser, waiting, cast):
    ana = browser(cast.ana)

    text = ana.get(page(waiting)).text
    assert "Approve revision" not in text
    assert "Take it back to change it" in text

    answer = ana.post(page(waiting, "/taking-back"))
    assert (answer.status_code, fresh(waiting).state) == (303, "negotiation")
    assert "took it back to change it" in ana.get(f"/contracts/{waiting.reference}").text


def test_strangers_see_nothing_and_others_decide_nothing(app, browser, waiting, cast, people):
    assert app.test_client().get(page(waiting)).status_code == 404
    assert browser(cast.cleo).get(page(waiting)).status_code == 404
    for who in (cast.ben, cast.ada, people["privacy"], cast.ana):
        client = browser(who)
        assert "Approve revision" not in client.get(page(waiting)).text
        assert client.post(page(waiting, "/given"), data={"sha256": sha(waiting)}).status_code == 403
        data = {"sha256": sha(waiting), "reason": "No."}
        assert client.post(page(waiting, "/return"), data=data).status_code == 403
    assert fresh(waiting).state == "approval"


def test_all_who_are_asked_press_once_and_it_is_ready(browser, waiting, people):
    for role in ("legal", "finance"):
        answer = browser(people[role]).post(page(waiting, "/given"), data={"sha256": sha(waiting)})
        assert answer.status_code == 303

    assert fresh(waiting).state == "ready_to_sign"
    again = browser(people["legal"]).post(page(waiting, "/given"), data={"sha256": sha(waiting)})
    assert again.status_code == 409


def test_a_page_of_an_earlier_text_decides_nothing(browser, waiting, people):
    answer = browser(people["legal"]).post(page(waiting, "/given"), data={"sha256": "0" * 64})

    assert answer.status_code == 409
    assert "The text has changed since you opened this page" in answer.text
    assert Approval.select().where(Approval.state == "approved").count() == 0


def test_sending_it_back_needs_a_reason_and_keeps_it_to_us(browser, waiting, people, cast):
    legal = browser(people["legal"])
    refused = legal.post(page(waiting, "/return"), data={"sha256": sha(waiting), "reason": " "})
    assert refused.status_code == 422
    assert "Say what must change." in refused.text

    data = {"sha256": sha(waiting), "reason": "At most <b>15</b> months."}
    assert legal.post(page(waiting, "/return"), data=data).status_code == 303

    shown = browser(cast.ana).get(f"/contracts/{waiting.reference}").text
    assert "At most &lt;b&gt;15&lt;/b&gt; months." in shown


def test_a_mailed_link_survives_signing_in(app, browser, waiting, people):
    stranger = app.test_client()
    answer = stranger.get(f"/approvals?contract={waiting.reference}")
    assert answer.headers["Location"].startswith("/sign-in?next=%2Fapprovals%3Fcontract%3D")

    known = browser(people["legal"]).get(f"/approvals?contract={waiting.reference}")
    assert known.headers["Location"] == page(waiting)


def test_it_waits_on_the_home_page_of_those_who_are_asked_alone(browser, waiting, people, cast):
    assert page(waiting) in browser(people["legal"]).get("/").text
    assert page(waiting) in browser(people["legal"]).get("/approvals").text
    for who in (people["privacy"], cast.ben):
        assert page(waiting) not in browser(who).get("/").text


def test_the_owner_sees_whom_it_waits_for(browser, waiting, cast):
    assert "Leila, Finn to approve" in browser(cast.ana).get("/").text


def test_a_substitute_finds_it_too(browser, waiting, people, cast):
    today = utc_now().date()
    approvers.add_substitute(
        people["legal"], cast.ben, today - timedelta(days=1), today + timedelta(days=1), by=audit.SYSTEM,
        now=utc_now(),
    )  # fmt: skip
    ben = browser(cast.ben)
    assert page(waiting) in ben.get("/").text

    assert ben.post(page(waiting, "/given"), data={"sha256": sha(waiting)}).status_code == 303

    assert "For Leila." in ben.get(page(waiting)).text


def test_the_history_is_a_file_without_formulas(browser, waiting, people):
    data = {"sha256": sha(waiting), "reason": "=HYPERLINK(1)"}
    legal = browser(people["legal"])
    legal.post(page(waiting, "/return"), data=data)

    answer = legal.get(page(waiting, "/history.csv"))

    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = answer.text.splitlines()
    assert len(rows) == 3
    assert "'=HYPERLINK(1)" in answer.text
    assert sha(waiting) in answer.text


# -- Before: the draft and the contract page ------------------------------------------------------


def test_the_draft_says_live_which_approvals_it_will_need(browser, cast, people):
    now = utc_now()
    contract = deal(cast, now)
    ana = browser(cast.ana)
    for path in ("/draft", ""):
        assert "This text will need:" not in ana.get(f"/contracts/{contract.reference}{path}").text

    change_clause(contract, cast.ana, now, 0, "Other words.")

    for path in ("/draft", ""):
        text = ana.get(f"/contracts/{contract.reference}{path}").text
        assert "This text will need:" in text
        assert "Before the other side sees it: Approval is missing: Legal approver." in text


def test_a_look_before_sharing_is_asked_for_and_given(browser, cast, people):
    now = utc_now()
    contract = deal(cast, now)
    change_clause(contract, cast.ana, now, 0, "Other words.")
    ana = browser(cast.ana)
    assert "Ask for it" in ana.get(page(contract)).text

    assert ana.post(page(contract, "/asking")).status_code == 303
    assert "Ask for it" not in ana.get(page(contract)).text
    given = {"sha256": approvals.open_rows(contract)[0].sha256}
    assert browser(people["legal"]).post(page(contract, "/given"), data=given).status_code == 303

    assert approvals.before_sharing(fresh(contract), revisions.current(contract), now) == ""
    assert fresh(contract).state == "draft"


# -- Sending --------------------------------------------------------------------------------------


def test_preparing_leads_to_the_approval_and_sending_waits_there(browser, cast, people):
    contract = deal(cast, utc_now(), fee=Decimal("9500"))
    ana = browser(cast.ana)

    answer = ana.post(f"/contracts/{contract.reference}/send/preparation")

    assert (answer.status_code, answer.headers["Location"]) == (303, page(contract))
    assert ana.get(f"/contracts/{contract.reference}/send").headers["Location"] == page(contract)
    assert "It waits for approval by Finn." in ana.get(f"/contracts/{contract.reference}").text


def test_another_hash_than_the_approved_is_not_sent(browser, people, cast):
    now = utc_now()
    contract = deal(cast, now, fee=Decimal("9500"))
    change_phone(contract)
    revisions.make_ready(contract, by=actor(cast.ana), now=now)
    approve_all(contract, people, now)
    revision = revisions.current(contract)
    Revision.update(sha256="f" * 64).where(Revision.id == revision.id).execute()

    with pytest.raises(Conflict) as refused:
        send(contract, cast, now)
    assert "Approval is missing: Finance approver." in refused.value.message
    day = (now + timedelta(days=20)).date().isoformat()
    answer = browser(cast.ana).post(f"/contracts/{contract.reference}/send", data={"expires_on": day})
    assert answer.status_code == 409
    assert "Approval is missing: Finance approver." in answer.text
    assert (fresh(contract).state, Envelope.select().count()) == ("ready_to_sign", 0)

    Revision.update(sha256=revision.sha256).where(Revision.id == revision.id).execute()
    send(contract, cast, now)
    assert fresh(contract).state == "signing"


def change_phone(contract):
    people = [{**each, "phone": "+33612345638"} for each in contract.recipients]
    Contract.update(recipients=people).where(Contract.id == contract.id).execute()
    contract.recipients = people


def send(contract, cast, now):
    until = now + timedelta(days=20)
    envelopes.send(fresh(contract), message="", expires_at=until, by=actor(cast.ana), now=now)


def test_a_text_that_waits_can_neither_be_sent_nor_changed(browser, waiting, cast):
    ana = browser(cast.ana)
    day = (utc_now() + timedelta(days=20)).date().isoformat()

    assert ana.post(f"/contracts/{waiting.reference}/send", data={"expires_on": day}).status_code == 409
    assert ana.post(f"/contracts/{waiting.reference}/sections/money", data={}).status_code in (409, 422)
    assert fresh(waiting).state == "approval"


# -- Rules ----------------------------------------------------------------------------------------


@pytest.fixture
def ada(browser, cast):
    approval_rules.seed(utc_now())
    return browser(cast.ada)


def typed(**changes):
    return {
        "name": "Large", "fee_over": "250,000", "currency": "EUR", "role_finance": "yes", "mode": "any",
        "role_legal": "yes", "step": "2", "moment": "sign", **changes,
    }  # fmt: skip


def test_the_rules_are_listed_in_words(ada):
    text = ada.get("/approval-rules").text

    assert "Fee over EUR\xa0100,000.00 a year" in text
    assert "Nobody: it is refused" in text
    assert "Executive approver, after the others" in text
    assert 'href="/approval-rules"' in ada.get("/settings").text


def test_a_rule_is_added_changed_moved_and_switched_off(ada):
    answer = ada.post("/approval-rules/new", data=typed())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/approval-rules")
    rule = approval_rules.all_rules()[-1]
    assert (rule.condition, rule.roles, rule.mode, rule.step) == (
        {"fee_over": "250000.00", "currency": "EUR"}, ["finance", "legal"], "any", 2,
    )  # fmt: skip

    assert 'value="250000.00"' in ada.get(f"/approval-rules/{rule.id}").text
    ada.post(f"/approval-rules/{rule.id}", data=typed(name="Larger", fee_over="300,000"))
    ada.post(f"/approval-rules/{rule.id}/place", data={"up": "yes"})
    ada.post(f"/approval-rules/{rule.id}/activity", data={"on": "no"})

    changed = ApprovalRule.get_by_id(rule.id)
    assert (changed.name, changed.condition["fee_over"], changed.is_active) == ("Larger", "300000.00", False)
    assert approval_rules.all_rules()[-2].id == rule.id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": " "}, "name"),
        ({"fee_over": "much"}, "fee_over"),
        ({"role_finance": "", "role_legal": ""}, "Choose who approves."),
        ({"mode": "most"}, "mode"),
        ({"step": "9"}, "step"),
        ({"moment": "later"}, "moment"),
        ({"months_over": "0"}, "months_over"),
        ({"paper": "napkin"}, "paper"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_and_nothing_is_lost(ada, changes, reason):
    answer = ada.post("/approval-rules/new", data=typed(**changes))

    assert answer.status_code == 422
    assert reason in answer.text
    assert changes.get("name", "Large").strip() in answer.text
    assert ApprovalRule.select().count() == len(approval_rules.SEEDS)


def test_the_switch_for_ones_own_text(ada):
    assert "Never" in ada.get("/approval-rules").text

    ada.post("/approval-rules/own", data={"on": "yes"})

    assert approval_rules.own_allowed()
    assert "Allowed where unavoidable" in ada.get("/approval-rules").text


def test_only_administrators_change_rules(browser, cast, people):
    approval_rules.seed(utc_now())
    rule = approval_rules.all_rules()[0]
    for who in (cast.ana, people["legal"]):
        client = browser(who)
        assert client.get("/approval-rules").status_code == 200
        for path in ("new", rule.id, f"{rule.id}/activity", f"{rule.id}/place", "own"):
            assert client.post(f"/approval-rules/{path}", data=typed()).status_code == 403


# -- Substitutes ----------------------------------------------------------------------------------


def test_an_approver_names_a_substitute_and_ends_it(browser, people, cast):
    today = utc_now().date()
    legal = browser(people["legal"])
    dates = {"from_on": today.isoformat(), "until_on": (today + timedelta(days=7)).isoformat()}

    assert legal.post("/substitutes", data={"substitute": cast.ben.id, **dates}).status_code == 303
    row = Substitute.get()
    assert (row.person.name, row.substitute.name) == ("Leila", "Ben")
    assert "Ben" in legal.get("/substitutes").text

    assert browser(cast.ben).post(f"/substitutes/{row.id}/end").status_code == 403
    assert legal.post(f"/substitutes/{row.id}/end").status_code == 303
    assert Substitute.select().count() == 0
    assert legal.post(f"/substitutes/{row.id}/end").status_code == 404


def test_an_administrator_names_one_for_anybody_others_only_for_themselves(browser, people, cast):
    today = utc_now().date().isoformat()
    data = {"person": people["legal"].id, "substitute": cast.ben.id, "from_on": today, "until_on": today}

    browser(cast.ada).post("/substitutes", data=data)
    assert Substitute.get().person.name == "Leila"

    browser(people["finance"]).post("/substitutes", data=data)  # whom it names counts for nothing
    assert sorted(row.person.name for row in Substitute.select()) == ["Finn", "Leila"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"substitute": "nobody"}, "Choose a colleague."),
        ({"until_on": "2020-01-01"}, "The last day is before the first."),
        ({"from_on": "2020-01-01", "until_on": "2020-01-02"}, "These days are over."),
        ({"from_on": "soon"}, "from_on-reason"),
    ],
)
def test_a_substitute_that_means_nothing_is_refused(browser, people, cast, changes, reason):
    today = utc_now().date().isoformat()
    data = {"substitute": cast.ben.id, "from_on": today, "until_on": today, **changes}

    answer = browser(people["legal"]).post("/substitutes", data=data)

    assert answer.status_code == 422
    assert reason in answer.text
    assert Substitute.select().count() == 0
