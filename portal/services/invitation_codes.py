"""Short codes that do once what a mailed link does, for people who press no links.

Each mail that asks somebody prints a fresh one; our side can make another to be read out on the
telephone. Eight letters and digits (40 bits, none of I, L, O and U), kept as HMAC with their
recipient. A recipient has at most one live code of each way: a newer one ends the one before. Both
end with their first use, at the latest with the request, and whenever the recipient's links end.

At most 50 wrong tries a day are checked for one reference: over the longest request, of a year, a
stranger's chance at one recipient is 2 x 50 x 365 / 2**40, one in 30 million (docs/invitations.md).
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.models.base import ALPHABET, transaction
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope, InvitationCode, Recipient
from portal.models.people import Person
from portal.services import installation, limits

MAIL, TOLD = "mail", "told"
CHARACTERS = 8
TOLD_LIFE = timedelta(minutes=30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SCOPE = "invitation_code"
CAPS = (
    limits.Cap(50, DAY, limits.SUBJECT, failures=True),
    limits.Cap(20, HOUR, limits.SOURCE, failures=True),
    limits.Cap(600, HOUR, limits.ALL, failures=True),
)
MOST_LIVE = 80  # forty people, two codes each: as many are compared at every try
NOBODY = (0, "nobody", "0" * 64)
LOOKALIKES = str.maketrans("oil", "011")


# --- Writing them ------------------------------------------------------------------------------


def issue(recipient: Recipient, *, now: datetime, way: str = MAIL, by: Person | None = None) -> str:
    """A fresh code for this recipient, grouped for reading; the one before of the same way is dead.

    One for the mail ends with the request, one to be read out after 30 minutes. Call it inside the
    transaction that writes the mail or shows it.
    """
    code = "".join(secrets.choice(ALPHABET) for _place in range(CHARACTERS))
    expires_at = recipient.envelope.expires_at
    if way == TOLD:
        expires_at = min(expires_at, now + TOLD_LIFE)
    end([recipient.id], now, ways=(way,))
    InvitationCode.insert(
        recipient=recipient, way=way, code_hmac=digest(recipient.id, code), created_by=by,
        created_at=now, expires_at=expires_at,
    ).execute()  # fmt: skip
    return grouped(code)


def end(recipients: Any, now: datetime, *, ways: tuple[str, ...] = (MAIL, TOLD)) -> None:
    """End what is live of these recipients, a list or a query of ids."""
    theirs = InvitationCode.recipient.in_(recipients) & InvitationCode.way.in_(ways)
    InvitationCode.update(ended_at=now).where(theirs & InvitationCode.ended_at.is_null()).execute()


def grouped(code: str) -> str:
    """In capitals and two groups, as it is printed and read aloud."""
    return f"{code[:4]}-{code[4:]}".upper()


def digest(recipient_id: str, code: str) -> str:
    key = installation.current().settings.secret_key.encode()
    return hmac.new(key, f"invitation:{recipient_id}:{code}".encode(), "sha256").hexdigest()


# --- Typing them in -----------------------------------------------------------------------------


def plain(typed: str) -> str:
    """A code as it was made, whatever its case, its groups and its lookalikes (O for 0, I and L for 1)."""
    return "".join(c for c in typed.lower() if c.isalnum()).translate(LOOKALIKES)


def plain_reference(typed: str) -> str:
    """A reference as contracts carry it, whatever its case and what was typed between its groups."""
    spaced = re.sub(r"[^\w]+", "-", typed.upper()).strip("-")
    together = re.fullmatch(r"([A-Z]{1,8})([0-9]{4})([0-9]{4,})", spaced)
    return "-".join(together.groups()) if together else spaced


def find(reference: str, typed: str, *, source: str, now: datetime) -> InvitationCode:
    """The live code of somebody asked to sign the contract of this reference.

    Raises Invalid beside `code`, in the same words and after the same work for an unknown reference,
    a wrong code and one that has ended; TooMany when a limit is reached. Call it outside a
    transaction: a try stays counted whatever happens next.
    """
    reference = plain_reference(reference)
    attempt = limits.check(SCOPE, subject(reference), source, now, CAPS, growing_waits=True)
    found = match(live(reference, now), plain(typed))
    if found is None:
        raise refusal()
    limits.succeed(attempt)
    code: InvitationCode = InvitationCode.get_by_id(found)
    return code


def subject(reference: str) -> str:
    """What limits count by: any reference, known or not, and nothing that can be read."""
    return digest("reference", reference)[:32]


def refusal() -> Invalid:
    return Invalid(
        {"code": _("This reference and this code do not belong together, or the code has ended. Use the "
                   "newest message, or telephone the person who sent it.")}
    )  # fmt: skip


def live(reference: str, now: datetime) -> list[tuple[int, str, str]]:
    """Id, recipient and HMAC of every code that is good for this reference now; as bare values, since
    rows would take longer to make the more there are."""
    rows: Any = (
        InvitationCode.select(InvitationCode.id, InvitationCode.recipient, InvitationCode.code_hmac)
        .join(Recipient)
        .join(Envelope)
        .join(Contract)
        .where((Contract.reference == reference) & (Envelope.status == "sent") & is_live(now))
    )
    return list(rows.tuples())


def is_live(now: datetime) -> Any:
    unused = InvitationCode.used_at.is_null() & InvitationCode.ended_at.is_null()
    return unused & (InvitationCode.expires_at > now)


def match(candidates: list[tuple[int, str, str]], code: str) -> int | None:
    """The id of the one whose code this is; as much is computed for no candidate as for many."""
    found = None
    for identity, whose, expected in [*candidates, *[NOBODY] * (MOST_LIVE - len(candidates))]:
        if hmac.compare_digest(digest(whose, code), expected):
            found = identity
    return found


def claim(code: InvitationCode, now: datetime) -> None:
    """Use it up, once, however many try at the same moment. Raises Invalid as `find` does.

    Call it inside the transaction that lets the person in.
    """
    with transaction():
        this = InvitationCode.id == code.id
        if InvitationCode.update(used_at=now).where(this & is_live(now)).execute() != 1:
            raise refusal()
