"""Signing in and out: password, code, a fresh code for sensitive acts, a forgotten password."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request, url_for
from flask import session as form_cookie

from portal import i18n
from portal.clock import utc_now
from portal.errors import Invalid, NotAllowed, TooMany
from portal.models.people import Person, Session
from portal.pages import guards, wall
from portal.pages.forms import Form
from portal.pages.respond import leave, refuse, show
from portal.services import mailbox, sessions, sign_in, sign_on, sign_on_providers

bp = Blueprint("sign_in", __name__)

PAGE, CODE, STEP_UP = "sign_in/show.html", "sign_in/code.html", "sign_in/step_up.html"
FORGOTTEN, NEW_PASSWORD, LINK = "sign_in/forgotten.html", "sign_in/new_password.html", "sign_in/link.html"


def wanted() -> str:
    """Where to go afterwards: a path of ours, from the form or the address."""
    return guards.safe_next(request.form.get("next") or request.args.get("next"))


def onward(endpoint: str, target: str = "") -> str:
    """The next page of signing in, which remembers where to go afterwards."""
    target = target or wanted()
    return url_for(endpoint) + (f"?{urlencode({'next': target})}" if target != guards.HOME else "")


def begin_with_password(person: Person) -> Response:
    """The password, or a mailed invitation, was right: what is still missing comes next."""
    if not sign_on.opens_by_password(person):
        error = NotAllowed(
            i18n.gettext("Your account opens with the button above the password, not with the password.")
        )
        return refuse(PAGE, Form(), error, **page_context())
    return begin(person, is_proved=not sign_in.needs_factor(person))


def begin(person: Person, *, is_proved: bool, target: str = "") -> Response:
    """Sign this browser in: whole where every factor is proved, else up to our own code."""
    before = guards.browser()
    if before is not None:
        sessions.end(before, by=guards.actor(), now=utc_now())
    token = sessions.open_for(
        person,
        stage=sessions.FULL if is_proved else sessions.PASSWORD,
        now=utc_now(),
        address=guards.client_address(),
        user_agent=guards.client_agent(),
    )
    target = target or wanted()
    if is_proved:
        return signed_in(leave(target), token)
    endpoint = "sign_in.code" if person.totp_secret else "second_factor.page"
    return signed_in(leave(onward(endpoint, target)), token)


def signed_in(answer: Response, token: str) -> Response:
    """A new stage: new session token, new token for forms."""
    form_cookie.pop("csrf_token", None)
    return guards.give_cookie(answer, token)


# --- Password ------------------------------------------------------------------------------------


@bp.get("/sign-in")
def page() -> Response:
    if guards.signed_in() is not None:
        return leave(wanted())
    return show(PAGE, form=Form(), **page_context())


@bp.post("/sign-in")
def check_password() -> Response:
    form = Form(request.form)
    email = form.email("email")
    if not form.value("password"):
        form.refuse("password", i18n.gettext("Type your password."))
    if form.errors:
        return show(PAGE, None, 422, form=form, **page_context())
    try:
        person = sign_in.check_password(
            email,
            request.form["password"],
            source=guards.client_address(),
            user_agent=guards.client_agent(),
            now=utc_now(),
        )
    except (Invalid, TooMany) as error:
        return refuse(PAGE, form, error, **page_context())
    return begin_with_password(person)


def page_context() -> dict[str, Any]:
    people = mailbox.sample_people() if wall.stands_open() else []
    return {"next": wanted(), "sample_people": people, "providers": sign_on_providers.offered()}


@bp.post("/sign-out")
def sign_out() -> Response:
    session = guards.browser()
    if session is not None:
        sessions.end(session, by=guards.actor(), now=utc_now())
    form_cookie.clear()
    return guards.take_cookie(leave(url_for(".page")))


# --- Code --------------------------------------------------------------------------------------------


def half_signed_in() -> Session | None:
    """The session of a browser whose password was right and whose code is still to come."""
    session = guards.browser()
    return session if session is not None and session.stage == sessions.PASSWORD else None


@bp.get("/sign-in/code")
def code() -> Response:
    session = half_signed_in()
    if session is None:
        return leave(wanted() if guards.signed_in() else onward(".page"))
    person = sessions.holder(session)
    if not person.totp_secret:
        return leave(onward("second_factor.page"))
    return show(CODE, form=Form(), next=wanted(), email=person.email)


@bp.post("/sign-in/code")
def check_code() -> Response:
    session = half_signed_in()
    if session is None:
        return leave(onward(".page"))
    form = Form(request.form)
    try:
        sign_in.check_code(session, form.text("code", most=60), by=guards.actor(), now=utc_now())
    except sign_in.ChallengeOver as error:
        return start_again(error)
    except (Invalid, TooMany) as error:
        return refuse(CODE, form, error, next=wanted(), email=sessions.holder(session).email)
    token = sessions.complete(session, now=utc_now())
    return signed_in(leave(wanted()), token)


def start_again(error: TooMany) -> Response:
    """Too many wrong codes: signed out, and told so on the sign-in page."""
    guards.forget_browser()
    answer = refuse(PAGE, Form(), error, **page_context())
    return guards.take_cookie(answer)


@bp.get("/step-up")
@guards.with_account
def step_up() -> Response:
    if guards.is_stepped_up():
        return leave(wanted())
    return show(STEP_UP, form=Form(), **step_up_context())


def step_up_context() -> dict[str, Any]:
    person = guards.signed_in()
    return {"next": wanted(), "providers": sign_on_providers.confirming(person) if person is not None else []}


@bp.post("/step-up")
@guards.with_account
def check_step_up() -> Response:
    session = guards.browser()
    assert session is not None  # noqa: S101 (with_account has looked)
    form = Form(request.form)
    typed = {"code": form.text("code", most=60), "password": request.form.get("password", "")}
    try:
        token = sign_in.step_up(session, typed, by=guards.actor(), now=utc_now())
    except sign_in.ChallengeOver as error:
        return start_again(error)
    except (Invalid, TooMany) as error:
        return refuse(STEP_UP, form, error, **step_up_context())
    return guards.give_cookie(leave(wanted()), token)


# --- A forgotten password ---------------------------------------------------------------------------------


@bp.get("/password-reset")
def forgotten() -> Response:
    return show(FORGOTTEN, form=Form(), sent_to="")


@bp.post("/password-reset")
def request_reset() -> Response:
    form = Form(request.form)
    email = form.email("email")
    if form.errors:
        return show(FORGOTTEN, None, 422, form=form, sent_to="")
    try:
        sign_in.request_reset(email, source=guards.client_address(), now=utc_now())
    except TooMany as error:
        return refuse(FORGOTTEN, form, error, sent_to="")
    return show(FORGOTTEN, form=form, sent_to=email)


@bp.get("/password-reset/<token>")
def new_password(token: str) -> Response:
    found = sign_in.find_reset(token, utc_now())
    return show(NEW_PASSWORD, form=Form(), email=found.email, token=token)


@bp.post("/password-reset/<token>")
def reset_password(token: str) -> Response:
    found = sign_in.find_reset(token, utc_now())
    form = Form(request.form)
    try:
        person = sign_in.reset_password(
            token,
            request.form.get("password", ""),
            request.form.get("repeated", ""),
            source=guards.client_address(),
            now=utc_now(),
        )
    except Invalid as error:
        return refuse(NEW_PASSWORD, form, error, email=found.email, token=token)
    return begin_with_password(person)


# --- A link to one's own contracts --------------------------------------------------------------------------


@bp.get("/access")
def access() -> Response:
    return show("sign_in/access.html", form=Form(), sent_to="")


@bp.post("/access")
def send_access_link() -> Response:
    form = Form(request.form)
    email = form.email("email")
    if form.errors:
        return show("sign_in/access.html", None, 422, form=form, sent_to="")
    try:
        sign_in.send_access_link(
            email, source=guards.client_address(), language=i18n.current(), now=utc_now()
        )
    except TooMany as error:
        return refuse("sign_in/access.html", form, error, sent_to="")
    return show("sign_in/access.html", form=form, sent_to=email)


@bp.get("/access/<token>")
def access_link(token: str) -> Response:
    """A page with one button: mail scanners that open every link change nothing."""
    return show(LINK, token=token)


@bp.post("/access/<token>")
def use_access_link(token: str) -> Response:
    before = guards.browser()
    session_token = sign_in.use_access_link(
        token, source=guards.client_address(), user_agent=guards.client_agent(), now=utc_now()
    )
    if before is not None:
        sessions.end(before, by=guards.actor(), now=utc_now())
    return signed_in(leave("/mine"), session_token)
