"""Until when a signing request takes answers: moved while it is out, never back, never after the end."""

from __future__ import annotations

from datetime import datetime

from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Envelope, LinkToken, Recipient
from portal.services import envelopes, links
from portal.services.audit import Actor


def may_move(envelope: Envelope) -> bool:
    """Whether the day is ours to move: a provider keeps its own once it has the request."""
    return envelope.status in envelopes.OPEN and (
        envelope.provider == "builtin" or envelope.handed_at is None
    )


def extend(envelope: Envelope, until: datetime, *, by: Actor, now: datetime) -> None:
    """Take answers longer; links that were mailed live on with it.

    Raises Invalid beside `expires_on` for a day that is not later, Conflict once it has ended or where a
    provider keeps the day.
    """
    with transaction():
        locked = envelopes.lock(envelope.id)
        if locked.status not in envelopes.OPEN or locked.expires_at <= now:
            raise Conflict(_("This signing request has ended. Send a new one."))
        if not may_move(locked):
            raise Conflict(_("The provider keeps this day. Withdraw the request and send it again."))
        if not locked.expires_at < until <= now + envelopes.LONGEST:
            raise Invalid({"expires_on": _("Choose a later day, at most one year from now.")})
        before = locked.expires_at
        Envelope.update(expires_at=until).where(Envelope.id == locked.id).execute()
        asked = Recipient.select(Recipient.id).where(Recipient.envelope == locked)
        LinkToken.update(expires_at=until).where(
            LinkToken.recipient.in_(asked) & (LinkToken.purpose == links.SIGN) & LinkToken.ended_at.is_null()
        ).execute()
        envelopes.record(
            "envelope.extended", locked, by, now, before=before.isoformat(), until=until.isoformat()
        )
    envelope.expires_at = until
