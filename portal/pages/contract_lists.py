"""What can be done with a list of contracts: kept as a view, taken as a file, acted on row by row."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import PortalError
from portal.i18n import gettext as _
from portal.pages import contracts as contract_pages
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import contract_export, saved_views, selections

bp = Blueprint("contract_lists", __name__, url_prefix="/contracts")
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
WRITE = {"csv": contract_export.as_csv, "xlsx": contract_export.as_xlsx}
OUTCOME, VIEWS = "contract_lists/outcome.html", "contract_lists/views.html"
KIND = "<any(csv,xlsx):kind>"


# --- Files --------------------------------------------------------------------------------------


@bp.get(f"/export/{KIND}")
@requires("contract.read")
def export(kind: str) -> Response:
    """Everything the list shows under these filters."""
    return file(kind, contract_export.filtered(person(), contract_pages.asked(request.args)))


@bp.post(f"/selected/{KIND}")
@requires("contract.read")
def export_selected(kind: str) -> Response:
    chosen = contract_export.ticked(person(), request.form.getlist("row"))
    if not chosen:
        return nothing_ticked()
    return file(kind, contract_export.rows_of([each.id for each in chosen]))


def file(kind: str, rows: list[list[contract_export.Cell]]) -> Response:
    answer = Response(WRITE[kind](rows), content_type=TYPES[kind])
    name = f"contracts-{utc_now():%Y-%m-%d}.{kind}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


# --- Ticked rows -----------------------------------------------------------------------------------


@bp.post("/selected/reminders")
@requires("contract.send")
def remind_selected() -> Response:
    chosen = contract_export.ticked(person(), request.form.getlist("row"))
    if not chosen:
        return nothing_ticked()
    outcomes = selections.remind(person(), chosen, by=actor(), now=utc_now())
    return show(OUTCOME, outcomes=outcomes, problem="")


def nothing_ticked() -> Response:
    return show(OUTCOME, None, 422, outcomes=[], problem=_("Tick at least one contract in the list first."))


# --- Views --------------------------------------------------------------------------------------------


@bp.get("/views")
@requires("contract.read")
def views() -> Response:
    return views_page(Form(None, **{name: request.args.get(name, "") for name in saved_views.ASKED}))


@bp.post("/views")
@requires("contract.read")
def keep_view() -> Response:
    form = Form(request.form)
    name = form.text("view_name", most=60)
    asked = {each: form.text(each, most=200) for each in saved_views.ASKED}
    if form.errors:
        return views_page(form, 422)
    try:
        made = saved_views.keep(
            person(), name, asked, shared=form.checked("shared"), by=actor(), now=utc_now()
        )
    except PortalError as error:
        form.errors.update(getattr(error, "errors", {}) or {"": error.message})
        return views_page(form, error.status)
    return leave(url_for("contracts.index", **made.asked))


@bp.post("/views/<view_id>/sharing")
@requires("contract.read")
def share_view(view_id: str) -> Response:
    view = saved_views.own(person(), view_id)
    saved_views.share(view, on=request.form.get("on") == "yes", by=actor(), now=utc_now())
    return leave(url_for(".views"))


@bp.post("/views/<view_id>/removal")
@requires("contract.read")
def remove_view(view_id: str) -> Response:
    saved_views.remove(saved_views.own(person(), view_id), by=actor(), now=utc_now())
    return leave(url_for(".views"))


def views_page(form: Form, status: int = 200) -> Response:
    me = person()
    rows = [
        {"view": each, "url": url_for("contracts.index", **each.asked), "is_mine": each.owner_id == me.id}
        for each in saved_views.of(me)
    ]
    may_keep = any(form.value(name) for name in saved_views.ASKED) or bool(form.errors)
    return show(VIEWS, None, status, rows=rows, form=form, asked=saved_views.ASKED, may_keep=may_keep)
