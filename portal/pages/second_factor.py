"""Accepting an invitation, connecting an authenticator app, and its recovery codes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request, url_for

from portal import i18n
from portal.clock import utc_now
from portal.errors import Invalid, NotFound, TooMany
from portal.models.people import Session
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.respond import leave, refuse, show
from portal.pages.sign_in import begin_with_password, onward, signed_in, wanted
from portal.services import people, second_factors, sessions

bp = Blueprint("second_factor", __name__)

INVITATION, PAGE, CODES = "sign_in/invitation.html", "sign_in/second_factor.html", "sign_in/codes.html"


# --- Invitation --------------------------------------------------------------------------------------


@bp.get("/invitation/<token>")
def invitation(token: str) -> Response:
    person = people.find_invitation(token, utc_now())
    return show(INVITATION, form=Form(None, name=person.name), invited=person, token=token)


@bp.post("/invitation/<token>")
def accept(token: str) -> Response:
    invited = people.find_invitation(token, utc_now())
    form = Form(request.form)
    name = form.text("name", most=120, required=True)
    try:
        if form.errors:
            raise Invalid({})
        person = people.accept(
            token,
            name=name,
            password=request.form.get("password", ""),
            repeated=request.form.get("repeated", ""),
            source=guards.client_address(),
            language=i18n.current(),
            now=utc_now(),
        )
    except Invalid as error:
        return refuse(INVITATION, form, error, invited=invited, token=token)
    return begin_with_password(person)


# --- Connecting an app -------------------------------------------------------------------------------------


def enrolling() -> Session:
    """The session that may connect an app: the password was right and there is none yet, or
    somebody signed in replaces theirs after a fresh code. Raises NotFound for others."""
    session = guards.browser()
    if session is None or session.person is None:
        raise NotFound()
    if session.stage == sessions.PASSWORD and session.person.totp_secret:
        raise NotFound()
    return session


def needs_step_up(session: Session) -> bool:
    return session.stage == sessions.FULL and not guards.is_stepped_up()


@bp.get("/second-factor")
def page() -> Response:
    if guards.browser() is None:
        return leave(onward("sign_in.page"))
    session = enrolling()
    if needs_step_up(session):
        return leave("/step-up?" + urlencode({"next": url_for(".page")}))
    if second_factors.codes_to_show(session):
        return leave(onward(".codes"))
    return show(PAGE, form=Form(), **page_context(session))


def page_context(session: Session) -> dict[str, Any]:
    person = sessions.holder(session)
    secret = second_factors.begin(session)
    return {
        "key": second_factors.grouped(secret),
        "address": second_factors.address(person, secret),
        "replaces": bool(person.totp_secret),
        "next": wanted(),
    }


@bp.get("/second-factor/picture.svg")
def picture() -> Response:
    session = enrolling()
    if needs_step_up(session):
        raise NotFound()
    secret = second_factors.begin(session)
    svg = second_factors.picture(second_factors.address(sessions.holder(session), secret))
    return Response(svg, mimetype="image/svg+xml", headers={"Cache-Control": "no-store"})


@bp.post("/second-factor")
def confirm() -> Response:
    if guards.browser() is None:
        return leave(onward("sign_in.page"))
    session = enrolling()
    if needs_step_up(session):
        return leave("/step-up?" + urlencode({"next": url_for(".page")}))
    form = Form(request.form)
    code = form.text("code", most=60)
    try:
        second_factors.confirm(
            session, code, source=guards.client_address(), by=guards.actor(), now=utc_now()
        )
    except (Invalid, TooMany) as error:
        return refuse(PAGE, form, error, **page_context(session))
    return signed_in(leave(onward(".codes")), sessions.complete(session, now=utc_now()))


# --- Recovery codes -----------------------------------------------------------------------


@bp.get("/second-factor/recovery-codes")
@guards.with_account
def codes() -> Response:
    session = guards.browser()
    found = second_factors.codes_to_show(session) if session is not None else []
    if not found:
        return leave(wanted())
    return show(CODES, codes=found, next=wanted())


@bp.post("/second-factor/recovery-codes/kept")
@guards.with_account
def kept() -> Response:
    session = guards.browser()
    if session is not None:
        second_factors.put_away(session)
    return leave(wanted())
