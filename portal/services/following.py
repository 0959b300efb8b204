"""What a contract's dates bring about by themselves: it goes live, renews or ends, and people are reminded.

An hourly job looks at the contracts whose day may have come; each is followed in a transaction of
its own, and whatever was done before is not done again.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import peewee

from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.audit import AuditEvent
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract
from portal.models.lives import ContractLife, ContractTerm, Letter
from portal.services import audit, contract_states, jobs, lives, renewal_mails, renewals
from portal.services.audit import SYSTEM
from portal.services.contract_states import NO_CHECKLIST, Attempt
from portal.sla.terms import WEEKDAYS

STEPS = (90, 60, 30, 7)  # days before the last day to give notice
LAST_STEP = 2  # stands for 48 elapsed hours
LAST_CALL = timedelta(hours=48)
MOST_AT_ONCE = 500


# --- Guards ------------------------------------------------------------------------------------


@contract_states.guard("effective_date_set")
def effective_date_set(contract: Contract, attempt: Attempt) -> str:
    return "" if contract.start_on else _("It does not say when it starts.")


@contract_states.guard("term_over")
def term_over(contract: Contract, attempt: Attempt) -> str:
    life = lives.of(contract)
    last = last_day(contract, life) if life else None
    if life is None or last is None or last >= lives.today(life, attempt.now):
        return _("Its term is not over.")
    return ""


@contract_states.guard("notice_near")
def notice_near(contract: Contract, attempt: Attempt) -> str:
    return "" if renewals.is_due(contract, attempt.now) else _("Nothing has to be decided about it yet.")


@contract_states.guard("renewal_agreed")
def renewal_agreed(contract: Contract, attempt: Attempt) -> str:
    return "" if signed_renewal(contract) else _("No contract that renews it has been signed.")


@contract_states.guard("amendment_signed")
def amendment_signed(contract: Contract, attempt: Attempt) -> str:
    found = Contract.get_or_none(Contract.reference == attempt.facts.get("amendment", ""))
    if found is None or found.parent_id != contract.id or found.state not in lives.SIGNED:
        return _("No signed amendment of this contract is named.")
    return ""


@contract_states.guard("ground_in_contract")
def ground_in_contract(contract: Contract, attempt: Attempt) -> str:
    return "" if attempt.facts.get("ground") else _("Say which ground of the contract it rests on.")


def signed_renewal(contract: Contract) -> Contract | None:
    """The signed contract that takes this one's place, if any."""
    found: Contract | None = (
        Contract.select()
        .where((Contract.renews_id == contract.id) & Contract.state.in_(lives.SIGNED))
        .order_by(Contract.created_at)
        .first()
    )
    return found


def last_day(contract: Contract, life: ContractLife) -> date | None:
    present = lives.term(contract)
    return life.ends_on or (present.ends_on if present else None)


# --- The job -----------------------------------------------------------------------------------


@jobs.recurring("follow_contracts", timedelta(hours=1))
def follow_all(payload: dict[str, Any], context: jobs.Context) -> None:
    """Follow every contract whose day may have come."""
    for contract_id in candidates(context.clock()):
        follow_one(contract_id, context)
        context.renew()


@jobs.handler("follow_contract")
def follow_job(payload: dict[str, Any], context: jobs.Context) -> None:
    follow_one(payload["contract"], context)


def candidates(now: datetime) -> list[str]:
    """Ids of those that begin, end, renew or must be decided about soon, in any zone."""
    today = now.date() + timedelta(days=1)
    starts = (Contract.start_on <= today) & Contract.parent_id.is_null()
    signed = (Contract.state == "signed") & (starts | ContractLife.contract.is_null())
    begun = signed | (Contract.state == "onboarding")
    waiting = (
        Contract.select(Contract.id)
        .join(ContractLife, peewee.JOIN.LEFT_OUTER, on=(ContractLife.contract == Contract.id))
        .where(begun)
    )
    day = renewals.decide_by()
    running: Any = (
        ContractTerm.select(ContractTerm.contract)
        .join(Contract)
        .join(ContractLife, on=(ContractLife.contract == Contract.id))
        .where(
            ContractTerm.is_current
            & Contract.state.in_(contract_states.RUNNING)
            & ((day <= today + renewals.LEAD) | (ContractLife.ends_on < today))
        )
        .order_by(day)
    )
    return list(dict.fromkeys([*(row.id for row in waiting), *(row.contract_id for row in running)]))


