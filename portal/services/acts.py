"""What a recipient does in a signing: sign, approve, decline, or ask our side for something.

Each act is one transaction under the envelope's lock, so order, turn and state are judged at the
moment of writing, and the same act sent fifty times is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from portal import failpoints
from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.base import lock_row, transaction
from portal.models.contracts import Document
from portal.models.envelopes import Act, Recipient, Right
from portal.services import audit, ceremonies, consents, documents, envelopes, factors, links, tasks
from portal.services.audit import Actor
from portal.services.ceremonies import Place
from providers.interface import EventKind, ProviderEvent

# What static/js/draw.js sends: whole numbers in a field of 600 by 240.
DRAWN = re.compile(r"(?:M\d{1,3} \d{1,3}(?:L\d{1,3} \d{1,3})+)+")
LONGEST_DRAWN = 16_000
LONGEST_REASON = 2000


# --- Words that are kept --------------------------------------------------------------------


def intent(place: Place, language: str) -> str:
    """The sentence beside the button, recorded word for word."""
    reference = place.contract.reference
    with use(language):
        if place.recipient.role == "approver":
            return _("By pressing “Approve %(reference)s” I approve this document.", reference=reference)
        return _(
            "By pressing “Sign %(reference)s” I sign this document with a simple electronic signature and "
            "mean to be bound by it.",
            reference=reference,
        )


def authority(place: Place, language: str) -> str:
    """What somebody who signs for a company states; empty where nobody is bound but themselves."""
    if place.recipient.role == "approver" or place.recipient.is_consumer or not place.organisation:
        return ""
    with use(language):
        return _("I am authorised to bind %(organisation)s.", organisation=place.organisation)


# --- The signature before it counts ------------------------------------------------------------


@dataclass(frozen=True)
class Signature:
    """What was typed, drawn and ticked; `language` is the one the sentences were read in."""

    language: str
    name: str = ""
    title: str = ""
    drawn: str = ""
    has_authority: bool = False
    has_read: bool = False


def prepare(place: Place, signature: Signature, *, by: Actor, now: datetime) -> None:
    """Keep a checked signature for the review. Raises Invalid by field, Conflict out of turn."""
    errors = faults(place, signature)
    if errors:
        raise Invalid(errors)
    with transaction():
        fresh = ceremonies.hold(place, now)
        save_draft(fresh, {**typed(place, signature), "reviewed": True}, read_at=now)


def faults(place: Place, signature: Signature) -> dict[str, str]:
    errors: dict[str, str] = {}
    if place.recipient.role == "signer":
        if not signature.name:
            errors["name"] = _("Type your name as you sign.")
        if signature.drawn and not is_drawing(signature.drawn):
            errors["drawn"] = _("The drawing could not be read. Clear it and draw again, or type your name.")
        if authority(place, signature.language) and not signature.title:
            errors["title"] = _("State your title: for whom you sign must be clear.")
        if authority(place, signature.language) and not signature.has_authority:
            errors["bind"] = _("Confirm that you may bind the company, or decline.")
    if not signature.has_read:
        errors["read"] = _("Confirm that you have read all pages.")
    return errors


def is_drawing(path: str) -> bool:
    return len(path) <= LONGEST_DRAWN and DRAWN.fullmatch(path) is not None


def typed(place: Place, signature: Signature) -> dict[str, Any]:
    return {
        "name": signature.name or place.recipient.name,
        "title": signature.title,
        "drawn": signature.drawn,
        "language": signature.language,
        "authority": authority(place, signature.language) if signature.has_authority else "",
    }


def change(place: Place) -> None:
    """Back from the review to the pages; what was typed stays."""
    with transaction():
        save_draft(place, {"reviewed": False})


def save_draft(place: Place, changes: dict[str, Any], **columns: Any) -> None:
    row = lock_row(Right.select().where(place.right_row)).first()
    if row is not None:
        Right.update(draft=row.draft | changes, **columns).where(place.right_row).execute()


# --- The one deliberate act -----------------------------------------------------------------------


def confirm(place: Place, *, document_sha256: str, by: Actor, now: datetime) -> None:
    """Sign or approve what is in the review. The same again is no error and does nothing.

    `document_sha256` is what the page showed: another document is refused, and so is a stored file
    that is no longer the one that was sent. Raises Conflict out of turn, too late, or too early.
    """
    if document_sha256 != place.document.sha256:
        raise Conflict(_("This page shows another document. Load it again before you sign."))
    demand_unchanged(place, by, now)
    try:
        with transaction():
            fresh = held_or_done(place, now)
            if fresh is None:
                return
            insert_act(fresh, by, now)
            failpoints.reach("act.after_insert")
            consents.reading_shown(fresh.recipient)
            envelopes.apply_event(fresh.envelope.id, event_of(fresh, now), by=by, now=now)
            save_draft(fresh, {"reviewed": False})
            failpoints.reach("act.before_commit")
        failpoints.reach("act.after_commit")
    except peewee.IntegrityError as error:
        # The unique index is the last wall; whoever stood behind it has acted already.
        raise Conflict(_("You have already answered; nothing was done twice.")) from error


def held_or_done(place: Place, now: datetime) -> Place | None:
    """The place under lock, ready to act; None when this recipient has just acted the same way."""
    envelopes.lock(place.envelope.id)
    done = Act.get_or_none(Act.recipient == place.recipient)
    if done is not None and done.kind != "decline":
        return None
    fresh = ceremonies.hold(place, now)
    if ceremonies.state(fresh, now) != "review":
        raise Conflict(_("Check your signature first. Load the page again."))
    return fresh


def demand_unchanged(place: Place, by: Actor, now: datetime) -> None:
    """Raise Conflict, leaving a mark in the trail, when the stored file is not the one sent."""
    document = Document.get_by_id(place.document.id)
    try:
        documents.read(document)
    except (documents.Damaged, OSError, ValueError) as error:
        with transaction():
            audit.append(
                "document.found_changed", ("document", document.id), chain=place.contract.id, by=by, now=now,
                facts={"document_sha256": document.sha256},
            )  # fmt: skip
        raise Conflict(
            _("The document is not the one that was sent. Nobody can sign it; tell the sender.")
        ) from error


def insert_act(place: Place, by: Actor, now: datetime) -> None:
    draft = place.held.draft
    approves = place.recipient.role == "approver"
    Act.insert(
        envelope=place.envelope,
        recipient=place.recipient,
        kind="approve" if approves else "sign",
        at=now,
        document_sha256=place.document.sha256,
        name=draft["name"],
        title=draft["title"],
        intent=intent(place, draft["language"]),
        authority=draft["authority"],
        signature_kind="" if approves else "drawn" if draft["drawn"] else "typed",
        signature_path="" if approves else draft["drawn"],
        factors=factors.evidence(place),
        address=by.address,
        user_agent=by.user_agent,
    ).execute()


def event_of(place: Place, now: datetime) -> ProviderEvent:
    """The act as the envelope hears of it; what the person typed stays in the act."""
    approves = place.recipient.role == "approver"
    return ProviderEvent(
        EventKind.APPROVED if approves else EventKind.SIGNED,
        now,
        recipient_key=place.recipient.key,
        document_sha256=place.document.sha256,
        facts={
            "factors": [each["factor"] for each in factors.evidence(place)],
            "consent_sha256": place.consent.text_sha256 if place.consent else "",
            "language": place.held.draft["language"],
            "intent": intent(place, place.held.draft["language"]),
        },
    )


def decline(place: Place, *, reason: str, by: Actor, now: datetime) -> None:
    """Refuse to sign, with a reason the sender reads. Open to whoever holds the link, at every step;
    the same again does nothing. Raises Invalid without a reason, Conflict out of turn."""
    said = reason.strip()[:LONGEST_REASON]
    if not said:
        raise Invalid({"reason": _("Say why in a few words: the sender will read it.")})
    with transaction():
        envelopes.lock(place.envelope.id)
        done = Act.get_or_none(Act.recipient == place.recipient)
        if done is not None and done.kind == "decline":
            return
        fresh = ceremonies.hold(place, now, until="consent")
        Act.insert(
            envelope=place.envelope, recipient=place.recipient, kind="decline", at=now, reason=said,
            document_sha256=place.document.sha256, name=place.recipient.name,
            factors=factors.evidence(fresh), address=by.address, user_agent=by.user_agent,
        ).execute()  # fmt: skip
        event = ProviderEvent(EventKind.DECLINED, now, recipient_key=place.recipient.key, reason=said)
        envelopes.apply_event(place.envelope.id, event, by=by, now=now)


# --- Asking our side ---------------------------------------------------------------------------------


def agree(place: Place, language: str, typed_word: str | None, *, by: Actor, now: datetime) -> None:
    """Record consent to the text in this language; see `consents.give`."""
    disclosure = consents.text(place.contract, contact=place.contact, language=language)
    with transaction():
        fresh = ceremonies.hold(place, now, until="consent")
        consents.give(fresh.recipient, fresh.contract, disclosure, typed_word=typed_word, by=by, now=now)


def not_for_me(place: Place, *, text: str, by: Actor, now: datetime) -> None:
    """Tell the sender that this is somebody else's; the links end, the page stays and says so."""
    with transaction():
        ceremonies.hold(place, now, until="consent")
        Recipient.update(problem="not_for_me", next_reminder_at=None).where(
            Recipient.id == place.recipient.id
        ).execute()
        links.end_of(place.recipient, now)
        note("recipient.disowned", place, by, now)
        tasks.add("not_for_me", place.contract, place.recipient, now=now, text=text.strip()[:LONGEST_REASON])


def ask(place: Place, kind: str, text: str, *, by: Actor, now: datetime) -> None:
    """Ask our side for paper, an answer, another way to be identified, or a new app.

    Raises Invalid for a question without words.
    """
    said = text.strip()[:LONGEST_REASON]
    if kind == "question" and not said:
        raise Invalid({"text": _("Write your question.")})
    with transaction():
        tasks.add(kind, place.contract, place.recipient, now=now, text=said)
        note(f"{kind}.asked", place, by, now)


def note_download(place: Place, sha256: str, *, by: Actor, now: datetime) -> None:
    """Who took a finished copy, and when, stays in the trail."""
    with transaction():
        audit.append(
            "copy.downloaded", ("recipient", place.recipient.id), chain=place.contract.id, by=by, now=now,
            facts={"sha256": sha256},
        )  # fmt: skip


def note(act: str, place: Place, by: Actor, now: datetime) -> None:
    audit.append(act, ("recipient", place.recipient.id), chain=place.contract.id, by=by, now=now)
