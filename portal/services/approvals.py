"""Approvals of a text: what the matrix asks of it, who was asked, what they answered.

An approval is for one exact text, named by its SHA-256. When the text changes, those approvals whose
conditions looked at nothing that changed are carried over to the new one; all others are asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.errors import Conflict, Invalid, NotAllowed
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.approvals import Approval, ApprovalRule
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Revision
from portal.models.people import Person
from portal.services import (
    approval_conditions,
    approval_mails,
    approval_rules,
    approvers,
    audit,
    contract_states,
    revisions,
)
from portal.services.audit import SYSTEM, Actor
from portal.services.contract_states import Attempt
from portal.sla import canonical
from portal.sla.words import listed, parted

OPEN = ("waiting", "asked")
SIGN, SHARE = "sign", "share"
REMIND_AFTER = timedelta(hours=24)
SUBSTITUTE = "answered for somebody else"


@dataclass(frozen=True)
class Need:
    """One answer that a text needs: any one of the `roles` gives it. With `is_refused`, nobody can."""

    rule: ApprovalRule
    roles: tuple[str, ...]
    why: str
    step: int
    moment: str
    matter: str
    is_refused: bool = False

    @property
    def key(self) -> str:
        return f"{self.rule.id}:{','.join(self.roles)}"

    @property
    def who(self) -> str:
        """The roles as words: `Legal approver or Finance approver`."""
        return either(self.roles)


def either(roles: Sequence[str]) -> str:
    names = [approval_rules.role_name(role) for role in roles]
    return _(" or ").join(names)


# -- What a text needs ------------------------------------------------------------------------------


def needed(
    contract: Contract, revision: Revision, moment: str = SIGN, facts: approval_conditions.Deal | None = None
) -> list[Need]:
    """What the rules ask of this text as it stands, in the order in which people are asked.

    `facts` are the deal's, where the caller has them already.
    """
    rules = approval_rules.active(moment)
    if not rules:
        return []
    facts = facts or approval_conditions.deal(contract, revision)
    found = [
        need
        for rule in rules
        if approval_conditions.holds(rule.condition, facts)
        for need in needs_of(rule, facts)
    ]
    return sorted(found, key=lambda need: need.step)


def needs_of(rule: ApprovalRule, facts: approval_conditions.Deal) -> list[Need]:
    condition, roles = rule.condition, list(rule.roles)
    why = approval_conditions.why(condition, facts)
    if rule.mode == "nobody":
        matter = approval_conditions.matter(condition, facts)
        return [Need(rule, (), why, rule.step, rule.moment, matter, is_refused=True)]
    by_difference = not roles
    if by_difference:
        roles = sorted({each.role for each in facts.at(condition.get("deviation", "")) if each.role})
    groups = [tuple(roles)] if rule.mode == "any" and roles else [(role,) for role in roles]
    made = []
    for group in groups:
        looked_at = group if by_difference else ()
        matter = approval_conditions.matter(condition, facts, looked_at)
        said = differs(facts, group) if by_difference else why
        made.append(Need(rule, group, said, rule.step, rule.moment, matter))
    return made


def differs(facts: approval_conditions.Deal, roles: tuple[str, ...]) -> str:
    """The differences that these roles answer for, as one sentence."""
    labels = [each.label for each in facts.at("approval", roles)]
    return ngettext("Differs from the template: %(names)s.", "Differ from the template: %(names)s.",
                    len(labels), names=parted(labels))  # fmt: skip


def text_sha256(contract: Contract, revision: Revision) -> str:
    """What names a text: the hash it was frozen under, or that of all that is agreed in a draft."""
    if revision.sha256:
        return str(revision.sha256)
    return canonical.sha256(approval_conditions.whole(contract, revision))


def before_sharing(contract: Contract, revision: Revision, now: datetime) -> str:
    """ "" when the rules let the text be shown to the other side, else what is missing, as a sentence."""
    return unmet(contract, revision, SHARE)


def unmet(
    contract: Contract, revision: Revision, moment: str = SIGN, facts: approval_conditions.Deal | None = None
) -> str:
    """ "" when everything the rules ask of exactly this text is given, else what is missing."""
    needs = needed(contract, revision, moment, facts)
    refused = refusal(needs)
    if refused:
        return refused
    missing = lacking(contract, revision, needs)
    if not missing:
        return ""
    return _("Approval is missing: %(names)s.", names=listed(dict.fromkeys(each.who for each in missing)))


def refusal(needs: Sequence[Need]) -> str:
    """Why nobody can approve the deal; "" where somebody can."""
    reasons = [need.why for need in needs if need.is_refused]
    return _("Our rules do not allow this: %(reasons)s", reasons=" ".join(reasons)) if reasons else ""


def lacking(contract: Contract, revision: Revision, needs: Sequence[Need]) -> list[Need]:
    """The needs that nobody has approved for exactly this text."""
    if not needs:
        return []
    rows = latest(contract, text_sha256(contract, revision), needs[0].moment)
    return [need for need in needs if not is_given(rows.get(need.key), need)]


def is_given(row: Approval | None, need: Need) -> bool:
    return row is not None and row.state == "approved" and row.matter == need.matter


def latest(contract: Contract, sha256: str, moment: str) -> dict[str, Approval]:
    """The row that counts of each key, for one text."""
    query = Approval.select().where(
        (Approval.contract == contract) & (Approval.sha256 == sha256) & (Approval.moment == moment)
    )
    return {row.key: row for row in query.order_by(Approval.created_at, Approval.id)}


def in_order(rows: Iterable[Approval]) -> list[Approval]:
    """As people are asked: by step, then as the rules stand."""
    return sorted(rows, key=lambda row: (row.step, row.rule.position if row.rule else 0, row.key))


def of(contract: Contract) -> list[Approval]:
    """Every row of a contract, oldest first."""
    query = Approval.select().where(Approval.contract == contract)
    return list(query.order_by(Approval.created_at, Approval.id))


def open_rows(contract: Contract) -> list[Approval]:
    """What is waited for now, of the text as it stands."""
    return [row for row in of(contract) if row.state in OPEN]


@contract_states.guard("approvals_given")
def approvals_given(contract: Contract, attempt: Attempt) -> str:
    """Everything the rules ask for was approved for exactly the text that is named."""
    revision = revisions.current(contract)
    if not attempt.sha256 or revision.sha256 != attempt.sha256:
        return _("It is not said which text is approved.")
    return unmet(contract, revision)


def demand_given(contract: Contract, revision: Revision | None) -> None:
    """Raise Conflict unless exactly this text may go out for signature."""
    if revision is None:
        return
    missing = unmet(contract, revision)
    if missing:
        raise Conflict(missing)


# -- Asking -------------------------------------------------------------------------------------


def demand_possible(contract: Contract, revision: Revision) -> None:
    """Raise Conflict where the rules refuse the deal whoever approves it."""
    refused = refusal(needed(contract, revision))
    if refused:
        raise Conflict(refused)


def settle(contract: Contract, revision: Revision, *, by: Actor, now: datetime) -> None:
    """Ask for what a frozen text needs, inside the caller's transaction; ready where it needs nothing.

    The contract waits in `approval` until all of it is given. Raises Conflict where nobody can give it.
    """
    needs = needed(contract, revision)
    if refusal(needs):
        raise Conflict(refusal(needs))
    sha256 = str(revision.sha256)
    if not needs:
        withdraw_open(contract, SIGN)
        policy = contract_states.NO_APPROVAL
        contract_states.become(contract, "ready_to_sign", by=by, now=now, sha256=sha256, policy=policy)
        return
    ask(contract, revision, needs, by=by, now=now)


def ask_to_share(contract: Contract, revision: Revision, *, by: Actor, now: datetime) -> None:
    """Ask for what the rules want before the other side sees this text. Raises Conflict where nobody can."""
    with transaction():
        needs = needed(contract, revision, SHARE)
        if refusal(needs):
            raise Conflict(refusal(needs))
        if needs:
            ask(contract, revision, needs, by=by, now=now)


def ask(contract: Contract, revision: Revision, needs: Sequence[Need], *, by: Actor, now: datetime) -> None:
    """One row for each need, carried over where an earlier answer holds; then the mails of the first step."""
    hold(contract)
    sha256, moment = text_sha256(contract, revision), needs[0].moment
    rows = latest(contract, sha256, moment)
    kept = [
        row.id
        for need in needs
        if (row := rows.get(need.key)) and row.matter == need.matter and row.state in (*OPEN, "approved")
    ]
    withdraw_open(contract, moment, but=kept)
    asked, lapsed = [], []
    for need in needs:
        row = rows.get(need.key)
        if row is not None and row.id in kept:
            continue
        earlier = last_answer(contract, need)
        if carry_over(contract, revision, sha256, need, earlier, by=by, now=now):
            continue
        add(contract, revision, sha256, need, by=by, now=now)
        asked.append(need)
        if earlier is not None and earlier.state == "approved":
            lapsed.append(need)
    if asked:
        record("approval.asked", contract, by, now, sha256=sha256, moment=moment,
               needs=[{"rule": need.rule.id, "roles": list(need.roles)} for need in asked],
               lapsed=sorted({role for need in lapsed for role in need.roles}))  # fmt: skip
    go_on(contract, sha256, moment, by=by, now=now)


def hold(contract: Contract) -> None:
    """Nobody else asks or answers about this contract until the transaction ends."""
    lock_row(Contract.select(Contract.id).where(Contract.id == contract.id)).get()


def add(
    contract: Contract, revision: Revision, sha256: str, need: Need, *, by: Actor, now: datetime, **more: Any
) -> Approval:
    asker = by.id if by.kind == "person" else contract.owner_id  # type: ignore[attr-defined]
    values = {"state": "waiting", "asked_by": asker, **more}
    row: Approval = Approval.add(
        contract=contract, revision=revision, sha256=sha256, rule=need.rule, key=need.key,
        matter=need.matter, roles=list(need.roles), moment=need.moment, step=need.step, why=need.why,
        created_at=now, **values,
    )  # fmt: skip
    return row


def last_answer(contract: Contract, need: Need) -> Approval | None:
    """What was said last to the same need, of whatever text."""
    same = (Approval.contract == contract) & (Approval.key == need.key) & (Approval.moment == need.moment)
    answered = same & Approval.state.in_(("approved", "returned"))
    found: Approval | None = (
        Approval.select().where(answered).order_by(Approval.decided_at.desc(), Approval.id.desc()).first()
    )
    return found


def carry_over(
    contract: Contract, revision: Revision, sha256: str, need: Need, earlier: Approval | None, *,
    by: Actor, now: datetime,
) -> bool:  # fmt: skip
    """Take an earlier approval over to this text, where nothing it looked at has changed since."""
    if earlier is None or earlier.state != "approved" or earlier.matter != need.matter:
        return False
    if not earlier.is_own and earlier.decided_by_id in approvers.authors(contract):  # type: ignore[attr-defined]
        return False  # they have written in it since
    add(
        contract, revision, sha256, need, by=by, now=now, state="approved",
        decided_by=earlier.decided_by, substitute_for=earlier.substitute_for,
        decided_at=earlier.decided_at, is_own=earlier.is_own, carried_from=earlier.id,
        asked_at=earlier.asked_at,
    )  # fmt: skip
    record("approval.carried_over", contract, by, now, sha256=sha256, from_sha256=earlier.sha256,
           roles=list(need.roles), rule=need.rule.id)  # fmt: skip
    return True


def withdraw_open(contract: Contract, moment: str | None = None, *, but: Sequence[str] = ()) -> None:
    """What is still waited for need not be answered any more."""
    wanted = (Approval.contract == contract) & Approval.state.in_(OPEN)
    if moment is not None:
        wanted &= Approval.moment == moment
    if but:
        wanted &= Approval.id.not_in(list(but))
    Approval.update(state="void").where(wanted).execute()


def go_on(contract: Contract, sha256: str, moment: str, *, by: Actor, now: datetime) -> None:
    """Ask the people of the next step; once nobody is left, the text is ready."""
    rows = in_order(row for row in latest(contract, sha256, moment).values() if row.state in OPEN)
    if not rows:
        if moment == SIGN and contract.state == "approval":
            contract_states.become(contract, "ready_to_sign", by=SYSTEM, now=now, sha256=sha256)
        if by.id != contract.owner.id:  # who pressed sees it
            approval_mails.tell_ready(contract, moment, now)
        return
    step = min(row.step for row in rows)
    turn = [row for row in rows if row.step == step]
    fresh = [row for row in turn if row.state == "waiting"]
    for row in fresh:
        Approval.update(state="asked", asked_at=now, next_reminder_at=now + REMIND_AFTER).where(
            Approval.id == row.id
        ).execute()
    people = {row.id: approvers.to_ask(contract, row.roles, now) for row in turn}
    if fresh:
        approval_mails.ask(contract, people, fresh, now, reasons(contract, fresh), moment=moment)
    if moment == SIGN:
        names = list(dict.fromkeys(each.name for asked in people.values() for each in asked))
        waits = ", ".join(names[:3]) or contract.owner.name
        Contract.update(waiting_for=waits).where(Contract.id == contract.id).execute()
        contract.waiting_for = waits


def reasons(contract: Contract, rows: Sequence[Approval]) -> approval_mails.Say:
    """Why each row is asked, to be said in the reader's language; as it was asked where a rule changed."""

    def say() -> dict[str, str]:
        needs = {need.key: need.why for need in needed(contract, rows[0].revision, rows[0].moment)}
        return {row.id: needs.get(row.key, row.why) for row in rows}

    return say


