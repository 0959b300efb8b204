"""What must hold between the fields of a document whose shape has been read (shape.read).

Every leaf may be None here: what has the wrong shape was reported already and is left alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from portal.i18n import NAMES
from portal.sla import calendar_rules, duration
from portal.sla.commercial_rules import commercial_problems, language_problems
from portal.sla.shape import Problem
from portal.sla.terms import UNITS

Document = dict[str, Any]
CLOCKS = ("response", "resolution", "update")


def problems(terms: Document, languages: Sequence[str] = ()) -> list[Problem]:
    """Every broken rule, in the order of the document."""
    found = [problem for rule in RULES for problem in rule(terms)]
    known = [language for language in languages if language in NAMES]
    return found + list(language_problems(terms, known))


def identity_problems(terms: Document) -> Iterator[Problem]:
    yield from missing(terms, "", "product", "level", "tz")
    if not terms["severities"] and not terms["uptime"]:
        yield Problem("severities", "promises_nothing")


# -- Severities -------------------------------------------------------------------------------


def severity_problems(terms: Document) -> Iterator[Problem]:
    for severity in terms["severities"]:
        path = f"severities.{severity['key']}"
        yield from missing(severity, path, "label")
        if not any(severity[clock] for clock in CLOCKS):
            yield Problem(path, "no_target")
        for clock in CLOCKS:
            yield from target_problems(terms, severity[clock], f"{path}.{clock}")
        yield from _slow_response(terms, severity, path)
        yield from calendar_rules.wording_problems(terms, severity, path)


def target_problems(terms: Document, target: Document | None, path: str) -> Iterator[Problem]:
    if target is None:
        return
    units = [unit for unit in UNITS if unit in target]
    if len(units) != 1:
        yield Problem(path, "one_unit")
        return
    name = target.get("calendar")
    if units[0] in ("min", "service_days"):
        if name is None:
            yield Problem(f"{path}.calendar", "calendar_needed")
        yield from calendar_known(terms, name, f"{path}.calendar")
    elif name is not None:
        yield Problem(f"{path}.calendar", "calendar_not_used")


def _slow_response(terms: Document, severity: Document, path: str) -> Iterator[Problem]:
    response = duration.comparable(severity["response"], terms["calendars"])
    resolution = duration.comparable(severity["resolution"], terms["calendars"])
    if response and resolution and response.scale == resolution.scale and response.length > resolution.length:
        yield Problem(f"{path}.resolution", "response_above_resolution")


def calendar_known(terms: Document, name: str | None, path: str) -> Iterator[Problem]:
    if name is not None and name not in terms["calendars"]:
        yield Problem(path, "unknown_calendar", {"name": name})


def severity_known(terms: Document, name: str | None, path: str) -> Iterator[Problem]:
    if name is not None and not any(each["key"] == name for each in terms["severities"]):
        yield Problem(path, "unknown_severity", {"name": name})


def clock_problems(terms: Document) -> Iterator[Problem]:
    for reason in terms["clocks"]["pause_reasons"]:
        yield from missing(reason, f"clocks.pause_reasons.{reason['key']}", "label")


def peak_problems(terms: Document) -> Iterator[Problem]:
    for peak in terms["peaks"]:
        if peak["target_factor"] is None and peak["downtime_weight"] is None:
            yield Problem(f"peaks.{peak['key']}", "no_effect")
    yield from period_problems(terms, terms["peaks"], "peaks")


def period_problems(terms: Document, rows: list[Document], path: str) -> Iterator[Problem]:
    """Rows with `from` and `to`: in order, apart from each other, and inside the contract's life."""
    starts, ends = duration.first_day(terms), duration.last_day(terms)
    taken: list[tuple[str, str]] = []
    for row in rows:
        place = f"{path}.{row['key']}"
        yield from missing(row, place, "label")
        first, last = row["from"], row["to"]
        if first is None or last is None:
            continue
        if first > last:
            yield Problem(f"{place}.to", "start_after_end")
            continue
        if any(first <= other_last and other_first <= last for other_first, other_last in taken):
            yield Problem(place, "peaks_overlap")
        taken.append((first, last))
        if _outside(date.fromisoformat(first), date.fromisoformat(last), starts, ends):
            yield Problem(place, "outside_term")


