"""Signing in with an identity provider: to it and back, whose account it is, roles, second factor.

A person is known by issuer and subject. The first link is made by a mail address that the provider
vouches for, of somebody of ours who has no link with it yet; an address that changes there later
moves nothing. Network calls come first and outside any transaction; one transaction writes the rest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal import channels
from portal.channels import oidc
from portal.documents.crypto import Unreadable
from portal.errors import Conflict, Invalid, NotAllowed, PortalError, Unavailable
from portal.i18n import LANGUAGES
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.people import Person, Session
from portal.models.sign_on import SignOnLink, SignOnProvider
from portal.services import (
    audit,
    installation,
    limits,
    people,
    permissions,
    person_tokens,
    sessions,
    sign_on_providers,
)
from portal.services.audit import Actor
from portal.services.sign_on_providers import GOOGLE, MAKE, MICROSOFT

SIGN_IN, STEP_UP = "sign_in", "step_up"
ERRAND_LIFE = timedelta(minutes=10)
CAPS = (limits.Cap(60, timedelta(minutes=15), limits.SOURCE, failures=True),)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Errand:
    """What a browser went to a provider for; it carries this, encrypted, in a cookie."""

    provider_id: str
    purpose: str
    session: str  # the digest of the one to step up
    target: str
    at: datetime
    attempt: oidc.Attempt


@dataclass(frozen=True)
class Entered:
    """Who came in; `is_proved` when the provider's second factor counts."""

    person: Person
    is_proved: bool


# --- To the provider ------------------------------------------------------------------------------


def begin(
    provider: SignOnProvider, *, target: str, now: datetime, session: Session | None = None
) -> tuple[str, str]:
    """The provider's address to send the browser to, and the errand for its cookie.

    With a session the person proves themselves afresh, to step up. Raises Unavailable.
    """
    attempt = oidc.Attempt.new()
    afresh = {"prompt": "login", "max_age": "0"} if session is not None else {}
    try:
        url = oidc.way_out(
            sign_on_providers.client_of(provider),
            attempt,
            scope=" ".join(("openid", "email", "profile", *provider.scopes.split())),
            acr_values=provider.acr if provider.believes_factor else "",
            hd=provider.hosted_domain,
            **afresh,
        )
    except (channels.Unavailable, oidc.Untrusted) as error:
        raise not_reached(provider, error) from error
    errand = {
        "provider": provider.id,
        "purpose": SIGN_IN if session is None else STEP_UP,
        "session": session.sha256 if session is not None else "",
        "target": target,
        "at": now.timestamp(),
        "attempt": [attempt.state, attempt.nonce, attempt.verifier],
    }
    return url, installation.current().box.seal(json.dumps({"errand": errand}))


def read_errand(sealed: str, now: datetime) -> Errand:
    """What this browser was sent for. Raises Invalid when it was not, or too long ago."""
    try:
        said = json.loads(installation.current().box.open(sealed))["errand"]
        at = datetime.fromtimestamp(said["at"], now.tzinfo)
    except (Unreadable, ValueError, KeyError, TypeError) as error:
        raise Invalid({"": lost()}) from error
    if not timedelta(0) <= now - at < ERRAND_LIFE:
        raise Invalid({"": lost()})
    return Errand(
        said["provider"], said["purpose"], said["session"], said["target"], at, oidc.Attempt(*said["attempt"])
    )


def lost() -> str:
    return _("This browser did not come from the sign-in page, or took too long. Begin again.")


def not_reached(provider: SignOnProvider, error: Exception) -> Unavailable:
    noted(provider, error)
    return Unavailable(
        _("%(provider)s does not answer right now. Try again in a minute, or use your password.",
          provider=provider.name)
    )  # fmt: skip


def noted(provider: SignOnProvider, error: Exception) -> None:
    """For the log: why, in words of ours that hold no code, token or secret."""
    fields = {"provider": provider.id, "reason": str(error) or type(error).__name__}
    log.warning("sign_on.failed", extra={"fields": fields})


# --- And back -----------------------------------------------------------------------------------------


def answer(
    provider: SignOnProvider, errand: Errand, said: Mapping[str, str], *, source: str, now: datetime
) -> dict[str, Any]:
    """What the provider vouches for, from the address the browser came back to.

    Raises Invalid, NotAllowed, Unavailable or TooMany. Call it outside a transaction.
    """
    attempt = limits.check("sign_on", provider.id, source, now, CAPS)
    client = sign_on_providers.client_of(provider)
    wanted = frozenset({"email"} | ({provider.role_claim.split(".")[0]} if provider.role_claim else set()))
    try:
        oidc.demand_ours(client, errand.attempt, said.get("state", ""), said.get("iss", ""))
        if "error" in said:
            raise turned_back(provider, said["error"])
        claims = oidc.claims(client, errand.attempt, said.get("code", ""), now, wanted)
    except channels.Unavailable as error:
        raise not_reached(provider, error) from error
    except (oidc.Untrusted, oidc.WrongClient) as error:
        noted(provider, error)
        raise Invalid(
            {"": _("What %(provider)s answered cannot be trusted, so nobody was signed in. Begin again; "
                   "if it happens again, tell an administrator.", provider=provider.name)}
        ) from error  # fmt: skip
    limits.succeed(attempt)
    return claims


