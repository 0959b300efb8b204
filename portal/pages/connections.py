"""Settings of e-signature providers: connect, check, try out, make default, pause, disconnect."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, session, url_for

from portal.clock import utc_now
from portal.errors import Conflict, NotFound, PortalError
from portal.i18n import gettext as _
from portal.models.connections import Connection
from portal.models.contracts import Document
from portal.pages import account_view
from portal.pages.documents import pdf_answer
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, refuse, show, stay
from portal.services import account_checks, calls, connections, documents, uploads
from providers import registry
from providers.errors import ProviderError

bp = Blueprint("connections", __name__, url_prefix="/settings/providers")
INDEX, EDIT, FIELDS = "connections/index.html", "connections/edit.html", "connections/_fields.html"
SHOW, STATE = "connections/show.html", "connections/_state.html"
ERRAND, ERRAND_LIFE = "provider_errand", timedelta(minutes=10)
LARGEST_AGREEMENT = 20 * 1024 * 1024


@bp.get("")
@requires("connection.read")
def index() -> Response:
    now = utc_now()
    default = connections.default()
    return show(
        INDEX,
        rows=account_view.rows(now),
        ended=[each for each in connections.all_connections(ended=True) if each.status == "disconnected"],
        is_built_in_default=default is None,
        built_in=account_view.built_in(now),
        offered=[(name, registry.label(name)) for name in registry.remote_names()],
        now=now,
    )


# --- Entering and changing ------------------------------------------------------------------------


@bp.get("/new/<name>")
@requires("connection.edit", step_up=True)
def new(name: str) -> Response:
    demand_known(name)
    form = Form(None, name=registry.label(name), **account_view.defaults(name))
    return show(EDIT, form=form, **account_view.edit(name, None, form))


@bp.post("/new/<name>")
@requires("connection.edit", step_up=True)
def create(name: str) -> Response:
    demand_known(name)
    form = Form(request.form)
    values = account_view.values(name, form)
    if "again" in request.form:  # another method was chosen: the same form with its fields
        return show(EDIT, FIELDS, form=form, **account_view.edit(name, None, form))
    try:
        made = connections.create(name, form.text("name", most=80), values, by=actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **account_view.edit(name, None, form))
    if not account_view.needs_consent(made):
        account_checks.ask(made, now=utc_now())
    return leave(url_for(".page", connection_id=made.id))


@bp.get("/<connection_id>/edit")
@requires("connection.edit", step_up=True)
def edit(connection_id: str) -> Response:
    connection = connections.get(connection_id)
    connections.demand_connected(connection)
    form = Form(
        None, name=connection.name, **(account_view.defaults(connection.provider) | connection.settings)
    )
    return show(EDIT, form=form, **account_view.edit(connection.provider, connection, form))


@bp.post("/<connection_id>/edit")
@requires("connection.edit", step_up=True)
def change(connection_id: str) -> Response:
    connection, form = connections.get(connection_id), Form(request.form)
    values = account_view.values(connection.provider, form)
    if "again" in request.form:
        return show(EDIT, FIELDS, form=form, **account_view.edit(connection.provider, connection, form))
    try:
        connections.change(connection, form.text("name", most=80), values, by=actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **account_view.edit(connection.provider, connection, form))
    fresh = connections.get(connection_id)
    if fresh.checked_at is None and not account_view.needs_consent(fresh):
        account_checks.ask(fresh, now=utc_now())
    return leave(url_for(".page", connection_id=connection.id))


def demand_known(name: str) -> None:
    if name not in registry.remote_names():
        raise NotFound


# --- One account ------------------------------------------------------------------------------------


@bp.get("/<connection_id>")
@requires("connection.read")
def page(connection_id: str) -> Response:
    """The checklist and how it stands; for htmx the part that moves."""
    return account_page(connections.get(connection_id))


def account_page(
    connection: Connection, *, status: int = 200, problem: str = "", form: Form | None = None
) -> Response:
    found = account_view.whole(connection, utc_now())
    return show(SHOW, STATE, status, problem=problem, form=form or Form(None), **found)


@bp.post("/<connection_id>/check")
@requires("connection.edit")
def check(connection_id: str) -> Response:
    return attempt(connection_id, lambda found: account_checks.ask(found, now=utc_now()))


@bp.post("/<connection_id>/test-run")
@requires("connection.edit")
def rehearse(connection_id: str) -> Response:
    return attempt(connection_id, lambda found: account_checks.rehearse(found, by=actor(), now=utc_now()))


@bp.post("/<connection_id>/calls")
@requires("connection.edit")
def ask_for_calls(connection_id: str) -> Response:
    """Have the provider told to call us when something happens there."""
    return attempt(
        connection_id, lambda found: account_checks.ask_for_calls(found, by=actor(), now=utc_now())
    )


@bp.post("/<connection_id>/default")
@requires("connection.edit", step_up=True)
def make_default(connection_id: str) -> Response:
    return attempt(connection_id, lambda found: connections.make_default(found, by=actor(), now=utc_now()))


@bp.post("/builtin/default")
@requires("connection.edit", step_up=True)
def make_built_in_default() -> Response:
    connections.make_default(None, by=actor(), now=utc_now())
    return leave(url_for(".index"))


@bp.post("/<connection_id>/pause")
@requires("connection.edit")
def pause(connection_id: str) -> Response:
    return attempt(connection_id, lambda found: connections.pause(found, by=actor(), now=utc_now()))


@bp.post("/<connection_id>/resume")
@requires("connection.edit")
def resume(connection_id: str) -> Response:
    return attempt(connection_id, lambda found: connections.resume(found, by=actor(), now=utc_now()))


@bp.post("/<connection_id>/disconnect")
@requires("connection.edit", step_up=True)
def disconnect(connection_id: str) -> Response:
    return attempt(connection_id, lambda found: connections.disconnect(found, by=actor(), now=utc_now()))


@bp.post("/<connection_id>/removal")
@requires("connection.edit", step_up=True)
def remove(connection_id: str) -> Response:
    connection = connections.get(connection_id)
    try:
        connections.remove(connection, by=actor(), now=utc_now())
    except PortalError as error:
        return account_page(connection, status=error.status, problem=error.message)
    return leave(url_for(".index"))


def attempt(connection_id: str, act: Any) -> Response:
    """Do it and show the account again, with the reason where it was refused."""
    connection = connections.get(connection_id)
    try:
        act(connection)
    except PortalError as error:
        return account_page(connections.get(connection_id), status=error.status, problem=error.message)
    return moved(connections.get(connection_id))


def moved(connection: Connection) -> Response:
    fresh = connections.get(connection.id)
    found = account_view.whole(fresh, utc_now())
    return stay(url_for(".page", connection_id=fresh.id), STATE, problem="", form=Form(None), **found)


# --- Consent at the provider ------------------------------------------------------------------------


@bp.post("/<connection_id>/authorise")
@requires("connection.edit", step_up=True)
def authorise(connection_id: str) -> Response:
    """On to the provider's own page, where an administrator lets us in."""
    connection = connections.get(connection_id)
    connections.demand_connected(connection)
    state = secrets.token_urlsafe(24)
    try:
        url = connections.provider(connection).authorise_url(
            redirect_url=connections.redirect_address(), state=state
        )
    except ProviderError as error:
        return account_page(connection, status=409, problem=calls.said(error))
    session[ERRAND] = {
        "state": state, "connection": connection.id, "person": person().id, "at": utc_now().isoformat(),
    }  # fmt: skip
    # Shown, not redirected to: a form may not lead to another site, a page may.
    return show(
        "connections/going.html", url=url, label=registry.label(connection.provider), connection=connection
    )


