"""Policy: which risk of a contract asks for which proof of identity, and from whom.

A rule has conditions, all of which must hold, and a factor that each person on the named side must
then pass besides the mailed link. What several rules ask for adds up. One floor needs no rule: for
a contract with PHI a text message alone, or no factor at all, is never enough.

The factors of a recipient are a list of words, each of which must be met: "sms", "totp", or
"sms_or_totp", where the recipient chooses. Rules made before a text message was refused as the only
proof still ask for "sms"; there too an app does as well, unless another rule asks for it anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.errors import Invalid, NotFound
from portal.i18n import format_money, lazy, ngettext
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, Revision
from portal.models.envelopes import PolicyRule
from portal.services import audit, rule_order
from portal.services.audit import INSTALLATION, Actor
from portal.sla import duration, money

FACTORS = {
    "sms": lazy("Code by text message"),
    "totp": lazy("Authenticator app"),
    "sms_or_totp": lazy("Text message or authenticator app"),
}
# What a rule may ask for: a text message never stands alone, an app always does as well.
OFFERED = ("sms_or_totp", "totp")
SIDES = {
    "theirs": lazy("The other party"),
    "ours": lazy("Our side"),
    "both": lazy("Both sides"),
}
# A name is what an administrator reads; the seeds are translated where they are shown.
SEEDS: tuple[dict[str, Any], ...] = (
    {"name": lazy("Value over EUR 50,000"), "condition": {"value_over": "50000.00", "currency": "EUR"},
     "applies_to": "theirs", "factor": "sms_or_totp"},
    {"name": lazy("Value over EUR 500,000"), "condition": {"value_over": "500000.00", "currency": "EUR"},
     "applies_to": "both", "factor": "totp"},
    {"name": lazy("Liability over EUR 1,000,000"),
     "condition": {"liability_over": "1000000.00", "currency": "EUR"},
     "applies_to": "theirs", "factor": "totp"},
    {"name": lazy("Longer than 36 months"), "condition": {"months_over": 36},
     "applies_to": "theirs", "factor": "sms_or_totp"},
    {"name": lazy("Protected health information"), "condition": {"phi": True},
     "applies_to": "both", "factor": "totp"},
    {"name": lazy("Marked as high risk"), "condition": {"flag": "high_risk"},
     "applies_to": "both", "factor": "totp"},
)  # fmt: skip


# --- What a contract asks for ---------------------------------------------------------------


def factors_for(contract: Contract, recipient: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The factors one person must pass besides the link, and a sentence for each reason.

    `recipient` is an entry of the contract's list: its `side` and `role` count. Rules are for those
    who act; of somebody who gets a copy only the floor for PHI asks anything.
    """
    if recipient.get("role") == "copy":
        return (["totp"], [phi_floor()]) if contract.has_phi else ([], [])
    return asked_of(facts_of(contract), recipient, active_rules())


def asked_of(
    facts: Mapping[str, Any], recipient: Mapping[str, Any], rules: Sequence[PolicyRule]
) -> tuple[list[str], list[str]]:
    """The same of somebody who acts, for a contract that may not exist yet: `facts` as `facts_of` gives."""
    asked: set[str] = set()
    reasons: list[str] = []
    for rule in rules:
        if rule.applies_to in ("both", recipient.get("side")) and holds(rule.condition, facts):
            asked.add(rule.factor)
            reasons.append(reason_of(rule, facts))
    if facts["phi"] and "totp" not in asked:
        asked.add("totp")
        reasons.append(phi_floor())
    return simplest(asked), reasons


def phi_floor() -> str:
    return _("It holds protected health information, where a text message alone is not enough.")


def simplest(asked: set[str]) -> list[str]:
    """Every demand once: who must pass one factor anyway has made the choice between two."""
    if asked & {"sms", "totp"}:
        asked = asked - {"sms_or_totp"}
    return sorted(asked)


def active_rules() -> list[PolicyRule]:
    return list(PolicyRule.select().where(PolicyRule.is_active).order_by(PolicyRule.position, PolicyRule.id))


