"""What people are told about a signing request, each in their language and zone.

Every function queues its messages inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import Any
from urllib.parse import urlencode

from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope, Recipient
from portal.models.parties import LegalEntity
from portal.models.people import Person
from portal.services import invitation_codes, links, notices


def ask(
    recipient: Recipient, envelope: Envelope, now: datetime, *, kind: str = "sign_request", by: str = ""
) -> None:
    """Ask somebody whose turn it is, with a fresh link and code: `sign_request`, or `reminder`."""
    token = links.issue(recipient, now=now)
    sender, reference = envelope.sender, envelope.contract.reference
    phone, whose_phone = telephone(sender, envelope.contract.entity)
    to(
        recipient, kind, envelope, now, sender_id=by,
        link=notices.url(f"/sign/{token}"),
        sender=sender.name,
        sender_phone=phone,
        whose_phone=whose_phone,
        code_to_type=invitation_codes.issue(recipient, now=now),
        typed_address=typed_address(),
        real_address=notices.url("/is-this-real?" + urlencode({"reference": reference})),
        message=envelope.message,
        expires_at=envelope.expires_at,
        pages=envelope.document.pages,
        minutes=minutes(recipient, envelope.document),
        factors=list(recipient.factors),
        phone=recipient.phone[-2:],
        asked_at=recipient.asked_at or now,
    )  # fmt: skip


def telephone(sender: Person, entity: LegalEntity) -> tuple[str, str]:
    """The number that answers whether a request is real, and whose it is where it is not the sender's
    own: the company. Both empty where neither has one."""
    if sender.phone:
        return spoken(sender.phone), ""
    return (spoken(entity.phone), str(entity.name)) if entity.phone else ("", "")


@lru_cache(maxsize=256)
def spoken(phone: str) -> str:
    """A number in groups, as people say it."""
    import phonenumbers

    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return phone
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


def minutes(recipient: Recipient, document: Document) -> int:
    """About how long it takes: two minutes, half a minute a page, one for what is to be proved."""
    return 2 + ceil(document.pages / 2) + bool(recipient.factors)


def typed_address() -> str:
    """The page for those who press no links, short enough to type."""
    return notices.url("/open").split("//", 1)[-1]


def remind(recipient: Recipient, envelope: Envelope, now: datetime, *, by: str = "") -> None:
    """Write again to somebody whose turn it still is."""
    ask(recipient, envelope, now, kind="reminder", by=by)


def tell_code_was_made(
    recipient: Recipient, envelope: Envelope, caller: Person, until: datetime, now: datetime
) -> None:
    """Somebody of ours reads them a code on the telephone; if nobody called, they can say so in time."""
    phone, whose_phone = telephone(envelope.sender, envelope.contract.entity)
    to(
        recipient, "code_made", envelope, now, caller=caller.name, until=until, sender=envelope.sender.name,
        sender_phone=phone, whose_phone=whose_phone,
    )  # fmt: skip


def acknowledge(recipient: Recipient, envelope: Envelope, act: str, now: datetime) -> None:
    """The receipt for signing or approving, at once."""
    to(recipient, "acknowledgement", envelope, now, act=act, at=now, sha256=envelope.document.sha256)


def tell_declined(envelope: Envelope, decliner: Recipient | None, reason: str, now: datetime) -> None:
    """The owner and everybody already asked learn that nobody can sign any more.

    Without a decliner, a provider said only that somebody declined.
    """
    for other in reached(envelope, but=decliner):
        with use(other.language):
            name = decliner.name if decliner is not None else _("Somebody")
        to(other, "declined", envelope, now, decliner=name, reason="")
    with use(envelope.sender.language):
        name = decliner.name if decliner is not None else _("Somebody")
    to_owner(envelope, "declined_owner", now, decliner=name, reason=reason)


def tell_voided(
    envelope: Envelope, reason: str, now: datetime, *, said: Mapping[str, Any] | None = None
) -> None:
    """`said`, a marked sentence with its `params`, is told in each person's language instead."""
    for other in reached(envelope):
        if said:
            message, params = said["message"], said["params"]
            with use(other.language):
                reason = _(message, **params)
        to(other, "voided", envelope, now, reason=reason, sender=envelope.sender.name)