# -- Answering --------------------------------------------------------------------------------------


def mine(contract: Contract, person: Person, now: datetime) -> list[tuple[Approval, approvers.Right]]:
    """What this person may answer now."""
    asked = [row for row in of(contract) if row.state == "asked" and is_live(contract, row)]
    rights = [(row, approvers.right(contract, row.roles, person, now)) for row in asked]
    return [(row, right) for row, right in rights if right is not None]


def is_live(contract: Contract, row: Approval) -> bool:
    """Whether the contract still stands where the answer matters."""
    if row.moment == SIGN:
        return contract.state == "approval"
    is_open = contract_states.is_editable(contract)
    return is_open and row.sha256 == text_sha256(contract, revisions.current(contract))


def approve(contract: Contract, *, sha256: str, by: Actor, now: datetime) -> None:
    """Say yes to exactly this text, for every role of the person that is asked now.

    Raises Conflict when the text is another by now or nothing is asked, NotAllowed for others.
    """
    with transaction():
        answers = answerable(contract, sha256, by, now)
        for row, right in answers:
            decide(row, "approved", by, now, substitute_for=right.substitute_for, is_own=right.is_own)
        record("approval.given", contract, by, now, sha256=sha256, **facts_of(answers))
        for moment in dict.fromkeys(row.moment for row, _right in answers):
            go_on(contract, sha256, moment, by=by, now=now)


