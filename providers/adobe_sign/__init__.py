"""Adobe Acrobat Sign REST API, version 6.

Sources: the vendor's API files (Swagger 1.2, API 6.0.0, github adobe/acrobat-sign d1f894c6, 2022) and, for
what is younger, its developer guide: OAuth and scopes, webhooks, throttling, best practices, POST /search,
names of recipients. docs/providers/adobe_sign.md says what was never tried.
"""

from __future__ import annotations

from typing import Any

from providers.adobe_sign.account import etag_of, identified, listed
from providers.adobe_sign.bodies import agreement, demand_possible, fields
from providers.adobe_sign.declared import (
    ALL_SIGNED,
    CAPABILITIES,
    FINISHING,
    LABEL,
    NAME,
    NEW_PHONE,
    NOT_ASKED,
    READING,
    SAME_ADDRESS,
    SETTINGS,
    STEPS,
)
from providers.adobe_sign.lists import Lists
from providers.adobe_sign.states import (
    CANCELLED,
    COMPLETED,
    EDITABLE,
    STATUS,
    UNREAD,
    Participants,
    events_of,
    matched,
    person_state,
    sets_of,
    state_of,
)
from providers.base import instant
from providers.errors import Preparing, Refused, Unavailable, Unsupported
from providers.http import GARBLED, Reply
from providers.interface import (
    Connection,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    ExecutedFile,
    RemoteEnvelope,
    RemoteRecipient,
)

__all__ = ["CAPABILITIES", "LABEL", "NAME", "SETTINGS", "STEPS", "AdobeSign", "connect"]

# 404 has many codes; these mean "not yet" (the guide names the last one, the API file the others).
NOT_YET = (
    "AGREEMENT_NOT_AVAILABLE",
    "AGREEMENT_NOT_SIGNABLE",
    "AGREEMENT_NOT_VISIBLE",
    "AGREEMENT_NOT_EXPOSED",
    "DOCUMENT_NOT_AVAILABLE",
    "DOCUMENT_NOT_YET_AVAILABLE",
)
# The same read is answered three times a minute at most, and reading a document may take half an hour.
SOON_S, LATER_S, LONGEST_S = 5.0, 20.0, 180.0
BY_TELEPHONE = "PHONE"


