"""The simulated PandaDoc's account: who is let in, contacts, webhook subscriptions and their signed calls."""

from __future__ import annotations

import html
import json
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from portal.clock import utc_now
from providers.base import hmac_sha256
from providers.interface import Delivery
from tests.simulators.vendor import Envelope, Request, Response, Signer, Vendor, answer, redirect, web_page

API_KEY = "pandadoc-MARKED-api-key"
CLIENT_ID, CLIENT_SECRET = "479a3c7ba4a8d3cf28702", "pandadoc-MARKED-client-secret"
OWNER = "owner@castellan.example"
LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
TRIGGERS = (
    "recipient_completed", "document_updated", "document_deleted", "document_state_changed",
    "document_creation_failed", "document_completed_pdf_ready", "document_section_added", "quote_updated",
    "template_created", "template_updated", "template_deleted", "content_library_item_created",
    "content_library_item_creation_failed",
)  # fmt: skip
PAYLOAD = ("metadata", "fields", "products", "tokens", "pricing")


def refuse(detail: Any, kind: str = "request_error", status: int = 400) -> Response:
    return answer({"type": kind, "detail": detail}, status)


def invalid(field: str, said: str) -> Response:
    return refuse({field: [said]}, "validation_error")


def not_found() -> Response:
    return refuse("Not found", status=404)


def stamp(at: datetime | None) -> str | None:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


