"""Checking a PDF, open to anyone: choose a file, learn whether it is genuine. Nothing is kept or shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from portal.clock import utc_now
from portal.errors import PortalError
from portal.i18n import format_size, lazy
from portal.i18n import gettext as _
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.respond import refuse, show
from portal.services import limits, verification

bp = Blueprint("verify", __name__)

PAGE = "verify/show.html"
CAPS = (
    limits.Cap(30, timedelta(minutes=10), limits.SOURCE),
    limits.Cap(300, timedelta(minutes=1), limits.SUBJECT),
)
CHECKED_BY = {
    "told_code": lazy("Code by telephone"),
    "mail_code": lazy("Code by mail"),
    "link": lazy("Link by mail"),
    "handed_code": lazy("One-time code"),
    "sms": lazy("Text message"),
    "totp": lazy("Authenticator app"),
    "provider_mail": lazy("Link mailed by the provider"),
    "email_code": lazy("Code by mail"),
    "access_code": lazy("Access code"),
    "phone": lazy("Telephone call"),
    "kba": lazy("Knowledge questions"),
    "id_check": lazy("ID document"),
    "certificate": lazy("Signer’s own certificate"),
}


@bp.get("/verify")
def page() -> Response:
    return show(PAGE, **context(Form()))


@bp.post("/verify")
def check() -> Response:
    form = Form(request.form)
    try:
        limits.check("verify", "verify", guards.client_address(), utc_now(), CAPS)
        name, content = upload(form)
        if form.errors:
            return show(PAGE, None, 422, **context(form))
        answer = verification.look_at(content)
    except PortalError as error:
        return refuse(PAGE, form, error, **without_form())
    return show(PAGE, answer=answer, file_name=name, size=format_size(len(content)), **context(form))


def upload(form: Form) -> tuple[str, bytes]:
    """The file sent, at most 25 MB; the reason is noted where there is none."""
    sent = request.files.get("file")
    content = sent.stream.read(verification.LARGEST + 1) if sent is not None else b""
    if not content:
        form.refuse("file", _("Choose the PDF to check."))
    elif len(content) > verification.LARGEST:
        form.refuse("file", _("This file is larger than %(most)s.", most=format_size(verification.LARGEST)))
    name = (sent.filename or "") if sent is not None else ""
    return name.rsplit("/", 1)[-1].rsplit("\\", 1)[-1][:120], content


def context(form: Form) -> dict[str, Any]:
    return {"form": form, **without_form()}


def without_form() -> dict[str, Any]:
    return {
        "checked_by": CHECKED_BY,
        "most": format_size(verification.LARGEST),
        "kinds": verification.KINDS,
        "said_of": verification.said_of,
    }
