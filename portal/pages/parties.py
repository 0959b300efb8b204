"""The other companies: customers and vendors, and the people we know there."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid
from portal.i18n import NAMES
from portal.i18n import gettext as _
from portal.models.parties import Contact, Counterparty
from portal.pages import choices
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import contract_search, contract_states, contracts, parties, permissions
from portal.services.contract_search import Filters
from portal.sla.shape import is_zone

bp = Blueprint("parties", __name__)


@bp.get("/parties")
@requires("party.read")
def index() -> Response:
    words, after = request.args.get("q", "")[:200], request.args.get("after", "")[:200]
    found, further = parties.page(words=words.replace("\0", ""), after=after.replace("\0", ""))
    next_url = url_for(".index", q=words or None, after=further) if further else ""
    may_edit = permissions.allows(person(), "party.edit")
    return show(
        "parties/index.html", None, parties=found, q=words, next_url=next_url, may_edit=may_edit,
        country_name=choices.country_name,
    )  # fmt: skip


@bp.get("/parties/new")
@requires("party.edit")
def new() -> Response:
    return edit_page(None, Form(None, language="en", zone="Europe/London"))


@bp.post("/parties/new")
@requires("party.edit")
def create() -> Response:
    form = Form(request.form)
    values = party_values(form)
    if not form.errors:
        try:
            made = parties.add(values, by=actor(), now=utc_now())
            return leave(url_for(".page", party_id=made.id))
        except Invalid as invalid:
            form.errors.update(invalid.errors)
    return edit_page(None, form, 422)


def edit_page(party: Counterparty | None, form: Form, status: int = 200) -> Response:
    return show(
        "parties/edit.html", None, status, party=party, form=form, zones=choices.zones(),
        countries=[("", "–"), *choices.countries(party.country if party else "")],
        languages=list(NAMES.items()),
    )  # fmt: skip


def party_values(form: Form, present: str = "") -> dict[str, Any]:
    values = {
        "name": form.text("name", most=200, required=True),
        "form": form.text("form", most=100),
        "registration": form.text("registration", most=100),
        "address": form.text("address", most=500),
        "country": form.choice("country", dict(choices.countries(present)), required=False),
        "language": form.choice("language", NAMES),
        "zone": form.text("zone", most=60, required=True),
    }
    if values["zone"] and not is_zone(values["zone"]):
        form.refuse("zone", _("This time zone is not known; choose one such as Europe/Paris."))
    return values


@bp.get("/parties/<party_id>")
@requires("party.read")
def page(party_id: str) -> Response:
    return party_page(parties.get(party_id), Form(None, language=parties.get(party_id).language))


def party_page(party: Counterparty, form: Form, status: int = 200) -> Response:
    me = person()
    found = contract_search.page(me, Filters(party=party.id), size=10)
    return show(
        "parties/show.html", None, status, party=party, form=form, contacts=parties.contacts(party),
        contracts=found.contracts, more=bool(found.next), roles=contact_roles(), states=contract_states.NAMES,
        tones=contract_states.TONES, languages=list(NAMES.items()),
        may_edit=permissions.allows(me, "party.edit"), country=choices.country_name(party.country),
        role_names=contracts.ROLE_NAMES,
    )  # fmt: skip


def contact_roles() -> list[tuple[str, Any]]:
    return [("", "–"), *((role, contracts.ROLE_NAMES[role]) for role in contracts.CONTACT_ROLES)]


@bp.get("/parties/<party_id>/details")
@requires("party.edit")
def edit(party_id: str) -> Response:
    party = parties.get(party_id)
    return edit_page(party, Form(None, **{field: getattr(party, field) for field in parties.FIELDS}))


@bp.post("/parties/<party_id>/details")
@requires("party.edit")
def save(party_id: str) -> Response:
    party, form = parties.get(party_id), Form(request.form)
    values = party_values(form, party.country)
    if not form.errors:
        try:
            parties.save(party, values, by=actor(), now=utc_now())
            return leave(url_for(".page", party_id=party.id))
        except Invalid as invalid:
            form.errors.update(invalid.errors)
    return edit_page(party, form, 422)


# -- People there -----------------------------------------------------------------------------------


def contact_values(form: Form, party: Counterparty) -> dict[str, Any]:
    return {
        "name": form.text("name", most=200, required=True),
        "email": form.email("email"),
        "title": form.text("title", most=200),
        "phone": form.phone("phone", country=party.country),
        "role": form.choice("role", contracts.CONTACT_ROLES, required=False),
        "language": form.choice("language", NAMES),
    }


@bp.post("/parties/<party_id>/contacts")
@requires("party.edit")
def add_contact(party_id: str) -> Response:
    party, form = parties.get(party_id), Form(request.form)
    values = contact_values(form, party)
    if not form.errors:
        try:
            parties.add_contact(party, values, by=actor(), now=utc_now())
            return leave(url_for(".page", party_id=party.id) + "#contacts")
        except Invalid as invalid:
            form.errors.update(invalid.errors)
    return party_page(party, form, 422)


@bp.get("/parties/<party_id>/contacts/<contact_id>")
@requires("party.edit")
def contact(party_id: str, contact_id: str) -> Response:
    party = parties.get(party_id)
    someone = parties.contact(party, contact_id)
    form = Form(None, **{field: getattr(someone, field) for field in parties.CONTACT_FIELDS})
    return contact_page(party, someone, form)


def contact_page(party: Counterparty, someone: Contact, form: Form, status: int = 200) -> Response:
    return show(
        "parties/contact.html", None, status, party=party, contact=someone, form=form, roles=contact_roles(),
        languages=list(NAMES.items()),
    )  # fmt: skip


@bp.post("/parties/<party_id>/contacts/<contact_id>")
@requires("party.edit")
def save_contact(party_id: str, contact_id: str) -> Response:
    party, form = parties.get(party_id), Form(request.form)
    someone = parties.contact(party, contact_id)
    values = contact_values(form, party)
    if not form.errors:
        try:
            parties.save_contact(someone, values, by=actor(), now=utc_now())
            return leave(url_for(".page", party_id=party.id) + "#contacts")
        except Invalid as invalid:
            form.errors.update(invalid.errors)
    return contact_page(party, someone, form, 422)