class PandaDocAccount(Vendor):
    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(clock)
        self.codes: set[str] = set()
        self.tokens: dict[str, datetime] = {}
        self.refreshes: set[str] = set()
        self.contacts: dict[str, dict[str, str]] = {}
        self.bodies: list[tuple[str, str, Any]] = []  # method, path and JSON of what changed something
        self.queries: list[tuple[str, dict[str, str]]] = []
        self.is_sandbox = False  # what the key is: sealed files are for production alone
        self.is_admin = True
        self.is_plain = False  # a plan without sealed files

    def connection_settings(self) -> dict[str, str]:
        return {"environment": "production", "method": "api_key", "api_key": API_KEY}

    def shown(self, envelope: Envelope) -> dict[str, Any]:
        raise NotImplementedError

    def new_id(self) -> str:
        return "".join(secrets.choice(LETTERS) for _ in range(22))

    def unknown_caller(self) -> Response:
        return refuse("Authentication credentials were not provided.", "authentication_error", 401)

    def throttled(self) -> Response:
        return refuse("Request was throttled.", "throttled", 429)

    # --- Being let in --------------------------------------------------------------------------

    def lets_in(self, request: Request) -> bool:
        kind, _, said = request.headers.get("authorization", "").partition(" ")
        if kind == "API-Key":
            return said == API_KEY
        ends = self.tokens.get(said)
        return kind == "Bearer" and ends is not None and ends > self.clock()

    def authorize(self, request: Request) -> Response:
        asked = request.query
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            return web_page("Unknown application", "", 400)
        if asked.get("scope") != "read write":
            return web_page("Unknown scope", "", 400)
        if request.method == "GET":
            name = html.escape(OWNER)
            inner = f"<p>{name}</p><form method='post'><button>Allow</button></form>"
            return web_page("Authorize Application", inner)
        code = secrets.token_hex(20)
        self.codes.add(code)
        joiner = "&" if "?" in asked["redirect_uri"] else "?"
        back = {"code": code, **({"state": asked["state"]} if "state" in asked else {})}
        return redirect(asked["redirect_uri"] + joiner + urlencode(back))

    def token(self, request: Request) -> Response:
        asked = request.form()
        if (asked.get("client_id"), asked.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return answer({"error": "invalid_client"}, 401)
        match asked.get("grant_type"):
            case "authorization_code":
                pool, given = self.codes, asked.get("code", "")
            case "refresh_token":
                pool, given = self.refreshes, asked.get("refresh_token", "")
            case _:
                return answer({"error": "unsupported_grant_type"}, 400)
        if given not in pool:
            return answer({"error": "invalid_grant"}, 400)
        pool.discard(given)
        access, refresh = f"MARKED-{secrets.token_hex(20)}", f"MARKED-{secrets.token_hex(20)}"
        self.tokens[access] = self.clock() + timedelta(seconds=31535999)
        self.refreshes.add(refresh)
        return answer(
            {
                "access_token": access, "token_type": "Bearer", "expires_in": 31535999, "scope": "read+write",
                "refresh_token": refresh,
            }
        )  # fmt: skip

    def member(self) -> dict[str, Any]:
        return {
            "user_id": "FA5QAu8UGA3oVDDZuPL75B", "membership_id": "RyMNXBjBPRppi56TfYBrXi", "email": OWNER,
            "first_name": "Olivia", "last_name": "Owner", "is_active": True,
            "workspace": "n7SK7prHeoWJSXb9VkrPve", "workspace_name": "Castellan Ltd",
            "email_verified": True, "role": "Admin" if self.is_admin else "Member", "user_license": "Full",
        }  # fmt: skip

    # --- Contacts ------------------------------------------------------------------------------

    def on_contacts(self, request: Request) -> Response:
        if request.method == "GET":
            email = request.query.get("email")
            found = [each for each in self.contacts.values() if email in (None, each["email"])]
            return answer({"results": found})
        body = request.json()
        if request.method != "POST" or not isinstance(body, dict) or not body.get("email"):
            return invalid("email", "This field is required.")
        return answer(self.contact(body["email"], body.get("first_name", ""), body.get("last_name", "")), 201)

    def contact(self, email: str, first: str, last: str) -> dict[str, str]:
        """The contact with this address, made where there is none: every recipient becomes one."""
        known = next((each for each in self.contacts.values() if each["email"] == email.lower()), None)
        if known is None:
            known = {"id": self.new_id(), "email": email.lower(), "first_name": first, "last_name": last}
            self.contacts[known["id"]] = known
        return known

    # --- Webhooks ------------------------------------------------------------------------------

    def on_subscriptions(self, request: Request, rest: list[str]) -> Response:
        if not rest:
            if request.method == "GET":
                return answer({"items": [each["shown"] for each in self.subscribers]})
            return self.subscribe(request.json())
        one = next((each for each in self.subscribers if each["id"] == rest[0]), None)
        if one is None:
            return not_found()
        if request.method == "DELETE":
            self.subscribers.remove(one)
            return Response(204)
        if request.method == "PATCH":
            body = request.json()
            problem = self.wrong_subscription(body)
            if problem:
                return problem
            one["shown"] |= body
            one["url"] = one["shown"]["url"]
        return answer(one["shown"])

    def wrong_subscription(self, body: Any) -> Response | None:
        if not isinstance(body, dict):
            return invalid("non_field_errors", "Invalid data.")
        for field in ("name", "url"):
            if not isinstance(body.get(field), str) or not body[field]:
                return invalid(field, "This field is required.")
        parts = urlsplit(body["url"])
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
            return invalid("url", "Only https is supported.")
        if not body.get("triggers") or not set(body["triggers"]) <= set(TRIGGERS):
            return invalid("triggers", "Value is not a valid choice.")
        if not set(body.get("payload") or ()) <= set(PAYLOAD):
            return invalid("payload", "Value is not a valid choice.")
        return None

    def subscribe(self, body: Any) -> Response:
        problem = self.wrong_subscription(body)
        if problem:
            return problem
        shown = {
            "uuid": str(uuid.uuid4()), "active": True, "status": "ACTIVE", "shared_key": self.new_id(),
            "workspace_id": "n7SK7prHeoWJSXb9VkrPve", **body,
        }  # fmt: skip
        self.subscribers.append({"id": shown["uuid"], "url": shown["url"], "shown": shown})
        return answer(shown, 201)

    def words(self, envelope: Envelope, person: Signer | None, change: str) -> list[str]:
        """Event names, with the id of whoever acted behind a bar."""
        told = {
            "sent": ["document_state_changed|"], "opened": ["document_state_changed|"],
            "signed": [f"recipient_completed|{person.id if person else ''}"],
            "completed": ["document_state_changed|", "document_completed_pdf_ready|"],
            "deleted": ["document_deleted|"], "failed": ["document_creation_failed|"],
        }  # fmt: skip
        return told.get(change, ["document_state_changed|"])

    def webhook(self, subscriber: dict[str, Any], envelope: Envelope, word: str) -> Delivery | None:
        event, _, person_id = word.partition("|")
        shown = subscriber["shown"]
        if event not in shown["triggers"] or not shown["active"]:
            return None
        data = self.shown(envelope)
        for name in ("fields", "metadata"):
            if name not in (shown.get("payload") or ()):
                data.pop(name, None)
        for each in data["recipients"]:
            each.pop("verification_settings", None)
        if person_id:
            data["action_date"] = stamp(self.clock())
            data["action_by"] = next(each for each in data["recipients"] if each["id"] == person_id)
        body = json.dumps([{"event": event, "data": data}]).encode()
        headers = {"content-type": "application/json", "x-pandadoc-webhook-event-id": str(uuid.uuid4())}
        return Delivery("POST", f"signature={hmac_sha256(shown['shared_key'], body).hex()}", headers, body)
