"""Changes that one side asks for: proposed, accepted, rejected, countered, taken back.

What is accepted goes into the draft at once; a place that reads otherwise by now is never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from portal.documents import markdown
from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Proposal
from portal.services import (
    agreements,
    approvals,
    audit,
    conditional,
    drafts,
    negotiation,
    negotiation_news,
    revisions,
)
from portal.services.agreements import OURS, THEIRS
from portal.services.audit import Actor
from portal.services.negotiation import LONGEST, Party
from portal.sla import rows, shape, variables

MOST_OPEN = 300
OPEN, ACCEPTED, REJECTED, COUNTERED, WITHDRAWN = "open", "accepted", "rejected", "countered", "withdrawn"


def add(
    contract: Contract,
    party: Party,
    place: str,
    after: Any,
    *,
    note: str = "",
    answers: Proposal | None = None,
    source: str = "page",
    tracked: list[dict[str, Any]] | None = None,
    now: datetime,
) -> Proposal:
    """Ask for a change of one clause (`{language: text}`, None to take it out) or of one row (its value).

    It is made against the text both sides know: what our draft holds besides stays inside. Raises
    Invalid when nothing would change, NotFound for no such place, Conflict outside negotiation.
    """
    if len(note) > LONGEST:
        raise Invalid({"note": _("This is too long.")})
    with transaction():
        locked = negotiation.in_talks(contract, party)
        revision = negotiation.seen_by(locked, negotiation.READER)
        kind, before = standing(revision, place)
        if kind == "clause" and after is not None:
            check_words(revision, after)
            after = {**before, **after}
        if after == before and answers is None:
            raise Invalid({"after": _("This is what stands there now. Change something, or comment on it.")})
        if len(agreements.open_proposals(locked)) >= MOST_OPEN:
            raise Conflict(_("Too many proposals are open. Answer some of them first."))
        if party.side == OURS:
            check_showing(locked, place, before, after, now)
        made = record(
            locked, revision, party, place=place, kind=kind, before=before, after=after, note=note.strip(),
            answers_id=answers.id if answers else None, source=source, tracked=tracked or [], now=now,
        )  # fmt: skip
        agreements.void(locked, by=party.actor, now=now)
        negotiation_news.tell(locked, party.side, now=now)
    return made


def check_showing(contract: Contract, place: str, before: Any, after: Any, now: datetime) -> None:
    """Raise Invalid where our proposal would show what our rules or an unshared draft hold back."""
    draft = agreements.latest(contract)
    if standing(draft, place)[1] != before:
        raise Invalid({"": _("The draft reads otherwise here already. Share it instead.")})
    shown = Revision(contract=contract, number=draft.number, terms=draft.terms, clauses=draft.clauses)
    write_change(shown, place, after)
    missing = approvals.before_sharing(contract, shown, now)
    if missing:
        raise Invalid({"": missing + " " + _("Write it into the draft, ask for approval, then share it.")})


def record(contract: Contract, revision: Revision, party: Party, *, now: datetime, **values: Any) -> Proposal:
    """One row and its entry on the trail, inside the caller's transaction."""
    made: Proposal = Proposal.add(
        contract=contract, revision=revision, side=party.side, person=party.person, author_name=party.name,
        author_email=party.email, created_at=now, **values,
    )  # fmt: skip
    audit.append(
        "proposal.made", ("proposal", made.id), chain=contract.id, by=party.actor, now=now,
        facts={"place": made.place, "kind": made.kind, "source": made.source, "revision": revision.number}
        | ({"answers": made.answers_id} if made.answers_id else {}),
    )  # fmt: skip
    return made


def check_words(revision: Revision, text: Mapping[str, str]) -> None:
    """Raise Invalid beside `after.<language>` for words that cannot stand in a clause."""
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(revision.clauses)}
    errors = {}
    for language, words in text.items():
        reason = (
            _("This clause is too long.")
            if len(words) > drafts.LONGEST_CLAUSE
            else _("Write something, or propose to take the clause out.")
            if not words.strip()
            else revisions.wrong_mark(words, variables.names(), numbers)
        )
        if reason:
            errors[f"after.{language}"] = reason
    if errors:
        raise Invalid(errors)


def typed_value(revision: Revision, place: str, typed: str) -> Any:
    """The value of a row as it was typed. Raises Invalid beside `after`, NotFound for no such row."""
    key = place.removeprefix("terms.")
    try:
        value = rows.read(revision.terms, key, typed)
    except rows.Unreadable as unreadable:
        raise Invalid({"after": str(unreadable)}) from unreadable
    except KeyError as unknown:
        raise NotFound from unknown
    _clean, problems = shape.read(rows.change(revision.terms, key, value))  # type: ignore[arg-type]
    if problems:
        raise Invalid({"after": _("This value cannot stand here.")})
    return value


def accept(contract: Contract, proposal_id: str, party: Party, *, now: datetime) -> Proposal:
    """Take what the other side asked for into the draft, as it was asked.

    Raises Conflict when that place has changed since, NotAllowed for one's own proposal.
    """
    with transaction():
        locked, found = to_answer(contract, proposal_id, party)
        if found.kind == "unassigned":
            raise Conflict(
                _("Nothing can be taken over from this by itself. Change the text, then settle it.")
            )
        apply(locked, found, by=party.actor, now=now)
        decide(found, ACCEPTED, party, "", now)
    return found


