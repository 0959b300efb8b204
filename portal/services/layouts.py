"""From a revision of the text to what the typesetter is given: parties, clauses, schedules, signatures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime

from portal.documents import labels, markdown
from portal.documents.layouts import (
    Clause,
    ContractLayout,
    Party,
    Schedule,
    SignaturePageLayout,
    SignatureSpot,
)
from portal.i18n import format_size, use
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Document, Revision
from portal.models.parties import Counterparty, LegalEntity
from portal.services import annexes
from portal.sla import schedules, variables

SIGNS = ("signer",)
SCHEDULE = "terms_schedule"  # a contract's flag: our terms are printed behind somebody else's file


def contract_layout(
    contract: Contract, revision: Revision, *, draft: bool, at: datetime, schedules_only: bool = False
) -> ContractLayout:
    """Everything printed in a contract. Raises UnknownVariable or UnknownReference for a bad clause."""
    languages = list(contract.languages)
    return {
        "language": languages[0],
        "languages": languages,
        "prevailing": contract.prevailing_language if len(languages) > 1 else None,
        "title": contract.title,
        "reference": contract.reference,
        "revision": revision.number,
        "frozen_at": at.isoformat(),
        "draft": draft,
        "labels": {language: labels.for_contract(language) for language in languages},
        "parties": parties(contract),
        "clauses": [] if schedules_only else clauses(contract, revision, languages),
        "schedules": all_schedules(contract, revision, languages),
        "signatures": signatures(contract, languages),
    }


def all_schedules(contract: Contract, revision: Revision, languages: Sequence[str]) -> list[Schedule]:
    """The schedules A to G of the terms, then the annexed documents where there are any."""
    of_terms = schedules.schedules(revision.terms, languages)  # type: ignore[arg-type]
    return [*of_terms, *annexes.schedule(contract, languages)]  # type: ignore[list-item]


def signature_page(
    contract: Contract, revision: Revision, files: Sequence[Document], *, draft: bool, at: datetime
) -> SignaturePageLayout:
    """The page behind somebody else's PDF."""
    languages = list(contract.languages)
    return {
        "language": languages[0],
        "languages": languages,
        "title": contract.title,
        "reference": contract.reference,
        "revision": revision.number,
        "frozen_at": at.isoformat(),
        "draft": draft,
        "labels": {language: labels.for_contract(language) for language in languages},
        "parties": parties(contract),
        "files": [
            {
                "name": annexes.name_of(each) if each.kind == annexes.KIND else each.file_name,
                "sha256": each.sha256,
                "pages": each.pages,
                "size": size_in(languages[0], each.size_bytes),
            }
            for each in files
        ],
        "signatures": signatures(contract, languages),
    }


def size_in(language: str, size_bytes: int) -> str:
    with use(language):
        return format_size(size_bytes)


def parties(contract: Contract) -> list[Party]:
    """Supplier first, whichever of us that is."""
    languages = list(contract.languages)
    ours = entity_party(contract.entity, role_labels(ours_is(contract), languages))
    if contract.counterparty is None:
        return [ours]
    theirs = counterparty_party(contract.counterparty, role_labels(theirs_is(contract), languages))
    return [ours, theirs] if contract.side == "supplier" else [theirs, ours]


def ours_is(contract: Contract) -> str:
    """The part we have in what is printed: supplier, customer, or a plain party of a bare file."""
    return str(contract.side) if names_sides(contract) else "party"


def theirs_is(contract: Contract) -> str:
    if not names_sides(contract):
        return "party"
    return "customer" if contract.side == "supplier" else "supplier"


def names_sides(contract: Contract) -> bool:
    """Whether what is printed speaks of a Supplier and a Customer, and so must say who that is."""
    return contract.kind != "file" or SCHEDULE in contract.flags


def role_labels(role: str, languages: Sequence[str]) -> dict[str, str]:
    found = {}
    for language in languages:
        with use(language):
            words = {
                "supplier": _("the “Supplier”"),
                "customer": _("the “Customer”"),
                "party": _("party"),
            }
            found[language] = words[role]
    return found


def entity_party(entity: LegalEntity, role_label: dict[str, str]) -> Party:
    logo = None
    if entity.logo:
        logo = {"base64": base64.b64encode(bytes(entity.logo)).decode(), "alt": entity.name}
    return {
        "name": entity.name,
        "form": entity.form,
        "registration": entity.registration,
        "address": entity.address,
        "role_label": role_label,
        "logo": logo,  # type: ignore[typeddict-item]
    }


def counterparty_party(party: Counterparty, role_label: dict[str, str]) -> Party:
    return {
        "name": party.name,
        "form": party.form,
        "registration": party.registration,
        "address": party.address,
        "role_label": role_label,
    }


def clauses(contract: Contract, revision: Revision, languages: Sequence[str]) -> list[Clause]:
    """The clauses numbered, with variables and cross-references filled in."""
    numbered = markdown.number_clauses(revision.clauses)
    numbers = {clause["key"]: clause["number"] for clause in numbered}
    values = {language: variable_words(contract, revision, language) for language in languages}
    return [
        {
            "key": clause["key"],
            "number": clause["number"],
            "heading": {language: in_language(clause["heading"], language) for language in languages},
            "blocks": {
                language: markdown.blocks(in_language(clause["text"], language), values[language], numbers)
                for language in languages
            },
        }
        for clause in numbered
    ]


def variable_words(contract: Contract, revision: Revision, language: str) -> dict[str, str]:
    """What each `{{variable}}` of a clause stands for in this contract."""
    ours = party_words(contract.entity)
    theirs = party_words(contract.counterparty)
    supplier, customer = (ours, theirs) if contract.side == "supplier" else (theirs, ours)
    parties: variables.Parties = {"supplier": supplier, "customer": customer}
    return variables.variables(revision.terms, parties, language)


def party_words(party: LegalEntity | Counterparty | None) -> variables.PartyWords:
    if party is None:
        return {"name": "", "form": "", "registration": "", "address": ""}
    return {
        "name": party.name,
        "form": party.form,
        "registration": party.registration,
        "address": party.address,
    }


def in_language(text: dict[str, str], language: str) -> str:
    """The words in this language, or none: a missing translation is a fault, found before printing."""
    return text.get(language, "")


def signatures(contract: Contract, languages: Sequence[str]) -> list[SignatureSpot]:
    """A spot for everybody who signs, in signing order; ours first among equals."""
    signers = [each for each in contract.recipients if each["role"] in SIGNS]
    signers.sort(key=lambda each: (each["routing_order"], each["side"]))
    return [
        {
            "recipient_key": each["key"],
            "for_party": each["organisation"] or organisation(contract, each["side"]),
            "name": each["name"],
            "title": each["title"],
            "role_label": role_labels(
                ours_is(contract) if each["side"] == "ours" else theirs_is(contract), languages
            ),
        }
        for each in signers
    ]


def organisation(contract: Contract, side: str) -> str:
    if side == "ours":
        return str(contract.entity.name)
    return str(contract.counterparty.name) if contract.counterparty else ""
