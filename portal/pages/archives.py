"""The archive: holding, taking back, deleting with two people, the tombstone, the evidence package."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotFound
from portal.models.contracts import Contract
from portal.models.lives import Deletion
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import archiving, contracts, deletions, evidence_packages, lives, permissions, retention
from portal.services.existing import name_of

bp = Blueprint("archives", __name__)
ACT, SETTINGS, TOMBSTONE = "archives/act.html", "archives/settings.html", "archives/tombstone.html"
# What is asked for on a page of its own: the permission, and the service that does it.
ACTS = {
    "hold": ("contract.hold", archiving.hold),
    "lift": ("contract.hold", archiving.lift),
    "unarchive": ("contract.unarchive", None),
    "delete": ("contract.delete", deletions.ask),
}


@bp.get("/contracts/<reference>/archive/<any(hold, lift, unarchive, delete):act>")
@requires("contract.read")
def act_page(reference: str, act: str) -> Response:
    permissions.demand(person(), ACTS[act][0])
    return act_form(contracts.get(reference, person()), act, Form(None))


def act_form(contract: Contract, act: str, form: Form, status: int = 200) -> Response:
    return show(ACT, None, status, contract=contract, act=act, form=form)


@bp.post("/contracts/<reference>/archive/hold")
@requires("contract.hold")
def hold(reference: str) -> Response:
    return do(reference, "hold")


@bp.post("/contracts/<reference>/archive/lift")
@requires("contract.hold")
def lift(reference: str) -> Response:
    return do(reference, "lift")


@bp.post("/contracts/<reference>/archive/unarchive")
@requires("contract.unarchive")
def unarchive(reference: str) -> Response:
    return do(reference, "unarchive")


@bp.post("/contracts/<reference>/archive/delete")
@requires("contract.delete", step_up=True)
def ask_deletion(reference: str) -> Response:
    return do(reference, "delete")


def do(reference: str, act: str) -> Response:
    """Do what needs a reason and nothing else."""
    contract, form = contracts.get(reference, person()), Form(request.form)
    why = form.text("reason", most=1000, required=True)
    if form.errors:
        return act_form(contract, act, form, 422)
    try:
        if act == "unarchive":
            archiving.unarchive(contract, why, by=actor(), now=utc_now())
        else:
            service: Any = ACTS[act][1]
            service(contract, why, person=person(), by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return act_form(contract, act, form, 422)
    return leave(url_for("contracts.page", reference=reference))


@bp.post("/contracts/<reference>/deletion/approval")
@requires("contract.delete", step_up=True)
def approve_deletion(reference: str) -> Response:
    deletions.approve(proposed(reference), person=person(), by=actor(), now=utc_now())
    return leave(url_for("contracts.page", reference=reference))


@bp.post("/contracts/<reference>/deletion/withdrawal")
@requires("contract.delete")
def withdraw_deletion(reference: str) -> Response:
    deletions.withdraw(proposed(reference), person=person(), by=actor(), now=utc_now())
    return leave(url_for("contracts.page", reference=reference))


def proposed(reference: str) -> Deletion:
    found = deletions.open_for(contracts.get(reference, person()))
    if found is None:
        raise NotFound
    return found


@bp.get("/contracts/<reference>/evidence.zip")
@requires("audit.read")
def evidence(reference: str) -> Response:
    """All that proves the contract, with the checker and the steps."""
    contract = contracts.get(reference, person())
    if lives.of(contract) is None:
        raise NotFound
    answer = make_response(evidence_packages.build(contract))
    answer.headers["Content-Type"] = "application/zip"
    answer.headers["Content-Disposition"] = f'attachment; filename="{contract.reference}-evidence.zip"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


DAYS = ("signed_on", "closed_on", "archived_on", "kept_until")
# --- What is left ------------------------------------------------------------------------------------


def tombstone_page(reference: str) -> Response:
    """Where a contract was; 404 for strangers."""
    found = deletions.tombstone(reference, person())
    return show(
        TOMBSTONE,
        None,
        deletion=found,
        said=found.tombstone,
        days={name: date.fromisoformat(found.tombstone[name]) for name in DAYS if found.tombstone[name]},
        reference=reference,
        asked_by=found.asked_by.name,
        approved_by=found.approved_by.name if found.approved_by else "",
    )


# --- The setting --------------------------------------------------------------------------------------


@bp.get("/settings/retention")
@requires("policy.read")
def settings() -> Response:
    return settings_page(Form(None, **vars(retention.policy())))


def settings_page(form: Form, status: int = 200) -> Response:
    return show(SETTINGS, None, status, form=form, phi_years=retention.PHI_YEARS)


@bp.post("/settings/retention")
@requires("policy.edit", step_up=True)
def change_settings() -> Response:
    form = Form(request.form)
    days = form.integer("archive_days", least=0, most=retention.MOST_DAYS, required=True)
    years = form.integer("keep_years", least=1, most=retention.MOST_YEARS, required=True)
    if form.errors or days is None or years is None:
        return settings_page(form, 422)
    retention.change(retention.Policy(days, years), by=actor(), now=utc_now())
    return leave(url_for(".settings"))


# --- On the page of a contract --------------------------------------------------------------------------


def on_contract(contract: Contract) -> dict[str, Any]:
    """What the page of a contract says of its archive; empty while it is not over."""
    life = lives.of(contract)
    if life is None:
        return {}
    me, now = person(), utc_now()
    deletion = deletions.open_for(contract)
    is_archived = contract.state == "archived"
    return {
        "waits": archiving.waits(contract, life, now),
        "archived_at": life.archived_at,
        "checked_at": life.checked_at,
        "problem": life.check_problem,
        "retain_until": life.retain_until if is_archived else None,
        "held_by": name_of(life.held_by) if life.held_at else "",
        "held_at": life.held_at,
        "hold_reason": life.hold_reason,
        "deletion": deletion,
        "asked_by": deletion.asked_by.name if deletion else "",
        "may_hold": life.held_at is None and permissions.allows(me, "contract.hold"),
        "may_lift": life.held_at is not None and permissions.allows(me, "contract.hold"),
        "may_unarchive": is_archived and deletion is None and permissions.allows(me, "contract.unarchive"),
        "may_delete": is_archived and deletion is None and permissions.allows(me, "contract.delete"),
        "may_approve": deletion is not None
        and deletion.state == "asked"
        and permissions.allows(me, "contract.delete")
        and deletion.asked_by.id != me.id
        and deletions.are_both(deletion.asked_by, me),
        "may_drop": deletion is not None
        and deletion.state == "asked"
        and permissions.allows(me, "contract.delete"),
        "may_package": permissions.allows(me, "audit.read"),
    }