def send_back(contract: Contract, *, sha256: str, reason: str, by: Actor, now: datetime) -> None:
    """Say no, with a reason: the text goes back to its owner. Raises Invalid without a reason."""
    if not reason.strip():
        raise Invalid({"reason": _("Say what must change.")})
    reason = reason.strip()[:2000]
    with transaction():
        answers = answerable(contract, sha256, by, now)
        for row, right in answers:
            decide(row, "returned", by, now, substitute_for=right.substitute_for, reason=reason)
        withdraw_open(contract)
        if contract.state == "approval":
            stands_in = all(right.substitute_for for _row, right in answers)
            contract_states.become(
                contract, "negotiation", by=by, now=now, reason=reason,
                policy=SUBSTITUTE if stands_in else "",
            )  # fmt: skip
        record("approval.returned", contract, by, now, reason, sha256=sha256, **facts_of(answers))
        approval_mails.tell_returned(contract, by, reason, now)


def take_back(contract: Contract, *, by: Actor, now: datetime) -> None:
    """The owner works on the text again before all have answered, inside the caller's transaction."""
    contract_states.become(
        contract, "negotiation", by=by, now=now, reason=_("Taken back to be changed."),
        facts={"taken_back": True},
    )  # fmt: skip
    withdraw_open(contract)


