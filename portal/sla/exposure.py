"""The worst that service credits can cost in one contract year, from the terms alone.

Worst means: no minute of uptime in any period, and as many missed promises as it takes. Days that
the contract runs longer are no money and are left out; so are fees that an index will change.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from portal.sla import money
from portal.sla.terms import Terms

HUNDRED = Decimal(100)
HOURS_A_DAY = 24


@dataclass(frozen=True)
class Exposure:
    """`amount` is None where nothing limits the credits, or where no fee is agreed yet."""

    amount: Decimal | None
    is_limited: bool = True


def worst_year(terms: Terms) -> Exposure:
    """All credits of one contract year at their worst, under every limit the terms hold."""
    yearly = money.yearly_fee(terms)
    limits = terms["credits"]["caps"]
    share = worst_share(terms)
    if yearly is None:
        return Exposure(None, share is not None or limits["year_pct"] is not None)
    bounds = [] if share is None else [yearly * share / HUNDRED]
    if limits["year_pct"] is not None:
        bounds.append(yearly * Decimal(limits["year_pct"]) / HUNDRED)
    if limits["year_amount"] is not None:
        bounds.append(Decimal(limits["year_amount"]))
    whole = money.value(terms)
    if limits["term_pct"] is not None and whole is not None:
        bounds.append(whole * Decimal(limits["term_pct"]) / HUNDRED)
    if not bounds:
        return Exposure(None, is_limited=False)
    return Exposure(money.cents(min(bounds)))


def worst_share(terms: Terms) -> Decimal | None:
    """Percent of a period's fee at most credited for it; None where nothing limits it.

    Every period may be the worst, so a year's share of a year's fee is the same.
    """
    cap = terms["credits"]["caps"]["period_pct"]
    if any(any(row[name] for name in ("response", "resolution", "update")) for row in breaches(terms)):
        return None if cap is None else Decimal(cap)  # as many misses as it takes
    total = downtime_share(terms)
    return total if cap is None else min(total, Decimal(cap))


def breaches(terms: Terms) -> list[dict[str, str | None]]:
    return [dict(row) for row in terms["credits"]["breaches"]]  # type: ignore[arg-type]


def downtime_share(terms: Terms) -> Decimal:
    """Percent of the fee for a period that was down from end to end: tier, proportional and by the day."""
    rules, promise = terms["credits"], terms["uptime"]
    total = Decimal(0)
    if promise is not None:
        total += max((Decimal(tier["credit_pct"]) for tier in promise["tiers"]), default=Decimal(0))
    if rules["proportional"] is not None:
        total += HUNDRED * Decimal(rules["proportional"]["multiple"])
    if rules["per_day"] is not None:  # each day costs so many hours of the fee, of its 24
        total += HUNDRED * Decimal(rules["per_day"]["hourly_multiple"]) / HOURS_A_DAY
    return total
