"""PandaDoc public API, specification 8.8.0.

Sources: the vendor's OpenAPI file (github PandaDoc/pandadoc-openapi-specification 81beb8c8, 15 July 2026)
and, for what it leaves out, the pages of developers.pandadoc.com on webhooks and their signature, embedded
signing, statuses and filters. docs/providers/pandadoc.md says what was never tried.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from providers.base import instant, placements_of
from providers.errors import Preparing, Refused, Unavailable
from providers.http import GARBLED, REFUSED, Reply, retry_after
from providers.interface import (
    ArchivedEnvelope,
    ArchivePage,
    Connection,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    ExecutedFile,
    RemoteEnvelope,
    RemoteRecipient,
)
from providers.pandadoc import bodies
from providers.pandadoc.account import DOCUMENTS
from providers.pandadoc.declared import (
    APPROVAL,
    CAPABILITIES,
    CHECKED,
    LABEL,
    NAME,
    NOT_FINISHED,
    NOT_SIGNED,
    NOT_THERE,
    READING,
    REJECTED,
    SETTINGS,
    STEPS,
    UNREADABLE,
)
from providers.pandadoc.events import Webhooks
from providers.pandadoc.states import (
    APPROVED,
    DECLINED,
    DRAFT,
    ERROR,
    HELD,
    ID,
    STATUS,
    UPLOADED,
    VOIDED,
    listed,
    metadata_of,
    role_of,
    state_of,
)
from providers.pandadoc.states import (
    REJECTED as TURNED_DOWN,
)

__all__ = ["CAPABILITIES", "LABEL", "NAME", "SETTINGS", "STEPS", "PandaDoc", "connect"]

WITHDRAWN = 11  # status codes of PATCH .../status and of the list
DONE = ("2", "10", "9")  # completed, paid, waiting for payment
ARCHIVE_PAGE = 100
SESSION_S = 3600  # how long a signing page may be open
READING_S, APPROVAL_S, PDF_S = 3.0, 900.0, 20.0

log = logging.getLogger(__name__)


class PandaDoc(Webhooks):
    # --- Sending -------------------------------------------------------------------------------

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        """Upload; once PandaDoc has read it, settings, fields and sending. A repeat goes on from there.

        Raises Preparing after the upload: PandaDoc reads documents behind the answer.
        """
        bodies.demand_possible(request)
        document_id = request.remote_id
        if not document_id and request.is_repeat:
            document_id, is_waiting = self.find_id(request.id)
            if not document_id and is_waiting:
                raise Preparing("", READING, retry_after_s=READING_S)
        if document_id:
            return self.go_on(document_id, request)
        bodies.demand_time(request, self.connection.clock())
        raise Preparing(self.upload(request), READING, retry_after_s=READING_S)

    def upload(self, request: EnvelopeRequest) -> str:
        made = self.ask(
            "POST",
            f"{DOCUMENTS}?upload",
            files={"file": (request.document.name, request.document.read(), "application/pdf")},
            data={"data": json.dumps(bodies.document(request))},
        ).object()
        if not made.get("id"):
            raise Unavailable(GARBLED, provider=LABEL)
        return str(made["id"])

    def go_on(self, document_id: str, request: EnvelopeRequest) -> EnvelopeState:
        """Send out what is there, or tell how it stands where that was done."""
        word = self.word_of(document_id)
        is_ready = word in (DRAFT, APPROVED) or self.connection.is_rehearsal  # a mock never comes so far
        if not is_ready:
            demand_going(word, document_id)
            return self.fetch(handle(document_id, request))
        bodies.demand_time(request, self.connection.clock())
        reply = self.details(document_id)
        found = reply.object()
        if reply.status == 409:
            raise Preparing(document_id, READING, retry_after_s=READING_S)
        if metadata_of(found).get(ID) != request.id and not self.connection.is_rehearsal:
            raise Unavailable(GARBLED, provider=LABEL)
        if word != APPROVED:
            self.prepare(document_id, request, found)
        sent = self.ask("POST", f"{DOCUMENTS}/{document_id}/send", json=bodies.sending(request)).object()
        demand_going(str(sent.get("status") or ""), document_id)
        return self.fetch(handle(document_id, request))

    def prepare(self, document_id: str, request: EnvelopeRequest, found: dict[str, Any]) -> None:
        """Everything before sending; whatever an earlier attempt had done is done no second time."""
        now = self.connection.clock()
        v2 = f"/public/v2/documents/{document_id}"
        self.ask("PATCH", f"{v2}/settings", json=bodies.settings(request, now))
        self.ask("PATCH", f"{DOCUMENTS}/{document_id}/auto-reminders", json=bodies.reminders(request))
        path = f"{DOCUMENTS}/{document_id}/fields"
        ids = self.ids(request, found)
        there = [] if self.connection.is_rehearsal else listed(self.ask("GET", path).object(), "fields")
        placed = {owner(each) for each in there if each.get("type") == "signature"}
        missing = {key: each for key, each in ids.items() if each not in placed}
        if missing:
            self.ask("POST", path, json={"fields": bodies.fields(request, missing)})

    def ids(self, request: EnvelopeRequest, found: dict[str, Any]) -> dict[str, str]:
        """Our keys to the ids of the signers."""
        there = {role_of(each): str(each.get("id") or "") for each in listed(found, "recipients")}
        keys = [each.key for each in request.recipients if placements_of(request.placements, each.key)]
        if self.connection.is_rehearsal:  # a mock knows other people, whoever it was sent
            return {key: next(iter(there.values()), key) for key in keys}
        if not all(there.get(key) for key in keys):
            raise Unavailable(GARBLED, provider=LABEL)
        return {key: there[key] for key in keys}

    def find(self, request_id: str) -> EnvelopeState | None:
        document_id, is_waiting = self.find_id(request_id)
        if document_id:
            return self.told(self.details(document_id), None)
        if is_waiting:
            raise Preparing("", READING, retry_after_s=READING_S)
        return None

    # --- How it stands -------------------------------------------------------------------------

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        return self.told(self.details(envelope.remote_id), envelope)

    def told(self, reply: Reply, envelope: RemoteEnvelope | None) -> EnvelopeState:
        found = reply.object()
        word = str(found.get("status") or "")
        if reply.status == 409:
            status = STATUS.get(word, EnvelopeStatus.DRAFT)
            return EnvelopeState(str(found.get("id") or ""), status, raw=reply.body, raw_status=word)
        trail = self.trail(str(found.get("id"))) if word in (DECLINED, VOIDED) else []
        return state_of(found, envelope, trail or [])

    # --- Acts of ours --------------------------------------------------------------------------

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        """A sent document is marked as expired by hand, which is PandaDoc's way; an unsent one is deleted."""
        path = f"{DOCUMENTS}/{envelope.remote_id}"
        is_mailed = not any(each.is_embedded for each in envelope.recipients)
        body = {"status": WITHDRAWN, "note": reason, "notify_recipients": is_mailed}
        try:
            self.ask("PATCH", f"{path}/status", json=body)
        except Refused as error:
            if error.status == 404:  # an unsent one that was deleted
                return
            status = STATUS.get(self.word_of(envelope.remote_id))
            if status in (EnvelopeStatus.DRAFT, EnvelopeStatus.FAILED):
                self.ask("DELETE", path, accept=(404,))
            elif status is not EnvelopeStatus.VOIDED:
                raise

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        """PandaDoc writes to the same person once in 24 hours."""
        if envelope.one(recipient_key).is_embedded:
            raise self.cannot()
        self.write_to(envelope, str(self.person(envelope, recipient_key).get("id") or ""))

    def write_to(self, envelope: RemoteEnvelope, person_id: str) -> None:
        asked = {"recipient_id": person_id, "delivery_methods": {"email": True, "sms": False}}
        path = f"{DOCUMENTS}/{envelope.remote_id}/send-reminder"
        found = self.ask("POST", path, json={"reminders": [asked]}).object()
        answer = next((x for x in listed(found, "result") if x.get("recipient_id") == person_id), {})
        outcome = answer.get("email")
        if isinstance(outcome, dict) and outcome.get("status") == "error":
            raise Refused(REFUSED, provider=LABEL, reason=str(outcome.get("detail") or "")[:300])

    def person(self, envelope: RemoteEnvelope, key: str) -> dict[str, Any]:
        """One person as the document has them now. Raises Refused for one who is not there."""
        found = self.details(envelope.remote_id).object()
        states = {each.key: each.remote_id for each in state_of(found, envelope).recipients}
        for each in listed(found, "recipients"):
            if states.get(key) and each.get("id") == states[key]:
                return each
        if self.connection.is_rehearsal and listed(found, "recipients"):
            return listed(found, "recipients")[0]
        raise Refused(NOT_THERE)

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        """PandaDoc writes to the new address by itself, which it must not to people who sign here.

        An address that is in the account's contacts already cannot be written over another one: its
        contact takes over the fields instead, and is asked by a reminder.
        """
        asked = envelope.one(recipient_key)
        if asked.is_embedded:
            raise self.cannot()
        person = self.person(envelope, recipient_key)
        first, _, last = name.strip().partition(" ")
        names = {"first_name": first, "last_name": last.strip()}
        path = f"{DOCUMENTS}/{envelope.remote_id}/recipients"
        if email.lower() == str(person.get("email") or "").lower():
            self.ask("PATCH", f"{path}/recipient/{person['id']}", json=names)
            return
        known = listed(self.ask("GET", "/public/v1/contacts", params={"email": email}).object(), "results")
        contact = next((x for x in known if str(x.get("email") or "").lower() == email.lower()), None)
        if contact is None:
            self.ask("PATCH", f"{path}/recipient/{person['id']}", json={"email": email, **names})
            return
        if is_checked(person):
            raise Refused(CHECKED, provider=LABEL)
        self.take_over(envelope, person, contact, names)

    def take_over(
        self,
        envelope: RemoteEnvelope,
        person: dict[str, Any],
        contact: dict[str, Any],
        names: dict[str, str],
    ) -> None:
        path = f"{DOCUMENTS}/{envelope.remote_id}/recipients"
        body = {"id": str(contact["id"]), "kind": "contact"}
        made = self.ask("POST", f"{path}/{person['id']}/reassign", json=body).object()
        person_id = str(made.get("recipient_id") or "")
        if any(contact.get(field) != value for field, value in names.items()):
            self.ask("PATCH", f"{path}/recipient/{person_id}", json=names)
        try:
            self.write_to(envelope, person_id)
        except Refused as error:
            log.info("provider.not_reminded", extra={"fields": {"provider": LABEL, "why": str(error)}})

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        """A session of this person's. Its page leads nowhere afterwards, so `return_url` is not used."""
        person = envelope.one(recipient_key)
        if not person.is_embedded:
            raise self.cannot()
        found = self.ask(
            "POST",
            f"{DOCUMENTS}/{envelope.remote_id}/session",
            json={"recipient": person.email, "lifetime": SESSION_S},
        ).object()
        session = found.get("id")
        if not isinstance(session, str) or not session.isalnum():
            raise Unavailable(GARBLED, provider=LABEL)
        return self.page(f"/s/{session}/")

    # --- The finished file ---------------------------------------------------------------------

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        """The PDF that PandaDoc sealed (a sandbox seals none), and the audit trail as data."""
        if not self.connection.is_rehearsal:
            self.demand_complete(envelope)
        pdf = self.file(envelope).pdf()
        trail = self.trail(envelope.remote_id)
        if trail is None:
            log.warning("provider.no_evidence", extra={"fields": {"provider": LABEL}})
            return ExecutedFile(pdf)
        evidence = json.dumps({"count": len(trail), "results": trail}, ensure_ascii=False, indent=1)
        return ExecutedFile(pdf, evidence.encode(), CAPABILITIES.evidence)

    def demand_complete(self, envelope: RemoteEnvelope) -> None:
        status = STATUS.get(self.word_of(envelope.remote_id), EnvelopeStatus.UNKNOWN)
        if status is EnvelopeStatus.COMPLETED:
            return
        if status.is_final:
            raise Refused(NOT_SIGNED)
        preparing = Preparing(envelope.remote_id, NOT_FINISHED)
        preparing.retry_after_s = None  # that is up to people
        raise preparing

    def file(self, envelope: RemoteEnvelope) -> Reply:
        """The sealed file where there is one. A plan or a key without it gets the plain one."""
        path = f"{DOCUMENTS}/{envelope.remote_id}"
        pdf = {"Accept": "application/pdf, application/json"}
        if not self.is_sandbox or self.connection.is_rehearsal:
            plain = (401, 403) if self.uses_key else (403,)  # 401: in truth a sandbox key
            reply = self.ask("GET", f"{path}/download-protected", headers=pdf, accept=(*plain, 404, 409))
            if reply.status not in plain:
                return whole(envelope, reply)
        return whole(envelope, self.ask("GET", f"{path}/download", headers=pdf, accept=(409,)))

    # --- Archive -------------------------------------------------------------------------------

    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        """One kind of completed document after another. The list names neither people nor our id."""
        kind, _, page = (cursor or f"{DONE[0]}:1").partition(":")
        asked: dict[str, str | int] = {
            "status": int(kind),
            "completed_from": stamp(since),
            "completed_to": stamp(until),
            "order_by": "date_completed",
            "count": ARCHIVE_PAGE,
            "page": int(page),
        }
        found = listed(self.ask("GET", DOCUMENTS, params=asked).object(), "results")
        envelopes = tuple(
            ArchivedEnvelope(
                str(each.get("id") or ""), str(each.get("name") or ""), instant(each.get("date_completed"))
            )
            for each in found
        )
        if len(found) >= ARCHIVE_PAGE:
            return ArchivePage(envelopes, f"{kind}:{int(page) + 1}")
        after = DONE[DONE.index(kind) + 1 :]
        return ArchivePage(envelopes, f"{after[0]}:1" if after else "")


