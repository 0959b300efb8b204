"""A contract that is being negotiated: Ana for us, Claire for Castellan."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.models.contracts import Contract
from portal.models.negotiation import Negotiator
from portal.services import negotiation
from portal.services.negotiation import OURS, THEIRS, Party
from tests.cast import Cast
from tests.services.drafting import actor, draft


def ours(person: Any) -> Party:
    return Party(OURS, person.name, person.email, person=person)


def theirs(negotiator: Negotiator) -> Party:
    return Party(THEIRS, negotiator.name, negotiator.email, negotiator=negotiator)


def invite(contract: Contract, cast: Cast, now: datetime) -> Negotiator:
    return negotiation.invite(
        contract, name="Claire Aubert", email="claire@castellan.example", language="fr",
        by=actor(cast.ana), now=now,
    )  # fmt: skip


def opened(cast: Cast, now: datetime, **changes: Any) -> tuple[Contract, Party, Party]:
    """The contract with its first text shared, Ana's side and Claire's."""
    contract = draft(cast, now, **changes)
    claire = invite(contract, cast, now)
    negotiation.share(contract, note="", by=actor(cast.ana), now=now)
    return Contract.get_by_id(contract.id), ours(cast.ana), theirs(claire)
