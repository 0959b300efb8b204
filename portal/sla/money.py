"""What a contract is worth: exact decimals, rounded once, half up, to cents."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from portal.sla import duration
from portal.sla.terms import Terms

PERIOD_MONTHS = {"month": 1, "quarter": 3, "year": 12}
CENT = Decimal("0.01")


def monthly_fee(terms: Terms) -> Decimal | None:
    """The fee for one month, however it is billed."""
    yearly = yearly_fee(terms)
    return None if yearly is None else cents(yearly / 12)


def yearly_fee(terms: Terms) -> Decimal | None:
    fee = terms["commercial"]["fee"]
    if fee is None:
        return None
    return cents(Decimal(fee) * 12 / PERIOD_MONTHS[terms["commercial"]["fee_period"]])


def value(terms: Terms) -> Decimal | None:
    """All fees from the first day to the last, with the price of a peak level; None until both are known.

    Indexation is left out, since nobody knows it yet; days beyond whole months count as thirtieths.
    """
    yearly, months = yearly_fee(terms), duration.term_months(terms)
    first, last = duration.first_day(terms), duration.last_day(terms)
    if yearly is None or months is None or first is None or last is None:
        return None
    spare_days = (last + timedelta(days=1) - duration.add_months(first, months)).days
    peak = terms["commercial"]["peak_level"]
    price = Decimal(peak["price"]) if peak else Decimal(0)
    return cents(yearly / 12 * (months + Decimal(spare_days) / 30) + price)


def liability(terms: Terms) -> Decimal | None:
    """The liability cap as an amount; None when there is no cap, or no fee to compute it from."""
    cap, monthly = terms["commercial"]["liability_cap"], monthly_fee(terms)
    if cap is None:
        return None
    if "amount" in cap:
        return Decimal(cap["amount"])
    yearly = yearly_fee(terms)
    if monthly is None or yearly is None or "fee_months" not in cap:
        return None
    return cents(yearly * cap["fee_months"] / 12)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)
