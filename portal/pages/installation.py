"""Settings of the whole installation: where each thing is set, and the keys it seals with."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from portal.clock import utc_now
from portal.pages.guards import requires
from portal.pages.respond import show
from portal.services import audit_chains, installation, keys, readiness, recovery
from portal.settings import describe

bp = Blueprint("installation", __name__)


@bp.get("/settings")
@requires("installation.read")
def page() -> Response:
    return show_settings(None)


def show_settings(trail: dict[str, Any] | None) -> Response:
    """The page, with the outcome of a check of the history where one was asked for."""
    now = utc_now()
    return show(
        "installation/show.html",
        keys=keys.overview(now),
        settings=describe(installation.current().settings),
        reasons=readiness.reasons(now),
        trail=trail,
        trail_text=audit_chains.as_text,
        recovery_words=recovery.in_words(recovery.state(now)),
        now=now,
    )


@bp.get("/settings/ca.pem")
@requires("installation.read")
def ca() -> Response:
    """What others need to check our seals without us."""
    answer = Response(installation.current().authority.bundle, mimetype="application/x-pem-file")
    answer.headers["Content-Disposition"] = 'attachment; filename="countersign-ca.pem"'
    return answer


@bp.post("/settings/trail")
@requires("installation.read")
def check_trail() -> Response:
    """Check every chain of the trail now."""
    return show_settings(audit_chains.verify())
