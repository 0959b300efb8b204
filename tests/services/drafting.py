"""A complete draft to begin with, and Ana as the trail names her."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from portal.models.contracts import Contract
from portal.services import new_contracts, templates
from portal.services.audit import Actor
from tests.cast import Cast


def actor(person: Any) -> Actor:
    return Actor("person", person.id, person.name, person.email)


def answers(cast: Cast, **changes: Any) -> new_contracts.FastLane:
    """The eight answers of a standard contract with Castellan."""
    given = new_contracts.FastLane(
        template_version_id=templates.offered()[0].id,
        level="premium",
        side="supplier",
        party="Castellan Pharma SA",
        signatory_id=cast.signatory.id,
        their_name="Marc Delorme",
        their_email="marc@castellan.example",
        their_title="Managing Director",
        product="Larkfield Quote",
        fee=Decimal("15500"),
        currency="EUR",
        start_on=date(2027, 1, 1),
        length_months=36,
    )
    return replace(given, **changes)


def draft(cast: Cast, now: datetime, **changes: Any) -> Contract:
    """A draft that misses nothing, owned by Ana."""
    templates.seed(now)
    return new_contracts.fast_lane(answers(cast, **changes), owner=cast.ana, by=actor(cast.ana), now=now)
