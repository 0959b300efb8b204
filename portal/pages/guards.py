"""Who is asking, and whether they may. Nothing here is decided by the browser.

A stranger gets 404 for anything in particular. Who has no cookie and asks for a page of ours is
sent to sign in first; so is who had one that has ended. An outside person gets 404 for every page
of the staff.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, current_app, g, has_request_context, redirect, request
from flask_login import LoginManager
from werkzeug.exceptions import HTTPException

from portal.clock import utc_now
from portal.errors import NotAllowed, NotFound
from portal.i18n import gettext as _
from portal.models.people import Person, Session
from portal.proxies import ARRIVAL, Arrival
from portal.services import installation, permissions, sessions
from portal.services.audit import Actor

HOME = "/"


def install(app: Flask) -> None:
    """Let Flask-Login know people by our session rows; it keeps nothing of its own."""
    manager = LoginManager()
    manager.session_protection = None
    manager.request_loader(lambda _request: signed_in())
    manager.init_app(app)


# --- Who is asking --------------------------------------------------------------------------


def cookie_name() -> str:
    return "__Host-countersign" if installation.current().settings.https else "countersign"


def browser() -> Session | None:
    """The live session of this browser at whatever stage; one query a request."""
    if not has_request_context():
        return None
    if "browser" not in g:
        g.browser = sessions.find(request.cookies.get(cookie_name(), ""), utc_now())
    found: Session | None = g.browser
    return found


def forget_browser() -> None:
    """Treat this request as a stranger's from here on: its session was ended."""
    g.browser = None


def signed_in() -> Person | None:
    """Whoever is fully signed in with an account, staff or outside; None for everybody else."""
    session = browser()
    return session.person if session is not None and session.stage == sessions.FULL else None


def person() -> Person:
    """The member of staff who asks. Raises NotFound for everybody else."""
    found = signed_in()
    if found is None or not found.is_staff:
        raise NotFound()
    return found


def signed_in_outside() -> str | None:
    """The proved mail address of an outside person, with or without an account; else None."""
    session = browser()
    if session is not None and session.stage == sessions.OUTSIDE:
        return str(session.email)
    found = signed_in()
    return str(found.email) if found is not None and not found.is_staff else None


def actor() -> Actor:
    """Whoever asks, as the trail names them."""
    address, user_agent = client_address(), client_agent()
    session = browser()
    found = session.person if session is not None else None
    if found is not None:
        return Actor("person", found.id, found.name, found.email, address, user_agent)
    return Actor("outside", "", "", session.email if session is not None else "", address, user_agent)


def client_address() -> str:
    """The network address that limits, sessions and the trail see."""
    return arrival().address


def arrival() -> Arrival:
    """How this request came in, through which proxy, and what was believed of it."""
    found: Arrival = request.environ[ARRIVAL]
    return found


def client_agent() -> str:
    return request.headers.get("User-Agent", "")[: sessions.USER_AGENT_LENGTH]


def is_stepped_up() -> bool:
    """Whether a code was proved recently enough for a sensitive act."""
    session = browser()
    within = sessions.STEP_UP if request.method in ("GET", "HEAD") else sessions.STEP_UP_FORM
    return session is not None and sessions.is_stepped_up(session, utc_now(), within)


# --- Whether they may -------------------------------------------------------------------------


def requires(permission: str | None = None, *, step_up: bool = False) -> Callable[[Any], Any]:
    """Guard a page: staff only, with this permission; `step_up` asks for a fresh code first.

    Without a permission every signed-in member of staff may. Somebody who is not signed in goes
    to the sign-in page and comes back; for an address that names one thing (`/contracts/<reference>`)
    a stranger's browser gets 404, whether or not that thing exists.
    """

    def guard(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(**arguments: Any) -> Any:
            found = signed_in()
            if found is None:
                return ask_to_sign_in(particular=bool(arguments))
            if not found.is_staff:
                raise NotFound()
            if permission is not None and not permissions.allows(found, permission):
                raise NotAllowed(_("Your role does not allow this. Ask an administrator if it should."))
            if step_up and not is_stepped_up():
                return go("/step-up?" + urlencode({"next": here()}))
            return view(**arguments)

        guarded.required_permission = permission  # type: ignore[attr-defined]
        guarded.asks_step_up = step_up  # type: ignore[attr-defined]
        return guarded

    return guard


def with_account(view: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a page that belongs to whoever is signed in with an account, staff or outside."""

    @wraps(view)
    def guarded(**arguments: Any) -> Any:
        if signed_in() is None:
            return ask_to_sign_in(particular=bool(arguments))
        return view(**arguments)

    return guarded


def ask_to_sign_in(*, particular: bool) -> Response:
    """To the sign-in page and back; NotFound where a stranger asks for one thing in particular."""
    was_here = cookie_name() in request.cookies
    if (particular or request.method not in ("GET", "HEAD")) and not was_here:
        raise NotFound()
    session = browser()
    if session is not None and session.stage == sessions.PASSWORD:
        return go("/sign-in/code?" + urlencode({"next": here()}))
    return go("/sign-in?" + urlencode({"next": here()}))


# --- Going somewhere ------------------------------------------------------------------------------


def go(url: str) -> Response:
    """Elsewhere: 303, or for htmx 204 with HX-Redirect, since it would swap in the other page."""
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": url})
    answer = redirect(url, 303)
    assert isinstance(answer, Response)  # noqa: S101 (narrows the type only)
    return answer


def here() -> str:
    """The address to come back to: this page, or the page whose form was sent.

    Pages send no Referer, so the page of a plain form is the nearest address above the form's own.
    """
    if request.method in ("GET", "HEAD") and not request.headers.get("HX-Request"):
        return safe_next(request.full_path.removesuffix("?"))
    came_from = urlsplit(request.headers.get("HX-Current-URL", ""))
    if came_from.netloc == request.host:
        return safe_next(came_from.path + (f"?{came_from.query}" if came_from.query else ""))
    path = request.path
    while path.strip("/") and not safe_next(path, ""):
        path = path.rpartition("/")[0]
    return path or HOME


def safe_next(wanted: str | None, otherwise: str = HOME) -> str:
    """`wanted` when it is the path of a page of ours, else `otherwise`. Never another site."""
    text = wanted or ""
    if not text.startswith("/") or text.startswith("//") or len(text) > 2000:
        return otherwise
    if "\\" in text or any(ord(c) < 33 or ord(c) == 127 for c in text):
        return otherwise
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or parts.path.startswith("//"):
        return otherwise
    urls = current_app.url_map.bind("localhost")
    try:
        urls.match(parts.path, method="GET")
    except HTTPException:
        return otherwise
    return text


def give_cookie(answer: Response, token: str) -> Response:
    """Hand the browser its session token."""
    answer.set_cookie(
        cookie_name(),
        token,
        path="/",
        httponly=True,
        secure=installation.current().settings.https,
        samesite="Lax",
    )
    g.pop("browser", None)
    return answer


def take_cookie(answer: Response) -> Response:
    answer.delete_cookie(
        cookie_name(), path="/", httponly=True, secure=installation.current().settings.https, samesite="Lax"
    )
    g.pop("browser", None)
    return answer
