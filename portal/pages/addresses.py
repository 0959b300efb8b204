"""Address and proxy: what arrives, what is believed of it, and what is set wrong."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import PortalError
from portal.models.people import Person
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, show
from portal.services import addresses, installation

bp = Blueprint("addresses", __name__, url_prefix="/settings/address")


@bp.get("")
@requires("installation.read")
def page() -> Response:
    return show_page(Form(None))


@bp.post("/confirmation")
@requires("installation.edit")
def confirm() -> Response:
    """ "This is right: that is my address": kept with who said it, for those who set the portal up."""
    try:
        addresses.confirm(
            installation.current().settings, guards.arrival(), request.form.get("address", ""),
            by=guards.actor(), now=utc_now(),
        )  # fmt: skip
    except PortalError as error:
        form = Form(request.form)
        form.refuse("", error.message)
        return show_page(form, error.status)
    return leave(url_for(".page"))


def show_page(form: Form, status: int = 200) -> Response:
    settings, arrival = installation.current().settings, guards.arrival()
    confirmation = addresses.confirmation(settings)
    return show(
        "addresses/show.html",
        None,
        status,
        form=form,
        arrival=arrival,
        peer=addresses.peer_name(arrival),
        headers=addresses.headers(arrival),
        findings=addresses.findings(settings, arrival),
        is_settled=addresses.is_settled(settings, arrival),
        base_url=settings.base_url,
        trusted=str(settings.trusted_proxies),
        confirmation=confirmation,
        confirmed_by=confirmation and Person.get_or_none(Person.id == confirmation.person_id),
        now=utc_now(),
    )
