"""The approval matrix: which deal needs whose yes. An administrator's page, each change stepped up."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import PortalError
from portal.i18n import gettext as _
from portal.models.approvals import ApprovalRule
from portal.pages import choices, guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, refuse, show
from portal.services import approval_conditions, approval_rules, permissions, policies

bp = Blueprint("approval_rules", __name__, url_prefix="/approval-rules")

PAGE, EDIT = "approval_rules/index.html", "approval_rules/edit.html"


@bp.get("")
@requires("policy.read")
def page() -> Response:
    rows = [
        {
            "rule": rule,
            "name": approval_rules.shown_name(rule),
            "condition": approval_conditions.describe(rule.condition),
            "who": who(rule),
            "moment": approval_rules.MOMENTS[rule.moment],
        }
        for rule in approval_rules.all_rules()
    ]
    return show(PAGE, rows=rows, own_allowed=approval_rules.own_allowed())


def who(rule: ApprovalRule) -> str:
    """Whom a rule asks, in words."""
    if rule.mode == "nobody":
        return str(approval_rules.MODES["nobody"])
    names = [approval_rules.role_name(role) for role in rule.roles] or [_("Whoever answers for what differs")]
    joined = (_(" or ") if rule.mode == "any" else _(" and ")).join(names)
    return joined if rule.step == 1 else _("%(names)s, after the others", names=joined)


@bp.get("/new")
@requires("policy.edit", step_up=True)
def new() -> Response:
    return show(EDIT, **editing(Form(None, currency="EUR", mode="all", step="1", moment="sign"), None))


@bp.post("/new")
@requires("policy.edit", step_up=True)
def add() -> Response:
    form = Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, **editing(form, None))
    try:
        approval_rules.add(values=values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **choices_for(None))
    return leave(url_for(".page"))


@bp.get("/<rule_id>")
@requires("policy.edit", step_up=True)
def edit(rule_id: str) -> Response:
    rule = approval_rules.get(rule_id)
    given = {"currency": "EUR", **rule.condition, "phi": "yes" if rule.condition.get("phi") else ""}
    roles = {f"role_{role}": "yes" for role in rule.roles}
    form = Form(None, name=approval_rules.shown_name(rule), mode=rule.mode, step=str(rule.step),
                moment=rule.moment, **roles, **given)  # fmt: skip
    return show(EDIT, **editing(form, rule))


@bp.post("/<rule_id>")
@requires("policy.edit", step_up=True)
def change(rule_id: str) -> Response:
    rule, form = approval_rules.get(rule_id), Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, **editing(form, rule))
    if values["name"] == approval_rules.shown_name(rule):
        values["name"] = rule.name
    try:
        approval_rules.change(rule, values=values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **choices_for(rule))
    return leave(url_for(".page"))


@bp.post("/<rule_id>/activity")
@requires("policy.edit", step_up=True)
def switch(rule_id: str) -> Response:
    """On where it was off, and the other way round, as the pressed button said."""
    on = request.form.get("on") == "yes"
    approval_rules.switch(approval_rules.get(rule_id), on=on, by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


@bp.post("/<rule_id>/place")
@requires("policy.edit", step_up=True)
def move(rule_id: str) -> Response:
    up = request.form.get("up") == "yes"
    approval_rules.move(approval_rules.get(rule_id), up=up, by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


@bp.post("/own")
@requires("policy.edit", step_up=True)
def own() -> Response:
    """Whether an author may approve their own text where nobody else holds the role."""
    approval_rules.allow_own(request.form.get("on") == "yes", by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


def read(form: Form) -> dict[str, Any]:
    """A rule as typed; an empty field is no condition."""
    condition: dict[str, Any] = {}
    for name in approval_rules.AMOUNTS:
        amount = form.decimal(name)
        if amount is not None:
            condition |= {name: f"{amount:.2f}", "currency": form.choice("currency", choices.CURRENCIES)}
    for name in ("months_over", "renewal_over"):
        months = form.integer(name, least=1, most=600)
        if months is not None:
            condition[name] = months
    if form.checked("phi"):
        condition["phi"] = True
    for name, allowed in (
        ("flag", policies.FLAGS),
        ("paper", approval_conditions.PAPERS),
        ("deviation", approval_conditions.DEVIATIONS),
    ):
        chosen = form.choice(name, allowed, required=False)
        if chosen:
            condition[name] = chosen
    return {
        "name": form.text("name", most=120, required=True),
        "condition": condition,
        "roles": [role for role in sorted(permissions.APPROVERS) if form.checked(f"role_{role}")],
        "mode": form.choice("mode", approval_rules.MODES),
        "step": int(form.choice("step", [str(step) for step in approval_rules.STEPS]) or 0),
        "moment": form.choice("moment", approval_rules.MOMENTS),
    }


def editing(form: Form, rule: ApprovalRule | None) -> dict[str, Any]:
    return {"form": form, **choices_for(rule)}


def choices_for(rule: ApprovalRule | None) -> dict[str, Any]:
    return {
        "rule": rule,
        "roles": [(f"role_{role}", approval_rules.role_name(role))
                  for role in permissions.ROLES if role in permissions.APPROVERS],
        "modes": list(approval_rules.MODES.items()),
        "moments": list(approval_rules.MOMENTS.items()),
        "steps": [("1", _("at once")), ("2", _("after those asked at once")), ("3", _("last"))],
        "flags": [("", _("no mark")), *policies.FLAGS.items()],
        "papers": [("", _("no matter whose paper")), *approval_conditions.PAPERS.items()],
        "deviations": [("", _("whatever differs")), *approval_conditions.DEVIATIONS.items()],
        "currencies": list(choices.CURRENCIES),
    }  # fmt: skip
