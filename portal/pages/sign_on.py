"""To an identity provider and back: to sign in, or to confirm who is signed in.

Both ways are links, since the page policy lets no form lead elsewhere. What the browser went for
lies encrypted in a short-lived cookie of its own; the way back is believed only with it.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from portal import i18n
from portal.clock import utc_now
from portal.errors import Invalid, NotFound, PortalError
from portal.models.people import Session
from portal.models.sign_on import SignOnProvider
from portal.pages import guards, sign_in
from portal.pages.forms import Form
from portal.pages.respond import leave, refuse
from portal.services import installation, sessions, sign_on, sign_on_providers

bp = Blueprint("sign_on", __name__)


def cookie_name() -> str:
    return f"{guards.cookie_name()}-sign-on"


@bp.get("/sign-in/with/<sign_on_id>")
def begin(sign_on_id: str) -> Response:
    provider = sign_on_providers.active(sign_on_id)
    if guards.signed_in() is not None:
        return leave(sign_in.wanted())
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return leave(sign_in.onward("sign_in.page"))  # another site sent the browser: let the person press
    return go(provider)


@bp.get("/step-up/with/<sign_on_id>")
@guards.with_account
def confirm(sign_on_id: str) -> Response:
    session = guards.browser()
    ours = sign_on_providers.confirming(sessions.holder(session)) if session is not None else []
    if sign_on_id not in [each.id for each in ours]:
        raise NotFound
    return go(sign_on_providers.active(sign_on_id), session)


def go(provider: SignOnProvider, session: Session | None = None) -> Response:
    try:
        url, errand = sign_on.begin(provider, target=sign_in.wanted(), now=utc_now(), session=session)
    except PortalError as error:
        return refused(error)
    answer = leave(url)
    answer.set_cookie(
        cookie_name(),
        errand,
        max_age=int(sign_on.ERRAND_LIFE.total_seconds()),
        path="/",
        httponly=True,
        secure=installation.current().settings.https,
        samesite="Lax",
    )
    return answer


@bp.get("/sign-in/callback")
def back() -> Response:
    """The provider sends the browser here; the errand ends, whatever comes of it."""
    try:
        errand = sign_on.read_errand(request.cookies.get(cookie_name(), ""), utc_now())
        answer = finish(errand)
    except PortalError as error:
        answer = refused(error)
    answer.delete_cookie(
        cookie_name(), path="/", httponly=True, secure=installation.current().settings.https, samesite="Lax"
    )
    return answer


def refused(error: PortalError) -> Response:
    """Why, where the person began: at the sign-in page or, still signed in, at the confirmation."""
    if guards.signed_in() is not None:
        return refuse(sign_in.STEP_UP, Form(), error, **sign_in.step_up_context())
    return refuse(sign_in.PAGE, Form(), error, **sign_in.page_context())


def finish(errand: sign_on.Errand) -> Response:
    try:
        provider = sign_on_providers.active(errand.provider_id)
    except NotFound as error:
        raise Invalid({"": i18n.gettext("This way to sign in was switched off in the meantime.")}) from error
    now, target = utc_now(), guards.safe_next(errand.target)
    claims = sign_on.answer(provider, errand, request.args, source=guards.client_address(), now=now)
    if errand.purpose == sign_on.STEP_UP:
        session = guards.browser()
        if session is None or session.sha256 != errand.session or session.stage != sessions.FULL:
            raise Invalid({"": sign_on.lost()})
        sign_on.confirm(session, provider, claims, errand.at)
        return guards.give_cookie(leave(target), sessions.step_up(session, now=now))
    entered = sign_on.enter(
        provider, claims, address=guards.client_address(), user_agent=guards.client_agent(), now=now
    )
    return sign_in.begin(entered.person, is_proved=entered.is_proved, target=target)