def tell_expired(envelope: Envelope, now: datetime) -> None:
    for other in reached(envelope):
        to(other, "expired", envelope, now, sender=envelope.sender.name)
    waiting = [r.name for r in reached(envelope) if r.acted_at is None]
    to_owner(envelope, "expired_owner", now, waiting=", ".join(waiting))


def tell_doubted(envelope: Envelope, domain: str, now: datetime) -> None:
    """Somebody asked whether a message was real, under an address nobody was asked at. `domain` is one
    of the people's own, or empty: what a stranger typed stands in no mail."""
    owner = envelope.contract.owner
    to_person(owner, "doubted", envelope, now, domain=domain, asked_at=now)


def tell_not_answered(recipient: Recipient, envelope: Envelope, now: datetime) -> None:
    """The reminders are used up: the owner decides what to do."""
    to_owner(
        envelope, "not_answered", now, signer=recipient.name, asked_at=recipient.asked_at,
        reminders=recipient.reminders, expires_at=envelope.expires_at,
    )  # fmt: skip


def deliver_copies(envelope: Envelope, executed: Document, now: datetime) -> None:
    """The finished contract to everyone: by link, and attached too unless it holds PHI."""
    told: set[str] = set()
    for recipient in Recipient.select().where(Recipient.envelope == envelope).order_by(Recipient.id):
        recipient.envelope = envelope
        token = links.issue(recipient, now=now, purpose=links.COPY)
        to(
            recipient, "completed", envelope, now, attachments=[executed.id],
            link=notices.url(f"/sign/{token}"), completed_at=envelope.ended_at,
        )  # fmt: skip
        told.add(recipient.email)
        if recipient.role == "copy":
            Recipient.update(status="copied", acted_at=now).where(Recipient.id == recipient.id).execute()
    owners = (envelope.contract.owner, envelope.sender)
    for person in {p.id: p for p in owners if p.email not in told}.values():
        to_person(person, "completed_owner", envelope, now, completed_at=envelope.ended_at)


def reached(envelope: Envelope, but: Recipient | None = None) -> Iterable[Recipient]:
    """Those who have heard of this request: asked once, whatever they did then."""
    rows = Recipient.select().where((Recipient.envelope == envelope) & Recipient.asked_at.is_null(False))
    return [r for r in rows.order_by(Recipient.id) if but is None or r.id != but.id]


def to(
    recipient: Recipient,
    kind: str,
    envelope: Envelope,
    now: datetime,
    *,
    attachments: list[str] | None = None,
    sender_id: str = "",
    **context: Any,
) -> None:
    contract: Contract = envelope.contract
    notices.queue(
        kind, address=recipient.email, name=recipient.name, language=recipient.language,
        zone=zone_of(recipient, contract), now=now, contract=contract, recipient_id=recipient.id,
        sender_id=sender_id, attachments=attachments or (),
        context={"organisation": recipient.organisation, "role": recipient.role, **context},
    )  # fmt: skip


def to_owner(envelope: Envelope, kind: str, now: datetime, **context: Any) -> None:
    people = {p.id: p for p in (envelope.contract.owner, envelope.sender)}
    for person in people.values():
        to_person(person, kind, envelope, now, **context)


def to_person(person: Person, kind: str, envelope: Envelope, now: datetime, **context: Any) -> None:
    contract: Contract = envelope.contract
    notices.queue(
        kind, address=person.email, name=person.name, language=person.language, zone=person.zone, now=now,
        contract=contract, person_id=person.id,
        context={"link": notices.url(f"/contracts/{contract.reference}"), **context},
    )  # fmt: skip


def zone_of(recipient: Recipient, contract: Contract) -> str:
    """Whose clock their times are told by."""
    if recipient.person is not None:
        zone: str = recipient.person.zone
    elif recipient.side == "theirs" and contract.counterparty is not None:
        zone = contract.counterparty.zone
    else:
        zone = contract.entity.zone
    return zone
