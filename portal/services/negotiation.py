"""Negotiation: the text is shown to the other side, both propose and answer, until both agree.

The other side sees shared revisions, the comments made for both, and every proposal; nothing else.
A change that is accepted goes into the draft at once and is shown with the next revision shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Agreement, Negotiator
from portal.models.people import Person
from portal.services import (
    agreements,
    approvals,
    audit,
    contract_states,
    contracts,
    negotiation_news,
    revisions,
)
from portal.services.agreements import OURS, THEIRS
from portal.services.audit import Actor

LONGEST = 4000
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


READER = Party(THEIRS, "", "")  # whoever sees no more than what was shared


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


def acting(by: Actor) -> Person | None:
    found: Person | None = Person.get_or_none(Person.id == by.id) if by.kind == "person" else None
    return found