def answerable(
    contract: Contract, sha256: str, by: Actor, now: datetime
) -> list[tuple[Approval, approvers.Right]]:
    """The rows that the person answers, under the contract's lock."""
    hold(contract)
    fresh = Contract.get_by_id(contract.id)
    contract.state = fresh.state
    person = Person.get_or_none(Person.id == by.id) if by.kind == "person" else None
    if person is None:
        raise NotAllowed(_("This approval is not yours to give."))
    rows = mine(contract, person, now)
    if not rows:
        raise why_not(contract, person)
    answers = [(row, right) for row, right in rows if row.sha256 == sha256]
    if not answers or text_sha256(contract, revisions.current(contract)) != sha256:
        raise Conflict(_("The text has changed since you opened this page. Look at it again first."))
    return answers


def why_not(contract: Contract, person: Person) -> Conflict | NotAllowed:
    """What to tell somebody who has nothing to answer."""
    asked = [row for row in of(contract) if row.state == "asked" and is_live(contract, row)]
    if not asked:
        return Conflict(_("Nobody is asked to approve this text now."))
    held = any(person.id in {each.id for each in approvers.holders(row.roles)} for row in asked)
    if held and person.id in approvers.authors(contract):
        return NotAllowed(_("You have written in this text, so somebody else must approve it."))
    return NotAllowed(_("This approval is not yours to give."))


