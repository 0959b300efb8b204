"""The recovery key: what it is for, whether somebody keeps it, and its download."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request

from portal.clock import utc_now
from portal.errors import PortalError
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import refuse, show
from portal.services import backups, recovery

bp = Blueprint("recovery", __name__, url_prefix="/settings/recovery")

PAGE = "recovery/show.html"


@bp.get("")
@requires("installation.edit", step_up=True)
def page() -> Response:
    return show(PAGE, form=Form(), **shown(utc_now()))


@bp.post("/key")
@requires("installation.edit", step_up=True)
def download() -> Response:
    """The file itself; a plain answer to a plain form, so that the browser saves it."""
    form, now = Form(request.form), utc_now()
    passphrase, repeated = str(form.value("passphrase")), str(form.value("repeated"))
    try:
        file = recovery.make(passphrase, repeated, by=guards.actor(), now=now)
    except PortalError as error:
        return refuse(PAGE, form, error, **shown(now))
    answer = Response(file, mimetype="application/json")
    answer.headers["Content-Disposition"] = 'attachment; filename="countersign-recovery.json"'
    return answer


def shown(now: datetime) -> dict[str, Any]:
    return {
        "state": recovery.state(now),
        "least": recovery.LEAST,
        "most": recovery.MOST,
        "backup": backups.last_outcome(),
        "now": now,
    }
