"""What becomes of a message: handed to its gateway by a job, then delivered, or returned.

`deliver` tries again with growing waits until the message is taken, refused, or no longer useful; the
reason stands beside the waiting message meanwhile. What gateways say afterwards (a receipt, a bounce)
comes in through `report`, however it is learnt.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from portal import failpoints, scrub
from portal.channels import Attachment, Gateway, Message, Rejected, Unavailable, sms
from portal.channels.sms.interface import LOOK, ONCE, REPEAT
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Document
from portal.models.envelopes import Envelope, Recipient
from portal.models.notices import Notice
from portal.services import audit, gateways, jobs, mail_senders, notices, sms_use
from portal.services.audit import SYSTEM

# How long a message is worth delivering where it does not say so itself; mail as servers do.
USEFUL_FOR = {gateways.MAIL: timedelta(days=4), gateways.SMS: timedelta(hours=12)}
FIRST_WAIT = {gateways.MAIL: timedelta(seconds=20), gateways.SMS: timedelta(seconds=5)}
LONGEST_WAIT = timedelta(minutes=10)
LOOK_SOON, LOOK_LATER = timedelta(seconds=10), timedelta(minutes=3)

DELIVERED, RETURNED = "delivered", "returned"
# Messages that ask somebody to sign, and those whose code or link soon ends: sent late they mislead.
ASKING = ("sign_request", "reminder")
SHORT_LIVED = {
    "signing_code": timedelta(minutes=10), "password_reset": timedelta(minutes=30),
    "access": timedelta(minutes=30), "invitation": timedelta(days=7),
}  # fmt: skip


@jobs.handler("deliver_notice", outward=True)
def deliver(payload: dict[str, Any], context: jobs.Context) -> None:
    """Hand one message to its gateway, then say so. A kill between the two repeats the same id."""
    notice = Notice.get_or_none(Notice.id == payload["notice"])
    if notice is None or notice.status != "queued":
        return
    channel = gateways.in_force(notice.channel)
    if channel.is_real and context.clock() >= useful_until(notice):
        raise jobs.GiveUp(notice.failure or _("no gateway took it in time"))
    gateway = gateways.of(notice.channel)
    try:
        remote_id = hand_over(notice, gateway)
    except Unavailable as error:
        Notice.update(failure=kept_reason(str(error)), is_unsure=error.may_be_taken).where(
            Notice.id == notice.id
        ).execute()
        raise jobs.Retry(str(error), wait(notice, context.clock(), error.after)) from error
    except Rejected as error:
        raise jobs.GiveUp(str(error)) from error
    failpoints.reach("notice.after_gateway")
    with transaction():
        context.hold()
        this = Notice.id == notice.id
        taken: dict[str, Any] = {"gateway": sms.kind_of(channel.url), "remote_id": remote_id or ""}
        if not gateway.keeps_text:
            taken |= {"text": "", "html": ""}
        Notice.update(taken, sent_at=context.clock(), is_unsure=False).where(this).execute()
        # A report may have been quicker than the answer.
        Notice.update(status="sent", failure="").where(this & (Notice.status == "queued")).execute()
        if getattr(gateway, "can_be_asked", False):
            follow(notice, context.clock())


def hand_over(notice: Notice, gateway: Gateway) -> str | None:
    """Send it, unless the gateway took it at an earlier try whose answer was lost.

    A gateway that can be asked is asked; one that drops doubles gets the same id; any other gets the
    message once more, which is counted, and not a third time.
    """
    message = message_of(notice)
    in_doubt = getattr(gateway, "on_doubt", REPEAT) if notice.is_unsure else ""
    if in_doubt == LOOK:
        try:
            found: str | None = gateway.find(message, notice.created_at)  # type: ignore[attr-defined]
        except Unavailable as error:
            raise Unavailable(str(error), error.after, may_be_taken=True) from error
        if found:
            return found
    if in_doubt == ONCE and notice.repeats:
        raise Rejected(notice.failure or "unanswered")
    again = 1 if in_doubt in (ONCE, REPEAT) else 0
    Notice.update(attempts=Notice.attempts + 1, repeats=Notice.repeats + again, is_unsure=True).where(
        Notice.id == notice.id
    ).execute()
    failpoints.reach("notice.before_gateway")
    return gateway.send(message)


def follow(notice: Notice, now: datetime) -> None:
    """Have a gateway asked what became of a text message, and what it cost; soon where it cannot report."""
    wait = LOOK_LATER if gateways.receipts_at(notice.gateway) else LOOK_SOON
    jobs.add(
        "follow_text_message", {"notice": notice.id}, key=f"follow:{notice.id}", now=now, run_at=now + wait
    )


def useful_until(notice: Notice) -> datetime:
    """When trying ends: what the message says itself, else as long as its channel is worth."""
    kept: datetime | None = notice.useful_until
    return kept or notice.created_at + USEFUL_FOR[notice.channel]


def wait(notice: Notice, now: datetime, asked: timedelta | None) -> timedelta:
    """Until the next try: as the gateway asked, else twice as long each time; never past its use."""
    grown = min(LONGEST_WAIT, FIRST_WAIT[notice.channel] * 2 ** min(notice.attempts, 10))
    chosen = asked or grown * random.uniform(0.8, 1.2)  # noqa: S311
    return max(timedelta(seconds=1), min(chosen, useful_until(notice) - now))


def message_of(notice: Notice) -> Message:
    text, html = notices.read(notice)
    identity: dict[str, Any] = {}
    if notice.channel == gateways.MAIL:
        identity = vars(mail_senders.of(notice, html))
    return Message(
        id=notice.id,
        to=notice.address,
        name=notice.name,
        subject=notice.subject,
        text=text,
        html=html,
        language=notice.language,
        attachments=tuple(attached(document_id) for document_id in notice.attachments),
        **identity,
    )


def attached(document_id: str) -> Attachment:
    from portal.services import documents

    document = Document.get_by_id(document_id)
    return Attachment(document.file_name, documents.read(document))


@jobs.on_failure("deliver_notice")
def delivery_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """A message that will never arrive: the owner of the contract sees whom it was for, and why."""
    notice = Notice.get_or_none(Notice.id == payload["notice"])
    if notice is None or notice.status != "queued":
        return
    Notice.update(status="failed", failure=kept_reason(reason), settled_at=now).where(
        Notice.id == notice.id
    ).execute()
    if not notice.is_unsure:
        sms_use.correct(notice, 0)
    mark_recipient(notice, now, reason)


@jobs.on_retry("deliver_notice")
def queue_again(payload: dict[str, Any], now: datetime) -> None:
    """A message that failed is on its way again, and nobody is shown as not reached."""
    notice = Notice.get_or_none((Notice.id == payload["notice"]) & (Notice.status == "failed"))
    if notice is None:
        return
    until = max(useful_until(notice), now + USEFUL_FOR[notice.channel])
    Notice.update(
        status="queued", failure="", settled_at=None, attempts=0, useful_until=notice.useful_until or until
    ).where(Notice.id == notice.id).execute()
    if notice.recipient_id and notice.channel == gateways.MAIL:
        Recipient.update(problem="").where(
            (Recipient.id == notice.recipient_id) & (Recipient.problem == "undelivered")
        ).execute()


def out_of_date(messages: Sequence[Notice], now: datetime) -> set[str]:
    """Ids of those that would no longer help anybody: their code, link or request has ended."""
    asked = [n.recipient_id for n in messages if n.kind in ASKING]
    is_open = (Envelope.status == "sent") & (Envelope.expires_at > now)
    still: Any = Recipient.select(Recipient.id).join(Envelope).where(Recipient.id.in_(asked) & is_open)
    open_ids = {recipient_id for (recipient_id,) in still.tuples()} if asked else set()
    return {
        n.id
        for n in messages
        if not n.text
        or (n.useful_until is not None and n.useful_until <= now)
        or (n.kind in SHORT_LIVED and n.created_at < now - SHORT_LIVED[n.kind])
        or (n.kind in ASKING and n.recipient_id not in open_ids)
    }


def report(notice_id: str, outcome: str, *, reason: str = "", now: datetime) -> bool:
    """Take in what a gateway or a mail server said of a message it had taken: "delivered" or "returned".

    The only door for receipts, bounces and polls. A return is final and marks the person; a receipt
    never takes it back. The same report twice changes nothing. True where something changed.
    """
    with transaction():
        notice = lock_row(Notice.select().where(Notice.id == notice_id)).first()
        unknown = ("failed",) if notice is not None and notice.is_unsure else ()
        expected = ("queued", "sent", *unknown) if outcome == DELIVERED else ("queued", "sent", DELIVERED)
        if notice is None or notice.status not in expected:
            return False
        Notice.update(status=outcome, failure=kept_reason(reason), settled_at=now, text="", html="").where(
            Notice.id == notice.id
        ).execute()
        if outcome == RETURNED:
            mark_recipient(notice, now, reason)
    return True


def note_delay(notice_id: str, reason: str) -> bool:
    """A server further on has not passed the message on yet and goes on trying: its reason, for the owner."""
    said = kept_reason(reason)
    waiting = (Notice.id == notice_id) & (Notice.status == "sent") & (Notice.failure != said)
    return bool(Notice.update(failure=said).where(waiting).execute())


def kept_reason(said: str) -> str:
    """What a server said, as it may be kept and shown: it may repeat what it was sent, passwords and all."""
    return scrub.text(said)[:500]


def latest_mails(recipients: Iterable[Recipient]) -> dict[str, Notice]:
    """The newest mail to each of these people, by recipient id."""
    ids = [each.id for each in recipients]
    rows = Notice.select().where(Notice.recipient_id.in_(ids) & (Notice.channel == gateways.MAIL))
    return {str(notice.recipient_id): notice for notice in rows.order_by(Notice.id)}


def mark_recipient(notice: Notice, now: datetime, reason: str = "") -> None:
    """Show the owner that a person could not be reached; inside the caller's transaction."""
    if not notice.recipient_id:
        return
    if notice.channel == gateways.SMS:
        note_undelivered(notice, reason, now)
        return
    marked = (
        Recipient.update(problem="undelivered")
        .where((Recipient.id == notice.recipient_id) & (Recipient.problem == ""))
        .execute()
    )
    if marked and notice.contract_id:
        recipient = (
            Recipient.select(Recipient, Envelope).join(Envelope).where(Recipient.id == notice.recipient_id)
        ).get()
        audit.append(
            "recipient.undelivered", ("recipient", recipient.id), chain=notice.contract_id, by=SYSTEM,
            now=now, personal={"name": recipient.name},
        )  # fmt: skip


def note_undelivered(notice: Notice, reason: str, now: datetime) -> None:
    """A code that no phone took: it stays on the contract's page, and in its history."""
    recipient = Recipient.get_or_none(Recipient.id == notice.recipient_id)
    if recipient is not None and notice.contract_id:
        audit.append(
            "code.undelivered", ("recipient", recipient.id), chain=notice.contract_id, by=SYSTEM, now=now,
            facts={"reason": reason[:60]}, personal={"name": recipient.name},
        )  # fmt: skip
