"""Identity providers of staff: connected, changed, tried, paused and removed by an administrator.

The issuer is fixed when a provider is connected, since people are linked under it: to use another
one, connect it beside the former.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import peewee

from portal import scrub
from portal.channels import Unavailable, oidc, web
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.people import Person, PersonRole
from portal.models.sign_on import SignOnLink, SignOnProvider, active_providers, confirming_providers
from portal.services import audit, installation, permissions
from portal.services.audit import Actor

GOOGLE, MICROSOFT, GENERIC = "google", "microsoft", "generic"
NAMES = {GOOGLE: "Google", MICROSOFT: "Microsoft", GENERIC: ""}  # to begin with, on the button
GOOGLE_ISSUER = "https://accounts.google.com"
ENTRA = "https://login.microsoftonline.com/{tenant}/v2.0"
TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}\Z")
REFUSE, MAKE = "refuse", "make"
# Roles that somebody unknown may begin with: an administrator is made by hand, or by the role map.
FIRST_ROLES = tuple(role for role in permissions.ROLES if role != permissions.ADMINISTRATOR)
FIELDS = (
    "name", "client_id", "scopes", "hosted_domain", "domains", "role_claim", "role_map", "unknown",
    "first_role", "believes_factor", "acr",
)  # fmt: skip
PASSWORDS = "staff_passwords"  # the fact: "on" or "off"


def get(provider_id: str) -> SignOnProvider:
    found: SignOnProvider | None = SignOnProvider.get_or_none(SignOnProvider.id == provider_id)
    if found is None:
        raise NotFound
    return found


def active(provider_id: str) -> SignOnProvider:
    """One whose button stands on the sign-in page. Raises NotFound."""
    found = get(provider_id)
    if found.paused_at is not None:
        raise NotFound
    return found


def all_providers() -> list[SignOnProvider]:
    return list(SignOnProvider.select().order_by(SignOnProvider.created_at, SignOnProvider.id))


def offered() -> list[SignOnProvider]:
    """Those whose button stands on the sign-in page."""
    return active_providers()


def confirming(person: Person) -> list[SignOnProvider]:
    """Those that may stand in for this person's code, to step up."""
    return confirming_providers(person)


def of(person: Person) -> list[SignOnProvider]:
    """Those whose account is linked to this person, paused ones as well."""
    query = SignOnProvider.select().join(SignOnLink).where(SignOnLink.person == person)
    return list(query.order_by(SignOnProvider.created_at, SignOnProvider.id))


def people_linked(provider: SignOnProvider) -> int:
    return int(SignOnLink.select().where(SignOnLink.provider == provider).count())


def redirect_address() -> str:
    """Where providers send people back to: it is copied into each provider's own settings."""
    return f"{installation.address()}/sign-in/callback"


def is_local() -> bool:
    """Whether this installation is only tried out on its own machine."""
    return installation.current().settings.base_url_is_local


def client_of(provider: SignOnProvider) -> oidc.Client:
    return oidc.Client(
        issuer=provider.issuer,
        client_id=provider.client_id,
        secret=opened(provider),
        redirect=redirect_address(),
        is_local=is_local(),
    )


def sealed(provider_id: str, secret: str) -> str:
    """The secret encrypted for this provider's row alone."""
    return installation.current().box.seal(f"{provider_id}:{secret}")


def opened(provider: SignOnProvider) -> str:
    whose, _colon, secret = installation.current().box.open(provider.client_secret).partition(":")
    if whose != provider.id:
        raise Conflict(_("The secret of this provider is damaged. Type it again."))
    scrub.hide([secret])
    return secret


# --- Connecting and changing ----------------------------------------------------------------------


