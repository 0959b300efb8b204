"""Giving notice: a dated letter, confirmed, signed by one of ours, sealed, kept and sent.

The letter is typeset when it is drafted, so that people confirm what they see; a job typesets it again
with the signature on it and puts the company seal behind. Its bytes lie in the store under the
letter's name before any row says so, and whoever runs second takes what lies there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from portal import failpoints
from portal.documents import children, render
from portal.documents.layouts import LetterLayout, LetterPart
from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.i18n import format_date, format_datetime, use
from portal.i18n import gettext as _
from portal.models.base import new_id, transaction
from portal.models.contracts import Contract, ContractContact, Document, RegisteredFile
from portal.models.lives import ContractLife, ContractTerm, Letter
from portal.models.parties import Signatory
from portal.models.people import Person
from portal.services import (
    audit,
    contract_states,
    documents,
    entities,
    installation,
    jobs,
    lives,
    notices,
    parties,
    permissions,
    revisions,
    sealing,
)
from portal.services.audit import SYSTEM, Actor

KINDS = ("end", "termination")
LONGEST_GROUND = 2_000


@dataclass(frozen=True)
class Asked:
    """What somebody wants to say. `effective_on` is for a termination; an end follows from the term."""

    kind: str
    signatory_id: str
    reason: str = ""
    effective_on: date | None = None


# --- Reading -----------------------------------------------------------------------------------


def get(contract_reference: str, letter_id: str, person: Person | None) -> Letter:
    """A letter, for whoever may read its contract and for whoever is to sign it. Raises NotFound."""
    found: Letter | None = Letter.get_or_none(Letter.id == letter_id)
    if found is None or person is None or found.contract.reference != contract_reference:
        raise NotFound
    if not permissions.allows(person, "contract.read") and not is_signer(found, person):
        raise NotFound
    return found


def of(contract: Contract) -> list[Letter]:
    """The contract's letters, the newest first."""
    query = Letter.select().where((Letter.contract == contract) & (Letter.state != "withdrawn"))
    return list(query.order_by(Letter.created_at.desc()))


def is_signer(letter: Letter, person: Person) -> bool:
    return bool(letter.signatory.person.id == person.id)


def last_day_after(contract: Contract, life: ContractLife, present: ContractTerm, now: datetime) -> date:
    """The last day in force when notice against renewal is given now. Raises Conflict where it has none."""
    if present.ends_on is None:
        raise Conflict(_("It has no end that notice could be given for."))
    if present.notice_on is None or lives.today(life, now) <= present.notice_on:
        return present.ends_on
    ahead = lives.following(present, lives.text(contract))
    return ahead["ends_on"] if ahead else present.ends_on


# --- Drafting ----------------------------------------------------------------------------------


def draft(contract: Contract, asked: Asked, *, by: Actor, now: datetime) -> Letter:
    """Typeset a letter for people to confirm. Raises Invalid by field, Conflict where none can be given."""
    life, present = lives.of(contract), lives.term(contract)
    if contract.state not in contract_states.RUNNING or life is None or present is None:
        raise Conflict(_("Notice can be given of a live contract only."))
    if life.notice_given_on is not None:
        raise Conflict(_("Notice was given on %(day)s.", day=format_date(life.notice_given_on)))
    today = lives.today(life, now)
    letter = Letter(
        id=new_id(), contract=contract, kind=asked.kind, dated_on=today, reason=asked.reason.strip(),
        signatory=checked_signatory(contract, asked, today),
        effective_on=effective_day(contract, life, present, asked, now),
        created_by=by.id, created_at=now,
    )  # fmt: skip
    pdf = typeset(letter)
    stored = documents.put(pdf)
    with transaction():
        open_ones = (Letter.contract == contract) & (Letter.state == "drafted")
        Letter.update(state="withdrawn").where(open_ones).execute()
        letter.document = documents.record(
            stored, "letter", file_name=file_name(letter, "draft"), contract=contract, now=now
        )
        letter.save(force_insert=True)
        note("letter.drafted", letter, by, now, sha256=stored.sha256)
        tell_signatory(letter, now)
    return letter