def turned_back(provider: SignOnProvider, error: str) -> PortalError:
    """The person changed their mind there, or the provider would not have them."""
    if error in ("temporarily_unavailable", "server_error"):
        return not_reached(provider, oidc.Untrusted("it says that it is down"))
    return NotAllowed(_("%(provider)s did not sign you in.", provider=provider.name))


def is_proved(provider: SignOnProvider, claims: Mapping[str, Any]) -> bool:
    """Whether the provider says that a second factor was proved, and is believed."""
    return bool(provider.believes_factor and oidc.is_multi_factor(dict(claims), provider.acr))


def enter(
    provider: SignOnProvider, claims: Mapping[str, Any], *, address: str, user_agent: str, now: datetime
) -> Entered:
    """Whose account this is, with the roles the provider gives. Raises NotAllowed, which the trail keeps."""
    try:
        with transaction():
            person = person_of(provider, claims, Actor("outside", "", "", "", address, user_agent), now)
            by = Actor("person", person.id, person.name, person.email, address, user_agent)
            map_roles(provider, person, claims, now)
            proved = is_proved(provider, claims)
            note("sign_on.used", person, by, now, {"provider": provider.id, "second_factor": proved})
    except NotAllowed as error:
        note_refusal(provider, claims, error, address, user_agent, now)
        raise
    except peewee.IntegrityError as error:  # two browsers of one new person at the same moment
        raise Conflict(_("Somebody was faster. Begin again.")) from error
    return Entered(person, proved)


def confirm(session: Session, provider: SignOnProvider, claims: Mapping[str, Any], since: datetime) -> None:
    """That whoever is signed in proved both factors at the provider just now. Raises NotAllowed."""
    link = link_of(provider, claims)
    if link is None or link.person.id != sessions.holder(session).id:
        raise NotAllowed(_("%(provider)s knows you as somebody else.", provider=provider.name))
    demand_admitted(provider, claims)
    if not oidc.is_fresh(dict(claims), since) or not is_proved(provider, claims):
        raise NotAllowed(
            _("%(provider)s does not say that you proved yourself just now.", provider=provider.name)
        )


def opens_by_password(person: Person) -> bool:
    """Whether a password, or a mailed link to set one, may lead to this account.

    Not where staff passwords are off, but for administrators; nor where the second factor is the
    provider's, since a password alone would then be enough to connect an app.
    """
    if not person.totp_secret and sign_on_providers.confirming(person):
        return False
    is_free = not person.is_staff or permissions.ADMINISTRATOR in permissions.roles_of(person)
    return is_free or not sign_on_providers.passwords_are_off()


# --- Whose account -------------------------------------------------------------------------------------


def link_of(provider: SignOnProvider, claims: Mapping[str, Any]) -> SignOnLink | None:
    found: SignOnLink | None = SignOnLink.get_or_none(
        (SignOnLink.issuer == provider.issuer) & (SignOnLink.subject == claims["sub"])
    )
    return found


def person_of(provider: SignOnProvider, claims: Mapping[str, Any], by: Actor, now: datetime) -> Person:
    """The linked person, else somebody linked or made now. Raises NotAllowed."""
    demand_admitted(provider, claims)
    link = link_of(provider, claims)
    if link is not None:
        person: Person = link.person
        demand_staff(person)
        SignOnLink.update(seen_at=now).where(SignOnLink.id == link.id).execute()
        return person
    email = vouched_address(provider, claims)
    if not email:
        raise NotAllowed(
            _("%(provider)s does not say that your mail address is yours.", provider=provider.name)
        )
    known: Person | None = Person.get_or_none(Person.email == email)
    person = make(provider, email, claims, by, now) if known is None else known
    demand_staff(person)
    return linked(provider, person, claims["sub"], now)


def demand_staff(person: Person) -> None:
    if not person.is_staff:
        raise NotAllowed(_("People of other companies sign in with a mailed link."))
    if person.disabled_at is not None:
        raise NotAllowed(_("This account is disabled. Ask an administrator."))


def linked(provider: SignOnProvider, person: Person, subject: str, now: datetime) -> Person:
    """Link an account of the provider to somebody who has none there; an open invitation is accepted."""
    if SignOnLink.select().where((SignOnLink.person == person) & (SignOnLink.provider == provider)).exists():
        raise NotAllowed(
            _("Another account at %(provider)s is linked to this address. Ask an administrator.",
              provider=provider.name)
        )  # fmt: skip
    SignOnLink.create(
        provider=provider, person=person, issuer=provider.issuer, subject=subject, linked_at=now, seen_at=now
    )
    by = Actor("person", person.id, person.name, person.email)
    if person.activated_at is None:
        Person.update(activated_at=now).where(Person.id == person.id).execute()
        person.activated_at = now
        note("person.accepted", person, by, now, {"provider": provider.id})
    person_tokens.revoke_all(person)
    note("sign_on.linked", person, by, now, {"provider": provider.id})
    return person