def facts_of(contract: Contract) -> dict[str, Any]:
    """What conditions look at."""
    revision: Revision | None = (
        Revision.select().where(Revision.contract == contract).order_by(Revision.number.desc()).first()
    )
    terms = revision.terms if revision else None
    return {
        "value": contract.value_amount,
        "currency": contract.currency,
        "start_on": contract.start_on,
        "end_on": contract.end_on,
        "phi": contract.has_phi,
        "flags": set(contract.flags),
        "liability": money.liability(terms) if terms else None,
        "is_support": contract.kind in ("support", "amendment"),
    }


def holds(condition: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether every part of a condition holds; an empty one always does.

    Amounts in another currency are compared as plain numbers. Without a liability cap in a support
    contract every limit on liability is passed.
    """
    if "value_over" in condition and not facts["value"] > Decimal(condition["value_over"]):
        return False
    if "liability_over" in condition and not liability_over(condition, facts):
        return False
    if "months_over" in condition and not longer_than(int(condition["months_over"]), facts):
        return False
    if condition.get("phi") and not facts["phi"]:
        return False
    return not condition.get("flag") or condition["flag"] in facts["flags"]


def longer_than(months: int, facts: Mapping[str, Any]) -> bool:
    if not facts["start_on"] or not facts["end_on"]:
        return False
    return bool(facts["end_on"] >= duration.add_months(facts["start_on"], months))


def liability_over(condition: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    if facts["liability"] is None:
        return bool(facts["is_support"])
    return bool(facts["liability"] > Decimal(condition["liability_over"]))


def reason_of(rule: PolicyRule, facts: Mapping[str, Any]) -> str:
    """Why the rule speaks for this contract, as a sentence with its own figures."""
    condition, parts = rule.condition, []
    if "value_over" in condition:
        parts.append(
            _("the value, %(value)s, is over %(limit)s",
              value=format_money(facts["value"], facts["currency"]), limit=limit_in(condition, "value_over"))
        )  # fmt: skip
    if "liability_over" in condition:
        if facts["liability"] is None:
            parts.append(_("our liability has no cap"))
        else:
            parts.append(_("liability goes over %(limit)s", limit=limit_in(condition, "liability_over")))
    if "months_over" in condition:
        count = int(condition["months_over"])
        parts.append(
            ngettext("it runs for more than %(num)s month", "it runs for more than %(num)s months", count)
        )
    if condition.get("phi"):
        parts.append(_("it holds protected health information"))
    if condition.get("flag"):
        parts.append(_("it is marked “%(flag)s”", flag=flag_name(condition["flag"])))
    if not parts:
        return _("Rule “%(name)s”: for every contract.", name=shown_name(rule))
    return _("Rule “%(name)s”: %(why)s.", name=shown_name(rule), why=", ".join(parts))


def limit_in(condition: Mapping[str, Any], name: str) -> str:
    return format_money(Decimal(condition[name]), condition.get("currency", "EUR"))


FLAGS = {
    "high_risk": lazy("high risk"),
    "regulated": lazy("regulated"),
    "cross_border": lazy("cross-border"),
    "personal_data": lazy("personal data"),
}


def flag_name(flag: str) -> str:
    return str(FLAGS.get(flag, flag))


def shown_name(rule: PolicyRule) -> str:
    """The name in the reader's language, where it is one of ours."""
    return _(rule.name)


def describe(condition: Mapping[str, Any]) -> str:
    """The conditions of a rule in words."""
    parts = []
    if "value_over" in condition:
        parts.append(_("value over %(limit)s", limit=limit_in(condition, "value_over")))
    if "liability_over" in condition:
        parts.append(
            _("liability over %(limit)s, or without a cap", limit=limit_in(condition, "liability_over"))
        )
    if "months_over" in condition:
        count = int(condition["months_over"])
        parts.append(ngettext("longer than %(num)s month", "longer than %(num)s months", count))
    if condition.get("phi"):
        parts.append(_("protected health information"))
    if condition.get("flag"):
        parts.append(_("marked “%(flag)s”", flag=flag_name(condition["flag"])))
    said = _(" and ").join(parts) or _("every contract")
    return said[:1].upper() + said[1:]


# --- The rules ----------------------------------------------------------------------------


def all_rules() -> list[PolicyRule]:
    """Every rule in order, those switched off too."""
    return list(PolicyRule.select().order_by(PolicyRule.position, PolicyRule.id))


def get(rule_id: str) -> PolicyRule:
    """Raises NotFound."""
    rule: PolicyRule | None = PolicyRule.get_or_none(PolicyRule.id == rule_id)
    if rule is None:
        raise NotFound(_("There is no such rule."))
    return rule


def seed(now: datetime) -> None:
    """The rules a new installation starts with; those already there stay alone."""
    if PolicyRule.select(PolicyRule.id).exists():
        return
    with transaction():
        for position, row in enumerate(SEEDS):
            PolicyRule.create(**{**row, "name": row["name"].message}, position=position, updated_at=now)


def add(
    *, name: str, condition: Mapping[str, Any], applies_to: str, factor: str, by: Actor, now: datetime
) -> PolicyRule:
    """A new rule behind the others. Raises Invalid."""
    values = checked(name, condition, applies_to, factor)
    with transaction():
        position = PolicyRule.select().count()
        rule: PolicyRule = PolicyRule.create(**values, position=position, updated_at=now)
        record("policy.added", rule, by, now)
    return rule


def change(
    rule: PolicyRule,
    *,
    name: str,
    condition: Mapping[str, Any],
    applies_to: str,
    factor: str,
    by: Actor,
    now: datetime,
) -> None:
    """Requests already sent keep the factors they were sent with. Raises Invalid."""
    values = checked(name, condition, applies_to, factor)
    with transaction():
        before = facts_of_rule(rule)
        rule_order.rewrite(rule, values, now)
        record("policy.changed", rule, by, now, before=before)


def switch(rule: PolicyRule, *, on: bool, by: Actor, now: datetime) -> None:
    """A rule that is off asks nobody for anything."""
    with transaction():
        rule_order.switch(rule, on, now)
        record("policy.switched_on" if on else "policy.switched_off", rule, by, now)


def move(rule: PolicyRule, *, up: bool, by: Actor, now: datetime) -> None:
    """Change places with the neighbour; at an end nothing happens."""
    with transaction():
        if rule_order.swap(rule, up=up):
            record("policy.moved", rule, by, now)


def checked(name: str, condition: Mapping[str, Any], applies_to: str, factor: str) -> dict[str, Any]:
    errors: dict[str, str] = {}
    if not name.strip():
        errors["name"] = _("Give the rule a name.")
    if applies_to not in SIDES:
        errors["applies_to"] = _("Choose whom the rule is for.")
    if factor == "sms":
        errors["factor"] = _(
            "A text message alone is not enough: a telephone number can be taken over. Let people use an "
            "authenticator app instead."
        )
    elif factor not in OFFERED:
        errors["factor"] = _("Choose what it asks for.")
    for field in ("value_over", "liability_over"):
        if field in condition and not rule_order.is_amount(condition[field]):
            errors[field] = _("Write an amount.")
    if errors:
        raise Invalid(errors)
    return {
        "name": " ".join(name.split())[:120],
        "condition": dict(condition),
        "applies_to": applies_to,
        "factor": factor,
    }


def facts_of_rule(rule: PolicyRule) -> dict[str, Any]:
    return {
        "name": rule.name, "condition": rule.condition, "applies_to": rule.applies_to,
        "factor": rule.factor, "is_active": rule.is_active, "position": rule.position,
    }  # fmt: skip


def record(act: str, rule: PolicyRule, by: Actor, now: datetime, **more: Any) -> None:
    audit.append(
        act, ("policy", rule.id), chain=INSTALLATION, by=by, now=now, facts=facts_of_rule(rule) | more
    )
