"""`/mailbox`: what would have been sent, and one-press sign-in, behind the wall of sample data."""

from __future__ import annotations

from flask import Blueprint, Response, request

from portal.clock import utc_now
from portal.pages import guards, wall
from portal.pages.respond import leave, show
from portal.services import mailbox, sessions

bp = Blueprint("mailbox", __name__)


@bp.get("/mailbox")
@wall.behind_wall
def index() -> Response:
    now = utc_now()
    return show("mailbox/index.html", messages=mailbox.messages(), codes=mailbox.codes(now), now=now)


@bp.get("/mailbox/<notice_id>")
@wall.behind_wall
def page(notice_id: str) -> Response:
    return show("mailbox/show.html", message=mailbox.message(notice_id))


@bp.get("/mailbox/<notice_id>/mail.html")
@wall.behind_wall
def mail(notice_id: str) -> Response:
    """The HTML part as a mail program would show it; shut in, since mails carry inline styles."""
    answer = Response(mailbox.message(notice_id).html, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
    )
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


@bp.post("/mailbox/people/<person_id>/session")
@wall.behind_wall
def sign_in(person_id: str) -> Response:
    """Sign in as one of the sample people; stands for password and second factor."""
    person = mailbox.sample_person(person_id)
    token = sessions.open_for(
        person, stage=sessions.FULL, now=utc_now(), address=guards.client_address(),
        user_agent=guards.client_agent(),
    )  # fmt: skip
    return guards.give_cookie(leave(guards.safe_next(request.form.get("next"))), token)
