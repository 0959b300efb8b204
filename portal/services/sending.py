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
    if envelope.status != "queued" or envelope.withdrawal is not None:
        return
    state = handed_over(envelope, context)
    if state is None:
        return
    failpoints.reach("send.after_ceremony")
    with transaction():
        context.hold()
        record(envelope, state, context.clock())


def handed_over(envelope: Envelope, context: jobs.Context) -> EnvelopeState | None:
    """What the provider made of it; None where it is not to be sent any more.

    Raises what a job raises to come back, or to give up.
    """
    account = remote.account_of(envelope)
    try:
        calls.demand_open(account, context.clock())
        is_repeat = mark_handed(envelope, context)
        if is_repeat is None:
            return None
        failpoints.reach("send.before_ceremony")
        with calls.to(account, context.clock()):
            return remote.provider_of(envelope).send(request_of(envelope, is_repeat=is_repeat))
    except errors.Preparing as error:
        with transaction():
            context.hold()
            Envelope.update(remote_id=error.remote_id or envelope.remote_id, problem="").where(
                Envelope.id == envelope.id
            ).execute()
        raise calls.later(error, context.attempts) from error
    except errors.ProviderError as error:
        remote.tell(envelope, error)
        raise calls.later(error, context.attempts) from error


def mark_handed(envelope: Envelope, context: jobs.Context) -> bool | None:
    """Note the first attempt before it is made, and keep others from the job while it is; whether there
    was one before. None where it was ended here meanwhile."""
    if envelope.provider == "builtin":
        return False
    with transaction():
        context.renew(calls.LEASE)
        locked = envelopes.lock(envelope.id)
        if locked.status != "queued" or locked.withdrawal is not None:
            return None
        if locked.handed_at is not None:
            return True
        Envelope.update(handed_at=context.clock()).where(Envelope.id == envelope.id).execute()
    return False


def record(envelope: Envelope, state: EnvelopeState, now: datetime) -> None:
    """The provider has it. What was ended here while it went is ended there as well."""
    locked = envelopes.lock(envelope.id)
    Envelope.update(remote_id=state.remote_id, problem="", next_poll_at=now + FIRST_LOOK).where(
        Envelope.id == envelope.id
    ).execute()
    if locked.status not in envelopes.OPEN:
        envelopes.end_there(locked, now)
    if locked.status != "queued" or locked.withdrawal is not None:
        return
    envelopes.apply_event(envelope.id, ProviderEvent(EventKind.SENT, now), by=SYSTEM, now=now)
    if envelope.provider != "builtin":
        remote_states.take_in(envelope.id, state, now=now)


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
    return job is None or job.status in ("failed", "set_aside", "done")


def is_under_way(envelope: Envelope) -> bool:
    """Whether a worker hands it over at this moment: what comes of that must be known first."""
    running = (Job.key == f"send:{envelope.id}") & (Job.status == "running")
    return bool(Job.select(Job.id).where(running).exists())


def waits(envelope: Envelope) -> bool:
    """Whether its sending, or its end there, waits for the next try or has stopped: it may be tried now."""
    name = "withdraw" if envelope.withdrawal is not None else "send"
    job = Job.get_or_none(Job.key == f"{name}:{envelope.id}")
    if envelope.status not in envelopes.OPEN or (name == "send" and envelope.status != "queued"):
        return False
    if job is None or job.status in ("failed", "set_aside", "done"):
        return True
    return bool(job.status == "ready" and job.attempts > 0)


def send_again(envelope: Envelope, *, by: Actor, now: datetime) -> None:
    """Try now what could not be sent, or ended there. Raises Conflict when it is under way or over."""
    with transaction():
        locked = envelopes.lock(envelope.id)
        if not waits(locked):
            raise Conflict(_("It is being sent already."))
        name = "withdraw" if locked.withdrawal is not None else "send"
        jobs.add_again(
            f"{name}_envelope", {"envelope": envelope.id}, key=f"{name}:{envelope.id}", now=now,
            max_attempts=calls.MOST_ATTEMPTS,
        )  # fmt: skip
        audit.append(
            "envelope.sent_again", ("envelope", envelope.id), chain=envelope.contract.id, by=by, now=now
        )


def request_of(envelope: Envelope, *, is_repeat: bool = False) -> EnvelopeRequest:
    """The envelope in the provider's words."""
    document = envelope.document
    contract = envelope.contract
    people = remote.people_of(envelope)
    steps = routing.steps(people)
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


def outgoing(recipient: Recipient, envelope: Envelope, steps: dict[str, int]) -> OutgoingRecipient:
    """A person; of built-in signing all factors are told, elsewhere those the provider checks."""
    order = steps.get(recipient.key, recipient.routing_order)
    factors = recipient.factors if envelope.provider == "builtin" else recipient.native_factors
    return OutgoingRecipient(
        key=recipient.key, role=recipient.role, routing_order=order, name=recipient.name,
        email=recipient.email, title=recipient.title, organisation=recipient.organisation,
        phone=recipient.phone, language=recipient.language, factors=tuple(factors),
        is_embedded=recipient.is_embedded,
    )  # fmt: skip
