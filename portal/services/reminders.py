"""Reminders: every 48 hours to each person whose turn it is, five times; then the owner is told.

The time of the next one stands beside the person. It moves on in the transaction that writes the
message, so neither a restart nor a second worker reminds twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Envelope, Recipient
from portal.services import envelopes, jobs, notices, remote_acts, signing_mails
from portal.services.audit import SYSTEM, Actor

MOST = 5
# They have said why they do not answer; our side has a task instead.
NOT_REMINDED = ("not_for_me", "consent_withdrawn")


@jobs.recurring("remind", timedelta(minutes=5))
def remind(payload: dict[str, Any], context: jobs.Context) -> None:
    """Remind everybody whose time has come."""
    now = context.clock()
    for recipient in due(now):
        with transaction():
            remind_one(recipient, now)


def due(now: datetime) -> list[Recipient]:
    """Those who are waited for and have not been written to for 48 hours."""
    return list(
        Recipient.select()
        .join(Envelope)
        .where(
            (Recipient.next_reminder_at <= now)
            & Recipient.status.in_(envelopes.ASKED)
            & Recipient.problem.not_in(NOT_REMINDED)
            & (Envelope.status == "sent")
            & Envelope.withdrawal.is_null()
            & (Envelope.expires_at > now)
        )
        .order_by(Recipient.next_reminder_at)
    )


def remind_one(recipient: Recipient, now: datetime) -> None:
    """One reminder, or after the last one the word to the owner. Nothing when another was quicker."""
    number = recipient.reminders + 1
    is_last = number > MOST
    moved = (
        Recipient.update(
            reminders=number if not is_last else MOST,
            next_reminder_at=None if is_last else now + envelopes.REMIND_EVERY,
        )
        .where(
            (Recipient.id == recipient.id)
            & (Recipient.reminders == recipient.reminders)
            & (Recipient.next_reminder_at == recipient.next_reminder_at)
            & Recipient.status.in_(envelopes.ASKED)
        )
        .execute()
    )
    if moved != 1:
        return
    envelope = recipient.envelope
    if is_last:
        envelopes.record_of("recipient.not_answered", recipient, envelope, SYSTEM, now, reminders=MOST)
        signing_mails.tell_not_answered(recipient, envelope, now)
    else:
        envelopes.record_of("recipient.reminded", recipient, envelope, SYSTEM, now, number=number)
        if envelopes.we_write(recipient, envelope):
            signing_mails.remind(recipient, envelope, now)
        else:
            remote_acts.queue_reminder(recipient, now)


def remind_now(recipient: Recipient, *, by: Actor, now: datetime) -> None:
    """Write again at somebody's press of a button; the next automatic one is 48 hours from now.

    Raises Conflict when it is not this person's turn, TooMany when they were written to often.
    """
    with transaction():
        envelope = envelopes.lock(recipient.envelope.id)
        recipient = Recipient.get_by_id(recipient.id)
        if envelope.status != "sent":
            raise Conflict(envelopes.how_it_stands(envelope))
        if recipient.status not in envelopes.ASKED:
            raise Conflict(
                _("It is not the turn of %(name)s, so there is nothing to ask.", name=recipient.name)
            )
        notices.check_rate("mail", recipient.email, by.id, now)
        Recipient.update(next_reminder_at=now + envelopes.REMIND_EVERY, problem="").where(
            Recipient.id == recipient.id
        ).execute()
        envelopes.record_of("recipient.reminded", recipient, envelope, by, now, by_hand=True)
        signing_mails.remind(recipient, envelope, now, by=by.id)
