"""Negotiation: the text is shown to the other side, both propose and answer, until both agree.

The other side sees shared revisions, the comments made for both, and every proposal; nothing else.
A change that is accepted goes into the draft at once and is shown with the next revision shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.documents import markdown
from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Agreement, Comment, Negotiator, Proposal
from portal.models.people import Person
from portal.services import (
    agreements,
    approvals,
    audit,
    conditional,
    contract_states,
    contracts,
    drafts,
    negotiation_news,
    revisions,
)
from portal.services.agreements import OURS, THEIRS
from portal.services.audit import Actor
from portal.sla import rows, shape, variables

LONGEST = 4000
MOST_OPEN = 300
OPEN, ACCEPTED, REJECTED, COUNTERED, WITHDRAWN = "open", "accepted", "rejected", "countered", "withdrawn"
TALKING = ("negotiation",)


@dataclass(frozen=True)
class Party:
    """Who speaks: one of ours, or somebody invited from the other side."""

    side: str
    name: str
    email: str
    person: Person | None = None
    negotiator: Negotiator | None = None
    address: str = ""
    user_agent: str = ""

    @property
    def actor(self) -> Actor:
        kind, key = ("person", self.person.id) if self.person else ("negotiator", self.negotiator.id)  # type: ignore[union-attr]
        return Actor(kind, key, self.name, self.email, self.address, self.user_agent)


# -- Showing the text ----------------------------------------------------------------------------


def share(contract: Contract, *, note: str, by: Actor, now: datetime) -> Revision:
    """Show the newest text to the other side; from now on it stays as it is.

    Raises Conflict when it has faults, nothing is new, an internal gate stands before it, or nobody is
    invited; NotAllowed for another's contract.
    """
    if len(note) > LONGEST:
        raise Invalid({"note": _("This is too long.")})
    with transaction():
        locked = lock_row(Contract.select().where(Contract.id == contract.id)).get()
        contracts.demand_edit(locked, acting(by))
        revision = agreements.latest(locked)
        check_sharing(locked, revision, now)
        enter_negotiation(locked, by=by, now=now)
        Revision.update(shared_at=now, share_note=note.strip()).where(Revision.id == revision.id).execute()
        audit.append(
            "contract.text_shared", ("revision", revision.id), chain=contract.id, by=by, now=now,
            facts={"number": revision.number, "text_sha256": agreements.text_sha256(locked, revision)},
        )  # fmt: skip
        negotiation_news.tell_of_text(locked, revision, note.strip(), by=by, now=now)
    contract.state = locked.state
    return Revision.get_by_id(revision.id)


def check_sharing(contract: Contract, revision: Revision, now: datetime) -> None:
    """Raise Conflict with what stands in the way of showing this text."""
    if contract.kind == "file":
        raise Conflict(_("A PDF is not negotiated here: its text is the other side’s file."))
    if revision.shared_at is not None:
        raise Conflict(_("The other side has this text already. Change something first."))
    if not invited(contract):
        raise Conflict(_("Invite somebody of the other side first."))
    missing = revisions.terms_complete(contract, contract_states.Attempt(now))
    missing = missing or approvals.before_sharing(contract, revision, now)
    if missing:
        raise Conflict(missing)


def enter_negotiation(contract: Contract, *, by: Actor, now: datetime) -> None:
    """The moves a first sharing makes, inside the caller's transaction."""
    if contract.state == "draft":
        contract_states.become(contract, "internal_review", by=by, now=now)
    if contract.state == "internal_review":
        contract_states.become(contract, "negotiation", by=by, now=now)


# -- Who is invited ---------------------------------------------------------------------------------


def invited(contract: Contract) -> list[Negotiator]:
    """Those of the other side who may read and answer, in the order they were invited."""
    rows_ = Negotiator.select().where((Negotiator.contract == contract) & Negotiator.ended_at.is_null())
    return list(rows_.order_by(Negotiator.id))


