"""Changing provider on one page: what it would break, from which day, and what becomes of what is open."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import PortalError
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.connections import Connection
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import actor, requires
from portal.pages.respond import refuse, show, stay
from portal.services import connections, moves, permissions
from providers import registry

bp = Blueprint("moves", __name__, url_prefix="/settings/providers/move")
PAGE = "moves/show.html"
BUILT_IN = "builtin"


@bp.get("")
@requires("connection.read")
def page() -> Response:
    """With `to` in the address: what would change; without it, the choice."""
    if (
        request.args.get("to")
        and permissions.allows(guards.person(), "connection.edit")
        and not guards.is_stepped_up()
    ):
        # Asked for before the report, so that nothing chosen on it is lost to the question.
        return guards.go("/step-up?" + urlencode({"next": guards.here()}))
    form = Form(None, to=request.args.get("to", ""), starts_on=utc_now().date().isoformat())
    return show(PAGE, form=form, **context(form))


@bp.post("")
@requires("connection.edit", step_up=True)
def plan() -> Response:
    """From a day on; the day may be today, and then it happens now."""
    form = Form(request.form)
    target = chosen(form)
    starts, last = form.date("starts_on", required=True), form.date("last_day_on")
    if form.errors or starts is None:
        return show(PAGE, None, 422, form=form, **context(form))
    try:
        moves.plan(target, starts, last, by=actor(), now=utc_now())
    except PortalError as error:
        return refuse(PAGE, form, error, **context(form))
    return stay(url_for(".page", to=form.value("to")))


@bp.post("/plan/end")
@requires("connection.edit", step_up=True)
def drop() -> Response:
    moves.forget_plan(by=actor(), now=utc_now())
    return stay(url_for(".page"))


@bp.post("/requests")
@requires("connection.edit", step_up=True)
def requests() -> Response:
    """Withdraw what is open at one provider and send it again through another."""
    form = Form(request.form)
    target, source = chosen(form), chosen(form, "from")
    wanted = request.form.getlist("envelope")
    if not form.errors and not wanted:
        form.refuse("envelope", _("Tick at least one signing request."))
    if form.errors:
        return show(PAGE, None, 422, form=form, **context(form))
    try:
        count = moves.move_all(source, target, by=actor(), now=utc_now(), only=wanted)
    except PortalError as error:
        return refuse(PAGE, form, error, **context(form))
    said = ngettext("%(num)s signing request is moved.", "%(num)s signing requests are moved.", count)
    return show(PAGE, form=form, said=said, **context(form))


def chosen(form: Form, name: str = "to") -> Connection | None:
    """The account a field names; None for built-in signing. Notes the reason for anything else."""
    found = {each.id: each for each in connections.all_connections()}
    value = form.choice(name, [BUILT_IN, *found])
    return found.get(value)


def context(form: Form) -> dict[str, Any]:
    now = utc_now()
    value = str(form.value("to"))
    accounts, planned = connections.all_connections(), moves.planned()
    known = {each.id: each for each in accounts}
    is_chosen = value == BUILT_IN or value in known
    return {
        "accounts": [(BUILT_IN, registry.label(BUILT_IN)), *((each.id, each.name) for each in accounts)],
        "report": moves.report(known.get(value), now) if is_chosen else None,
        "chosen": known[value].name if value in known else registry.label(BUILT_IN),
        "present": name_of(connections.default()),
        "plan": planned,
        "plan_name": name_of(planned.target) if planned is not None else "",
        "sources": [
            (source.id if source else BUILT_IN, name_of(source), rows)
            for source in [None, *accounts]
            if (source.id if source else BUILT_IN) != value and (rows := moves.open_at(source))
        ],
        "now": now,
    }


def name_of(connection: Connection | None) -> str:
    return connection.name if connection is not None else registry.label(BUILT_IN)