def _outside(first: date, last: date, starts: date | None, ends: date | None) -> bool:
    return (starts is not None and last < starts) or (ends is not None and first > ends)


# -- Uptime and credits -----------------------------------------------------------------------


def uptime_problems(terms: Document) -> Iterator[Problem]:
    uptime = terms["uptime"]
    if uptime is None:
        return
    yield from missing(uptime, "uptime", "target_pct", "measured")
    yield from calendar_known(terms, uptime["measured"], "uptime.measured")
    yield from _tier_problems(uptime)
    for right in uptime["termination"]:
        yield from _termination_problems(right, f"uptime.termination.{right['key']}")


def _tier_problems(uptime: Document) -> Iterator[Problem]:
    tiers = [tier for tier in uptime["tiers"] if tier["below"] is not None]
    target = uptime["target_pct"]
    if tiers and target is not None:
        highest = max(tiers, key=lambda tier: Decimal(tier["below"]))
        path = f"uptime.tiers.{highest['key']}.below"
        if Decimal(highest["below"]) < Decimal(target):
            yield Problem(path, "tier_hole", {"below": highest["below"], "target": target})
        if Decimal(highest["below"]) > Decimal(target):
            yield Problem(path, "tier_above_target", {"target": target})
    for before, tier in itertools.pairwise(tiers):
        yield from _tier_pair(before, tier, f"uptime.tiers.{tier['key']}")


def _tier_pair(before: Document, tier: Document, path: str) -> Iterator[Problem]:
    if Decimal(tier["below"]) == Decimal(before["below"]):
        yield Problem(f"{path}.below", "equal_bounds")
    elif Decimal(tier["below"]) > Decimal(before["below"]):
        yield Problem(f"{path}.below", "tier_order")
    elif Decimal(tier["credit_pct"] or 100) < Decimal(before["credit_pct"] or 0):
        yield Problem(f"{path}.credit_pct", "falling_credit")


def _termination_problems(right: Document, path: str) -> Iterator[Problem]:
    counted = "missed" in right and "of_months" in right and "below" not in right
    single = "below" in right and "missed" not in right and "of_months" not in right
    if not counted and not single:
        yield Problem(path, "right_unclear")
    elif counted and _more(right["missed"], right["of_months"]):
        yield Problem(f"{path}.missed", "missed_of")


def _more(count: int | None, of: int | None) -> bool:
    return count is not None and of is not None and count > of


def credit_problems(terms: Document) -> Iterator[Problem]:
    credits, caps = terms["credits"], terms["credits"]["caps"]
    if caps["year_pct"] is not None and caps["year_amount"] is not None:
        yield Problem("credits.caps.year_amount", "two_caps")
    if credits["claim"] == "request" and credits["claim_window_days"] is None:
        yield Problem("credits.claim_window_days", "claim_window_needed")
    if credits["claim"] == "automatic" and credits["claim_window_days"] is not None:
        yield Problem("credits.claim_window_days", "not_used")
    for breach in credits["breaches"]:
        yield from _breach_problems(terms, breach)
    if credits["extension"] is not None and not credits["extension"]["clocks"]:
        yield Problem("credits.extension.clocks", "required")


def _breach_problems(terms: Document, breach: Document) -> Iterator[Problem]:
    path = f"credits.breaches.{breach['key']}"
    severity = next((each for each in terms["severities"] if each["key"] == breach["key"]), None)
    yield from severity_known(terms, breach["key"], path)
    for clock in CLOCKS:
        credit = breach[clock]
        if credit is None:
            continue
        if severity is not None and severity[clock] is None:
            yield Problem(f"{path}.{clock}", "credit_without_target")


# -- Maintenance, changes, scope --------------------------------------------------------------


def maintenance_problems(terms: Document) -> Iterator[Problem]:
    rules = terms["maintenance"]
    yield from calendar_known(terms, rules["allowed"], "maintenance.allowed")
    notice, emergency = rules["min_notice_h"], rules["emergency"]
    path = "maintenance.emergency.min_notice_h"
    if emergency["min_notice_h"] is not None and not emergency["counts_as_maintenance"]:
        yield Problem(path, "not_used")
    elif None not in (notice, emergency["min_notice_h"]) and emergency["min_notice_h"] > notice:
        yield Problem(path, "emergency_longer")


