"""Our companies, their logos, and who may sign for them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotFound
from portal.i18n import NAMES
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Document
from portal.models.parties import LegalEntity
from portal.models.people import Person
from portal.pages import choices
from portal.pages.documents import pdf_answer
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.mail_fields import sender_address
from portal.pages.respond import leave, show
from portal.services import documents, entities, permissions, uploads
from portal.sla.shape import is_zone

bp = Blueprint("entities", __name__)
# What remains of the list of a company's fields once each has its own reader below.
LINES = {"name": 200, "form": 100, "registration": 100, "governing_law": 200, "courts": 200}


@bp.get("/entities")
@requires("entity.read")
def index() -> Response:
    return show(
        "entities/index.html", None, entities=entities.all_entities(), country_name=choices.country_name,
        may_edit=permissions.allows(person(), "entity.edit"),
    )  # fmt: skip


@bp.get("/entities/new")
@requires("entity.edit")
def new() -> Response:
    return edit_page(
        None, Form(None, zone="Europe/London", currency="EUR", country="GB", **{"languages.en": "yes"})
    )


@bp.post("/entities/new")
@requires("entity.edit")
def create() -> Response:
    return keep(None)


@bp.get("/entities/<entity_id>/details")
@requires("entity.edit")
def edit(entity_id: str) -> Response:
    entity = entities.get(entity_id)
    values = {field: getattr(entity, field) for field in entities.FIELDS if field != "languages"}
    values |= {f"languages.{language}": "yes" for language in entity.languages}
    return edit_page(entity, Form(None, **values))


@bp.post("/entities/<entity_id>/details")
@requires("entity.edit")
def save(entity_id: str) -> Response:
    return keep(entities.get(entity_id))


def keep(entity: LegalEntity | None) -> Response:
    form = Form(request.form)
    values = entity_values(form, entity.country if entity else "")
    if not form.errors:
        try:
            kept = entities.save(entity, values, by=actor(), now=utc_now())
            return leave(url_for(".page", entity_id=kept.id))
        except Invalid as invalid:
            form.errors.update(invalid.errors)
    return edit_page(entity, form, 422)


def edit_page(entity: LegalEntity | None, form: Form, status: int = 200) -> Response:
    return show(
        "entities/edit.html", None, status, entity=entity, form=form, zones=choices.zones(),
        countries=choices.countries(entity.country if entity else ""), currencies=choices.CURRENCIES,
        languages=list(NAMES.items()),
    )  # fmt: skip


def entity_values(form: Form, present: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: form.text(name, most=most, required=name == "name") for name, most in LINES.items()
    }
    values |= {
        "address": form.text("address", most=500),
        "country": form.choice("country", dict(choices.countries(present))),
        "zone": form.text("zone", most=60, required=True),
        "currency": form.choice("currency", choices.CURRENCIES),
        "languages": [language for language in NAMES if form.value(f"languages.{language}")],
        "reference_prefix": form.text("reference_prefix", most=8).upper(),
        "email": form.email("email", required=False),
        "phone": form.phone("phone", country=str(form.value("country"))),
        "sender_name": form.text("sender_name", most=100),
        "sender_address": sender_address(form, "sender_address", required=False),
    }
    if values["zone"] and not is_zone(values["zone"]):
        form.refuse("zone", _("This time zone is not known; choose one such as Europe/Paris."))
    return values


@bp.get("/entities/<entity_id>")
@requires("entity.read")
def page(entity_id: str) -> Response:
    return entity_page(entities.get(entity_id), Form(None))


def entity_page(entity: LegalEntity, form: Form, status: int = 200) -> Response:
    return show(
        "entities/show.html", None, status, entity=entity, form=form,
        country=choices.country_name(entity.country),
        written_in=", ".join(NAMES[each] for each in entity.languages),
        signatories=[(each, entities.authority_line(each)) for each in entities.signatories(entity)],
        may_edit=permissions.allows(person(), "entity.edit"),
    )  # fmt: skip


@bp.post("/entities/<entity_id>/retirement")
@requires("entity.edit")
def retire(entity_id: str) -> Response:
    entities.retire(entities.get(entity_id), by=actor(), now=utc_now())
    return leave(url_for(".index"))


# -- Logo -------------------------------------------------------------------------------------------


@bp.post("/entities/<entity_id>/logo")
@requires("entity.edit")
def set_logo(entity_id: str) -> Response:
    entity, form = entities.get(entity_id), Form(request.form)
    sent = request.files.get("logo")
    try:
        content = sent.read(entities.MOST_LOGO_BYTES + 1) if sent else b""
        entities.set_logo(entity, content, by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return entity_page(entity, form, 422)
    return leave(url_for(".page", entity_id=entity.id))


@bp.get("/entities/<entity_id>/logo")
@requires("entity.read")
def logo(entity_id: str) -> Response:
    entity = entities.get(entity_id)
    if not entity.logo:
        raise NotFound
    return logo_answer(entity)


def logo_answer(entity: LegalEntity) -> Response:
    """The picture, unable to do anything but be looked at."""
    answer = make_response(bytes(entity.logo))
    answer.headers["Content-Type"] = entity.logo_type
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer.headers["Cache-Control"] = "private, max-age=300"
    return answer


# -- Who may sign -------------------------------------------------------------------------------------


@bp.get("/entities/<entity_id>/signatories/new")
@requires("entity.edit", step_up=True)
def new_signatory(entity_id: str) -> Response:
    entity = entities.get(entity_id)
    return signatory_page(entity, Form(None, limit_currency=entity.currency))


def signatory_page(entity: LegalEntity, form: Form, status: int = 200) -> Response:
    staff = Person.select().where(Person.counterparty_id.is_null() & Person.disabled_at.is_null())
    return show(
        "entities/signatory.html", None, status, entity=entity, form=form, currencies=choices.CURRENCIES,
        staff=[("", _("Choose")), *((each.id, each.name) for each in staff.order_by(Person.name))],
    )  # fmt: skip


@bp.post("/entities/<entity_id>/signatories")
@requires("entity.edit", step_up=True)
def add_signatory(entity_id: str) -> Response:
    entity, form = entities.get(entity_id), Form(request.form)
    values = {
        "person": form.text("person", most=40, required=True),
        "title": form.text("title", most=200, required=True),
        "limit_amount": form.decimal("limit_amount"),
        "limit_currency": form.choice("limit_currency", choices.CURRENCIES),
        "valid_from": form.date("valid_from"),
        "valid_until": form.date("valid_until"),
        "authority": form.text("authority", most=500, required=True),
    }
    document = None
    try:
        sent = request.files.get("authority_document")
        if sent is not None and sent.filename and not form.errors:
            document = uploads.take(sent.read(), sent.filename, person=person(), now=utc_now())
        if form.errors:
            return signatory_page(entity, form, 422)
        with transaction():
            values["authority_document_id"] = document.id if document else None
            entities.add_signatory(entity, values, by=actor(), now=utc_now())
            if document is not None:
                Document.update(kind="authority").where(Document.id == document.id).execute()
    except Invalid as invalid:
        errors = {
            ("authority_document" if name == "file" else name): text for name, text in invalid.errors.items()
        }
        form.errors.update(errors)
        return signatory_page(entity, form, 422)
    return leave(url_for(".page", entity_id=entity.id) + "#signatories")


@bp.get("/entities/<entity_id>/signatories/<signatory_id>/ending")
@requires("entity.edit", step_up=True)
def ending(entity_id: str, signatory_id: str) -> Response:
    entity = entities.get(entity_id)
    someone = entities.signatory(entity, signatory_id)
    return show(
        "entities/ending.html", entity=entity, signatory=someone, line=entities.authority_line(someone)
    )


@bp.post("/entities/<entity_id>/signatories/<signatory_id>/ending")
@requires("entity.edit", step_up=True)
def end_signatory(entity_id: str, signatory_id: str) -> Response:
    entity = entities.get(entity_id)
    entities.end_signatory(entities.signatory(entity, signatory_id), by=actor(), now=utc_now())
    return leave(url_for(".page", entity_id=entity.id) + "#signatories")


@bp.get("/entities/<entity_id>/signatories/<signatory_id>/authority")
@requires("entity.read")
def authority(entity_id: str, signatory_id: str) -> Response:
    """The document that says so."""
    someone = entities.signatory(entities.get(entity_id), signatory_id)
    document = Document.get_or_none(
        (Document.id == (someone.authority_document_id or "")) & (Document.kind == "authority")
    )
    if document is None:
        raise NotFound
    return pdf_answer(documents.read(document), document.file_name)
