"""For people who press no links: `/open` takes the code of a mail, `/is-this-real` says whether it is ours.

Both read nothing but what is typed, and answer a stranger's guesses in the same words.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, PortalError
from portal.models.base import transaction
from portal.pages import guards, outside, signing
from portal.pages.forms import Form
from portal.pages.respond import leave, refuse, show
from portal.services import enquiries, invitation_codes, invitations, sessions
from portal.services.audit import Actor

bp = Blueprint("invitations", __name__)

OPEN, REAL = "invitations/open.html", "invitations/is_this_real.html"
MOST_TYPED = 60


def typed_reference() -> str:
    """The reference a link of ours carries; codes and addresses of people never stand in one."""
    return request.args.get("reference", "")[:MOST_TYPED]


def frame() -> dict[str, Any]:
    return {"company": outside.company()}


@bp.get("/open")
def page() -> Response:
    return show(OPEN, form=Form(reference=typed_reference()), **frame())


@bp.post("/open")
def enter() -> Response:
    """A right pair is used up and opens the signing in this browser."""
    form, now = Form(request.form), utc_now()
    reference = form.text("reference", most=MOST_TYPED, required=True)
    code = form.text("code", most=MOST_TYPED, required=True)
    try:
        if form.errors:
            raise Invalid(form.errors)
        source = guards.client_address()
        found = invitation_codes.find(reference, code, source=source, now=now)
        who = found.recipient
        by = Actor("recipient", who.id, who.name, who.email, source, guards.client_agent())
        with transaction():
            token = outside.fresh_token(now)
            invitations.enter(found, sessions.digest(token), by=by, now=now)
    except PortalError as error:
        return refuse(OPEN, form, error, **frame())
    return outside.give_cookie(leave(url_for("ceremony.page", recipient_id=who.id)))


@bp.get("/is-this-real")
def is_this_real() -> Response:
    return show(REAL, form=Form(reference=typed_reference()), asked="", **frame())


@bp.post("/is-this-real")
def answer() -> Response:
    """Yes with what the mail says, or one no for everything else."""
    form, now = Form(request.form), utc_now()
    reference = form.text("reference", most=MOST_TYPED, required=True)
    email = form.email("email")
    try:
        if form.errors:
            raise Invalid(form.errors)
        yes = enquiries.ask(reference, email, source=guards.client_address(), now=now)
    except PortalError as error:
        return refuse(REAL, form, error, asked="", **frame())
    asked = invitation_codes.plain_reference(reference)
    colleague = signing.asked_by(yes.sender, yes.company) if yes is not None else {}
    return show(REAL, form=form, asked=asked, yes=yes, colleague_who_asks=colleague, **frame())
