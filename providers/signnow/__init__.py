"""signNow REST API, as published in 2020 with the calls added since.

Sources: the vendor's OpenAPI file (github signnow/OpenAPI-Specification, 30 December 2020) and Postman
collection (2020); its clients for Python (3.0.0), PHP and .NET and its own server for assistants
(signnow/sn-mcp-server) for embedded invitations, batches, reminders and languages; docs.signnow.com. The
documents do not tell everything; docs/providers/signnow.md says what was never tried.
"""

from __future__ import annotations

from typing import Any

from providers.errors import Refused, Unavailable
from providers.http import GARBLED
from providers.interface import (
    Connection,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    ExecutedFile,
    RemoteEnvelope,
)
from providers.signnow.account import unix
from providers.signnow.bodies import (
    LINK_MINUTES,
    demand_possible,
    demand_time,
    embedded_invitation,
    fields,
    invitation,
    is_embedded,
    role_names,
)
from providers.signnow.declared import (
    ALL_SIGNED,
    CAPABILITIES,
    CHECKED,
    LABEL,
    NAME,
    NOT_ASKED,
    SETTINGS,
    STEPS,
)
from providers.signnow.lists import Lists
from providers.signnow.states import Invite, invites_of, is_withdrawn, keys_of, listed, state_of, status_of

__all__ = ["CAPABILITIES", "LABEL", "NAME", "SETTINGS", "STEPS", "SignNow", "connect"]


class SignNow(Lists):
    # --- Sending -------------------------------------------------------------------------------

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        """Upload, place fields, read the roles' ids, invite. A repeat goes on where the first one ended."""
        demand_possible(request)
        document_id = request.remote_id
        if not document_id and request.is_repeat:
            document_id = self.find_id(request.id) or ""
        if document_id:
            found = self.document(document_id).object()
            if invites_of(found) or is_withdrawn(found):
                return self.sent_state(document_id, request)
        demand_time(request, self.connection.clock())  # what was sent before is told all the same
        if not document_id:
            document_id = self.upload(request.id, request.document.read())
        self.place(document_id, request)
        roles = self.role_ids(document_id, request)
        self.invite(document_id, request, roles)
        return self.sent_state(document_id, request)

    def place(self, document_id: str, request: EnvelopeRequest) -> None:
        """Its title and every field; whatever was there is replaced."""
        self.call(
            "PUT",
            self.url(f"/document/{document_id}"),
            json={
                "document_name": request.title,
                "client_timestamp": unix(self.connection.clock()),
                "fields": fields(request),
            },
        )

    def role_ids(self, document_id: str, request: EnvelopeRequest) -> dict[str, str]:
        """Our keys to the ids signNow gave the roles that came with the fields."""
        return self.roles_in(self.document(document_id).object(), request)

    def roles_in(self, document: dict[str, Any], request: EnvelopeRequest) -> dict[str, str]:
        ids = {each.get("name"): str(each.get("unique_id") or "") for each in listed(document, "roles")}
        found = {key: ids.get(name, "") for key, name in role_names(request).items()}
        if self.connection.is_rehearsal:  # a mock knows one role, whatever it was sent
            return {key: role or role_names(request)[key] for key, role in found.items()}
        if not all(found.values()):
            raise Unavailable(GARBLED, provider=LABEL)
        return found

    def invite(self, document_id: str, request: EnvelopeRequest, roles: dict[str, str]) -> None:
        if is_embedded(request):
            self.call(
                "POST",
                self.url(f"/v2/documents/{document_id}/embedded-invites"),
                json=embedded_invitation(request, roles),
            )
        else:
            body = invitation(request, roles, self.sender(), self.connection.clock())
            self.call("POST", self.url(f"/document/{document_id}/invite"), json=body)

    def sent_state(self, document_id: str, request: EnvelopeRequest) -> EnvelopeState:
        reply = self.document(document_id)
        found = reply.object()
        keys = {role: key for key, role in self.roles_in(found, request).items()}
        return state_of(found, keys, self.connection.clock(), raw=reply.body)

    # --- How it stands -------------------------------------------------------------------------

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        reply = self.document(envelope.remote_id)
        return state_of(
            reply.object(), keys_of(envelope), self.connection.clock(), was_sent=True, raw=reply.body
        )

    def invite_of(self, envelope: RemoteEnvelope, key: str) -> Invite:
        """This person's invitation as it is now: its id changes when somebody else takes the role over."""
        keys = keys_of(envelope)
        for each in invites_of(self.document(envelope.remote_id).object()):
            if key in (keys.get(each.role_id), keys.get(each.email)):
                return each
        raise Refused(NOT_ASKED, provider=LABEL)

    # --- Acts of ours --------------------------------------------------------------------------

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        """signNow's published call takes no reason: people at signNow are not told it."""
        invites = invites_of(self.document(envelope.remote_id).object())
        status = status_of(invites, self.connection.clock()) if invites else EnvelopeStatus.VOIDED
        if status in (EnvelopeStatus.VOIDED, EnvelopeStatus.DECLINED):
            return
        if status is EnvelopeStatus.COMPLETED and not self.connection.is_rehearsal:
            raise Refused(ALL_SIGNED, provider=LABEL)  # signNow is not known to refuse it
        if any(each.is_embedded for each in invites) or any(each.is_embedded for each in envelope.recipients):
            self.call("DELETE", self.url(f"/v2/documents/{envelope.remote_id}/embedded-invites"))
        else:
            self.call("PUT", self.url(f"/document/{envelope.remote_id}/fieldinvitecancel"))

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        if envelope.one(recipient_key).is_embedded:
            raise self.cannot()
        invite = self.invite_of(envelope, recipient_key)
        self.call("PUT", self.url(f"/fieldinvite/{invite.id}/resend"))

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        """The invitation goes to another address. signNow is not known to carry a check over."""
        if envelope.one(recipient_key).is_embedded:
            raise self.cannot()
        invite = self.invite_of(envelope, recipient_key)
        if invite.is_checked:
            raise Refused(CHECKED, provider=LABEL)
        self.call(
            "PUT",
            self.url(f"/document/{envelope.remote_id}/invite/reassign/{invite.id}"),
            json={
                "role_id": invite.role_id,
                "email": email,
                "cc": [],
                "reassign": 1,
                "prefill_signature_name": name,
            },
        )

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        """The page ends at the `return_url` the request was sent with; signNow takes it only then."""
        if not envelope.one(recipient_key).is_embedded:
            raise self.cannot()
        invite = self.invite_of(envelope, recipient_key)
        found = self.call(
            "POST",
            self.url(f"/v2/documents/{envelope.remote_id}/embedded-invites/{invite.id}/link"),
            json={"auth_method": "none", "link_expiration": LINK_MINUTES},
        ).object()
        inner = found.get("data")
        link = inner.get("link") if isinstance(inner, dict) else None
        if not isinstance(link, str) or not link:
            raise Unavailable(GARBLED, provider=LABEL)
        return link

    # --- The finished file ---------------------------------------------------------------------

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        """The PDF as signed so far with its history as a page, and the same history as data.

        signNow hands it over at any time: whether everybody has signed, `fetch` says.
        """
        pdf = self.call(
            "GET",
            self.url(f"/document/{envelope.remote_id}/download"),
            params={"type": "collapsed", "with_history": "1"},
            headers={"Accept": "application/pdf"},
        ).pdf()
        history = self.call("GET", self.url(f"/document/{envelope.remote_id}/historyfull"))
        history.json()  # raises when half of it came
        return ExecutedFile(pdf, history.body, "application/json")


def connect(connection: Connection) -> SignNow:
    return SignNow(connection)
