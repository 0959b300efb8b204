"""Negotiating from our side: sharing the text, answering clause by clause and row by row, agreeing."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from portal.clock import utc_now
from portal.errors import Invalid, NotFound, PortalError
from portal.i18n import LANGUAGES, NAMES
from portal.models.contracts import Contract
from portal.pages import approvals, negotiation_view
from portal.pages.forms import Form
from portal.pages.guards import actor, client_address, client_agent, person, requires
from portal.pages.respond import leave, show
from portal.services import (
    agreements,
    comments,
    contract_states,
    contracts,
    negotiation,
    permissions,
    proposals,
)
from portal.services.negotiation import OURS, Party

bp = Blueprint("negotiation", __name__)


def ours() -> Party:
    me = person()
    return Party(OURS, me.name, me.email, person=me, address=client_address(), user_agent=client_agent())


def answering(reference: str) -> Contract:
    """The contract, for whoever may speak for us. Raises NotAllowed for others."""
    contract = contracts.get(reference, person())
    contracts.demand_edit(contract, person())
    return contract


@bp.get("/contracts/<reference>/negotiation")
@requires("contract.read")
def page(reference: str) -> Response:
    return talk(contracts.get(reference, person()))


def talk(contract: Contract, form: Form | None = None, status: int = 200) -> Response:
    if contract.kind == "file":
        raise NotFound
    latest = agreements.latest(contract)
    return show(
        "negotiation/show.html", None, status,
        **negotiation_view.context(contract, ours(), "negotiation", form),
        may_answer=contracts.may_edit(contract, person()),
        may_comment=permissions.allows(person(), "contract.comment")
        and contract_states.is_editable(contract),
        invited=negotiation.invited(contract),
        known=known_contacts(contract),
        language_options=[(each, NAMES[each]) for each in LANGUAGES],
        is_new=latest.shared_at is None,
        approval=approvals.on_contract(contract, latest),
        last_shared=agreements.last_shared(contract),
    )  # fmt: skip


def known_contacts(contract: Contract) -> list[Any]:
    """People we know there who are not invited yet."""
    if contract.counterparty is None:
        return []
    taken = {each.email for each in negotiation.invited(contract)}
    return [each for each in contract.counterparty.contacts if each.email not in taken]


def done(contract: Contract, place: str = "") -> Response:
    return leave(negotiation_view.place_url(contract, "negotiation", place))


def refused(contract: Contract, form: Form, error: PortalError | None) -> Response:
    """The page again with what was typed, and why it was not taken."""
    if error is not None:
        for name, reason in (error.errors if isinstance(error, Invalid) else {"": error.message}).items():
            form.refuse(name, reason)
    return talk(Contract.get_by_id(contract.id), form, error.status if error else 422)


# -- Sharing ------------------------------------------------------------------------------------


@bp.post("/contracts/<reference>/negotiation/sharing")
@requires("contract.edit")
def share(reference: str) -> Response:
    contract, form = answering(reference), Form(request.form)
    try:
        negotiation.share(contract, note=form.text("note"), by=actor(), now=utc_now())
    except PortalError as error:
        return refused(contract, form, error)
    return done(contract)


@bp.post("/contracts/<reference>/negotiation/people")
@requires("contract.edit")
def invite(reference: str) -> Response:
    contract, form = answering(reference), Form(request.form)
    name, email = form.text("name", most=120, required=True), form.email("email")
    language = form.choice("language", LANGUAGES)
    if form.errors:
        return talk(contract, form, 422)
    try:
        negotiation.invite(contract, name=name, email=email, language=language, by=actor(), now=utc_now())
    except PortalError as error:
        return refused(contract, form, error)
    return done(contract)


@bp.post("/contracts/<reference>/negotiation/people/<negotiator_id>/end")
@requires("contract.edit")
def end_invitation(reference: str, negotiator_id: str) -> Response:
    contract = answering(reference)
    negotiation.end_invitation(contract, negotiator_id, by=actor(), now=utc_now())
    return done(contract)


# -- Talking -------------------------------------------------------------------------------------


@bp.post("/contracts/<reference>/negotiation/comments")
@requires("contract.comment")
def comment(reference: str) -> Response:
    contract, form = contracts.get(reference, person()), Form(request.form)
    place, internal = form.text("place", most=200), not form.checked("for_both")
    try:
        comments.add(contract, ours(), place, form.text("text"), internal=internal, now=utc_now())
    except Invalid as error:
        return refused(contract, form, error)
    return done(contract, place)


@bp.post("/contracts/<reference>/negotiation/comments/<comment_id>/settlement")
@requires("contract.comment")
def settle(reference: str, comment_id: str) -> Response:
    contract = contracts.get(reference, person())
    comments.settle(contract, comment_id, ours(), now=utc_now())
    return done(contract, request.form.get("place", ""))


@bp.post("/contracts/<reference>/negotiation/proposals")
@requires("contract.edit")
def propose(reference: str) -> Response:
    contract, form = answering(reference), Form(request.form)
    place, answered = form.text("place", most=200), form.text("answers", most=40)
    try:
        shown = negotiation.seen_by(contract, negotiation.READER)
        after = negotiation_view.read_change(form, contract, shown, place)
        note, now = form.text("note"), utc_now()
        if answered:
            proposals.counter(contract, answered, ours(), after, note=note, now=now)
        else:
            proposals.add(contract, ours(), place, after, note=note, now=now)
    except Invalid as error:
        return refused(contract, form, error)
    return done(contract, place)


@bp.post("/contracts/<reference>/negotiation/proposals/<proposal_id>/acceptance")
@requires("contract.edit")
def accept(reference: str, proposal_id: str) -> Response:
    contract = answering(reference)
    found = proposals.accept(contract, proposal_id, ours(), now=utc_now())
    return done(contract, found.place)


@bp.post("/contracts/<reference>/negotiation/proposals/<proposal_id>/rejection")
@requires("contract.edit")
def reject(reference: str, proposal_id: str) -> Response:
    contract, form = answering(reference), Form(request.form)
    try:
        found = proposals.reject(contract, proposal_id, ours(), reason=form.text("reason"), now=utc_now())
    except Invalid as error:
        return refused(contract, form, error)
    return done(contract, found.place)


@bp.post("/contracts/<reference>/negotiation/proposals/<proposal_id>/withdrawal")
@requires("contract.edit")
def take_back(reference: str, proposal_id: str) -> Response:
    contract = answering(reference)
    proposals.take_back(contract, proposal_id, ours(), now=utc_now())
    return done(contract, request.form.get("place", ""))


# -- Agreeing -------------------------------------------------------------------------------------


@bp.post("/contracts/<reference>/negotiation/agreement")
@requires("contract.edit")
def agree(reference: str) -> Response:
    contract, form = answering(reference), Form(request.form)
    try:
        negotiation.agree(contract, ours(), seen_sha256=form.text("seen", most=64), now=utc_now())
    except PortalError as error:
        return refused(contract, form, error)
    return done(contract)


@bp.post("/contracts/<reference>/negotiation/reopening")
@requires("contract.edit")
def open_again(reference: str) -> Response:
    contract = answering(reference)
    negotiation.open_again(contract, ours(), now=utc_now())
    return done(contract)
