"""What comes out of a running contract: the contract that renews it, and amendments of it."""

from __future__ import annotations

import copy
from datetime import date, datetime, timedelta
from typing import Any

import peewee

from portal.errors import Conflict
from portal.i18n import format_date, use
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, ContractContact
from portal.models.parties import Signatory
from portal.models.people import Person
from portal.services import audit, contract_search, contract_states, contracts, lives, revisions
from portal.services.contract_states import BEFORE_SIGNED, ELSEWHERE, RUNNING
from portal.sla import calendars, duration

# A contract may be renewed or changed once it is signed, live or not yet.
OPEN = ("signed", "onboarding", *RUNNING)


def renew(contract: Contract, *, owner: Person, by: audit.Actor, now: datetime) -> Contract:
    """A draft with the same terms for the time behind this one's end. Raises Conflict for a second one."""
    demand_open(contract)
    with transaction():
        lock_row(Contract.select().where(Contract.id == contract.id)).get()
        known = open_renewal(contract)
        if known is not None:
            raise Conflict(_("It is being renewed already, with %(reference)s.", reference=known.reference))
        terms = renewed_terms(contract)
        made = draft_from(contract, contract.title, terms, own_clauses(contract), owner, by=by, now=now)
        Contract.update(renews_id=contract.id, **contracts.derived(terms)).where(
            Contract.id == made.id
        ).execute()
        note("renewal.drafted", contract, made, by, now)
    return Contract.get_by_id(made.id)


def amend(contract: Contract, *, owner: Person, by: audit.Actor, now: datetime) -> Contract:
    """A draft that changes this contract once it is signed: its whole text, to be changed where it differs.

    Raises Conflict while another amendment is under way.
    """
    demand_open(contract)
    with transaction():
        lock_row(Contract.select().where(Contract.id == contract.id)).get()
        known = next((each for each in lives.amendments(contract) if each.state in BEFORE_SIGNED), None)
        if known is not None:
            raise Conflict(_("An amendment is under way already: %(reference)s.", reference=known.reference))
        number = next_number(contract)
        terms = copy.deepcopy(lives.text(contract))
        made = draft_from(
            contract, amended_title(contract, number), terms, amended_clauses(contract, number), owner,
            by=by, now=now, reference=f"{contract.reference}-A{number}",
            kind="file" if contract.kind == "file" else "amendment",
        )  # fmt: skip
        Contract.update(parent_id=contract.id, amendment_number=number).where(
            Contract.id == made.id
        ).execute()
        note("amendment.drafted", contract, made, by, now)
    return Contract.get_by_id(made.id)


def demand_open(contract: Contract) -> None:
    if contract.state not in OPEN or not lives.has_terms(contract):
        raise Conflict(
            _("This contract is “%(state)s”: it can be neither renewed nor amended.",
              state=contract_states.NAMES[contract.state])
        )  # fmt: skip


def open_renewal(contract: Contract) -> Contract | None:
    """The contract that renews this one, drafted or signed; one that came to nothing does not count."""
    found: Contract | None = (
        Contract.select()
        .where((Contract.renews_id == contract.id) & Contract.state.not_in(contract_states.WITHOUT_FORCE))
        .order_by(Contract.created_at.desc())
        .first()
    )
    return found


def next_number(contract: Contract) -> int:
    query = Contract.select(peewee.fn.MAX(Contract.amendment_number)).where(Contract.parent_id == contract.id)
    return int(query.scalar() or 0) + 1


def renewed_terms(contract: Contract) -> dict[str, Any]:
    """The terms in force with the dates of the time that follows."""
    terms = copy.deepcopy(lives.text(contract))
    present, commercial = lives.term(contract), terms["commercial"]
    if present is None or present.ends_on is None:
        return terms
    months = commercial["renewal"]["months"] or commercial["length_months"]
    if not months and present.starts_on:
        months = max(1, round((present.ends_on - present.starts_on).days / 30.44))
    begins = present.ends_on + timedelta(days=1)
    years = begins.year - (present.starts_on or begins).year
    commercial["start_on"], commercial["end_on"] = begins.isoformat(), None
    commercial["length_months"] = months
    move_dates(terms, years)
    return terms