@bp.get("/oauth")
@requires("connection.edit")
def oauth() -> Response:
    """Back from the provider: its answer counts once, for who left for it in this browser, for ten minutes.

    The address holds the provider's code: whatever comes of it is shown at another.
    """
    now, given = utc_now(), dict(request.args.items())
    connection = errand_of(session.pop(ERRAND, {}), given.get("state", ""), now)
    try:
        tokens = connections.provider(connection).authorise(
            given, redirect_url=connections.redirect_address()
        )
    except ProviderError as error:
        account_checks.failed(connection, calls.said(error), now)
    else:
        connections.authorised(connection, tokens, by=actor(), now=now)
        account_checks.ask(connection, now=now)
    return leave(url_for(".page", connection_id=connection.id))


def errand_of(errand: dict[str, str], state: str, now: datetime) -> Connection:
    """The account that this browser left for. Raises Conflict for an answer that nobody here waits for."""
    is_ours = bool(errand) and secrets.compare_digest(errand["state"].encode(), state.encode())
    is_theirs = is_ours and errand.get("person") == person().id
    if not is_theirs or now - datetime.fromisoformat(errand["at"]) > ERRAND_LIFE:
        raise Conflict(_("This answer was not asked for, or came too late. Press Connect again."))
    connection = connections.get(errand["connection"])
    connections.demand_connected(connection)
    return connection


# --- Agreement for health data ----------------------------------------------------------------------


@bp.post("/<connection_id>/agreement")
@requires("connection.edit", step_up=True)
def agreement(connection_id: str) -> Response:
    """Put the business associate agreement on file: a PDF and its days."""
    connection, form = connections.get(connection_id), Form(request.form)
    signed, expires = form.date("baa_signed_on", required=True), form.date("baa_expires_on")
    sent = request.files.get("agreement")
    content = sent.stream.read(LARGEST_AGREEMENT + 1) if sent is not None else b""
    if not content:
        form.refuse("agreement", _("Choose the signed agreement as a PDF."))
    elif len(content) > LARGEST_AGREEMENT:
        form.refuse("agreement", _("This file is too large."))
    today = utc_now().date()
    for field, reason in account_checks.wrong_days(signed or today, expires, today).items():
        form.refuse(field, reason)
    if form.errors or signed is None:
        return account_page(connection, status=422, form=form)
    try:
        name = (sent.filename or "agreement.pdf") if sent is not None else "agreement.pdf"
        document = uploads.take(content, name, person=person(), now=utc_now())
        account_checks.keep_agreement(connection, document, signed, expires, by=actor(), now=utc_now())
    except PortalError as error:
        for field, reason in getattr(error, "errors", {"": error.message}).items():
            form.refuse("agreement" if field == "file" else field, reason)
        return account_page(connection, status=error.status, form=form)
    return leave(url_for(".page", connection_id=connection.id))


@bp.get("/<connection_id>/agreement.pdf")
@requires("connection.read")
def agreement_file(connection_id: str) -> Response:
    connection = connections.get(connection_id)
    found = Document.get_or_none(Document.id == (connection.baa_document or ""))
    if found is None:
        raise NotFound
    return pdf_answer(documents.read(found), found.file_name)


@bp.get("/<connection_id>/requests")
@requires("connection.read")
def requests(connection_id: str) -> Response:
    """What is open there, each linked."""
    connection = connections.get(connection_id)
    rows = connections.open_envelopes(connection)
    return show("connections/requests.html", connection=connection, rows=rows)
