"""`/sign/<token>` and `/ceremony/<recipient id>`: everything a signer sees and presses.

Each press is a route of its own. What it refuses is shown on the same screen with the reason; after
a success the browser goes to `page`, which computes the next screen from the facts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from flask import Blueprint, Response, g, request, url_for

from portal import i18n
from portal.clock import utc_now
from portal.errors import Conflict, Invalid, PortalError, TooMany
from portal.i18n import gettext as _
from portal.pages import guards, outside, signing
from portal.pages.forms import Form
from portal.pages.respond import leave, show
from portal.services import (
    acts,
    ceremonies,
    factors,
    links,
    outside_factors,
    sessions,
    viewings,
)
from portal.services.audit import Actor
from portal.services.ceremonies import Place

bp = Blueprint("ceremony", __name__)

# --- The link ----------------------------------------------------------------------------------


@bp.get("/sign/<token>")
def invitation(token: str) -> Response:
    """Who asks for what. Reads only: a mail scanner that opens it changes nothing."""
    now = utc_now()
    link, place = ceremonies.of_link(token, now)
    outside.speak(place)
    return invited(token, link, place, Form(), now)


def invited(token: str, link: Any, place: Place, form: Form, now: datetime, status: int = 200) -> Response:
    here = {"here": url_for(".invitation", token=token), "token": token, "form": form}
    at = ceremonies.state_of_envelope(place, now)
    if place.recipient.problem == "not_for_me":
        at = "not_for_me"
    if not links.is_alive(link, now) and at not in ("voided", "expired", "over", "declined", "not_for_me"):
        at = "done" if at == "done" else "ended"
    if links.is_alive(link, now) and (not at or link.purpose == links.COPY or at in ("done", "copy")):
        page = "ceremony/invite_copy.html" if at or link.purpose == links.COPY else "ceremony/invite.html"
        return show(page, status=status, **signing.invite(place, now) | here)
    if at == "done":
        return show("ceremony/already.html", status=410, **signing.common(place) | here)
    title, text = signing.ended_words(place, at or "ended")
    context = signing.common(place) | here | {"title": title, "text": text, "contact": place.contact}
    return show("ceremony/closed.html", status=200 if at in ("waiting", "preparing") else 410, **context)


@bp.post("/sign/<token>")
def exchange(token: str) -> Response:
    """The pressed button: the link becomes a right of this browser, and the address loses the token."""
    now = utc_now()
    link, place = ceremonies.of_link(token, now)
    outside.speak(place)
    form = Form(request.form)
    asks = link.purpose == links.SIGN and signing.invite(place, now)["asks_consent"]
    wanted = asks and not ceremonies.state_of_envelope(place, now)
    if wanted and not form.checked("consent"):
        form.refuse("consent", _("Tick the box to go on, or ask for paper below."))
        return invited(token, link, place, form, now, 422)
    try:
        entered = enter(link, place, now)
    except Conflict:
        _link, place = ceremonies.of_link(token, now)
        return invited(token, _link, place, form, now, 410)
    if wanted:
        language = form.choice("language", i18n.LANGUAGES, required=False) or i18n.current()
        settle(lambda: acts.agree(entered, language, None, by=actor(entered), now=now))
        send_first_code(ceremonies.find(entered.recipient.id, str(g.outside_token), now), now)
    return outside.give_cookie(leave(url_for(".page", recipient_id=place.recipient.id)))


@bp.post("/sign/<token>/<any('not-me', 'paper', 'decline'):aside>")
def exchange_aside(token: str, aside: str) -> Response:
    """As `exchange`, straight to a page for those who will not sign here."""
    now = utc_now()
    link, place = ceremonies.of_link(token, now)
    outside.speak(place)
    try:
        enter(link, place, now)
    except Conflict:
        return invited(token, link, place, Form(), now, 410)
    return outside.give_cookie(leave(url_for(".asking", recipient_id=place.recipient.id, what=aside)))


def enter(link: Any, place: Place, now: datetime) -> Place:
    """Give this browser a fresh token and the right; what it held for others goes along."""
    if not links.is_alive(link, now):
        raise Conflict()
    token = outside.fresh_token(now)
    ceremonies.enter(link, place, sessions.digest(token), by=actor(place), now=now)
    return ceremonies.find(place.recipient.id, token, now)


def settle(press: Callable[[], Any]) -> None:
    """Try what the next screen would ask for anyway; its own page says why it was not possible."""
    try:
        press()
    except PortalError:
        return


def send_first_code(place: Place, now: datetime) -> None:
    """“Continue and send the code”: only where the code is what comes next and none was sent."""
    at = ceremonies.state(place, now)
    if at == "code" and factors.code_state(place.recipient, now).sent_at is None:
        settle(lambda: factors.send_code(place, by=actor(place), now=now))


# --- The screens -------------------------------------------------------------------------------------


def find(recipient_id: str, now: datetime) -> Place:
    """The place this browser has a right to; a stranger gets 404."""
    place = ceremonies.find(recipient_id, outside.token(), now)
    outside.speak(place)
    return place


def actor(place: Place) -> Actor:
    return place.actor(guards.client_address(), guards.client_agent())


@bp.get("/ceremony/<recipient_id>")
def page(recipient_id: str) -> Response:
    now = utc_now()
    return answer(find(recipient_id, now), Form(), now)


def answer(place: Place, form: Form, now: datetime, *, problem: str = "", status: int = 200) -> Response:
    """The screen this recipient is at."""
    at = ceremonies.state(place, now)
    if at == "totp" and signing.prefers_text(place, request.args.get("by") == "text", now):
        at = "code"
    if at == "code" and request.args.get("by") == "handed":
        at = "handed"
    if at == "read":
        viewings.note(place.contract, place.document, by=actor(place), now=now)
    page = signing.TEMPLATES.get(at, "ceremony/closed.html")
    return show(page, status=status, problem=problem, **signing.screen(place, at, form, now))


View = Callable[[Place, Form, datetime], Any]


def press(rule: str) -> Callable[[View], View]:
    """A route for one button: what is refused shows the screen again, else on to the next one."""

    def decorate(view: View) -> View:
        @wraps(view)
        def pressed(recipient_id: str) -> Response:
            now = utc_now()
            place, form = find(recipient_id, now), Form(request.form)
            try:
                view(place, form, now)
            except Invalid as refusal:
                form.errors.update(refusal.errors)
                return answer(find(recipient_id, now), form, now, status=422)
            except (Conflict, TooMany) as refusal:
                fresh = find(recipient_id, now)
                return answer(fresh, form, now, problem=refusal.message, status=refusal.status)
            return leave(url_for(".page", recipient_id=recipient_id))

        bp.add_url_rule(f"/ceremony/<recipient_id>/{rule}", view.__name__, pressed, methods=["POST"])
        return view

    return decorate


@press("consent")
def agree(place: Place, form: Form, now: datetime) -> None:
    if not form.checked("consent"):
        raise Invalid({"consent": _("Tick the box to go on, or ask for paper below.")})
    language = form.choice("language", i18n.LANGUAGES, required=False) or i18n.current()
    acts.agree(place, language, form.text("word", most=60), by=actor(place), now=now)
    send_first_code(ceremonies.find(place.recipient.id, outside.token(), now), now)


@press("code")
def send_code(place: Place, form: Form, now: datetime) -> None:
    demand_open(place, now)
    factors.send_code(place, by=actor(place), now=now)


@press("code/check")
def check_code(place: Place, form: Form, now: datetime) -> None:
    demand_open(place, now)
    factors.check_code(place, form.text("code", most=40), by=actor(place), now=now)


@press("totp/check")
def check_app(place: Place, form: Form, now: datetime) -> None:
    demand_open(place, now)
    source = guards.client_address()
    factors.check_app(place, form.text("code", most=40), source=source, by=actor(place), now=now)


@press("handed/check")
def check_handed(place: Place, form: Form, now: datetime) -> None:
    demand_open(place, now)
    factors.check_handed(place, form.text("code", most=40), by=actor(place), now=now)


@press("totp/enrol")
def begin_app(place: Place, form: Form, now: datetime) -> None:
    outside_factors.begin(place, now)


@press("totp/enrol/check")
def enrol_app(place: Place, form: Form, now: datetime) -> None:
    source = guards.client_address()
    factors.enrol(place, form.text("code", most=40), source=source, by=actor(place), now=now)


def demand_open(place: Place, now: datetime) -> None:
    """Codes are for those whose next step is one."""
    at = ceremonies.state(place, now)
    if at not in ("code", "totp", "handed", "enrol"):
        raise Conflict(_("There is no code to type now."))


@press("signature")
def prepare(place: Place, form: Form, now: datetime) -> None:
    language = form.choice("language", i18n.LANGUAGES, required=False) or i18n.current()
    signature = acts.Signature(
        language,
        name=form.text("name", most=120),
        title=form.text("title", most=120),
        drawn=form.text("drawn", most=acts.LONGEST_DRAWN),
        has_authority=form.checked("bind"),
        has_read=form.checked("read"),
    )
    if form.errors:
        raise Invalid(form.errors)
    acts.prepare(place, signature, by=actor(place), now=now)


@press("change")
def change(place: Place, form: Form, now: datetime) -> None:
    acts.change(place)


@press("confirm")
def confirm(place: Place, form: Form, now: datetime) -> None:
    acts.confirm(place, document_sha256=form.text("document_sha256", most=64), by=actor(place), now=now)


@press("not-my-number")
def not_my_number(place: Place, form: Form, now: datetime) -> None:
    demand_open(place, now)
    factors.not_my_number(place, by=actor(place), now=now)


@bp.get("/ceremony/<recipient_id>/app")
def app(recipient_id: str) -> Response:
    """Set up an authenticator app for next time, once everything here is done."""
    now = utc_now()
    place = find(recipient_id, now)
    if place.act is None or not outside_factors.seed(place):
        return leave(url_for(".page", recipient_id=recipient_id))
    return show("ceremony/enrol.html", **signing.screen(place, "app", Form(), now))


@bp.post("/ceremony/<recipient_id>/app")
def enrol_for_next_time(recipient_id: str) -> Response:
    """Start, or finish with a code; both come back to a page of ours."""
    now = utc_now()
    place, form = find(recipient_id, now), Form(request.form)
    if "code" not in form.posted:
        outside_factors.begin(place, now)
        return leave(url_for(".app", recipient_id=recipient_id))
    try:
        enrol_app(place, form, now)
    except (Invalid, TooMany) as refusal:
        errors = refusal.errors if isinstance(refusal, Invalid) else {"code": refusal.message}
        form.errors.update(errors)
        fresh = find(recipient_id, now)
        return show("ceremony/enrol.html", status=refusal.status, **signing.screen(fresh, "app", form, now))
    return leave(url_for(".page", recipient_id=recipient_id))


# Their routes belong to this blueprint, whose helpers they use.
from portal.pages import ceremony_asks, ceremony_elsewhere, ceremony_files  # noqa: E402, F401
