"""`/mine`: what outside people are asked, what they signed, their copies, and nothing else."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response, request, url_for

from portal import i18n
from portal.clock import utc_now
from portal.errors import NotFound, TooMany
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Recipient
from portal.pages import guards, outside
from portal.pages.forms import Form
from portal.pages.respond import leave, show
from portal.services import mine, negotiation, person_tokens, sessions, signing_mails
from portal.services.audit import Actor

bp = Blueprint("mine", __name__)


def email(now: datetime) -> str:
    """The address this browser has proved, by a link or by an account; empty for strangers."""
    session = outside.session(now)
    if session is not None and session.email:
        return str(session.email)
    found = guards.signed_in()
    return str(found.email) if found is not None else ""


@bp.get("/mine")
def page() -> Response:
    now = utc_now()
    whose = email(now)
    if not whose:
        return show("mine/enter.html", company=outside.company(), form=Form(), sent=False)
    return show(
        "mine/show.html",
        company=outside.company(),
        email=whose,
        mine=mine.of(whose),
        zone_of=zone_of,
        talks=negotiation.open_to(whose),
    )


def zone_of(recipient: Recipient) -> str:
    """The clock by which this person's times are told."""
    return signing_mails.zone_of(recipient, recipient.envelope.contract)


@bp.post("/mine")
def ask_for_link() -> Response:
    """The same answer whether anything is kept under the address or not."""
    form = Form(request.form)
    address = form.email("email")
    if form.errors:
        return show("mine/enter.html", status=422, company=outside.company(), form=form, sent=False)
    try:
        mine.send_link(address, i18n.current(), source=guards.client_address(), now=utc_now())
    except TooMany as refusal:
        form.refuse("email", refusal.message)
        return show("mine/enter.html", status=429, company=outside.company(), form=form, sent=False)
    return leave(url_for(".link_sent"))


@bp.get("/mine/sent")
def link_sent() -> Response:
    return show("mine/enter.html", company=outside.company(), form=Form(), sent=True)


@bp.get("/mine/<token>")
def link(token: str) -> Response:
    """The mailed link; reads only. A pressed button uses it up."""
    found = person_tokens.find(token, person_tokens.ACCESS, utc_now())
    if found is None:
        return show("mine/link.html", status=410, company=outside.company(), token="", email="")
    return show("mine/link.html", company=outside.company(), token=token, email=found.email)


@bp.post("/mine/<token>")
def enter(token: str) -> Response:
    now = utc_now()
    with transaction():
        used = person_tokens.use(token, person_tokens.ACCESS, now)
        if used is not None:
            outside.fresh_token(now, email=used.email)
    if used is None:
        return show("mine/link.html", status=410, company=outside.company(), token="", email="")
    return outside.give_cookie(leave(url_for(".page")))


@bp.post("/mine/leave")
def leave_here() -> Response:
    """This browser forgets whose it was; every right it held is gone."""
    session = outside.session(utc_now())
    if session is not None:
        sessions.end(session, by=guards.actor(), now=utc_now())
    answer = leave(url_for(".page"))
    return outside.take_cookie(answer)


@bp.post("/mine/<recipient_id>/open")
def open_place(recipient_id: str) -> Response:
    """To the signing pages of one contract, as its mailed link would."""
    now = utc_now()
    whose = email(now)
    if not whose:
        raise NotFound(_("Ask for a new link."))
    token = outside.fresh_token(now)
    by = Actor("recipient", recipient_id, "", whose, guards.client_address(), guards.client_agent())
    mine.open_place(recipient_id, whose, sessions.digest(token), by=by, now=now)
    return outside.give_cookie(leave(url_for("ceremony.page", recipient_id=recipient_id)))