def checked_signatory(contract: Contract, asked: Asked, today: date) -> Signatory:
    found: Signatory | None = Signatory.get_or_none(Signatory.id == asked.signatory_id)
    if found is None or found.entity.id != contract.entity.id:
        raise Invalid({"signatory": _("Choose who signs for us.")})
    reason = entities.why_not(found, Decimal(0), found.limit_currency, today)
    if reason:
        raise Invalid({"signatory": reason})
    if asked.kind not in KINDS:
        raise Invalid({"kind": _("Say what the letter is for.")})
    if asked.kind == "termination" and not asked.reason.strip():
        raise Invalid({"reason": _("Name the ground in the contract.")})
    if len(asked.reason) > LONGEST_GROUND:
        raise Invalid({"reason": _("This is too long for a letter.")})
    return found


def effective_day(
    contract: Contract, life: ContractLife, present: ContractTerm, asked: Asked, now: datetime
) -> date:
    if asked.kind == "end":
        return last_day_after(contract, life, present, now)
    if asked.effective_on is None or asked.effective_on < lives.today(life, now):
        raise Invalid({"effective_on": _("Choose the last day in force, today or later.")})
    return asked.effective_on


def file_name(letter: Letter, what: str = "notice") -> str:
    return f"{letter.contract.reference}-{what}-{letter.dated_on.isoformat()}.pdf"


def withdraw(letter: Letter, *, by: Actor, now: datetime) -> None:
    """Give a letter up that nobody has signed. Raises Conflict once it is signed."""
    with transaction():
        become(letter, "withdrawn", "drafted")
        note("letter.withdrawn", letter, by, now)


# --- What it says ------------------------------------------------------------------------------


def typeset(letter: Letter) -> bytes:
    """The PDF, with the signature once there is one. Raises Invalid or Unavailable with a sentence."""
    try:
        return render.letter_pdf(layout(letter), pool=documents.POOL)
    except children.Refused as refused:
        raise Invalid({"reason": revisions.refusal(refused)}) from refused
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error


def layout(letter: Letter) -> LetterLayout:
    contract = letter.contract
    language = contract.languages[0]
    life = lives.of(contract)
    with use(language, life.zone if life else None):
        signed = ""
        if letter.signed_at is not None:
            at = format_datetime(letter.signed_at, place=True)
            signed = _("Signed electronically on %(at)s", at=at)
        return {
            "language": language,
            "title": _("Notice, %(reference)s", reference=contract.reference),
            "footer": contract.reference,
            "page_of": _("Page {page} of {pages}"),
            "draft": "" if letter.signed_at else _("Draft, not signed"),
            "dated": format_date(letter.dated_on, long=True),
            "dated_at": datetime.combine(letter.dated_on, datetime.min.time(), UTC).isoformat(),
            "sender": party(contract.entity),
            "addressee": party(contract.counterparty),
            "parts": [part(letter, each) for each in contract.languages],
            "signed_for": _("For %(company)s", company=contract.entity.name),
            "signatory": letter.signatory.person.name,
            "position": letter.signatory.title,
            "signature": letter.name,
            "signed": signed,
        }


def party(company: Any) -> Any:
    if company is None:
        return {"name": "", "lines": []}
    return {"name": company.name, "lines": [line.strip() for line in company.address.splitlines() if line]}


