"""The approval matrix: which deal asks which roles to approve, in which order, before what.

A rule whose condition holds asks its roles: all of them, or any one. Without roles of its own it asks
those that the differences name. In the mode "nobody" the deal is refused: nobody can approve it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from portal.errors import Invalid, NotFound
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.approvals import ApprovalRule
from portal.models.base import transaction
from portal.services import audit, installation, permissions, rule_order
from portal.services.approval_conditions import CONDITIONS
from portal.services.audit import INSTALLATION, Actor

MODES = {
    "all": lazy("All of them"),
    "any": lazy("Any one of them"),
    "nobody": lazy("Nobody: it is refused"),
}
MOMENTS = {
    "sign": lazy("Before it is sent for signature"),
    "share": lazy("Before the other side sees the text"),
}
STEPS = (1, 2, 3)
AMOUNTS = ("fee_over", "value_over", "exposure_over", "liability_over")
OWN_ALLOWED = "approvals.own_allowed"
SEEDS: tuple[dict[str, Any], ...] = (
    {"name": lazy("Beyond every limit"), "condition": {"deviation": "not_allowed"}, "roles": [],
     "mode": "nobody"},
    {"name": lazy("Differs from the template"), "condition": {"deviation": "approval"}, "roles": []},
    {"name": lazy("The other side’s paper"), "condition": {"paper": "support"}, "roles": ["legal"]},
    {"name": lazy("Fee over EUR 100,000 a year"), "condition": {"fee_over": "100000.00", "currency": "EUR"},
     "roles": ["finance"]},
    {"name": lazy("Fee over EUR 500,000 a year"), "condition": {"fee_over": "500000.00", "currency": "EUR"},
     "roles": ["executive"], "step": 2},
    {"name": lazy("Longer than 36 months"), "condition": {"months_over": 36}, "roles": ["legal", "finance"]},
    {"name": lazy("Renews by itself for more than 12 months"), "condition": {"renewal_over": 12},
     "roles": ["legal", "finance"]},
    {"name": lazy("Protected health information"), "condition": {"phi": True},
     "roles": ["privacy", "legal"]},
    {"name": lazy("Service credits over EUR 100,000 a year"),
     "condition": {"exposure_over": "100000.00", "currency": "EUR"}, "roles": ["finance", "executive"]},
    {"name": lazy("A look before the other side sees it"), "condition": {"deviation": "approval"},
     "roles": [], "mode": "any", "moment": "share"},
)  # fmt: skip


def all_rules() -> list[ApprovalRule]:
    """Every rule in order, those switched off too."""
    return list(ApprovalRule.select().order_by(ApprovalRule.position, ApprovalRule.id))


def active(moment: str) -> list[ApprovalRule]:
    query = ApprovalRule.select().where(ApprovalRule.is_active & (ApprovalRule.moment == moment))
    return list(query.order_by(ApprovalRule.position, ApprovalRule.id))


def get(rule_id: str) -> ApprovalRule:
    """Raises NotFound."""
    rule: ApprovalRule | None = ApprovalRule.get_or_none(ApprovalRule.id == rule_id)
    if rule is None:
        raise NotFound(_("There is no such rule."))
    return rule


def shown_name(rule: ApprovalRule) -> str:
    """The name in the reader's language, where it is one of ours."""
    return _(rule.name)


def role_name(role: str) -> str:
    return str(permissions.ROLES[role][0]) if role in permissions.ROLES else role


def seed(now: datetime) -> None:
    """The matrix a new installation starts with; rules already there stay alone."""
    if ApprovalRule.select(ApprovalRule.id).exists():
        return
    with transaction():
        for position, row in enumerate(SEEDS):
            ApprovalRule.create(**{**row, "name": row["name"].message}, position=position, updated_at=now)


def add(*, values: Mapping[str, Any], by: Actor, now: datetime) -> ApprovalRule:
    """A new rule behind the others: name, condition, roles, mode, step, moment. Raises Invalid."""
    clean = checked(**values)
    with transaction():
        position = ApprovalRule.select().count()
        rule: ApprovalRule = ApprovalRule.create(**clean, position=position, updated_at=now)
        record("approval_rule.added", rule, by, now)
    return rule


def change(rule: ApprovalRule, *, values: Mapping[str, Any], by: Actor, now: datetime) -> None:
    """Counts from now on, for texts that wait or are ready too. Raises Invalid."""
    clean = checked(**values)
    with transaction():
        before = facts_of(rule)
        rule_order.rewrite(rule, clean, now)
        record("approval_rule.changed", rule, by, now, before=before)


def switch(rule: ApprovalRule, *, on: bool, by: Actor, now: datetime) -> None:
    with transaction():
        rule_order.switch(rule, on, now)
        record("approval_rule.switched_on" if on else "approval_rule.switched_off", rule, by, now)


def move(rule: ApprovalRule, *, up: bool, by: Actor, now: datetime) -> None:
    """Change places with the neighbour; at an end nothing happens."""
    with transaction():
        if rule_order.swap(rule, up=up):
            record("approval_rule.moved", rule, by, now)


def own_allowed() -> bool:
    """Whether an author may approve their own text where nobody else holds the role."""
    return bool(installation.fact(OWN_ALLOWED))


def allow_own(on: bool, *, by: Actor, now: datetime) -> None:
    with transaction():
        installation.set_fact(OWN_ALLOWED, on, now)
        act = "approval_policy.own_allowed" if on else "approval_policy.own_refused"
        audit.append(act, ("policy", OWN_ALLOWED), chain=INSTALLATION, by=by, now=now)


def checked(
    name: str, condition: Mapping[str, Any], roles: Sequence[str], mode: str, step: int, moment: str
) -> dict[str, Any]:
    errors: dict[str, str] = {}
    if not name.strip():
        errors["name"] = _("Give the rule a name.")
    if not set(roles) <= permissions.APPROVERS:
        errors["roles"] = _("Choose who approves.")
    if mode not in MODES:
        errors["mode"] = _("Choose how many of them must approve.")
    if not roles and mode != "nobody" and condition.get("deviation") != "approval":
        errors["roles"] = _("Choose who approves.")
    if step not in STEPS:
        errors["step"] = _("Choose when they are asked.")
    if moment not in MOMENTS:
        errors["moment"] = _("Choose what waits for it.")
    for field in AMOUNTS:
        if field in condition and not rule_order.is_amount(condition[field]):
            errors[field] = _("Write an amount.")
    if set(condition) - set(CONDITIONS) - {"currency"}:
        errors["condition"] = _("There is no such condition.")
    if errors:
        raise Invalid(errors)
    return {
        "name": " ".join(name.split())[:120],
        "condition": dict(condition),
        "roles": sorted(roles) if mode != "nobody" else [],
        "mode": mode,
        "step": step,
        "moment": moment,
    }


def facts_of(rule: ApprovalRule) -> dict[str, Any]:
    return {
        "name": rule.name, "condition": rule.condition, "roles": rule.roles, "mode": rule.mode,
        "step": rule.step, "moment": rule.moment, "is_active": rule.is_active, "position": rule.position,
    }  # fmt: skip


def record(act: str, rule: ApprovalRule, by: Actor, now: datetime, **more: Any) -> None:
    audit.append(act, ("rule", rule.id), chain=INSTALLATION, by=by, now=now, facts=facts_of(rule) | more)
