"""Rules in an order of their own: what lists of rules do alike, whatever a rule says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any


def rewrite(rule: Any, values: Mapping[str, Any], now: datetime) -> None:
    """Write other values into a rule, inside the caller's transaction."""
    for field, value in values.items():
        setattr(rule, field, value)
    rule.updated_at = now
    rule.save()


def switch(rule: Any, on: bool, now: datetime) -> None:
    """On or off, inside the caller's transaction."""
    table = type(rule)
    table.update(is_active=on, updated_at=now).where(table.id == rule.id).execute()
    rule.is_active = on


def swap(rule: Any, *, up: bool) -> bool:
    """Change places with the neighbour, inside the caller's transaction; False at an end of the list."""
    table = type(rule)
    rules = list(table.select().order_by(table.position, table.id))
    at = next(place for place, other in enumerate(rules) if other.id == rule.id)
    to = at - 1 if up else at + 1
    if not 0 <= to < len(rules):
        return False
    rules[at], rules[to] = rules[to], rules[at]
    for position, each in enumerate(rules):
        table.update(position=position).where(table.id == each.id).execute()
    rule.position = to
    return True


def is_amount(value: Any) -> bool:
    try:
        return Decimal(value) >= 0
    except InvalidOperation:
        return False
