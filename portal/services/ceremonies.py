"""Where one recipient stands in a signing, computed from the facts at every request.

A browser's session holds a `Right` for each recipient whose link it exchanged. A request names the
recipient in its address and is judged by that right alone, so two people's links in one browser
never mix. `state` says which screen comes next; what people then do is in `acts` and `factors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from portal.errors import Conflict, NotFound
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Act, Consent, Envelope, LinkToken, Recipient, Right
from portal.models.parties import Counterparty, LegalEntity
from portal.models.people import Person, Session
from portal.models.prepared import Prepared
from portal.services import (
    audit,
    consent_texts,
    envelopes,
    factors,
    jobs,
    links,
    routing,
    sessions,
    signing_mails,
)
from portal.services.audit import Actor
from portal.services.builtin_ceremony import BuiltinCeremony
from providers.interface import EventKind, ProviderEvent

__all__ = ["BuiltinCeremony", "Place", "enter", "find", "grant", "hold", "of_link", "state"]

# What a signing page needs and no more: no logo, no text of revisions, no draft of people.
COLUMNS = (
    Envelope.id, Envelope.status, Envelope.seal_status, Envelope.executed, Envelope.message,
    Envelope.expires_at, Envelope.withdrawal, Envelope.sent_at, Envelope.ended_at, Envelope.provider,
    Envelope.revision,
    Contract.id, Contract.reference, Contract.title, Contract.kind, Contract.side, Contract.has_phi,
    Contract.owner, Contract.languages, Contract.entity, Contract.flags, Contract.counterparty,
    LegalEntity.id, LegalEntity.name, LegalEntity.address, LegalEntity.email, LegalEntity.phone,
    LegalEntity.zone, LegalEntity.logo_type,
    Counterparty.id, Counterparty.name, Counterparty.zone,
    Document.id, Document.sha256, Document.pages, Document.size_bytes, Document.file_name,
    Person.id, Person.name, Person.email, Person.phone, Person.language, Person.zone,
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One recipient's place: the rows every request of theirs is judged by. `right` is this
    browser's; before the link is exchanged there is none."""

    recipient: Recipient
    right: Right | None
    consent: Consent | None
    act: Act | None

    @property
    def held(self) -> Right:
        """This browser's right. Raises NotFound where the link was not exchanged."""
        if self.right is None:
            raise NotFound()
        return self.right

    @property
    def right_row(self) -> Any:
        """The condition that finds this browser's right again."""
        return (Right.session_sha256 == self.held.session_sha256) & (Right.recipient == self.recipient)

    @property
    def envelope(self) -> Envelope:
        return self.recipient.envelope

    @property
    def contract(self) -> Contract:
        return self.envelope.contract

    @property
    def document(self) -> Document:
        return self.envelope.document

    @property
    def sender(self) -> Person:
        return self.envelope.sender

    @property
    def zone(self) -> str:
        """The zone of the recipient's side, in which their times are written."""
        return signing_mails.zone_of(self.recipient, self.contract)

    @property
    def contact(self) -> str:
        """The address people write to about paper, consent and changes of address."""
        return str(self.contract.entity.email or self.sender.email)

    @property
    def organisation(self) -> str:
        """The company this recipient signs for."""
        if self.recipient.organisation:
            return str(self.recipient.organisation)
        party = self.contract.counterparty if self.recipient.side == "theirs" else self.contract.entity
        return str(party.name) if party is not None else ""

    def actor(self, address: str = "", user_agent: str = "") -> Actor:
        who = self.recipient
        return Actor("recipient", who.id, who.name, who.email, address, user_agent)


# --- Finding it --------------------------------------------------------------------------------


def find(recipient_id: str, session_token: str, now: datetime) -> Place:
    """The place this browser has a right to, in one query. Raises NotFound for everybody else."""
    if not session_token:
        raise NotFound()
    row = RIGHT.first(session=sessions.digest(session_token), recipient=recipient_id)
    if row is None or now >= row.expires_at or not sessions.is_live(row.session, now):
        raise NotFound()
    if now - row.session.seen_at >= sessions.SEEN_EVERY:
        Session.update(seen_at=now).where(Session.sha256 == row.session_sha256).execute()
    return place_of(row.recipient, row)


def of_link(token: str, now: datetime) -> tuple[LinkToken, Place]:
    """The link of a token, ended or not, and whose it is; reads only. Raises NotFound if unknown."""
    link = LINK.first(sha256=links.digest(token))
    if link is None:
        raise NotFound()
    return link, place_of(link.recipient, None)


def place_of(recipient: Recipient, right: Right | None) -> Place:
    return Place(recipient, right, getattr(recipient, "consent", None), getattr(recipient, "act", None))