def demand_going(word: str, document_id: str) -> None:
    """Raises Preparing or Refused for a document that is not going out."""
    if word == UPLOADED:
        raise Preparing(document_id, READING, retry_after_s=READING_S)
    if word in HELD:
        raise Preparing(document_id, APPROVAL, retry_after_s=APPROVAL_S)
    if word == ERROR:
        raise Refused(UNREADABLE)
    if word == TURNED_DOWN:
        raise Refused(REJECTED)


def handle(document_id: str, request: EnvelopeRequest) -> RemoteEnvelope:
    people = tuple(
        RemoteRecipient(each.key, each.role, each.routing_order, each.name, each.email)
        for each in request.recipients
    )
    return RemoteEnvelope(document_id, request.id, people, request.expires_at)


def owner(field: dict[str, Any]) -> str:
    """The id of the person a field is for."""
    found = field.get("assigned_to")
    return str(found.get("id") or "") if isinstance(found, dict) else ""


def is_checked(person: dict[str, Any]) -> bool:
    found = person.get("verification_settings")
    return isinstance(found, dict) and any(
        value for name, value in found.items() if name != "verification_place"
    )


def whole(envelope: RemoteEnvelope, reply: Reply) -> Reply:
    """The file. Raises Preparing while PandaDoc still makes it, for which it has three answers."""
    if reply.status == 200:
        return reply
    wait = retry_after(reply.headers) or PDF_S
    raise Preparing(envelope.remote_id, NOT_FINISHED, retry_after_s=wait)


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def connect(connection: Connection) -> PandaDoc:
    return PandaDoc(connection)