def invite(
    contract: Contract, *, name: str, email: str, language: str, by: Actor, now: datetime
) -> Negotiator:
    """Let somebody of the other side in; they are written to with the first text they may see.

    Whoever was invited before gets a new link. Raises Invalid for an address of our own staff.
    """
    person = acting(by)
    contracts.demand_edit(contract, person)
    if Person.select().where((Person.email == email) & Person.counterparty_id.is_null()).exists():
        raise Invalid({"email": _("This is a colleague. Invite somebody of the other side.")})
    with transaction():
        found = Negotiator.get_or_none((Negotiator.contract == contract) & (Negotiator.email == email))
        if found is None:
            found = Negotiator.add(
                contract=contract,
                name=name,
                email=email,
                language=language,
                invited_by=person,
                invited_at=now,
            )
        else:
            Negotiator.update(
                name=name, language=language, ended_at=None, invited_by=person, invited_at=now
            ).where(Negotiator.id == found.id).execute()
            found = Negotiator.get_by_id(found.id)
        audit.append(
            "negotiator.invited", ("negotiator", found.id), chain=contract.id, by=by, now=now,
            personal={"name": name, "email": email},
        )  # fmt: skip
        shared = agreements.last_shared(contract)
        if shared is not None:
            negotiation_news.send_link(found, contract, shared, "", by=by, now=now)
    return found


def end_invitation(contract: Contract, negotiator_id: str, *, by: Actor, now: datetime) -> None:
    """They see nothing more of it, and their link is dead."""
    contracts.demand_edit(contract, acting(by))
    with transaction():
        found = Negotiator.get_or_none((Negotiator.contract == contract) & (Negotiator.id == negotiator_id))
        if found is None:
            raise NotFound
        Negotiator.update(ended_at=now, link_sha256=None).where(Negotiator.id == found.id).execute()
        audit.append(
            "negotiator.ended", ("negotiator", found.id), chain=contract.id, by=by, now=now,
            personal={"name": found.name, "email": found.email},
        )  # fmt: skip


def entrant(reference: str, email: str) -> Negotiator:
    """The invitation of this proved address to a contract. Raises NotFound for everybody else."""
    found: Negotiator | None = (
        Negotiator.select(Negotiator, Contract)
        .join(Contract)
        .where(
            (Contract.reference == reference) & (Negotiator.email == email) & Negotiator.ended_at.is_null()
        )
        .first()
        if email and "\0" not in reference
        else None
    )
    if found is None or agreements.last_shared(found.contract) is None:
        raise NotFound
    return found


def open_to(email: str) -> list[Negotiator]:
    """Every negotiation somebody may open under this address, newest first."""
    shared = Revision.select(Revision.contract).where(Revision.shared_at.is_null(False))
    query = (
        Negotiator.select(Negotiator, Contract)
        .join(Contract)
        .where((Negotiator.email == email) & Negotiator.ended_at.is_null() & Contract.id.in_(shared))
    )
    return list(query.order_by(Negotiator.id.desc()).limit(100))


# -- Comments ----------------------------------------------------------------------------------------