def connect(kind: str, values: Mapping[str, Any], *, by: Actor, now: datetime) -> SignOnProvider:
    """Connect a provider. Raises Invalid.

    `values` holds FIELDS, `client_secret` and, by kind, `tenant` or `issuer`.
    """
    errors = faults(values)
    field, issuer = issuer_of(kind, values, errors)
    if not values.get("client_secret"):
        errors["client_secret"] = _("Fill this in.")
    if errors:
        raise Invalid(errors)
    provider = SignOnProvider(kind=kind, issuer=issuer, created_at=now, **kept(values))
    provider.client_secret = sealed(provider.id, values["client_secret"])
    try:
        with transaction():
            provider.save(force_insert=True)
            record("sign_on_provider.connected", provider, by, now, {"kind": kind, "issuer": issuer})
    except peewee.IntegrityError as error:
        raise Invalid({field: _("This identity provider is connected already.")}) from error
    return provider


def change(provider: SignOnProvider, values: Mapping[str, Any], *, by: Actor, now: datetime) -> None:
    """Change what was typed; an empty secret keeps the one there is. Raises Invalid."""
    errors = faults(values)
    if errors:
        raise Invalid(errors)
    wanted = kept(values)
    changed = [name for name, value in wanted.items() if getattr(provider, name) != value]
    if values.get("client_secret"):
        wanted["client_secret"] = sealed(provider.id, values["client_secret"])
        changed.append("client_secret")
    if not changed:
        return
    with transaction():
        SignOnProvider.update(wanted).where(SignOnProvider.id == provider.id).execute()
        record("sign_on_provider.changed", provider, by, now, {"fields": sorted(changed)})


def kept(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in FIELDS}


