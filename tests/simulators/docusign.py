"""A simulated DocuSign eSignature REST v2.1: `python -m tests.simulators.docusign --port 9001`.

Account server (`/oauth`), API (`/restapi/v2.1`) and signing pages (`/Signing`) answer on one port. What the
vendor's files refuse is refused here in its words; what they leave open is in docs/providers/docusign.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from portal.clock import utc_now
from providers.interface import Delivery
from tests.simulators.docusign_bulk import BulkSending
from tests.simulators.docusign_oauth import ACCOUNT, INTEGRATION_KEY, USER, AccountServer, key_pair
from tests.simulators.docusign_reading import (
    content_of,
    guid_of,
    person_of,
    person_shown,
    when,
    with_certificate,
    within,
    wrong_people,
)
from tests.simulators.docusign_shapes import complaints
from tests.simulators.vendor import (
    Envelope,
    Request,
    Response,
    Signer,
    Vendor,
    answer,
    blank_pdf,
    document,
    main,
    web_page,
)

API = f"/restapi/v2.1/accounts/{ACCOUNT}"
STATUS = {
    "draft": "created", "sent": "sent", "completed": "completed", "declined": "declined", "voided": "voided",
    "expired": "voided",
}  # fmt: skip
EVENTS = {
    "sent": ["envelope-sent"], "opened": ["recipient-delivered", "envelope-delivered"],
    "signed": ["recipient-completed"], "declined": ["recipient-declined", "envelope-declined"],
    "completed": ["envelope-completed"], "voided": ["envelope-voided"], "expired": ["envelope-voided"],
}  # fmt: skip
LINK_LASTS = timedelta(minutes=5)
WORKFLOW = "c368e411-1592-4001-a3df-dca94ac539ae"


class DocuSign(Vendor):
    name = "docusign"

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(clock)
        self.accounts = AccountServer(clock)
        self.bulk = BulkSending(self)
        self.connect_keys = ["an-older-connect-key", "the-connect-key"]
        self.throttles = (429, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED")
        self.bodies: list[dict[str, Any]] = []  # every envelope definition, as it came
        self.person: Signer | None = None  # whom the change just told is about
        self.linked_at: dict[str, datetime] = {}

    def connection_settings(self) -> dict[str, str]:
        return {
            "environment": "sandbox", "method": "jwt", "integration_key": INTEGRATION_KEY, "user_id": USER,
            "private_key": key_pair()[0], "connect_key": self.connect_keys[-1],
        }  # fmt: skip

    def new_id(self) -> str:
        return str(uuid.uuid4())

    # --- Routing -------------------------------------------------------------------------------

    def route(self, request: Request) -> Response:
        if request.path.startswith("/oauth/"):
            return self.accounts.route(request)
        if request.path.startswith("/Signing/"):
            return self.signing(request.path.rpartition("/")[2], request)
        if not self.accounts.lets_in(request.bearer()):
            return self.unknown_caller()
        if not request.path.startswith(API):
            return self.refused("ACCOUNT_LACKS_PERMISSIONS", "This account may not be used.", 401)
        parts = [each for each in request.path.removeprefix(API).split("/") if each]
        if not parts:
            return answer(
                {"accountIdGuid": ACCOUNT, "accountName": "Larkfield Software", "planName": "Trial"}
            )
        if parts[0] in ("bulk_send_lists", "bulk_send_batch"):
            return self.bulk.route(request, parts)
        return self.api(request, parts)

    def api(self, request: Request, parts: list[str]) -> Response:
        match (request.method, *parts):
            case ("POST", "envelopes"):
                return self.create(request.json())
            case ("GET", "envelopes"):
                return self.list_them(request.query)
            case (_, "envelopes", remote_id, *rest):
                envelope = self.envelopes.get(remote_id)
                if envelope is None:
                    return self.refused(
                        "ENVELOPE_DOES_NOT_EXIST", "The envelope specified either does not exist.", 404
                    )
                return self.one(request, envelope, rest)
            case ("GET", "connect"):
                return answer({"configurations": [each["shown"] for each in self.subscribers]})
            case ("POST", "connect"):
                return self.subscribe(request.json())
            case ("DELETE", "connect", connect_id):
                return self.unsubscribe(connect_id)
            case ("GET", "identity_verification"):
                phone = [{"optionName": "phone_number_list", "valueType": "PhoneNumberList"}]
                return answer({"identityVerification": [
                    {"workflowId": self.new_id(), "defaultName": "By phone", "inputOptions": phone},
                    {"workflowId": WORKFLOW, "defaultName": "DocuSign ID Verification", "inputOptions": []},
                ]})  # fmt: skip
        return self.refused("RESOURCE_NOT_FOUND", "There is nothing at this address.", 404)

    def one(self, request: Request, envelope: Envelope, rest: list[str]) -> Response:
        match (request.method, *rest):
            case ("GET",):
                return answer(self.shown(envelope, request.query.get("include", "")))
            case ("PUT",):
                return self.update(envelope, request.json())
            case ("GET", "recipients"):
                return answer(self.shown(envelope, "recipients")["recipients"])
            case ("PUT", "recipients"):
                resends = request.query.get("resend_envelope") == "true"
                return self.update_people(envelope, request.json(), resends)
            case ("POST", "views", "recipient"):
                return self.view(envelope, request.json())
            case ("GET", "documents", "combined"):
                file = envelope.executed or envelope.file
                # The account is set to attach the certificate, unless it is left out for this once.
                return document(
                    file if request.query.get("certificate") == "false" else with_certificate(file)
                )
            case ("GET", "documents", "certificate"):
                return document(blank_pdf(f"Certificate of completion, envelope {envelope.id}"))
        return self.refused("RESOURCE_NOT_FOUND", "There is nothing at this address.", 404)

    # --- Refusals ------------------------------------------------------------------------------

    @staticmethod
    def refused(code: str, said: str, status: int = 400) -> Response:
        return answer({"errorCode": code, "message": said}, status, X_DocuSign_TraceToken=str(uuid.uuid4()))

    def throttled(self) -> Response:
        status, code = self.throttles
        is_burst = code.startswith("BURST")
        said = answer(
            {"errorCode": code, "message": "The maximum number of calls has been exceeded."}, status
        )
        said.headers |= {
            "X-RateLimit-Limit": "3000", "X-RateLimit-Remaining": "2500" if is_burst else "0",
            "X-RateLimit-Reset": str(int(time.time()) + 1200), "X-BurstLimit-Limit": "500",
            "X-BurstLimit-Remaining": "0" if is_burst else "400",
        }  # fmt: skip
        return said

    def unknown_caller(self) -> Response:
        return self.refused(
            "AUTHORIZATION_INVALID_TOKEN", "The access token provided is expired, revoked or malformed.", 401
        )

    # --- Creating ------------------------------------------------------------------------------

    def create(self, body: Any) -> Response:
        wrong = list(complaints("EnvelopeDefinition", body))
        if wrong:
            return self.refused("INVALID_REQUEST_BODY", "; ".join(wrong[:3]))
        if body.get("status", "created") not in ("created", "sent"):
            return self.refused("INVALID_REQUEST_PARAMETER", "status must be created or sent.")
        if len(body.get("emailSubject") or "") not in range(1, 101):
            return self.refused("INVALID_REQUEST_PARAMETER", "emailSubject must have 1 to 100 characters.")
        file, problem = content_of(body)
        if not problem:
            problem = wrong_people(body, file)
        if problem:
            return self.refused(*problem)
        self.bodies.append(body)
        texts = (body.get("customFields") or {}).get("textCustomFields") or []
        fields = {each["name"]: each.get("value", "") for each in texts}
        made = self.new_envelope(body["emailSubject"], file, fields.get("countersign_id", ""))
        made.message = body.get("emailBlurb", "")
        made.facts = {
            "fields": fields, "transactionId": body.get("transactionId", ""),
            "notification": body.get("notification") or {},
        }  # fmt: skip
        expirations = made.facts["notification"].get("expirations") or {}
        if expirations.get("expireEnabled") == "true":
            made.expires_at = self.clock() + timedelta(days=int(expirations["expireAfter"]))
        groups = body["recipients"]
        made.people = [person_of(each, "signer") for each in groups.get("signers") or []]
        made.people += [person_of(each, "copy") for each in groups.get("carbonCopies") or []]
        if body.get("status") == "sent":
            self.start(made)
        said = {"envelopeId": made.id, "uri": f"/envelopes/{made.id}", "status": STATUS[made.status]}
        return answer(said | {"statusDateTime": when(self.clock())}, 201)

    # --- Listing -------------------------------------------------------------------------------

    def list_them(self, query: dict[str, str]) -> Response:
        if not query.keys() & {"from_date", "envelope_ids", "transaction_ids"}:
            return self.refused(
                "INVALID_REQUEST_PARAMETER", "from_date, envelope_ids or transaction_ids is needed."
            )
        found = list(self.envelopes.values())
        if "transaction_ids" in query:
            wanted = query["transaction_ids"].split(",")
            young = self.clock() - timedelta(days=7)
            found = [
                each for each in found
                if each.facts.get("transactionId") in wanted and (each.created_at or young) > young
            ]  # fmt: skip
        if "envelope_ids" in query:
            found = [each for each in found if each.id in query["envelope_ids"].split(",")]
        if "custom_field" in query:
            name, _, value = query["custom_field"].partition("=")
            found = [each for each in found if each.facts.get("fields", {}).get(name) == value]
        if "status" in query:
            found = [each for each in found if STATUS[each.status] in query["status"].lower().split(",")]
        found = [each for each in found if within(each, query)]
        if query.get("order_by") == "completed":
            found.sort(key=lambda each: str(each.ended_at))
        return self.paged([self.shown(each, query.get("include", "")) for each in found], query)

    @staticmethod
    def paged(found: list[dict[str, Any]], query: dict[str, str]) -> Response:
        start, count = int(query.get("start_position", 0)), int(query.get("count", 1000))
        page = found[start : start + count]
        said = {"resultSetSize": str(len(page)), "totalSetSize": str(len(found)), "startPosition": str(start)}
        return answer(said | {"endPosition": str(start + len(page) - 1), "envelopes": page})

    def shown(self, envelope: Envelope, include: str = "") -> dict[str, Any]:
        opened = any(each.status in ("opened", "signed") for each in envelope.people)
        word = "delivered" if envelope.status == "sent" and opened else STATUS[envelope.status]
        ended = when(envelope.ended_at)
        said: dict[str, Any] = {
            "envelopeId": envelope.id, "status": envelope.word or word, "emailSubject": envelope.title,
            "createdDateTime": when(envelope.created_at), "expireDateTime": when(envelope.expires_at),
            "statusChangedDateTime": ended or when(envelope.created_at),
        }  # fmt: skip
        if envelope.status in ("completed", "declined", "voided"):
            said[f"{envelope.status}DateTime"] = ended
        if envelope.status in ("voided", "expired"):
            is_late = envelope.status == "expired"
            said["voidedReason"] = "Envelope has expired." if is_late else envelope.reason
        if "custom_fields" in include:
            fields = envelope.facts.get("fields", {})
            texts = [{"name": name, "value": value} for name, value in fields.items()]
            said["customFields"] = {"textCustomFields": texts, "listCustomFields": []}
        if "recipients" in include:
            said["recipients"] = {
                "signers": [person_shown(each) for each in envelope.people if each.role != "copy"],
                "carbonCopies": [person_shown(each) for each in envelope.people if each.role == "copy"],
                "recipientCount": str(len(envelope.people)),
            }
        return said

    # --- Changing ------------------------------------------------------------------------------

    def update(self, envelope: Envelope, body: Any) -> Response:
        if wrong := list(complaints("Envelope", body)):
            return self.refused("INVALID_REQUEST_BODY", "; ".join(wrong[:3]))
        if body.get("status") == "voided":
            if envelope.status != "sent":
                return self.refused(
                    "ENVELOPE_CANNOT_VOID_INVALID_STATE", "Only envelopes in the Sent or Delivered states."
                )
            if len(body.get("voidedReason") or "") not in range(1, 201):
                return self.refused("ENVELOPE_VOID_REASON_REQUIRED", "A reason of 1 to 200 characters.")
            self.end(envelope, "voided", body["voidedReason"])
        elif body.get("status") == "sent":
            if envelope.status != "draft":
                return self.refused("ENVELOPE_INVALID_STATUS", "The envelope was sent already.")
            self.start(envelope)
        return answer({"envelopeId": envelope.id})

    def update_people(self, envelope: Envelope, body: Any, resends: bool) -> Response:
        if wrong := list(complaints("Recipients", body)):
            return self.refused("INVALID_REQUEST_BODY", "; ".join(wrong[:3]))
        if envelope.status not in ("sent", "draft"):
            return self.refused(
                "ENVELOPE_INVALID_STATUS",
                "Invalid envelope status. Envelope status is not one of: Created, Sent, Delivered, Correct.",
            )
        told = []
        for each in [one for name in ("signers", "carbonCopies") for one in body.get(name) or []]:
            person = next((p for p in envelope.people if p.id == each.get("recipientId")), None)
            if person is None or person.status in ("signed", "declined"):
                problem = "Recipient not in state that allows correction."
                details = {"errorCode": "RECIPIENT_UPDATE_FAILED", "message": problem}
                told.append({"recipientId": each.get("recipientId"), "errorDetails": details})
                continue
            person.name, person.email = each.get("name", person.name), each.get("email", person.email)
            if "email" in each:
                # The vendor's file does not say what becomes of somebody embedded; this is the harder case.
                person.is_embedded = each.get("clientUserId") is not None
            told.append({"recipientId": person.id, "errorDetails": {"errorCode": "SUCCESS", "message": ""}})
            if (
                (resends or "email" in each)
                and person.status in ("sent", "opened")
                and not person.is_embedded
            ):
                person.reminded += 1
                self.mail(person, envelope)
        return answer({"recipientUpdateResults": told})

    # --- Signing pages -------------------------------------------------------------------------

    def view(self, envelope: Envelope, body: Any) -> Response:
        if wrong := list(complaints("RecipientViewRequest", body)):
            return self.refused("INVALID_REQUEST_BODY", "; ".join(wrong[:3]))
        if not body.get("returnUrl") or not body.get("authenticationMethod"):
            return self.refused("INVALID_REQUEST_PARAMETER", "returnUrl and authenticationMethod are needed.")
        if envelope.status != "sent":
            return self.refused("INVALID_ENVELOPE_STATE", "The envelope is not in a state for signing.")
        named = (body.get("clientUserId"), body.get("email"), body.get("userName"))
        person = next(
            (p for p in envelope.people if (p.facts.get("clientUserId"), p.email, p.name) == named), None
        )
        if person is None or not person.is_embedded:
            return self.refused(
                "UNKNOWN_ENVELOPE_RECIPIENT", "The recipient is not a valid recipient of the envelope."
            )
        if person.status == "waiting":
            return self.refused(
                "RECIPIENT_NOT_IN_SEQUENCE", "The recipient is not next in the routing order."
            )
        token = self.link(envelope, person, body["returnUrl"])
        self.linked_at[token] = self.clock()
        return answer({"url": f"{self.origin}/Signing/MTRedeem/v1/{token}"}, 201)

    def signing(self, token: str, request: Request) -> Response:
        made_at = self.linked_at.get(token)
        if made_at is None or (request.method == "GET" and made_at + LINK_LASTS < self.clock()):
            return web_page("This link is not valid any more", "<p>Ask for a new one.</p>", 410)
        return self.signing_page(token, request)

    # --- Connect -------------------------------------------------------------------------------

    def subscribe(self, body: Any) -> Response:
        wrong = list(complaints("ConnectCustomConfiguration", body))
        if wrong or not body.get("events") or body.get("allowEnvelopePublish") != "true":
            return self.refused("INVALID_REQUEST_BODY", "; ".join(wrong[:3]) or "Nothing would be published.")
        if not body.get("urlToPublishTo", "").startswith(("https://", "http://127.0.0.1")):
            return self.refused("INVALID_REQUEST_PARAMETER", "urlToPublishTo must be https.")
        shown = {**body, "connectId": str(10_000_000 + len(self.seen))}
        subscriber = {
            "id": shown["connectId"], "url": body["urlToPublishTo"], "events": body["events"],
            "include": (body.get("eventData") or {}).get("includeData") or [],
            "hmac": body.get("includeHMAC") == "true", "shown": shown,
        }  # fmt: skip
        self.subscribers.append(subscriber)
        return answer(shown, 201)

    def unsubscribe(self, connect_id: str) -> Response:
        if not any(each["id"] == connect_id for each in self.subscribers):
            return self.refused("INVALID_REQUEST_PARAMETER", "The Connect configuration was not found.")
        self.subscribers = [each for each in self.subscribers if each["id"] != connect_id]
        return Response(200)

    def words(self, envelope: Envelope, person: Signer | None, change: str) -> list[str]:
        return EVENTS[change]

    def changed(self, envelope: Envelope, change: str, person: Signer | None = None) -> None:
        self.person = person
        super().changed(envelope, change, person)

    def webhook(self, subscriber: dict[str, Any], envelope: Envelope, word: str) -> Delivery | None:
        if word not in subscriber["events"]:
            return None
        summary = self.shown(envelope, ",".join(subscriber["include"]))
        data = {"accountId": ACCOUNT, "userId": USER, "envelopeId": envelope.id}
        if word.startswith("recipient-") and self.person:
            data["recipientId"] = guid_of(self.person)
        said = {
            "event": word, "apiVersion": "v2.1", "retryCount": 0, "configurationId": int(subscriber["id"]),
            "uri": f"{API}/envelopes/{envelope.id}", "generatedDateTime": when(self.clock()),
            "data": {**data, "envelopeSummary": summary},
        }  # fmt: skip
        body = json.dumps(said).encode()
        headers = {"content-type": "application/json; charset=utf-8"}
        if subscriber["hmac"]:
            headers["x-authorization-digest"] = "HMACSHA256"
            for number, key in enumerate(self.connect_keys, start=1):
                digest = hmac.new(key.encode(), body, hashlib.sha256).digest()
                headers[f"x-docusign-signature-{number}"] = base64.b64encode(digest).decode()
        return Delivery("POST", "", headers, body)


if __name__ == "__main__":
    main(DocuSign())
