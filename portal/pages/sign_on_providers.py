"""Settings of sign-in: identity providers of staff, and whether passwords still count."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, PortalError
from portal.i18n import gettext as _
from portal.models.sign_on import SignOnProvider
from portal.pages import guards
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, refuse, show
from portal.services import permissions, sign_on_providers

bp = Blueprint("sign_on_providers", __name__, url_prefix="/settings/sign-on")

PAGE, EDIT, REMOVE = "sign_on/index.html", "sign_on/edit.html", "sign_on/remove.html"
KIND = "/new/<any(google,microsoft,generic):kind>"


@bp.get("")
@requires("installation.read")
def page() -> Response:
    return overview()


def overview(status: int = 200, problem: str = "") -> Response:
    return show(
        PAGE,
        None,
        status,
        providers=sign_on_providers.all_providers(),
        passwords_off=sign_on_providers.passwords_are_off(),
        problem=problem,
    )


@bp.post("/passwords")
@requires("installation.edit", step_up=True)
def set_passwords() -> Response:
    try:
        sign_on_providers.set_passwords(on=request.form.get("on") == "yes", by=guards.actor(), now=utc_now())
    except Conflict as error:
        return overview(error.status, error.message)
    return leave(url_for(".page"))


# --- Connecting ---------------------------------------------------------------------------------


@bp.get(KIND)
@requires("installation.edit", step_up=True)
def new(kind: str) -> Response:
    form = Form(None, name=sign_on_providers.NAMES[kind], unknown="refuse")
    return show(EDIT, form=form, **context(kind))


@bp.post(KIND)
@requires("installation.edit", step_up=True)
def connect(kind: str) -> Response:
    form = Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, form=form, **context(kind))
    try:
        provider = sign_on_providers.connect(kind, values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **context(kind))
    return leave(url_for(".edit", sign_on_id=provider.id))


# --- Changing -------------------------------------------------------------------------------------


@bp.get("/<sign_on_id>")
@requires("installation.edit", step_up=True)
def edit(sign_on_id: str) -> Response:
    provider = sign_on_providers.get(sign_on_id)
    return show(EDIT, form=filled(provider), **context(provider.kind, provider))


@bp.post("/<sign_on_id>")
@requires("installation.edit", step_up=True)
def change(sign_on_id: str) -> Response:
    provider, form = sign_on_providers.get(sign_on_id), Form(request.form)
    values = read(form)
    if form.errors:
        return show(EDIT, None, 422, form=form, **context(provider.kind, provider))
    try:
        sign_on_providers.change(provider, values, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(EDIT, form, error, **context(provider.kind, provider))
    return leave(url_for(".edit", sign_on_id=sign_on_id))


@bp.post("/<sign_on_id>/check")
@requires("installation.edit", step_up=True)
def check(sign_on_id: str) -> Response:
    """Ask the provider now, and say on its page what holds."""
    provider = sign_on_providers.get(sign_on_id)
    found = sign_on_providers.check(provider)
    return show(EDIT, form=filled(provider), **context(provider.kind, provider) | {"found": found})


@bp.post("/<sign_on_id>/activity")
@requires("installation.edit", step_up=True)
def switch(sign_on_id: str) -> Response:
    on = request.form.get("on") == "yes"
    sign_on_providers.switch(sign_on_providers.get(sign_on_id), on=on, by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


@bp.get("/<sign_on_id>/removal")
@requires("installation.edit", step_up=True)
def removal(sign_on_id: str) -> Response:
    provider = sign_on_providers.get(sign_on_id)
    return show(REMOVE, provider=provider, linked=sign_on_providers.people_linked(provider))


@bp.post("/<sign_on_id>/removal")
@requires("installation.edit", step_up=True)
def remove(sign_on_id: str) -> Response:
    sign_on_providers.remove(sign_on_providers.get(sign_on_id), by=guards.actor(), now=utc_now())
    return leave(url_for(".page"))


# --- The form -----------------------------------------------------------------------------------------


def read(form: Form) -> dict[str, Any]:
    """A provider as typed. Lists stand one to a line, or with commas or spaces between domains."""
    values = {
        name: form.text(name)
        for name in ("client_id", "client_secret", "issuer", "tenant", "scopes", "role_claim", "acr")
    }
    return values | {
        "name": form.text("name", most=40),
        "hosted_domain": form.text("hosted_domain", most=253).lower(),
        "domains": form.text("domains", most=4000).lower().replace(",", " ").split(),
        "role_map": {role: lines for role in permissions.ROLES if (lines := lines_of(form, f"map_{role}"))},
        "unknown": form.choice("unknown", ("refuse", "make")),
        "first_role": form.choice("first_role", sign_on_providers.FIRST_ROLES, required=False),
        "believes_factor": form.checked("believes_factor"),
    }


def lines_of(form: Form, name: str) -> list[str]:
    return [line.strip() for line in form.text(name, most=4000).splitlines() if line.strip()]


def filled(provider: SignOnProvider) -> Form:
    """The form as kept; the secret is never shown again."""
    maps = {f"map_{role}": "\n".join(names) for role, names in provider.role_map.items()}
    same = ("name", "client_id", "scopes", "hosted_domain", "role_claim", "unknown", "first_role", "acr")
    return Form(
        None,
        domains="\n".join(provider.domains),
        believes_factor="yes" if provider.believes_factor else "",
        **{name: getattr(provider, name) for name in same},
        **maps,
    )


def context(kind: str, provider: SignOnProvider | None = None) -> dict[str, Any]:
    first = [(role, permissions.ROLES[role][0]) for role in sign_on_providers.FIRST_ROLES]
    return {
        "kind": kind,
        "provider": provider,
        "redirect": sign_on_providers.redirect_address(),
        "found": None,
        "roles": [(f"map_{role}", name) for role, (name, _about) in permissions.ROLES.items()],
        "first_roles": [("", _("choose")), *first],
    }
