"""What is said about a text while it is negotiated: for both sides, or among ourselves."""

from __future__ import annotations

from datetime import datetime

from portal.errors import Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.negotiation import Comment
from portal.services import audit, negotiation, negotiation_news, proposals
from portal.services.agreements import OURS
from portal.services.negotiation import LONGEST, Party


def add(
    contract: Contract, party: Party, place: str, text: str, *, internal: bool = False, now: datetime
) -> Comment:
    """Say something about a place of the text. Internal words are our side's alone.

    Raises Invalid without words, NotFound for a place that is not there.
    """
    text = text.strip()
    if not text:
        raise Invalid({"text": _("Write something first.")})
    if len(text) > LONGEST:
        raise Invalid({"text": _("This is too long.")})
    internal = internal and party.side == OURS
    with transaction():
        locked = negotiation.in_talks(contract, party, internal=internal)
        revision = negotiation.seen_by(locked, party)
        proposals.demand_place(revision, place)
        made: Comment = Comment.add(
            contract=contract, revision=revision, place=place, side=party.side, is_internal=internal,
            person=party.person, author_name=party.name, author_email=party.email, text=text, created_at=now,
        )  # fmt: skip
        audit.append(
            "comment.made", ("comment", made.id), chain=contract.id, by=party.actor, now=now,
            facts={"place": place, "internal": internal, "revision": revision.number},
        )  # fmt: skip
        if not internal:
            negotiation_news.tell(locked, party.side, now=now)
    return made


def settle(contract: Contract, comment_id: str, party: Party, *, now: datetime) -> None:
    """Mark a comment as answered; a settled one stays settled."""
    with transaction():
        found = Comment.get_or_none((Comment.contract == contract) & (Comment.id == comment_id))
        if found is None or (found.is_internal and party.side != OURS):
            raise NotFound
        settled = Comment.update(settled_at=now, settled_by=party.name).where(
            (Comment.id == found.id) & Comment.settled_at.is_null()
        )
        if settled.execute():
            audit.append(
                "comment.settled", ("comment", found.id), chain=contract.id, by=party.actor, now=now,
                facts={"place": found.place},
            )  # fmt: skip


def of(contract: Contract, side: str) -> list[Comment]:
    """What a side may read, oldest first: never another's internal words."""
    visible = Comment.contract == contract
    if side != OURS:
        visible &= ~Comment.is_internal
    return list(Comment.select().where(visible).order_by(Comment.id))
