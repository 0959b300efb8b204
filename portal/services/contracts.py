"""Contracts as business records: making them, finding them, changing who owns them, what comes next."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.i18n import LANGUAGES, lazy
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, ContractContact, ReferenceCounter, Revision
from portal.models.parties import Contact, Counterparty, LegalEntity, Signatory
from portal.models.people import Person
from portal.models.templates import TemplateVersion
from portal.services import audit, contract_search, contract_states, permissions
from portal.sla import duration, levels, money
from portal.sla import terms as terms_shape

SIDES = ("supplier", "customer")
CONTACT_ROLES = ("sales", "it", "legal", "procurement", "executive", "service")
ROLE_NAMES = {
    "owner": lazy("Owner"),
    "sales": lazy("Sales"),
    "it": lazy("IT"),
    "legal": lazy("Legal"),
    "procurement": lazy("Procurement"),
    "executive": lazy("Executive"),
    "service": lazy("Service"),
    "signatory": lazy("Signatory"),
}


# -- Finding ----------------------------------------------------------------------------------


def get(reference: str, person: Person | None) -> Contract:
    """The contract people quote by this reference. Raises NotFound for strangers too."""
    found = Contract.get_or_none(Contract.reference == reference) if "\0" not in reference else None
    if found is None or not permissions.allows(person, "contract.read"):
        raise NotFound
    return found


def may_edit(contract: Contract, person: Person | None) -> bool:
    """Whether this person may change the contract's text now."""
    return contract_states.is_editable(contract) and is_author(contract, person)


def is_author(contract: Contract, person: Person | None) -> bool:
    """Its owner, or somebody who may edit every contract."""
    return permissions.may_edit(person, contract.owner_id)  # type: ignore[attr-defined]


def demand_edit(contract: Contract, person: Person | None) -> None:
    """Raise NotAllowed for another's contract, Conflict once its text is fixed."""
    if not is_author(contract, person):
        raise NotAllowed(_("Only its owner may change this contract: %(name)s.", name=contract.owner.name))
    if not contract_states.is_editable(contract):
        raise Conflict(
            _("The text is fixed: this contract is “%(state)s”.", state=contract_states.NAMES[contract.state])
        )


# -- Making -----------------------------------------------------------------------------------


def next_reference(prefix: str, year: int) -> str:
    """The next reference of a series, such as LF-2026-0147; inside the caller's transaction."""
    series = f"{prefix}-{year}"
    rows = (
        ReferenceCounter.insert(series=series, last=1)
        .on_conflict(
            conflict_target=[ReferenceCounter.series],
            update={ReferenceCounter.last: ReferenceCounter.last + 1},
        )
        .returning(ReferenceCounter)
        .execute()
    )
    return f"{series}-{next(iter(rows)).last:04}"


def create(
    *,
    entity: LegalEntity,
    side: str,
    owner: Person,
    title: str,
    by: audit.Actor,
    now: datetime,
    kind: str = "support",
    counterparty: Counterparty | None = None,
    template_version: TemplateVersion | None = None,
    terms: dict[str, Any] | None = None,
    clauses: Sequence[dict[str, Any]] = (),
    languages: Sequence[str] = ("en",),
    recipients: Sequence[dict[str, Any]] = (),
    signatory: Signatory | None = None,
    copied_from: Contract | None = None,
    base: tuple[dict[str, Any], list[dict[str, Any]]] | None = None,
) -> Contract:
    """A new draft with its first revision. Raises Invalid for a side that is none.

    `base` is the terms and clauses it will be compared with; by default what it starts from, where
    that came from a template.
    """
    if side not in SIDES:
        raise Invalid({"side": _("Say who supplies the support.")})
    text = copy.deepcopy(terms) if terms is not None else dict(terms_shape.empty(side))  # type: ignore[arg-type]
    text["side"] = side
    with transaction():
        contract: Contract = Contract.add(
            reference=next_reference(entity.reference_prefix, now.year),
            title=title,
            kind=kind,
            side=side,
            owner=owner,
            entity=entity,
            counterparty=counterparty,
            template_version=template_version,
            signatory_id=signatory.id if signatory else None,
            languages=list(languages),
            prevailing_language=languages[0],
            recipients=list(recipients),
            copied_from_id=copied_from.id if copied_from else None,
            waiting_for=owner.name,
            created_at=now,
            updated_at=now,
            **derived(text),
        )
        # Number 0 stays as the template gave it; number 1 is what people change.
        for number in (0, 1) if base is not None or template_version is not None else (1,):
            given = base if number == 0 and base is not None else (text, list(clauses))
            Revision.add(
                contract=contract, number=number, terms=given[0], clauses=given[1], author=owner,
                created_at=now,
            )  # fmt: skip
        ContractContact.create(contract=contract, side="ours", role="owner", person=owner)
        contract_search.index(contract)
        audit.append(
            "contract.drafted",
            ("contract", contract.id),
            chain=contract.id,
            by=by,
            now=now,
            facts=origin(contract, template_version, copied_from),
        )
    return contract


