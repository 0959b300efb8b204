"""The simulated signNow's account: who is let in, folders, batches and webhook subscriptions."""

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
from tests.simulators.signnow_documents import USER, seconds, short, updated_at, whole
from tests.simulators.vendor import Envelope, Request, Response, Signer, Vendor, answer, redirect, web_page

API_KEY = "signnow-MARKED-api-key"
BASIC = base64.b64encode(b"app-1:MARKED-application-secret").decode()
OWNER, PASSWORD = "owner@castellan.example", "MARKED-owner-password"
DOCUMENTS, TEMPLATES, ARCHIVE = "d" * 40, "e" * 40, "a" * 40


def refuse(message: str, code: int = 65582, status: int = 400) -> Response:
    return answer({"errors": [{"code": code, "message": message}]}, status)


class SignNowAccount(Vendor):
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

    def connection_settings(self) -> dict[str, str]:
        return {"method": "api_key", "api_key": API_KEY, "basic_token": BASIC}

    def person(self, found: Envelope, said: dict[str, Any], role: str) -> Signer:
        raise NotImplementedError

    def new_id(self) -> str:
        return secrets.token_hex(20)

    def unknown_caller(self) -> Response:
        return answer({"error": "invalid_token", "code": 1537}, 400)

    def throttled(self) -> Response:
        return answer({"errors": [{"code": 429, "message": "Too Many Requests"}]}, 429)

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
