"""Moving the day until which a signing request takes answers."""

from __future__ import annotations

from datetime import datetime, time

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, PortalError
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, show
from portal.pages.sending import PEOPLE, STATE, meanwhile, newest, owned, zone_of
from portal.services import deadlines

bp = Blueprint("signing_deadline", __name__, url_prefix="/contracts/<reference>")


@bp.post("/signing/deadline")
@requires("contract.send")
def extend(reference: str) -> Response:
    contract, form = owned(reference), Form(request.form)
    envelope, now = newest(contract), utc_now()
    day = form.date("expires_on", required=True)
    try:
        if day is None:
            raise Invalid(form.errors)
        until = datetime.combine(day, time(18), zone_of(contract))
        deadlines.extend(envelope, until, by=guards.actor(), now=now)
    except PortalError as error:
        said = next(iter(error.errors.values())) if isinstance(error, Invalid) else error.message
        return show(STATE, PEOPLE, error.status, **meanwhile(contract, envelope, problem=said, form=form))
    return leave(url_for("sending.state", reference=reference))
