"""What tells whether mails arrive: the mailbox of returned mail, reports of services, the DNS."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote, urlsplit

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, PortalError
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.pages import guards, mail_settings
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.mail_fields import host_name, return_address
from portal.pages.respond import leave, refuse, show, stay
from portal.services import installation, mail_domains, mail_hooks, mail_setup, return_box

bp = Blueprint("mail_reports", __name__, url_prefix="/settings/mail")

RETURNS, REPORTS = "mail_settings/returns.html", "mail_settings/reports.html"
KINDS = {"imaps": lazy("IMAP, encrypted"), "pop3s": lazy("POP3, encrypted")}
SERVICE = "<any(ses,mailgun,sendgrid,postmark,standard):service>"


# --- The mailbox -----------------------------------------------------------------------------


@bp.get("/returns")
@requires("installation.edit", step_up=True)
def returns() -> Response:
    return_box.demand_free()
    present = return_box.in_force()
    parts = urlsplit(present.url)
    folder = unquote(parts.path.strip("/")) or "INBOX"
    form = Form(
        None, kind=parts.scheme or "imaps", host=parts.hostname or "", port=parts.port or "",
        user=unquote(parts.username or ""), folder=folder, address=present.address,
    )  # fmt: skip
    return returns_page(form)


def returns_page(form: Form, error: PortalError | None = None) -> Response:
    context = {"kinds": list(KINDS.items()), "is_kept": bool(return_box.in_force().url)}
    if error is not None:
        return refuse(RETURNS, form, error, **context)
    return show(RETURNS, None, 422 if form.errors else 200, form=form, **context)


@bp.post("/returns")
@requires("installation.edit", step_up=True)
def connect_returns() -> Response:
    """Try the mailbox; keep it when it can be read."""
    form = Form(request.form)
    kind, host = form.choice("kind", KINDS), host_name(form, "host")
    port = form.integer("port", least=1, most=65535)
    user = form.text("user", most=200, required=True)
    folder = form.text("folder", most=100) or "INBOX"
    address = return_address(form, "address")
    password = str(form.value("password")) or mail_setup.kept_returns_password(host, user)
    if not password:
        form.refuse("password", _("Write the password."))
    if form.errors:
        return returns_page(form)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    place = f"[{host}]" if ":" in host else host
    url = f"{kind}://{login}@{place}{f':{port}' if port else ''}/{quote(folder) if kind == 'imaps' else ''}"
    try:
        mail_setup.connect_returns(url, address, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return returns_page(form, error)
    return leave(url_for("mail_settings.page") + "#returns")


@bp.post("/returns/ending")
@requires("installation.edit", step_up=True)
def disconnect_returns() -> Response:
    return_box.disconnect(by=guards.actor(), now=utc_now())
    return leave(url_for("mail_settings.page") + "#returns")


# --- Reports of mail services ------------------------------------------------------------------


@bp.get(f"/reports/{SERVICE}")
@requires("installation.edit", step_up=True)
def reports(service: str) -> Response:
    return reports_page(service, Form(None))


def reports_page(service: str, form: Form, status: int = 200) -> Response:
    label, hint = mail_hooks.KEYS[service]
    return show(
        REPORTS, None, status, service=service, name=mail_hooks.NAMES[service], label=label, hint=hint,
        form=form, is_kept=mail_hooks.connected()[service],
        address=f"{installation.address()}/webhooks/mail/{service}",
    )  # fmt: skip


@bp.post(f"/reports/{SERVICE}")
@requires("installation.edit", step_up=True)
def connect_reports(service: str) -> Response:
    form = Form(request.form)
    key = form.text("key", most=1000, required=True)
    if form.errors:
        return reports_page(service, form, 422)
    try:
        mail_hooks.connect(service, key, by=guards.actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return reports_page(service, form, 422)
    return leave(url_for("mail_settings.page") + "#reports")


@bp.post(f"/reports/{SERVICE}/ending")
@requires("installation.edit", step_up=True)
def disconnect_reports(service: str) -> Response:
    mail_hooks.disconnect(service, by=guards.actor(), now=utc_now())
    return leave(url_for("mail_settings.page") + "#reports")


# --- Sending domains ---------------------------------------------------------------------------


@bp.get("/domains")
@requires("installation.read")
def domains() -> Response:
    """What the DNS says: the page, or its part alone while it is being looked up."""
    return show(mail_settings.PAGE, mail_settings.DOMAINS, **mail_settings.view(Form(None)))


@bp.post("/domains")
@requires("installation.edit")
def check_domains() -> Response:
    """Look again now."""
    mail_domains.ask(utc_now())
    url = url_for("mail_settings.page") + "#domains"
    return stay(url, mail_settings.DOMAINS, **mail_settings.view(Form(None)))


@bp.post("/domains/selectors")
@requires("installation.edit", step_up=True)
def set_selectors() -> Response:
    form = Form(request.form)
    domain, typed = form.text("domain", most=253, required=True), form.text("selectors", most=300)
    if not form.errors:
        try:
            mail_domains.set_selectors(domain, typed, by=guards.actor(), now=utc_now())
            return leave(url_for("mail_settings.page") + "#domains")
        except Invalid as invalid:
            form.errors.update(invalid.errors)
    context: dict[str, Any] = mail_settings.view(form)
    return show(mail_settings.PAGE, mail_settings.DOMAINS, 422, **context)
