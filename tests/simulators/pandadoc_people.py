"""The people of a simulated PandaDoc document: who they are, how they are checked, reminded and replaced."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tests.simulators.pandadoc_account import PandaDocAccount, invalid, not_found, refuse, stamp
from tests.simulators.vendor import Envelope, Response, Signer, answer

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]+")
PASSCODE = re.compile(r"^(?=(?:.*[a-zA-Z]){1,})(?=(?:.*[0-9]){1,})^[\S]{6,100}$")
PHONE = re.compile(r"^\+[1-9]\d{0,4}\d{2,14}$")
KINDS = {
    "passcode_verification": "access_code", "phone_verification": "sms",
    "email_otp_verification": "email_code", "kba_verification": "kba", "id_verification": "id_check",
}  # fmt: skip


class PandaDocPeople(PandaDocAccount):
    def word(self, found: Envelope) -> str:
        raise NotImplementedError

    def recipient(self, said: Any) -> Signer | Response:
        if not isinstance(said, dict) or not EMAIL.fullmatch(str(said.get("email", ""))):
            return invalid("email", "Enter a valid email address.")
        order, role = said.get("signing_order"), said.get("role") or ""
        if order is not None and type(order) is not int:
            return invalid("signing_order", "A valid integer is required.")
        redirects = said.get("redirect")
        if redirects is not None and not {"is_enabled", "url"} <= set(redirects):
            return invalid("redirect", "This field is required.")
        factors = factors_of(said.get("verification_settings"))
        if factors is None:
            return invalid("verification_settings", "Exactly one verification type must be provided.")
        first, last = said.get("first_name") or "", said.get("last_name") or ""
        contact = self.contact(said["email"], first, last)
        return Signer(
            self.new_id(), f"{first} {last}".strip(), said["email"].lower(),
            role="signer" if role else "copy", order=order or 1, factors=factors,
            facts={
                "role": role, "verification": said.get("verification_settings"),
                "contact": contact["id"], "redirect": redirects or {},
            },
        )  # fmt: skip

    def remind(self, found: Envelope, body: dict[str, Any]) -> Response:
        if found.status != "sent":
            said = "Can't send reminder. Document is not in SENT or VIEWED statuses"
            return answer({"id": found.id, "status": self.word(found), "info_message": said}, 409)
        result = []
        for each in body.get("reminders", []):
            person = next((p for p in found.people if p.id == each.get("recipient_id")), None)
            problem = self.unremindable(person)
            told: dict[str, Any] = {"status": "error", "detail": problem}
            if person is not None and not problem:
                person.facts["reminded_at"] = self.clock()
                person.reminded += 1
                self.mail(person, found)
                told = {"status": "sent", "sent_at": stamp(self.clock())}
            result.append({"recipient_id": each.get("recipient_id"), "email": told})
        return answer({"result": result})

    def unremindable(self, person: Signer | None) -> str:
        if person is None:
            return "Can't send reminder. The document does not contain a recipient with the specified ID"
        if person.role == "copy":
            return "Can't send reminder to CC recipient"
        if person.status == "signed":
            return "Can't send reminder to the Recipient who completed their part"
        if person.status == "waiting":
            return ("Can't send reminder. Signing order is enabled and this Recipient can't sign the document"
                    " yet")  # fmt: skip
        last = person.facts.get("reminded_at")
        if last is not None and self.clock() - last < timedelta(hours=24):
            return "Can't send email reminder to the Recipient more than once every 24 hours"
        return ""

    def edit(self, found: Envelope, person_id: str, body: dict[str, Any]) -> Response:
        person = next((each for each in found.people if each.id == person_id), None)
        if person is None:
            return not_found()
        if found.status not in ("draft", "sent") or person.status == "signed":
            return refuse({"non_field_errors": ["Recipient can't be edited."]})
        email = str(body.get("email") or person.email).lower()
        if email != person.email and any(each["email"] == email for each in self.contacts.values()):
            return refuse({"email": ["Contact with this email already exists."]})
        first, _, last = person.name.partition(" ")
        names = (body.get("first_name", first), body.get("last_name", last))
        self.contacts[person.facts["contact"]] |= {
            "email": email, "first_name": names[0], "last_name": names[1],
        }  # fmt: skip
        is_new = email != person.email
        person.name, person.email = " ".join(names).strip(), email
        if is_new and person.status in ("sent", "opened"):
            person.status = "sent"
            self.mail(person, found)
        return Response(204)

    def reassign(self, found: Envelope, person_id: str, body: dict[str, Any]) -> Response:
        person = next((each for each in found.people if each.id == person_id), None)
        contact = self.contacts.get(str(body.get("id")))
        if body.get("kind") not in ("contact", "contact_group"):
            return refuse({"kind": ["This field is required."]})
        if person is None or contact is None:
            return not_found()
        if person.status == "signed" or any(each.email == contact["email"] for each in found.people):
            return refuse({"id": ["This contact can't be used."]})
        person.id, person.email = self.new_id(), contact["email"]
        person.name = f"{contact['first_name']} {contact['last_name']}".strip()
        person.factors, person.facts["verification"] = {}, None
        person.facts["contact"] = contact["id"]
        return answer({"recipient_id": person.id})


def factors_of(said: Any) -> dict[str, Any] | None:
    """In our words; None where the vendor would refuse."""
    if said is None:
        return {}
    if not isinstance(said, dict) or said.get("verification_place") not in ("before_open", "before_sign"):
        return None
    chosen = {name: value for name, value in said.items() if name in KINDS and value is not None}
    if len(chosen) != 1:
        return None
    [(name, value)] = chosen.items()
    fine = {
        "passcode_verification": lambda: PASSCODE.match(value["passcode"]),
        "phone_verification": lambda: PHONE.match(value["phone_number"]),
        "email_otp_verification": lambda: EMAIL.fullmatch(value["email"]),
        "kba_verification": lambda: all(type(number) is int for number in value.values()),
        "id_verification": lambda: value["enabled"] is True,
    }
    return {KINDS[name]: value} if fine[name]() else None
