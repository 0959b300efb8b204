"""The job that hands an envelope to its provider."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal import failpoints
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Envelope
from portal.services import documents, envelopes, jobs
from portal.services.audit import SYSTEM
from providers import errors, registry
from providers.interface import (
    EnvelopeRequest,
    EventKind,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    ProviderEvent,
)


@jobs.handler("send_envelope", outward=True)
def send_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Hand an envelope to its provider, then ask the first people. Safe to run twice."""
    envelope = envelopes.get(payload["envelope"])
    if envelope.status != "queued":
        return
    failpoints.reach("send.before_ceremony")
    try:
        state = registry.get(envelope.provider).send(request_of(envelope))
    except errors.ProviderError as error:
        if error.retry:
            after = timedelta(seconds=error.retry_after_s) if error.retry_after_s else None
            raise jobs.Retry(_(error.sentence, **error.params), after) from error
        raise jobs.GiveUp(_(error.sentence, **error.params)) from error
    failpoints.reach("send.after_ceremony")
    with transaction():
        context.hold()
        Envelope.update(remote_id=state.remote_id).where(Envelope.id == envelope.id).execute()
        now = context.clock()
        envelopes.apply_event(envelope.id, ProviderEvent(EventKind.SENT, now), by=SYSTEM, now=now)


@jobs.on_failure("send_envelope")
def sending_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """The provider said no: the request ends, the contract is ready to be sent again."""
    envelope = envelopes.get(payload["envelope"])
    if envelope.status == "queued":
        said = _("It could not be sent: %(reason)s", reason=reason)
        envelopes.apply_event(
            envelope.id, ProviderEvent(EventKind.VOIDED, now, reason=said), by=SYSTEM, now=now
        )


def request_of(envelope: Envelope) -> EnvelopeRequest:
    """The envelope in the provider's words."""
    document = envelope.document
    contract = envelope.contract
    return EnvelopeRequest(
        id=envelope.id,
        title=contract.reference if contract.has_phi else contract.title,
        message="" if contract.has_phi else envelope.message,
        language=contract.prevailing_language,
        document=OutgoingDocument(
            document.file_name, document.sha256, document.pages, lambda: documents.read(document)
        ),
        recipients=tuple(
            OutgoingRecipient(
                key=r.key, role=r.role, routing_order=r.routing_order, name=r.name, email=r.email,
                title=r.title, organisation=r.organisation, phone=r.phone, language=r.language,
                factors=tuple(r.factors),
            )
            for r in envelopes.recipients_of(envelope)
        ),
        placements=tuple(Placement(**spot) for spot in document.facts.get("placements", [])),
        expires_at=envelope.expires_at,
    )  # fmt: skip
