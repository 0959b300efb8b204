"""Rules: which risk asks which people for which proof. An administrator's page, each change stepped up."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import PortalError
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.envelopes import PolicyRule
from portal.pages import choices, guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, refuse, show
from portal.services import policies

bp = Blueprint("policies", __name__, url_prefix="/policies")

PAGE, EDIT = "policies/index.html", "policies/edit.html"
# Beside each proof, what to know of it.
ABOUT = {
    "sms": lazy("An app is offered beside it and counts as well."),
    "sms_or_totp": lazy(
        "People choose. A telephone number can be taken over, so the app is the safer of the two."
    ),
    "totp": lazy(
        "Whoever has no app yet sets one up, after a text message or a one-time code from the sender."
    ),
}


@bp.get("")
@requires("policy.read")
def page() -> Response:
    rows = [
        {
            "rule": rule,
            "name": policies.shown_name(rule),
            "condition": policies.describe(rule.condition),
            "applies_to": policies.SIDES[rule.applies_to],
            "factor": policies.FACTORS[rule.factor],
            "about": ABOUT.get(rule.factor, ""),
        }
        for rule in policies.all_rules()
    ]
    return show(PAGE, rows=rows)


@bp.get("/new")
@requires("policy.edit", step_up=True)
def new() -> Response:
    return show(EDIT, **editing(Form(None, applies_to="theirs", factor="sms_or_totp", currency="EUR"), None))


@bp.post("/new")
@requires("policy.edit", step_up=True)
def add() -> Response:
    form = Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, **editing(form, None))
    try:
        policies.add(**values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **choices_for(None))
    return leave(url_for(".page"))


@bp.get("/<rule_id>")
@requires("policy.edit", step_up=True)
def edit(rule_id: str) -> Response:
    rule = policies.get(rule_id)
    condition = rule.condition
    form = Form(
        None,
        name=policies.shown_name(rule),
        applies_to=rule.applies_to,
        factor="sms_or_totp" if rule.factor == "sms" else rule.factor,
        **{**{"currency": "EUR"}, **condition, "phi": "yes" if condition.get("phi") else ""},
    )
    return show(EDIT, **editing(form, rule))


@bp.post("/<rule_id>")
@requires("policy.edit", step_up=True)
def change(rule_id: str) -> Response:
    rule, form = policies.get(rule_id), Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, **editing(form, rule))
    if values["name"] == policies.shown_name(rule):
        values["name"] = rule.name
    try:
        policies.change(rule, **values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **choices_for(rule))
    return leave(url_for(".page"))


@bp.post("/<rule_id>/activity")
@requires("policy.edit", step_up=True)
def switch(rule_id: str) -> Response:
    """On where it was off, and the other way round, as the pressed button said."""
    on = request.form.get("on") == "yes"
    policies.switch(policies.get(rule_id), on=on, by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


@bp.post("/<rule_id>/place")
@requires("policy.edit", step_up=True)
def move(rule_id: str) -> Response:
    up = request.form.get("up") == "yes"
    policies.move(policies.get(rule_id), up=up, by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


def read(form: Form) -> dict[str, Any]:
    """A rule as typed; an empty field is no condition."""
    condition: dict[str, Any] = {}
    for name in ("value_over", "liability_over"):
        amount = form.decimal(name)
        if amount is not None:
            condition |= {name: f"{amount:.2f}", "currency": form.choice("currency", choices.CURRENCIES)}
    months = form.integer("months_over", least=1, most=600)
    if months is not None:
        condition["months_over"] = months
    if form.checked("phi"):
        condition["phi"] = True
    flag = form.choice("flag", policies.FLAGS, required=False)
    if flag:
        condition["flag"] = flag
    return {
        "name": form.text("name", most=120, required=True),
        "condition": condition,
        "applies_to": form.choice("applies_to", policies.SIDES),
        "factor": form.choice("factor", policies.FACTORS),  # what the service refuses, it says why
    }


def editing(form: Form, rule: PolicyRule | None) -> dict[str, Any]:
    return {"form": form, **choices_for(rule)}


def choices_for(rule: PolicyRule | None) -> dict[str, Any]:
    return {
        "rule": rule,
        "sides": list(policies.SIDES.items()),
        "factors": [(factor, policies.FACTORS[factor], ABOUT[factor]) for factor in policies.OFFERED],
        "flags": [("", _("no mark")), *policies.FLAGS.items()],
        "currencies": list(choices.CURRENCIES),
    }