def reject(contract: Contract, proposal_id: str, party: Party, *, reason: str, now: datetime) -> Proposal:
    """Say no, with a reason the other side reads. Raises Invalid without one."""
    reason = reason.strip()
    if not reason:
        raise Invalid({"reason": _("Say why, so that the other side can answer.")})
    with transaction():
        _locked, found = to_answer(contract, proposal_id, party)
        decide(found, REJECTED, party, reason[:LONGEST], now)
    return found


def counter(
    contract: Contract, proposal_id: str, party: Party, after: Any, *, note: str = "", now: datetime
) -> Proposal:
    """Answer with another wording or figure for the same place."""
    with transaction():
        _locked, found = to_answer(contract, proposal_id, party)
        if found.kind == "unassigned":
            raise Conflict(
                _("Nothing can be taken over from this by itself. Change the text, then settle it.")
            )
        decide(found, COUNTERED, party, note.strip(), now)
        return add(contract, party, found.place, after, note=note, answers=found, now=now)


def take_back(contract: Contract, proposal_id: str, party: Party, *, now: datetime) -> None:
    """Withdraw one's own side's proposal while nobody has answered it."""
    with transaction():
        negotiation.in_talks(contract, party)
        found = standing_proposal(contract, proposal_id)
        if found.side != party.side:
            raise NotAllowed(_("Only the side that proposed it can take it back."))
        decide(found, WITHDRAWN, party, "", now)


def to_answer(contract: Contract, proposal_id: str, party: Party) -> tuple[Contract, Proposal]:
    """The proposal, for the side that has to answer it; what a file left over is ours to settle."""
    locked = negotiation.in_talks(contract, party)
    found = standing_proposal(contract, proposal_id)
    if found.side == party.side and not (found.kind == "unassigned" and party.side == OURS):
        raise NotAllowed(_("Your own side proposed this; the other side answers it."))
    if found.kind == "unassigned" and party.side != OURS:
        raise NotFound
    return locked, found


def standing_proposal(contract: Contract, proposal_id: str) -> Proposal:
    found: Proposal | None = lock_row(
        Proposal.select().where((Proposal.contract == contract) & (Proposal.id == proposal_id))
    ).first()
    if found is None:
        raise NotFound
    if found.state != OPEN:
        raise Conflict(_("%(name)s has answered this already.", name=found.decided_by))
    return found


def decide(found: Proposal, state: str, party: Party, reason: str, now: datetime) -> None:
    """Close a proposal, say so on the trail, and tell the other side."""
    values = {
        "state": state, "decided_by": party.name, "decided_at": now, "decision_reason": reason,
    }  # fmt: skip
    Proposal.update(values).where((Proposal.id == found.id) & (Proposal.state == OPEN)).execute()
    for name, value in values.items():
        setattr(found, name, value)
    contract = found.contract
    audit.append(
        f"proposal.{state}", ("proposal", found.id), chain=contract.id, by=party.actor, now=now,
        facts={"place": found.place}, personal={"reason": reason} if reason else None,
    )  # fmt: skip
    negotiation_news.tell(contract, party.side, now=now)


def apply(contract: Contract, found: Proposal, *, by: Actor, now: datetime) -> None:
    """Write a proposal into the draft, unless its place reads otherwise by now."""

    def change(revision: Revision) -> None:
        try:
            stands = standing(revision, found.place)[1]
        except NotFound:
            stands = None  # taken out meanwhile
        if stands not in (found.before, found.after):
            raise Conflict(
                _("This place was changed after the proposal was made. Make a counter-proposal instead.")
            )
        former = revision.terms
        write_change(revision, found.place, found.after)
        if found.kind == "term":
            told.update(conditional.follow(contract, revision, former))

    told: dict[str, Any] = {}
    section = (
        found.place if found.kind == "clause" else drafts.section_for(found.place.removeprefix("terms."))
    )
    drafts.write(contract, section, change, by=by, now=now, facts=told)


def write_change(revision: Revision, place: str, after: Any) -> None:
    """One change of one place, in the revision that is being worked on."""
    if place.startswith("terms."):
        revision.terms = rows.change(revision.terms, place.removeprefix("terms."), after)  # type: ignore[arg-type]
        return
    key = place.removeprefix("clauses.")
    if after is None:
        revision.clauses = [each for each in revision.clauses if each["key"] != key]
        return
    revision.clauses = [
        {**each, "text": {**each["text"], **after}} if each["key"] == key else each
        for each in revision.clauses
    ]


def standing(revision: Revision, place: str) -> tuple[str, Any]:
    """The kind of a place and what stands there. Raises NotFound for a place that is none."""
    if place.startswith("terms."):
        key = place.removeprefix("terms.")
        row = rows.by_key(revision.terms, "en").get(key)  # type: ignore[arg-type]
        if row is None:
            raise NotFound
        return "term", row.value
    found = drafts.clause(revision, place.removeprefix("clauses."))
    if found is None or not place.startswith("clauses."):
        raise NotFound
    return "clause", dict(found["text"])


def demand_place(revision: Revision, place: str) -> None:
    if place:
        standing(revision, place)


# -- Finding ------------------------------------------------------------------------------------


def of(contract: Contract, side: str = OURS) -> list[Proposal]:
    """Every proposal, oldest first; what a file left unassigned is for our side."""
    query = Proposal.select().where(Proposal.contract == contract)
    if side != OURS:
        query = query.where(Proposal.kind != "unassigned")
    return list(query.order_by(Proposal.id))


def waiting(contract: Contract) -> Mapping[str, int]:
    """How many proposals each side has to answer."""
    found = {OURS: 0, THEIRS: 0}
    for each in agreements.open_proposals(contract):
        found[OURS if each.side == THEIRS or each.kind == "unassigned" else THEIRS] += 1
    return found