def comment(
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
        locked = in_talks(contract, party, internal=internal)
        revision = seen_by(locked, party)
        demand_place(revision, place)
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


def comments(contract: Contract, side: str) -> list[Comment]:
    """What a side may read, oldest first: never another's internal words."""
    visible = Comment.contract == contract
    if side != OURS:
        visible &= ~Comment.is_internal
    return list(Comment.select().where(visible).order_by(Comment.id))


# -- Proposals ----------------------------------------------------------------------------------------


def propose(
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

    Raises Invalid when nothing would change, NotFound for no such place, Conflict outside negotiation.
    """
    if len(note) > LONGEST:
        raise Invalid({"note": _("This is too long.")})
    with transaction():
        locked = in_talks(contract, party)
        revision = seen_by(locked, party)
        kind, before = standing(revision, place)
        if kind == "clause" and after is not None:
            check_words(revision, after)
            after = {**before, **after}
        if after == before and answers is None:
            raise Invalid({"after": _("This is what stands there now. Change something, or comment on it.")})
        if len(agreements.open_proposals(locked)) >= MOST_OPEN:
            raise Conflict(_("Too many proposals are open. Answer some of them first."))
        made = record(
            locked, revision, party, place=place, kind=kind, before=before, after=after, note=note.strip(),
            answers_id=answers.id if answers else None, source=source, tracked=tracked or [], now=now,
        )  # fmt: skip
        agreements.void(locked, by=party.actor, now=now)
        negotiation_news.tell(locked, party.side, now=now)
    return made


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
        return propose(contract, party, found.place, after, note=note, answers=found, now=now)


def take_back(contract: Contract, proposal_id: str, party: Party, *, now: datetime) -> None:
    """Withdraw one's own side's proposal while nobody has answered it."""
    with transaction():
        found = standing_proposal(contract, proposal_id)
        if found.side != party.side:
            raise NotAllowed(_("Only the side that proposed it can take it back."))
        decide(found, WITHDRAWN, party, "", now)


def to_answer(contract: Contract, proposal_id: str, party: Party) -> tuple[Contract, Proposal]:
    """The proposal, for the side that has to answer it; what a file left over is ours to settle."""
    locked = in_talks(contract, party)
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
        _kind, stands = standing(revision, found.place)
        if stands != found.before and stands != found.after:
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


# -- Agreeing -----------------------------------------------------------------------------------------


def agree(contract: Contract, party: Party, *, seen_sha256: str, now: datetime) -> bool:
    """This side stands by the shared text; true when both do. Then nothing is changed any more.

    Raises Conflict while proposals are open, our draft has moved on, or another text than the one seen
    is the newest.
    """
    with transaction():
        locked = in_talks(contract, party)
        revision = agreements.latest(locked)
        if revision.shared_at is None:
            raise Conflict(unshared_words(party))
        if agreements.text_sha256(locked, revision) != seen_sha256:
            raise Conflict(_("The text has changed since you opened this page. Read it once more."))
        if agreements.open_proposals(locked):
            raise Conflict(_("Some proposals still wait for an answer."))
        given = agreements.sides(locked, revision)
        if party.side not in given:
            Agreement.add(
                contract=contract, revision=revision, text_sha256=seen_sha256, side=party.side,
                author_name=party.name, author_email=party.email, agreed_at=now,
            )  # fmt: skip
            audit.append(
                "contract.text_agreed", ("revision", revision.id), chain=contract.id, by=party.actor, now=now,
                facts={"side": party.side, "number": revision.number, "text_sha256": seen_sha256},
            )  # fmt: skip
            negotiation_news.tell(locked, party.side, now=now)
        return agreements.both(locked, revision)


def unshared_words(party: Party) -> str:
    if party.side == OURS:
        return _("The draft has changed since it was last shared. Share it first.")
    return _("A new version of the text is on its way to you. Wait until it is shared.")


def open_again(contract: Contract, party: Party, *, now: datetime) -> None:
    """Take back what was agreed, so that the text can be changed again."""
    with transaction():
        locked = in_talks(contract, party)
        agreements.void(locked, by=party.actor, now=now)
        negotiation_news.tell(locked, party.side, now=now)


# -- Where we are ----------------------------------------------------------------------------------------


def in_talks(contract: Contract, party: Party, *, internal: bool = False) -> Contract:
    """The contract under its lock while it is negotiated. Internal words are also said before."""
    locked: Contract = lock_row(Contract.select().where(Contract.id == contract.id)).get()
    allowed = contract_states.EDITABLE if internal else TALKING
    if locked.state not in allowed:
        raise Conflict(
            _("This contract is not being negotiated now: it is “%(state)s”.",
              state=contract_states.NAMES[locked.state])
        )  # fmt: skip
    return locked


def seen_by(contract: Contract, party: Party) -> Revision:
    """The text a side speaks about: ours is the newest, the other side's the last shared."""
    if party.side == THEIRS:
        shared = agreements.last_shared(contract)
        if shared is None:
            raise NotFound
        return shared
    return agreements.latest(contract)


def proposals(contract: Contract, side: str = OURS) -> list[Proposal]:
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


def acting(by: Actor) -> Person | None:
    found: Person | None = Person.get_or_none(Person.id == by.id) if by.kind == "person" else None
    return found