def make(provider: SignOnProvider, email: str, claims: Mapping[str, Any], by: Actor, now: datetime) -> Person:
    """Somebody we did not know, of a company the administrator named. Raises NotAllowed."""
    if provider.unknown != MAKE:
        raise NotAllowed(
            _("There is no account here for %(email)s. Ask an administrator to invite you.", email=email)
        )
    language = str(claims.get("locale", ""))[:2]
    person: Person = Person.create(
        email=email,
        name=str(claims.get("name") or "").strip()[:120] or email.partition("@")[0],
        language=language if language in LANGUAGES else LANGUAGES[0],
        created_at=now,
        activated_at=now,
    )
    people.write_roles(person, frozenset({provider.first_role}))
    audit.append(
        "person.joined", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now,
        facts={"provider": provider.id, "roles": [provider.first_role]},
        personal={"email": email, "name": person.name},
    )  # fmt: skip
    return person


def demand_admitted(provider: SignOnProvider, claims: Mapping[str, Any]) -> None:
    """Of the domain, the tenant and with the address that the administrator allows. Raises NotAllowed."""
    if claims.get("email_verified") in (False, "false"):
        raise NotAllowed(
            _("%(provider)s does not say that your mail address is yours.", provider=provider.name)
        )
    email = vouched_address(provider, claims)
    is_theirs = not provider.hosted_domain or claims.get("hd") == provider.hosted_domain
    is_of_tenant = provider.kind != MICROSOFT or f"/{claims.get('tid')}/" in provider.issuer
    is_listed = not provider.domains or email.rpartition("@")[2] in provider.domains
    if not (is_theirs and is_of_tenant and is_listed):
        raise NotAllowed(_("Accounts of this company are not taken here. Use the one you work with."))


def vouched_address(provider: SignOnProvider, claims: Mapping[str, Any]) -> str:
    """The mail address the provider answers for, in lower case; empty where it does not.

    Microsoft lets `email` be anything unless `xms_edov` says that the domain is the tenant's; the
    sign-in name is of a domain the tenant has proved. Google answers for mail it keeps itself: of
    Gmail and of Workspace. Source: docs/sign-on.md, "What is believed".
    """
    said = claims.get("email")
    if provider.kind == MICROSOFT and not (said and claims.get("xms_edov") in (True, "1", "true")):
        said = claims.get("preferred_username")
    elif provider.kind != MICROSOFT and claims.get("email_verified") not in (True, "true"):
        return ""
    email = said.strip().lower() if isinstance(said, str) else ""
    if provider.kind == GOOGLE and not claims.get("hd") and not email.endswith("@gmail.com"):
        return ""
    return email if email.count("@") == 1 and len(email) <= 254 and email.isprintable() else ""


# --- Roles -----------------------------------------------------------------------------------------------


def map_roles(provider: SignOnProvider, person: Person, claims: Mapping[str, Any], now: datetime) -> None:
    """Give and take the roles of the map, those alone; the last administrator stays one."""
    if not provider.role_claim or is_overflowing(provider, claims):
        return
    held = permissions.roles_of(person)
    values = claim_values(provider.role_claim, claims)
    mapped = {role: bool(values & set(names)) for role, names in provider.role_map.items() if names}
    wanted = held - mapped.keys() | {role for role, is_given in mapped.items() if is_given}
    if permissions.ADMINISTRATOR in held - wanted:
        people.queue_up_administrators()
        try:
            people.keep_an_administrator(person)
        except Conflict:
            wanted |= {permissions.ADMINISTRATOR}
    people.change_roles(person, wanted, by=Actor("system", f"sign_on:{provider.id}", provider.name), now=now)


def claim_values(path: str, claims: Mapping[str, Any]) -> set[str]:
    """What stands in a claim, or in one inside another (`realm_access.roles`)."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    return {str(each) for each in (found if isinstance(found, list) else [found]) if each is not None}


def is_overflowing(provider: SignOnProvider, claims: Mapping[str, Any]) -> bool:
    """Microsoft leaves groups out of the token when there are too many: nothing is known then."""
    elsewhere = claims.get("_claim_names")
    if not isinstance(elsewhere, Mapping) or provider.role_claim not in elsewhere:
        return False
    noted(provider, oidc.Untrusted("too many groups for the token: roles stay as they are"))
    return True


# --- Trail -------------------------------------------------------------------------------------------------


def note(act: str, person: Person, by: Actor, now: datetime, facts: Mapping[str, Any]) -> None:
    audit.append(act, ("person", person.id), chain=audit.INSTALLATION, by=by, now=now, facts=facts)


def note_refusal(
    provider: SignOnProvider,
    claims: Mapping[str, Any],
    error: NotAllowed,
    address: str,
    user_agent: str,
    now: datetime,
) -> None:
    by = Actor("outside", "", "", str(claims.get("email") or "")[:254], address, user_agent)
    with transaction():
        audit.append(
            "sign_on.refused", ("sign_on_provider", provider.id), chain=audit.INSTALLATION, by=by, now=now,
            personal={"subject": str(claims["sub"]), "reason": error.message},
        )  # fmt: skip
