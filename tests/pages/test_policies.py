from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.models.envelopes import PolicyRule
from portal.models.people import Session
from portal.services import policies
from tests.cast import sign_in


@pytest.fixture
def ada(app, cast):
    """An administrator's browser that has just proved a code."""
    policies.seed(utc_now())
    client = app.test_client()
    sign_in(client, cast.ada, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()
    return client


def typed(**changes):
    return {
        "name": "Very large", "value_over": "2,000,000", "currency": "EUR", "liability_over": "",
        "months_over": "", "flag": "", "applies_to": "both", "factor": "totp", **changes,
    }  # fmt: skip


def named(name):
    return PolicyRule.get(PolicyRule.name == name)


def test_the_rules_are_listed_in_words(ada):
    page = ada.get("/policies")

    assert page.status_code == 200
    assert "Liability over EUR\xa01,000,000.00, or without a cap" in page.text
    assert "Text message or authenticator app" in page.text
    assert 'href="/settings"' in page.text
    assert ada.get("/settings").status_code == 200


def test_a_rule_is_added_behind_the_others(ada):
    answer = ada.post("/policies/new", data=typed())

    assert (answer.status_code, answer.headers["Location"]) == (303, "/policies")
    rule = policies.all_rules()[-1]
    assert (rule.name, rule.condition) == ("Very large", {"value_over": "2000000.00", "currency": "EUR"})


def test_changing_a_seeded_rule_keeps_its_translatable_name(ada):
    rule = named("Longer than 36 months")

    page = ada.get(f"/policies/{rule.id}", headers={"Accept-Language": "fr"})
    answer = ada.post(
        f"/policies/{rule.id}", data=typed(name=rule.name, value_over="", months_over="48", factor="totp")
    )

    assert 'value="36"' in page.text
    assert answer.status_code == 303
    fresh = PolicyRule.get_by_id(rule.id)
    assert (fresh.name, fresh.condition, fresh.factor) == (rule.name, {"months_over": 48}, "totp")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"value_over": "a lot"}, "value_over"),
        ({"months_over": "0"}, "months_over"),
        ({"factor": "smoke"}, "factor"),
        ({"applies_to": ""}, "applies_to"),
        ({"flag": "invented"}, "flag"),
        ({"currency": "XXX"}, "currency"),
    ],
)
def test_a_refused_rule_keeps_what_was_typed(ada, changes, field):
    page = ada.post("/policies/new", data=typed(**changes))

    assert page.status_code == 422
    assert f'id="{field}-reason"' in page.text
    assert PolicyRule.select().count() == len(policies.SEEDS)


def test_switching_and_moving(ada):
    rule = named("Marked as high risk")
    first = [each.id for each in policies.all_rules()]

    ada.post(f"/policies/{rule.id}/activity", data={"on": "no"})
    ada.post(f"/policies/{rule.id}/place", data={"up": "yes"})

    assert not PolicyRule.get_by_id(rule.id).is_active
    assert [each.id for each in policies.all_rules()].index(rule.id) == first.index(rule.id) - 1


def test_every_change_asks_for_a_fresh_code(ada):
    Session.update(stepped_up_at=None).execute()
    rule = policies.all_rules()[0]

    for path in (
        "/policies/new",
        f"/policies/{rule.id}",
        f"/policies/{rule.id}/activity",
        f"/policies/{rule.id}/place",
    ):
        assert "/step-up" in ada.post(path, data=typed()).headers["Location"]

    assert PolicyRule.get_by_id(rule.id).is_active


def test_an_owner_reads_and_changes_nothing(app, cast, ada):
    ana = app.test_client()
    sign_in(ana, cast.ana, utc_now())

    assert ana.get("/policies").status_code == 200
    assert "Add a rule" not in ana.get("/policies").text
    assert ana.post("/policies/new", data=typed()).status_code == 403


def test_a_stranger_finds_nothing(app, cast, ada):
    cleo = app.test_client()
    sign_in(cleo, cast.cleo, utc_now())

    assert cleo.get("/policies").status_code == 404
    assert cleo.post("/policies/new", data=typed()).status_code == 404


def test_a_rule_that_is_not_there_is_not_found(ada):
    assert ada.get("/policies/nowhere").status_code == 404
    assert ada.post("/policies/nowhere/activity", data={"on": "no"}).status_code == 404


def test_a_text_message_alone_is_refused_with_the_reason_beside_the_choice(ada):
    answer = ada.post("/policies/new", data=typed(factor="sms"))

    assert answer.status_code == 422
    assert "A text message alone is not enough" in answer.text
    assert 'value="Very large"' in answer.text
    assert 'value="sms"' not in answer.text
    assert "the weaker proof" in ada.get("/policies").text


def test_a_rule_from_before_says_that_an_app_counts_too_and_cannot_be_saved_so(ada):
    rule = named("Value over EUR 50,000")
    PolicyRule.update(factor="sms").where(PolicyRule.id == rule.id).execute()

    assert "An app is offered beside it and counts as well" in ada.get("/policies").text
    page = ada.get(f"/policies/{rule.id}").text
    assert 'value="sms_or_totp" checked' in page
