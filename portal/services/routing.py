"""Whose turn it is. People with one number act at the same time, and who approves comes before who signs."""

from __future__ import annotations

from collections.abc import Iterable

from portal.models.envelopes import Recipient

DONE = ("signed", "approved", "copied")


def group_of(recipient: Recipient) -> tuple[int, int]:
    """Those with equal values act at the same time; lower ones come first."""
    return recipient.routing_order, 0 if recipient.role == "approver" else 1


def steps(recipients: Iterable[Recipient]) -> dict[str, int]:
    """By key, for those who act: the order as providers are told it, from 1 and without gaps.

    Who approves has a step before those who sign with the same number.
    """
    acting = [r for r in recipients if r.role != "copy"]
    groups = sorted({group_of(r) for r in acting})
    return {r.key: groups.index(group_of(r)) + 1 for r in acting}


def next_group(recipients: Iterable[Recipient]) -> list[Recipient]:
    """Who is to act now; empty when everybody has."""
    left = [r for r in recipients if r.role != "copy" and r.status not in DONE]
    first = min((group_of(r) for r in left), default=None)
    return [r for r in left if group_of(r) == first]
