"""Who will sign, approve or get a copy: the contract's list before it is sent, and corrections after.

An entry of the list is `{key, side, role, routing_order, name, email, title, organisation, phone,
language, is_consumer, person_id}`; its `key` stays the same in the PDF's signature spots and in the
envelope. Our signers come from the authorised signatories only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, ContractContact
from portal.models.envelopes import Consent, Envelope, Recipient, SmsCode
from portal.models.parties import Contact, Signatory
from portal.models.people import Person
from portal.services import (
    audit,
    contract_states,
    envelopes,
    factors,
    links,
    notices,
    routing,
    sendable,
    signing_mails,
    sms_numbers,
    tasks,
)
from portal.services.audit import Actor

ROLES = {
    "signer": lazy("Signs"),
    "approver": lazy("Approves before signing"),
    "copy": lazy("Gets a copy"),
}
MOST_PEOPLE = 40
# What is printed in the PDF of those who sign on it.
PRINTED = ("name", "title", "organisation", "role", "side")
CHANGEABLE = (*contract_states.EDITABLE, "ready_to_sign")


# --- The list before sending --------------------------------------------------------------


def listed(contract: Contract) -> list[dict[str, Any]]:
    """The contract's people, those who act first, in their order."""
    return sorted(
        contract.recipients,
        key=lambda p: (p["role"] == "copy", p.get("routing_order", 1), p["role"] != "approver"),
    )


def one(contract: Contract, key: str) -> dict[str, Any]:
    """One entry of the list. Raises NotFound."""
    for person in contract.recipients:
        if person["key"] == key:
            return dict(person)
    raise NotFound(_("This person is not in the list."))


def add(contract: Contract, values: Mapping[str, Any], *, by: Actor, now: datetime) -> dict[str, Any]:
    """Put somebody on the list. Raises Invalid by field, Conflict once the names are printed or sent."""
    with transaction():
        people = claimed(contract)
        person = checked({**values, "key": new_key(people)}, contract, people, now)
        if person["role"] == "signer":
            demand_open_text(contract)
        if len(people) >= MOST_PEOPLE:
            raise Invalid({"name": _("A contract can have at most %(most)s people.", most=MOST_PEOPLE)})
        keep(contract, [*people, person], now)
        record("recipient.added", contract, person, by, now)
    return person


def change(contract: Contract, key: str, values: Mapping[str, Any], *, by: Actor, now: datetime) -> None:
    """Change an entry. What the finished PDF prints of a signer stays once it is prepared."""
    with transaction():
        people = claimed(contract)
        before = one(contract, key)
        others = [p for p in people if p["key"] != key]
        person = checked({**before, **values, "key": key}, contract, others, now)
        if "signer" in (person["role"], before["role"]) and any(
            person[f] != before.get(f, "") for f in PRINTED
        ):
            demand_open_text(contract)
        keep(contract, [person if p["key"] == key else p for p in people], now)
        record("recipient.changed", contract, person, by, now)


def remove(contract: Contract, key: str, *, by: Actor, now: datetime) -> None:
    """Take somebody off the list; removing them again changes nothing."""
    with transaction():
        people = claimed(contract)
        gone = [p for p in people if p["key"] == key]
        if not gone:
            return
        if gone[0]["role"] == "signer":
            demand_open_text(contract)
        keep(contract, [p for p in people if p["key"] != key], now)
        record("recipient.removed", contract, gone[0], by, now)


def claimed(contract: Contract) -> list[dict[str, Any]]:
    """The list as it is now, its row held until the transaction ends. Raises Conflict once sent."""
    fresh = lock_row(Contract.select().where(Contract.id == contract.id)).get()
    contract.recipients, contract.state, contract.version = fresh.recipients, fresh.state, fresh.version
    if contract.state not in CHANGEABLE:
        raise Conflict(
            _("The list is fixed: this contract is “%(state)s”.", state=contract_states.NAMES[contract.state])
        )
    return list(contract.recipients)


def demand_open_text(contract: Contract) -> None:
    if contract.state == "ready_to_sign":
        raise Conflict(
            _("The PDF is prepared with the names of those who sign. Reopen the text to change them.")
        )


def keep(contract: Contract, people: list[dict[str, Any]], now: datetime) -> None:
    contract.recipients = people
    contract.version += 1
    Contract.update(recipients=people, version=contract.version, updated_at=now).where(
        Contract.id == contract.id
    ).execute()


def new_key(people: list[dict[str, Any]]) -> str:
    """Short and stable: p1, p2, ... never one that is taken."""
    taken = {p["key"] for p in people}
    return next(key for n in range(1, 10_000) if (key := f"p{n}") not in taken)


