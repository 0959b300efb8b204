"""What our side does for a signer's proof: a new phone, a one-time code, a request answered."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotAllowed
from portal.i18n import gettext as _
from portal.models.contracts import Contract
from portal.models.envelopes import Recipient
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import contracts, outside_factors, permissions, tasks

bp = Blueprint("factor_requests", __name__)
BASE = "/contracts/<reference>/recipients/<recipient_id>"


def found(reference: str, recipient_id: str) -> tuple[Contract, Recipient]:
    contract = answerable(reference)
    return contract, outside_factors.recipient_in(contract, recipient_id)


def answerable(reference: str) -> Contract:
    """The contract, for who answers its signers: its owner, or an administrator. Raises NotAllowed."""
    me = person()
    contract = contracts.get(reference, me)
    if not contracts.is_author(contract, me) and not permissions.allows(me, "contract.reassign"):
        raise NotAllowed(_("Only its owner may change this contract: %(name)s.", name=contract.owner.name))
    return contract


def screen(
    contract: Contract, recipient: Recipient, form: Form, code: str = "", status: int = 200
) -> Response:
    return show(
        "factor_requests/show.html",
        status=status,
        contract=contract,
        recipient=recipient,
        form=form,
        code=code,
        has_app=outside_factors.newest(*outside_factors.owner_of(contract, recipient)) is not None,
        tasks=[task for task in tasks.open_for(contract) if task.recipient.id == recipient.id],
        back=f"/contracts/{contract.reference}",
    )


@bp.get(f"{BASE}/identity")
@requires("factor.reset")
def page(reference: str, recipient_id: str) -> Response:
    """How this person proves who they are, and what may be done when they cannot."""
    return screen(*found(reference, recipient_id), Form())


@bp.post(f"{BASE}/replace-factor")
@requires("factor.reset", step_up=True)
def replace(reference: str, recipient_id: str) -> Response:
    """A new phone: the old app dies now, the next one counts a day after it is set up."""
    contract, recipient = found(reference, recipient_id)
    form = Form(request.form)
    reason = form.text("reason", most=1000)
    try:
        if form.errors:
            raise Invalid(form.errors)
        outside_factors.replace(contract, recipient.id, reason=reason, by=actor(), now=utc_now())
    except Invalid as refusal:
        form.errors.update(refusal.errors)
        return screen(contract, recipient, form, status=422)
    return leave(url_for(".page", reference=reference, recipient_id=recipient_id))


@bp.post(f"{BASE}/enrolment-code")
@requires("factor.reset", step_up=True)
def hand_over(reference: str, recipient_id: str) -> Response:
    """A one-time code to be told by telephone or in person; this page shows it once."""
    contract, recipient = found(reference, recipient_id)
    code = outside_factors.hand_over(contract, recipient.id, by=actor(), now=utc_now())
    return screen(contract, recipient, Form(), code=code)


@bp.post("/contracts/<reference>/requests/<task_id>/done")
@requires("contract.edit")
def finish(reference: str, task_id: str) -> Response:
    """What a signer asked for is answered."""
    contract = answerable(reference)
    tasks.finish(contract, task_id, by=actor(), now=utc_now())
    return leave(guards.safe_next(request.form.get("next"), f"/contracts/{contract.reference}"))
