"""The support levels of each template: what a fast draft holds before anybody changes a word.

A promise is a row of plain figures in LEVELS; `defaults` turns the rows into a whole document.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from portal.i18n import N_
from portal.sla import calendars, duration, standard
from portal.sla.terms import Calendar, FeePeriod, Severity, SideName, Target, Terms, Tier, empty, no_uptime
from portal.sla.words import both

LEVELS = ("premium", "standard", "basic")

# Minutes, or "2d" for service days, or the name of a release; then the calendar that counts.
Promise = tuple[int | str, str | None]


@dataclass(frozen=True)
class Preset:
    """One level of one template; severities S1 to S4 as (response, resolution, update)."""

    severities: tuple[tuple[Promise, Promise, Promise | None], ...]
    uptime_pct: str
    measured: str
    tiers: tuple[tuple[str, str], ...]  # below, credit
    cap_pct: str
    breaches: tuple[tuple[str, str | None, str | None], ...]  # severity, response, resolution
    maintenance_notice_h: int
    maintenance_cap_h: str
    claim_window_days: int | None
    notice_h: tuple[int, int, int] = (72, 240, 2)  # of releases: standard, major, emergency


PRESETS: dict[tuple[str, str], Preset] = {
    ("sales-critical-24x7", "premium"): Preset(
        severities=(
            ((30, "always"), (240, "always"), (60, "always")),
            ((60, "sales"), (480, "sales"), (120, "sales")),
            ((240, "business"), ("3d", "business"), ("1d", "business")),
            (("1d", "business"), ("next", None), None),
        ),
        uptime_pct="99.9",
        measured="sales",
        tiers=(("99.9", "5"), ("99.5", "10"), ("99", "25")),
        cap_pct="30",
        breaches=(("S1", "2", "4"), ("S2", "1", "2")),
        maintenance_notice_h=120,
        maintenance_cap_h="6",
        claim_window_days=None,
    ),
    ("sales-critical-24x7", "standard"): Preset(
        severities=(
            ((60, "always"), (480, "always"), (120, "always")),
            ((120, "sales"), (960, "sales"), (240, "sales")),
            ((480, "business"), ("5d", "business"), ("2d", "business")),
            (("2d", "business"), ("next", None), None),
        ),
        uptime_pct="99.5",
        measured="sales",
        tiers=(("99.5", "5"), ("99", "10"), ("97", "20")),
        cap_pct="20",
        breaches=(("S1", "1", "2"), ("S2", None, "1")),
        maintenance_notice_h=120,
        maintenance_cap_h="8",
        claim_window_days=None,
    ),
    ("sales-critical-24x7", "basic"): Preset(
        severities=(
            ((120, "always"), (720, "always"), (240, "always")),
            ((240, "sales"), (1440, "sales"), None),
            (("1d", "business"), ("10d", "business"), None),
            (("3d", "business"), ("future", None), None),
        ),
        uptime_pct="99",
        measured="sales",
        tiers=(("99", "5"), ("97", "10")),
        cap_pct="10",
        breaches=(("S1", None, "1"),),
        maintenance_notice_h=72,
        maintenance_cap_h="12",
        claim_window_days=30,
    ),
    ("business-hours", "premium"): Preset(
        severities=(
            ((30, "business"), (240, "business"), (60, "business")),
            ((60, "business"), (540, "business"), (180, "business")),
            ((240, "business"), ("3d", "business"), ("1d", "business")),
            (("1d", "business"), ("next", None), None),
        ),
        uptime_pct="99.5",
        measured="business",
        tiers=(("99.5", "5"), ("99", "10"), ("97", "20")),
        cap_pct="20",
        breaches=(("S1", "1", "2"), ("S2", None, "1")),
        maintenance_notice_h=120,
        maintenance_cap_h="8",
        claim_window_days=None,
    ),
    ("business-hours", "standard"): Preset(
        severities=(
            ((60, "business"), (540, "business"), (120, "business")),
            ((120, "business"), ("2d", "business"), ("1d", "business")),
            (("1d", "business"), ("5d", "business"), None),
            (("2d", "business"), ("next", None), None),
        ),
        uptime_pct="99",
        measured="business",
        tiers=(("99", "5"), ("97", "10")),
        cap_pct="15",
        breaches=(("S1", None, "1"),),
        maintenance_notice_h=72,
        maintenance_cap_h="12",
        claim_window_days=30,
    ),
    ("business-hours", "basic"): Preset(
        severities=(
            ((240, "business"), ("2d", "business"), None),
            (("1d", "business"), ("5d", "business"), None),
            (("2d", "business"), ("next", None), None),
            (("5d", "business"), ("future", None), None),
        ),
        uptime_pct="98",
        measured="business",
        tiers=(("98", "5"),),
        cap_pct="5",
        breaches=(),
        maintenance_notice_h=48,
        maintenance_cap_h="16",
        claim_window_days=30,
    ),
}
TEMPLATES = tuple(dict.fromkeys(template for template, _level in PRESETS))
PEAK = ((11, 20), (12, 31))  # sales-critical-24x7: the weeks before the holidays


def defaults(
    template_key: str,
    level: str,
    *,
    side: SideName,
    product: str,
    start_on: date,
    length_months: int,
    fee: Decimal,
    currency: str,
    tz: str,
    fee_period: FeePeriod = "month",
    country: str | None = None,
    subdivision: str | None = None,
) -> Terms:
    """The whole terms of a standard contract, from the template, the level and the few answers.

    `country` fills in its public holidays, governing law and courts; without it these stay open.
    Raises KeyError for a template or level that does not exist.
    """
    preset = PRESETS[template_key, level]
    terms = empty(side)
    terms |= {"level": level, "product": product, "tz": tz}
    commercial = terms["commercial"]
    commercial |= {
        "fee": f"{fee:.2f}",
        "fee_period": fee_period,
        "currency": currency,
        "start_on": start_on.isoformat(),
        "length_months": length_months,
    }
    last = duration.last_day(terms) or start_on
    sales = template_key == "sales-critical-24x7"
    terms["calendars"] = _calendars(sales, tz, start_on, last, country, subdivision)
    terms["severities"] = [
        _severity(f"S{number}", *row) for number, row in enumerate(preset.severities, start=1)
    ]
    _promise_uptime(terms, preset, sales)
    standard.fill(terms, preset.notice_h, country)
    terms["maintenance"] |= {
        "min_notice_h": preset.maintenance_notice_h,
        "cap_h_per_period": preset.maintenance_cap_h,
        "allowed": "maintenance",
    }
    if sales:
        _add_peaks(terms, start_on, last)
    return terms


def _calendars(
    sales: bool, tz: str, first: date, last: date, country: str | None, subdivision: str | None
) -> dict[str, Calendar]:
    business = calendars.business(tz)
    if country:
        business = calendars.with_holidays(business, country, subdivision, first, last)
    extra = {"always": calendars.always(tz), "sales": calendars.sales_critical(tz)} if sales else {}
    return {
        **extra,
        "business": business,
        "maintenance": calendars.maintenance(tz),
        "releases": calendars.releases(tz),
    }


def _severity(key: str, response: Promise, resolution: Promise, update: Promise | None) -> Severity:
    label, description = standard.SEVERITIES[key]
    return {
        "key": key,
        "label": both(label),
        "description": both(description),
        "response": target(response),
        "resolution": target(resolution),
        "update": target(update) if update else None,
    }


def target(promise: Promise) -> Target:
    """A promise as a target: (30, "always"), ("2d", "business"), ("next", None)."""
    amount, name = promise
    if isinstance(amount, int):
        return {"min": amount, "calendar": str(name)}
    if amount.endswith("d"):
        return {"service_days": int(amount[:-1]), "calendar": str(name)}
    made: dict[str, Any] = {"release": amount}
    return made  # type: ignore[return-value]


def _promise_uptime(terms: Terms, preset: Preset, sales: bool) -> None:
    tiers: list[Tier] = [
        {"key": f"tier-{number}", "below": below, "credit_pct": credit}
        for number, (below, credit) in enumerate(preset.tiers, start=1)
    ]
    terms["uptime"] = {
        **no_uptime(),
        "target_pct": preset.uptime_pct,
        "measured": preset.measured,
        "tiers": tiers,
        "termination": [{"key": "repeated", "missed": 3, "of_months": 6}],
    }
    credits = terms["credits"]
    credits["breaches"] = [
        {"key": key, "response": response, "resolution": resolution, "update": None}
        for key, response, resolution in preset.breaches
    ]
    credits["caps"]["period_pct"] = preset.cap_pct
    credits["claim"] = "request" if preset.claim_window_days else "automatic"
    credits["claim_window_days"] = preset.claim_window_days
    credits["peak_multiplier"] = "1.5" if sales and preset.breaches else None


def _add_peaks(terms: Terms, first: date, last: date) -> None:
    """The peak of each year the contract touches: longer hours, halved targets, frozen releases."""
    for year in range(first.year, last.year + 1):
        begins, ends = date(year, *PEAK[0]), date(year, *PEAK[1])
        if ends < first or begins > last:
            continue
        since, until = begins.isoformat(), ends.isoformat()
        terms["peaks"].append(
            {
                "key": f"peak-{year}",
                "label": both(N_("Peak season %(year)s"), year=year),
                "from": since,
                "to": until,
                "target_factor": "0.5",
                "downtime_weight": "2",
            }
        )
        terms["calendars"]["sales"]["overrides"].append(
            {"from": since, "to": until, "hours": [["06:00", "24:00"]], "name": both(N_("Peak season hours"))}
        )
        frozen = (begins - timedelta(days=5)).isoformat()
        terms["release"]["freezes"].append(
            {
                "key": f"freeze-{year}",
                "label": both(N_("Peak season freeze %(year)s"), year=year),
                "from": frozen,
                "to": until,
            }
        )
