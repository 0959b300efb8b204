"""What owners are written about the end of a term, and the other party about a notice."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from portal.i18n import format_date, use
from portal.models.contracts import Contract
from portal.models.lives import ContractTerm
from portal.models.people import Person
from portal.services import lives, notices, permissions


def remind(
    contract: Contract,
    present: ContractTerm,
    decide_on: date,
    working_day: date | None,
    *,
    zone: str,
    written: dict[str, Any],
    now: datetime,
) -> None:
    """Tell whoever answers for a contract that its last day to act is near; in the caller's transaction."""
    for person in answerable(contract):
        with use(person.language, person.zone):
            said = {
                "day": format_date(decide_on, long=True),
                "working_day": format_date(working_day, long=True) if working_day else "",
                "happens": lives.if_nobody_acts(present, written),
            }
        notices.queue(
            "renewal_due", address=person.email, name=person.name, language=person.language,
            zone=person.zone, now=now, contract=contract, person_id=person.id,
            context={
                **said,
                "place": zone,
                "party": contract.counterparty.name if contract.counterparty else "",
                "has_notice": present.notice_on is not None,
                "link": notices.url(f"/contracts/{contract.reference}"),
            },
        )  # fmt: skip


def answerable(contract: Contract) -> list[Person]:
    """Its owner; once they have left, those who can give it to somebody else."""
    if contract.owner.disabled_at is None:
        return [contract.owner]
    ids = [each.id for each in permissions.who_may("contract.reassign")]
    return list(Person.select().where(Person.id.in_(ids)))
