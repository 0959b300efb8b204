"""A simulated Acrobat Sign: `python -m tests.simulators.adobe_sign --port 9002`.

Agreements as its API file has them: made behind the answer (the first read says so), changed only with the
tag of what was read, sent out of AUTHORING.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from providers.base import instant
from tests.simulators.adobe_sign_account import (
    API,
    CLIENT_ID,
    CLIENT_SECRET,
    KEY,
    OWNER,
    STATUS,
    WORDS,
    AdobeAccount,
    refuse,
    stamp,
)
from tests.simulators.vendor import (
    Envelope,
    Mail,
    Request,
    Response,
    Signer,
    answer,
    blank_pdf,
    document,
    main,
)

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "KEY", "AdobeSign"]

ROLES = {"SIGNER": "signer", "APPROVER": "approver"}
METHODS = {
    "PASSWORD": "access_code", "PHONE": "sms", "EMAIL_OTP": "email_code", "KBA": "kba", "GOV_ID": "id_check",
}  # fmt: skip
CALLS = {"signer": "SIGNATURE", "approver": "APPROVAL"}
WAITS = ("sent", "opened")


class AdobeSign(AdobeAccount):
    name = "adobe_sign"
    reads_before_ready = 1  # how often an agreement says that its document is not read yet

    def route(self, request: Request) -> Response:
        path = request.path
        if path == "/public/oauth/v2":
            return self.authorize(request)
        if path in ("/oauth/v2/token", "/oauth/v2/refresh"):
            return self.token(request)
        if path.startswith("/public/esign/"):
            return self.signing_page(path.rpartition("/")[2], request)
        if not path.startswith(API + "/"):
            return refuse("NOT_FOUND", 404)
        if not self.lets_in(request.bearer()):
            return self.unknown_caller()
        parts = path.removeprefix(API + "/").split("/")
        if parts == ["baseUris"]:
            return self.base_uris()
        if self.has_moved:
            return refuse(
                "INVALID_API_ACCESS_POINT", 401, "Request must be made to correct API access point."
            )
        if request.method != "GET" and "json" in request.headers.get("content-type", ""):
            self.bodies.append((request.method, path, request.json()))
        match parts[0]:
            case "users":
                return self.user()
            case "transientDocuments":
                return self.upload(request)
            case "webhooks":
                return self.webhooks(request, parts)
            case "search":
                return self.search(request.json())
            case "megaSigns":
                return self.mega_signs(request, parts)
            case "agreements" if len(parts) == 1:
                return self.create(request.json()) if request.method == "POST" else self.listing(request)
            case "agreements":
                return self.one(request, parts[1], parts[2:])
        return refuse("NOT_FOUND", 404)

    # --- Agreements ----------------------------------------------------------------------------

    def create(self, asked: Any) -> Response:
        required = ("fileInfos", "name", "participantSetsInfo", "signatureType", "state")
        if not isinstance(asked, dict) or not all(asked.get(each) for each in required):
            return refuse("MISSING_REQUIRED_PARAM", 400, "Required parameters are missing.")
        file = self.uploads.get(asked["fileInfos"][0].get("transientDocumentId"))
        if file is None:
            return refuse("INVALID_TRANSIENTDOCUMENT_ID", 404)
        if wrong := self.wrong(asked):
            return wrong
        made = self.new_envelope(asked["name"], file[1], (asked.get("externalId") or {}).get("id", ""))
        made.message, made.expires_at = asked.get("message", ""), instant(asked.get("expirationTime"))
        made.return_url = (asked.get("postSignOption") or {}).get("redirectUrl", "")
        options = (asked.get("emailOption") or {}).get("sendOptions") or {}
        is_silent = {options.get(each) for each in ("initEmails", "inFlightEmails", "completionEmails")} == {
            "NONE"
        }
        made.people = [self.person(each, is_silent) for each in asked["participantSetsInfo"]]
        made.people += [
            Signer(self.new_id(), "", each["email"], "copy", 0, is_silent) for each in asked.get("ccs", [])
        ]
        made.facts = {"unread": self.reads_before_ready, "version": 1, "asked": asked, "lag": 1}
        if asked["state"] == "IN_PROCESS":
            self.start(made)
        return answer({"id": made.id}, 201)

    def wrong(self, asked: dict[str, Any]) -> Response | None:
        sets = asked["participantSetsInfo"]
        if sorted({each.get("order") for each in sets}) != list(
            range(1, len({e["order"] for e in sets}) + 1)
        ):
            return refuse("INVALID_SIGNING_ORDER")
        for each in sets:
            if each.get("role") not in ROLES or len(each.get("name", "")) > 255:
                return refuse("INVALID_ARGUMENTS")
            for member in each.get("memberInfos") or [{}]:
                option = member.get("securityOption") or {"authenticationMethod": "NONE"}
                method = option.get("authenticationMethod")
                if not re.fullmatch(r"[^@\s]+@[^@\s]+", member.get("email", "")):
                    return refuse("INVALID_EMAIL")
                if method not in ("NONE", *METHODS):
                    return refuse("INVALID_RECIPIENT_AUTH_METHOD")
                phone = option.get("phoneInfo") or {}
                if method == "PHONE" and not re.fullmatch(r"\+\d{1,3}", phone.get("countryCode", "")):
                    return refuse("INVALID_PHONE_NUMBER")
                if method == "PASSWORD" and not option.get("password"):
                    return refuse("MISSING_PASSWORD")
        ends = asked.get("expirationTime")
        if ends and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ends):
            return refuse("INVALID_ARGUMENTS")
        ends_at = instant(ends)
        if ends_at is not None and ends_at <= self.clock():
            return refuse("INVALID_EXPIRATION_TIME")
        delay = asked.get("firstReminderDelay")
        if delay is not None and (
            delay < 1 or (ends_at and (ends_at - self.clock()).total_seconds() < delay * 3600)
        ):
            return refuse("INVALID_FIRST_REMINDER_DELAY")
        return None

    def person(self, said: dict[str, Any], is_silent: bool) -> Signer:
        member = said["memberInfos"][0]
        option = member.get("securityOption") or {}
        factor = METHODS.get(option.get("authenticationMethod", ""))
        return Signer(
            self.new_id(), member.get("name", ""), member["email"], ROLES[said["role"]], said["order"],
            is_silent, {factor: option} if factor else {}, facts={"set_id": self.new_id(), "replaced": []},
        )  # fmt: skip

    def listing(self, request: Request) -> Response:
        wanted = request.query.get("externalId")
        found = [each for each in self.envelopes.values() if wanted is None or each.our_id == wanted]
        shown = [
            {
                "id": each.id, "name": each.title, "status": STATUS[each.status], "esign": True,
                "hidden": False, "latestVersionId": "1", "displayDate": stamp(each.created_at),
                "displayParticipantSetInfos": [],
            }
            for each in found
        ]  # fmt: skip
        return answer({"userAgreementList": shown, "page": {"nextCursor": ""}})

    def one(self, request: Request, agreement_id: str, rest: list[str]) -> Response:
        found = self.envelopes.get(agreement_id)
        if found is None:
            return refuse("INVALID_AGREEMENT_ID", 404, "The Agreement ID specified is invalid.")
        is_read, tag = request.method == "GET", f'"{found.facts.get("version", 1)}"'
        if not is_read and "if-match" in request.headers and request.headers["if-match"] != tag:
            return refuse("RESOURCE_MODIFIED", 412, "Resource is already modified with newer version.")
        if request.method == "PUT" and "if-match" not in request.headers:
            return refuse("MISSING_IF_MATCH_HEADER")
        match rest:
            case []:
                return answer(self.shown(found), ETag=tag)
            case ["members"]:
                return answer(self.members(found))
            case ["members", "participantSets", set_id]:
                return self.participant_set(request, found, set_id, tag)
            case ["formFields"]:
                return self.form_fields(request, found, tag)
            case ["events"]:
                return answer({"events": found.facts.get("events", [])})
            case ["state"] if not is_read:
                return self.move(found, request.json())
            case ["reminders"] if not is_read:
                return self.remind(found, request.json())
            case ["signingUrls"]:
                return self.signing_urls(found)
            case ["combinedDocument"]:
                if found.facts.get("unread"):
                    return refuse("AGREEMENT_NOT_AVAILABLE", 404)
                return document(found.executed or found.file)
            case ["auditTrail"]:
                return document(blank_pdf(f"Audit report of {found.title}"))
        return refuse("NOT_FOUND", 404)

    def shown(self, found: Envelope) -> dict[str, Any]:
        status = found.word or STATUS[found.status]
        if found.facts.get("unread") and not found.word:
            found.facts["unread"] -= 1
            status = "DOCUMENTS_NOT_YET_PROCESSED"
        elif status == "OUT_FOR_SIGNATURE":
            asked = {each.role for each in found.people if each.status in WAITS}
            status = "OUT_FOR_APPROVAL" if asked == {"approver"} else status
        return {
            "id": found.id, "name": found.title, "status": status, "signatureType": "ESIGN",
            "externalId": {"id": found.our_id}, "createdDate": stamp(found.created_at),
            "expirationTime": stamp(found.expires_at), "senderEmail": OWNER, "fileInfos": [],
            "participantSetsInfo": [], "state": "IN_PROCESS",
        }  # fmt: skip

    def members(self, found: Envelope) -> dict[str, Any]:
        acting = [each for each in found.people if each.role != "copy"]
        sets = [self.shown_set(found, each) for each in acting]
        for each in acting:
            if handed := each.facts.get("delegate"):
                taken = {
                    **self.shown_set(found, replace(each, facts={"replaced": []})),
                    "id": handed["set_id"],
                }
                taken["memberInfos"] = [{"id": handed["id"], "email": handed["email"], "status": "ACTIVE"}]
                sets.append(taken)
        copies = [
            {"email": each.email, "name": each.name, "participantId": each.id, "company": ""}
            for each in found.people if each.role == "copy"
        ]  # fmt: skip
        sender = {"email": OWNER, "name": "Olivia Owner", "self": True, "status": "WAITING_FOR_OTHERS"}
        return {
            "participantSets": sets, "ccsInfo": copies, "nextParticipantSets": [], "sharesInfo": [],
            "senderInfo": {**sender, "company": "", "participantId": "P0"},
        }  # fmt: skip

    def shown_set(self, found: Envelope, each: Signer) -> dict[str, Any]:
        option = next(iter(each.factors.values()), {"authenticationMethod": "NONE"})
        check = {name: value for name, value in option.items() if name != "password"}
        person = {
            "id": each.id, "email": each.email, "name": each.name, "securityOption": check, "self": False,
            "status": "ACTIVE",
        }  # fmt: skip
        return {
            "id": each.facts.get("set_id", ""), "name": each.name, "order": each.order,
            "role": each.role.upper(), "status": each.word or self.word_of(found, each),
            "memberInfos": [*each.facts.get("replaced", []), person],
        }  # fmt: skip

    @staticmethod
    def word_of(found: Envelope, each: Signer) -> str:
        if each.status == "signed":
            return "COMPLETED"
        if found.status in ("declined", "voided"):
            return "CANCELLED"
        if found.status == "expired":
            return "EXPIRED"
        if found.status == "draft":
            return "WAITING_FOR_AUTHORING"
        if each.facts.get("delegate"):
            return "WAITING_FOR_OTHERS"
        return f"WAITING_FOR_MY_{CALLS[each.role]}" if each.status in WAITS else "NOT_YET_VISIBLE"

    # --- Changing ------------------------------------------------------------------------------

    def form_fields(self, request: Request, found: Envelope, tag: str) -> Response:
        if found.facts.get("unread"):
            return refuse("AGREEMENT_NOT_AVAILABLE", 404)
        if request.method == "GET":
            return answer({"fields": found.facts.get("fields", [])}, ETag=tag)
        if found.status != "draft":
            return refuse("AGREEMENT_NOT_IN_AUTHORING_STATE", 403)
        given = (request.json() or {}).get("fields")
        owners = {each.facts.get("set_id"): each for each in found.people}
        where = ("pageNumber", "left", "top", "width", "height")
        if not isinstance(given, list) or len({each.get("name") for each in given}) != len(given):
            return refuse("INVALID_JSON")
        for each in given:
            spots = each.get("locations") or []
            if not spots or not all(
                isinstance(spot.get(one), int | float) for spot in spots for one in where
            ):
                return refuse("INVALID_JSON")
            if each.get("assignee") not in owners:
                return refuse("INVALID_ARGUMENTS")
        for person in found.people:
            person.fields = [each for each in given if each["assignee"] == person.facts.get("set_id")]
        found.facts["fields"] = given
        found.facts["version"] += 1
        return answer({"fields": given}, ETag=f'"{found.facts["version"]}"')

    def move(self, found: Envelope, asked: Any) -> Response:
        wanted = asked.get("state") if isinstance(asked, dict) else None
        if wanted not in ("AUTHORING", "IN_PROCESS", "CANCELLED"):
            return refuse("INVALID_ARGUMENTS")
        if found.facts.get("unread"):
            return refuse("OPERATION_NOT_ALLOWED", 403)
        if wanted == "IN_PROCESS" and found.status == "draft":
            self.start(found)
            return Response(204)
        if wanted == "CANCELLED" and found.status in ("draft", "sent"):
            info = asked.get("agreementCancellationInfo") or {}
            if info.get("notifyOthers"):
                self.mails += [
                    Mail(p.email, found.title, found.id) for p in found.people if not p.is_embedded
                ]
            self.end(found, "voided", info.get("comment", ""))
            return Response(204)
        return refuse("OPERATION_NOT_ALLOWED", 403)

    def participant_set(self, request: Request, found: Envelope, set_id: str, tag: str) -> Response:
        person = next((each for each in found.people if each.facts.get("set_id") == set_id), None)
        if person is None:
            return refuse("INVALID_PARTICIPANT_SET_ID", 404)
        if request.method == "GET":
            return answer(self.shown_set(found, person), ETag=tag)
        asked = request.json() or {}
        if not all(each in asked for each in ("memberInfos", "order", "role")):
            return refuse("MISSING_REQUIRED_PARAM")
        if person.status == "signed":
            return refuse("AGREEMENT_ALREADY_SIGNED", 409)
        new = asked["memberInfos"][0]
        if "securityOption" not in new:
            return refuse("MISSING_REQUIRED_PARAM")
        gone = {"id": person.id, "email": person.email, "name": person.name, "status": "REPLACED"}
        person.facts["replaced"].append({**gone, "securityOption": {"authenticationMethod": "NONE"}})
        person.id, person.email, person.name = self.new_id(), new["email"], new.get("name", "")
        if person.status in WAITS:
            person.status = "sent"
            if not person.is_embedded:
                self.mail(person, found)
        self.note(found, "ACTION_REPLACED_SIGNER", person, acting=OWNER)
        return Response(204)

    def remind(self, found: Envelope, asked: Any) -> Response:
        ids = asked.get("recipientParticipantIds") if isinstance(asked, dict) else None
        if not ids or asked.get("status") != "ACTIVE":
            return refuse("MISSING_REQUIRED_PARAM")
        people = [each for each in found.people if each.id in ids]
        if len(people) != len(ids):
            return refuse("INVALID_PARTICIPANT_ID", 404)
        if found.status != "sent":
            return refuse("CANNOT_CREATE_REMINDER", 403)
        for each in people:
            each.reminded += 1
            if each.status in WAITS:
                self.mail(each, found)
        return answer({"id": self.new_id()}, 201)

    def signing_urls(self, found: Envelope) -> Response:
        if found.facts.get("unread") or found.facts.get("lag"):
            found.facts["lag"] = max(0, found.facts["lag"] - 1)
            return refuse("AGREEMENT_NOT_SIGNABLE", 404)
        if found.status == "expired":
            return refuse("AGREEMENT_EXPIRED", 404, "The agreement is expired.")
        if found.status == "completed":
            return refuse("AGREEMENT_ALREADY_SIGNED", 409)
        if found.status != "sent":
            return refuse("AGREEMENT_NOT_SIGNABLE", 404)
        urls = [
            {
                "signingUrlSetName": each.name,
                "signingUrls": [
                    {
                        "email": each.email,
                        "esignUrl": f"{self.origin}/public/esign/{self.link(found, each)}",
                    }
                ],
            }
            for each in found.people if each.status in WAITS
        ]  # fmt: skip
        return answer({"signingUrlSetInfos": urls})

    # --- What happens --------------------------------------------------------------------------

    def changed(self, envelope: Envelope, change: str, person: Signer | None = None) -> None:
        kind = {"completed": "SIGNED"}.get(change, WORDS[change])
        self.note(envelope, kind, person)
        super().changed(envelope, change, person)

    def note(self, found: Envelope, kind: str, person: Signer | None, acting: str = "") -> None:
        """An event of the agreement, and a new version of it."""
        handed = person.facts.get("delegate") if person and kind != "ACTION_DELEGATED" else None
        email = handed["email"] if handed else person.email if person else OWNER
        comment = person.reason if person and person.reason else found.reason
        found.facts["version"] = found.facts.get("version", 1) + 1
        found.facts.setdefault("events", []).append(
            {
                "type": kind, "date": stamp(self.clock()), "description": kind.lower(),
                "participantId": handed["id"] if handed else person.id if person else "P0",
                "participantEmail": email, "actingUserEmail": acting or email, "actingUserName": "",
                "comment": comment if kind in ("REJECTED", "RECALLED") else "", "versionId": "1",
            }
        )  # fmt: skip

    def delegate(self, envelope_id: str, email: str, to: str) -> None:
        """A signer hands over to somebody else, as Adobe's page lets them."""
        found = self.envelopes[envelope_id]
        person = next(each for each in found.people if each.email == email)
        taken = {"email": to, "id": self.new_id(), "set_id": self.new_id()}
        self.note(found, "ACTION_DELEGATED", replace(person, id=taken["id"], email=to), acting=email)
        person.facts["delegate"] = taken

    def returning(self, url: str, wanted: str) -> str:
        return url


if __name__ == "__main__":
    main(AdobeSign())
