"""The simulated Acrobat Sign's account: who is let in, shards, uploads, webhooks, search and batches."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pikepdf

from portal.clock import utc_now
from providers.base import instant
from providers.interface import Delivery
from tests.simulators.vendor import Envelope, Request, Response, Signer, Vendor, answer, redirect, web_page

KEY = "3AAABLadobe-MARKED-integration-key"
CLIENT_ID, CLIENT_SECRET = "CBJCHBCAABAA-client", "MARKED-client-secret"
OWNER = "owner@castellan.example"
SHARD = "https://api.eu2.adobesign.com/"
API = "/api/rest/v6"
STATUS = {
    "draft": "AUTHORING", "sent": "OUT_FOR_SIGNATURE", "completed": "SIGNED", "declined": "CANCELLED",
    "voided": "CANCELLED", "expired": "EXPIRED",
}  # fmt: skip
WORDS = {
    "sent": "CREATED", "opened": "EMAIL_VIEWED", "signed": "ACTION_COMPLETED", "declined": "REJECTED",
    "completed": "WORKFLOW_COMPLETED", "voided": "RECALLED", "expired": "EXPIRED",
}  # fmt: skip


def refuse(code: str, status: int = 400, message: str = "") -> Response:
    return answer({"code": code, "message": message or code.replace("_", " ").capitalize() + "."}, status)


def stamp(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


class AdobeAccount(Vendor):
    name = ""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(clock)
        self.tokens: dict[str, datetime] = {}
        self.refreshes: set[str] = set()
        self.codes: dict[str, str] = {}  # code -> redirect address it was given to
        self.uploads: dict[str, tuple[str, bytes]] = {}  # id -> media type and content
        self.batches: dict[str, dict[str, Any]] = {}
        self.bodies: list[tuple[str, str, Any]] = []  # method, path and JSON of what changed something
        self.has_moved = False  # to another shard; asking for base URIs finds it
        self.asked_base_uris = 0

    def connection_settings(self) -> dict[str, str]:
        return {"method": "integration_key", "integration_key": KEY, "key_client_id": CLIENT_ID}

    def unknown_caller(self) -> Response:
        return refuse("INVALID_ACCESS_TOKEN", 401, "Access token provided is invalid or has expired.")

    def throttled(self) -> Response:
        said = "Too many requests, please try again in 7 seconds."
        return answer({"code": "THROTTLING_TOO_MANY_REQUESTS", "message": said, "retryAfter": 7}, 429)

    def new_id(self) -> str:
        return "CBJCHBCAABAA" + secrets.token_urlsafe(24)

    # --- Being let in --------------------------------------------------------------------------

    def lets_in(self, token: str) -> bool:
        ends = self.tokens.get(token)
        return token == KEY or (ends is not None and ends > self.clock())

    def authorize(self, request: Request) -> Response:
        asked = request.query
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            return web_page("Unknown application", "", 400)
        scopes = asked.get("scope", "").split()
        if not scopes or not all(re.fullmatch(r"\w+:(self|group|account)", each) for each in scopes):
            return web_page("Invalid scope", "", 400)
        if request.method == "GET":
            name = html.escape(OWNER)
            return web_page(
                "Confirm access", f"<p>{name}</p><form method='post'><button>Allow</button></form>"
            )
        code = secrets.token_hex(20)
        self.codes[code] = asked["redirect_uri"]
        back = {
            "code": code, "api_access_point": SHARD, "web_access_point": "https://secure.eu2.adobesign.com/",
            "state": asked.get("state", ""),
        }  # fmt: skip
        joiner = "&" if "?" in asked["redirect_uri"] else "?"
        return redirect(asked["redirect_uri"] + joiner + urlencode(back))

    def token(self, request: Request) -> Response:
        asked = request.form()
        if (asked.get("client_id"), asked.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return answer({"error": "invalid_client", "error_description": "Unknown client."}, 401)
        is_code = request.path.endswith("/token")
        if is_code:
            was = self.codes.pop(asked.get("code", ""), "")
            fine = asked.get("grant_type") == "authorization_code" and was and was == asked["redirect_uri"]
        else:
            is_known = asked.get("refresh_token") in self.refreshes
            fine = asked.get("grant_type") == "refresh_token" and is_known
        if not fine:
            return answer({"error": "invalid_grant", "error_description": "The grant is not valid."}, 400)
        access = f"MARKED-{secrets.token_hex(28)}"
        self.tokens[access] = self.clock() + timedelta(seconds=3600)
        found: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "expires_in": 3600}
        if is_code:
            refresh = f"MARKED-{secrets.token_hex(28)}"
            self.refreshes.add(refresh)
            found |= {"refresh_token": refresh, "api_access_point": SHARD}
        return answer(found)

    def base_uris(self) -> Response:
        self.has_moved = False
        self.asked_base_uris += 1
        return answer({"apiAccessPoint": SHARD, "webAccessPoint": "https://secure.eu2.adobesign.com/"})

    def user(self) -> Response:
        return answer(
            {
                "id": "U1", "email": OWNER, "firstName": "Olivia", "lastName": "Owner", "status": "ACTIVE",
                "company": "Castellan Ltd", "isAccountAdmin": True, "accountType": "ENTERPRISE",
            }
        )  # fmt: skip

    def upload(self, request: Request) -> Response:
        parts = request.parts()
        if "File" not in parts or not parts["File"].content:
            return refuse("NO_FILE_CONTENT", 400, "Must provide file body.")
        name = parts["File-Name"].text if "File-Name" in parts else parts["File"].file_name
        if not name or len(name) > 255:
            return refuse("NO_FILE_NAME", 400, "Must provide file name.")
        media = parts["Mime-Type"].text if "Mime-Type" in parts else parts["File"].media_type
        if media not in ("application/pdf", "text/csv"):
            return refuse("UNSUPPORTED_MEDIA_TYPE", 415)
        made = self.new_id()
        self.uploads[made] = (media, parts["File"].content)
        return answer({"transientDocumentId": made}, 201)

    # --- Webhooks ------------------------------------------------------------------------------

    def webhooks(self, request: Request, parts: list[str]) -> Response:
        if len(parts) == 1 and request.method == "GET":
            shown = [self.shown_webhook(each) for each in self.subscribers]
            return answer({"userWebhookList": shown, "page": {"nextCursor": ""}})
        if len(parts) == 1:
            return self.new_webhook(request.json())
        found = next((each for each in self.subscribers if each["id"] == parts[1]), None)
        if found is None:
            return refuse("INVALID_WEBHOOK_ID", 404, "The webhook id specified is invalid.")
        if request.method == "GET":
            return answer(self.shown_webhook(found), ETag=found["etag"])
        if request.headers.get("if-match") != found["etag"]:
            return refuse("RESOURCE_MODIFIED", 412)
        self.subscribers.remove(found)
        return Response(204)

    @staticmethod
    def shown_webhook(found: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": found["id"], "name": found["name"], "scope": "USER", "status": "ACTIVE",
            "webhookSubscriptionEvents": found["events"], "webhookUrlInfo": {"url": found["url"]},
        }  # fmt: skip

    def new_webhook(self, asked: Any) -> Response:
        required = ("name", "scope", "state", "webhookSubscriptionEvents", "webhookUrlInfo")
        if not isinstance(asked, dict) or not all(asked.get(each) for each in required):
            return refuse("INVALID_ARGUMENTS")
        events = asked["webhookSubscriptionEvents"]
        if not all(re.fullmatch(r"(AGREEMENT|MEGASIGN|WIDGET)_[A-Z_]+", each) for each in events):
            return refuse("INVALID_WEBHOOK_SUBSCRIPTION_EVENT")
        url = asked["webhookUrlInfo"]["url"]
        if any(each["url"] == url for each in self.subscribers):
            return refuse("DUPLICATE_WEBHOOK_CONFIGURATION")
        if self.delivers and not echoes(url):
            return refuse("INVALID_WEBHOOK_URL", 400, "The webhook URL did not confirm its intent.")
        made = {
            "id": self.new_id(), "name": asked["name"], "events": events, "url": url,
            "etag": secrets.token_hex(8),
        }  # fmt: skip
        self.subscribers.append(made)
        return answer({"id": made["id"]}, 201)

    def words(self, envelope: Envelope, person: Signer | None, change: str) -> list[str]:
        return [f"AGREEMENT_{WORDS[change]}"]

    def webhook(self, subscriber: dict[str, Any], envelope: Envelope, word: str) -> Delivery | None:
        if word not in subscriber["events"]:
            return None
        body = {
            "webhookId": subscriber["id"], "webhookName": subscriber["name"], "webhookScope": "USER",
            "webhookNotificationId": secrets.token_hex(16), "webhookUrlInfo": {"url": subscriber["url"]},
            "event": word, "eventDate": stamp(self.clock()), "eventResourceType": "agreement",
            "actingUserEmail": OWNER, "initiatingUserEmail": OWNER,
            "agreement": {
                "id": envelope.id, "name": envelope.title, "signatureType": "ESIGN",
                "status": envelope.word or STATUS[envelope.status], "externalId": {"id": envelope.our_id},
            },
        }  # fmt: skip
        headers = {"x-adobesign-clientid": CLIENT_ID, "content-type": "application/json"}
        query = urlsplit(subscriber["url"]).query
        return Delivery("POST", query, headers, json.dumps(body).encode())

    # --- Search --------------------------------------------------------------------------------

    def search(self, asked: Any) -> Response:
        if not isinstance(asked, dict) or asked.get("scope") != ["AGREEMENT_ASSETS"]:
            return refuse("INVALID_ARGUMENTS")
        wanted = asked.get("agreementAssetsCriteria") or {}
        between = (wanted.get("modifiedDate") or {}).get("range") or {}
        since, until = instant(between.get("min")), instant(between.get("max"))
        start, size = int(wanted.get("startIndex", 0)), int(wanted.get("pageSize", 50))
        found = [
            each
            for each in self.envelopes.values()
            if STATUS[each.status] in wanted.get("status", [])
            and each.ended_at is not None
            and (since is None or each.ended_at >= since)
            and (until is None or each.ended_at <= until)
        ]
        if wanted.get("sortByField") == "MODIFIED_DATE":
            found.sort(key=lambda each: (each.ended_at, each.id))
        page = found[start : start + size]
        more = {"nextIndex": start + size} if start + size < len(found) else {}
        results = {
            "status": {"code": "OK"}, "totalHits": len(found), "searchPageInfo": more,
            "agreementAssetsResultList": [
                {
                    "id": each.id, "name": each.title, "type": "AGREEMENT", "status": STATUS[each.status],
                    "externalId": each.our_id, "createdDate": stamp(each.created_at),
                    "modifiedDate": each.ended_at.isoformat() if each.ended_at else "",
                    "participantList": [
                        {"email": p.email, "fullName": p.name, "role": ["SIGNER"]} for p in each.people
                    ],
                }
                for each in page
            ],
        }  # fmt: skip
        return answer({"totalHits": len(found), "agreementAssetsResults": results})

    # --- Batches -------------------------------------------------------------------------------

    def mega_signs(self, request: Request, parts: list[str]) -> Response:
        if len(parts) == 1 and request.method == "GET":
            shown = [
                {
                    "id": each["id"], "name": each["name"], "status": "IN_PROCESS", "esign": True,
                    "displayDate": each["at"],
                }
                for each in self.batches.values()
            ]  # fmt: skip
            return answer({"megaSignList": shown, "page": {"nextCursor": ""}})
        if len(parts) == 1:
            return self.new_batch(request.json())
        batch = self.batches.get(parts[1])
        if batch is None:
            return refuse("INVALID_MEGASIGN_ID", 404, "The Mega Sign ID specified is invalid.")
        if parts[2:] == ["agreements"]:
            children = (
                batch["children"] if batch["looks"] else batch["children"][: len(batch["children"]) // 2]
            )
            batch["looks"] += 1
            shown = [
                {
                    "id": each, "name": batch["name"], "status": "OUT_FOR_SIGNATURE", "esign": True,
                    "displayDate": batch["at"],
                }
                for each in children
            ]  # fmt: skip
            return answer({"megaSignChildAgreementList": shown, "page": {"nextCursor": ""}})
        if parts[2:] == ["childAgreementsInfo", batch["file"]]:
            return Response(200, batch["rows"], {"Content-Type": "text/csv"})
        return answer(
            {
                "id": batch["id"], "name": batch["name"], "status": "IN_PROCESS", "signatureType": "ESIGN",
                "externalId": {"id": batch["our_id"]}, "createdDate": batch["at"], "fileInfos": [],
                "childAgreementsInfo": {"fileInfo": {"childAgreementsInfoFileId": batch["file"]}},
            }
        )  # fmt: skip

    def new_batch(self, asked: Any) -> Response:
        try:
            content = self.uploads[asked["fileInfos"][0]["transientDocumentId"]][1]
            rows = self.uploads[asked["childAgreementsInfo"]["fileInfo"]["transientDocumentId"]][1]
        except (KeyError, TypeError, IndexError):
            return refuse("INVALID_TRANSIENTDOCUMENT_ID", 404)
        if asked.get("state") != "IN_PROCESS" or asked.get("signatureType") != "ESIGN" or not asked["name"]:
            return refuse("INVALID_ARGUMENTS")
        lines = list(csv.DictReader(io.StringIO(rows.decode())))
        emails = [each["Recipient_1:Email"] for each in lines]
        if rows != rows.rstrip() or len(set(emails)) < 2 or OWNER in emails:
            return refuse("INVALID_CSV_FILE")
        fields = form_fields(content)
        if not fields:
            return refuse("NO_SIGNATURE_FIELD", 400, "The document holds no field to sign.")
        made = {
            "id": self.new_id(), "name": asked["name"], "our_id": asked["externalId"]["id"], "rows": rows,
            "file": secrets.token_hex(8), "at": stamp(self.clock()), "children": [], "looks": 0,
        }  # fmt: skip
        for each in emails:
            child = self.new_envelope(asked["name"], content)
            child.expires_at = instant(asked.get("expirationTime"))
            child.people = [Signer(self.new_id(), "", each, fields=fields, facts={"set_id": self.new_id()})]
            made["children"].append(child.id)
            self.start(child)
        self.batches[made["id"]] = made
        return answer({"id": made["id"]}, 201)


def form_fields(content: bytes) -> list[dict[str, Any]]:
    """Signature fields that the names of a form's fields ask for."""
    found = []
    with pikepdf.open(io.BytesIO(content)) as document:
        for number, page in enumerate(document.pages, start=1):
            for each in page.obj.get("/Annots", []):
                if re.fullmatch(r"\w*_es_:signer1?:signature", str(each.get("/T", ""))):
                    found.append({"page": number, "rect": [float(one) for one in each.Rect]})
    return found


def echoes(url: str) -> bool:
    """Whether the address confirms that it wants our calls, as Adobe asks before it registers it."""
    import requests

    try:
        reply = requests.get(url, headers={"X-AdobeSign-ClientId": CLIENT_ID}, timeout=5)
    except requests.RequestException:
        return False
    return reply.ok and reply.headers.get("X-AdobeSign-ClientId") == CLIENT_ID
