"""A simulated signNow: `python -m tests.simulators.signnow --port 9003`.

Behaves as the vendor's API file, its clients and docs.signnow.com say: a PUT replaces all fields and makes
the roles, cancelled invitations vanish, an embedded invitation must name every role and stands alone, links
are given to those whose turn it is, a bad token is a 400.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tests.simulators.signnow_account import BASIC, DOCUMENTS, OWNER, SignNowAccount, refuse
from tests.simulators.signnow_documents import history, whole
from tests.simulators.vendor import Envelope, Request, Response, Signer, answer, document, main

EMAIL = re.compile(r"[^@\s()]+@[^@\s()]+\.[a-z]+")
TYPES = ("signature", "initials", "text", "checkbox", "enumeration", "radiobutton", "attachment")


class SignNow(SignNowAccount):
    name = "signnow"

    # --- Routes --------------------------------------------------------------------------------

    def route(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if request.method != "GET" and request.headers["content-type"].startswith("application/json"):
            self.bodies.append((request.method, request.path, request.json()))
        if parts[0] == "webapp":
            return self.signing_page(request.query.get("access_token", ""), request)
        if parts == ["authorize"]:
            return self.authorize(request)
        if parts == ["oauth2", "token"] and request.method == "POST":
            return self.token(request)
        is_application = request.headers.get("authorization") == f"Basic {BASIC}"
        if parts[:3] == ["api", "v2", "events"] and request.method in ("GET", "DELETE"):
            return self.events(request, parts[3:]) if is_application else self.unknown_caller()
        if not self.lets_in(request.bearer()):
            return self.unknown_caller()
        return self.api(request, parts)

    def api(self, request: Request, parts: list[str]) -> Response:
        match request.method, parts:
            case "GET", ["user"]:
                return answer(self.user())
            case "GET", ["user", "folder"]:
                return answer(self.root())
            case "POST", ["user", "folder"]:
                return self.make_folder(request.json())
            case "GET", ["folder", folder_id]:
                return self.folder(folder_id, request.query)
            case "POST", ["document"]:
                return self.upload(request)
            case "POST", ["template"]:
                return self.make_template(request.json())
            case "POST", ["template", template_id, "bulkinvite"]:
                return self.bulk(template_id, request)
            case "POST", ["api", "v2", "events"]:
                return self.subscribe(request.json())
            case "PUT", ["fieldinvite", invite_id, "resend"]:
                return self.resend(invite_id)
            case method, ["document", document_id, *rest]:
                found = self.envelopes.get(document_id) or self.templates.get(document_id)
                return self.on_document(method, found, rest, request) if found else self.not_found()
            case method, ["v2", "documents", document_id, "embedded-invites", *rest]:
                found = self.envelopes.get(document_id)
                return self.on_embedded(method, found, rest, request) if found else self.not_found()
        return answer({"404": "Unable to find a route to match the URI"}, 404)

    def on_document(self, method: str, found: Envelope, rest: list[str], request: Request) -> Response:
        match method, rest:
            case "GET", []:
                return answer(whole(found, OWNER))
            case "PUT", []:
                return self.edit(found, request.json())
            case "POST", ["invite"]:
                return self.invite(found, request.json(), request.query)
            case "PUT", ["fieldinvitecancel"]:
                return self.cancel(found)
            case "PUT", ["invite", "reassign", invite_id]:
                return self.reassign(found, invite_id, request.json())
            case "PUT", ["template", "routing", "detail"]:
                return self.routing(found, request.json())
            case "GET", ["download"]:
                return self.download(found, request.query)
            case "GET", ["historyfull"]:
                return answer(history(found))
        return answer({"404": "Unable to find a route to match the URI"}, 404)

    def not_found(self) -> Response:
        return refuse("Document not found", 65545, 404)

    # --- Documents -----------------------------------------------------------------------------

    def upload(self, request: Request) -> Response:
        part = request.parts().get("file")
        if part is None or not part.content:
            return refuse("File is required", 65536)
        if not part.content.startswith(b"%PDF-"):
            return refuse("Unsupported file type", 65537)
        made = self.new_envelope(part.file_name.rpartition(".")[0], part.content)
        made.facts |= {"file_name": part.file_name, "folder": DOCUMENTS}
        return answer({"id": made.id})

    def edit(self, found: Envelope, body: Any) -> Response:
        if not isinstance(body, dict):
            return refuse("Invalid payload")
        if found.people:
            return refuse("Document has been sent for signature", 65580)
        for each in body.get("fields", []):
            numbers = [each.get(name) for name in ("x", "y", "width", "height", "page_number")]
            if not all(isinstance(number, int) and number >= 0 for number in numbers):
                return refuse("Field coordinates must be integers", 65579)
            if each.get("type") not in TYPES or not each.get("role"):
                return refuse("Field type or role is wrong", 65579)
        found.title = body.get("document_name") or found.title
        if "fields" in body:
            found.facts["fields"] = body["fields"]
            names = dict.fromkeys(each["role"] for each in body["fields"])
            known = found.facts.get("roles", {})
            found.facts["roles"] = {name: known.get(name) or self.new_id() for name in names}
        return answer({"id": found.id})

    def person(self, found: Envelope, said: dict[str, Any], role: str) -> Signer:
        return Signer(
            self.new_id(),
            said.get("prefill_signature_name", ""),
            said["email"].lower(),
            order=said["order"],
            fields=[each for each in found.facts["fields"] if each["role"] == role],
            facts={
                "role": role,
                "role_id": found.facts["roles"][role],
                "reassign": said.get("reassign", "0"),
                "language": said.get("language", "en"),
                "return_url": said.get("redirect_uri"),
            },
        )

    def invite(self, found: Envelope, body: Any, query: dict[str, str]) -> Response:
        if not isinstance(body, dict) or not isinstance(body.get("to"), list) or not body["to"]:
            return refuse("To must not be empty", 65585)
        if body.get("from") != OWNER:
            return refuse(
                "From must not be empty" if not body.get("from") else "From is not your e-mail", 65586
            )
        if found.people:
            return refuse("Document already has a pending invite", 65639)
        roles, people, ends = found.facts.get("roles", {}), [], []
        for each in body["to"]:
            role = next((n for n, unique in roles.items() if unique == each.get("role_id")), each.get("role"))
            if role not in roles:
                return refuse("Role is not in the document", 65587)
            if not EMAIL.fullmatch(str(each.get("email", "")).lower()):
                return refuse("Email is invalid", 65585)
            if type(each.get("order")) is not int or each["order"] < 1:
                return refuse("Order must be an integer", 65588)
            days = each.get("expiration_days", 30)
            if type(days) is not int or not 3 <= days <= 180:
                return refuse("expiration_days must be between 3 and 180", 65589)
            made = self.person(found, each, role)
            factors = factors_of(
                {
                    "type": each.get("authentication_type"),
                    **{n: each.get(n) for n in ("password", "phone", "method")},
                }
            )
            if factors is None:
                return refuse("authentication_type is wrong", 65590)
            made.factors = factors
            people.append(made)
            ends.append(self.clock() + timedelta(days=days))
        if {each.facts["role"] for each in people} != set(roles):
            return refuse("Every role must be invited", 65591)
        copies = [Signer(self.new_id(), "", each.lower(), role="copy") for each in body.get("cc", [])]
        found.people, found.expires_at, found.message = people + copies, max(ends), body.get("message", "")
        if query.get("email") == "disable":
            for each in people:
                each.is_embedded = True
        self.start(found)
        return answer({"status": "success"})

    def on_embedded(self, method: str, found: Envelope, rest: list[str], request: Request) -> Response:
        match method, rest:
            case "POST", []:
                return self.invite_embedded(found, request.json())
            case "DELETE", []:
                if not found.people or found.status != "sent":
                    return refuse("Field invite not found", 19002002, 404)
                self.end(found, "voided")
                return Response(204)
            case "POST", [invite_id, "link"]:
                return self.make_link(found, invite_id, request.json())
        return answer({"404": "Unable to find a route to match the URI"}, 404)

    def invite_embedded(self, found: Envelope, body: Any) -> Response:
        asked = body.get("invites") if isinstance(body, dict) else None
        if not isinstance(asked, list) or not asked:
            return refuse("Invalid payload", 19001000)
        if found.people or found.status != "draft":
            return refuse("The document is part of another invite", 19001021)
        roles = {unique: name for name, unique in found.facts.get("roles", {}).items()}
        if {each.get("role_id") for each in asked} != set(roles):
            return refuse("All role IDs of the document must be in the invite", 19003020)
        emails = [str(each.get("email", "")).lower() for each in asked]
        if not all(EMAIL.fullmatch(each) for each in emails):
            return refuse("Email value is not a valid email address.", 19003008)
        if len(set(emails)) < len(emails) or OWNER in emails:
            return refuse("Emails must be unique and not the owner's", 19003009)
        if min(each.get("order", 0) for each in asked) != 1 or not all(
            each.get("auth_method") for each in asked
        ):
            return refuse("Order must begin with 1; auth_method is required", 19003011)
        people = []
        for each in asked:
            made = self.person(found, each, roles[each["role_id"]])
            factors = factors_of(each.get("authentication") or {})
            if factors is None:
                return refuse("Authentication is wrong", 19003030)
            made.factors, made.is_embedded = factors, each.get("delivery_type", "link") == "link"
            people.append(made)
        found.people = people
        self.start(found)
        told = [
            {
                "id": each.id, "email": each.email, "role_id": each.facts["role_id"], "order": each.order,
                "status": "pending" if each.status == "sent" else "created",
            }
            for each in people
        ]  # fmt: skip
        return answer({"data": told}, 201)

    def make_link(self, found: Envelope, invite_id: str, body: Any) -> Response:
        person = next((each for each in found.people if each.id == invite_id), None)
        if person is None or not person.is_embedded:
            return refuse("Field invite not found", 19002002, 404)
        if found.status != "sent" or person.status not in ("sent", "opened"):
            return refuse("The field invite is not pending or fulfilled.", 19001028, 403)
        if body.get("auth_method") != "none" or not 15 <= body.get("link_expiration", 15) <= 45:
            return refuse("Auth method or expiration is wrong", 19003012)
        token = self.link(found, person)
        link = f"{self.origin}/webapp/document/{found.id}?access_token={token}&route=fieldinvite"
        return answer({"data": {"link": link}}, 201)

    def returning(self, url: str, wanted: str) -> str:
        return url

    def cancel(self, found: Envelope) -> Response:
        if found.status != "sent":
            return refuse("There is no pending invite", 65640)
        self.end(found, "voided")
        return answer({"status": "success"})

    def one(self, invite_id: str) -> tuple[Envelope, Signer] | None:
        pairs = ((found, each) for found in self.envelopes.values() for each in found.people)
        return next(((found, each) for found, each in pairs if each.id == invite_id), None)

    def resend(self, invite_id: str) -> Response:
        pair = self.one(invite_id)
        if pair is None or pair[1].status not in ("sent", "opened") or pair[1].is_embedded:
            return refuse("Field invite is not pending", 65641)
        pair[1].reminded += 1
        self.mail(pair[1], pair[0])
        return answer({"status": "success"})

    def reassign(self, found: Envelope, invite_id: str, body: Any) -> Response:
        person = next((each for each in found.people if each.id == invite_id), None)
        if person is None or person.status not in ("waiting", "sent", "opened"):
            return refuse("Field invite is not pending", 65641)
        if body.get("role_id") != person.facts["role_id"] or not EMAIL.fullmatch(
            body.get("email", "").lower()
        ):
            return refuse("Email is invalid", 65585)
        person.id, person.email, person.factors = self.new_id(), body["email"].lower(), {}
        person.name = body.get("prefill_signature_name", "")
        if person.status != "waiting":
            person.status = "sent"
            self.mail(person, found)
        self.changed(found, "replaced", person)
        return answer({"status": "success"})

    def download(self, found: Envelope, query: dict[str, str]) -> Response:
        if query.get("type") not in ("collapsed", "zip"):
            return refuse("Type is required", 65560)
        return document(found.executed if found.executed and query.get("with_history") == "1" else found.file)


def factors_of(said: dict[str, Any]) -> dict[str, Any] | None:
    """In our words; None where the vendor would refuse."""
    match said.get("type"):
        case None:
            return {}
        case "password":
            return {"access_code": said["password"]} if said.get("password") else None
        case "phone":
            method = {"sms": "sms", "phone_call": "phone"}.get(said.get("method") or "")
            return {method: said["phone"]} if method and said.get("phone") else None
    return None


if __name__ == "__main__":
    main(SignNow())
