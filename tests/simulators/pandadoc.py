"""A simulated PandaDoc: `python -m tests.simulators.pandadoc --port 9005`.

Behaves as the vendor's API file and pages say: an upload is read behind the answer, a draft gets its fields
and is sent, a silent sending mails nobody, one word stands for withdrawn and run out, and a signing session
leads nowhere when it is over.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from tests.simulators.pandadoc_account import OWNER, invalid, not_found, refuse, stamp
from tests.simulators.pandadoc_people import PandaDocPeople
from tests.simulators.vendor import Envelope, Request, Response, Signer, answer, document, main, web_page

WORDS = {
    "draft": "document.draft", "sent": "document.sent", "completed": "document.completed",
    "declined": "document.declined", "voided": "document.voided", "expired": "document.voided",
}  # fmt: skip
NUMBERS = {
    0: "document.draft", 1: "document.sent", 2: "document.completed", 5: "document.viewed",
    9: "document.waiting_pay", 10: "document.paid", 11: "document.voided", 12: "document.declined",
}  # fmt: skip
LANGUAGES = (
    "en-US", "fr-FR", "it-IT", "es-ES", "nl-NL", "de-DE", "pt-BR", "pt-PT", "pl-PL", "sv-SE", "cs-CZ",
    "da-DK", "el-GR", "hu-HU", "nb-NO", "ro-RO", "bg-BG",
)  # fmt: skip
ORDERS = ("name", "date_created", "date_status_changed", "date_modified", "date_sent", "date_completed")
NEW, SENT, COMPLETED, VIEWED, SIGNED, RAN_OUT, BY_HAND, DECLINED = 1, 6, 7, 8, 9, 13, 19, 43
LOCKED = "Warning - Document status {} doesn’t mean that the document already exists"


class PandaDoc(PandaDocPeople):
    name = "pandadoc"

    # --- Routes --------------------------------------------------------------------------------

    def route(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if parts[0] == "s":
            return self.signing_page(parts[1], request)
        if parts == ["oauth2", "authorize"]:
            return self.authorize(request)
        if parts == ["oauth2", "access_token"] and request.method == "POST":
            return self.token(request)
        if not self.lets_in(request):
            return self.unknown_caller()
        self.queries.append((request.path, request.query))
        if request.method != "GET" and request.headers["content-type"].startswith("application/json"):
            self.bodies.append((request.method, request.path, request.json()))
        return self.api(request, parts)

    def api(self, request: Request, parts: list[str]) -> Response:
        match request.method, parts:
            case "GET", ["public", "v1", "members", "current"]:
                return answer(self.member())
            case _, ["public", "v1", "contacts"]:
                return self.on_contacts(request)
            case _, ["public", "v1", "webhook-subscriptions", *rest]:
                return self.on_subscriptions(request, rest)
            case "GET", ["public", "v1", "documents"]:
                return self.listing(request.query)
            case "POST", ["public", "v1", "documents"]:
                return self.create(request)
            case method, ["public", ("v1" | "v2") as version, "documents", document_id, *rest]:
                found = self.envelopes.get(document_id)
                if found is None or found.facts.get("deleted"):
                    return not_found()
                return self.on_document(method, found, [version, *rest], request)
        return not_found()

    def on_document(self, method: str, found: Envelope, rest: list[str], request: Request) -> Response:
        body = request.json()
        if method in ("POST", "PATCH") and not isinstance(body, dict):
            return invalid("non_field_errors", "Invalid data.")
        match method, rest:
            case "GET", ["v1"]:
                found.facts["reads"] = found.facts.get("reads", 0) + 1
                self.read_on(found)
                return answer(self.brief(found))
            case "DELETE", ["v1"]:
                return self.delete(found)
            case "GET", ["v1", "details"]:
                response = self.conflict(found) if self.is_new(found) else answer(self.shown(found))
                self.read_on(found)
                return response
            case "PATCH", ["v2", "settings"]:
                return self.settings(found, body)
            case "PATCH", ["v1", "auto-reminders"]:
                return self.reminders(found, body)
            case "GET", ["v1", "fields"]:
                return answer({"fields": self.fields(found)})
            case "POST", ["v1", "fields"]:
                return self.add_fields(found, body)
            case "POST", ["v1", "send"]:
                return self.send(found, body)
            case "POST", ["v1", "session"]:
                return self.session(found, body)
            case "PATCH", ["v1", "status"]:
                return self.change(found, body)
            case "POST", ["v1", "send-reminder"]:
                return self.remind(found, body)
            case "PATCH", ["v1", "recipients", "recipient", person_id]:
                return self.edit(found, person_id, body)
            case "POST", ["v1", "recipients", person_id, "reassign"]:
                return self.reassign(found, person_id, body)
            case "GET", ["v1", "download"]:
                return document(found.executed or found.file)
            case "GET", ["v1", "download-protected"]:
                return self.protected(found)
            case "GET", ["v2", "audit-trail"]:
                return self.trail(found, request.query)
        return not_found()

    # --- How a document reads ------------------------------------------------------------------

    def word(self, found: Envelope) -> str:
        if found.word:
            return found.word
        if self.is_new(found):
            return "document.uploaded"
        is_seen = found.status == "sent" and any(p.status in ("opened", "signed") for p in found.people)
        return "document.viewed" if is_seen else WORDS[found.status]

    def is_new(self, found: Envelope) -> bool:
        return found.status == "draft" and found.facts.get("unread", 0) > 0

    def read_on(self, found: Envelope) -> None:
        """PandaDoc has read a document by the time it is asked about again."""
        found.facts["unread"] = max(0, found.facts.get("unread", 0) - 1)

    def conflict(self, found: Envelope) -> Response:
        word = self.word(found)
        return answer({"id": found.id, "status": word, "info_message": LOCKED.format(word)}, 409)

    def brief(self, found: Envelope) -> dict[str, Any]:
        done = found.ended_at if found.status == "completed" else None
        return {
            "id": found.id, "uuid": found.id, "name": found.title, "status": self.word(found),
            "date_created": stamp(found.created_at), "date_modified": stamp(self.changed_at(found)),
            "date_completed": stamp(done), "expiration_date": stamp(found.expires_at), "version": "2",
        }  # fmt: skip

    @staticmethod
    def changed_at(found: Envelope) -> datetime | None:
        acted = [each.acted_at for each in found.people if each.acted_at]
        return found.ended_at or max(acted, default=found.created_at)

    def shown(self, found: Envelope) -> dict[str, Any]:
        return {
            **self.brief(found),
            "metadata": {"document__created_via_public_api": "true", **found.facts.get("metadata", {})},
            "recipients": [self.person(each, found) for each in found.people],
            "fields": self.fields(found), "tokens": [], "tags": [], "template": None,
            "created_by": {"email": OWNER}, "grand_total": {"amount": "0", "currency": "USD"},
        }  # fmt: skip

    @staticmethod
    def person(each: Signer, found: Envelope) -> dict[str, Any]:
        first, _, last = each.name.partition(" ")
        role = each.facts.get("role", "")
        return {
            "id": each.id, "first_name": first, "last_name": last, "email": each.email, "phone": "",
            "recipient_type": "signer" if role else "CC", "has_completed": each.status == "signed",
            "role": role, "roles": [role] if role else [],
            "signing_order": each.order if role else None, "contact_id": each.facts.get("contact"),
            "shared_link": f"https://app.pandadoc.com/document/{each.id}" if found.status != "draft" else "",
            "signature_date": stamp(each.acted_at if each.status == "signed" else None),
            "redirect": {"is_enabled": False, "url": None, **each.facts.get("redirect", {})},
            "verification_settings": each.facts.get("verification"), "type": "recipient",
        }  # fmt: skip

    def fields(self, found: Envelope) -> list[dict[str, Any]]:
        return [
            {**field, "assigned_to": {"id": each.id, "email": each.email, "type": "recipient"}}
            for each in found.people
            for field in each.fields
        ]

    def listing(self, query: dict[str, str]) -> Response:
        count, page = int(query.get("count", "50")), int(query.get("page", "1"))
        order = query.get("order_by", "date_status_changed")
        if not 1 <= count <= 100 or page < 1 or order.lstrip("-") not in ORDERS:
            return invalid("order_by", "value is not a valid choice.")
        held = [each for each in self.envelopes.values() if not each.facts.get("deleted")]
        for name, value in query.items():
            if name.startswith("metadata_"):
                key = name.removeprefix("metadata_")
                held = [e for e in held if e.facts.get("metadata", {}).get(key) == value]
        if "status" in query:
            held = [each for each in held if self.word(each) == NUMBERS[int(query["status"])]]
        if "completed_from" in query:
            start = datetime.fromisoformat(query["completed_from"])
            held = [each for each in held if each.ended_at and each.ended_at >= start]
        if "completed_to" in query:
            end = datetime.fromisoformat(query["completed_to"])
            held = [each for each in held if each.ended_at and each.ended_at < end]
        name = order.lstrip("-")
        held.sort(key=lambda each: str(self.brief(each).get(name) or ""), reverse=order.startswith("-"))
        return answer({"results": [self.brief(each) for each in held[(page - 1) * count : page * count]]})

    # --- From upload to sending ----------------------------------------------------------------

    def create(self, request: Request) -> Response:
        if "upload" not in request.query and not request.headers["content-type"].startswith("multipart"):
            return invalid("template_uuid", "This field is required.")
        parts = request.parts()
        if "file" not in parts or not parts["file"].content.startswith(b"%PDF-"):
            return invalid("file", "The submitted file is not a PDF.")
        try:
            data = json.loads(parts["data"].text)
        except (KeyError, ValueError):
            return invalid("data", "Not a valid JSON.")
        if not isinstance(data, dict) or not data.get("name"):
            return invalid("name", "This field is required.")
        people = []
        for each in data.get("recipients", []):
            made = self.recipient(each)
            if isinstance(made, Response):
                return made
            people.append(made)
        if len({each.email for each in people}) < len(people):
            return invalid("recipients", "Emails must be unique.")
        orders = {each.order for each in people if each.role != "copy"}
        if orders and orders != set(range(1, len(orders) + 1)):
            return invalid("signing_order", "Must be a contiguous sequence starting from 1.")
        found = self.new_envelope(data["name"], parts["file"].content)
        found.people = people
        found.facts |= {"unread": 2, "metadata": data.get("metadata") or {}, "trail": []}
        found.facts["metadata"] = {key: str(value) for key, value in found.facts["metadata"].items()}
        found.our_id = found.facts["metadata"].get("countersign_id", "")
        self.log(found, NEW)
        self.bodies.append(("POST", request.path, data))
        return answer({**self.brief(found), "expiration_date": None, "version": None}, 201)

    def settings(self, found: Envelope, body: dict[str, Any]) -> Response:
        days = body.get("expires_in", 60)
        if type(days) is not int or days < 1 or body.get("language", "en-US") not in LANGUAGES:
            details = [{"code": "invalid", "pointer": "/expires_in"}]
            return answer({"code": "bad_request", "details": details}, 400)
        found.facts["settings"] = {"language": "en-US", "expires_in": 60, **body}
        return answer({"qualified_electronic_signature": False, "suggest_edits": False,
                       **found.facts["settings"]})  # fmt: skip

    def reminders(self, found: Envelope, body: dict[str, Any]) -> Response:
        numbers = [body.get(name, 1) for name in ("initial_delay_days", "recurrence_frequency_days")]
        fine = all(type(number) is int and 1 <= number <= 180 for number in numbers)
        if type(body.get("enabled")) is not bool or not fine:
            return invalid("enabled", "This field is required.")
        if found.status not in ("draft", "sent"):
            return refuse("Can't get or modify auto-reminders setup. Document is completed, paid, declined or"
                          " expired")  # fmt: skip
        found.facts["reminders"] = body
        return answer(body)

    def add_fields(self, found: Envelope, body: dict[str, Any]) -> Response:
        if self.is_new(found) or found.status != "draft":
            return self.conflict(found)
        people = {each.id: each for each in found.people}
        for each in body.get("fields", []):
            try:
                layout, place = each["layout"], each["layout"]["position"]
                numbers = [layout["page"], layout["style"]["width"], layout["style"]["height"]]
                offsets = [place["offset_x"], place["offset_y"]]
            except (KeyError, TypeError):
                return invalid("layout", "This field is required.")
            if not all(type(n) is int and n >= 0 for n in numbers) or numbers[0] < 1 or min(offsets) < 0:
                return invalid("layout", "A valid integer is required.")
            if place.get("anchor_point") not in ("topleft", "topright", "bottomleft", "bottomright"):
                return invalid("anchor_point", "Value is not a valid choice.")
            if each.get("type") != "signature" or each.get("assigned_to") not in people:
                return invalid("assigned_to", "Recipient not found.")
        for each in body["fields"]:
            made = {"uuid": str(uuid.uuid4()), "name": "Signature", "value": {}, **each}
            people[each["assigned_to"]].fields.append(made)
        return answer({"fields": self.fields(found)})

    def send(self, found: Envelope, body: dict[str, Any]) -> Response:
        if self.word(found) not in ("document.draft", "document.approved"):
            return self.conflict(found)
        if found.facts.get("needs_approval"):
            found.facts["needs_approval"], found.word = False, "document.waiting_approval"
            return answer(self.brief(found))
        found.word = ""
        silent = body.get("silent", False)
        for each in found.people:
            each.is_embedded = silent
        found.facts["sent"] = body
        found.message = body.get("message", "")
        days = found.facts.get("settings", {}).get("expires_in", 60)
        found.expires_at = self.clock() + timedelta(days=days)
        self.log(found, SENT)
        self.start(found)
        return answer({**self.brief(found), "recipients": [self.person(e, found) for e in found.people]})

    # --- While it is out -----------------------------------------------------------------------

    def act(self, envelope_id: str, email: str, what: str, reason: str = "") -> None:
        with self.lock:
            codes = {"open": VIEWED, "decline": DECLINED}
            super().act(envelope_id, email, what, reason)
            found = self.envelopes[envelope_id]
            self.log(found, codes.get(what, SIGNED), email, reason or None)
            if found.status == "completed":
                self.log(found, COMPLETED)

    def expire(self, envelope_id: str) -> None:
        """Its time comes."""
        with self.lock:
            found = self.envelopes[envelope_id]
            self.log(found, RAN_OUT)
            found.status, found.ended_at = "expired", found.expires_at
            self.changed(found, "expired")

    def session(self, found: Envelope, body: dict[str, Any]) -> Response:
        person = next((p for p in found.people if p.email == str(body.get("recipient", "")).lower()), None)
        if person is None:
            return refuse({"recipient": ["Recipient not found."]})
        if found.status not in ("sent", "completed"):
            return refuse("Document is not in a status that can be shared.")
        lifetime = body.get("lifetime", 3600)
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
            return refuse({"lifetime": ["A valid number is required."]})
        token = self.new_id()
        self._links[token] = (found.id, person.id)
        return answer({"id": token, "expires_at": stamp(self.clock() + timedelta(seconds=lifetime))}, 201)

    def signing_page(self, token: str, request: Request) -> Response:
        """As everywhere, but it leads back to nobody: a recipient's redirect is not for sessions."""
        shown = super().signing_page(token, request)
        is_over = request.method == "POST" and shown.status in (200, 302)
        return web_page("Thank you", "<p>You have completed the document.</p>") if is_over else shown

    def change(self, found: Envelope, body: dict[str, Any]) -> Response:
        if body.get("status") not in (2, 10, 11, 12):
            return invalid("status", "value is not a valid choice.")
        if body["status"] != 11 or self.word(found) not in ("document.sent", "document.viewed"):
            return self.conflict(found)
        if body.get("notify_recipients"):
            for each in found.people:
                self.mail(each, found)
        self.log(found, BY_HAND, OWNER, body.get("note"))
        self.end(found, "voided", body.get("note", ""))
        return Response(204)

    def delete(self, found: Envelope) -> Response:
        found.facts["deleted"] = True
        self.changed(found, "deleted")
        return Response(204)

    # --- Afterwards ----------------------------------------------------------------------------

    def protected(self, found: Envelope) -> Response:
        if self.is_sandbox:
            return self.unknown_caller()
        if self.is_plain:
            said = "You do not have permission to perform this action."
            return refuse(said, "permissions_error", 403)
        if found.status != "completed":
            return self.conflict(found)
        if found.facts.get("sealing"):
            found.facts["sealing"] -= 1
            return Response(202, b"", {"Retry-After": "7"})
        return document(found.executed)

    def log(self, found: Envelope, action: int, email: str = OWNER, reason: str | None = None) -> None:
        found.facts.setdefault("trail", []).append(
            {
                "id": self.new_id(), "user": {"id": self.new_id(), "email": email}, "action": action,
                "reason": reason, "date_created": stamp(self.clock()), "ip_address": "203.0.113.9",
            }
        )  # fmt: skip

    def trail(self, found: Envelope, query: dict[str, str]) -> Response:
        limit, offset = int(query.get("limit", "20")), int(query.get("offset", "0"))
        if not self.is_admin:
            return answer({"code": "forbidden", "details": []}, 403)
        if not 1 <= limit <= 100 or offset < 0:
            details = [{"code": "invalid", "pointer": "/limit"}]
            return answer({"code": "bad_request", "details": details}, 400)
        entries = found.facts.get("trail", [])
        return answer({"count": len(entries), "results": entries[offset : offset + limit]})


if __name__ == "__main__":
    main(PandaDoc())
