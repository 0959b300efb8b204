"""What must hold before a contract is sent, with the reason beside the person it is about.

The PDF is made with the names of those who sign on it, so who signs cannot change behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from portal.errors import Conflict, Invalid
from portal.i18n import format_size
from portal.i18n import gettext as _
from portal.models.connections import Connection
from portal.models.contracts import Contract, Document, Revision
from portal.models.parties import Signatory
from portal.services import connections, contract_states, entities, gateways, policies, sms_numbers
from portal.services.contract_states import Attempt
from providers import registry


def shown_document(contract: Contract) -> Document:
    """The exact PDF people will sign. Raises Conflict until it is prepared."""
    found: Document | None = None
    if contract.state == "ready_to_sign":
        newest = (
            Revision.select().where(Revision.contract == contract).order_by(Revision.number.desc()).first()
        )
        if newest is not None and newest.frozen_at is not None:
            found = (
                Document.select()
                .where((Document.revision == newest) & (Document.kind == "shown"))
                .order_by(Document.id.desc())
                .first()
            )
    if found is None:
        raise Conflict(_("Prepare the exact PDF first; then it can be sent."))
    return found


@dataclass(frozen=True)
class Way:
    """Who checks a person: the provider itself, or our gate in front of its embedded signing page."""

    native: tuple[str, ...] = ()
    gated: tuple[str, ...] = ()
    is_embedded: bool = False


def checked_people(
    contract: Contract, document: Document, connection: Connection | None, now: datetime
) -> list[dict[str, Any]]:
    """The people of the contract's list. Raises Invalid, by `recipient-<key>`, for what would stop them,
    and by `connection` for what stops the account."""
    people = list(contract.recipients)
    provider = connection.provider if connection is not None else "builtin"
    reasons = gaps(people, document)
    if connection is not None:
        stops = connections.usable_for(contract, connection) + limits(document, provider)
        if stops:
            reasons["connection"] = " ".join(stops)
    for found in (blocks(contract, people, provider), signatory_gaps(contract, people, now)):
        for key, reason in found.items():
            reasons.setdefault(f"recipient-{key}", reason)
    if reasons:
        raise Invalid(reasons)
    return people


def limits(document: Document, provider: str) -> list[str]:
    """What the provider does not take of this file."""
    most = registry.capabilities(provider).largest_file_bytes
    if provider == "builtin" or document.size_bytes <= most:
        return []
    label, size = registry.label(provider), format_size(most)
    return [_("%(provider)s takes files up to %(size)s.", provider=label, size=size)]


def ways(contract: Contract, people: list[dict[str, Any]], provider: str) -> dict[str, Way]:
    """By person: who checks them. Where one is embedded and the provider embeds all or nobody, all are."""
    can = registry.capabilities(provider)
    found = {p["key"]: way(policies.factors_for(contract, p)[0], p, provider) for p in people}
    if any(each.is_embedded for each in found.values()) and not can.embeds_each:
        acting = {p["key"] for p in people if p["role"] != "copy"}
        return {k: replace(each, is_embedded=k in acting) for k, each in found.items()}
    return found


def way(factors: list[str], person: Mapping[str, Any], provider: str) -> Way:
    """The provider checks what it can; for what it cannot, the person passes our gate first."""
    if provider == "builtin" or person["role"] == "copy":
        return Way(gated=tuple(factors))
    offered = registry.capabilities(provider).factors
    native, gated = [], []
    for factor in factors:
        by_text = factor in ("sms", "sms_or_totp") and "sms" in offered and person.get("phone")
        if by_text:
            native.append("sms")
        elif factor in offered and factor != "totp":  # whose apps are known here alone
            native.append(factor)
        else:
            gated.append(factor)
    return Way(tuple(native), tuple(gated), bool(gated))


def gaps(people: list[dict[str, Any]], document: Document | None) -> dict[str, str]:
    """What is missing in the list as a whole, by field."""
    signers = [p for p in people if p["role"] == "signer"]
    if not signers:
        return {"recipients": _("Nobody is asked to sign. Add at least one signer.")}
    if document is None:
        return {}
    placed = {spot["recipient_key"] for spot in document.facts.get("placements", [])}
    return {
        f"recipient-{p['key']}": _(
            "%(name)s has no place to sign in this PDF. Prepare it again.", name=p["name"]
        )
        for p in signers
        if p["key"] not in placed
    }


def blocks(contract: Contract, people: list[dict[str, Any]], provider: str) -> dict[str, str]:
    """By person: the factor policy asks for that this person, or this provider, cannot meet."""
    offers, label = registry.capabilities(provider), registry.label(provider)
    found: dict[str, str] = {}
    several = len({p.get("routing_order", 1) for p in people if p["role"] != "copy"}) > 1
    for person in people:
        factors, _reasons = policies.factors_for(contract, person)
        for reason in hindrances(factors, person, provider):
            found.setdefault(person["key"], reason)
        if person["role"] == "approver" and not offers.approvers:
            found.setdefault(person["key"], _("%(provider)s knows no approvers.", provider=label))
        if several and not offers.signing_order:
            found.setdefault(person["key"], _("%(provider)s knows no signing order.", provider=label))
    return found


def hindrances(factors: list[str], person: Mapping[str, Any], provider: str) -> list[str]:
    """Why this person cannot pass what is asked: not at the provider, nor at our gate in front of it."""
    ours = registry.capabilities("builtin").factors
    gate = ours if registry.capabilities(provider).embedded else frozenset()
    # Copies are ours to send, whoever has people sign.
    offered = ours if person["role"] == "copy" else gate
    reasons = [unmet(factor, person, offered, provider) for factor in way(factors, person, provider).gated]
    return [reason for reason in reasons if reason]


def unmet(factor: str, person: Mapping[str, Any], offered: frozenset[str], provider: str) -> str:
    """Why this person cannot pass the factor; empty when they can."""
    ways = {"sms", "totp"} if factor == "sms_or_totp" else {factor}
    named = policies.FACTORS[factor]
    if not ways & offered and provider == "builtin":
        return _("%(provider)s cannot check this factor: %(factor)s.", provider=provider, factor=named)
    if not ways & offered:
        return _(
            "%(name)s must pass “%(factor)s”: %(provider)s cannot check it, nor can Countersign in front of "
            "%(provider)s.",
            name=person["name"], factor=named, provider=registry.label(provider),
        )  # fmt: skip
    if factor == "sms" and not gateways.can_text():
        return _(
            "%(name)s must pass “%(factor)s”, and no text messages leave this installation. An "
            "administrator connects a gateway under Settings, Text messages, or lets the rule ask for an "
            "authenticator app.",
            name=person["name"], factor=named,
        )  # fmt: skip
    if factor == "sms" and not person.get("phone"):
        return _(
            "%(name)s must pass “%(factor)s” and has no telephone number. Add one, with its country code.",
            name=person["name"], factor=named,
        )  # fmt: skip
    if factor == "sms":
        return sms_numbers.why_not(person["phone"])
    return ""


def signatory_gaps(contract: Contract, people: list[dict[str, Any]], now: datetime) -> dict[str, str]:
    """By person: why one of our signers may not sign this contract."""
    found = {}
    for person in people:
        if person["side"] == "ours" and person["role"] == "signer":
            reason = unauthorised(contract, person.get("person_id"), now)
            if reason:
                found[person["key"]] = reason
    return found


def unauthorised(contract: Contract, person_id: str | None, now: datetime) -> str:
    """Why this person of ours may not sign this contract; empty when they may."""
    entity, today = contract.entity, now.date()
    rows = list(
        Signatory.select()
        .where((Signatory.entity == entity) & (Signatory.person == person_id))
        .order_by(Signatory.id)
    )
    if not rows:
        return _("Only an authorised signatory of %(company)s can sign for us.", company=entity.name)
    reasons = [entities.why_not(row, contract.value_amount, contract.currency, today) for row in rows]
    return "" if "" in reasons else reasons[-1]


@contract_states.guard("signatories_recorded")
def signatories_recorded(contract: Contract, attempt: Attempt) -> str:
    """Somebody signs, and whoever signs for us may."""
    people = list(contract.recipients)
    if not any(p["role"] == "signer" for p in people):
        return _("Nobody is asked to sign. Add at least one signer.")
    found = signatory_gaps(contract, people, attempt.now)
    return next(iter(found.values()), "")