def follow_one(contract_id: str, context: jobs.Context) -> None:
    with transaction():
        context.hold()
        contract = lock_row(Contract.select().where(Contract.id == contract_id)).first()
        if contract is not None:
            follow(contract, now=context.clock())


def follow(contract: Contract, *, now: datetime) -> None:
    """Whatever is due for one contract, inside the caller's transaction."""
    if contract.state == "signed" and lives.of(contract) is None:
        lives.begin(contract, signed_on=signing_day(contract, now), now=now)
    if contract.parent_id is not None:
        amend_parent(contract, now)
        return
    life = lives.of(contract)
    if life is None:
        return
    go_live(contract, life, now)
    if contract.state in contract_states.RUNNING:
        come_to_an_end(contract, life, now)
    if contract.state in contract_states.RUNNING:
        remind(contract, life, now)


def signing_day(contract: Contract, now: datetime) -> date:
    """When the last signature was given: it may have been long before anybody followed the contract."""
    from portal.services import envelopes

    envelope = envelopes.latest(contract)
    moment = envelope.ended_at if envelope is not None and envelope.status == "completed" else None
    return (moment or now).astimezone(UTC).date()


def go_live(contract: Contract, life: ContractLife, now: datetime) -> None:
    """From its first day on it is live: no checklist is asked for."""
    if (
        contract.start_on is None
        or contract.start_on > lives.today(life, now)
        or not lives.has_terms(contract)
    ):
        return
    if contract.state == "signed":
        contract_states.become(contract, "onboarding", by=SYSTEM, now=now, policy=NO_CHECKLIST)
    if contract.state == "onboarding":
        contract_states.become(contract, "active", by=SYSTEM, now=now, policy=NO_CHECKLIST)
    for amendment in lives.amendments(contract, signed=True):
        amend_parent(amendment, now)


def amend_parent(amendment: Contract, now: datetime) -> None:
    """Say on the contract that an amendment of it was signed; once, and once it is live."""
    parent = Contract.get_or_none(Contract.id == amendment.parent_id)
    if amendment.state not in lives.SIGNED or parent is None or parent.state != "active":
        return
    told = AuditEvent.select(AuditEvent.body).where(
        (AuditEvent.chain == parent.id) & (AuditEvent.act == AMENDED)
    )
    if amendment.reference in {json.loads(row.body)["facts"].get("amendment") for row in told}:
        return
    sha256 = next((each.sha256 for each in documents_of(amendment)), "")
    contract_states.become(
        parent, "active", by=SYSTEM, now=now, sha256=sha256, facts={"amendment": amendment.reference}
    )
    lives.retype(parent)
    columns = {"value_amount": amendment.value_amount, "currency": amendment.currency}
    Contract.update(columns).where(Contract.id == parent.id).execute()


AMENDED = "contract.amended"


def documents_of(contract: Contract) -> list[Any]:
    from portal.services import documents

    return documents.of(contract, "shown")[-1:]


# --- The end of a term ---------------------------------------------------------------------------


def come_to_an_end(contract: Contract, life: ContractLife, now: datetime) -> None:
    """What happens behind the last day: renewed, terminated or expired, or on by itself."""
    today = lives.today(life, now)
    while (last := last_day(contract, life)) is not None and last < today:
        renewal = signed_renewal(contract)
        if life.ends_on is not None:
            end_by_letter(contract, life, now)
            return
        if renewal is not None:
            give_way(contract, renewal, now)
            return
        present = lives.term(contract)
        following = lives.renew_tacitly(contract, present, now=now) if present else None
        if following is None:
            contract_states.become(contract, "expired", by=SYSTEM, now=now)
            return
        audit.append(
            "term.renewed", ("contract", contract.id), chain=contract.id, by=SYSTEM, now=now,
            facts={
                "number": following.number, "starts_on": said(following.starts_on),
                "ends_on": said(following.ends_on),
            },
        )  # fmt: skip
        life = lives.of(contract) or life


def said(day: date | None) -> str | None:
    return day.isoformat() if day else None


def end_by_letter(contract: Contract, life: ContractLife, now: datetime) -> None:
    """Its notice has run out: terminated where a ground was named, expired where it just was not renewed."""
    letter = (
        Letter.select()
        .where((Letter.contract == contract) & (Letter.state == "sealed"))
        .order_by(Letter.sealed_at.desc())
        .first()
    )
    if letter is not None and letter.kind == "termination":
        contract_states.become(
            contract, "terminated", by=SYSTEM, now=now, reason=letter.reason,
            facts={"ground": "letter", "letter": letter.id},
        )  # fmt: skip
        return
    contract_states.become(contract, "expired", by=SYSTEM, now=now)


