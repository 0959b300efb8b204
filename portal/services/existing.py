"""Contracts that were signed elsewhere: registered with the copy we were given, byte for byte.

Nobody signs anything here. The file is kept as it came and its SHA-256 stands in the register, which
says honestly that it is a copy somebody gave us. Terms may be typed from it later; until an amendment
signs them they are called what they are: transcribed by one, confirmed by another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import peewee

from portal.errors import Conflict, Invalid, NotAllowed
from portal.i18n import format_date
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, ContractContact, Document, RegisteredFile, Revision
from portal.models.lives import ContractLife
from portal.models.parties import LegalEntity
from portal.models.people import Person
from portal.services import (
    audit,
    contract_search,
    contract_states,
    contracts,
    documents,
    lives,
    parties,
    permissions,
    revisions,
)
from portal.services.contract_states import ELSEWHERE
from portal.sla import canonical
from portal.sla import terms as terms_shape

LARGEST_PDF = 25 * 1000 * 1000  # as much as /verify takes
RENEWALS = ("none", "agreement", "tacit")


@dataclass(frozen=True)
class Existing:
    """What is said of a contract that was signed elsewhere."""

    title: str
    side: str
    entity: LegalEntity
    party: str  # a name; one we know already is taken, otherwise made
    owner: Person
    signed_on: date
    start_on: date
    end_on: date | None = None
    length_months: int | None = None
    renewal: str = "none"
    renewal_months: int | None = None
    notice_value: int | None = None
    notice_unit: str = "months"  # days | months
    fee: Decimal | None = None
    fee_period: str = "month"
    currency: str = "EUR"
    level: str = ""
    product: str = ""
    country: str = ""  # of a company we did not know


def why_not_pdf(content: bytes) -> str:
    """The sentence about a file that is no PDF we can keep; "" for one that is."""
    if len(content) > LARGEST_PDF:
        return _("The PDF is larger than %(most)s MB.", most=LARGEST_PDF // 1000**2)
    if b"%PDF-" not in content[:1024]:
        return _("This is not a PDF file.")
    return ""


def registered(sha256: str) -> str:
    """The reference of the contract that this very file is registered with; "" for none."""
    row = RegisteredFile.get_or_none(RegisteredFile.sha256 == sha256)
    if row is None:
        return ""
    document = Document.get_or_none(Document.id == row.document_id)
    return document.contract.reference if document is not None and document.contract else _("another file")


def register(said: Existing, pdf: bytes, file_name: str, *, by: audit.Actor, now: datetime) -> Contract:
    """Keep a signed PDF and register its contract as live. Raises Invalid by field."""
    reason = why_not_pdf(pdf)
    if reason:
        raise Invalid({"file": reason})
    return record(said, documents.put(pdf), file_name, by=by, now=now)


def record(
    said: Existing, stored: documents.Stored, file_name: str, *, by: audit.Actor, now: datetime
) -> Contract:
    """The contract of a file that lies in the store. Raises Invalid when it is registered already."""
    check(said, now)
    try:
        return write(said, stored, file_name, by=by, now=now)
    except peewee.IntegrityError as error:  # the same file came twice at the same moment
        known = registered(stored.sha256)
        if known:
            raise Invalid({"file": already(known)}) from error
        raise


def write(
    said: Existing, stored: documents.Stored, file_name: str, *, by: audit.Actor, now: datetime
) -> Contract:
    with transaction():
        known = registered(stored.sha256)
        if known:
            raise Invalid({"file": already(known)})
        party = parties.find_or_add(said.party, country=said.country, by=by, now=now)
        contract = make(said, party, now)
        document = documents.record(
            stored, "executed", file_name=file_name, now=now, contract=contract,
            revision=revisions.current(contract), facts={"given_by": by.id},
        )  # fmt: skip
        RegisteredFile.create(
            sha256=stored.sha256, kind="given", document_id=document.id,
            facts={"file": "given", "given_by": by.id}, registered_at=now,
        )  # fmt: skip
        lives.begin(contract, signed_on=said.signed_on, given_by=by.id, now=now)
        contract_search.index(contract)
        audit.append(
            "contract.registered", ("contract", contract.id), chain=contract.id, by=by, now=now,
            facts={
                "reference": contract.reference, "side": contract.side, "to": "active",
                "sha256": stored.sha256, "size_bytes": stored.size_bytes,
                "signed_on": said.signed_on.isoformat(),
            },
            personal={"file_name": file_name},
        )  # fmt: skip
    return contract


def already(reference: str) -> str:
    return _("This very PDF is registered already, with %(reference)s.", reference=reference)


def check(said: Existing, now: datetime) -> None:
    """Raises Invalid for dates that cannot be, and for an owner who may not own contracts."""
    errors = {}
    if said.signed_on > now.date():
        errors["signed_on"] = _("This day has not come yet.")
    if said.end_on is not None and said.end_on < said.start_on:
        errors["end_on"] = _("It ends before it starts.")
    if said.end_on is None and not said.length_months and said.renewal != "none":
        errors["end_on"] = _("Say when it ends, or how long it runs.")
    if not said.owner.is_staff or not permissions.allows(said.owner, "contract.edit"):
        errors["owner"] = _("%(name)s may not own contracts.", name=said.owner.name)
    if said.renewal == "tacit" and said.notice_value is None:
        errors["notice"] = _("Say how long before the end notice must be given.")
    if errors:
        raise Invalid(errors)


def make(said: Existing, party: Any, now: datetime) -> Contract:
    """The rows of a contract that begins its life here as a live one."""
    text = terms_of(said)
    contract: Contract = Contract.add(
        reference=contracts.next_reference(said.entity.reference_prefix, now.year),
        title=said.title, kind="file", side=said.side, state="active", owner=said.owner,
        entity=said.entity, counterparty=party, languages=["en"], flags=[ELSEWHERE, revisions.READING],
        created_at=now, updated_at=now, **contracts.derived(text),
    )  # fmt: skip
    Revision.add(contract=contract, number=1, terms=text, clauses=[], author=said.owner, created_at=now)
    ContractContact.create(contract=contract, side="ours", role="owner", person=said.owner)
    return contract


def terms_of(said: Existing) -> dict[str, Any]:
    """The little that is known, as terms: no promise but its dates and its fee."""
    text: dict[str, Any] = dict(terms_shape.empty(said.side))  # type: ignore[arg-type]
    text |= {"product": said.product or said.title, "level": said.level or None}
    months = None if said.renewal == "none" else said.renewal_months or said.length_months or 12
    text["commercial"] |= {
        "fee": None if said.fee is None else f"{said.fee:.2f}",
        "fee_period": said.fee_period,
        "currency": said.currency,
        "start_on": said.start_on.isoformat(),
        "end_on": said.end_on.isoformat() if said.end_on else None,
        "length_months": None if said.end_on else said.length_months,
        "renewal": {"kind": said.renewal, "months": months},
        "notice": None
        if said.notice_value is None
        else {"value": said.notice_value, "unit": said.notice_unit, "form": "letter"},
    }
    return text


# -- Terms typed from the file --------------------------------------------------------------------


def note_typing(contract: Contract, *, by: audit.Actor, now: datetime) -> None:
    """Who typed last; whoever confirmed an earlier state has not confirmed this one."""
    ContractLife.update(transcribed_by=by.id, transcribed_at=now, confirmed_by="", confirmed_at=None).where(
        ContractLife.contract == contract
    ).execute()
    lives.retype(contract)


def confirm(contract: Contract, *, by: audit.Actor, now: datetime) -> None:
    """Say that the terms are those of the signed text; they are kept as canonical bytes from then on.

    Raises NotAllowed for whoever typed them, Conflict where there is nothing to confirm.
    """
    with transaction():
        life = lives.of(contract)
        if (
            life is None
            or not contract_states.takes_terms(contract)
            or not life.transcribed_by
            or life.confirmed_by
        ):
            raise Conflict(_("There are no typed terms that wait for a second pair of eyes."))
        if life.transcribed_by == by.id:
            raise NotAllowed(_("Whoever typed the terms cannot confirm them: ask a colleague."))
        revision = revisions.current(contract)
        sha256s = [each.sha256 for each in documents.of(contract, "executed")]
        text = revisions.content(contract, revision, sha256s)
        digest = canonical.sha256(text)
        Revision.update(frozen_at=now, canonical=canonical.canonical(text), sha256=digest).where(
            Revision.id == revision.id
        ).execute()
        ContractLife.update(confirmed_by=by.id, confirmed_at=now).where(
            ContractLife.contract == contract
        ).execute()
        audit.append(
            "terms.confirmed", ("revision", revision.id), chain=contract.id, by=by, now=now,
            facts={"number": revision.number, "sha256": digest, "typed_by": life.transcribed_by},
        )  # fmt: skip


def label(contract: Contract) -> str:
    """Whose reading the terms are: shown on every board and proof made from them; "" for signed terms."""
    life = lives.of(contract) if ELSEWHERE in contract.flags else None
    if life is None:
        return ""
    if not life.transcribed_by:
        return _("From a file of signed contracts: dates and fee only, no terms typed yet.")
    day = format_date(lives.today(life, life.transcribed_at))
    typed = {"name": name_of(life.transcribed_by), "day": day}
    if not life.confirmed_by:
        return _("Transcribed by %(name)s on %(day)s, not confirmed yet.", **typed)
    return _(
        "Transcribed by %(name)s on %(day)s, confirmed by %(other)s.",
        other=name_of(life.confirmed_by), **typed,
    )  # fmt: skip


def name_of(person_id: str) -> str:
    found = Person.get_or_none(Person.id == person_id)
    return str(found.name) if found is not None else _("Somebody")
