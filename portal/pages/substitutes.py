"""Who approves in whose place, from a day to a day: everybody for themselves, administrators for all."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import PortalError
from portal.models.people import Person
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, refuse, show
from portal.services import approvers, permissions

bp = Blueprint("substitutes", __name__, url_prefix="/substitutes")

PAGE = "substitutes/index.html"


@bp.get("")
@requires("contract.read")
def page() -> Response:
    return show(PAGE, form=Form(None, person=person().id), **shown())


@bp.post("")
@requires("contract.read")
def add() -> Response:
    form, me = Form(request.form), person()
    absent = form.choice("person", [each.id for each in approving()]) if administers(me) else me.id
    chosen = form.text("substitute", most=40)
    first, last = form.date("from_on", required=True), form.date("until_on", required=True)
    if form.errors or first is None or last is None:
        return show(PAGE, None, 422, form=form, **shown())
    try:
        approvers.add_substitute(
            Person.get_by_id(absent), Person.get_or_none(Person.id == chosen), first, last, by=actor(),
            now=utc_now(),
        )  # fmt: skip
    except PortalError as error:
        return refuse(PAGE, form, error, **shown())
    return leave(url_for(".page"))


@bp.post("/<substitute_id>/end")
@requires("contract.read")
def end(substitute_id: str) -> Response:
    approvers.end_substitute(substitute_id, by=actor(), now=utc_now())
    return leave(url_for(".page"))


def administers(who: Person) -> bool:
    return permissions.allows(who, "policy.edit")


def approving() -> list[Person]:
    """Everybody who holds a role that approves."""
    return approvers.holders(permissions.APPROVERS)


def shown() -> dict[str, Any]:
    me = person()
    rows = approvers.substitutes(utc_now(), None if administers(me) else me)
    others = Person.counterparty_id.is_null() & Person.disabled_at.is_null() & (Person.id != me.id)
    colleagues = Person.select().where(others).order_by(Person.name)
    return {
        "rows": [(row, administers(me) or row.person.id == me.id) for row in rows],
        "people": [(each.id, each.name) for each in approving()] if administers(me) else [],
        "colleagues": [
            ("", "–"), *((each.id, each.name) for each in colleagues)
        ],
        "may_name": administers(me) or bool(permissions.roles_of(me) & permissions.APPROVERS),
    }  # fmt: skip
