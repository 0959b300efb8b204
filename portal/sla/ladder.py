"""How far a number may leave the template: the ranges of each term, and the level a number falls into.

The first range that holds a number gives its level, so the bounds of neighbours may touch. What no
range holds is not allowed. Figures are seen from the side that owes the promise; for the other side
only what is worse than the template asks for anything (`judged`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Level = Literal["acceptable", "approval", "not_allowed"]
ACCEPTABLE: Level = "acceptable"
APPROVAL: Level = "approval"
NOT_ALLOWED: Level = "not_allowed"

SERVICE, FINANCE, LEGAL, EXECUTIVE, PRIVACY = (
    "service_approver", "finance", "legal", "executive", "privacy",
)  # fmt: skip


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; None is open. `role` approves where one must."""

    low: str | None
    high: str | None
    level: Level
    role: str = ""

    def holds(self, number: Decimal) -> bool:
        return (self.low is None or number >= Decimal(self.low)) and (
            self.high is None or number <= Decimal(self.high)
        )


@dataclass(frozen=True)
class Ladder:
    """`costs_more`: which way a number costs the side that owes it more; "" where either way may."""

    ranges: tuple[Range, ...]
    costs_more: Literal["less", "more", ""]
    role: str  # who is asked where the other side would be worse off


@dataclass(frozen=True)
class Judged:
    level: Level
    role: str = ""


LADDERS: dict[str, Ladder] = {
    # Minutes to the first answer of the highest severity.
    "severities.S1.response": Ladder(
        (
            Range("20", None, ACCEPTABLE),  # 30 is preferred
            Range("10", "20", APPROVAL, SERVICE),
        ),
        "less",
        SERVICE,
    ),
    # Minutes to the fix.
    "severities.S1.resolution": Ladder(
        (
            Range("360", None, ACCEPTABLE),  # 480 is preferred
            Range("240", "360", APPROVAL, SERVICE),
            Range("120", "240", APPROVAL, EXECUTIVE),
        ),
        "less",
        SERVICE,
    ),
    # Percent of the time.
    "uptime.target_pct": Ladder(
        (
            Range(None, "99.9", ACCEPTABLE),  # 99.5 is preferred
            Range("99.9", "99.95", APPROVAL, SERVICE),
            Range("99.95", "99.99", APPROVAL, EXECUTIVE),
        ),
        "more",
        SERVICE,
    ),
    # Percent of the fee of a period that all credits together may reach.
    "credits.caps.period_pct": Ladder(
        (
            Range(None, "15", ACCEPTABLE),  # 10 is preferred
            Range("15", "30", APPROVAL, FINANCE),
            Range("30", "50", APPROVAL, EXECUTIVE),
        ),
        "more",
        FINANCE,
    ),
    # Months of fees.
    "commercial.liability_cap": Ladder(
        (
            Range(None, "12", ACCEPTABLE),
            Range("12", "24", APPROVAL, LEGAL),
            Range("24", None, APPROVAL, EXECUTIVE),
        ),
        "more",
        LEGAL,
    ),
    # Hours between an announcement and the work: too short surprises them, too long binds us.
    "maintenance.min_notice_h": Ladder(
        (
            Range("72", "168", ACCEPTABLE),  # 120 is preferred
            Range("24", "720", APPROVAL, SERVICE),
        ),
        "",
        SERVICE,
    ),
}


def judged(key: str, number: Decimal | None, template: Decimal | None, *, owed_by_us: bool = True) -> Judged:
    """The level of one number against the template's; None means that there is no limit, or no promise.

    What costs us no more than the template's number is acceptable, wherever that lies. Without a limit
    where more costs more, nothing could be worse: not allowed. Raises KeyError for a term without ranges.
    """
    ladder = LADDERS[key]
    if number == template or not is_worse(ladder, number, template, owed_by_us=owed_by_us):
        return Judged(ACCEPTABLE)
    if not owed_by_us:
        return Judged(APPROVAL, ladder.role)
    if number is None:
        return Judged(NOT_ALLOWED)
    found = next((each for each in ladder.ranges if each.holds(number)), None)
    return Judged(found.level, found.role) if found else Judged(NOT_ALLOWED)


def is_worse(ladder: Ladder, number: Decimal | None, template: Decimal | None, *, owed_by_us: bool) -> bool:
    """Whether we are worse off with the number than with the template's.

    None costs nothing where less costs more (nothing is promised), and everything where more does.
    """
    if not ladder.costs_more:
        return True
    if ladder.costs_more == "less":
        costs_more = number is not None and (template is None or number < template)
        costs_less = template is not None and (number is None or number > template)
    else:
        costs_more = template is not None and (number is None or number > template)
        costs_less = number is not None and (template is None or number < template)
    return costs_more if owed_by_us else costs_less
