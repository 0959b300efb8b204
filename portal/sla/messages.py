"""The sentence for each rule of shape.py and rules.py, in the reader's language."""

from __future__ import annotations

from decimal import Decimal

from portal.i18n import format_percent
from portal.i18n import gettext as _

PERCENT = ("below", "target")  # values that are percentages


def sentence(code: str, values: dict[str, str]) -> str:
    """What a person reads beside the field."""
    shown = {name: format_percent(Decimal(v)) if name in PERCENT else v for name, v in values.items()}
    text = (_shapes() | _hours() | _promises() | _commercial())[code]
    return text % shown if shown else text


def codes() -> frozenset[str]:
    return frozenset(_shapes() | _hours() | _promises() | _commercial())


def _shapes() -> dict[str, str]:
    return {
        "object": _("A group of fields is expected here."),
        "list": _("A list is expected here."),
        "yes_or_no": _("Say yes or no."),
        "choice": _("Choose one of: %(choices)s."),
        "missing": _("This field is missing."),
        "unknown_field": _("There is no field called %(name)s here."),
        "too_many": _("At most %(most)s rows fit here."),
        "duplicate_key": _("Two rows are called %(key)s; give one of them another name."),
        "key": _("Use letters, digits, - and _ only, at most 60."),
        "line": _("Write one line of text, at most 300 characters."),
        "text": _("Write plain text, at most 20,000 characters."),
        "percent": _("Write a percentage from 0 to 100, such as 99.9."),
        "money": _("Write an amount such as 1250.00."),
        "decimal": _("Write a number above 0, such as 0.5."),
        "date": _("Write a date such as 2027-01-31."),
        "zone": _("This time zone is not known; choose one such as Europe/Paris."),
        "currency": _("This currency is not known; choose one such as EUR."),
        "country": _("Write the two letters of a country, such as FR."),
        "window": _("Write an opening and a closing time, such as 09:00 and 17:30."),
        "count": _("Write a whole number, 0 or more."),
        "number": _("Write a whole number, 1 or more."),
        "required": _("This is needed."),
        "translation_missing": _("This text is missing in %(language)s."),
    }


def _hours() -> dict[str, str]:
    return {
        "empty_hours": _("This calendar is never open; add hours or choose day and night."),
        "contradictory_hours": _(
            "The calendar is open day and night and also lists hours; keep one of the two."
        ),
        "contradictory_label": _(
            "The words say one thing and the hours another: around the clock, or business hours? Choose one."
        ),
        "overlapping_windows": _("Two opening times on this day overlap."),
        "date_or_range": _("Give either one date, or a first and a last date."),
        "duplicate_date": _("An earlier line already decides this date, so this one would never count."),
        "start_after_end": _("The first date is after the last."),
        "unknown_calendar": _("There is no calendar called %(name)s."),
        "peaks_overlap": _("This period overlaps another one."),
        "outside_term": _("This lies wholly outside the duration of the contract."),
        "no_effect": _("This period changes nothing; give a factor for targets or for downtime."),
    }


def _promises() -> dict[str, str]:
    return {
        "promises_nothing": _("The terms promise neither response times nor uptime."),
        "one_unit": _("Give exactly one measure: minutes, service days, calendar days, months or a release."),
        "calendar_needed": _("Say in which hours this time is counted."),
        "calendar_not_used": _("This measure is not counted in service hours, so no calendar belongs to it."),
        "no_target": _("This severity has no target at all."),
        "response_above_resolution": _("The response would take longer than the resolution."),
        "tier_hole": _("Between %(below)s and the target of %(target)s no row applies; start at the target."),
        "tier_above_target": _(
            "This row lies above the target of %(target)s, so it would credit a month that met it."
        ),
        "equal_bounds": _("Two rows have the same bound; only one of them could ever apply."),
        "falling_credit": _("A worse result would earn a smaller credit than a better one."),
        "tier_order": _("List the rows from the highest bound down."),
        "two_caps": _("Cap the year by a percentage or by an amount, not both."),
        "unknown_severity": _("There is no severity called %(name)s."),
        "credit_without_target": _("This severity has no such target, so it can never be missed."),
        "claim_window_needed": _("Say within how many days a credit must be claimed."),
        "not_used": _("This has no effect with the choice made above; leave it empty."),
        "missed_of": _("More misses are asked for than there are months."),
        "right_unclear": _("Give either missed months out of a number of months, or a bound for one month."),
        "emergency_longer": _("Emergency work would need more notice than planned work."),
        "notice_order": _("Notice must not shrink from emergency to standard to major."),
        "escalation_unclear": _(
            "Say when: a share of the target used, minutes after the breach, or on request."
        ),
        "escalation_order": _("This step would come before the one above it."),
        "escalation_pct": _("Use 1 to 100; 100 is the breach itself."),
        "clock_without_target": _("No severity has such a target, so this step would never come."),
        "uptime_needed": _("This depends on uptime, and no uptime is promised."),
    }


def _commercial() -> dict[str, str]:
    return {
        "two_ends": _("Give either the last day or the length in months, not both."),
        "notice_above_term": _("The notice is longer than the contract."),
        "renewal_months": _("Say for how many months the contract renews."),
        "notice_needed": _("A contract that renews by itself needs a notice period."),
        "one_cap": _("Give either a number of months of fees or an amount."),
        "amount_zero": _("The amount must be above zero."),
    }
