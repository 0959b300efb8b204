"""The job that hands an envelope to its provider, and what people can do when that fails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal import failpoints
from portal.documents import images
from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Envelope, Recipient
from portal.models.jobs import Job
from portal.services import audit, calls, documents, envelopes, jobs, notices, remote, remote_states, routing
from portal.services.audit import SYSTEM, Actor
from providers import errors
from providers.interface import (
    EnvelopeRequest,
    EnvelopeState,
    EventKind,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    ProviderEvent,
)

A4_HEIGHT = 842.0
FIRST_LOOK = timedelta(minutes=2)  # after sending; then polling takes over


@jobs.handler("send_envelope", outward=True)
def send_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Hand an envelope to its provider, then ask the first people. Safe to run twice.

    That it was handed over is written down before the first call, so that a later run looks for what
    an earlier one may have made before it makes anything.
    """
    envelope = envelopes.get(payload["envelope"])
    if envelope.status != "queued":
        return
    failpoints.reach("send.before_ceremony")
    state = handed_over(envelope, context)
    failpoints.reach("send.after_ceremony")
    with transaction():
        context.hold()
        now = context.clock()
        Envelope.update(remote_id=state.remote_id, problem="", next_poll_at=now + FIRST_LOOK).where(
            Envelope.id == envelope.id
        ).execute()
        envelopes.apply_event(envelope.id, ProviderEvent(EventKind.SENT, now), by=SYSTEM, now=now)
        if envelope.provider != "builtin":
            remote_states.take_in(envelope.id, state, now=now)


def handed_over(envelope: Envelope, context: jobs.Context) -> EnvelopeState:
    """What the provider made of it. Raises what a job raises to come back, or to give up."""
    is_repeat = not mark_handed(envelope, context)
    account = remote.account_of(envelope)
    try:
        with calls.to(account, context.clock()):
            return remote.provider_of(envelope).send(request_of(envelope, is_repeat=is_repeat))
    except errors.Preparing as error:
        with transaction():
            context.hold()
            Envelope.update(remote_id=error.remote_id).where(Envelope.id == envelope.id).execute()
        raise calls.later(error) from error
    except errors.ProviderError as error:
        tell(envelope, error)
        raise calls.later(error) from error


def mark_handed(envelope: Envelope, context: jobs.Context) -> bool:
    """Note the first attempt before it is made; false when there was one before."""
    if envelope.provider == "builtin":
        return True
    with transaction():
        context.hold()
        marked = (
            Envelope.update(handed_at=context.clock())
            .where((Envelope.id == envelope.id) & Envelope.handed_at.is_null())
            .execute()
        )
    return bool(marked)


def tell(envelope: Envelope, error: errors.ProviderError) -> None:
    """Why it has not gone yet, for our side to see at once."""
    if envelope.provider != "builtin":
        Envelope.update(problem=calls.said(error)[:500]).where(Envelope.id == envelope.id).execute()


@jobs.on_failure("send_envelope")
def sending_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """Built in, the request ends and the contract is ready again. Elsewhere it stays, with the reason,
    until somebody tries again or withdraws it: the provider may have it."""
    envelope = envelopes.get(payload["envelope"])
    if envelope.status != "queued":
        return
    if envelope.provider != "builtin":
        Envelope.update(problem=reason[:500]).where(Envelope.id == envelope.id).execute()
        envelopes.record("envelope.sending_failed", envelope, SYSTEM, now, provider=envelope.provider)
        return
    said = _("It could not be sent: %(reason)s", reason=reason)
    envelopes.apply_event(envelope.id, ProviderEvent(EventKind.VOIDED, now, reason=said), by=SYSTEM, now=now)


@jobs.on_retry("send_envelope")
def sending_again(payload: dict[str, Any], _now: datetime) -> None:
    Envelope.update(problem="").where(Envelope.id == payload["envelope"]).execute()


def has_stopped(envelope: Envelope) -> bool:
    """Whether it is still to be sent and nothing tries any more."""
    if envelope.status != "queued":
        return False
    job = Job.get_or_none(Job.key == f"send:{envelope.id}")
    return job is None or job.status in ("failed", "set_aside")


def send_again(envelope: Envelope, *, by: Actor, now: datetime) -> None:
    """Try again what could not be sent. Raises Conflict when it is under way or over."""
    with transaction():
        if not has_stopped(envelopes.lock(envelope.id)):
            raise Conflict(_("It is being sent already."))
        job = Job.get_or_none(Job.key == f"send:{envelope.id}")
        if job is None:
            jobs.add("send_envelope", {"envelope": envelope.id}, key=f"send:{envelope.id}", now=now)
        else:
            Job.update(status="failed").where(Job.id == job.id).execute()
            jobs.retry(job.id, now)
        audit.append(
            "envelope.sent_again", ("envelope", envelope.id), chain=envelope.contract.id, by=by, now=now
        )


def request_of(envelope: Envelope, *, is_repeat: bool = False) -> EnvelopeRequest:
    """The envelope in the provider's words."""
    document = envelope.document
    contract = envelope.contract
    people = envelopes.recipients_of(envelope)
    steps = sorted({routing.group_of(each) for each in people if each.role != "copy"})
    spots = document.facts.get("placements", [])
    heights = {} if envelope.provider == "builtin" else images.heights(documents.read(document))
    return EnvelopeRequest(
        id=envelope.id,
        title=contract.reference if contract.has_phi else contract.title,
        message="" if contract.has_phi else envelope.message,
        language=contract.prevailing_language,
        document=OutgoingDocument(
            document.file_name, document.sha256, document.pages, lambda: documents.read(document)
        ),
        recipients=tuple(outgoing(each, envelope, steps) for each in people),
        placements=tuple(
            Placement(**spot, page_height=heights.get(spot["page"], A4_HEIGHT)) for spot in spots
        ),
        expires_at=envelope.expires_at,
        return_url=notices.url("/signed-elsewhere"),
        is_repeat=is_repeat,
        remote_id=envelope.remote_id or "",
    )


def outgoing(recipient: Recipient, envelope: Envelope, steps: list[tuple[int, int]]) -> OutgoingRecipient:
    """A person; of built-in signing all factors are told, elsewhere those the provider checks.

    The order is told in steps without gaps; who approves has a step before those who sign.
    """
    group = routing.group_of(recipient)
    order = steps.index(group) + 1 if group in steps else recipient.routing_order
    factors = recipient.factors if envelope.provider == "builtin" else recipient.native_factors
    return OutgoingRecipient(
        key=recipient.key, role=recipient.role, routing_order=order, name=recipient.name,
        email=recipient.email, title=recipient.title, organisation=recipient.organisation,
        phone=recipient.phone, language=recipient.language, factors=tuple(factors),
        is_embedded=recipient.is_embedded,
    )  # fmt: skip
