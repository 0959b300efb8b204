"""Dropbox Sign as a provider: sending, following, acting, signing pages and files."""

from __future__ import annotations

from typing import Any

from providers.dropbox_sign import CAPABILITIES, LABEL, bodies
from providers.dropbox_sign.access import FULL_PAGE, GONE
from providers.dropbox_sign.bulk import Bulk
from providers.dropbox_sign.words import (
    gone,
    is_done,
    known_of,
    listed,
    our_id,
    pairs,
    signatures_of,
    state_of,
)
from providers.errors import Preparing, Refused, Unavailable, Unsupported
from providers.http import GARBLED, Reply
from providers.interface import (
    Account,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    ExecutedFile,
    Frame,
    RemoteEnvelope,
    RemoteRecipient,
    mark,
)

CDN, NOT_FOUND = "https://cdn.hellosign.com", 404
SCRIPT = "/public/js/embedded/v2.11.1/embedded.production.min.js"
ORIGINS = ("https://*.hellosign.com",)  # the signing page moved between hosts of it in the past
OVER = (EnvelopeStatus.VOIDED, EnvelopeStatus.EXPIRED, EnvelopeStatus.DECLINED)

NOT_ASKED = mark("Dropbox Sign writes to this person itself; there is no signing address to open here.")
NO_MAIL = mark("Dropbox Sign writes nothing to people who sign through Countersign.")
NOT_THERE = mark("This person is not in the signing request at Dropbox Sign.")
HAS_SIGNED = mark("This person has signed at %(provider)s already.")
NOT_FINISHED = mark("Dropbox Sign has not finished the signed file yet.")
NOT_SIGNED = mark("The request at Dropbox Sign ended without being completed; there is no signed file.")
CHECKED = mark(
    "%(provider)s checks this person by a code, which would be lost with a new address. Withdraw the signing"
    " request and send it again."
)


