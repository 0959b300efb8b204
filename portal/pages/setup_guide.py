"""The checklist that leads an administrator from an empty installation to the first real send."""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from portal.clock import utc_now
from portal.pages import guards
from portal.pages.guards import requires
from portal.pages.respond import leave, show
from portal.services import installation, setup_guide

bp = Blueprint("setup_guide", __name__, url_prefix="/settings/set-up")


@bp.get("")
@requires("installation.read")
def page() -> Response:
    return show(
        "setup_guide/show.html",
        guide=setup_guide.look(utc_now()),
        is_sample=installation.current().settings.sample_marker.is_file(),
    )


@bp.post("/rules")
@requires("installation.edit")
def confirm_rules() -> Response:
    setup_guide.confirm_rules(by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))
