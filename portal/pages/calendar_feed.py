"""The calendar of one's contracts: made and ended on one's account, read under its secret address."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import calendar_feeds, installation

bp = Blueprint("calendar_feed", __name__)
PAGE = "calendar_feed/show.html"


@bp.get("/account/calendar")
@requires("contract.read")
def page() -> Response:
    return show(PAGE, feed=calendar_feeds.of(person()), address="")


@bp.post("/account/calendar")
@requires("contract.read")
def make() -> Response:
    """The one answer that shows the address."""
    me = person()
    shows_all = request.form.get("shows") == "all"
    token = calendar_feeds.make(me, shows_all=shows_all, by=actor(), now=utc_now())
    address = f"{installation.address()}{url_for('.read', token=token)}"
    answer = show(PAGE, feed=calendar_feeds.of(me), address=address)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.post("/account/calendar/end")
@requires("contract.read")
def end() -> Response:
    calendar_feeds.end(person(), by=actor(), now=utc_now())
    return leave(url_for(".page"))


@bp.get("/calendar/<token>")
def read(token: str) -> Response:
    """For calendar programs, which have nothing but the address."""
    answer = Response(calendar_feeds.read(token, utc_now()), content_type="text/calendar; charset=utf-8")
    answer.headers["Content-Disposition"] = 'inline; filename="contracts.ics"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
