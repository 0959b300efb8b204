"""Approvals as people read them: what differs, what is at stake, who stands where, and the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.i18n import format_datetime, format_money, lazy
from portal.i18n import gettext as _
from portal.models.approvals import Approval
from portal.models.contracts import Contract, Revision
from portal.services import approval_rules, approvals, approvers, deviations, revisions
from portal.services.deviations import Deviation
from portal.sla import exposure, money, shape
from portal.sla.ladder import ACCEPTABLE, APPROVAL, NOT_ALLOWED

LEVELS: dict[str, tuple[Any, str]] = {
    ACCEPTABLE: (lazy("Within the author’s range"), "none"),
    APPROVAL: (lazy("%(role)s decides"), "wait"),
    NOT_ALLOWED: (lazy("Not allowed"), "bad"),
}
STATES = {
    "waiting": (lazy("Asked after the others"), "none"),
    "asked": (lazy("Waiting"), "wait"),
    "approved": (lazy("Approved"), "good"),
    "returned": (lazy("Sent back"), "bad"),
    "void": (lazy("No longer asked"), "none"),
}
MOST_WORDS = 600  # of a changed clause on the approver's page; the whole stands in the version


@dataclass(frozen=True)
class Difference:
    """A deviation with its level in words."""

    label: str
    before: str
    after: str
    level: str
    tone: str


def differences(found: Sequence[Deviation]) -> list[Difference]:
    return [
        Difference(
            each.label, short(each.before), short(each.after),
            str(LEVELS[each.level][0]) % {"role": approval_rules.role_name(each.role)},
            LEVELS[each.level][1],
        )
        for each in found
    ]  # fmt: skip


def short(text: str) -> str:
    return text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS].rsplit(' ', 1)[0]} …"


@dataclass(frozen=True)
class Stake:
    """One figure of what is at stake, with the template's where it is another."""

    label: str
    figure: str
    about: str = ""


def stakes(contract: Contract, revision: Revision) -> list[Stake]:
    """Liability, worst-case credits and fee a year; nothing for a file without terms."""
    terms: Any = revision.terms
    if revisions.terms_mode(contract) == revisions.NO_TERMS or shape.read(terms)[1]:
        return []
    base: Any = deviations.base_terms(contract, terms)
    if base is not None and shape.read(base)[1]:
        base = None
    found = [
        compared(_("Liability cap"), terms, base, liability),
        compared(_("Worst-case service credits a year"), terms, base, worst),
        compared(_("Fee a year"), terms, None, fee),
    ]
    return [each for each in found if each.figure]


def compared(label: str, terms: Any, base: Any, say: Any) -> Stake:
    now, was = say(terms), say(base) if base is not None else ""
    about = _("Template: %(was)s", was=was) if was and was != now else ""
    return Stake(label, now, about)


def liability(terms: Any) -> str:
    amount = money.liability(terms)
    if amount is not None:
        return in_currency(terms, amount)
    return _("no limit") if terms["commercial"]["liability_cap"] is None else ""


def worst(terms: Any) -> str:
    found = exposure.worst_year(terms)
    if not found.is_limited:
        return _("no limit")
    return in_currency(terms, found.amount) if found.amount is not None else ""


def fee(terms: Any) -> str:
    amount = money.yearly_fee(terms)
    return in_currency(terms, amount) if amount is not None else ""


def in_currency(terms: Any, amount: Decimal) -> str:
    return format_money(amount, terms["commercial"]["currency"] or "EUR")


@dataclass(frozen=True)
class Standing:
    """One answer that is asked for: who, why, how it stands."""

    who: str
    names: str
    why: str
    word: str
    tone: str
    note: str
    at: datetime | None
    state: str


def standings(contract: Contract, revision: Revision, moment: str, now: datetime) -> list[Standing]:
    """Every answer the text needs, in order, with what became of it so far."""
    sha256 = approvals.text_sha256(contract, revision)
    rows = list(approvals.latest(contract, sha256, moment).values())
    rows = [row for row in rows if row.state != "void"]
    said = approvals.reasons(contract, rows)() if rows else {}
    return [standing(contract, row, said.get(row.id, row.why), now) for row in approvals.in_order(rows)]


def standing(contract: Contract, row: Approval, why: str, now: datetime) -> Standing:
    word, tone = STATES[row.state]
    people = approvers.to_ask(contract, row.roles, now) if row.state in approvals.OPEN else []
    names = row.decided_by.name if row.decided_by else ", ".join(each.name for each in people)
    lacking = _("Nobody can answer: an administrator gives somebody the role.")
    return Standing(
        approvals.either(row.roles), names or lacking, why, str(word), tone, note_of(row),
        row.decided_at or row.asked_at, row.state,
    )  # fmt: skip


def note_of(row: Approval) -> str:
    notes = []
    if row.substitute_for:
        notes.append(_("For %(name)s.", name=row.substitute_for.name))
    if row.carried_from:
        notes.append(_("Given for an earlier text; nothing it looked at has changed."))
    if row.is_own:
        notes.append(_("Own text, since nobody else holds the role."))
    if row.reason:
        notes.append(_("Reason: %(reason)s", reason=row.reason))
    if row.escalated_at and row.state == "asked":
        notes.append(_("The executives were told on %(at)s.", at=format_datetime(row.escalated_at)))
    return " ".join(notes)


HEADS = (
    lazy("Contract"), lazy("Revision"), lazy("Fingerprint of the text"), lazy("Before"), lazy("Role"),
    lazy("Why"), lazy("Asked by"), lazy("Asked on"), lazy("State"), lazy("Answered by"),
    lazy("In the place of"), lazy("Answered on"), lazy("Reason"), lazy("Own text"), lazy("Carried over"),
)  # fmt: skip


def history(contract: Contract) -> Iterator[list[Any]]:
    """Every approval ever asked of a contract, oldest first, as rows below a head."""
    yield [str(head) for head in HEADS]
    for row in approvals.of(contract):
        yield [
            contract.reference, row.revision.number, row.sha256,
            str(approval_rules.MOMENTS[row.moment]), approvals.either(row.roles), row.why,
            row.asked_by.name if row.asked_by else "", moment(row.asked_at), str(STATES[row.state][0]),
            row.decided_by.name if row.decided_by else "",
            row.substitute_for.name if row.substitute_for else "", moment(row.decided_at), row.reason,
            _("yes") if row.is_own else "", _("yes") if row.carried_from else "",
        ]  # fmt: skip


def moment(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""
