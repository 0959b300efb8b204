"""Starting a contract: from eight answers, from another contract, from somebody's PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from portal.errors import Invalid
from portal.i18n import LANGUAGES
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, ContractContact, Revision
from portal.models.parties import Contact, Counterparty, LegalEntity, Signatory
from portal.models.people import Person
from portal.models.templates import TemplateVersion
from portal.services import agreements, audit, entities, parties, templates
from portal.services.contracts import create, people
from portal.sla import conditions, levels, money

CURRENCIES = ("EUR", "GBP", "USD", "CHF", "DKK", "NOK", "PLN", "SEK")
LONGEST_MONTHS = 600


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
    their_phone: str = ""  # E.164
    their_language: str = ""  # of the person, and of a company we did not know


def fast_lane(
    answers: FastLane,
    *,
    owner: Person,
    by: audit.Actor,
    now: datetime,
    version: TemplateVersion | None = None,
) -> Contract:
    """A whole draft from eight answers; everything else comes from the level of the template.

    `version` is one that was on offer when many contracts were begun from it. Raises Invalid beside
    the answer that cannot be taken.
    """
    version = version or templates.published(answers.template_version_id)
    if version is None:
        raise Invalid({"template": _("Choose one of the templates.")})
    if answers.level not in version.levels:
        raise Invalid({"level": _("Choose one of the levels of this template.")})
    signatory = Signatory.get_or_none(Signatory.id == answers.signatory_id)
    if signatory is None:
        raise Invalid({"signatory": _("Choose who signs for us.")})
    entity = signatory.entity
    with transaction():
        party = parties.find_or_add(
            answers.party, country=answers.party_country, language=answers.their_language, by=by, now=now
        )
        languages = languages_for(party, version)
        terms = terms_from(answers, version, entity, party)
        value = money.value(terms) or Decimal(0)  # type: ignore[arg-type]
        reason = entities.why_not(signatory, value, answers.currency, now.date())
        if reason:
            raise Invalid({"signatory": reason})
        contact = parties.contact_for(
            party,
            answers.their_name,
            answers.their_email,
            title=answers.their_title,
            phone=answers.their_phone,
            language=answers.their_language,
            by=by,
            now=now,
        )
        about = {"phone": answers.their_phone, "language": answers.their_language}
        theirs = their_signer(contact, 1) | said(about, *about)
        contract = create(
            entity=entity,
            side=answers.side,
            owner=owner,
            title=title_for(version, answers, languages[0]),
            counterparty=party,
            template_version=version,
            terms=terms,
            clauses=conditions.applying(version.clauses, terms),
            languages=languages,
            recipients=[theirs, our_signer(signatory, 2)],
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
    template_key, level = version.levels[answers.level].get("preset", (version.template.key, answers.level))
    terms: dict[str, Any] = dict(
        levels.defaults(
            template_key,
            level,
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


def said(values: Mapping[str, str], *fields: str) -> dict[str, str]:
    """Those of the fields that are not left empty."""
    return {field: values[field] for field in fields if values[field]}


def from_file(
    *,
    title: str,
    entity_id: str,
    signatory_id: str,
    party: str,
    language: str,
    signers: Sequence[Mapping[str, str]],
    owner: Person,
    by: audit.Actor,
    now: datetime,
    party_country: str = "",
) -> Contract:
    """A contract that is somebody's PDF and nothing else: an NDA, an order form.

    `signers` (name, email, title and, where known, phone and language) sign for the other company, all
    at the same time, before ours. Raises Invalid by field.
    """
    signatory = Signatory.get_or_none(Signatory.id == signatory_id) if signatory_id else None
    if signatory_id and signatory is None:
        raise Invalid({"signatory": _("Choose who signs for us.")})
    entity = signatory.entity if signatory else LegalEntity.get_or_none(LegalEntity.id == entity_id)
    if entity is None:
        raise Invalid({"entity": _("Choose which of our companies it is for.")})
    if len({each["email"] for each in signers}) < len(signers):
        raise Invalid({"email_2": _("Each person needs an address of their own.")})
    with transaction():
        spoken = signers[0].get("language", "") if signers else ""
        other = parties.find_or_add(party, country=party_country, language=spoken, by=by, now=now)
        asked = []
        for number, each in enumerate(signers, start=1):
            about = {field: each.get(field, "") for field in ("title", "phone", "language")}
            contact = parties.contact_for(other, each["name"], each["email"], **about, by=by, now=now)
            asked.append(their_signer(contact, 1, f"theirs-{number}") | said(about, "phone", "language"))
        contract = create(
            entity=entity,
            side="supplier",
            owner=owner,
            title=title,
            kind="file",
            counterparty=other,
            languages=[language],
            recipients=[*asked, *([our_signer(signatory, 2)] if signatory else [])],
            signatory=signatory,
            by=by,
            now=now,
        )
    return contract


def copy_from(source: Contract, *, owner: Person, by: audit.Actor, now: datetime) -> Contract:
    """A new draft with the text, people and party of another contract, as they stand there now."""
    text = agreements.latest(source)
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
        Contract.update(
            prevailing_language=source.prevailing_language, flags=source.flags,
            master_agreement=source.master_agreement, precedence=source.precedence,
        ).where(Contract.id == made.id).execute()  # fmt: skip
    return Contract.get_by_id(made.id)


def products(most: int = 50) -> list[str]:
    """Products named in recent contracts, to choose from while typing."""
    newest = Revision.select(Revision.terms).where(Revision.number == 1).order_by(Revision.id.desc())
    return sorted({row.terms["product"] for row in newest.limit(most) if row.terms["product"]})
