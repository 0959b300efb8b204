"""Mailed links to one recipient's signing or to the finished copy.

A token is 256 random bits; only its SHA-256 is kept. It names one recipient and one purpose, ends
with what it was for, and opens nothing by itself: a pressed button exchanges it for a right of the
browser's session (`ceremonies.enter`). The short codes beside it (`invitation_codes`) end when it does.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from portal.models.base import transaction
from portal.models.envelopes import Envelope, LinkToken, Recipient, Right
from portal.services import invitation_codes

SIGN, COPY = "sign", "copy"
COPY_LIFE = timedelta(days=90)  # later copies come through /mine


def issue(recipient: Recipient, *, now: datetime, purpose: str = SIGN) -> str:
    """A fresh token for this recipient, to be mailed and never stored. Earlier ones stay good.

    One for signing ends with the envelope's expiry, one for the copy after 90 days.
    """
    token = secrets.token_urlsafe(32)
    expires_at = recipient.envelope.expires_at if purpose == SIGN else now + COPY_LIFE
    LinkToken.insert(
        sha256=digest(token), recipient=recipient, purpose=purpose, created_at=now, expires_at=expires_at
    ).execute()
    return token


def find(token: str, now: datetime) -> LinkToken | None:
    """The link of this token, ended or not (see `is_alive`); None for a token never given out."""
    if not 20 <= len(token) <= 100:
        return None
    link: LinkToken | None = LinkToken.select(LinkToken).where(LinkToken.sha256 == digest(token)).first()
    return link


def is_alive(link: LinkToken, now: datetime) -> bool:
    """Whether the link may still be exchanged for a right."""
    return link.ended_at is None and now < link.expires_at


def end_all(recipient: Recipient, now: datetime) -> None:
    """End every link and code of a recipient and every right got by them: they were corrected."""
    with transaction():
        end_of(recipient, now)
        Right.delete().where(Right.recipient == recipient).execute()


def end_of(recipient: Recipient, now: datetime) -> None:
    """End every link and code of a recipient; open pages of theirs stay and say why."""
    _end((LinkToken.recipient == recipient) & LinkToken.ended_at.is_null(), now)
    invitation_codes.end([recipient.id], now)


def end_signing(envelope: Envelope, now: datetime) -> None:
    """End signing links and codes of an envelope that is over. Open pages say so: their rights stay."""
    mine = Recipient.select(Recipient.id).where(Recipient.envelope == envelope)
    invitation_codes.end(mine, now)
    _end(LinkToken.recipient.in_(mine) & (LinkToken.purpose == SIGN) & LinkToken.ended_at.is_null(), now)


def _end(which: object, now: datetime) -> None:
    LinkToken.update(ended_at=now).where(which).execute()


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
