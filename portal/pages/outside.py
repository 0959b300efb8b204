"""The browsers of outside people: a cookie of their own, so that signing never ends a sign-in."""

from __future__ import annotations

from datetime import datetime

from flask import Response, g, request, url_for

from portal import i18n
from portal.models.people import Session
from portal.pages import guards
from portal.services import ceremonies, entities, installation, sessions
from portal.services.ceremonies import Place

PLAIN_COOKIE, HOST_COOKIE = "countersign-signing", "__Host-countersign-signing"


def cookie_name() -> str:
    return HOST_COOKIE if installation.current().settings.https else PLAIN_COOKIE


def token() -> str:
    """What the browser holds; proves nothing before it is looked up."""
    return request.cookies.get(cookie_name(), "")


def session(now: datetime) -> Session | None:
    """The live session of an outside person; None for everybody else."""
    found = sessions.find(token(), now)
    return found if found is not None and found.stage == sessions.OUTSIDE else None


def fresh_token(now: datetime, *, email: str = "") -> str:
    """A new token for this browser. What its session held goes along, the old token is dead."""
    held = session(now)
    if held is None:
        made = sessions.open_outside(
            email, now=now, address=guards.client_address(), user_agent=guards.client_agent()
        )
    else:
        before = held.sha256
        made = sessions.renew(held, now=now, **({"email": email} if email else {}))
        ceremonies.move_rights(before, sessions.digest(made))
    g.outside_token = made
    return made


def give_cookie(answer: Response) -> Response:
    """Hand over the token made in this request."""
    answer.set_cookie(
        cookie_name(),
        g.outside_token,
        path="/",
        httponly=True,
        secure=installation.current().settings.https,
        samesite="Lax",
    )
    return answer


def take_cookie(answer: Response) -> Response:
    """Take the token away; a browser hears of a `__Host-` cookie only with `Secure`."""
    answer.delete_cookie(
        cookie_name(), path="/", httponly=True, secure=installation.current().settings.https, samesite="Lax"
    )
    return answer


def company() -> dict[str, str]:
    """Whose portal it is, where no contract says which of our companies asks."""
    ours = entities.oldest()
    if ours is None:
        return {"name": "Countersign", "logo_url": ""}
    logo = url_for("ceremony.logo", entity_id=ours.id) if ours.logo_type else ""
    return {"name": ours.name, "logo_url": logo}


def speak(place: Place) -> None:
    """The recipient's language, unless this browser chose another, and their side's clock."""
    chosen = request.cookies.get("language")
    i18n.activate(chosen if chosen in i18n.LANGUAGES else place.recipient.language, place.zone)
