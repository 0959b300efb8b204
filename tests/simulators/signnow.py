"""A simulated signNow: `python -m tests.simulators.signnow --port 9003`.

Behaves as the vendor's API file, its clients and docs.signnow.com say: a PUT replaces all fields and makes
the roles, cancelled invitations vanish, an embedded invitation must name every role and stands alone, links
are given to those whose turn it is, a bad token is a 400.
"""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from portal.clock import utc_now
from providers.base import hmac_sha256
from providers.interface import Delivery
from tests.simulators.signnow_documents import USER, history, seconds, short, updated_at, whole
from tests.simulators.vendor import (
    Envelope,
    Request,
    Response,
    Signer,
    Vendor,
    answer,
    document,
    main,
    redirect,
    web_page,
)

API_KEY = "signnow-MARKED-api-key"
BASIC = base64.b64encode(b"app-1:MARKED-application-secret").decode()
OWNER, PASSWORD = "owner@castellan.example", "MARKED-owner-password"
DOCUMENTS, TEMPLATES, ARCHIVE = "d" * 40, "e" * 40, "a" * 40
EMAIL = re.compile(r"[^@\s()]+@[^@\s()]+\.[a-z]+")
TYPES = ("signature", "initials", "text", "checkbox", "enumeration", "radiobutton", "attachment")


def refuse(message: str, code: int = 65582, status: int = 400) -> Response:
    return answer({"errors": [{"code": code, "message": message}]}, status)


