"""Settings of outgoing events: which programs are told what, and what became of each message."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, PortalError
from portal.i18n import gettext as _
from portal.models.event_receivers import EventReceiver
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, refuse, show, stay
from portal.services import event_messages, event_receivers, queues

bp = Blueprint("event_receivers", __name__, url_prefix="/settings/events")

INDEX, EDIT, PAGE, LOG = (f"event_receivers/{name}.html" for name in ("index", "edit", "show", "_log"))
SECRET, REMOVE = "event_receivers/secret.html", "event_receivers/remove.html"


@bp.get("")
@requires("installation.read")
def index() -> Response:
    rows = [(each, len(each.kinds)) for each in event_receivers.all_receivers()]
    return show(INDEX, rows=rows)


@bp.get("/new")
@requires("installation.edit", step_up=True)
def new() -> Response:
    return show(EDIT, form=Form(None), **editing(None))


@bp.post("/new")
@requires("installation.edit", step_up=True)
def add() -> Response:
    """The one answer that shows the secret."""
    form = Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, form=form, **editing(None))
    try:
        receiver, secret = event_receivers.add(*values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **editing(None))
    return told(receiver, secret)


@bp.get("/<receiver_id>")
@requires("installation.read")
def page(receiver_id: str) -> Response:
    return show(PAGE, LOG, **context(event_receivers.get(receiver_id)))


@bp.get("/<receiver_id>/settings")
@requires("installation.edit", step_up=True)
def edit(receiver_id: str) -> Response:
    receiver = event_receivers.get(receiver_id)
    ticked = {field_of(kind): "yes" for kind in receiver.kinds}
    return show(EDIT, form=Form(None, name=receiver.name, url=receiver.url, **ticked), **editing(receiver))


@bp.post("/<receiver_id>/settings")
@requires("installation.edit", step_up=True)
def change(receiver_id: str) -> Response:
    receiver, form = event_receivers.get(receiver_id), Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, form=form, **editing(receiver))
    try:
        event_receivers.change(receiver, *values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **editing(receiver))
    return leave(url_for(".page", receiver_id=receiver_id))


@bp.post("/<receiver_id>/secret")
@requires("installation.edit", step_up=True)
def renew_secret(receiver_id: str) -> Response:
    receiver = event_receivers.get(receiver_id)
    return told(receiver, event_receivers.rotate(receiver, by=guards.actor(), now=utc_now()), is_new=False)


@bp.post("/<receiver_id>/activity")
@requires("installation.edit", step_up=True)
def switch(receiver_id: str) -> Response:
    on = request.form.get("on") == "yes"
    event_receivers.switch(event_receivers.get(receiver_id), on=on, by=guards.actor(), now=utc_now())
    return leave(url_for(".page", receiver_id=receiver_id))


@bp.post("/<receiver_id>/test")
@requires("installation.edit")
def test(receiver_id: str) -> Response:
    receiver = event_receivers.get(receiver_id)
    event_receivers.test(receiver, by=guards.actor(), now=utc_now())
    return done(receiver, _("A test message is on its way."))


@bp.post("/<receiver_id>/messages/<delivery_id>/again")
@requires("installation.edit")
def send_again(receiver_id: str, delivery_id: str) -> Response:
    receiver = event_receivers.get(receiver_id)
    try:
        event_receivers.send_again(receiver, delivery_id, by=guards.actor(), now=utc_now())
    except Conflict as error:
        return show(PAGE, LOG, error.status, **context(receiver) | {"problem": error.message})
    return done(receiver, _("It is sent again, with the same number."))


@bp.get("/<receiver_id>/removal")
@requires("installation.edit", step_up=True)
def removal(receiver_id: str) -> Response:
    return show(REMOVE, receiver=event_receivers.get(receiver_id))


@bp.post("/<receiver_id>/removal")
@requires("installation.edit", step_up=True)
def remove(receiver_id: str) -> Response:
    event_receivers.remove(event_receivers.get(receiver_id), by=guards.actor(), now=utc_now())
    return leave(url_for(".index"))


# --- What the pages show ----------------------------------------------------------------------------


def told(receiver: EventReceiver, secret: str, *, is_new: bool = True) -> Response:
    answer = show(SECRET, receiver=receiver, secret=secret, is_new=is_new)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def done(receiver: EventReceiver, said: str) -> Response:
    url = url_for(".page", receiver_id=receiver.id)
    return stay(url, LOG, **context(receiver) | {"said": said})


def context(receiver: EventReceiver) -> dict[str, Any]:
    now, log = utc_now(), event_receivers.log(receiver)
    overlaps = receiver.former_until is not None and now < receiver.former_until
    return {
        "receiver": receiver,
        "log": log,
        "plainly": queues.plainly,
        "kinds": event_messages.KINDS,
        "is_moving": any(each.state == "waiting" and each.attempts == 0 for each in log),
        "overlaps_until": receiver.former_until if overlaps else None,
        "page_url": url_for(".page", receiver_id=receiver.id),
        "said": "",
        "problem": "",
        "now": now,
    }


def field_of(kind: str) -> str:
    return kind.replace(".", "_")


def read(form: Form) -> tuple[str, str, list[str]]:
    chosen = [kind for kind in event_messages.KINDS if form.checked(field_of(kind))]
    return form.text("name", most=80, required=True), form.text("url", required=True), chosen


def editing(receiver: EventReceiver | None) -> dict[str, Any]:
    boxes = [(field_of(kind), words, kind) for kind, words in event_messages.KINDS.items()]
    return {"receiver": receiver, "boxes": boxes}
