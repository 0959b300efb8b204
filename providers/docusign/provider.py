"""The adapter itself: envelopes, their people, files, webhook calls and the archive."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from datetime import datetime
from typing import Any

from providers.base import hmac_sha256, instant, matches
from providers.docusign import CAPABILITIES, LABEL, SETTINGS, bodies
from providers.docusign.bulk import Bulk
from providers.docusign.calls import WITH_PEOPLE, listed, number
from providers.docusign.sdk import shape
from providers.docusign.words import our_id, people_of, state_of, status_of
from providers.errors import BadSignature, NotConfigured, Preparing, Refused, Unavailable, Unsupported
from providers.http import GARBLED
from providers.interface import (
    Account,
    ArchivedEnvelope,
    ArchivePage,
    Delivery,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    ExecutedFile,
    Notification,
    RecipientState,
    RecipientStatus,
    RemoteEnvelope,
    RemoteRecipient,
    Subscription,
    mark,
)

SIGNATURE = re.compile(r"x-docusign-signature-\d+")
EVENTS = (
    "envelope-sent", "envelope-delivered", "envelope-completed", "envelope-declined", "envelope-voided",
    "envelope-deleted", "recipient-sent", "recipient-delivered", "recipient-completed", "recipient-declined",
    "recipient-autoresponded", "recipient-authenticationfailed",
)  # fmt: skip
LONGEST_REASON = 200  # of a voided envelope, in characters
ARCHIVE_PAGE = 100
OVER = (EnvelopeStatus.VOIDED, EnvelopeStatus.EXPIRED)

NOT_ASKED = mark("DocuSign writes to this person itself; there is no signing address to open here.")
NO_MAIL = mark("DocuSign writes nothing to people who sign through Countersign.")
NOT_THERE = mark("This person is not in the DocuSign envelope.")
NOT_FINISHED = mark("DocuSign has not finished the signed file yet.")
NOT_SIGNED = mark("The DocuSign envelope ended without being completed; there is no signed file.")
NO_KEY = mark(
    "Enter the Connect Key (HMAC) first: without it nobody can tell whether a call is from DocuSign."
)
FORGED = mark("The signature of a call from DocuSign does not hold.")
NO_WORKFLOW = mark("The DocuSign account has no workflow for checking identity documents.")

log = logging.getLogger(__name__)


class DocuSign(Bulk):
    name = "docusign"
    label = LABEL
    capabilities = CAPABILITIES
    settings = SETTINGS

    def check(self) -> Account:
        found = self.ask(self.api.accounts.get_account_information).object()
        facts = {} if self.connection.is_rehearsal else self.facts
        return Account(
            id=self.account_id,
            name=str(found.get("accountName") or facts.get("account_name") or self.account_id),
            email=facts.get("email", ""),
            is_test=self.setting("environment") != "production",
            facts={"base_uri": facts.get("base_uri", ""), "user": facts.get("user", "")},
        )

    # --- Sending -------------------------------------------------------------------------------

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        if request.is_repeat and (there := self.there(request)):
            return there
        now = self.connection.clock()
        bodies.demand_possible(request, self.capabilities, now)
        content = bodies.content_of(request.document, self.capabilities)
        checked = any("id_check" in each.factors for each in request.recipients)
        body = bodies.definition(request, content, now, self.workflow() if checked else "")
        made = self.ask(self.api.envelopes.create_envelope, envelope_definition=body).object()
        if not made.get("envelopeId"):
            raise Unavailable(GARBLED, provider=self.label)
        return EnvelopeState(
            str(made["envelopeId"]),
            status_of(made),
            asked_now(request),
            raw=json.dumps(made).encode(),
            raw_status=str(made.get("status") or ""),
            at=instant(made.get("statusDateTime")),
        )

    def there(self, request: EnvelopeRequest) -> EnvelopeState | None:
        """What an earlier call made, sent on its way if it was left a draft."""
        found = self.envelope(request.remote_id) if request.remote_id else self.found(request.id)
        if found is None:
            return None
        if status_of(found) is EnvelopeStatus.DRAFT:
            sent = shape("Envelope", status="sent")
            self.ask(self.api.envelopes.update, str(found["envelopeId"]), envelope=sent)
            found = self.envelope(str(found["envelopeId"]))
        return state_of(found)

    def workflow(self) -> str:
        """The account's workflow that checks an identity document: the one set, else one without a phone."""
        if chosen := self.setting("identity_workflow"):
            return chosen
        reply = self.ask(self.api.accounts.get_account_identity_verification).object()
        for each in listed(reply, "identityVerification"):
            kinds = {option.get("valueType") for option in listed(each, "inputOptions")}
            if "PhoneNumberList" not in kinds and each.get("workflowId"):
                return str(each["workflowId"])
        raise NotConfigured(NO_WORKFLOW)

    def find(self, request_id: str) -> EnvelopeState | None:
        found = self.found(request_id)
        return state_of(found) if found else None

    def fetch(self, envelope: RemoteEnvelope) -> EnvelopeState:
        return state_of(self.envelope(envelope.remote_id), envelope)

    # --- Acts of ours --------------------------------------------------------------------------

    def void(self, envelope: RemoteEnvelope, reason: str) -> None:
        body = shape("Envelope", status="voided", voided_reason=reason[:LONGEST_REASON])
        try:
            self.ask(self.api.envelopes.update, envelope.remote_id, envelope=body)
        except Refused:
            if status_of(self.envelope(envelope.remote_id)) not in OVER:
                raise

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        person = envelope.one(recipient_key)
        if person.is_embedded:
            raise Unsupported(NO_MAIL)
        body = self.one_person(envelope, person)
        update = self.api.envelopes.update_recipients
        self.updated(self.ask(update, envelope.remote_id, recipients=body, resend_envelope="true"))

    def correct(self, envelope: RemoteEnvelope, recipient_key: str, *, name: str, email: str) -> None:
        """DocuSign writes to the new address by itself; an embedded person stays one."""
        person = envelope.one(recipient_key)
        body = self.one_person(
            envelope,
            person,
            name=name,
            email=email,
            client_user_id=person.key if person.is_embedded else None,
        )
        update = self.api.envelopes.update_recipients
        self.updated(self.ask(update, envelope.remote_id, recipients=body))

    def one_person(self, envelope: RemoteEnvelope, person: RemoteRecipient, **fields: Any) -> Any:
        """A change of one person, by the id they have at DocuSign."""
        number_there = person.remote_id
        if not number_there:
            states = self.fetch(envelope).recipients
            number_there = next((each.remote_id for each in states if each.key == person.key), "")
        if not number_there:
            raise Refused(NOT_THERE)
        if person.role == "copy":
            return shape(
                "Recipients", carbon_copies=[shape("CarbonCopy", recipient_id=number_there, **fields)]
            )
        return shape("Recipients", signers=[shape("Signer", recipient_id=number_there, **fields)])

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        person = envelope.one(recipient_key)
        if not person.is_embedded:
            raise Unsupported(NOT_ASKED)
        body = shape(
            "RecipientViewRequest",
            return_url=return_url,
            authentication_method="Email",  # how people come to us: by a link in a mail
            email=person.email,
            user_name=person.name,
            client_user_id=person.key,
        )
        view = self.api.envelopes.create_recipient_view
        url = self.ask(view, envelope.remote_id, recipient_view_request=body).object().get("url")
        if not url:
            raise Unavailable(GARBLED, provider=self.label)
        return str(url)

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        """All documents as one PDF without the certificate, and the certificate of completion.

        DocuSign hands both over at any time, unfinished before the end, so its word is asked for first: the
        last signature is told a moment before the file is complete. At a mock nobody signs, so none is asked.
        """
        if not self.connection.is_rehearsal:
            self.demand_complete(envelope)
        get = self.api.envelopes.get_document
        pdf = self.ask(get, "combined", envelope.remote_id, certificate="false").pdf()
        evidence = self.ask(get, "certificate", envelope.remote_id).pdf()
        return ExecutedFile(pdf, evidence, self.capabilities.evidence)

    def demand_complete(self, envelope: RemoteEnvelope) -> None:
        """Raises Preparing before the end, without a time to come back: that is up to people, or a moment."""
        status = status_of(self.envelope(envelope.remote_id))
        if status is EnvelopeStatus.COMPLETED:
            return
        if status.is_final:
            raise Refused(NOT_SIGNED)
        preparing = Preparing(envelope.remote_id, NOT_FINISHED)
        preparing.retry_after_s = None
        raise preparing

    # --- Webhook calls (Connect) -----------------------------------------------------------------

    def subscribe(self, url: str) -> Subscription:
        """One configuration for the whole account; one that already calls `url` is taken over."""
        if not self.setting("connect_key"):
            raise NotConfigured(NO_KEY)
        there = listed(self.ask(self.api.connect.list_configurations).object(), "configurations")
        known = next((str(each.get("connectId")) for each in there if each.get("urlToPublishTo") == url), "")
        if known:
            return Subscription(known)
        body = shape(
            "ConnectCustomConfiguration",
            configuration_type="custom",
            name="Countersign",
            url_to_publish_to=url,
            allow_envelope_publish="true",
            all_users="true",
            delivery_mode="SIM",
            events=list(EVENTS),
            event_data=shape(
                "ConnectEventData",
                version="restv2.1",
                format="json",
                include_data=["recipients", "custom_fields"],
            ),
            include_hmac="true",
            requires_acknowledgement="true",
            enable_log="true",
        )
        make = self.api.connect.create_configuration
        return Subscription(self.made(make, "connectId", connect_custom_configuration=body))

    def unsubscribe(self, subscription: Subscription) -> None:
        try:
            self.ask(self.api.connect.delete_configuration, subscription.id)
        except Refused:
            there = listed(self.ask(self.api.connect.list_configurations).object(), "configurations")
            if any(str(each.get("connectId")) == subscription.id for each in there):
                raise

    def read(self, delivery: Delivery) -> tuple[Notification, ...]:
        """One header per key that is active in the account; ours must be among them."""
        key = self.setting("connect_key")
        expected = base64.b64encode(hmac_sha256(key, delivery.body)).decode()
        given = [value for name, value in delivery.headers.items() if SIGNATURE.fullmatch(name)]
        if not key or not any([matches(expected, each.strip()) for each in given]):
            raise BadSignature(FORGED)
        try:
            call = json.loads(delivery.body)
        except ValueError:
            call = None
        data = call.get("data") if isinstance(call, dict) else None
        if not isinstance(data, dict) or not data.get("envelopeId"):
            log.warning("provider.unknown_call", extra={"fields": {"provider": self.label}})
            return ()
        return (notification(call, data),)

    # --- Archive -------------------------------------------------------------------------------

    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        start = int(cursor or 0)
        reply = self.ask(
            self.api.envelopes.list_status_changes,
            from_date=since.isoformat(),
            to_date=until.isoformat(),
            from_to_status="Completed",
            status="completed",
            include=WITH_PEOPLE,
            order_by="completed",
            order="asc",
            count=str(ARCHIVE_PAGE),
            start_position=str(start),
        ).object()
        page = [archived(each) for each in listed(reply, "envelopes")]
        total, after = number(reply, "totalSetSize"), start + len(page)
        return ArchivePage(tuple(page), str(after) if page and after < total else "", total)