def faults(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong, beside its field."""
    found = {name: _("Fill this in.") for name in ("name", "client_id") if not values[name]}
    wrong = [each for each in values["domains"] if not DOMAIN.match(each)]
    if wrong:
        found["domains"] = _("“%(domain)s” is not a domain. Write it as example.com.", domain=wrong[0])
    if values["hosted_domain"] and not DOMAIN.match(values["hosted_domain"]):
        found["hosted_domain"] = _(
            "“%(domain)s” is not a domain. Write it as example.com.", domain=values["hosted_domain"]
        )
    if any(not SCOPE.match(each) for each in values["scopes"].split()):
        found["scopes"] = _("Write scopes with a space between them, such as: groups.")
    if values["role_map"] and not values["role_claim"]:
        found["role_claim"] = _("Name the claim that these values stand in.")
    if values["unknown"] == MAKE:
        if not values["domains"] and not values["hosted_domain"]:
            found["domains"] = _("Say whose addresses may join by themselves.")
        if values["first_role"] not in FIRST_ROLES:
            found["first_role"] = _("Choose one of the answers offered.")
    return found


def issuer_of(kind: str, values: Mapping[str, Any], errors: dict[str, str]) -> tuple[str, str]:
    """The field that names the issuer, and the issuer; what is wrong with it goes into `errors`."""
    if kind == GOOGLE:
        return "", GOOGLE_ISSUER
    if kind == MICROSOFT:
        tenant = values["tenant"].lower()
        if not TENANT.match(tenant):
            errors["tenant"] = _(
                "Copy the Directory (tenant) ID: 36 characters, such as 8eaef023-2b34-4da1-9baa-8bc8c9d6a490."
            )
        return "tenant", ENTRA.format(tenant=tenant)
    issuer: str = values["issuer"].removesuffix(oidc.DISCOVERY)
    try:
        if urlsplit(issuer).query:
            raise web.Forbidden
        web.judge(issuer, is_local=is_local())
    except ValueError:
        errors["issuer"] = _("Write an address that begins with https://, such as https://login.example.com.")
    return "issuer", issuer


def switch(provider: SignOnProvider, *, on: bool, by: Actor, now: datetime) -> None:
    """Show its button, or hide it; who is linked stays linked."""
    if on == (provider.paused_at is None):
        return
    with transaction():
        SignOnProvider.update(paused_at=None if on else now).where(SignOnProvider.id == provider.id).execute()
        record("sign_on_provider.resumed" if on else "sign_on_provider.paused", provider, by, now)


def remove(provider: SignOnProvider, *, by: Actor, now: datetime) -> None:
    """Forget the provider, its secret and who is linked by it; the people stay."""
    with transaction():
        SignOnProvider.delete().where(SignOnProvider.id == provider.id).execute()
        record("sign_on_provider.removed", provider, by, now, {"issuer": provider.issuer})


def record(
    act: str, provider: SignOnProvider, by: Actor, now: datetime, facts: Mapping[str, Any] | None = None
) -> None:
    subject = ("sign_on_provider", provider.id)
    audit.append(act, subject, chain=audit.INSTALLATION, by=by, now=now, facts=facts)


# --- Trying -----------------------------------------------------------------------------------------


def check(provider: SignOnProvider) -> list[tuple[bool, str]]:
    """Ask the provider about itself and whether it knows us: what holds and what does not, in sentences.

    Nobody is signed in. Call it outside a transaction.
    """
    client, said = client_of(provider), []
    try:
        found = oidc.metadata(client, fresh=True)
        said.append((True, _("It answers, and says that it is the issuer you named.")))
        published = len(oidc.keys(client, fresh=True).keys)
        said.append((True, _("Its keys can be read: %(count)s.", count=published)))
    except Unavailable:
        return [*said, (False, _("It does not answer at %(address)s.", address=provider.issuer))]
    except oidc.Untrusted:
        return [*said, (False, _("What it says about itself cannot be used. Is the issuer written letter by "
                                 "letter as the provider writes it?"))]  # fmt: skip
    if found.algorithms and not set(found.algorithms) & set(oidc.ALGORITHMS):
        said.append((False, _("It signs in a way that is not taken here: switch RS256 or ES256 on there.")))
    if found.challenges and "S256" not in found.challenges:
        said.append((False, _("It does not say that it knows PKCE with S256.")))
    said.append(check_client(client))
    return said


def check_client(client: oidc.Client) -> tuple[bool, str]:
    """Whether client id and secret are taken: a code that nobody was given is refused for that alone."""
    try:
        oidc.ask_token(client, "countersign-check", oidc.Attempt.new().verifier)
    except oidc.WrongClient:
        return False, _("It does not take client ID and secret. Copy both again.")
    except Unavailable:
        return False, _("Its token address does not answer.")
    except oidc.Untrusted:
        pass  # the code was refused, as it should be
    return True, _("It takes client ID and secret.")


# --- Passwords of staff ---------------------------------------------------------------------------------


def passwords_are_off() -> bool:
    """Whether staff must use a provider; without an active one everybody's password counts again."""
    return installation.fact(PASSWORDS, "on") == "off" and bool(active_providers())


def set_passwords(*, on: bool, by: Actor, now: datetime) -> None:
    """Let staff sign in with passwords, or administrators alone.

    Raises Conflict unless a provider is active and an administrator could still come in without it.
    """
    if not on and not active_providers():
        raise Conflict(_("Connect an identity provider first."))
    if not on and not has_way_out():
        raise Conflict(_("First an administrator needs a password and an authenticator app of their own."))
    with transaction():
        installation.set_fact(PASSWORDS, "on" if on else "off", now)
        act = "sign_on.passwords_allowed" if on else "sign_on.passwords_refused"
        audit.append(act, ("installation", "sign_on"), chain=audit.INSTALLATION, by=by, now=now)


def has_way_out() -> bool:
    """Whether an active administrator holds a password and a second factor of ours."""
    query = Person.select().join(PersonRole).where(PersonRole.role == permissions.ADMINISTRATOR)
    holds_both = Person.password_hash.is_null(False) & Person.totp_secret.is_null(False)
    is_active = Person.disabled_at.is_null() & Person.activated_at.is_null(False)
    return bool(query.where(holds_both & is_active).exists())
