"""The simulated Dropbox Sign's account: who is let in, the API app, callbacks, lists, how a request looks."""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from portal.clock import utc_now
from providers.base import hmac_sha256
from providers.interface import Delivery
from tests.simulators.vendor import Envelope, Request, Response, Signer, Vendor, answer, redirect, web_page

API_KEY = "MARKED-dropbox-sign-key-58f1"
CLIENT_ID, CLIENT_SECRET = "b6b8e7deaf8f0b95c029dca049356d4a", "MARKED-app-secret-21c9"
OWNER = "owner@castellan.example"
ACCOUNT = "5008b25c7f67153e57d5a357b1687968068fb465"
LASTS = timedelta(hours=24)
CREATED = re.compile(r"created:\[(\d{4}-\d\d-\d\d) TO (\d{4}-\d\d-\d\d)\]")
EVENTS = {
    "sent": ["signature_request_sent"],
    "opened": ["signature_request_viewed"],
    "signed": ["signature_request_signed"],
    "declined": ["signature_request_declined"],
    "completed": ["signature_request_all_signed", "signature_request_downloadable"],
    "voided": ["signature_request_canceled"],
    "expired": ["signature_request_expired"],
}


def refuse(name: str, message: str, status: int = 400, path: str = "") -> Response:
    error = {"error_msg": message, "error_name": name} | ({"error_path": path} if path else {})
    return answer({"error": error}, status)


