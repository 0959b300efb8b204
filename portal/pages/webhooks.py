"""Calls of e-signature providers. No form and no browser: what they say is verified before it counts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from portal.clock import utc_now
from portal.services import webhooks
from providers.interface import Delivery

bp = Blueprint("webhooks", __name__)


@bp.record_once
def exempt(state: Any) -> None:
    """No token of a form: whoever cannot prove a call changes nothing."""
    state.app.extensions["csrf"].exempt(bp)


@bp.route("/webhooks/<connection_id>", methods=["GET", "POST"])
def receive(connection_id: str) -> Response:
    """Store it, answer it as the provider expects, and leave the rest to a job. 413 above 10 MB."""
    request.max_content_length = webhooks.LARGEST_BYTES
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = request.get_data(cache=False, parse_form_data=False)
    delivery = Delivery(request.method, request.query_string.decode("latin-1"), headers, body)
    answer = webhooks.receive(connection_id, delivery, now=utc_now())
    made = Response(answer.body, answer.status, mimetype="text/plain")  # never a page of ours
    made.headers.update(dict(answer.headers))
    return made