def part(letter: Letter, language: str) -> LetterPart:
    contract = letter.contract
    with use(language):
        life = lives.of(contract)
        signed_on = life.signed_on if life else None
        about = {
            "reference": contract.reference, "title": contract.title,
            "day": format_date(letter.effective_on, long=True),
        }  # fmt: skip
        of_day = _(" of %(day)s", day=format_date(signed_on, long=True)) if signed_on else ""
        if letter.kind == "end":
            said = [
                _(
                    "we give you notice that we do not renew the contract “%(title)s” "
                    "(%(reference)s)%(of_day)s.",
                    of_day=of_day, **about,
                ),
                _("It ends with its term; its last day in force is %(day)s.", **about),
            ]  # fmt: skip
            if letter.reason:
                said.append(letter.reason)
        else:
            said = [
                _("we terminate the contract “%(title)s” (%(reference)s)%(of_day)s.", of_day=of_day, **about),
                _("The ground is: %(ground)s", ground=letter.reason),
                _("Its last day in force is %(day)s.", **about),
            ]
        return {
            "language": language,
            "subject": _("Notice: contract %(reference)s", reference=contract.reference),
            "paragraphs": [_("Dear Sir or Madam,"), *said, _("Yours faithfully,")],
        }


# --- Signing -------------------------------------------------------------------------------------


def intent(letter: Letter) -> str:
    """The sentence beside the button, word for word."""
    return _("I sign this letter for %(company)s and have it sent.", company=letter.contract.entity.name)


def sign(letter: Letter, *, name: str, is_meant: bool, by: Actor, now: datetime) -> None:
    """The signatory signs by typing their name; a job seals and sends it.

    Raises NotAllowed for anybody else, Invalid by field, Conflict where the letter no longer holds.
    """
    if letter.signatory.person.id != by.id:
        raise NotAllowed(_("Only %(name)s can sign this letter.", name=letter.signatory.person.name))
    errors = {}
    if " ".join(name.split()).casefold() != letter.signatory.person.name.casefold():
        errors["name"] = _(
            "Type your name as it stands in the letter: %(name)s.", name=letter.signatory.person.name
        )
    if not is_meant:
        errors["meant"] = _("Tick this to sign.")
    if errors:
        raise Invalid(errors)
    with transaction():
        still_holds(letter, now)
        become(letter, "signed", "drafted", name=" ".join(name.split()), intent=intent(letter), signed_at=now)
        note("letter.signed", letter, by, now, document=letter.document.sha256 if letter.document else "")
        jobs.add("seal_letter", {"letter": letter.id}, key=f"seal_letter:{letter.id}", now=now)


def still_holds(letter: Letter, now: datetime) -> None:
    """Raises Conflict when the contract has moved on, or the day printed on the letter is no longer today."""
    contract = Contract.get_by_id(letter.contract.id)
    life, present = lives.of(contract), lives.term(contract)
    if life is None or present is None or contract.state not in contract_states.RUNNING:
        raise Conflict(_("The contract is “%(state)s” by now.", state=contract_states.NAMES[contract.state]))
    if life.notice_given_on is not None:
        raise Conflict(_("Notice was given on %(day)s.", day=format_date(life.notice_given_on)))
    if letter.dated_on != lives.today(life, now):
        raise Conflict(_("The letter bears another day than today. Draft it again."))
    if letter.kind == "end" and last_day_after(contract, life, present, now) != letter.effective_on:
        raise Conflict(_("The last day in force is another one by now. Draft the letter again."))


def become(letter: Letter, state: str, before: str, **values: Any) -> None:
    moved = (
        Letter.update(state=state, **values)
        .where((Letter.id == letter.id) & (Letter.state == before))
        .execute()
    )
    if moved != 1:
        raise Conflict(_("Somebody else was quicker. Look at it as it is now."))
    for field, value in {"state": state, **values}.items():
        setattr(letter, field, value)


# --- Sealing ---------------------------------------------------------------------------------------