def unix(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None


class DropboxSignAccount(Vendor):
    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(clock)
        self.tokens: dict[str, datetime] = {}
        self.refreshes: set[str] = set()
        self.codes: set[str] = set()
        self.app_owner = OWNER
        self.has_team = True
        self.is_search_late = False  # a search does not know what was made last
        self.forms: list[tuple[str, dict[str, str]]] = []  # path and fields of every form, as sent
        self.bodies: list[tuple[str, str, Any]] = []  # method, path and JSON of what changed something

    def connection_settings(self) -> dict[str, str]:
        return {
            "environment": "production", "method": "api_key", "api_key": API_KEY, "client_id": CLIENT_ID,
        }  # fmt: skip

    def new_id(self) -> str:
        return secrets.token_hex(20)

    # --- Being let in --------------------------------------------------------------------------

    def unknown_caller(self) -> Response:
        return refuse("unauthorized", "Unauthorized api key", 401)

    def throttled(self) -> Response:
        made = refuse("exceeded_rate", "Too many requests.", 429)
        made.headers["X-Ratelimit-Reset"] = str(int(self.clock().timestamp()) + 3)
        return made

    def lets_in(self, request: Request) -> bool:
        if request.basic() == (API_KEY, ""):
            return True
        ends = self.tokens.get(request.bearer())
        return ends is not None and ends > self.clock()

    def oauth(self, request: Request) -> Response:
        if request.path == "/oauth/authorize":
            return self.allow(request) if request.method == "POST" else self.page(request)
        if (request.method, request.path) == ("POST", "/oauth/token"):
            return self.token(request.json())
        return Response(404)

    def page(self, request: Request) -> Response:
        wanted = request.query
        if wanted.get("client_id") != CLIENT_ID or wanted.get("response_type") != "code":
            return web_page("Either the app is not there or it is not approved", "<p>invalid_client</p>", 400)
        if not wanted.get("redirect_uri") or not wanted.get("state"):
            return web_page("A parameter is missing", "<p>invalid_request</p>", 400)
        inner = (
            f"<p>Countersign asks {html.escape(OWNER)} for access to:</p>"
            "<ul><li>Account access</li><li>Signature request access</li></ul>"
            "<form method='post'><button name='act' value='allow'>Allow</button> "
            "<button name='act' value='deny'>Deny</button></form>"
        )
        return web_page("Dropbox Sign", inner)

    def allow(self, request: Request) -> Response:
        back = {"state": request.query["state"]}
        if request.form().get("act") == "allow":
            back["code"] = secrets.token_hex(8)
            self.codes.add(back["code"])
        else:
            back |= {"error": "access_denied", "error_description": "The user denied access."}
        return redirect(request.query["redirect_uri"] + "?" + urlencode(back))

    def token(self, asked: Any) -> Response:
        if not isinstance(asked, dict):
            return answer({"error": "invalid_request", "error_description": "not JSON"}, 400)
        if (asked.get("client_id"), asked.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return answer({"error": "invalid_client", "error_description": "unknown app or secret"}, 400)
        kind, code, refresh = (asked.get(name) for name in ("grant_type", "code", "refresh_token"))
        if kind == "authorization_code" and code in self.codes and asked.get("state"):
            self.codes.discard(code)
        elif kind == "refresh_token" and refresh in self.refreshes:
            self.refreshes.discard(refresh)
        else:
            return answer(
                {"error": "invalid_grant", "error_description": "The code or token is not valid."}, 400
            )
        access, again = secrets.token_urlsafe(40), secrets.token_urlsafe(40)
        self.tokens[access] = self.clock() + LASTS
        self.refreshes.add(again)
        return answer({
            "access_token": access, "token_type": "Bearer", "refresh_token": again,
            "expires_in": int(LASTS.total_seconds()), "state": asked.get("state"),
        })  # fmt: skip

    # --- Account, API app, callbacks -----------------------------------------------------------

    def account(self) -> dict[str, Any]:
        return {"account": {
            "account_id": ACCOUNT, "email_address": OWNER, "is_locked": False, "is_paid_hs": True,
            "is_paid_hf": False, "quotas": {"api_signature_requests_left": 1250}, "role_code": None,
            "callback_url": self.called_at("") or None, "locale": "en-US",
        }}  # fmt: skip

    def app(self) -> dict[str, Any]:
        return {"api_app": {
            "client_id": CLIENT_ID, "name": "Countersign", "domains": ["portal.example"],
            "is_approved": True, "callback_url": self.called_at(CLIENT_ID) or None,
            "owner_account": {"account_id": ACCOUNT, "email_address": OWNER}, "created_at": 1570471067,
        }}  # fmt: skip

    def called_at(self, client_id: str) -> str:
        return next((each["url"] for each in self.subscribers if each["client_id"] == client_id), "")

    def call_at(self, client_id: str, body: Any) -> Response:
        url = body.get("callback_url") if isinstance(body, dict) else None
        if not isinstance(url, str) or (url and not url.startswith(("https://", "http://127.0.0.1"))):
            return refuse("bad_request", "This value is not a valid URL.", path="callback_url")
        self.subscribers = [each for each in self.subscribers if each["client_id"] != client_id]
        if url:
            self.subscribers.append({"url": url, "client_id": client_id})
        return answer(self.app() if client_id else self.account())

    def words(self, envelope: Envelope, person: Signer | None, change: str) -> list[str]:
        envelope.facts["related"] = person.id if person else None
        return EVENTS[change]

    def webhook(self, subscriber: dict[str, Any], envelope: Envelope, word: str) -> Delivery | None:
        """Every request of the account, or those of an API app."""
        if subscriber["client_id"] not in ("", envelope.facts.get("client_id")):
            return None
        time = str(int(self.clock().timestamp()))
        event = {
            "event_time": time, "event_type": word,
            "event_hash": hmac_sha256(API_KEY, f"{time}{word}".encode()).hex(),
            "event_metadata": {
                "related_signature_id": envelope.facts.get("related"),
                "reported_for_account_id": ACCOUNT,
                "reported_for_app_id": subscriber["client_id"] or None,
            },
        }  # fmt: skip
        return called({"event": event, "signature_request": self.shown(envelope)})

    # --- How a request looks, and lists --------------------------------------------------------

    def shown(self, envelope: Envelope) -> dict[str, Any]:
        facts, signers = envelope.facts, [p for p in envelope.people if p.role != "copy"]
        return {
            "test_mode": facts.get("test_mode", False),
            "signature_request_id": envelope.id,
            "requester_email_address": OWNER,
            "title": envelope.title,
            "original_title": envelope.title,
            "subject": facts.get("subject", envelope.title),
            "message": envelope.message or None,
            "metadata": facts.get("metadata", {}),
            "created_at": unix(envelope.created_at),
            "expires_at": unix(envelope.expires_at),
            "is_complete": envelope.status == "completed",
            "is_declined": envelope.status == "declined",
            "has_error": bool(facts.get("has_error")),
            "custom_fields": [],
            "response_data": [],
            "signing_url": None,
            "signing_redirect_url": envelope.return_url or None,
            "files_url": f"https://api.hellosign.com/v3/signature_request/files/{envelope.id}",
            "details_url": f"https://app.hellosign.com/home/manage?guid={envelope.id}",
            "template_ids": facts.get("template_ids"),
            "bulk_send_job_id": facts.get("job"),
            "signatures": [self.signature(envelope, each) for each in signers],
            "cc_email_addresses": [p.email for p in envelope.people if p.role == "copy"],
        }

    def signature(self, envelope: Envelope, person: Signer) -> dict[str, Any]:
        signed = person.status == "signed"
        code = person.status if person.status in ("signed", "declined") else "awaiting_signature"
        if envelope.status == "expired" and not signed:
            code = "expired"
        if envelope.word and not signed:
            code = envelope.word
        return {
            "signature_id": person.id,
            "signer_email_address": person.email,
            "signer_name": person.name,
            "signer_role": person.facts.get("role"),
            "order": person.order if envelope.facts.get("has_order") else None,
            "status_code": code,
            "decline_reason": person.reason or None,
            "signed_at": unix(person.acted_at or envelope.ended_at) if signed else None,
            "last_viewed_at": unix(self.clock()) if person.status == "opened" else None,
            "last_reminded_at": unix(person.facts.get("reminded_at")),
            "has_pin": "access_code" in person.factors,
            "has_sms_auth": "sms" in person.factors,
            "has_sms_delivery": False,
            "sms_phone_number": person.factors.get("sms"),
            "error": None,
        }

    def listing(self, query: dict[str, str]) -> Response:
        if query.get("account_id") == "all" and not self.has_team:
            return refuse("forbidden", "You are not a member of a team.", 403)
        found = sorted(
            (e for e in self.envelopes.values() if e.status not in ("draft", "voided")),
            key=lambda e: (e.created_at or self.clock(), e.id),
            reverse=True,
        )
        if asked := query.get("query", ""):
            found = [] if self.is_search_late else [e for e in found if fits(e, asked)]
        return paged("signature_requests", [self.shown(e) for e in found], query)


def paged(name: str, rows: list[Any], query: dict[str, str], **more: Any) -> Response:
    size, number = int(query.get("page_size", "20")), int(query.get("page", "1"))
    if not 1 <= size <= 100 or number < 1:
        return refuse("bad_request", "page_size must be between 1 and 100", path="page_size")
    info = {
        "page": number, "num_pages": max(1, -(-len(rows) // size)), "num_results": len(rows),
        "page_size": size,
    }  # fmt: skip
    return answer({**more, "list_info": info, name: rows[(number - 1) * size : number * size]})


def fits(envelope: Envelope, query: str) -> bool:
    """The vendor's search, of which `metadata`, `complete` and `created` are known here."""
    for term in query.split(" AND "):
        if term.startswith("metadata:"):
            if term.removeprefix("metadata:") not in json.dumps(envelope.facts.get("metadata", {})):
                return False
        elif term == "complete:true":
            if envelope.status != "completed":
                return False
        elif found := CREATED.fullmatch(term):
            first, last = (date.fromisoformat(each) for each in found.groups())
            if not envelope.created_at or not first <= envelope.created_at.date() <= last:
                return False
        else:
            raise ValueError(f"a search this simulator does not know: {term}")
    return True


def called(said: dict[str, Any]) -> Delivery:
    """A multipart form with one field, `json`."""
    boundary = secrets.token_hex(16)
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="json"\r\n\r\n'
        f"{json.dumps(said)}\r\n--{boundary}--\r\n"
    )
    headers = {
        "content-type": f"multipart/form-data; boundary={boundary}", "user-agent": "HelloSign API",
    }  # fmt: skip
    return Delivery("POST", "", headers, body.encode())
