"""`/settings/text-messages`: the gateway, a test message, and where text messages stop."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.channels import sms
from portal.channels.sms import numbers
from portal.clock import utc_now
from portal.errors import PortalError
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.notices import Notice
from portal.pages import choices, guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, refuse, show, stay
from portal.services import code_messages, gateways, sms_setup, sms_use
from portal.services.sms_use import Limits

bp = Blueprint("text_messages", __name__, url_prefix="/settings/text-messages")

PAGE, TEST = "text_messages/show.html", "text_messages/_test.html"
GATEWAY, LIMITS = "text_messages/gateway.html", "text_messages/limits.html"
WATCHED_FOR = timedelta(minutes=2)
KIND = "<any('twilio', 'vonage', 'webhook'):kind>"

SOURCES = {
    "environment": lazy("Set where the portal is started"),
    "page": lazy("Connected here"),
}
REPORTS = {
    "reported": lazy("The gateway tells us what became of each message"),
    "asked": lazy("We ask the gateway what became of each message"),
    "none": lazy("Not known: the gateway cannot reach this address, or its reports cannot be checked"),
}


@bp.get("")
@requires("installation.read")
def page() -> Response:
    return show(PAGE, TEST, **shown(utc_now()))


def shown(now: datetime, problem: str = "") -> dict[str, Any]:
    state, within = sms_setup.state(now), sms_use.limits()
    test = sms_setup.newest_test(guards.person())
    return {
        "state": state,
        "source": SOURCES.get(state.source, ""),
        "reports": REPORTS[state.reports],
        "kinds": sms.KINDS,
        "may_connect": not state.is_sample and state.source != gateways.ENVIRONMENT,
        "limits": within,
        "price_places": max(2, -int(within.price.normalize().as_tuple().exponent)),
        "countries": country_names(),
        "are_typed": within.countries is not None,
        "test": code_messages.state(test) if test is not None else None,
        "is_watched": is_watched(test, now),
        "phone": guards.person().phone,
        "problem": problem,
    }


def is_watched(test: Notice | None, now: datetime) -> bool:
    """Whether something may still be heard of the test message, so that the page looks again."""
    return test is not None and test.status in ("queued", "sent") and now - test.created_at < WATCHED_FOR


def country_names() -> str:
    return ", ".join(sorted(choices.country_name(code) for code in sms_use.countries()))


@bp.post("/test")
@requires("installation.edit", step_up=True)
def test() -> Response:
    """A text message to one's own number, that shows whether everything works."""
    now = utc_now()
    try:
        sms_setup.send_test(guards.person(), by=guards.actor(), now=now)
    except PortalError as error:
        return show(PAGE, TEST, error.status, **shown(now, error.message))
    return stay(url_for(".page"), TEST, **shown(now))


# --- The gateway ------------------------------------------------------------------------------


@bp.get(f"/{KIND}")
@requires("installation.edit", step_up=True)
def gateway(kind: str) -> Response:
    gateways.demand_free(gateways.SMS)
    return show(GATEWAY, form=Form(), **asked(kind))


@bp.post(f"/{KIND}")
@requires("installation.edit", step_up=True)
def connect(kind: str) -> Response:
    form = Form(request.form)
    typed = {each.name: form.text(each.name, most=sms_setup.LONGEST) for each in sms.KINDS[kind].fields}
    if form.errors:
        return show(GATEWAY, None, 422, form=form, **asked(kind))
    try:
        sms_setup.connect(kind, typed, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(GATEWAY, form, error, **asked(kind))
    return leave(url_for(".page"))


@bp.post("/disconnection")
@requires("installation.edit", step_up=True)
def disconnect() -> Response:
    now = utc_now()
    try:
        gateways.disconnect(gateways.SMS, by=guards.actor(), now=now)
    except PortalError as error:
        return show(PAGE, None, error.status, **shown(now, error.message))
    return leave(url_for(".page"))


def asked(kind: str) -> dict[str, Any]:
    return {"kind": kind, "chosen": sms.KINDS[kind]}


# --- Limits -----------------------------------------------------------------------------------------


@bp.get("/limits")
@requires("installation.edit", step_up=True)
def limits() -> Response:
    within = sms_use.limits()
    form = Form(
        None,
        price=within.price or "",
        currency=within.currency,
        messages_a_month=within.messages_a_month,
        messages_a_day=within.messages_a_day,
        amount_a_month=within.amount_a_month,
        countries=", ".join(within.countries or ()),
    )
    return show(LIMITS, form=form, **offered())


@bp.post("/limits")
@requires("installation.edit", step_up=True)
def change_limits() -> Response:
    form = Form(request.form)
    wanted = read_limits(form)
    if form.errors:
        return show(LIMITS, None, 422, form=form, **offered())
    sms_use.set_limits(wanted, by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


def read_limits(form: Form) -> Limits:
    """The limits as typed; reasons stand beside the fields."""
    codes = form.text("countries").upper().replace(",", " ").replace(";", " ").split()
    unknown = [code for code in codes if not numbers.is_country(code)]
    if unknown:
        form.refuse("countries", _("Not a country code: %(codes)s. Write FR, GB, DE ...",
                                   codes=", ".join(unknown)[:60]))  # fmt: skip
    price = form.decimal("price", most="100", places=5)
    usual = Limits()
    amount = form.decimal("amount_a_month", most="1000000")
    if amount is not None and not price:
        form.refuse("price", _("Write what a message costs, so that the amount can be kept to."))
    return Limits(
        price=price or usual.price,
        currency=form.choice("currency", choices.CURRENCIES),
        messages_a_month=form.integer("messages_a_month", most=1_000_000, required=True) or 0,
        messages_a_day=form.integer("messages_a_day", most=100_000, required=True) or 0,
        amount_a_month=amount,
        countries=tuple(codes) or None,
    )


def offered() -> dict[str, Any]:
    return {"currencies": list(choices.CURRENCIES), "default_countries": country_names()}