class AdobeSign(Lists):
    # --- Sending -------------------------------------------------------------------------------

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        """Upload and create; once Adobe has read the document, place the fields and send it out.

        Raises Preparing after creation, always: Adobe makes agreements behind the answer.
        """
        demand_possible(request)
        agreement_id = request.remote_id
        if not agreement_id and request.is_repeat:
            agreement_id = self.find_id(request.id)
        if agreement_id:
            return self.go_on(agreement_id, request)
        file_id = self.upload(request.document.name, request.document.read(), "application/pdf")
        body = agreement(request, file_id, self.connection.clock())
        made = identified(self.ask("POST", "/agreements", json=body))
        raise Preparing(made, READING, provider=LABEL, retry_after_s=SOON_S)

    def go_on(self, agreement_id: str, request: EnvelopeRequest) -> EnvelopeState:
        """Send out what is there, or tell how it stands where it has gone out."""
        envelope = remote(agreement_id, request)
        reply = self.agreement(agreement_id)
        found = reply.object()
        word = found.get("status")
        if self.connection.is_rehearsal or word in EDITABLE:  # a mock has one state, whatever it was sent
            return self.start(envelope, request, etag_of(reply))
        if word == UNREAD:
            made_at = instant(found.get("createdDate"))
            age = (self.connection.clock() - made_at).total_seconds() if made_at else 0.0
            wait = min(max(age, LATER_S), LONGEST_S)  # as long again as it has taken so far
            raise Preparing(agreement_id, READING, provider=LABEL, retry_after_s=wait)
        return self.whole(envelope, reply)

    def start(self, envelope: RemoteEnvelope, request: EnvelopeRequest, etag: str) -> EnvelopeState:
        """Place the fields, then let Adobe ask people. It does so behind the answer, too."""
        path = f"/agreements/{envelope.remote_id}"
        try:
            members = self.ask("GET", f"{path}/members").object()
            present = self.ask("GET", f"{path}/formFields")
        except Refused as error:
            demand_ready(error, envelope, READING)
            raise
        sets = sets_of(members)
        found = self.places(envelope, sets)
        spots = fields(request, {key: each.id for key, each in found.items()})
        self.put(f"{path}/formFields", {"fields": spots}, read=f"{path}/formFields", etag=etag_of(present))
        self.put(f"{path}/state", {"state": "IN_PROCESS"}, read=path, etag=etag)
        people = tuple(
            person_state(each, found[each.key], sets, []) for each in envelope.recipients if each.key in found
        )
        return EnvelopeState(envelope.remote_id, EnvelopeStatus.SENT, people, raw_status="IN_PROCESS")

    def places(self, envelope: RemoteEnvelope, sets: list[Participants]) -> dict[str, Participants]:
        """Our key to the participant set. Raises Preparing until Adobe shows one for each."""
        acting = [each for each in envelope.recipients if each.role != "copy"]
        found = matched(acting, sets)
        if self.connection.is_rehearsal and sets:  # a mock has its own people, whoever it was sent
            found = {each.key: found.get(each.key, sets[0]) for each in acting}
        if len(found) < len(acting):
            raise Preparing(envelope.remote_id, READING, provider=LABEL, retry_after_s=LATER_S)
        return found

    def find_id(self, request_id: str) -> str:
        """The agreement that carries our id; empty where there is none."""
        asked = {"externalId": request_id, "showHiddenAgreements": "true"}
        found = list(self.pages("/agreements", "userAgreementList", **asked))
        living = [each for each in found if each.get("status") != CANCELLED]
        return next((str(each["id"]) for each in [*living, *found] if each.get("id")), "")

    def find(self, request_id: str) -> EnvelopeState | None:
        found = self.find_id(request_id)
        if not found:
            return None
        return self.whole(RemoteEnvelope(found, request_id), self.agreement(found))

    # --- How it stands -------------------------------------------------------------------------

    def agreement(self, agreement_id: str) -> Reply:
        return self.ask("GET", f"/agreements/{agreement_id}")

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        return self.whole(envelope, self.agreement(envelope.remote_id))

    def whole(self, envelope: RemoteEnvelope, reply: Reply) -> EnvelopeState:
        """The agreement as read, with its people and what happened to them."""
        path = f"/agreements/{envelope.remote_id}"
        members = self.ask("GET", f"{path}/members").object()
        events = events_of(self.ask("GET", f"{path}/events").object())
        return state_of(envelope, reply.object(), members, events, reply.body)

    def place_of(self, envelope: RemoteEnvelope, recipient_key: str) -> Participants:
        """Where this person acts, as it is now. Raises Refused where they do not."""
        sets = sets_of(self.ask("GET", f"/agreements/{envelope.remote_id}/members").object())
        found = matched(envelope.recipients, sets).get(recipient_key)
        if found is None and self.connection.is_rehearsal and sets:
            return sets[0]
        if found is None:
            raise Refused(NOT_ASKED, provider=LABEL)
        return found

    # --- Acts of ours --------------------------------------------------------------------------

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        path = f"/agreements/{envelope.remote_id}"
        reply = self.agreement(envelope.remote_id)
        word = str(reply.object().get("status"))
        if not self.connection.is_rehearsal:
            if word in COMPLETED:
                raise Refused(ALL_SIGNED, provider=LABEL)
            if STATUS.get(word, EnvelopeStatus.UNKNOWN).is_final:
                return
        tells = not any(each.is_embedded for each in envelope.recipients)
        body = {
            "state": CANCELLED,
            "agreementCancellationInfo": {"comment": reason, "notifyOthers": tells},
        }
        try:
            self.put(f"{path}/state", body, read=path, etag=etag_of(reply))
        except Refused as error:
            if word == UNREAD:  # nothing can be changed while Adobe reads
                raise Preparing(envelope.remote_id, READING, provider=LABEL, retry_after_s=LATER_S) from error
            raise

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        if envelope.one(recipient_key).is_embedded:
            raise self.cannot()
        ids = self.place_of(envelope, recipient_key).ids
        self.ask(
            "POST",
            f"/agreements/{envelope.remote_id}/reminders",
            json={"recipientParticipantIds": list(ids), "status": "ACTIVE"},
        )

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        """Somebody else acts in the same place. Their name is Adobe's to take or to leave."""
        if envelope.one(recipient_key).email.lower() == email.lower():
            raise Unsupported(SAME_ADDRESS)
        place = self.place_of(envelope, recipient_key)
        path = f"/agreements/{envelope.remote_id}/members/participantSets/{place.id}"
        reply = self.ask("GET", path)
        found = reply.object()
        check = security_of(found)
        if check.get("authenticationMethod") == BY_TELEPHONE:
            raise Refused(NEW_PHONE, provider=LABEL)
        person = {"email": email, "name": name, "securityOption": check}
        body = {"memberInfos": [person], "order": place.order, "role": place.role}
        self.put(path, body, read=path, etag=etag_of(reply))

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        """The page ends at the `return_url` the request was sent with; Adobe takes it only then."""
        person = envelope.one(recipient_key)
        if not person.is_embedded:
            raise self.cannot()
        try:
            found = self.ask("GET", f"/agreements/{envelope.remote_id}/signingUrls").object()
        except Refused as error:
            demand_ready(error, envelope, READING)
            raise
        listings = [
            one for each in listed(found, "signingUrlSetInfos") for one in listed(each, "signingUrls")
        ]
        mine = [one for one in listings if str(one.get("email")).lower() == person.email.lower()]
        if self.connection.is_rehearsal:
            mine = mine or listings
        urls = [str(one.get("esignUrl") or "") for one in mine]
        if not urls:
            raise Refused(NOT_ASKED, provider=LABEL)
        if not urls[0]:
            raise Unavailable(GARBLED, provider=LABEL)
        return urls[0]

    # --- The finished file ---------------------------------------------------------------------

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        """The signed PDF, and the audit report apart from it."""
        path = f"/agreements/{envelope.remote_id}"
        only = {"Accept": "application/pdf"}
        try:
            pdf = self.ask(
                "GET", f"{path}/combinedDocument", params={"attachAuditReport": "false"}, headers=only
            ).pdf()
            trail = self.ask("GET", f"{path}/auditTrail", headers=only).pdf()
        except Refused as error:
            demand_ready(error, envelope, FINISHING)
            raise
        return ExecutedFile(pdf, trail, CAPABILITIES.evidence)


def demand_ready(error: Refused, envelope: RemoteEnvelope, sentence: str) -> None:
    """Raises Preparing where a refusal only means that Adobe needs more time."""
    if error.status == 404 and error.code in NOT_YET:
        raise Preparing(envelope.remote_id, sentence, provider=LABEL, retry_after_s=SOON_S) from error


def remote(agreement_id: str, request: EnvelopeRequest) -> RemoteEnvelope:
    """The request as an envelope that is there."""
    people = tuple(
        RemoteRecipient(p.key, p.role, p.routing_order, p.name, p.email, is_embedded=p.is_embedded)
        for p in request.recipients
    )
    return RemoteEnvelope(agreement_id, request.id, people, request.expires_at)


def security_of(participant_set: dict[str, Any]) -> dict[str, Any]:
    """How the person in it is checked; a password stays as it is unless another is given."""
    active = [each for each in listed(participant_set, "memberInfos") if each.get("status") != "REPLACED"]
    option = active[0].get("securityOption") if active else None
    method = option.get("authenticationMethod") if isinstance(option, dict) else None
    return {"authenticationMethod": method or "NONE"}


def connect(connection: Connection) -> AdobeSign:
    return AdobeSign(connection)
