"""Handing many contracts over at once: from the list by ticked boxes, or all of a colleague who leaves."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.contracts import Contract
from portal.models.people import Person
from portal.pages.contracts import owner_options
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import contract_states, handovers

bp = Blueprint("handovers", __name__, url_prefix="/hand-over")
PAGE = "handovers/show.html"


@bp.get("")
@requires("contract.read")
def page() -> Response:
    """What was ticked in the list, or everything a colleague looks after (`owner`)."""
    return form_page(Form(None), *asked(request.args.get("owner", ""), request.args.getlist("reference")))


@bp.post("/chosen")
@requires("contract.read")
def choose() -> Response:
    """What was ticked in the list, on a page of its own."""
    return leave(url_for(".page", reference=request.form.getlist("row")[: handovers.MOST]))


def asked(owner_id: str, references: list[str]) -> tuple[list[Contract], Person | None]:
    if not owner_id:
        return handovers.chosen(references), None
    former = Person.get_or_none((Person.id == owner_id) & Person.counterparty_id.is_null())
    if former is None:
        raise NotFound
    return handovers.of(former), former


def form_page(form: Form, found: list[Contract], former: Person | None, status: int = 200) -> Response:
    me = person()
    return show(
        PAGE,
        None,
        status,
        form=form,
        former=former,
        rows=[
            {
                "reference": each.reference,
                "title": each.title,
                "url": url_for("contracts.page", reference=each.reference),
                "owner": each.owner.name,
                "state": contract_states.shown_name(each),
                "tone": contract_states.TONES.get(each.state, "none"),
                "may": handovers.may_give(each, me),
            }
            for each in found
        ],
        owners=[("", _("Choose a colleague")), *owner_options()[1:]],
    )


@bp.post("")
@requires("contract.read")
def give() -> Response:
    form = Form(request.form)
    found = handovers.chosen(request.form.getlist("reference"))
    owner = Person.get_or_none(
        Person.id == form.choice("owner", [key for key, _name in owner_options() if key])
    )
    note = form.text("note", most=handovers.LONGEST_NOTE)
    if not found:
        form.refuse("", _("Tick at least one contract."))
    if form.errors or owner is None:
        return form_page(form, found, None, 422)
    try:
        handovers.give(found, owner, note=note, person=person(), by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update({"" if k == "contracts" else k: v for k, v in invalid.errors.items()})
        return form_page(form, found, None, 422)
    return leave(url_for("contracts.index", owner=owner.id))