def move_dates(terms: dict[str, Any], years: int) -> None:
    """Peaks and freezes that return each year, and public holidays, of the time that follows."""
    first, last = duration.first_day(terms), lives.safely(duration.last_day, terms)
    if first is None or last is None:
        return
    for holder, name in ((terms, "peaks"), (terms["release"], "freezes")):
        moved = [later(each, 12 * years) for each in holder[name]]
        holder[name] = [
            each for each in moved if each["to"] >= first.isoformat() and each["from"] <= last.isoformat()
        ]
    for key, calendar in terms["calendars"].items():
        kept = [each for each in calendar["overrides"] if ends_of(each) >= first.isoformat()]
        calendar["overrides"] = kept
        source = calendar["holidays"]
        if source is not None:
            terms["calendars"][key] = calendars.with_holidays(
                calendar, source["country"], source["subdivision"], first, last
            )


def later(span: dict[str, Any], months: int) -> dict[str, Any]:
    """The same span so many months on."""
    moved = {end: duration.add_months(date.fromisoformat(span[end]), months) for end in ("from", "to")}
    return span | {end: day.isoformat() for end, day in moved.items()}


def ends_of(override: dict[str, Any]) -> str:
    return str(override.get("date") or override.get("to"))


def own_clauses(contract: Contract) -> list[dict[str, Any]]:
    amended = lives.amendments(contract, signed=True)
    found = revisions.current(amended[-1] if amended else contract).clauses
    return [clause for clause in found if clause["key"] != "amendment"]


def amended_title(contract: Contract, number: int) -> str:
    with use(contract.languages[0]):
        return _("Amendment A%(number)s: %(title)s", number=number, title=contract.title)[:200]


def amended_clauses(contract: Contract, number: int) -> list[dict[str, Any]]:
    """The contract's clauses, behind one that says what this text is to it."""
    if contract.kind == "file":
        return []
    clause: dict[str, Any] = {"key": "amendment", "level": 1, "heading": {}, "text": {}}
    life = lives.of(contract)
    for language in contract.languages:
        with use(language):
            day = format_date(life.signed_on, long=True) if life and life.signed_on else ""
            clause["heading"][language] = _("Amendment")
            clause["text"][language] = _(
                "This amendment A%(number)s changes contract %(reference)s, signed on %(day)s. From its "
                "signature on, the text below takes the place of the former one; what was earned or owed "
                "before stays as it was.",
                number=number, reference=contract.reference, day=day,
            )  # fmt: skip
    return [clause, *own_clauses(contract)]


def draft_from(
    source: Contract,
    title: str,
    terms: dict[str, Any],
    clauses: list[dict[str, Any]],
    owner: Person,
    *,
    by: audit.Actor,
    now: datetime,
    reference: str = "",
    kind: str = "",
) -> Contract:
    """A draft for the same people, to be compared with what is in force."""
    made = contracts.create(
        entity=source.entity, side=source.side, owner=owner, title=title, kind=kind or source.kind,
        counterparty=source.counterparty, template_version=source.template_version, terms=terms,
        clauses=clauses, languages=source.languages, recipients=[dict(each) for each in source.recipients],
        signatory=Signatory.get_or_none(Signatory.id == source.signatory_id), copied_from=source,
        base=(lives.text(source), own_clauses(source)), by=by, now=now, reference=reference,
    )  # fmt: skip
    for each in contracts.people(source):
        if each.role != "owner":
            ContractContact.create(
                contract=made, side=each.side, role=each.role, person=each.person, contact=each.contact
            )
    flags = [flag for flag in source.flags if flag not in (ELSEWHERE, revisions.READING)]
    Contract.update(prevailing_language=source.prevailing_language, flags=flags).where(
        Contract.id == made.id
    ).execute()
    contract_search.index(made)
    return made


def note(act: str, contract: Contract, made: Contract, by: audit.Actor, now: datetime) -> None:
    audit.append(
        act, ("contract", contract.id), chain=contract.id, by=by, now=now, facts={"reference": made.reference}
    )
