"""The local mailbox of a sample installation: every message as its recipient would see it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.errors import NotFound
from portal.models.envelopes import OutsideFactor
from portal.models.notices import Notice
from portal.models.people import Person
from portal.services import mail_senders, notices, outside_factors, second_factors

MOST_MESSAGES = 200


@dataclass(frozen=True)
class Code:
    """What an authenticator app of somebody shows right now."""

    name: str
    email: str
    code: str


@dataclass(frozen=True)
class Message:
    notice: Notice
    text: str
    html: str


def messages() -> list[Notice]:
    """The newest messages, mails and texts alike."""
    return list(Notice.select().order_by(Notice.created_at.desc(), Notice.id.desc()).limit(MOST_MESSAGES))


def message(notice_id: str) -> Message:
    """One message with its text. Raises NotFound."""
    notice = Notice.get_or_none(Notice.id == notice_id)
    if notice is None:
        raise NotFound
    text, html = notices.read(notice)
    return Message(notice, text, with_logo(notice, html))


def with_logo(notice: Notice, html: str) -> str:
    """The page with its picture written into it, since a browser has no mail to take it from."""
    if mail_senders.LOGO not in html:
        return html
    png = base64.b64encode(mail_senders.of(notice, html).logo).decode()
    return html.replace(mail_senders.LOGO, f"data:image/png;base64,{png}")


def codes(now: datetime) -> list[Code]:
    """The present code of each sample person's app and of each outside signer's."""
    people: list[Any] = list(
        Person.select().where(Person.is_sample & Person.totp_secret.is_null(False)).order_by(Person.name)
    )
    outside = OutsideFactor.select().where(OutsideFactor.ended_at.is_null()).order_by(OutsideFactor.email)
    pending = outside_factors.pending_codes(now)
    return [
        *(Code(p.name, p.email, second_factors.current_code(p, now)) for p in people),
        *(Code(f.email, f.email, outside_factors.current_code(f, now)) for f in outside),
        *(Code(email, email, code) for email, code in pending),
    ]


def sample_people() -> list[Person]:
    """People of the sample who can be signed in by one press."""
    return list(
        Person.select()
        .where(Person.is_sample & Person.disabled_at.is_null() & Person.counterparty_id.is_null())
        .order_by(Person.created_at, Person.id)
    )


def sample_person(person_id: str) -> Person:
    """Somebody to sign in without a password. Raises NotFound for anybody not made by the sample."""
    found = Person.get_or_none(
        (Person.id == person_id) & Person.is_sample & Person.disabled_at.is_null()
        & Person.counterparty_id.is_null()
    )  # fmt: skip
    if found is None:
        raise NotFound
    return found
