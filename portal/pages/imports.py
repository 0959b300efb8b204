"""Bringing over an account's archive: start, watch, pause, look through, download."""

from __future__ import annotations

import csv
import io
from typing import Any

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.errors import NotFound, PortalError
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.connections import Connection
from portal.models.imports import ImportedEnvelope
from portal.pages.documents import pdf_answer
from portal.pages.forms import Form
from portal.pages.guards import actor, requires
from portal.pages.respond import refuse, show, stay
from portal.services import connections, documents, imports
from providers import registry

bp = Blueprint("imports", __name__, url_prefix="/settings/providers/<connection_id>/archive")
PAGE, STATE = "imports/show.html", "imports/_state.html"
STATUSES = ("", "fetched", "listed", "unreadable")
RISKY = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take what follows for a formula


def context(connection: Connection, said: str = "") -> dict[str, Any]:
    now = utc_now()
    run = imports.latest(connection)
    return {
        "connection": connection,
        "label": registry.label(connection.provider),
        "run": run,
        "count": imports.count(connection),
        "reasons": imports.why_not_closed(connection, now),
        "url": url_for("imports.page", connection_id=connection.id),
        "said": said,
        "now": now,
    }


def listed(connection: Connection) -> dict[str, Any]:
    """The part of the list that the address asks for."""
    status = request.args.get("status", "")
    words = request.args.get("q", "").strip()[:100]
    rows, after = imports.page(
        connection,
        status=status if status in STATUSES else "",
        words=words,
        after=request.args.get("after", ""),
    )
    return {"rows": rows, "after": after, "status_wanted": status, "words": words}


@bp.get("")
@requires("connection.read")
def page(connection_id: str) -> Response:
    """The page; for htmx the part that changes while files arrive."""
    connection = connections.get(connection_id)
    return show(PAGE, STATE, form=Form(None), **context(connection), **listed(connection))


@bp.post("")
@requires("connection.edit", step_up=True)
def start(connection_id: str) -> Response:
    connection = connections.get(connection_id)
    form = Form(request.form)
    since, until = form.date("since_on"), form.date("until_on")
    if form.errors:
        return show(PAGE, status=422, form=form, **context(connection), **listed(connection))
    try:
        imports.start(connection, since, until, by=actor(), now=utc_now())
    except PortalError as error:
        return refuse(PAGE, form, error, **context(connection), **listed(connection))
    return stay(url_for(".page", connection_id=connection.id))


@bp.post("/<import_id>/pause")
@requires("connection.edit")
def pause(connection_id: str, import_id: str) -> Response:
    connection = connections.get(connection_id)
    imports.pause(imports.get(connection, import_id), by=actor(), now=utc_now())
    return done(connection, _("It stops after the file under way."))


@bp.post("/<import_id>/resume")
@requires("connection.edit")
def resume(connection_id: str, import_id: str) -> Response:
    connection = connections.get(connection_id)
    imports.resume(imports.get(connection, import_id), by=actor(), now=utc_now())
    return done(connection, _("It goes on."))


@bp.post("/<import_id>/retry")
@requires("connection.edit")
def retry(connection_id: str, import_id: str) -> Response:
    connection = connections.get(connection_id)
    count = imports.retry_unreadable(imports.get(connection, import_id), by=actor(), now=utc_now())
    return done(
        connection, ngettext("%(num)s file is asked for again.", "%(num)s files are asked for again.", count)
    )


@bp.get("/report.csv")
@requires("connection.read")
def report(connection_id: str) -> Response:
    """Every completed request of the account, with what is here of it and its hash."""
    connection = connections.get(connection_id)
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(["remote_id", "title", "completed_at", "status", "sha256", "evidence_sha256", "problem"])
    for row in imports.every(connection):
        completed = row.completed_at.isoformat() if row.completed_at else ""
        sha256 = row.document.sha256 if row.document else ""
        evidence = row.evidence.sha256 if row.evidence else ""
        cells = [row.remote_id, row.title, completed, row.status, sha256, evidence, row.problem]
        writer.writerow([f"'{cell}" if cell.startswith(RISKY) else cell for cell in cells])
    answer = make_response(made.getvalue().encode("utf-8-sig"))
    answer.headers["Content-Type"] = "text/csv; charset=utf-8"
    answer.headers["Content-Disposition"] = f'attachment; filename="archive-{connection.provider}.csv"'
    return answer


@bp.get("/files/<imported_id>")
@requires("connection.read")
def file(connection_id: str, imported_id: str) -> Response:
    row = imports.one(connections.get(connection_id), imported_id)
    if row.document is None:
        raise NotFound
    return pdf_answer(documents.read(row.document), row.document.file_name)


@bp.get("/files/<imported_id>/evidence")
@requires("connection.read")
def evidence(connection_id: str, imported_id: str) -> Response:
    row: ImportedEnvelope = imports.one(connections.get(connection_id), imported_id)
    if row.evidence is None:
        raise NotFound
    content = documents.read(row.evidence)
    if row.evidence.facts.get("media") == "application/pdf":
        return pdf_answer(content, row.evidence.file_name)
    answer = make_response(content)
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = f'attachment; filename="{row.evidence.file_name}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def done(connection: Connection, said: str) -> Response:
    return stay(url_for(".page", connection_id=connection.id), STATE, **context(connection, said))
