"""Calls of mail services. No form and no browser: the service's signature is what proves them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from portal import logs
from portal.channels.mail_services import Forged
from portal.clock import utc_now
from portal.services import mail_hooks

bp = Blueprint("mail_webhooks", __name__)


@bp.record_once
def exempt(state: Any) -> None:
    """No token of a form: whoever cannot sign changes nothing."""
    state.app.extensions["csrf"].exempt(bp)


@bp.post("/webhooks/mail/<any(ses,mailgun,sendgrid,postmark,standard):service>")
def receive(service: str) -> Response:
    """Take a call in: 200 for what is proved, known or new; 401 for what is not; 404 where none is set up."""
    request.max_content_length = mail_hooks.LONGEST_CALL
    try:
        changed = mail_hooks.receive(service, dict(request.headers), request.get_data(), utc_now())
    except Forged as forged:
        logs.event("mail_report.refused", service=service, reason=str(forged))
        return Response("the proof does not hold\n", 401, mimetype="text/plain")
    logs.event("mail_report.taken", service=service, changed=changed)
    return Response("taken\n", 200, mimetype="text/plain")
