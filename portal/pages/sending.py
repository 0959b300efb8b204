"""Sending for signature: the last look before, and what goes on until everybody has answered."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, NotFound, PortalError
from portal.i18n import lazy
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope, Recipient
from portal.models.notices import Notice
from portal.pages import factor_requests, guards, message_states, provider_choice
from portal.pages.forms import Form
from portal.pages.guards import person, requires
from portal.pages.recipients import owned
from portal.pages.respond import leave, refuse, show
from portal.services import (
    code_messages,
    contracts,
    deadlines,
    deliveries,
    documents,
    envelopes,
    factors,
    moves,
    policies,
    recipients,
    recovery,
    reminders,
    remote_acts,
    revisions,
    sealing,
    sendable,
    sms_numbers,
    viewings,
)

bp = Blueprint("sending", __name__, url_prefix="/contracts/<reference>")

SEND, STATE, VOID, CORRECT = (
    "sending/send.html",
    "sending/state.html",
    "sending/void.html",
    "sending/correct.html",
)
PEOPLE = "sending/_people.html"
MOST_MESSAGE = 2000

# How each recipient stands: word and tone.
WORDS = {
    "created": (lazy("Gets a copy at the end"), "none"),
    "waiting": (lazy("Not asked yet"), "none"),
    "sent": (lazy("Asked"), "wait"),
    "opened": (lazy("Opened"), "wait"),
    "signed": (lazy("Signed"), "good"),
    "approved": (lazy("Approved"), "good"),
    "declined": (lazy("Declined"), "bad"),
    "copied": (lazy("Has a copy"), "good"),
}
PROBLEMS = {
    "undelivered": lazy("The mail could not be delivered. Mend the address."),
    "not_mine": lazy("Says that the telephone number is not theirs."),
    "not_for_me": lazy("Says that this is not for them."),
    "consent_withdrawn": lazy("Does not agree to electronic records any more."),
    "not_reminded": lazy("The provider did not remind them. Try again, or write to them yourself."),
    "not_corrected": lazy("The provider did not take over the change. Try again, or withdraw the request."),
}
ENVELOPE_WORDS = {
    "queued": (lazy("Being sent"), "wait"),
    "sent": (lazy("With the people asked"), "wait"),
    "completed": (lazy("Signed by everybody"), "good"),
    "declined": (lazy("Declined"), "bad"),
    "voided": (lazy("Withdrawn"), "bad"),
    "expired": (lazy("Out of time"), "bad"),
}
SEAL_WORDS = {
    "pending": (lazy("The company seal is being put on."), "wait"),
    "late": (lazy("The company seal is late. It is tried again by itself; the reason is in the log."), "bad"),
    "incomplete": (lazy("Sealed. The outside time is still missing and is added by itself."), "good"),
    "sealed": (lazy("Sealed; everybody has been sent a copy."), "good"),
    "failed": (lazy("The company seal could not be put on."), "bad"),
}


# --- Before ---------------------------------------------------------------------------------


@bp.get("/send")
@requires("contract.send")
def page(reference: str) -> Response:
    contract = owned(reference)
    if envelopes.open_for(contract) is not None:
        return leave(url_for(".state", reference=reference))
    if contract.state == "approval":
        return leave(url_for("approvals.page", reference=reference))
    expires_on = (utc_now() + envelopes.USUAL_LIFE).astimezone(zone_of(contract)).date()
    form = Form(None, expires_on=expires_on.isoformat(), connection=usual_account(contract))
    return show(SEND, **before(contract, form))


@bp.post("/send/preparation")
@requires("contract.send")
def prepare(reference: str) -> Response:
    contract = owned(reference)
    try:
        revisions.make_ready(contract, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(SEND, Form(request.form), error, **before(contract))
    waits = contract.state == "approval"
    return leave(url_for("approvals.page" if waits else ".page", reference=reference))


@bp.post("/send/reopening")
@requires("contract.send")
def reopen(reference: str) -> Response:
    contract = owned(reference)
    try:
        revisions.open_again(contract, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(SEND, Form(), error, **before(contract))
    return leave(url_for("recipients.page", reference=reference))


@bp.post("/send")
@requires("contract.send")
def send(reference: str) -> Response:
    contract, form, now = owned(reference), Form(request.form), utc_now()
    message = form.text("message", most=MOST_MESSAGE)
    day = form.date("expires_on", required=True)
    connection = provider_choice.chosen(form)
    if form.errors:
        return show(SEND, None, 422, **before(contract, form))
    expires_at = datetime.combine(day, time(18), zone_of(contract)) if day else now
    try:
        envelopes.send(
            contract,
            message=message,
            expires_at=expires_at,
            by=guards.actor(),
            now=now,
            connection=connection,
        )
    except PortalError as error:
        context = before(contract, form)
        del context["form"]
        return refuse(SEND, form, error, **context)
    return leave(url_for(".state", reference=reference))


def usual_account(contract: Contract) -> str:
    """What is chosen to begin with, on the page and where its form says nothing."""
    return provider_choice.preselected(contract.template_version)


def zone_of(contract: Contract) -> ZoneInfo:
    """The zone whose day an expiry is meant in: the other party's, since they must keep it."""
    party = contract.counterparty
    return ZoneInfo(party.zone if party is not None else contract.entity.zone)