def checked(
    values: Mapping[str, Any], contract: Contract, others: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    """A whole entry out of what was typed. Raises Invalid by field."""
    side = values.get("side", "theirs")
    errors: dict[str, str] = {}
    if side not in ("ours", "theirs"):
        errors["side"] = _("Choose which side this person is on.")
    if values.get("role") not in ROLES:
        errors["role"] = _("Choose what this person does.")
    given = from_person(values, contract, errors, now) if side == "ours" else dict(values)
    name, email = one_line(given.get("name", "")), str(given.get("email", "")).strip().lower()
    if not name:
        errors.setdefault("name", _("Write the name as it will stand in the contract."))
    if "@" not in email or any(c in email for c in ' <>,;\r\n\t"'):
        errors.setdefault("email", _("Write a mail address, such as name@example.com."))
    phone = str(given.get("phone", ""))
    if phone and sms_numbers.why_not(phone):
        errors.setdefault("phone", sms_numbers.why_not(phone))
    if any(p["email"] == email for p in others):
        errors.setdefault("email", _("Somebody with this mail address is in the list already."))
    order = values.get("routing_order") or 1
    if not 1 <= int(order) <= 99:
        errors["routing_order"] = _("Write a number from 1 to 99.")
    if errors:
        raise Invalid(errors)
    default = contract.entity.name if side == "ours" else their_name(contract)
    return {
        "key": values["key"],
        "side": side,
        "role": values["role"],
        "routing_order": int(order),
        "name": name,
        "email": email,
        "title": one_line(given.get("title", "")),
        "organisation": one_line(given.get("organisation", "")) or default,
        "phone": phone,
        "language": given.get("language") if given.get("language") in ("en", "fr") else "en",
        "is_consumer": bool(given.get("is_consumer")) and side == "theirs",
        "person_id": given.get("person_id") or None,
    }


def from_person(
    values: Mapping[str, Any], contract: Contract, errors: dict[str, str], now: datetime
) -> dict[str, Any]:
    """Our own people are chosen, not typed: name and address come from their account."""
    person: Person | None = Person.get_or_none(Person.id == (values.get("person_id") or ""))
    if person is None or not person.is_staff or person.disabled_at is not None:
        errors["person_id"] = _("Choose one of our people.")
        return dict(values)
    title = person.title
    if values.get("role") == "signer":
        reason = sendable.unauthorised(contract, person.id, now)
        if reason:
            errors["person_id"] = reason
        authority = Signatory.get_or_none(
            (Signatory.person == person) & (Signatory.entity == contract.entity)
        )
        title = authority.title if authority else title
    return {
        **values,
        "person_id": person.id,
        "name": person.name,
        "email": person.email,
        "title": title,
        "organisation": contract.entity.name,
        "phone": values.get("phone") or sms_numbers.textable(person.phone),
        "language": values.get("language") or person.language,
    }


def one_line(text: Any) -> str:
    return " ".join(str(text).split())[:200]


def their_name(contract: Contract) -> str:
    return contract.counterparty.name if contract.counterparty is not None else ""


def record(act: str, contract: Contract, person: Mapping[str, Any], by: Actor, now: datetime) -> None:
    audit.append(
        act, ("contract", contract.id), chain=contract.id, by=by, now=now,
        facts={k: person[k] for k in ("key", "side", "role", "routing_order", "language", "is_consumer")},
        personal={k: str(person[k]) for k in ("name", "email", "phone", "title", "organisation")},
    )  # fmt: skip


# --- Who might be asked -------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """Somebody the page offers; `why_not` says what keeps one of ours from signing."""

    id: str
    name: str
    about: str
    email: str
    values: Mapping[str, Any]
    why_not: str = ""


def our_signatories(contract: Contract, now: datetime) -> list[Candidate]:
    """The authorised signatories of our company in this contract."""
    rows = (
        Signatory.select()
        .where((Signatory.entity == contract.entity) & Signatory.ended_at.is_null())
        .order_by(Signatory.id)
    )
    found = {}
    for row in rows:
        who = row.person
        found[who.id] = Candidate(
            who.id, who.name, row.title, who.email, {"person_id": who.id},
            sendable.unauthorised(contract, who.id, now),
        )  # fmt: skip
    return list(found.values())


def our_people() -> list[Person]:
    """Our staff, who may approve or get a copy."""
    staff = Person.select().where(Person.counterparty_id.is_null() & Person.disabled_at.is_null())
    return list(staff.order_by(Person.name))


def their_contacts(contract: Contract) -> list[Candidate]:
    """People of the other party, those named in this contract first."""
    if contract.counterparty is None:
        return []
    named = {
        row.contact.id
        for row in ContractContact.select().where(ContractContact.contract == contract)
        if row.contact is not None
    }
    rows = Contact.select().where(Contact.counterparty == contract.counterparty).order_by(Contact.name)
    taken = {p["email"] for p in contract.recipients}
    found = [
        Candidate(
            row.id, row.name, row.title, row.email,
            {name: getattr(row, name) for name in ("name", "email", "title", "language")}
            | {"phone": sms_numbers.textable(row.phone)},
        )
        for row in rows
        if row.email not in taken
    ]  # fmt: skip
    return sorted(found, key=lambda c: c.id not in named)


def propose(contract: Contract, *, by: Actor, now: datetime) -> int:
    """Fill an empty list from the contract: their signatory or first contact, then ours. Returns how many."""
    if contract.recipients or contract.state not in CHANGEABLE:
        return 0
    chosen: list[dict[str, Any]] = []
    theirs = their_signatory(contract)
    if theirs is not None:
        chosen.append({**theirs.values, "side": "theirs", "role": "signer", "routing_order": 1})
    ours = [c for c in our_signatories(contract, now) if not c.why_not]
    ours.sort(key=lambda c: c.id != signatory_person(contract))
    if ours:
        chosen.append({**ours[0].values, "side": "ours", "role": "signer", "routing_order": len(chosen) + 1})
    for values in chosen:
        add(contract, values, by=by, now=now)
    return len(chosen)


def their_signatory(contract: Contract) -> Candidate | None:
    """Their contact named as signatory, else the first who is named, else the first there is."""
    candidates = their_contacts(contract)
    rows = ContractContact.select().where(
        (ContractContact.contract == contract) & (ContractContact.side == "theirs")
    )
    rank = {
        row.contact.id: 0 if row.role == "signatory" else 1 if row.role == "executive" else 2
        for row in rows
        if row.contact is not None
    }
    candidates.sort(key=lambda c: rank.get(c.id, 9))
    return candidates[0] if candidates else None


def signatory_person(contract: Contract) -> str:
    """The person behind the signatory chosen in the draft."""
    row = Signatory.get_or_none(Signatory.id == (contract.signatory_id or ""))
    return str(row.person.id) if row else ""


# --- After sending ------------------------------------------------------------------------


def correct(recipient: Recipient, *, name: str, email: str, phone: str, by: Actor, now: datetime) -> None:
    """Mend a wrong name, address or number before the person has acted.

    Earlier links and codes die at once; somebody already asked is asked again. Codes go to another
    number a day later: whoever changes it may not be who signs. Raises Conflict when they have acted
    or the request is over, Invalid by field.
    """
    with transaction():
        envelope = envelopes.lock(recipient.envelope.id)
        recipient = Recipient.get_by_id(recipient.id)
        if envelope.status not in envelopes.OPEN:
            raise Conflict(envelopes.how_it_stands(envelope))
        if recipient.status in (*routing.DONE, "declined"):
            raise Conflict(_("%(name)s has already answered.", name=recipient.name))
        values = corrected(recipient, envelope, one_line(name), email.strip().lower(), phone)
        before = {f"old_{field}": getattr(recipient, field) for field in values}
        changed = [field for field, value in values.items() if value != getattr(recipient, field)]
        if not changed:
            return
        if "phone" in changed and recipient.native_factors and envelope.handed_at is not None:
            raise Conflict(
                _("The provider has this number already. Withdraw the request, then send it again.")
            )
        is_asked_by_us = recipient.status in envelopes.ASKED and envelopes.we_write(recipient, envelope)
        if is_asked_by_us:
            notices.check_rate("mail", values["email"], by.id, now)
        held = {"phone_from": now + factors.NUMBER_HOLD} if "phone" in changed else {}
        Recipient.update(**values, **held, problem="", session_epoch=Recipient.session_epoch + 1).where(
            Recipient.id == recipient.id
        ).execute()
        forget_proofs(recipient, "email" in changed, now)
        answered = {"phone": "wrong_number", "name": "not_for_me", "email": "not_for_me"}
        tasks.settle(recipient, {answered[field] for field in changed}, by=by, now=now)
        audit.append(
            "recipient.corrected", ("recipient", recipient.id), chain=envelope.contract.id, by=by, now=now,
            facts={"envelope": envelope.id, "key": recipient.key, "changed": changed},
            personal={**before, **values},
        )  # fmt: skip
        if is_asked_by_us:
            fresh = Recipient.get_by_id(recipient.id)
            signing_mails.ask(fresh, envelope, now, by=by.id)


def corrected(recipient: Recipient, envelope: Envelope, name: str, email: str, phone: str) -> dict[str, str]:
    errors = {}
    if not name:
        errors["name"] = _("Write the name as it will stand in the contract.")
    if "@" not in email or any(c in email for c in ' <>,;\r\n\t"'):
        errors["email"] = _("Write a mail address, such as name@example.com.")
    others = Recipient.select().where((Recipient.envelope == envelope) & (Recipient.id != recipient.id))
    if any(other.email == email for other in others):
        errors["email"] = _("Somebody with this mail address is in the list already.")
    if phone and phone != recipient.phone and sms_numbers.why_not(phone):
        errors["phone"] = sms_numbers.why_not(phone)
    if "sms" in recipient.factors and not phone:
        errors["phone"] = _("This person must pass a code by text message, so a number is needed.")
    if errors:
        raise Invalid(errors)
    return {"name": name, "email": email, "phone": phone}


def forget_proofs(recipient: Recipient, new_address: bool, now: datetime) -> None:
    """Links, sessions and codes of before are worth nothing; another address has consented to nothing."""
    links.end_all(recipient, now)
    SmsCode.update(used_at=now).where((SmsCode.recipient == recipient) & SmsCode.used_at.is_null()).execute()
    if new_address:
        Consent.update(withdrawn_at=now).where(
            (Consent.recipient == recipient) & Consent.withdrawn_at.is_null()
        ).execute()
        Recipient.update(status="sent", opened_at=None).where(
            (Recipient.id == recipient.id) & (Recipient.status == "opened")
        ).execute()
