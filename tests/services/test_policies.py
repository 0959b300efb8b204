from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from portal.errors import Invalid
from portal.i18n import use
from portal.models.audit import AuditEvent
from portal.models.contracts import Revision
from portal.models.envelopes import PolicyRule
from portal.services import policies
from portal.sla.terms import empty
from tests.services.signing import actor, ready, theirs


def factors(contract, **person):
    return policies.factors_for(contract, {"side": "theirs", "role": "signer", **person})[0]


@pytest.mark.parametrize(
    ("values", "theirs_pass", "ours_pass"),
    [
        ({"value_amount": Decimal("50000.00")}, [], []),
        ({"value_amount": Decimal("50000.01")}, ["sms_or_totp"], []),
        ({"value_amount": Decimal("500000.01")}, ["totp"], ["totp"]),
        ({"has_phi": True}, ["totp"], ["totp"]),
        ({"flags": ["high_risk"]}, ["totp"], ["totp"]),
        ({"start_on": date(2027, 1, 1), "end_on": date(2029, 12, 31)}, [], []),
        ({"start_on": date(2027, 1, 1), "end_on": date(2030, 1, 1)}, ["sms_or_totp"], []),
    ],
)
def test_the_seeded_rules(cast, now, values, theirs_pass, ours_pass):
    policies.seed(now)
    contract = ready(cast, now, **values)

    assert factors(contract) == theirs_pass
    assert factors(contract, side="ours") == ours_pass


def test_a_choice_between_two_goes_when_one_is_asked_for_anyway(cast, now):
    policies.seed(now)
    contract = ready(
        cast, now, value_amount=Decimal(600_000), start_on=date(2027, 1, 1), end_on=date(2031, 1, 1)
    )

    assert factors(contract) == ["totp"]


def test_a_rule_from_before_keeps_its_meaning(cast, now):
    policies.seed(now)
    PolicyRule.update(factor="sms").where(PolicyRule.name == "Value over EUR 50,000").execute()

    assert factors(ready(cast, now, value_amount=Decimal(60_000))) == ["sms"]
    assert factors(ready(cast, now, value_amount=Decimal(600_000))) == ["sms", "totp"]


def test_liability_comes_from_the_terms_and_without_a_cap_is_over_everything(cast, now):
    policies.seed(now)
    contract = ready(cast, now, kind="support")
    terms = empty("supplier")
    terms["commercial"]["liability_cap"] = {"amount": "900000.00"}
    Revision.update(terms=terms).where(Revision.contract == contract).execute()
    assert factors(contract) == []

    terms["commercial"]["liability_cap"] = None
    Revision.update(terms=terms).where(Revision.contract == contract).execute()
    assert factors(contract) == ["totp"]


def test_all_conditions_of_a_rule_must_hold(cast, now):
    policies.add(
        name="Large and risky", condition={"value_over": "10.00", "currency": "EUR", "flag": "high_risk"},
        applies_to="both", factor="sms_or_totp", by=actor(cast.ada), now=now,
    )  # fmt: skip

    assert factors(ready(cast, now)) == []
    assert factors(ready(cast, now, flags=["high_risk"])) == ["sms_or_totp"]


def test_a_copy_asks_for_proof_only_where_it_holds_health_data(cast, now):
    policies.seed(now)

    assert factors(ready(cast, now, value_amount=Decimal(600_000)), role="copy") == []
    assert factors(ready(cast, now, has_phi=True), role="copy") == ["totp"]


def test_health_data_asks_for_an_app_even_without_rules(cast, now):
    contract = ready(cast, now, has_phi=True)

    found, reasons = policies.factors_for(contract, theirs())

    assert found == ["totp"]
    assert "text message alone" in reasons[0]


def test_a_rule_that_is_off_asks_for_nothing(cast, now):
    policies.seed(now)
    rule = PolicyRule.get(PolicyRule.name == "Marked as high risk")

    policies.switch(rule, on=False, by=actor(cast.ada), now=now)

    assert factors(ready(cast, now, flags=["high_risk"])) == []
    assert AuditEvent.select().where(AuditEvent.act == "policy.switched_off").count() == 1


def test_reasons_carry_the_figures_in_the_readers_language(cast, now):
    policies.seed(now)
    contract = ready(cast, now, value_amount=Decimal(60_000))

    with use("fr"):
        reason = policies.factors_for(contract, theirs())[1][0]

    assert reason.startswith("Règle «\u00a0Valeur supérieure à 50 000 EUR")
    assert "60\u202f000,00\u00a0EUR" in reason


def test_rules_change_places_and_stay_at_the_ends(cast, now):
    policies.seed(now)
    names = [rule.name for rule in policies.all_rules()]

    policies.move(policies.all_rules()[1], up=True, by=actor(cast.ada), now=now)
    policies.move(policies.all_rules()[0], up=True, by=actor(cast.ada), now=now)

    assert [rule.name for rule in policies.all_rules()] == [names[1], names[0], *names[2:]]


def test_seeding_again_adds_nothing(home, now):
    policies.seed(now)
    policies.seed(now)

    assert PolicyRule.select().count() == len(policies.SEEDS)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"applies_to": "nobody"}, "applies_to"),
        ({"factor": "smoke"}, "factor"),
        ({"factor": "sms"}, "factor"),
        ({"condition": {"value_over": "much"}}, "value_over"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(cast, now, changes, field):
    rule = {"name": "A", "condition": {}, "applies_to": "both", "factor": "totp", **changes}

    with pytest.raises(Invalid) as refused:
        policies.add(**rule, by=actor(cast.ada), now=now)

    assert field in refused.value.errors
