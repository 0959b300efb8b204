"""What became of a message, for whoever waits for its answer: when, why, and in whose words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.i18n import format_datetime, lazy
from portal.i18n import gettext as _
from portal.models.notices import Notice
from portal.services import return_reasons

KINDS = {
    "sign_request": lazy("Request to sign"),
    "reminder": lazy("Reminder"),
    "acknowledgement": lazy("Receipt"),
    "completed": lazy("Finished copy"),
    "completed_owner": lazy("Word that it is signed"),
    "declined": lazy("Word that it was declined"),
    "declined_owner": lazy("Word that it was declined"),
    "voided": lazy("Word that it is withdrawn"),
    "expired": lazy("Word that time is over"),
    "expired_owner": lazy("Word that time is over"),
    "not_answered": lazy("Word that nobody answered"),
    "signer_task": lazy("A signer's request"),
    "mail_test": lazy("Test mail"),
    "signing_code": lazy("Code by text message"),
    "code_made": lazy("Word that a code is read out"),
    "doubted": lazy("Word that a message is doubted"),
}
WORDS = {
    "queued": (lazy("Waiting to go out"), "wait"),
    "sent": (lazy("Handed over"), "good"),
    "delivered": (lazy("Delivered"), "good"),
    "returned": (lazy("Came back"), "bad"),
    "failed": (lazy("Not delivered"), "bad"),
}

HELD_UP = (lazy("Held up on its way"), "wait")

BAD = ("returned", "failed")
ENDS = {
    "delivered": lazy("Delivered"),
    "returned": lazy("Came back"),
    "failed": lazy("Given up"),
}


@dataclass(frozen=True)
class Reached:
    """One sentence about the last mail to a person; `is_bad` where somebody must do something."""

    text: str
    is_bad: bool


def times(notice: Notice) -> list[tuple[str, datetime]]:
    """The moments of its way that are known, in order."""
    found = []
    if notice.status == "queued" and notice.failure:
        found.append((_("Waiting since"), notice.created_at))
    if notice.sent_at:
        found.append((_("Handed over"), notice.sent_at))
    if notice.settled_at and notice.status in ENDS:
        found.append((str(ENDS[notice.status]), notice.settled_at))
    return found


def reason(notice: Notice) -> dict[str, str]:
    """Why it waits, is held up or came back: in plain words, and what a mail server said."""
    if notice.channel == "sms":
        return {"why": return_reasons.why(notice), "said": ""}
    return {"why": return_reasons.in_words(notice.failure), "said": notice.failure}


def described(notice: Notice) -> dict[str, Any]:
    """One message for a list: what it is, to whom, how it stands and why."""
    word, tone = WORDS[notice.status]
    if notice.status == "sent" and notice.failure:
        word, tone = HELD_UP
    return {
        "kind": KINDS.get(notice.kind, notice.kind),
        "address": notice.address,
        "at": notice.sent_at or notice.created_at,
        "word": word,
        "tone": tone,
        "times": times(notice),
        **reason(notice),
    }


def reached(notice: Notice | None) -> Reached | None:
    """Whether a person has their mail, as far as it can be known; None before there is one."""
    if notice is None:
        return None
    why = return_reasons.why(notice)
    sentence: dict[str, Any] = {
        "queued": lambda: waiting(notice, why),
        "sent": lambda: handed_over(notice, why),
        "delivered": lambda: _("Mail delivered on %(at)s.", at=format_datetime(notice.settled_at)),
        "returned": lambda: _("The mail came back on %(at)s. %(why)s", at=ended(notice), why=why),
        "failed": lambda: _(
            "The mail could not be delivered, given up on %(at)s. %(why)s", at=ended(notice), why=why
        ),
    }
    text = " ".join(sentence[notice.status]().split())
    return Reached(text, notice.status in BAD) if text else None


def waiting(notice: Notice, why: str) -> str:
    if not why:
        return ""
    since = format_datetime(notice.created_at)
    return _(
        "The mail has been waiting since %(at)s and is tried again by itself. %(why)s", at=since, why=why
    )


def handed_over(notice: Notice, why: str) -> str:
    at = format_datetime(notice.sent_at)
    if why:
        return _("Mail handed over on %(at)s, held up on its way. %(why)s", at=at, why=why)
    return _("Mail handed over on %(at)s.", at=at)


def ended(notice: Notice) -> str:
    return format_datetime(notice.settled_at or notice.created_at)
