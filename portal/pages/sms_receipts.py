"""`/webhooks/sms/<gateway>`: what gateways report about text messages. Machines come here, not people.

No form token is asked for: each report proves itself by its gateway's signature over its raw bytes.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from portal.clock import utc_now
from portal.services import sms_receipts

bp = Blueprint("sms_receipts", __name__)
LARGEST = 64 * 1024


@bp.record_once
def take_without_token(state: Any) -> None:
    state.app.extensions["csrf"].exempt(bp)


@bp.post("/webhooks/sms/<any('twilio', 'vonage', 'webhook'):kind>")
def take(kind: str) -> Response:
    request.max_content_length = LARGEST
    sms_receipts.take(kind, raw_path(), dict(request.headers), request.get_data(cache=False), utc_now())
    return Response(status=204)


def raw_path() -> str:
    """Path and query exactly as they were asked for, since they are part of what is signed."""
    query = request.query_string.decode("latin-1")
    return f"{request.path}?{query}" if query else request.path
