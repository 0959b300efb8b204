"""Settings of the whole installation: where each thing is set, and what was given at start."""

from __future__ import annotations

from flask import Blueprint, Response

from portal.pages.guards import requires
from portal.pages.respond import show
from portal.services import installation
from portal.settings import describe

bp = Blueprint("installation", __name__)


@bp.get("/settings")
@requires("installation.read")
def page() -> Response:
    return show("installation/show.html", settings=describe(installation.current().settings))


@bp.get("/settings/ca.pem")
@requires("installation.read")
def ca() -> Response:
    """What others need to check our seals without us."""
    answer = Response(installation.current().authority.bundle, mimetype="application/x-pem-file")
    answer.headers["Content-Disposition"] = 'attachment; filename="countersign-ca.pem"'
    return answer