def origin(
    contract: Contract, version: TemplateVersion | None, copied_from: Contract | None
) -> dict[str, Any]:
    """Where a draft came from, for the trail."""
    told: dict[str, Any] = {"reference": contract.reference, "kind": contract.kind, "side": contract.side}
    if version is not None:
        told |= {"template": version.template.key, "version": version.number, "sha256": version.sha256}
    if copied_from is not None:
        told["copied_from"] = copied_from.reference
    return told


def derived(terms: dict[str, Any]) -> dict[str, Any]:
    """The columns of a contract that lists and policies read, computed from its terms."""
    commercial = terms["commercial"]
    try:
        ends = duration.last_day(terms)
    except (ValueError, OverflowError):
        ends = None
    return {
        "value_amount": money.value(terms) or Decimal(0),  # type: ignore[arg-type]
        "currency": commercial["currency"] or "EUR",
        "start_on": duration.first_day(terms),
        "end_on": ends,
        "has_phi": bool(commercial["phi"]),
    }


def copy_from(source: Contract, *, owner: Person, by: audit.Actor, now: datetime) -> Contract:
    """A new draft with the text, people and party of another contract, as they stand there now."""
    text = current_revision(source)
    given = Revision.get_or_none((Revision.contract == source) & (Revision.number == 0))
    made = create(
        entity=source.entity,
        side=source.side,
        owner=owner,
        title=source.title,
        kind=source.kind,
        counterparty=source.counterparty,
        template_version=source.template_version,
        terms=text.terms,
        clauses=text.clauses,
        languages=source.languages,
        recipients=[dict(each) for each in source.recipients],
        signatory=Signatory.get_or_none(Signatory.id == source.signatory_id),
        copied_from=source,
        base=(given.terms, given.clauses) if given else None,
        by=by,
        now=now,
    )
    with transaction():
        for each in people(source):
            if each.role == "owner":
                continue
            ContractContact.create(
                contract=made, side=each.side, role=each.role, person=each.person, contact=each.contact
            )
        Contract.update(prevailing_language=source.prevailing_language, flags=source.flags).where(
            Contract.id == made.id
        ).execute()
    return Contract.get_by_id(made.id)


def current_revision(contract: Contract) -> Revision:
    """The newest state of the text, frozen or not."""
    newest = Revision.select().where((Revision.contract == contract) & (Revision.number > 0))
    found: Revision = newest.order_by(Revision.number.desc()).get()
    return found


def people(contract: Contract) -> list[ContractContact]:
    """Everybody named in the contract, on both sides."""
    query = ContractContact.select().where(ContractContact.contract == contract)
    return list(query.order_by(ContractContact.id))  # type: ignore[attr-defined]


# -- The fast lane ----------------------------------------------------------------------------


@dataclass(frozen=True)
class FastLane:
    """The eight answers: template, level, side and party, who signs, product, value, start, length."""

    template_version_id: str
    level: str
    side: str
    party: str  # a name; one we know already is taken, otherwise made
    signatory_id: str
    their_name: str
    their_email: str
    product: str
    fee: Decimal
    currency: str
    start_on: date
    length_months: int
    their_title: str = ""
    party_country: str = ""  # of a company we did not know


def fast_lane(answers: FastLane, *, owner: Person, by: audit.Actor, now: datetime) -> Contract:
    """A whole draft from eight answers; everything else comes from the level of the template.

    Raises Invalid beside the answer that cannot be taken.
    """
    from portal.services import entities, parties, templates

    version = templates.published(answers.template_version_id)
    if version is None:
        raise Invalid({"template": _("Choose one of the templates.")})
    if answers.level not in version.levels:
        raise Invalid({"level": _("Choose one of the levels of this template.")})
    signatory = Signatory.get_or_none(Signatory.id == answers.signatory_id)
    if signatory is None:
        raise Invalid({"signatory": _("Choose who signs for us.")})
    entity = signatory.entity
    with transaction():
        party = parties.find_or_add(answers.party, country=answers.party_country, by=by, now=now)
        languages = languages_for(party, version)
        terms = terms_from(answers, version, entity, party)
        value = money.value(terms) or Decimal(0)  # type: ignore[arg-type]
        reason = entities.why_not(signatory, value, answers.currency, now.date())
        if reason:
            raise Invalid({"signatory": reason})
        contact = parties.contact_for(
            party, answers.their_name, answers.their_email, title=answers.their_title, by=by, now=now
        )
        contract = create(
            entity=entity,
            side=answers.side,
            owner=owner,
            title=title_for(version, answers, languages[0]),
            counterparty=party,
            template_version=version,
            terms=terms,
            clauses=version.clauses,
            languages=languages,
            recipients=[our_signer(signatory), their_signer(contact, 2)],
            signatory=signatory,
            by=by,
            now=now,
        )
        ContractContact.create(contract=contract, side="ours", role="signatory", person=signatory.person)
        ContractContact.create(contract=contract, side="theirs", role="signatory", contact=contact)
    return contract