def give_way(contract: Contract, renewal: Contract, now: datetime) -> None:
    facts = {"renewal": renewal.reference}
    if contract.state == "active":
        contract_states.become(contract, "renewal_due", by=SYSTEM, now=now, facts=facts)
    if contract.state == "renewal_due":
        contract_states.become(contract, "renewed", by=SYSTEM, now=now, facts=facts)


# --- Reminders ---------------------------------------------------------------------------------------


def remind(contract: Contract, life: ContractLife, now: datetime) -> None:
    """The owner hears once of each step; behind the last day a mark stays and nothing more is sent."""
    present = lives.term(contract)
    if present is None or life.notice_given_on is not None or signed_renewal(contract) is not None:
        return
    decide_on = renewals.day_of(present)
    if decide_on == date.max:
        return
    if now >= moment_after(decide_on, life):
        note_missed(contract, life, present, now)
        return
    step = due_step(decide_on, life, now)
    if step is None:
        return
    fresh = ContractTerm.reminded.is_null() | (ContractTerm.reminded > step)
    moved = ContractTerm.update(reminded=step).where((ContractTerm.id == present.id) & fresh).execute()
    if moved != 1:
        return
    audit.append(
        "renewal.reminded", ("contract", contract.id), chain=contract.id, by=SYSTEM, now=now,
        facts={"step": step, "decide_on": decide_on.isoformat(), "term": present.number},
    )  # fmt: skip
    written = lives.text(contract)
    renewal_mails.remind(
        contract, present, decide_on,
        last_working_day(written, decide_on), zone=life.zone, written=written, now=now,
    )  # fmt: skip


def due_step(decide_on: date, life: ContractLife, now: datetime) -> int | None:
    """The nearest step that has come: 90, 60, 30 or 7 days before, 2 within the last 48 hours."""
    if moment_after(decide_on, life) - now <= LAST_CALL:
        return LAST_STEP
    left = (decide_on - lives.today(life, now)).days
    return min((step for step in STEPS if left <= step), default=None)


def moment_after(day: date, life: ContractLife) -> datetime:
    """The instant at which the day is over where the contract's days are counted."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(life.zone)).astimezone(UTC)


def note_missed(contract: Contract, life: ContractLife, present: ContractTerm, now: datetime) -> None:
    if life.missed_on is not None or present.renewal != "tacit" or present.notice_on is None:
        return
    ContractLife.update(missed_on=present.notice_on).where(ContractLife.contract == contract).execute()
    audit.append(
        "notice.missed", ("contract", contract.id), chain=contract.id, by=SYSTEM, now=now,
        facts={"notice_on": present.notice_on.isoformat(), "term": present.number},
    )  # fmt: skip


def last_working_day(written: dict[str, Any], day: date) -> date | None:
    """The last working day up to a closed one; None where the day itself is open. The legal date stays."""
    if not is_closed(written, day):
        return None
    found = day
    for _step in range(30):
        found -= timedelta(days=1)
        if not is_closed(written, found):
            return found
    return None


def is_closed(written: dict[str, Any], day: date) -> bool:
    """By the contract's business calendar where it has one, else a Saturday or Sunday."""
    calendars = [each for each in written["calendars"].values() if not each["always"] and each["weekly"]]
    business = written["calendars"].get("business")
    calendar = business if business in calendars else next(iter(calendars), None)
    if calendar is None:
        return day.weekday() >= 5
    for override in calendar["overrides"]:
        first = override.get("date") or override.get("from")
        last = override.get("date") or override.get("to")
        if first <= day.isoformat() <= last:
            return not override["hours"]
    return not calendar["weekly"].get(WEEKDAYS[day.weekday()])


# --- By hand -------------------------------------------------------------------------------------------


def start_now(contract: Contract, *, by: audit.Actor, now: datetime) -> None:
    """A service manager makes a signed contract live before the job does. Raises Conflict."""
    if contract.state not in ("signed", "onboarding") or not lives.has_terms(contract):
        raise Conflict(contract_states.not_allowed(contract.state, "active"))
    with transaction():
        lives.begin(contract, signed_on=signing_day(contract, now), now=now)
        if contract.state == "signed":
            contract_states.become(contract, "onboarding", by=by, now=now, policy=NO_CHECKLIST)
        contract_states.become(contract, "active", by=by, now=now, policy=NO_CHECKLIST)