def decide(
    row: Approval, state: str, by: Actor, now: datetime, *, substitute_for: Person | None = None,
    reason: str = "", is_own: bool = False,
) -> None:  # fmt: skip
    Approval.update(
        state=state, decided_by=by.id, decided_at=now, substitute_for=substitute_for, reason=reason,
        is_own=is_own, next_reminder_at=None,
    ).where((Approval.id == row.id) & (Approval.state == "asked")).execute()  # fmt: skip


def facts_of(answers: Sequence[tuple[Approval, approvers.Right]]) -> dict[str, Any]:
    """What the trail keeps of an answer."""
    substitutes = [right.substitute_for.id for _row, right in answers if right.substitute_for]
    told: dict[str, Any] = {
        "approvals": [row.id for row, _right in answers],
        "roles": sorted({role for row, _right in answers for role in row.roles}),
    }
    if substitutes:
        told["substitute_for"] = sorted(set(substitutes))
    if any(right.is_own for _row, right in answers):
        told["own_text"] = True
    return told


def is_approved_by_author(contract: Contract) -> bool:
    """The lasting mark: an approval was given by somebody who wrote the text."""
    return bool(
        Approval.select(Approval.id).where((Approval.contract == contract) & Approval.is_own).exists()
    )


def last_returned(contract: Contract) -> Approval | None:
    """What sent the text back to where it is now; None once it was put up again, or never was."""
    newest = [row for row in of(contract) if row.state in ("returned", *OPEN)][-1:]
    return newest[0] if newest and newest[0].state == "returned" else None


def record(act: str, contract: Contract, by: Actor, now: datetime, reason: str = "", **facts: Any) -> None:
    personal = {"reason": reason} if reason else None
    subject = ("contract", contract.id)
    audit.append(act, subject, chain=contract.id, by=by, now=now, facts=facts, personal=personal)
