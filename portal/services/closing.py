"""Closing a contract that has ended: the last duties are done, and the day is noted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.lives import ContractLife
from portal.services import audit, contract_states, lives, tasks
from portal.services.contract_states import Attempt

ENDED = ("renewed", "expired", "terminated")
DUTIES = {
    "period": lazy("The last period is settled and billed"),
    "credits": lazy("Service credits are settled"),
    "data": lazy("Data was returned or destroyed"),
    "access": lazy("Access was removed on both sides"),
}
PHI_DUTY = {"phi": lazy("Return or destruction of protected health information is attested")}


def duties(contract: Contract) -> dict[str, str]:
    """What must be done before this contract is closed, by key."""
    wanted = DUTIES | (PHI_DUTY if contract.has_phi else {})
    return {key: str(label) for key, label in wanted.items()}


@contract_states.guard("exit_done")
def exit_done(contract: Contract, attempt: Attempt) -> str:
    if tasks.open_for(contract):
        return _("Somebody still waits for an answer of ours.")
    done = set(attempt.facts.get("duties", ()))
    return "" if set(duties(contract)) <= done else _("Not everything is done that its end asks for.")


def close(
    contract: Contract, *, closed_on: date, done: Iterable[str], by: audit.Actor, now: datetime
) -> None:
    """Close an ended contract as of a day. Raises Invalid by field, Conflict, NotAllowed."""
    life = lives.of(contract)
    done = [key for key in duties(contract) if key in set(done)]
    errors = {key: _("Do this first, then tick it.") for key in duties(contract) if key not in done}
    if life is not None and closed_on > lives.today(life, now):
        errors["closed_on"] = _("This day has not come yet.")
    elif life is not None and life.signed_on is not None and closed_on < life.signed_on:
        errors["closed_on"] = _("The contract was not signed then.")
    if errors:
        raise Invalid(errors)
    with transaction():
        contract_states.become(
            contract, "completed", by=by, now=now,
            facts={"closed_on": closed_on.isoformat(), "duties": done},
        )  # fmt: skip
        if life is None:
            lives.begin(contract, signed_on=None, now=now)
        ContractLife.update(closed_on=closed_on).where(ContractLife.contract == contract).execute()
