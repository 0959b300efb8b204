"""For machines that watch: is the process alive, is it ready, and if not, why."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from portal.clock import utc_now
from portal.services import readiness

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> Response:
    return Response("ok\n", mimetype="text/plain")


@bp.get("/readyz")
def ready() -> tuple[Response, int]:
    reasons = readiness.reasons(utc_now())
    return jsonify(ready=not reasons, reasons=reasons), 503 if reasons else 200
