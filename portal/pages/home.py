"""The first page: what needs me today."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask import Blueprint, Response

from portal.clock import utc_now
from portal.pages import guards
from portal.pages.respond import leave, show
from portal.services import home, permissions, setup_guide

bp = Blueprint("home", __name__)


@bp.get("/")
def page() -> Response:
    person = guards.signed_in()
    if person is None:
        return leave("/mine") if guards.signed_in_outside() else guards.ask_to_sign_in(particular=False)
    if not person.is_staff:
        return leave("/mine")
    now = utc_now()
    guide = setup_guide.unfinished(now) if permissions.allows(person, "installation.edit") else None
    return show(
        "home/show.html",
        today=now.astimezone(ZoneInfo(person.zone)).date(),
        now=now,
        mine=home.duties_of(person, now) + home.waiting_for_me(person, now),
        others=home.waiting_for_others(person),
        stuck=home.operations(person, now) + home.stuck(person),
        is_new=not home.has_contracts(),
        guide=guide,
    )
