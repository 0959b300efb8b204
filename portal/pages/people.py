"""People of ours: who they are, what they may do, invitations, disabled accounts, lost phones."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal import i18n
from portal.clock import utc_now
from portal.errors import Conflict, Invalid
from portal.models.people import Person
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, refuse, show
from portal.services import handovers, people, permissions, second_factors, sessions, sign_on_providers

bp = Blueprint("people", __name__)

PAGE, INVITE, ROLES = "people/show.html", "people/invite.html", "people/roles.html"
DISABLE, FACTOR = "people/disable.html", "people/factor.html"


@bp.get("/people")
@requires("person.read")
def index() -> Response:
    rows = [
        {"person": person, "state": people.state(person), "roles": role_names(person)}
        for person in people.staff()
    ]
    return show("people/index.html", rows=rows)


def role_names(person: Person) -> list[str]:
    held = permissions.roles_of(person)
    return [str(name) for role, (name, _about) in permissions.ROLES.items() if role in held]


def role_boxes() -> list[tuple[str, Any, Any]]:
    return [(f"role_{role}", name, about) for role, (name, about) in permissions.ROLES.items()]


def ticked_roles(form: Form) -> list[str]:
    return [role for role in permissions.ROLES if form.checked(f"role_{role}")]


def one(person_id: str, status: int = 200, problem: str = "") -> Response:
    person = people.get(person_id)
    return show(
        PAGE,
        None,
        status,
        shown=person,
        state=people.state(person),
        roles=role_names(person),
        sessions=len(sessions.of(person, utc_now())),
        codes_left=second_factors.codes_left(person),
        providers=[provider.name for provider in sign_on_providers.of(person)],
        is_me=guards.person().id == person.id,
        owns=len(handovers.of(person)),
        problem=problem,
    )


@bp.get("/people/<person_id>")
@requires("person.read")
def page(person_id: str) -> Response:
    return one(person_id)


# --- Inviting -----------------------------------------------------------------------------------------


@bp.get("/people/invitation")
@requires("person.edit", step_up=True)
def invite_page() -> Response:
    form = Form(None, language=i18n.current())
    return show(INVITE, form=form, boxes=role_boxes(), languages=list(i18n.NAMES.items()))


@bp.post("/people/invitation")
@requires("person.edit", step_up=True)
def invite() -> Response:
    form = Form(request.form)
    name, email = form.text("name", most=120, required=True), form.email("email")
    language, roles = form.choice("language", i18n.LANGUAGES), ticked_roles(form)
    if not roles:
        form.refuse("role_owner", i18n.gettext("Choose at least one role."))
    context: dict[str, Any] = {"boxes": role_boxes(), "languages": list(i18n.NAMES.items())}
    if form.errors:
        return show(INVITE, None, 422, form=form, **context)
    try:
        person, _token = people.invite(
            email, name=name, roles=roles, language=language, by=guards.actor(), now=utc_now()
        )
    except Invalid as error:
        return refuse(INVITE, form, error, **context)
    return leave(url_for(".page", person_id=person.id))


@bp.post("/people/<person_id>/invitation")
@requires("person.edit")
def invite_again(person_id: str) -> Response:
    try:
        people.invite_again(people.get(person_id), by=guards.actor(), now=utc_now())
    except Conflict as error:
        return one(person_id, error.status, error.message)
    return leave(url_for(".page", person_id=person_id))


# --- Roles -----------------------------------------------------------------------------------------------


@bp.get("/people/<person_id>/roles")
@requires("person.edit", step_up=True)
def roles_page(person_id: str) -> Response:
    person = people.get(person_id)
    held = {f"role_{role}": "yes" for role in permissions.roles_of(person)}
    return show(ROLES, form=Form(None, **held), shown=person, boxes=role_boxes())


@bp.post("/people/<person_id>/roles")
@requires("person.edit", step_up=True)
def set_roles(person_id: str) -> Response:
    person, form = people.get(person_id), Form(request.form)
    try:
        people.set_roles(person, ticked_roles(form), by=guards.actor(), now=utc_now())
    except Invalid as error:
        form.refuse("role_owner", error.message)
        return show(ROLES, None, 422, form=form, shown=person, boxes=role_boxes())
    except Conflict as error:
        return refuse(ROLES, form, error, shown=person, boxes=role_boxes())
    return leave(url_for(".page", person_id=person_id))


# --- Disabling, lost phones --------------------------------------------------------------------------------


@bp.get("/people/<person_id>/disable")
@requires("person.edit", step_up=True)
def disable_page(person_id: str) -> Response:
    return show(DISABLE, form=Form(), shown=people.get(person_id))


@bp.post("/people/<person_id>/disable")
@requires("person.edit", step_up=True)
def disable(person_id: str) -> Response:
    person, form = people.get(person_id), Form(request.form)
    why = form.text("reason", required=True)
    if form.errors:
        return show(DISABLE, None, 422, form=form, shown=person)
    try:
        people.disable(person, why=why, by=guards.actor(), now=utc_now())
    except Conflict as error:
        return refuse(DISABLE, form, error, shown=person)
    return leave(url_for(".page", person_id=person_id))


@bp.post("/people/<person_id>/enable")
@requires("person.edit", step_up=True)
def enable(person_id: str) -> Response:
    people.enable(people.get(person_id), by=guards.actor(), now=utc_now())
    return leave(url_for(".page", person_id=person_id))


@bp.get("/people/<person_id>/factor")
@requires("person.edit", step_up=True)
def factor_page(person_id: str) -> Response:
    return show(FACTOR, form=Form(), shown=people.get(person_id))


@bp.post("/people/<person_id>/factor")
@requires("person.edit", step_up=True)
def reset_factor(person_id: str) -> Response:
    person, form = people.get(person_id), Form(request.form)
    why = form.text("reason")
    try:
        if form.errors:
            raise Invalid({})
        people.reset_factor(person, why=why, by=guards.actor(), now=utc_now())
    except (Invalid, Conflict) as error:
        return refuse(FACTOR, form, error, shown=person)
    return leave(url_for(".page", person_id=person_id))


@bp.post("/people/<person_id>/codes")
@requires("person.edit", step_up=True)
def allow_codes_again(person_id: str) -> Response:
    try:
        second_factors.allow_again(people.get(person_id), by=guards.actor(), now=utc_now())
    except Conflict as error:
        return one(person_id, error.status, error.message)
    return leave(url_for(".page", person_id=person_id))
