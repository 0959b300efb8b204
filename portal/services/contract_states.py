"""The one table of contract states, and the only function that changes a contract's state.

A move names who may make it, the guard that must hold and what happened in one past verb. Guards
are registered by the services that know their facts; a guard nobody registered never holds. Where
no policy asks for review or approval, those guards are met by that policy and the trail says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from portal.errors import Conflict, NotAllowed
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.contracts import Contract, Revision
from portal.models.people import Person
from portal.services import audit, permissions

NO_REVIEW = "no review asked for"
NO_APPROVAL = "no approval asked for"
NO_CHECKLIST = "no checklist asked for"
EDITABLE = ("draft", "internal_review", "negotiation")
BEFORE_SIGNED = (*EDITABLE, "approval", "ready_to_sign", "signing")
WITHOUT_FORCE = ("withdrawn", "declined", "void")
RUNNING = ("active", "suspended", "renewal_due")
ELSEWHERE = "signed_elsewhere"  # flag of a contract that was registered with a copy we were given

NAMES = {
    "draft": lazy("Draft"),
    "internal_review": lazy("In review"),
    "negotiation": lazy("In negotiation"),
    "approval": lazy("Waiting for approval"),
    "ready_to_sign": lazy("Ready to sign"),
    "signing": lazy("Being signed"),
    "signed": lazy("Signed"),
    "onboarding": lazy("Being set up"),
    "active": lazy("Live"),
    "suspended": lazy("Suspended"),
    "renewal_due": lazy("Renewal due"),
    "renewed": lazy("Renewed"),
    "expired": lazy("Expired"),
    "terminated": lazy("Terminated"),
    "completed": lazy("Closed"),
    "archived": lazy("Archived"),
    "withdrawn": lazy("Withdrawn"),
    "declined": lazy("Declined"),
    "void": lazy("Void"),
}

PHASES = {
    "draft": ("draft", "internal_review"),
    "agree": ("negotiation", "approval"),
    "sign": ("ready_to_sign", "signing"),
    "live": ("signed", "onboarding", "active", "suspended", "renewal_due"),
    "ended": ("renewed", "expired", "terminated", "completed", *WITHOUT_FORCE),
    "archived": ("archived",),
}
PHASE_OF = {state: phase for phase, states in PHASES.items() for state in states}

# How a state looks in lists: the tones of the `status` macro.
TONES = {
    "draft": "draft",
    "internal_review": "wait",
    "negotiation": "wait",
    "approval": "wait",
    "ready_to_sign": "active",
    "signing": "wait",
    "signed": "good",
    "onboarding": "active",
    "active": "good",
    "suspended": "bad",
    "renewal_due": "wait",
    "terminated": "bad",
    "declined": "bad",
    "void": "bad",
}


@dataclass(frozen=True)
class Move:
    """One allowed move. `roles`: who may make it; empty means whoever the calling service let in."""

    verb: str
    roles: tuple[str, ...]
    guard: str = ""
    needs_reason: bool = False


# "author" is whoever may edit this contract: its owner, and those who may edit all.
AUTHOR = ("author",)
SYSTEM = ("system",)
MANAGER = ("service_manager",)
APPROVER = tuple(sorted(permissions.APPROVERS))

MOVES: dict[tuple[str, str], Move] = {
    ("draft", "internal_review"): Move("submitted", AUTHOR, "terms_complete"),
    ("internal_review", "draft"): Move("returned", (*AUTHOR, *APPROVER), needs_reason=True),
    ("internal_review", "negotiation"): Move("shared", (*AUTHOR, *APPROVER), "comments_answered"),
    ("negotiation", "internal_review"): Move("submitted", AUTHOR, "terms_complete"),
    ("negotiation", "approval"): Move("agreed", AUTHOR, "both_agreed"),
    ("approval", "negotiation"): Move("rejected", (*AUTHOR, *APPROVER), needs_reason=True),
    ("approval", "ready_to_sign"): Move("approved", SYSTEM, "approvals_given"),
    ("ready_to_sign", "negotiation"): Move("reopened", AUTHOR),
    ("ready_to_sign", "signing"): Move("sent", (*AUTHOR, *SYSTEM), "signatories_recorded"),
    ("signing", "negotiation"): Move("refused", (), needs_reason=True),
    ("signing", "ready_to_sign"): Move("recalled", (), needs_reason=True),
    ("signing", "signed"): Move("signed", (), "hash_given"),
    ("signed", "onboarding"): Move("accepted", MANAGER, "effective_date_set"),
    ("signed", "void"): Move("voided", ("legal", "executive"), needs_reason=True),
    ("onboarding", "active"): Move("activated", MANAGER, "checklist_accepted"),
    ("active", "active"): Move("amended", SYSTEM, "amendment_signed"),
    ("active", "suspended"): Move("suspended", MANAGER, "ground_in_contract", needs_reason=True),
    ("suspended", "active"): Move("resumed", MANAGER),
    ("active", "renewal_due"): Move("brought_up", SYSTEM, "notice_near"),
    ("renewal_due", "renewed"): Move("renewed", (*AUTHOR, *SYSTEM), "renewal_agreed"),
    ("active", "expired"): Move("expired", SYSTEM, "term_over"),
    ("renewal_due", "expired"): Move("expired", SYSTEM, "term_over"),
    ("active", "terminated"): Move("terminated", (*AUTHOR, *SYSTEM), "ground_in_contract", needs_reason=True),
    ("renewal_due", "terminated"): Move(
        "terminated", (*AUTHOR, *SYSTEM), "ground_in_contract", needs_reason=True
    ),
    ("suspended", "terminated"): Move("terminated", AUTHOR, "ground_in_contract", needs_reason=True),
    ("expired", "completed"): Move("closed", MANAGER, "exit_done"),
    ("terminated", "completed"): Move("closed", MANAGER, "exit_done"),
    ("renewed", "completed"): Move("closed", MANAGER, "exit_done"),
    ("completed", "archived"): Move("archived", SYSTEM, "archive_due"),
    # A bare file, which promises nothing to run, and an amendment, which goes with its contract.
    ("signed", "archived"): Move("archived", SYSTEM, "archive_due"),
    ("archived", "completed"): Move("unarchived", ("legal",), needs_reason=True),
} | {
    (state, end): move
    for state in BEFORE_SIGNED
    for end, move in (
        ("withdrawn", Move("withdrawn", AUTHOR, needs_reason=True)),
        ("declined", Move("declined", (), needs_reason=True)),
    )
}


@dataclass(frozen=True)
class Attempt:
    """What a guard is told of the move besides the contract."""

    now: datetime
    sha256: str = ""
    policy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


# Gives "" when the guard holds, else the sentence that says what is missing.
Guard = Callable[[Contract, Attempt], str]
GUARDS: dict[str, Guard] = {}
# What somebody else will add: each guard that only a policy can meet until then.
BY_POLICY = {
    "comments_answered": NO_REVIEW,
    "both_agreed": NO_REVIEW,
    "checklist_accepted": NO_CHECKLIST,
}


def guard(name: str) -> Callable[[Guard], Guard]:
    """Register what decides whether the guard of that name holds."""

    def register(function: Guard) -> Guard:
        GUARDS[name] = function
        return function

    return register


@guard("hash_given")
def hash_given(contract: Contract, attempt: Attempt) -> str:
    return "" if attempt.sha256 else _("It is not said which text was signed.")


def become(
    contract: Contract,
    state: str,
    *,
    by: audit.Actor,
    now: datetime,
    reason: str = "",
    sha256: str = "",
    policy: str = "",
    facts: dict[str, Any] | None = None,
) -> None:
    """Move a contract to another state, inside the caller's transaction, and write it on the trail.

    `sha256` names the text the move is about. `policy` says which policy meets a guard that nobody
    was asked about. Raises Conflict for a move the table does not hold, naming the allowed ones,
    for a guard that does not hold, and when somebody moved the contract meanwhile; NotAllowed for
    another's move.
    """
    before = contract.state
    move = MOVES.get((before, state))
    if move is None:
        raise Conflict(not_allowed(before, state))
    role = role_in(move, contract, by, policy)
    if move.needs_reason and not reason:
        raise Conflict(_("Say why."))
    check_guard(move, contract, Attempt(now, sha256, policy, facts or {}))
    waiting_for = contract.owner.name if state in (*EDITABLE, "approval", "ready_to_sign") else ""
    moved = (
        Contract.update(state=state, updated_at=now, waiting_for=waiting_for)
        .where((Contract.id == contract.id) & (Contract.state == before))
        .execute()
    )
    if moved != 1:
        raise Conflict(_("Somebody else has moved this contract meanwhile. Load the page again."))
    contract.state, contract.updated_at, contract.waiting_for = state, now, waiting_for
    told = {"from": before, "to": state, "role": role, "sha256": sha256, "policy": policy}
    audit.append(
        f"contract.{move.verb}",
        ("contract", contract.id),
        chain=contract.id,
        by=by,
        now=now,
        facts={name: value for name, value in told.items() if value} | (facts or {}),
        personal={"reason": reason} if reason else None,
    )


def role_in(move: Move, contract: Contract, by: audit.Actor, policy: str) -> str:
    """The role in which `by` makes the move, for the trail. Raises NotAllowed without one."""
    if policy:
        return "policy"
    held = roles_of(contract, by)
    if not move.roles:
        return held[0] if held else by.kind
    for role in move.roles:
        if role in held:
            return role
    raise NotAllowed(_("This step is not yours to take."))


def roles_of(contract: Contract, by: audit.Actor) -> list[str]:
    """What somebody is to a contract: system, recipient, its author, and the roles of their account."""
    if by.kind != "person":
        return [by.kind]
    person = Person.get_or_none(Person.id == by.id)
    if person is None:
        return []
    author = ["author"] if permissions.may_edit(person, contract.owner_id) else []  # type: ignore[attr-defined]
    return author + sorted(permissions.roles_of(person))


def check_guard(move: Move, contract: Contract, attempt: Attempt) -> None:
    if not move.guard:
        return
    if move.guard in GUARDS:
        missing = GUARDS[move.guard](contract, attempt)
    elif attempt.policy and BY_POLICY.get(move.guard) == attempt.policy:
        missing = ""
    else:
        missing = _("What this step depends on has not been recorded.")
    if missing:
        raise Conflict(missing)


def allowed(state: str) -> list[str]:
    """The states a contract may move to from this one."""
    return [to for (start, to) in MOVES if start == state]


def not_allowed(before: str, state: str) -> str:
    """The sentence for a move the table does not hold."""
    names = ", ".join(str(NAMES[to]) for to in allowed(before))
    wanted = NAMES.get(state, state)
    if not names:
        return _("This contract is %(now)s; it cannot move on.", now=NAMES[before])
    return _(
        "This contract is “%(now)s” and cannot become “%(wanted)s”. From here it can become: %(names)s.",
        now=NAMES[before],
        wanted=wanted,
        names=names,
    )


def advance_to_approval(contract: Contract, *, sha256: str, by: audit.Actor, now: datetime) -> None:
    """Pass review and negotiation at once, where no policy asks for either.

    Call inside a transaction, with the hash of the frozen text. From approval on nothing happens.
    What was shared with the other side both sides must have agreed on. Raises Conflict when the
    terms have faults or the state is past signing.
    """
    steps = {
        "draft": ("internal_review", ""),
        "internal_review": ("negotiation", NO_REVIEW),
        "negotiation": ("approval", NO_REVIEW),
    }
    demand_before_signing(contract)
    while contract.state in steps:
        state, policy = steps[contract.state]
        if state == "approval" and was_shared(contract):
            policy = ""
        become(contract, state, by=by, now=now, sha256=sha256, policy=policy)


def demand_before_signing(contract: Contract) -> None:
    """Raise Conflict for a contract that is out for signature, or past it."""
    if contract.state not in (*EDITABLE, "approval", "ready_to_sign"):
        raise Conflict(not_allowed(contract.state, "ready_to_sign"))


def was_shared(contract: Contract) -> bool:
    """Whether the other side was shown any text of it."""
    shared = (Revision.contract == contract) & Revision.shared_at.is_null(False)
    return bool(Revision.select(Revision.id).where(shared).exists())


def is_editable(contract: Contract) -> bool:
    return contract.state in EDITABLE


def takes_terms(contract: Contract) -> bool:
    """Whether terms may be typed: into a draft, or beside a running contract that was signed elsewhere."""
    return is_editable(contract) or (ELSEWHERE in contract.flags and contract.state in RUNNING)


def shown_name(contract: Contract) -> str:
    """The state in words, with where it was signed."""
    if contract.state == "active" and ELSEWHERE in contract.flags:
        return _("Live, signed elsewhere")
    return str(NAMES[contract.state])


def phase(contract: Contract) -> str:
    """draft, agree, sign, live, ended or archived: the phases people see."""
    return PHASE_OF[contract.state]