@jobs.handler("seal_letter")
def seal_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Seal, keep, note that notice was given, and write to the other party. Running twice changes nothing."""
    letter = Letter.get_or_none(Letter.id == payload["letter"])
    if letter is None or letter.state != "signed":
        return
    content = stored_or_sealed(letter, context.clock())
    failpoints.reach("letter.after_store")
    with transaction():
        context.hold()
        record(letter, content, context.clock())
        failpoints.reach("letter.before_commit")


def stored_or_sealed(letter: Letter, now: datetime) -> bytes:
    from portal.documents import seal

    store = installation.current().store
    key = storage_key(letter)
    if store.exists(key):
        earlier: bytes = store.get(key)
        return earlier
    authority = installation.current().authority
    reason = f"Notice signed by {letter.name} for {letter.contract.entity.name}"
    return sealing.put_once(key, seal.seal(typeset(letter), authority, now=now, reason=reason))


def storage_key(letter: Letter) -> str:
    return f"letter-{letter.id}"


def record(letter: Letter, content: bytes, now: datetime) -> None:
    """The sealed letter's rows, and what follows from it for the contract."""
    contract = letter.contract
    digest = hashlib.sha256(content).hexdigest()
    document: Document = documents.record(
        documents.Stored(storage_key(letter), digest, len(content)), "notice_letter",
        file_name=file_name(letter), contract=contract, now=now,
    )  # fmt: skip
    RegisteredFile.insert(
        sha256=digest, kind="letter", document_id=document.id, facts={}, registered_at=now
    ).on_conflict_ignore().execute()
    become(letter, "sealed", "signed", executed=document, sealed_at=now)
    ContractLife.update(notice_given_on=letter.dated_on, ends_on=letter.effective_on, missed_on=None).where(
        ContractLife.contract == contract
    ).execute()
    Contract.update(end_on=letter.effective_on, updated_at=now).where(Contract.id == contract.id).execute()
    written_to = tell_other_party(letter, document, now)
    note("notice.given", letter, SYSTEM, now, sha256=digest, effective_on=letter.effective_on.isoformat(),
         written_to=written_to)  # fmt: skip


def tell_other_party(letter: Letter, document: Document, now: datetime) -> int:
    """Mail the letter to the people named for them; how many. With PHI nothing is attached."""
    contract = letter.contract
    people = addressees(contract)
    for someone in people:
        notices.queue(
            "notice_letter", address=someone["email"], name=someone["name"], language=someone["language"],
            zone=contract.counterparty.zone if contract.counterparty else None, now=now, contract=contract,
            attachments=[document.id],
            context={
                "day": format_in(someone["language"], letter.effective_on), "sha256": document.sha256,
                "sender": contract.entity.name, "kind": letter.kind,
            },
        )  # fmt: skip
    return len(people)


def format_in(language: str, day: date) -> str:
    with use(language):
        return format_date(day, long=True)


def addressees(contract: Contract) -> list[dict[str, str]]:
    """The people named in the contract for them; where nobody is, all we know there."""
    query = ContractContact.select().where(
        (ContractContact.contract == contract) & ContractContact.contact.is_null(False)
    )
    found: list[Any] = [each.contact for each in query]
    if not found and contract.counterparty is not None:
        found = parties.contacts(contract.counterparty)
    people = [
        {"name": each.name, "email": each.email, "language": each.language} for each in found if each.email
    ] + [
        {"name": each["name"], "email": each["email"], "language": each["language"]}
        for each in contract.recipients
        if each["side"] == "theirs"
    ]
    return list({each["email"]: each for each in people}.values())


def tell_signatory(letter: Letter, now: datetime) -> None:
    person = letter.signatory.person
    notices.queue(
        "letter_to_sign", address=person.email, name=person.name, language=person.language, zone=person.zone,
        now=now, contract=letter.contract, person_id=person.id,
        context={
            "party": letter.contract.counterparty.name if letter.contract.counterparty else "",
            "link": notices.url(f"/contracts/{letter.contract.reference}/letters/{letter.id}"),
        },
    )  # fmt: skip


def note(act: str, letter: Letter, by: Actor, now: datetime, **facts: Any) -> None:
    audit.append(
        act, ("letter", letter.id), chain=letter.contract.id, by=by, now=now,
        facts={"kind": letter.kind, **facts}, personal={"reason": letter.reason} if letter.reason else None,
    )  # fmt: skip