class SignNow(Vendor):
    name = "signnow"

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(clock)
        self.tokens: dict[str, datetime] = {}
        self.refreshes: set[str] = set()
        self.codes: set[str] = set()
        self.templates: dict[str, Envelope] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        self.batches: list[tuple[str, str, str, str]] = []  # template, folder, CSV, message
        self.bodies: list[tuple[str, str, Any]] = []  # method, path and JSON of what changed something
        self.signs_in_hex = False

    def new_id(self) -> str:
        return secrets.token_hex(20)

    def unknown_caller(self) -> Response:
        return answer({"error": "invalid_token", "code": 1537}, 400)

    def throttled(self) -> Response:
        return answer({"errors": [{"code": 429, "message": "Too Many Requests"}]}, 429)

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

    # --- Being let in --------------------------------------------------------------------------

    def lets_in(self, token: str) -> bool:
        ends = self.tokens.get(token)
        return token == API_KEY or (ends is not None and ends > self.clock())

    def authorize(self, request: Request) -> Response:
        asked = request.query
        if asked.get("client_id") != "app-1" or asked.get("response_type") != "code":
            return web_page("Unknown application", "", 400)
        if request.method == "GET":
            name = html.escape(OWNER)
            return web_page("signNow", f"<p>{name}</p><form method='post'><button>Allow</button></form>")
        code = secrets.token_hex(20)
        self.codes.add(code)
        joiner = "&" if "?" in asked["redirect_uri"] else "?"
        return redirect(f"{asked['redirect_uri']}{joiner}code={code}&state={asked.get('state', '')}")

    def token(self, request: Request) -> Response:
        asked = request.form()
        if request.headers.get("authorization") != f"Basic {BASIC}":
            return answer({"error": "invalid_client"}, 400)
        match asked.get("grant_type"):
            case "password":
                fine = (asked.get("username"), asked.get("password")) == (OWNER, PASSWORD)
            case "refresh_token":
                fine = asked.get("refresh_token", "") in self.refreshes
                self.refreshes.discard(asked.get("refresh_token", ""))
            case "authorization_code":
                fine = asked.get("code", "") in self.codes
                self.codes.discard(asked.get("code", ""))
            case _:
                return answer({"error": "invalid_request", "code": 1537}, 400)
        if not fine:
            return answer({"error": "Invalid credentials.", "code": 1537}, 400)
        access, refresh = f"MARKED-{secrets.token_hex(28)}", f"MARKED-{secrets.token_hex(28)}"
        self.tokens[access] = self.clock() + timedelta(days=30)
        self.refreshes.add(refresh)
        return answer(
            {
                "expires_in": 2592000, "token_type": "bearer", "access_token": access,
                "refresh_token": refresh, "scope": "*", "last_login": 1,
            }
        )  # fmt: skip

    def user(self) -> dict[str, Any]:
        return {
            "id": USER, "first_name": "Olivia", "last_name": "Owner", "active": "1", "primary_email": OWNER,
            "emails": [OWNER], "organization": {"id": "o1", "name": "Castellan Ltd"},
        }  # fmt: skip

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

    # --- Folders -------------------------------------------------------------------------------

    def root(self) -> dict[str, Any]:
        named = ((TEMPLATES, "Templates"), (ARCHIVE, "Archive"), (DOCUMENTS, "Documents"))
        shared = {"id": self.new_id(), "name": "Templates", "shared": True}
        mine = [{"id": each, "user_id": USER, "name": name, "shared": False} for each, name in named]
        return {"id": "r" * 40, "name": "Root", "folders": [shared, *mine], "documents": []}

    def make_folder(self, body: Any) -> Response:
        if not isinstance(body, dict) or not body.get("name") or body.get("parent_id") != DOCUMENTS:
            return refuse("Folder name and parent are required", 65570)
        made = {
            "id": self.new_id(),
            "name": body["name"],
            "created": seconds(self.clock()),
            "parent_id": DOCUMENTS,
        }
        self.folders[made["id"]] = made
        return answer({"id": made["id"]})

    def folder(self, folder_id: str, query: dict[str, str]) -> Response:
        if folder_id not in (DOCUMENTS, TEMPLATES, ARCHIVE, *self.folders):
            return refuse("Folder not found", 65571, 404)
        self.make_batches(folder_id)
        below = {folder_id, *(self.folders if folder_id == DOCUMENTS else ())}
        held = list(self.templates.values()) if folder_id == TEMPLATES else list(self.envelopes.values())
        held = [each for each in held if each.facts.get("folder", DOCUMENTS) in below]
        kind, since = query.get("filters", ""), int(query.get("filter-values", "0") or 0)
        if kind in ("documents-created", "documents-updated"):
            at = updated_at if kind.endswith("updated") else created_at
            held = [each for each in held if int(seconds(at(each))) >= since]
        by = updated_at if query.get("sortby") == "updated" else created_at
        held.sort(key=lambda each: int(seconds(by(each))), reverse=query.get("order") == "desc")
        is_short = query.get("exclude_documents_relations") == "true"
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", "100"))
        page = held[offset : offset + min(limit, 500 if is_short else 100)]
        return answer(
            {
                **self.folders.get(folder_id, {"id": folder_id, "name": "system", "created": "1532531633"}),
                "folders": list(self.folders.values()) if query.get("subfolder-data") == "1" else [],
                "total_documents": len(held),
                "documents": [short(each) if is_short else whole(each, OWNER) for each in page],
            }
        )

    # --- Templates and batches -----------------------------------------------------------------

    def make_template(self, body: Any) -> Response:
        source = self.envelopes.get((body or {}).get("document_id", ""))
        if source is None or not body.get("document_name"):
            return refuse("Document not found", 65545, 404)
        made = Envelope(self.new_id(), "", body["document_name"], source.file, created_at=self.clock())
        roles = {name: self.new_id() for name in source.facts.get("roles", {})}
        made.facts = source.facts | {"template": True, "folder": TEMPLATES, "roles": roles}
        self.templates[made.id] = made
        return answer({"id": made.id})

    def routing(self, found: Envelope, body: Any) -> Response:
        details = body.get("template_data") if isinstance(body, dict) else None
        ids = set(found.facts["roles"].values())
        if not found.facts.get("template") or not details or {each["role_id"] for each in details} != ids:
            return refuse("Routing details do not fit the template", 65600)
        found.facts["routing"] = [{"data": details}]
        return answer(body)

    def bulk(self, template_id: str, request: Request) -> Response:
        parts = request.parts()
        template = self.templates.get(template_id)
        if template is None or "file" not in parts or parts["folder_id"].text not in self.folders:
            return refuse("Template, file and folder_id are required", 65610)
        if not template.facts.get("routing"):
            return refuse("The signing order of the template is not set", 65611)
        for line in parts["file"].text.splitlines():
            if not re.fullmatch(r"Signer 1\|[^,|]+@[^,|]+,[^,]+", line):
                return refuse(f"Row is wrong: {line}", 65612)
        self.batches.append(
            (template_id, parts["folder_id"].text, parts["file"].text, parts["email_message"].text)
        )
        return answer({"status": "job queued"})

    def make_batches(self, folder_id: str) -> None:
        """Work off what was queued, the first time somebody looks into the folder."""
        for batch in [each for each in self.batches if each[1] == folder_id]:
            self.batches.remove(batch)
            template = self.templates[batch[0]]
            [details] = template.facts["routing"][0]["data"]
            for line in batch[2].splitlines():
                who, _, name = line.partition(",")
                made = self.new_envelope(name, template.file)
                made.facts = template.facts | {"template": False, "folder": folder_id, "origin": template.id}
                said = {"email": who.partition("|")[2], "order": 1}
                made.people, made.message = [self.person(made, said, "Signer 1")], batch[3]
                made.expires_at = self.clock() + timedelta(days=details["expiration_days"])
                self.start(made)

    # --- Webhooks ------------------------------------------------------------------------------

    def subscribe(self, body: Any) -> Response:
        attributes = body.get("attributes") if isinstance(body, dict) else None
        if not attributes:
            return answer({"code": 400, "message": "attributes must not be empty"}, 400)
        if not str(attributes.get("callback", "")).startswith("http"):
            return answer({"code": 400, "message": "callback must be url"}, 400)
        if body.get("action") != "callback" or not body.get("event", "").startswith("user."):
            return answer({"code": 400, "message": "Action must be equal 'callback'"}, 400)
        if body.get("entity_id") != USER:
            return answer({"message": "Subscription to event is not allowed"}, 403)
        self.subscribers.append(
            {
                "id": self.new_id(), "event": body["event"], "url": attributes["callback"],
                "secret": attributes.get("secret_key", ""), "headers": attributes.get("headers", {}),
            }
        )  # fmt: skip
        return Response(204)

    def events(self, request: Request, rest: list[str]) -> Response:
        if request.method == "DELETE":
            if rest[0] not in {each["id"] for each in self.subscribers}:
                return answer({"message": f"UserEventSubscription `{rest[0]}` not found"}, 404)
            self.subscribers = [each for each in self.subscribers if each["id"] != rest[0]]
            return Response(204)
        page, size = int(request.query.get("page", "1")), 5
        shown = [
            {
                "id": each["id"], "event": each["event"], "entity_id": 18972165, "action": "callback",
                "json_attributes": {"callback_url": each["url"]}, "created": 1575381580,
            }
            for each in self.subscribers[(page - 1) * size : page * size]
        ]  # fmt: skip
        pages = max(1, -(-len(self.subscribers) // size))
        pagination = {
            "total": len(self.subscribers),
            "per_page": size,
            "current_page": page,
            "total_pages": pages,
        }
        return answer({"data": shown, "meta": {"pagination": pagination}})

    def ask_next(self, envelope: Envelope) -> None:
        before = {each.id for each in envelope.people if each.status != "waiting"}
        super().ask_next(envelope)
        for each in envelope.people:
            if each.status == "sent" and each.id not in before:
                self.changed(envelope, "asked", each)

    def words(self, envelope: Envelope, person: Signer | None, change: str) -> list[str]:
        """Event names, each with the id of the invitation behind a bar."""
        named = {"asked": "sent", "signed": "signed", "declined": "decline", "replaced": "replace"}
        if change in named and person:
            return [f"user.document.fieldinvite.{named[change]}|{person.id}"]
        if change == "voided":
            still = [each for each in envelope.people if each.status in ("waiting", "sent", "opened")]
            return [f"user.document.fieldinvite.delete|{each.id}" for each in still]
        return ["user.document.complete|"] if change == "completed" else []

    def webhook(self, subscriber: dict[str, Any], envelope: Envelope, word: str) -> Delivery | None:
        event, _, invite_id = word.partition("|")
        if event != subscriber["event"]:
            return None
        content: dict[str, Any] = {"document_id": envelope.id}
        if invite_id:
            person = next(each for each in envelope.people if each.id == invite_id)
            content |= {"invite_id": invite_id, "signer": person.email, "status": person.status}
        else:
            content |= {"document_name": envelope.title, "user_id": USER}
        meta = {
            "timestamp": int(self.clock().timestamp()), "event": event, "environment": self.origin,
            "callback_url": subscriber["url"], "initiator_id": USER,
        }  # fmt: skip
        body = json.dumps({"meta": meta, "content": content}).encode()
        digest = hmac_sha256(subscriber["secret"], body)
        signature = digest.hex() if self.signs_in_hex else base64.b64encode(digest).decode()
        own = {name.lower(): value for name, value in subscriber["headers"].items()}
        headers = {"content-type": "application/json", "x-signnow-signature": signature, **own}
        return Delivery("POST", "", headers, body)


def created_at(envelope: Envelope) -> datetime | None:
    return envelope.created_at


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
