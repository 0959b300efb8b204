"""What Acrobat Sign's words mean. The agreement has a status, each participant set has one, and the events
tell what both leave open: who opened, signed, declined or handed over, when and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from providers.adobe_sign.account import listed
from providers.adobe_sign.bodies import ROLES, turns
from providers.adobe_sign.declared import LABEL
from providers.base import instant
from providers.interface import (
    EnvelopeState,
    EnvelopeStatus,
    RecipientState,
    RecipientStatus,
    RemoteEnvelope,
    RemoteRecipient,
)

log = logging.getLogger(__name__)

COMPLETED = ("SIGNED", "APPROVED", "ACCEPTED", "DELIVERED", "FORM_FILLED", "ARCHIVED")
UNREAD = "DOCUMENTS_NOT_YET_PROCESSED"
EDITABLE = ("AUTHORING", "DRAFT")
CANCELLED = "CANCELLED"
STATUS = {
    "DRAFT": EnvelopeStatus.DRAFT,
    "AUTHORING": EnvelopeStatus.DRAFT,
    "PREFILL": EnvelopeStatus.DRAFT,
    UNREAD: EnvelopeStatus.SENT,
    "OUT_FOR_SIGNATURE": EnvelopeStatus.SENT,
    "OUT_FOR_APPROVAL": EnvelopeStatus.SENT,
    "OUT_FOR_ACCEPTANCE": EnvelopeStatus.SENT,
    "OUT_FOR_DELIVERY": EnvelopeStatus.SENT,
    "OUT_FOR_FORM_FILLING": EnvelopeStatus.SENT,
    "WAITING_FOR_VERIFICATION": EnvelopeStatus.SENT,
    "WAITING_FOR_FAXIN": EnvelopeStatus.SENT,
    "WIDGET_WAITING_FOR_VERIFICATION": EnvelopeStatus.SENT,
    **dict.fromkeys(COMPLETED, EnvelopeStatus.COMPLETED),
    CANCELLED: EnvelopeStatus.VOIDED,
    "ABANDONED": EnvelopeStatus.VOIDED,
    "EXPIRED": EnvelopeStatus.EXPIRED,
}
# CANCELLED is one word for several ends; the event behind it says which.
ENDS = {
    "REJECTED": EnvelopeStatus.DECLINED,
    "RECALLED": EnvelopeStatus.VOIDED,
    "AUTO_CANCELLED_CONVERSION_PROBLEM": EnvelopeStatus.FAILED,
    "RECALLED_MAX_SIGNING_KBA_ATTEMPTS": EnvelopeStatus.FAILED,
    "RECALLED_MAX_SIGNING_PASSWORD_ATTEMPTS": EnvelopeStatus.FAILED,
    "RECALLED_MAX_SIGNING_PHONE_ATTEMPTS": EnvelopeStatus.FAILED,
    "RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS": EnvelopeStatus.FAILED,
}
PERSON = {
    "NOT_YET_VISIBLE": RecipientStatus.WAITING,
    "WAITING_FOR_OTHERS": RecipientStatus.WAITING,
    "WAITING_FOR_AUTHORING": RecipientStatus.WAITING,
    "WAITING_FOR_PREFILL": RecipientStatus.WAITING,
    "WAITING_FOR_MY_SIGNATURE": RecipientStatus.SENT,
    "WAITING_FOR_MY_APPROVAL": RecipientStatus.SENT,
    "WAITING_FOR_MY_ACCEPTANCE": RecipientStatus.SENT,
    "WAITING_FOR_MY_ACKNOWLEDGEMENT": RecipientStatus.SENT,
    "WAITING_FOR_MY_FORM_FILLING": RecipientStatus.SENT,
    "WAITING_FOR_MY_DELEGATION": RecipientStatus.SENT,
    "WAITING_FOR_MY_VERIFICATION": RecipientStatus.SENT,
    "COMPLETED": RecipientStatus.SIGNED,
    "CANCELLED": RecipientStatus.WAITING,
    "EXPIRED": RecipientStatus.SENT,
}
ACTED = ("DIGSIGNED", "WRITTEN_SIGNED")  # and everything that begins with ACTION_COMPLETED
OPENED = ("EMAIL_VIEWED", "DOCUMENTS_VIEWED")
DELEGATED = ("ACTION_DELEGATED", "ACTION_AUTO_DELEGATED")


@dataclass(frozen=True)
class Event:
    type: str
    at: datetime | None
    participant_id: str
    email: str
    acting: str
    comment: str

    @property
    def is_act(self) -> bool:
        return self.type.startswith("ACTION_COMPLETED") or self.type in ACTED


def events_of(found: Mapping[str, Any]) -> list[Event]:
    """Oldest first."""
    made = [
        Event(
            str(each.get("type") or ""),
            instant(each.get("date")),
            str(each.get("participantId") or ""),
            str(each.get("participantEmail") or "").lower(),
            str(each.get("actingUserEmail") or "").lower(),
            str(each.get("comment") or ""),
        )
        for each in listed(found, "events")
    ]
    return sorted(made, key=lambda each: (each.at is not None, each.at.timestamp() if each.at else 0.0))


@dataclass(frozen=True)
class Participants:
    """One participant set: who acts in one place. `ids` are of those not replaced."""

    id: str
    role: str
    order: int
    word: str
    ids: tuple[str, ...]
    emails: tuple[str, ...]


def sets_of(members: Mapping[str, Any]) -> list[Participants]:
    found = []
    for each in listed(members, "participantSets"):
        active = [one for one in listed(each, "memberInfos") if one.get("status") != "REPLACED"]
        order = each.get("order")
        found.append(
            Participants(
                str(each.get("id") or ""),
                str(each.get("role") or ""),
                order if isinstance(order, int) else 0,
                str(each.get("status") or ""),
                tuple(str(one["id"]) for one in active if one.get("id")),
                tuple(str(one.get("email") or "").lower() for one in active),
            )
        )
    return found


def matched(people: Iterable[RemoteRecipient], sets: list[Participants]) -> dict[str, Participants]:
    """Our key to the set: by its id, else by address and role, and by turn where these are not alone."""
    acting = [each for each in people if each.role != "copy"]
    order = turns(acting)
    found = {}
    for person in acting:
        known = [each for each in sets if person.remote_id and each.id == person.remote_id]
        same = [
            each for each in sets if person.email.lower() in each.emails and each.role == ROLES[person.role]
        ]
        turn = [each for each in same if each.order == order[person.key]]
        for candidates in (known, turn, same):
            if len(candidates) == 1:
                found[person.key] = candidates[0]
                break
    return found


def state_of(
    envelope: RemoteEnvelope,
    agreement: Mapping[str, Any],
    members: Mapping[str, Any],
    events: list[Event],
    raw: bytes = b"",
) -> EnvelopeState:
    word = str(agreement.get("status") or "")
    status = STATUS.get(word, EnvelopeStatus.UNKNOWN)
    if status is EnvelopeStatus.UNKNOWN:
        unknown(word)
    ending = next((each for each in reversed(events) if each.type in ENDS), None)
    if word == CANCELLED and ending is not None:
        status = ENDS[ending.type]
    else:
        ending = None
    sets = sets_of(members)
    found = matched(envelope.recipients, sets)
    people = tuple(
        person_state(person, found[person.key], sets, events)
        for person in envelope.recipients
        if person.key in found
    )
    last = max((each.at for each in events if each.at), default=None)
    return EnvelopeState(
        envelope.remote_id,
        status,
        people,
        reason=ending.comment if ending else "",
        raw=raw,
        raw_status=f"{word} ({ending.type})" if ending else word,
        at=(ending.at if ending else last) if status.is_final else None,
    )


def person_state(
    person: RemoteRecipient, own: Participants, sets: list[Participants], events: list[Event]
) -> RecipientState:
    """One person; whoever acts for them counts as them."""
    emails, ids, word = followed(own, sets, events)
    mine = [
        each
        for each in events
        if each.participant_id in ids or (each.email in emails and not acts_twice(each.email, sets))
    ]
    status = PERSON.get(word, RecipientStatus.UNKNOWN)
    if status is RecipientStatus.UNKNOWN:
        unknown(word)
    refusal = last_of(mine, "REJECTED")
    act = next((each for each in reversed(mine) if each.is_act), None)
    if refusal is not None:
        return RecipientState(person.key, RecipientStatus.DECLINED, refusal.at, refusal.comment, own.id, word)
    if act is not None or status is RecipientStatus.SIGNED:
        done = RecipientStatus.APPROVED if person.role == "approver" else RecipientStatus.SIGNED
        return RecipientState(person.key, done, act.at if act else None, "", own.id, word)
    opened, bounced = last_of(mine, *OPENED), last_of(mine, "EMAIL_BOUNCED")
    if status is RecipientStatus.SENT and bounced is not None and opened is None:
        return RecipientState(
            person.key, RecipientStatus.UNDELIVERED, bounced.at, bounced.comment, own.id, word
        )
    if status is RecipientStatus.SENT and opened is not None:
        return RecipientState(person.key, RecipientStatus.OPENED, opened.at, "", own.id, word)
    return RecipientState(person.key, status, None, "", own.id, word)


def followed(
    own: Participants, sets: list[Participants], events: list[Event]
) -> tuple[set[str], set[str], str]:
    """Addresses and ids that act in this place, through every handing over, and the word that holds."""
    emails, ids, word = set(own.emails), set(own.ids), own.word
    for event in events:
        if event.type in DELEGATED and event.acting in emails and event.email:
            emails.add(event.email)
            taken = next((each for each in sets if event.email in each.emails and each.id != own.id), None)
            if taken is not None:
                ids |= set(taken.ids)
                word = taken.word if PERSON.get(word) is RecipientStatus.WAITING else word
    return emails, ids, word


def acts_twice(email: str, sets: list[Participants]) -> bool:
    """Whether this address acts in more than one place, so that it alone says nothing."""
    return sum(email in each.emails for each in sets) > 1


def last_of(events: list[Event], *types: str) -> Event | None:
    return next((each for each in reversed(events) if each.type in types), None)


def unknown(word: str) -> None:
    log.warning("provider.unknown_word", extra={"fields": {"provider": LABEL, "words": [word]}})
