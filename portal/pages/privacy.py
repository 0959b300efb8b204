"""Personal data: what is held and why, what is held about one person, forgetting, and where data lies."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotFound, PortalError
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.parties import LegalEntity
from portal.pages.forms import Form
from portal.pages.guards import actor, requires
from portal.pages.respond import leave, refuse, show
from portal.services import audit, personal_erasure, personal_export, personal_register, regions
from providers import registry

bp = Blueprint("privacy", __name__, url_prefix="/settings/privacy")
PAGE, DONE, EXPORT = "privacy/show.html", "privacy/erased.html", "privacy/export.html"


@bp.get("")
@requires("privacy.read")
def page() -> Response:
    return show(PAGE, form=Form(None, days=str(personal_erasure.phone_days())), **context())


@bp.post("/export")
@requires("privacy.edit", step_up=True)
def export() -> Response:
    """Everything held under a mail address: one file for people and one for programs, together."""
    form, now = Form(request.form), utc_now()
    email = form.text("email", most=254).lower()
    tables = personal_export.gather(email) if "@" in email else {}
    if not tables:
        form.refuse("email", _("Nothing is held under this address."))
        return show(PAGE, None, 422, form=form, **context())
    with transaction():
        audit.append("subject.exported", ("installation", "privacy"), chain=audit.INSTALLATION, by=actor(),
                     now=now, personal={"subject_email": email})  # fmt: skip
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("data.json", json.dumps(tables, ensure_ascii=False, indent=1, default=str))
        file.writestr("data.html", render_template(EXPORT, tables=tables, email=email, at=now))
    answer = Response(made.getvalue(), mimetype="application/zip")
    answer.headers["Content-Disposition"] = 'attachment; filename="personal-data.zip"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.post("/erasure")
@requires("privacy.edit", step_up=True)
def erase() -> Response:
    form = Form(request.form)
    email, reason = form.text("erase_email", most=254), form.text("reason", most=500)
    form.checked("sure", required=_("Tick this: what is erased does not come back."))
    if form.errors:
        return show(PAGE, None, 422, form=form, **context())
    try:
        report = personal_erasure.erase(email, reason=reason, by=actor(), now=utc_now())
    except PortalError as error:
        if isinstance(error, Invalid) and "email" in error.errors:
            error = Invalid({"erase_email": error.errors["email"]})
        return refuse(PAGE, form, error, **context())
    counts = [(personal_erasure.WHAT[what], count) for what, count in report.erased.items() if count]
    return show(DONE, counts=counts, kept=report.kept, email=email)


@bp.post("/phone-days")
@requires("privacy.edit")
def set_phone_days() -> Response:
    form = Form(request.form)
    days = form.integer("days", least=1, most=3650, required=True)
    if form.errors or days is None:
        return show(PAGE, None, 422, form=form, **context())
    personal_erasure.set_phone_days(days, by=actor(), now=utc_now())
    return leave(url_for(".page"))


@bp.post("/accounts/<connection_id>/region")
@requires("privacy.edit", step_up=True)
def set_region(connection_id: str) -> Response:
    connection = Connection.get_or_none(Connection.id == connection_id)
    if connection is None:
        raise NotFound
    form = Form(request.form)
    try:
        regions.set_region(connection, str(form.value("region")), by=actor(), now=utc_now())
    except PortalError as error:
        return refuse(PAGE, form, error, **context())
    return leave(url_for(".page"))


@bp.post("/companies/<entity_id>/eu-only")
@requires("privacy.edit", step_up=True)
def keep_within(entity_id: str) -> Response:
    entity = LegalEntity.get_or_none(LegalEntity.id == entity_id)
    if entity is None:
        raise NotFound
    regions.keep_within(entity, on=request.form.get("on") == "yes", by=actor(), now=utc_now())
    return leave(url_for(".page"))


def context() -> dict[str, Any]:
    accounts = Connection.select().where(Connection.status != "disconnected").order_by(Connection.name)
    companies = LegalEntity.select().where(LegalEntity.retired_at.is_null()).order_by(LegalEntity.name)
    return {
        "register": personal_register.REGISTER,
        "accounts": [(each, registry.label(each.provider)) for each in accounts],
        "regions": list(regions.REGIONS.items()),
        "companies": list(companies),
    }
