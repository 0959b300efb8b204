"""Forget a person by their mail address, as far as no contract, law or claim needs what is held.

What was signed, is open, or is under a hold stays, and the answer says so with the references. Personal
details beside the history go where their contract never came to be; the chain verifies without them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.audit import AuditDetail
from portal.models.base import transaction
from portal.models.bulk import BulkRow
from portal.models.contracts import Contract, ContractContact
from portal.models.envelopes import Act, Envelope, OutsideFactor, Recipient, Right
from portal.models.lives import ContractLife
from portal.models.negotiation import Agreement, Comment, Negotiator, Proposal
from portal.models.notices import Notice
from portal.models.parties import Contact
from portal.models.people import Attempt, Person, PersonToken, Session
from portal.services import audit, installation, jobs, text_changes
from portal.services.audit import INSTALLATION, Actor

NEVER_MADE = ("withdrawn", "declined")  # ended before anybody was bound
ERASED, NOWHERE = "(erased)", "erased@erased.invalid"
PHONE_DAYS, USUAL_PHONE_DAYS = "phone_days", 365
WHAT = {
    "sessions": lazy("Signed-in browsers and mailed links"),
    "tries": lazy("Tries to sign in"),
    "apps": lazy("Authenticator apps"),
    "contacts": lazy("Contacts"),
    "messages": lazy("Messages"),
    "rows": lazy("Rows of uploaded files"),
    "requests": lazy("Signing requests that came to nothing"),
    "history": lazy("Details beside the history"),
}


@dataclass
class Report:
    """`erased`: how many of what; `kept`: the references of contracts that need what stays."""

    erased: Counter[str] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)


def erase(email: str, *, reason: str, by: Actor, now: datetime) -> Report:
    """Raises Invalid without address or reason, Conflict while the person has an account here."""
    wanted = email.strip().lower()
    errors = {} if "@" in wanted else {"email": _("Write the mail address.")}
    if not reason:
        errors["reason"] = _("Say why, such as the date of their letter.")
    if errors:
        raise Invalid(errors)
    if Person.select().where((Person.email == wanted) & Person.disabled_at.is_null()).exists():
        raise Conflict(_("This is the address of somebody with an account here. End their access first."))
    with transaction():
        report = Report()
        free, kept = contracts_of(wanted)
        report.kept = sorted(each.reference for each in kept)
        forget_everywhere(wanted, [each.id for each in kept], report)
        for contract in free:
            forget_in(contract, wanted, report, by, now)
        forget_history(INSTALLATION, wanted, report, by, now)
        audit.append(
            "subject.erased", ("installation", "privacy"), chain=INSTALLATION, by=by, now=now,
            facts={"erased": dict(report.erased), "kept": report.kept}, personal={"reason": reason},
        )  # fmt: skip
    return report


def contracts_of(email: str) -> tuple[list[Contract], list[Contract]]:
    """Contracts that name the person: those that came to nothing, and those whose record stays."""
    asked = Recipient.select(Envelope.contract).join(Envelope).where(Recipient.email == email)
    talked = Negotiator.select(Negotiator.contract).where(Negotiator.email == email)
    contacts = Contact.select(Contact.id).where(Contact.email == email)
    named = ContractContact.select(ContractContact.contract).where(ContractContact.contact.in_(contacts))
    listed = peewee.fn.LOWER(Contract.recipients.cast("TEXT")).contains(f'"{email}"')
    anywhere = Contract.id.in_(asked) | Contract.id.in_(talked) | Contract.id.in_(named) | listed
    held = {row.contract.id for row in ContractLife.select().where(ContractLife.hold_reason != "")}
    found = list(Contract.select().where(anywhere))
    free = [each for each in found if each.state in NEVER_MADE and each.id not in held]
    return free, [each for each in found if each not in free]


def forget_everywhere(email: str, kept_ids: list[str], report: Report) -> None:
    """What hangs on no contract, or only on such as came to nothing."""

    def count(what: str, query: Any) -> None:
        report.erased[what] += int(query.execute())

    count("sessions", Session.delete().where(Session.email == email))
    count("sessions", PersonToken.delete().where(PersonToken.email == email))
    count("tries", Attempt.delete().where(peewee.fn.LOWER(Attempt.subject) == email))
    is_free = Notice.contract_id.is_null() | Notice.contract_id.not_in(kept_ids)
    mine = (peewee.fn.LOWER(Notice.address) == email) & (Notice.status != "queued")
    gone = {"address": NOWHERE, "name": "", "subject": "", "text": "", "html": ""}
    count("messages", Notice.update(gone).where(mine & is_free))
    rows = (peewee.fn.LOWER(BulkRow.email) == email) & (
        BulkRow.contract.is_null() | BulkRow.contract.not_in(kept_ids)
    )
    count("rows", BulkRow.update(name=ERASED, email=NOWHERE, read={}, typed={}).where(rows))
    if not kept_ids:
        count("apps", OutsideFactor.delete().where(OutsideFactor.email == email))
    count("contacts", unnamed(email))


def unnamed(email: str) -> Any:
    """The query that removes contacts of this address which no contract names."""
    named = ContractContact.select(ContractContact.contact).where(ContractContact.contact.is_null(False))
    return Contact.delete().where((Contact.email == email) & Contact.id.not_in(named))


def forget_in(contract: Contract, email: str, report: Report, by: Actor, now: datetime) -> None:
    """Take the person out of a contract that came to nothing."""
    report.erased["requests"] += 1
    people = [
        each | {"name": ERASED, "email": NOWHERE, "title": "", "phone": ""}
        if str(each.get("email", "")).lower() == email else each
        for each in contract.recipients
    ]  # fmt: skip
    Contract.update(recipients=people).where(Contract.id == contract.id).execute()
    envelopes = Envelope.select(Envelope.id).where(Envelope.contract == contract)
    rows = Recipient.select().where(Recipient.envelope.in_(envelopes) & (Recipient.email == email))
    ids = [row.id for row in rows]
    Act.update(name=ERASED, title="", signature_path="", address="", user_agent="", reason="").where(
        Act.recipient.in_(ids)
    ).execute()
    Right.delete().where(Right.recipient.in_(ids)).execute()
    Recipient.update(name=ERASED, email=NOWHERE, title="", phone="").where(Recipient.id.in_(ids)).execute()
    Negotiator.delete().where((Negotiator.contract == contract) & (Negotiator.email == email)).execute()
    for model in (Comment, Proposal, Agreement):
        mine = (model.contract == contract) & (peewee.fn.LOWER(model.author_email) == email)
        model.update(author_name=ERASED, author_email=NOWHERE).where(mine).execute()
    ContractContact.delete().where(
        (ContractContact.contract == contract)
        & ContractContact.contact.in_(Contact.select(Contact.id).where(Contact.email == email))
    ).execute()
    report.erased["contacts"] += int(unnamed(email).execute())
    forget_history(contract.id, email, report, by, now)
    jobs.add_again(text_changes.READ, {"contract": contract.id}, key=f"text:{contract.id}", now=now)


def forget_history(chain: str, email: str, report: Report, by: Actor, now: datetime) -> None:
    """Details that hold the address, and those of the same names in this chain."""
    rows = (
        list(AuditDetail.select().where(AuditDetail.chain == chain))
        if chain != INSTALLATION
        else list(
            AuditDetail.select().where(
                (AuditDetail.chain == chain)
                & peewee.fn.LOWER(AuditDetail.values.cast("TEXT")).contains(f'"{email}"')
            )
        )
    )
    mine = [row for row in rows if email in {str(value).lower() for value in row.values.values()}]
    names = {str(row.values.get(key)) for row in mine for key in ("name", "by_name") if row.values.get(key)}
    about = mine if chain == INSTALLATION else [
        row for row in rows if row in mine or names & {str(value) for value in row.values.values()}
    ]  # fmt: skip
    numbers = sorted(row.number for row in about)
    if numbers:
        audit.erase_details(chain, numbers, by=by, now=now)
        report.erased["history"] += len(numbers)


# --- Telephone numbers ------------------------------------------------------------------------------


def phone_days() -> int:
    return int(installation.fact(PHONE_DAYS, USUAL_PHONE_DAYS))


def set_phone_days(days: int, *, by: Actor, now: datetime) -> None:
    """How long numbers of signers stay once their request has ended."""
    if days == phone_days():
        return
    with transaction():
        installation.set_fact(PHONE_DAYS, days, now)
        audit.append("privacy.phone_days_changed", ("installation", "privacy"), chain=INSTALLATION, by=by,
                     now=now, facts={"days": days})  # fmt: skip


@jobs.recurring("forget_phone_numbers", timedelta(days=1))
def forget_phone_numbers(_payload: dict[str, Any], context: jobs.Context) -> None:
    """Take telephone numbers out of requests that ended long enough ago."""
    before = context.clock() - timedelta(days=phone_days())
    over = Envelope.select(Envelope.id).where(Envelope.ended_at.is_null(False) & (Envelope.ended_at < before))
    with transaction():
        context.hold()
        Recipient.update(phone="").where((Recipient.phone != "") & Recipient.envelope.in_(over)).execute()