class DropboxSign(Bulk):
    name = "dropbox_sign"
    capabilities = CAPABILITIES

    def check(self) -> Account:
        found = self.ask("GET", "/account").object().get("account")
        if not isinstance(found, dict) or not found.get("account_id"):
            raise Unavailable(GARBLED, provider=LABEL)
        email = str(found.get("email_address") or "")
        return Account(
            id=str(found["account_id"]),
            name=email,
            email=email,
            is_test=self.is_test,
            facts={"has_api_plan": "yes" if found.get("is_paid_hs") is True else "no"},
        )

    # --- Sending -------------------------------------------------------------------------------

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        people = bodies.known(request)
        if request.is_repeat and (there := self.there(request, people)):
            return there
        bodies.demand_possible(request, is_test=self.is_test)
        is_embedded = bodies.is_embedded(request)
        client_id = self.own_client_id() if is_embedded else self.client_id
        now = self.connection.clock()
        body = bodies.signature_request(request, now, is_test=self.is_test, client_id=client_id)
        path = "/signature_request/create_embedded" if is_embedded else "/signature_request/send"
        reply = self.ask("POST", path, data=body, files=bodies.content_of(request.document))
        return state_of(self.request_in(reply), people, reply.body)

    def there(self, request: EnvelopeRequest, people: tuple[RemoteRecipient, ...]) -> EnvelopeState | None:
        """What an earlier call made."""
        if request.remote_id:
            return self.stands(request.remote_id, people)
        found = self.found(request.id)
        return state_of(found, people) if found else None

    def found(self, request_id: str) -> dict[str, Any] | None:
        """The request that bears our id: among the newest, else by search.

        The search alone may not know for a moment what was just made.
        """
        for search in ({}, {"query": f"metadata:{request_id}"}):
            query = {"page": "1", "page_size": str(FULL_PAGE), **search}
            page = self.ask("GET", "/signature_request/list", params=query).object()
            for each in listed(page, "signature_requests"):
                if our_id(each) == request_id:
                    return each
        return None

    def find(self, request_id: str) -> EnvelopeState | None:
        found = self.found(request_id)
        return state_of(found) if found else None

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        return self.stands(envelope.remote_id, known_of(envelope))

    def stands(self, remote_id: str, people: tuple[RemoteRecipient, ...]) -> EnvelopeState:
        reply = self.ask("GET", f"/signature_request/{remote_id}", accept=(GONE,))
        if reply.status == GONE:
            return gone(remote_id, reply.body)
        return state_of(self.request_in(reply), people, reply.body)

    @staticmethod
    def request_in(reply: Reply) -> dict[str, Any]:
        found = reply.object().get("signature_request")
        if not isinstance(found, dict) or not found.get("signature_request_id"):
            raise Unavailable(GARBLED, provider=LABEL)
        return found

    # --- Acts of ours --------------------------------------------------------------------------

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        """Dropbox Sign takes no reason and does it a little later; from then on it answers 410."""
        try:
            self.ask("POST", f"/signature_request/cancel/{envelope.remote_id}", accept=(GONE,))
        except Refused:
            if self.stands(envelope.remote_id, ()).status not in OVER:
                raise

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        """Once an hour at most; Dropbox Sign refuses more."""
        person = envelope.one(recipient_key)
        if person.is_embedded:
            raise Unsupported(NO_MAIL)
        body = {"email_address": person.email, "name": person.name}
        self.ask("POST", f"/signature_request/remind/{envelope.remote_id}", json=body)

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        """Not with a check by code: nothing says that it goes over to the new address."""
        signature = self.signature(envelope, recipient_key)
        if signature.get("has_pin") or signature.get("has_sms_auth"):
            raise Refused(CHECKED, provider=LABEL)
        body = {"signature_id": signature["signature_id"], "email_address": email, "name": name}
        self.ask("POST", f"/signature_request/update/{envelope.remote_id}", json=body)

    def signature(self, envelope: RemoteEnvelope, recipient_key: str) -> dict[str, Any]:
        """A person's signature as it stands now: its id changes with their address."""
        reply = self.ask("GET", f"/signature_request/{envelope.remote_id}")
        there = [each for each in signatures_of(self.request_in(reply)) if each.get("signature_id")]
        for signature, person in pairs(there, list(envelope.recipients)):
            if person.key == recipient_key:
                return signature
        if there and self.connection.is_rehearsal:  # a mock knows its own people only
            return there[0]
        raise Refused(NOT_THERE)

    # --- Signing pages -------------------------------------------------------------------------

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        """For the vendor's own script (`frame`), which also tells the end; `return_url` is not sent."""
        person = envelope.one(recipient_key)
        if not person.is_embedded:
            raise Unsupported(NOT_ASKED)
        if person.remote_id:
            try:
                return self.sign_url(envelope, person.remote_id)
            except Preparing:
                if is_done(self.signature(envelope, recipient_key)):  # also answered as if it were busy
                    raise Refused(HAS_SIGNED, provider=LABEL) from None
                raise
            except Refused as error:
                if error.status != NOT_FOUND:
                    raise  # else another address made another id
        signature = self.signature(envelope, recipient_key)
        if is_done(signature) and not self.connection.is_rehearsal:  # at a mock somebody signed always
            raise Refused(HAS_SIGNED, provider=LABEL)
        return self.sign_url(envelope, str(signature["signature_id"]))

    def sign_url(self, envelope: RemoteEnvelope, signature_id: str) -> str:
        reply = self.ask("GET", f"/embedded/sign_url/{signature_id}", preparing=envelope.remote_id)
        found = reply.object().get("embedded")
        url = found.get("sign_url") if isinstance(found, dict) else None
        if not url:
            raise Unavailable(GARBLED, provider=LABEL)
        return str(url)

    def frame(self) -> Frame:
        server = self.connection.server
        return Frame(
            script_url=self.address(CDN, SCRIPT),
            origins=(server.rstrip("/"),) if server else ORIGINS,
            client_id=self.own_client_id(),
            is_test=self.is_test,
        )

    # --- The finished file ---------------------------------------------------------------------

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        """One PDF with the audit trail at its end.

        Dropbox Sign hands the file over at any time, unfinished before the end, so its word is asked for
        first. At a mock nobody signs, so none is asked.
        """
        if not self.connection.is_rehearsal:
            self.demand_complete(envelope)
        path = f"/signature_request/files/{envelope.remote_id}"
        reply = self.ask("GET", path, preparing=envelope.remote_id, params={"file_type": "pdf"})
        return ExecutedFile(reply.pdf())

    def demand_complete(self, envelope: RemoteEnvelope) -> None:
        """Raises Preparing before the end, without a time to come back: that is up to people."""
        status = self.stands(envelope.remote_id, ()).status
        if status is EnvelopeStatus.COMPLETED:
            return
        if status.is_final:
            raise Refused(NOT_SIGNED)
        preparing = Preparing(envelope.remote_id, NOT_FINISHED)
        preparing.retry_after_s = None
        raise preparing