def joined(start: Any, *more: Any) -> Any:
    """`start` (a right or a link) with everything its recipient's pages show."""
    holds = (
        (Consent.recipient == Recipient.id)
        & (Consent.version == consent_texts.VERSION)
        & Consent.withdrawn_at.is_null()
    )
    outer = peewee.JOIN.LEFT_OUTER
    return (
        start.select(start, Recipient, Consent, Act, *COLUMNS, *more)
        .join(Recipient)
        .join(Envelope)
        .join(Contract)
        .join(LegalEntity)
        .switch(Contract)
        .join(Counterparty, outer)
        .switch(Envelope)
        .join(Document, on=(Envelope.document == Document.id))
        .switch(Envelope)
        .join(Person, on=(Envelope.sender == Person.id))
        .switch(Recipient)
        .join(Consent, outer, on=holds, attr="consent")
        .switch(Recipient)
        .join(Act, outer, on=(Act.recipient == Recipient.id), attr="act")
    )


def right_query(session: str, recipient: str) -> Any:
    """A session's right to one recipient with everything their pages show."""
    return (
        joined(Right, Session.seen_at, Session.expires_at, Session.sha256)
        .switch(Right)
        .join(Session, on=(Right.session_sha256 == Session.sha256), attr="session")
        .where((Right.session_sha256 == session) & (Right.recipient == recipient))
    )


def link_query(sha256: str) -> Any:
    """A link with everything its recipient's pages show."""
    return joined(LinkToken).where(LinkToken.sha256 == sha256)


RIGHT = Prepared(right_query)
LINK = Prepared(link_query)


# --- Which screen -----------------------------------------------------------------------------------


def state(place: Place, now: datetime) -> str:
    """The screen this recipient is at.

    done, declined, copy; voided, expired, over, preparing; waiting, not_for_me; consent, withdrawn;
    a factor's (see `factors.next_step`); read, review; elsewhere, where the provider's page is next.
    """
    ended = state_of_envelope(place, now)
    if ended in ("done", "copy") and guards_its_copy(place):
        return factors.next_step(place, now)
    if ended:
        return ended
    if place.recipient.problem == "not_for_me":
        return "not_for_me"
    if place.recipient.status in ("created", "waiting"):
        return "waiting"
    if place.consent is None:
        return "withdrawn" if place.recipient.problem == "consent_withdrawn" else "consent"
    if place.right is None:
        return "consent"
    step = factors.next_step(place, now)
    if step:
        return step
    if place.recipient.is_embedded:
        return "elsewhere"
    return "review" if place.right.draft.get("reviewed") else "read"


def guards_its_copy(place: Place) -> bool:
    """A finished contract with PHI opens in no browser that has not passed its recipient's factors."""
    if not place.contract.has_phi or place.envelope.status != "completed" or place.right is None:
        return False
    return bool(factors.unmet(place.recipient.factors, place.right.factors_met))


def state_of_envelope(place: Place, now: datetime) -> str:
    """What is already decided; empty while this recipient may still act."""
    if place.act is not None:
        return "declined" if place.act.kind == "decline" else "done"
    if place.recipient.role == "copy":
        return "copy"
    status = place.envelope.status
    if status == "sent" and place.envelope.withdrawal is not None:
        return "over"  # a provider is being asked to end it: nobody is let on any more
    if status == "sent":
        return "expired" if now >= place.envelope.expires_at else ""
    return {"queued": "preparing", "voided": "voided", "expired": "expired"}.get(status, "over")


# --- Exchanging the link -----------------------------------------------------------------------------


def enter(link: LinkToken, place: Place, session_sha256: str, *, by: Actor, now: datetime) -> None:
    """Exchange a link for this session's right. Raises Conflict when it has ended.

    The first exchange marks the recipient as having opened; one from another browser is noted for
    the sender, and passes every factor again.
    """
    with transaction():
        current = lock_row(LinkToken.select().where(LinkToken.sha256 == link.sha256)).get()
        if not links.is_alive(current, now):
            raise Conflict(_("This link has ended. Ask the person who sent it for a new one."))
        admit(place.recipient, session_sha256, link.purpose, by=by, now=now)


def admit(
    recipient: Recipient,
    session_sha256: str,
    purpose: str,
    *,
    by: Actor,
    now: datetime,
    came_in: Mapping[str, str] | None = None,
) -> None:
    """Let a session in by whatever led to it (see `grant`), inside the caller's transaction."""
    grant(recipient, session_sha256, purpose, by=by, now=now, came_in=came_in)
    if purpose == links.SIGN:
        note_opened(recipient, by=by, now=now)
    if purpose == links.SIGN and recipient.is_consumer:
        key = f"demonstration:{recipient.id}"
        jobs.add("make_demonstration", {"recipient": recipient.id}, key=key, now=now)


def note_opened(recipient: Recipient, *, by: Actor, now: datetime) -> None:
    """The first time somebody presses on, the envelope hears that they opened it."""
    if recipient.status == "sent":
        opened = ProviderEvent(EventKind.OPENED, now, recipient_key=recipient.key)
        envelopes.apply_event(recipient.envelope.id, opened, by=by, now=now)