def before(contract: Contract, form: Form | None = None) -> dict[str, Any]:
    """All that the last look shows: people with their factors, the PDF, what is missing."""
    now = utc_now()
    document = frozen_document(contract)
    listed = recipients.listed(contract)
    reasons = sendable.gaps(listed, document)
    usual = Form(None, connection=usual_account(contract))
    connection = provider_choice.chosen(form if form is not None else usual)
    provider = connection.provider if connection is not None else "builtin"
    blocked = sendable.blocks(contract, listed, provider) | sendable.signatory_gaps(contract, listed, now)
    context = {
        "contract": contract,
        "people": [about(contract, entry, blocked, reasons) for entry in listed],
        "lacks_signer": reasons.get("recipients", ""),
        "is_ready": contract.state == "ready_to_sign",
        "document": document,
        "pages": documents.pages(document) if document else [],
        "zone_name": str(zone_of(contract)),
        "lacks_recovery_key": lacks_recovery_key(now),
        "ways": provider_choice.options(contract, listed),
    }
    return context | ({"form": form} if form is not None else {})


def lacks_recovery_key(now: datetime) -> bool:
    """Whether real people are written to and nobody ever kept the keys."""
    wanted = recovery.wanted(now)
    return wanted is not None and wanted.kind == recovery.NEVER


def about(
    contract: Contract, entry: dict[str, Any], blocked: dict[str, str], reasons: dict[str, str]
) -> dict[str, Any]:
    factors, why = policies.factors_for(contract, entry)
    return {
        **entry,
        "factors": [policies.FACTORS[factor] for factor in factors],
        "why": why,
        "needs_handing_over": bool(factors)
        and entry["side"] == "theirs"
        and not sms_numbers.can_text(entry.get("phone") or ""),
        "problem": blocked.get(entry["key"]) or reasons.get(f"recipient-{entry['key']}", ""),
    }


def frozen_document(contract: Contract) -> Document | None:
    try:
        return sendable.shown_document(contract)
    except Conflict:
        return None


@bp.get("/send/document.pdf")
@requires("contract.read")
def file(reference: str) -> Response:
    """The exact PDF that people are shown; before sending and after."""
    contract = contracts.get(reference, person())
    envelope = envelopes.latest(contract)
    document = envelope.document if envelope is not None and contract.state != "ready_to_sign" else None
    return pdf(contract, document or sendable.shown_document(contract))


@bp.get("/send/pages/<int:number>.webp")
@requires("contract.read")
def picture(reference: str, number: int) -> Response:
    contract = contracts.get(reference, person())
    document = sendable.shown_document(contract)
    image = documents.page(document, number)
    viewings.note(contract, document, by=guards.actor(), now=utc_now(), page=number)
    answer = make_response(documents.picture(image))
    answer.headers["Content-Type"] = "image/webp"
    return answer


