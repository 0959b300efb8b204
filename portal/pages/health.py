"""For machines that watch: is the process alive, is it ready, and if not, why; and all figures."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, jsonify, request

from portal.clock import utc_now
from portal.errors import NotFound
from portal.pages import wall
from portal.services import installation, metrics, readiness

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> Response:
    return Response("ok\n", mimetype="text/plain")


@bp.get("/readyz")
def ready() -> tuple[Response, int]:
    found = readiness.concerns(utc_now())
    reasons = [each.sentence for each in found if each.blocks]
    warnings = [each.sentence for each in found if not each.blocks]
    return jsonify(ready=not reasons, reasons=reasons, warnings=warnings), 503 if reasons else 200


@bp.get("/metrics")
def figures() -> Response:
    """Figures for Prometheus: for this very machine, and for whoever holds the token."""
    if not (wall.is_this_machine() or holds_token()):
        raise NotFound
    return Response(metrics.exposition(utc_now()), content_type=metrics.CONTENT_TYPE)


def holds_token() -> bool:
    token = installation.current().settings.metrics_token
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    return bool(token) and scheme.lower() == "bearer" and is_right
