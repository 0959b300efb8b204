"""Who signs, approves or gets a copy: the list of a contract before it is sent."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal import i18n
from portal.clock import utc_now
from portal.errors import NotAllowed, PortalError
from portal.i18n import gettext as _
from portal.models.contracts import Contract
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import person, requires
from portal.pages.respond import leave, refuse, show, stay
from portal.services import contracts, recipients

bp = Blueprint("recipients", __name__, url_prefix="/contracts/<reference>/recipients")

PAGE, LIST, EDIT = "recipients/index.html", "recipients/_recipients.html", "recipients/edit.html"


@bp.get("")
@requires("contract.edit")
def page(reference: str) -> Response:
    contract = owned(reference)
    return show(PAGE, LIST, **shown(contract))


@bp.post("")
@requires("contract.edit")
def add(reference: str) -> Response:
    contract, form = owned(reference), Form(request.form)
    values = read(form, contract)
    try:
        if form.errors:
            return show(PAGE, LIST, 422, **shown(contract, form))
        recipients.add(contract, values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(PAGE, form, error, LIST, **without(shown(contract), "form"))
    return stay(url_for(".page", reference=reference), LIST, **shown(contract))


@bp.post("/proposal")
@requires("contract.edit")
def propose(reference: str) -> Response:
    contract = owned(reference)
    recipients.propose(contract, by=guards.actor(), now=utc_now())
    return stay(url_for(".page", reference=reference), LIST, **shown(contract))


@bp.get("/<key>/edit")
@requires("contract.edit")
def edit(reference: str, key: str) -> Response:
    contract = owned(reference)
    entry = recipients.one(contract, key)
    form = Form(None, **{**entry, "is_consumer": "yes" if entry["is_consumer"] else ""})
    return show(EDIT, **editing(contract, entry, form))


@bp.post("/<key>/edit")
@requires("contract.edit")
def change(reference: str, key: str) -> Response:
    contract, form = owned(reference), Form(request.form)
    entry = recipients.one(contract, key)
    form.values["side"] = entry["side"]
    values = read(form, contract)
    try:
        if form.errors:
            return show(EDIT, None, 422, **editing(contract, entry, form))
        recipients.change(contract, key, values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **without(editing(contract, entry, form), "form"))
    return leave(url_for(".page", reference=reference))


@bp.post("/<key>/removal")
@requires("contract.edit")
def remove(reference: str, key: str) -> Response:
    contract = owned(reference)
    try:
        recipients.remove(contract, key, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(PAGE, Form(), error, LIST, **without(shown(contract), "form"))
    return stay(url_for(".page", reference=reference), LIST, **shown(contract))


def owned(reference: str) -> Contract:
    """The contract, for somebody who may change it. Raises NotFound or NotAllowed."""
    contract = contracts.get(reference, person())
    if not contracts.is_author(contract, person()):
        raise NotAllowed(_("Only its owner may change this contract: %(name)s.", name=contract.owner.name))
    return contract


def read(form: Form, contract: Contract) -> dict[str, Any]:
    """What was typed about one person; reasons are noted beside the fields."""
    side = form.choice("side", ("ours", "theirs"))
    country = contract.counterparty.country if contract.counterparty is not None else ""
    values: dict[str, Any] = {
        "side": side,
        "role": form.choice("role", recipients.ROLES),
        "routing_order": form.integer("routing_order", least=1, most=99) or 1,
        "language": form.choice("language", i18n.LANGUAGES, required=False),
        "phone": form.phone("phone", country=contract.entity.country if side == "ours" else country),
    }
    if side == "ours":
        return values | {"person_id": form.text("person_id", required=True)}
    return values | {
        "name": form.text("name", most=120, required=True),
        "email": form.email("email"),
        "title": form.text("title", most=120),
        "organisation": form.text("organisation", most=200),
        "is_consumer": form.checked("is_consumer"),
    }


def shown(contract: Contract, form: Form | None = None) -> dict[str, Any]:
    listed = recipients.listed(contract)
    signers = [p["routing_order"] for p in listed if p["role"] == "signer"]
    language = contract.counterparty.language if contract.counterparty is not None else "en"
    blank = Form(None, role="signer", routing_order=max(signers, default=0) + 1, language=language)
    return {
        "contract": contract,
        "people": listed,
        "roles": recipients.ROLES,
        "contacts": recipients.their_contacts(contract),
        "candidates": candidates(contract),
        "their_name": recipients.their_name(contract),
        "is_open": contract.state in recipients.CHANGEABLE,
        "is_printed": contract.state == "ready_to_sign",
        "next_order": max(signers, default=0) + 1,
        "form": form or blank,
        "blank": blank,
        "languages": list(i18n.NAMES.items()),
    }


def candidates(contract: Contract) -> list[tuple[str, str]]:
    """Our people to choose from, those who may sign first."""
    signatories = recipients.our_signatories(contract, utc_now())
    able = {c.id: f"{c.name}, {c.about}" for c in signatories if not c.why_not}
    others = {p.id: p.name for p in recipients.our_people() if p.id not in able}
    return [*able.items(), *others.items()]


def editing(contract: Contract, entry: dict[str, Any], form: Form) -> dict[str, Any]:
    return {
        "contract": contract,
        "entry": entry,
        "form": form,
        "roles": list(recipients.ROLES.items()),
        "candidates": candidates(contract),
        "languages": list(i18n.NAMES.items()),
        "is_printed": contract.state == "ready_to_sign" and entry["role"] == "signer",
    }


def without(context: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in context.items() if key != name}
