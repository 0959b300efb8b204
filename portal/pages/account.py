"""One's own account: profile, password, second factor, recovery codes, signed-in browsers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request, url_for

from portal import i18n
from portal.clock import utc_now
from portal.errors import Invalid, NotFound, TooMany
from portal.models.people import Person, Session
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.respond import leave, refuse, show, stay
from portal.services import people, permissions, second_factors, sessions, sign_in

bp = Blueprint("account", __name__)

PAGE, PROFILE, SESSIONS = "account/show.html", "account/_profile.html", "account/_sessions.html"
CHANGE = "account/password.html"


def mine() -> tuple[Person, Session]:
    """Who asks, with their session; `with_account` has looked before."""
    session, person = guards.browser(), guards.signed_in()
    if session is None or person is None:
        raise NotFound()
    return person, session


@bp.get("/account")
@guards.with_account
def page() -> Response:
    person, session = mine()
    return show(PAGE, **everything(person, session, profile_form(person)))


def everything(person: Person, session: Session, form: Form) -> dict[str, Any]:
    return {
        "form": form,
        "me": person,
        "roles": [
            permissions.ROLES[role][0] for role in permissions.ROLES if role in permissions.roles_of(person)
        ],
        "codes_left": second_factors.codes_left(person),
        "languages": list(i18n.NAMES.items()),
        "zones": people.ZONES,
    } | browsers(person, session)


def browsers(person: Person, session: Session) -> dict[str, Any]:
    return {
        "sessions": [
            {
                "name": sessions.name_of(each),
                "program": program(each.user_agent),
                "address": each.address,
                "seen_at": each.seen_at,
                "opened_at": each.created_at,
                "is_this": each.sha256 == session.sha256,
            }
            for each in sessions.of(person, utc_now())
        ],
        "now": utc_now(),
    }


PROGRAMS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
            ("Safari/", "Safari"))  # fmt: skip
SYSTEMS = (("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"),
           ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip


def program(user_agent: str) -> str:
    """`Firefox, Windows`; empty when the browser says nothing we know."""
    found = (next((name for mark, name in table if mark in user_agent), "") for table in (PROGRAMS, SYSTEMS))
    return ", ".join(name for name in found if name)


def profile_form(person: Person) -> Form:
    return Form(
        None,
        name=person.name,
        title=person.title,
        language=person.language,
        zone=person.zone,
        phone=person.phone,
    )


# --- Profile ----------------------------------------------------------------------------------------


@bp.post("/account/profile")
@guards.with_account
def change_profile() -> Response:
    person, session = mine()
    form = Form(request.form)
    name, title = form.text("name", most=120, required=True), form.text("title", most=120)
    language, zone = form.choice("language", i18n.LANGUAGES), form.choice("zone", people.ZONES)
    phone = form.phone("phone")
    if form.errors:
        context = everything(person, session, form)
        return show(PAGE, None, 422, **context)
    people.change_profile(
        person,
        name=name,
        title=title,
        language=language,
        zone=zone,
        phone=phone,
        by=guards.actor(),
        now=utc_now(),
    )
    answer = leave(url_for(".page"))
    answer.delete_cookie("language", path="/", httponly=True, samesite="Lax")
    return answer


# --- Password and second factor -----------------------------------------------------------------------


def after_step_up(endpoint: str) -> Response:
    return guards.go("/step-up?" + urlencode({"next": url_for(endpoint)}))


@bp.get("/account/password")
@guards.with_account
def password() -> Response:
    if not guards.is_stepped_up():
        return after_step_up(".password")
    return show(CHANGE, form=Form())


@bp.post("/account/password")
@guards.with_account
def change_password() -> Response:
    if not guards.is_stepped_up():
        return after_step_up(".password")
    _person, session = mine()
    form = Form(request.form)
    typed = {name: request.form.get(name, "") for name in ("current", "password", "repeated")}
    try:
        sign_in.change_password(
            session, typed["current"], typed["password"], typed["repeated"], by=guards.actor(), now=utc_now()
        )
    except (Invalid, TooMany) as error:
        return refuse(CHANGE, form, error)
    return leave(url_for(".page"))


@bp.post("/account/recovery-codes")
@guards.with_account
def renew_recovery_codes() -> Response:
    if not guards.is_stepped_up():
        return after_step_up(".page")
    _person, session = mine()
    second_factors.renew_recovery_codes(session, by=guards.actor(), now=utc_now())
    return leave("/second-factor/recovery-codes?" + urlencode({"next": url_for(".page")}))


# --- Browsers ------------------------------------------------------------------------------------------


@bp.post("/account/sessions/<name>/end")
@guards.with_account
def end_session(name: str) -> Response:
    person, session = mine()
    if name == sessions.name_of(session):
        sessions.end(session, by=guards.actor(), now=utc_now())
        return guards.take_cookie(guards.go(url_for("sign_in.page")))
    if not sessions.end_named(person, name, by=guards.actor(), now=utc_now()):
        raise NotFound()
    return stay(url_for(".page"), SESSIONS, **browsers(person, session))


@bp.post("/account/sessions/end")
@guards.with_account
def end_other_sessions() -> Response:
    person, session = mine()
    sessions.end_all(person, by=guards.actor(), now=utc_now(), keep=session)
    return stay(url_for(".page"), SESSIONS, **browsers(person, session))
