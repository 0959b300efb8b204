"""What became of the text messages that carried codes, in words; never the code itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from portal.i18n import gettext as _
from portal.models.envelopes import Recipient
from portal.models.notices import Notice
from portal.services import return_reasons

KIND = "signing_code"
NOT_TAKEN = ("returned", "failed")
TONES = {"queued": "wait", "sent": "wait", "delivered": "good", "returned": "bad", "failed": "bad"}


def newest(recipient: Recipient) -> Notice | None:
    """The newest code message to a recipient."""
    return newest_of([recipient.id]).get(recipient.id)


def newest_of(recipient_ids: Collection[str]) -> dict[str, Notice]:
    """By recipient, the newest code message to each who was sent one."""
    rows = Notice.select().where(Notice.recipient_id.in_(list(recipient_ids)) & (Notice.kind == KIND))
    return {str(row.recipient_id): row for row in rows.order_by(Notice.id)}


def is_not_taken(notice: Notice | None) -> bool:
    """Whether the phone or the gateway did not take the newest code."""
    return notice is not None and notice.status in NOT_TAKEN


def is_late(notice: Notice | None) -> bool:
    """Whether the newest code waits for a gateway that did not take it at once."""
    return notice is not None and notice.status == "queued" and bool(notice.failure)


def why(notice: Notice) -> str:
    """Why it waits, failed or came back."""
    return return_reasons.why(notice)


def state(notice: Notice) -> dict[str, Any]:
    """One line for our side: the sentence, its tone and when."""
    ending, reason = str(notice.address)[-2:], why(notice)
    sentences = {
        "queued": _("Text message to the number ending %(ending)s: waiting to go out", ending=ending),
        "sent": _("Text message to the number ending %(ending)s: handed to the gateway", ending=ending),
        "delivered": _("Text message to the number ending %(ending)s: delivered", ending=ending),
        "returned": _("Text message to the number ending %(ending)s: not delivered", ending=ending),
        "failed": _("Text message to the number ending %(ending)s: not sent", ending=ending),
    }
    text = sentences[notice.status]
    if reason:
        text = _("%(state)s: %(reason)s", state=text, reason=reason)
    at = notice.settled_at or notice.sent_at or notice.created_at
    return {"text": text, "tone": TONES[notice.status], "at": at}