def release_problems(terms: Document) -> Iterator[Problem]:
    release = terms["release"]
    yield from calendar_known(terms, release["windows"], "release.windows")
    given = [release["notice_h"][kind] for kind in ("emergency", "standard", "major")]
    if None not in given and given != sorted(given):
        yield Problem("release.notice_h", "notice_order")
    yield from period_problems(terms, release["freezes"], "release.freezes")
    for duty in release["testing"]:
        yield from missing(duty, f"release.testing.{duty['key']}", "text")
    if release["rollback"] is not None:
        yield from missing(release["rollback"], "release.rollback", "criterion")


def scope_problems(terms: Document) -> Iterator[Problem]:
    for name in ("modules", "integrations", "third_party"):
        for row in terms["scope"][name]:
            yield from missing(row, f"scope.{name}.{row['key']}", "name")
    for row in terms["scope"]["exclusions"]:
        yield from missing(row, f"scope.exclusions.{row['key']}", "text")


# -- Escalation and review --------------------------------------------------------------------


def escalation_problems(terms: Document) -> Iterator[Problem]:
    last: dict[tuple[str, tuple[str, ...]], tuple[int, int]] = {}
    for step in terms["escalation"]:
        path = f"escalation.{step['key']}"
        yield from missing(step, path, "role")
        for name in step["severities"]:
            yield from severity_known(terms, name, f"{path}.severities")
        yield from target_problems(terms, step["response"], f"{path}.response")
        after = step["after"]
        place = _moment(after)
        if place is None:
            if "request" not in after or len(after) != 1:
                yield Problem(f"{path}.after", "escalation_unclear")
            continue
        if place[0] > 100:
            yield Problem(f"{path}.after.pct", "escalation_pct")
        if not any(severity[after["clock"]] for severity in terms["severities"]):
            yield Problem(f"{path}.after.clock", "clock_without_target")
        line = (after["clock"], tuple(step["severities"]))
        if place < last.get(line, (0, 0)):
            yield Problem(f"{path}.after", "escalation_order")
        last[line] = place


def _moment(after: Document) -> tuple[int, int] | None:
    """Where a step stands on its clock: share of the target, then minutes after the breach."""
    if after.get("clock") is None or "request" in after:
        return None
    pct, over = after.get("pct"), after.get("overrun_min")
    if pct is not None and "overrun_min" not in after:
        return (pct, 0)
    if over is not None and "pct" not in after:
        return (100, over)
    return None


def review_problems(terms: Document) -> Iterator[Problem]:
    review = terms["executive_review"]
    for name in review["breach_of"]:
        yield from severity_known(terms, name, "executive_review.breach_of")
    missed = review["uptime_missed"]
    if missed is not None and _more(missed["count"], missed["months"]):
        yield Problem("executive_review.uptime_missed.count", "missed_of")
    for name in ("uptime_missed", "budget_over_pct"):
        if review[name] is not None and terms["uptime"] is None:
            yield Problem(f"executive_review.{name}", "uptime_needed")
    triggers = [review[name] for name in review if name != "due"]
    if any(triggers) and review["due"] is None:
        yield Problem("executive_review.due", "required")
    yield from target_problems(terms, review["due"], "executive_review.due")


def missing(row: Document, path: str, *names: str) -> Iterator[Problem]:
    """Those of the fields that hold nothing: None, an empty line, or a text in no language."""
    for name in names:
        value = row[name]
        empty = not any(filter(None, value.values())) if isinstance(value, dict) else not value
        if empty:
            yield Problem(f"{path}.{name}" if path else name, "required")


RULES: tuple[Callable[[Document], Iterator[Problem]], ...] = (
    identity_problems,
    calendar_rules.calendar_problems,
    severity_problems,
    clock_problems,
    peak_problems,
    uptime_problems,
    credit_problems,
    maintenance_problems,
    release_problems,
    scope_problems,
    escalation_problems,
    review_problems,
    commercial_problems,
)
