"""How mail leaves the house: the server, a test mail, and all that tells whether mails arrive."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.channels import mail, smtp
from portal.clock import utc_now
from portal.errors import PortalError
from portal.i18n import lazy
from portal.models.notices import Notice
from portal.pages import guards, message_states
from portal.pages.forms import Form
from portal.pages.guards import person, requires
from portal.pages.mail_fields import host_name, sender_address
from portal.pages.respond import leave, refuse, show, stay
from portal.services import (
    gateways,
    installation,
    mail_domains,
    mail_hooks,
    mail_setup,
    return_box,
)

bp = Blueprint("mail_settings", __name__, url_prefix="/settings/mail")

PAGE, SERVER = "mail_settings/show.html", "mail_settings/server.html"
TEST, DOMAINS = "mail_settings/_test.html", "mail_settings/_domains.html"
ENCRYPTION = {
    smtp.REQUIRED: lazy("STARTTLS, required"),
    smtp.IMPLICIT: lazy("TLS from the start"),
    smtp.OPPORTUNISTIC: lazy("STARTTLS where the server offers it"),
    smtp.NONE: lazy("None, for a server on this machine"),
}
RECORD_WORDS = {
    "fine": (lazy("Fine"), "good"),
    "missing": (lazy("Missing"), "bad"),
    "wrong": (lazy("Wrong"), "bad"),
    "unknown": (lazy("Not known"), "none"),
}


@bp.get("")
@requires("installation.read")
def page() -> Response:
    return show(PAGE, **view(Form(None)))


def view(form: Form) -> dict[str, Any]:
    now = utc_now()
    used, state = gateways.in_force(gateways.MAIL), mail_setup.state(now)
    return {
        "state": state,
        "server": mail.server_of(used.url) if used.is_real else None,
        "sender": ", ".join(filter(None, parseaddr(used.sender))),
        "encryptions": ENCRYPTION,
        "is_sample": installation.current().settings.sample_marker.is_file(),
        "test": tested(state.test),
        "returns": return_box.in_force(),
        "returns_where": return_box.where(return_box.in_force().url),
        "returns_state": return_box.state(),
        "hooks": [(each, mail_hooks.NAMES[each], on) for each, on in mail_hooks.connected().items()],
        "hook_address": f"{installation.address()}/webhooks/mail/",
        "now": now,
        "form": form,
        **domains_view(state),
    }


def domains_view(state: mail_setup.State) -> dict[str, Any]:
    return {
        "domains": state.domains,
        "record_words": RECORD_WORDS,
        "in_words": mail_domains.in_words,
        "is_being_checked": mail_domains.is_being_checked(),
    }


# --- The server ------------------------------------------------------------------------------


@bp.get("/server")
@requires("installation.edit", step_up=True)
def server() -> Response:
    gateways.demand_free(gateways.MAIL)
    now = mail_setup.present()
    return server_page(Form(None, **vars(now)))


def server_page(form: Form, error: PortalError | None = None) -> Response:
    context = {
        "encryptions": [(each, ENCRYPTION[each]) for each in mail_setup.ENCRYPTIONS],
        "is_kept": gateways.in_force(gateways.MAIL).is_real,
    }
    if error is not None:
        return refuse(SERVER, form, error, **context)
    return show(SERVER, None, 422 if form.errors else 200, form=form, **context)


@bp.post("/server")
@requires("installation.edit", step_up=True)
def connect() -> Response:
    """Try what was typed; keep it when it works."""
    form = Form(request.form)
    encryption = form.choice("encryption", mail_setup.ENCRYPTIONS)
    typed = mail_setup.Typed(
        host=host_name(form, "host"),
        port=form.integer("port", least=1, most=65535) or mail_setup.PORTS.get(encryption, 587),
        encryption=encryption,
        user=form.text("user", most=200),
        password=str(form.value("password")),
        sender_name=form.text("sender_name", most=100),
        sender_address=sender_address(form, "sender_address", required=True),
    )
    if form.errors:
        return server_page(form)
    try:
        mail_setup.connect(typed, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return server_page(form, error)
    return leave(url_for(".page"))


@bp.post("/server/ending")
@requires("installation.edit", step_up=True)
def disconnect() -> Response:
    gateways.disconnect(gateways.MAIL, by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


# --- The test mail ---------------------------------------------------------------------------


@bp.get("/test")
@requires("installation.read")
def test() -> Response:
    """How the last test mail went: the page, or its part alone while somebody waits for it."""
    return show(PAGE, TEST, **view(Form(None)))


@bp.post("/test")
@requires("installation.edit")
def send_test() -> Response:
    try:
        mail_setup.send_test(person(), now=utc_now())
    except PortalError as error:
        return refuse(PAGE, Form(), error, TEST, **{k: v for k, v in view(Form()).items() if k != "form"})
    return stay(url_for(".page") + "#test", TEST, **view(Form(None)))


def tested(notice: Notice | None) -> dict[str, Any] | None:
    if notice is None:
        return None
    return message_states.described(notice) | {
        "is_waiting": notice.status == "queued",
        "asked_at": notice.created_at,
    }
