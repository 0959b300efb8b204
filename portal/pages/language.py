"""The language buttons in the footer of every page."""

from __future__ import annotations

from flask import Blueprint, Response, request

from portal import i18n
from portal.errors import NotFound
from portal.pages import guards
from portal.pages.respond import leave
from portal.services import installation, people

bp = Blueprint("language", __name__)

A_YEAR_S = 365 * 24 * 3600


@bp.post("/language")
def change() -> Response:
    """Read on in another language: kept in this browser and, for who is signed in, in the account."""
    language = request.form.get("language", "")
    if language not in i18n.LANGUAGES:
        raise NotFound()
    person = guards.signed_in()
    if person is not None:
        people.choose_language(person, language)
    answer = leave(guards.safe_next(request.form.get("next")))
    answer.set_cookie(
        "language",
        language,
        max_age=A_YEAR_S,
        path="/",
        httponly=True,
        secure=installation.current().settings.https,
        samesite="Lax",
    )
    return answer