def languages_for(party: Counterparty, version: TemplateVersion) -> list[str]:
    """The other party's language where the template is written in it, else English."""
    written = set().union(*(clause["text"] for clause in version.clauses)) if version.clauses else {"en"}
    return [party.language if party.language in written else "en"]


def terms_from(
    answers: FastLane, version: TemplateVersion, entity: LegalEntity, party: Counterparty
) -> dict[str, Any]:
    """The terms of the level with the answers filled in.

    Hours, holidays and law are those of the customer, whichever side that is; where that law is
    not known here, our entity's is written in.
    """
    customer: Any = party if answers.side == "supplier" else entity
    country = customer.country or entity.country
    terms: dict[str, Any] = dict(
        levels.defaults(
            version.template.key,
            answers.level,
            side=answers.side,  # type: ignore[arg-type]
            product=answers.product,
            start_on=answers.start_on,
            length_months=answers.length_months,
            fee=answers.fee,
            currency=answers.currency,
            tz=customer.zone or entity.zone,
            country=country or None,
        )
    )
    commercial = terms["commercial"]
    for field, ours in (("governing_law", entity.governing_law), ("courts", entity.courts)):
        if not any((commercial[field] or {}).values()) and ours:
            commercial[field] = dict.fromkeys(LANGUAGES, ours)
    return terms


def title_for(version: TemplateVersion, answers: FastLane, language: str) -> str:
    label = version.levels[answers.level]["label"]
    name = label.get(language) or next(iter(label.values()))
    if language == "fr":
        return f"Support {name} pour {answers.product}"
    return f"{name} support for {answers.product}"


def our_signer(signatory: Signatory, order: int = 1) -> dict[str, Any]:
    """The recipient entry of an authorised signatory of ours."""
    person = signatory.person
    return {
        "key": "ours-1",
        "side": "ours",
        "role": "signer",
        "routing_order": order,
        "name": person.name,
        "email": person.email,
        "title": signatory.title,
        "organisation": signatory.entity.name,
        "phone": person.phone,
        "language": person.language,
        "is_consumer": False,
        "person_id": person.id,
    }


def their_signer(contact: Contact, order: int, key: str = "theirs-1") -> dict[str, Any]:
    """The recipient entry of somebody who signs for the other party."""
    return {
        "key": key,
        "side": "theirs",
        "role": "signer",
        "routing_order": order,
        "name": contact.name,
        "email": contact.email,
        "title": contact.title,
        "organisation": contact.counterparty.name,
        "phone": contact.phone,
        "language": contact.language,
        "is_consumer": False,
        "person_id": None,
    }


# -- Changing ---------------------------------------------------------------------------------


def change_owner(contract: Contract, owner: Person, *, by: audit.Actor, now: datetime) -> None:
    """Give the contract to somebody else on our side who may draft contracts."""
    if not owner.is_staff or not permissions.allows(owner, "contract.edit"):
        raise Invalid({"owner": _("%(name)s may not own contracts.", name=owner.name)})
    with transaction():
        before = contract.owner_id  # type: ignore[attr-defined]
        if before == owner.id:
            return
        waiting = owner.name if contract.state in contract_states.EDITABLE else contract.waiting_for
        Contract.update(owner=owner, waiting_for=waiting, updated_at=now).where(
            Contract.id == contract.id
        ).execute()
        ContractContact.delete().where(
            (ContractContact.contract == contract)
            & (ContractContact.side == "ours")
            & (ContractContact.role == "owner")
        ).execute()
        ContractContact.create(contract=contract, side="ours", role="owner", person=owner)
        audit.append(
            "contract.handed_over",
            ("contract", contract.id),
            chain=contract.id,
            by=by,
            now=now,
            facts={"from": before, "to": owner.id},
            personal={"to_name": owner.name},
        )
    contract.owner, contract.waiting_for, contract.updated_at = owner, waiting, now


def withdraw(contract: Contract, *, reason: str, by: audit.Actor, now: datetime) -> None:
    """End a contract that was never signed. Raises Invalid without a reason, Conflict while it is out."""
    if not reason.strip():
        raise Invalid({"reason": _("Say why.")})
    if contract.state == "signing":
        raise Conflict(_("It is out for signature. Void the signing request first."))
    with transaction():
        contract_states.become(contract, "withdrawn", by=by, now=now, reason=reason.strip())
