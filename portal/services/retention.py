"""How long after its end a contract is archived, and how long it is kept at least."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.lives import ContractLife
from portal.services import audit, installation
from portal.services.audit import INSTALLATION, Actor
from portal.sla import duration

FACT = "retention"
PHI_YEARS = 6  # from creation or the last day in force, whichever is later: 45 CFR 164.316(b)(2)
MOST_DAYS, MOST_YEARS = 3650, 100


@dataclass(frozen=True)
class Policy:
    archive_days: int = 365  # calendar days after a contract was closed, or a bare file was signed
    keep_years: int = 10  # after the same day


def policy() -> Policy:
    known: dict[str, Any] = installation.fact(FACT) or {}
    return Policy(**{name: known[name] for name in asdict(Policy()) if name in known})


def change(wanted: Policy, *, by: Actor, now: datetime) -> None:
    """Set the policy for what is archived from now on. Raises Invalid by field."""
    errors = {}
    if not 0 <= wanted.archive_days <= MOST_DAYS:
        errors["archive_days"] = _("Write a number of days from 0 to %(most)s.", most=MOST_DAYS)
    if not 1 <= wanted.keep_years <= MOST_YEARS:
        errors["keep_years"] = _("Write a number of years from 1 to %(most)s.", most=MOST_YEARS)
    if errors:
        raise Invalid(errors)
    with transaction():
        before = asdict(policy())
        installation.set_fact(FACT, asdict(wanted), now)
        audit.append(
            "retention.changed", ("installation", FACT), chain=INSTALLATION, by=by, now=now,
            facts={**asdict(wanted), "before": before},
        )  # fmt: skip


def keep_until(contract: Contract, life: ContractLife, ended_on: date) -> date:
    """The first day on which a contract may be deleted: the latest of what policy and law ask for."""
    days = [duration.add_months(ended_on, 12 * policy().keep_years)]
    if contract.has_phi:
        last_effective = max(
            filter(None, (contract.created_at.date(), contract.end_on, life.ends_on, ended_on))
        )
        days.append(duration.add_months(last_effective, 12 * PHI_YEARS))
    return max(days)