def asked_now(request: EnvelopeRequest) -> tuple[RecipientState, ...]:
    """Everybody of an envelope just sent, with the ids they were given; the first group is asked."""
    first = min(each.routing_order for each in request.recipients)
    return tuple(
        RecipientState(
            each.key,
            RecipientStatus.SENT if each.routing_order == first else RecipientStatus.WAITING,
            remote_id=str(place),
        )
        for place, each in enumerate(request.recipients, start=1)
    )


def notification(call: dict[str, Any], data: dict[str, Any]) -> Notification:
    """What a call says. It counts its retries, so the same event is told by what does not change."""
    told = [data.get("envelopeId"), call.get("event"), call.get("generatedDateTime"), data.get("recipientId")]
    summary = data.get("envelopeSummary")
    summary = summary if isinstance(summary, dict) else {}
    whole = {**summary, "envelopeId": data["envelopeId"]}
    return Notification(
        id=hashlib.sha256(json.dumps(told).encode()).hexdigest(),
        remote_id=str(data["envelopeId"]),
        word=str(call.get("event") or ""),
        at=instant(call.get("generatedDateTime")),
        request_id=our_id(summary),
        state=state_of(whole) if summary.get("status") else None,
    )


def archived(envelope: dict[str, Any]) -> ArchivedEnvelope:
    return ArchivedEnvelope(
        remote_id=str(envelope.get("envelopeId") or ""),
        title=str(envelope.get("emailSubject") or ""),
        completed_at=instant(envelope.get("completedDateTime")),
        request_id=our_id(envelope),
        people=tuple(
            (str(person.get("name") or ""), str(person.get("email") or ""))
            for person, _role in people_of(envelope)
        ),
    )
