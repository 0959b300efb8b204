"""What our side does for a signer: a new phone, a one-time code, a request answered."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, Invalid, NotAllowed, TooMany
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.contracts import Contract
from portal.models.envelopes import Recipient, Task
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import contracts, invitations, outside_factors, permissions, signing_mails, tasks

bp = Blueprint("factor_requests", __name__)
BASE = "/contracts/<reference>/recipients/<recipient_id>"
IDENTITY = "factor_requests.page"
TOLD = "factor_requests/told.html"
# Where each request is answered, besides by mail or telephone, and what that asks for.
ANSWERED_AT = {
    "wrong_number": ("sending.correction", "contract.send", lazy("Correct the number")),
    "not_for_me": ("sending.correction", "contract.send", lazy("Correct the person")),
    "new_phone": (IDENTITY, "factor.reset", lazy("End the old app")),
    "other_way": (IDENTITY, "factor.reset", lazy("Make a one-time code")),
    "no_texts": (IDENTITY, "factor.reset", lazy("Make a one-time code")),
}


def may_answer(contract: Contract) -> bool:
    """Whether the signers of the contract are this person's to answer: its owner's, or an administrator's."""
    me = person()
    return contracts.is_author(contract, me) or permissions.allows(me, "contract.reassign")


def identity_url(contract: Contract, recipient: Recipient) -> str:
    """The page of how an outside signer proves who they are; "" where there is nothing to do there."""
    is_outside = recipient.role == "signer" and recipient.person_id is None
    if not is_outside or not may_answer(contract) or not permissions.allows(person(), "factor.reset"):
        return ""
    return url_for(IDENTITY, reference=contract.reference, recipient_id=recipient.id)


def asked_of_us(contract: Contract) -> list[dict[str, Any]]:
    """What signers of this contract asked for and nobody has answered, the most urgent first."""
    return [asked(contract, task) for task in tasks.open_for(contract)]


def asked(contract: Contract, task: Task) -> dict[str, Any]:
    kind, recipient = tasks.KINDS[task.kind], task.recipient
    endpoint, permission, label = ANSWERED_AT.get(task.kind, ("", "", ""))
    may_go = endpoint and may_answer(contract) and permissions.allows(person(), permission)
    at = {"reference": contract.reference, "recipient_id": recipient.id}
    return {
        "id": task.id,
        "says": f"{recipient.name} {kind.says}",
        "words": task.text,
        "to_do": kind.to_do,
        "email": recipient.email,
        "due_at": task.due_at,
        "url": url_for(endpoint, **at) if may_go else "",
        "label": label,
    }


def found(reference: str, recipient_id: str) -> tuple[Contract, Recipient]:
    contract = answerable(reference)
    return contract, outside_factors.recipient_in(contract, recipient_id)


def answerable(reference: str) -> Contract:
    """The contract, for who answers its signers: its owner, or an administrator. Raises NotAllowed."""
    contract = contracts.get(reference, person())
    if not may_answer(contract):
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
        requests=[
            asked(contract, task) for task in tasks.open_for(contract) if task.recipient.id == recipient.id
        ],
        may_tick=contracts.is_author(contract, person()),
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


@bp.get(f"{BASE}/invitation-code")
@requires("contract.send")
def code_page(reference: str, recipient_id: str) -> Response:
    """What reading out a code means; where the press comes back to that asked for a fresh code first."""
    contract, recipient = found(reference, recipient_id)
    return told_page(contract, recipient, why_not=invitations.why_not(contract, recipient, utc_now()))


@bp.post(f"{BASE}/invitation-code")
@requires("contract.send", step_up=True)
def tell_code(reference: str, recipient_id: str) -> Response:
    """A code that opens the signing, to be read out on the telephone; this page shows it once."""
    contract, recipient = found(reference, recipient_id)
    try:
        told = invitations.tell(contract, recipient.id, by=actor(), now=utc_now())
    except (Conflict, TooMany) as refusal:
        return told_page(contract, recipient, why_not=refusal.message, status=refusal.status)
    return told_page(contract, recipient, told=told)


def told_page(
    contract: Contract,
    recipient: Recipient,
    *,
    told: invitations.Told | None = None,
    why_not: str = "",
    status: int = 200,
) -> Response:
    address = signing_mails.typed_address()
    return show(
        TOLD,
        status=status,
        contract=contract,
        recipient=recipient,
        told=told,
        why_not=why_not,
        address=address,
    )


def code_url(contract: Contract, recipient: Recipient) -> str:
    """Where a code to be read out is made; "" where none is, or not by this person."""
    may = may_answer(contract) and permissions.allows(person(), "contract.send")
    if not may or invitations.why_not(contract, recipient, utc_now()):
        return ""
    return url_for("factor_requests.tell_code", reference=contract.reference, recipient_id=recipient.id)


@bp.post("/contracts/<reference>/requests/<task_id>/done")
@requires("contract.edit")
def finish(reference: str, task_id: str) -> Response:
    """What a signer asked for is answered."""
    contract = answerable(reference)
    tasks.finish(contract, task_id, by=actor(), now=utc_now())
    return leave(guards.safe_next(request.form.get("next"), f"/contracts/{contract.reference}"))