def grant(
    recipient: Recipient,
    session_sha256: str,
    purpose: str,
    *,
    by: Actor,
    now: datetime,
    came_in: Mapping[str, str] | None = None,
) -> None:
    """Give a session the right to a recipient's pages. One for signing includes the copy.

    `came_in` says how, for the evidence: a way of `factors.WAYS` with its time; a mailed link unless
    given. Whoever comes in by another way later keeps the first beside it.
    """
    entered = dict(came_in or {factors.LINK: now.isoformat(timespec="seconds")})
    others = Right.select().where((Right.recipient == recipient) & (Right.session_sha256 != session_sha256))
    mine = (Right.session_sha256 == session_sha256) & (Right.recipient == recipient)
    held = Right.get_or_none(mine)
    life = now + sessions.ABSOLUTE
    if held is None:
        Right.insert(
            session_sha256=session_sha256, recipient=recipient, purpose=purpose, factors_met=entered,
            draft={}, granted_at=now, expires_at=life,
        ).execute()  # fmt: skip
    else:
        kept = links.SIGN if links.SIGN in (held.purpose, purpose) else purpose
        met = entered | held.factors_met
        Right.update(purpose=kept, expires_at=life, factors_met=met).where(mine).execute()
    audit.append(
        "link.exchanged" if factors.LINK in entered else "invitation_code.used",
        ("recipient", recipient.id),
        chain=recipient.envelope.contract.id,
        by=by,
        now=now,
        facts={
            "purpose": purpose,
            "way": next(way for way in factors.WAYS if way in entered),
            "another_browser": held is None and others.exists(),
        },
    )


def move_rights(old_sha256: str, new_sha256: str) -> None:
    """A session got a new token: what it may do goes with it."""
    Right.update(session_sha256=new_sha256).where(Right.session_sha256 == old_sha256).execute()


def handed_over_last(session_sha256: str, now: datetime) -> Recipient | None:
    """Whom this session last let through to a provider's page."""
    rows = (
        Recipient.select(Recipient)
        .join(Right, on=(Right.recipient == Recipient.id))
        .where(
            (Right.session_sha256 == session_sha256)
            & (Right.expires_at > now)
            & Recipient.is_embedded
            & Recipient.gate.is_null(False)
        )
    )
    return max(rows, key=lambda row: row.gate["at"], default=None)


# --- Before anything is written ------------------------------------------------------------------------


def hold(place: Place, now: datetime, *, until: str = "act") -> Place:
    """The place read anew with its envelope locked until the transaction ends.

    Raises Conflict unless this recipient may act now. With `until` "consent" neither consent nor
    factors are asked for yet, with "factors" only consent is.
    """
    envelopes.lock(place.envelope.id)
    row = joined(Right).where(place.right_row).first()
    if row is None:
        raise NotFound()
    fresh = place_of(row.recipient, row)
    now_at = state(fresh, now)
    if now_at in ("consent", "withdrawn") and until == "consent":
        return fresh
    refuse_unless_open(fresh, now_at)
    if now_at not in ("read", "review") and until == "act":
        raise Conflict(_("A step before this one is still open. Load the page again."))
    return fresh


def refuse_unless_open(place: Place, at: str) -> None:
    """Raise Conflict with the reason where this recipient cannot act."""
    reasons = {
        "done": _("You have already signed."),
        "declined": _("You have already declined."),
        "copy": _("You get a copy. There is nothing to sign."),
        "voided": _("This request was withdrawn."),
        "expired": _("The time to sign has run out."),
        "over": _("This request is closed."),
        "preparing": _("This request is still being prepared."),
        "waiting": _("It is not your turn yet. You get a mail when it is."),
        "not_for_me": _("You said that this is not for you."),
        "consent": _("Agree to electronic records first, or ask for paper."),
        "withdrawn": _("Agree to electronic records first, or ask for paper."),
    }
    if at in reasons:
        raise Conflict(reasons[at])
    if not is_their_turn(place.recipient):
        raise Conflict(reasons["waiting"])


def is_their_turn(recipient: Recipient) -> bool:
    """Whether everybody who acts before this recipient has acted."""
    acting = routing.next_group(envelopes.recipients_of(recipient.envelope))
    return recipient.id in {each.id for each in acting}


def sign_as_sample(recipient: Recipient, *, by: Actor, now: datetime) -> None:
    """Let an invented person of the sample data go the whole way: link, consent, factors, act."""
    from portal.services import acts

    link, place = of_link(links.issue(recipient, now=now), now)
    token = sessions.open_outside("", now=now)
    enter(link, place, sessions.digest(token), by=by, now=now)
    acts.agree(find(recipient.id, token, now), recipient.language, None, by=by, now=now)
    with transaction():
        for wanted in recipient.factors:
            factors.meet(find(recipient.id, token, now), "totp" if wanted == "totp" else "sms", now)
    language, title = recipient.language, recipient.title or "Director"
    signature = acts.Signature(language, recipient.name, title, has_authority=True, has_read=True)
    acts.prepare(find(recipient.id, token, now), signature, by=by, now=now)
    acts.confirm(find(recipient.id, token, now), document_sha256=place.document.sha256, by=by, now=now)