@bp.get("/signing/executed.pdf")
@requires("contract.read")
def executed(reference: str) -> Response:
    """The finished, sealed file."""
    contract = contracts.get(reference, person())
    envelope = newest(contract)
    if envelope.executed is None:
        raise NotFound()
    return pdf(contract, envelope.executed)


def pdf(contract: Contract, document: Document) -> Response:
    viewings.note(contract, document, by=guards.actor(), now=utc_now())
    answer = make_response(documents.read(document))
    answer.headers["Content-Type"] = "application/pdf"
    answer.headers["Content-Disposition"] = f'inline; filename="{document.file_name}"'
    return answer


# --- Meanwhile ------------------------------------------------------------------------------


@bp.get("/signing")
@requires("contract.read")
def state(reference: str) -> Response:
    contract = contracts.get(reference, person())
    return show(STATE, PEOPLE, **meanwhile(contract, newest(contract)))


@bp.post("/recipients/<recipient_id>/reminder")
@requires("contract.send")
def remind(reference: str, recipient_id: str) -> Response:
    contract = owned(reference)
    envelope, recipient = asked(contract, recipient_id)
    try:
        remind_by = reminders.remind_now if envelopes.we_write(recipient, envelope) else remote_acts.remind
        remind_by(recipient, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return show(STATE, PEOPLE, error.status, **meanwhile(contract, envelope, problem=error.message))
    if not request.headers.get("HX-Request"):
        return leave(url_for(".state", reference=reference, reminded=recipient.key))
    return show(STATE, PEOPLE, **meanwhile(contract, envelope, reminded=recipient.key))


@bp.get("/recipients/<recipient_id>/correction")
@requires("contract.send", step_up=True)
def correction(reference: str, recipient_id: str) -> Response:
    contract = owned(reference)
    _envelope, recipient = asked(contract, recipient_id)
    form = Form(None, name=recipient.name, email=recipient.email, phone=recipient.phone)
    return show(CORRECT, contract=contract, recipient=recipient, form=form)


@bp.post("/recipients/<recipient_id>/correction")
@requires("contract.send", step_up=True)
def correct(reference: str, recipient_id: str) -> Response:
    contract, form = owned(reference), Form(request.form)
    envelope, recipient = asked(contract, recipient_id)
    country = contract.counterparty.country if contract.counterparty is not None else ""
    typed = {
        "name": form.text("name", most=120, required=True),
        "email": form.email("email"),
        "phone": form.phone("phone", country=country),
    }
    if form.errors:
        return show(CORRECT, None, 422, contract=contract, recipient=recipient, form=form)
    try:
        present = remote_acts.present(recipient)
        if remote_acts.is_asked_elsewhere(envelope) and typed != {**typed, **present}:
            if typed["phone"] != recipient.phone:
                recipients.correct(recipient, **{**typed, **present}, by=guards.actor(), now=utc_now())
            remote_acts.correct(recipient, typed["name"], typed["email"], by=guards.actor(), now=utc_now())
        else:
            recipients.correct(recipient, **typed, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(CORRECT, form, error, contract=contract, recipient=recipient)
    return leave(url_for(".state", reference=reference))


@bp.get("/signing/void")
@requires("contract.send", step_up=True)
def void_page(reference: str) -> Response:
    contract = owned(reference)
    return show(VOID, contract=contract, envelope=newest(contract), form=Form())


@bp.post("/signing/void")
@requires("contract.send", step_up=True)
def void(reference: str) -> Response:
    contract, form = owned(reference), Form(request.form)
    envelope = newest(contract)
    reason = form.text("reason", most=MOST_MESSAGE, required=True)
    if form.errors:
        return show(VOID, None, 422, contract=contract, envelope=envelope, form=form)
    try:
        envelopes.void(envelope, reason=reason, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return refuse(VOID, form, error, contract=contract, envelope=envelope)
    return leave(url_for(".state", reference=reference))


@bp.post("/signing/seal")
@requires("contract.send")
def retry_seal(reference: str) -> Response:
    contract = owned(reference)
    envelope = newest(contract)
    try:
        sealing.retry(envelope, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return show(STATE, PEOPLE, error.status, **meanwhile(contract, envelope, problem=error.message))
    return leave(url_for(".state", reference=reference))


def newest(contract: Contract) -> Envelope:
    """The latest signing request. Raises NotFound where there never was one."""
    envelope = envelopes.latest(contract)
    if envelope is None:
        raise NotFound()
    return envelope


def asked(contract: Contract, recipient_id: str) -> tuple[Envelope, Recipient]:
    """One person of the latest signing request. Raises NotFound for others."""
    envelope = newest(contract)
    for recipient in envelopes.recipients_of(envelope):
        if recipient.id == recipient_id:
            return envelope, recipient
    raise NotFound()


def meanwhile(
    contract: Contract, envelope: Envelope, *, problem: str = "", reminded: str = "", form: Form | None = None
) -> dict[str, Any]:
    envelope = envelopes.get(envelope.id)
    rows = envelopes.recipients_of(envelope)
    waiting = {r.id for r in envelopes.next_group(rows)} if envelope.status == "sent" else set()
    word, tone = ENVELOPE_WORDS[envelope.status]
    mails = deliveries.latest_mails(rows)
    codes = code_messages.newest_of([row.id for row in rows if row.factors])
    messages = Notice.select().where(Notice.contract_id == contract.id).order_by(Notice.id.desc()).limit(40)
    return {
        "contract": contract,
        "envelope": envelope,
        "word": word,
        "tone": tone,
        "seal": SEAL_WORDS.get("late" if sealing.is_late(envelope, utc_now()) else envelope.seal_status),
        "people": [
            standing(row, row.id in waiting, mails.get(row.id), codes.get(row.id), contract) for row in rows
        ],
        "names": ", ".join(r.name for r in rows if r.id in waiting),
        "messages": [message_states.described(each) for each in messages],
        "may_act": contracts.is_author(contract, person()),
        "is_open": envelope.status in envelopes.OPEN,
        "may_extend": deadlines.may_move(envelope),
        "form": form
        or Form(None, expires_on=envelope.expires_at.astimezone(zone_of(contract)).date().isoformat()),
        "problem": problem,
        "reminded": reminded or request.args.get("reminded", ""),
        "now": utc_now(),
        "elsewhere": provider_choice.standing(envelope, utc_now()),
        "moved_from": provider_choice.moved_from(envelope),
        "targets": moves.targets(envelope) if moves.may_move(envelope) else [],
    }


def standing(
    recipient: Recipient, is_waited_for: bool, mail: Notice | None, code: Notice | None, contract: Contract
) -> dict[str, Any]:
    word, tone = WORDS[recipient.status]
    is_ours = envelopes.we_write(recipient, recipient.envelope)
    reached = message_states.reached(mail)
    return {
        "row": recipient,
        "word": word,
        "tone": tone,
        "at": recipient.acted_at or recipient.opened_at or recipient.asked_at,
        "factors": [policies.FACTORS[factor] for factor in [*recipient.factors, *recipient.native_factors]],
        "problem": problem_of(recipient, reached),
        "mail": reached,
        "code": code_messages.state(code) if code is not None else None,
        "is_waited_for": is_waited_for,
        "number_from": factors.held_until(recipient, utc_now()) if recipient.factors else None,
        "can_be_corrected": recipient.status in ("created", "waiting", "sent", "opened"),
        "role": recipients.ROLES[recipient.role],
        "code_url": factor_requests.code_url(contract, recipient) if is_ours else "",
        "is_ours": is_ours,
    }


def problem_of(recipient: Recipient, reached: message_states.Reached | None) -> str:
    """What the owner must mend; where a mail did not arrive, why it did not."""
    if recipient.problem == "undelivered" and reached is not None and reached.is_bad:
        return reached.text
    return str(PROBLEMS.get(recipient.problem, ""))
