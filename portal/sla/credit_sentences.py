"""Sentences about uptime and service credits."""

from __future__ import annotations

from decimal import Decimal

from portal.i18n import format_money, ngettext
from portal.i18n import gettext as _
from portal.sla import words
from portal.sla.terms import BreachCredit, TerminationRight, Terms


def uptime(terms: Terms) -> list[str]:
    promise = terms["uptime"]
    if promise is None:
        return [_("No uptime is promised.")]
    lines = [uptime_target(terms)]
    if promise["denominator"] == "available":
        lines.append(_("Announced maintenance and excluded causes do not count."))
    else:
        lines.append(_("It is a share of the whole period, maintenance included."))
    if promise["min_outage_s"]:
        shortest = words.seconds(promise["min_outage_s"])
        lines.append(_("Outages shorter than %(time)s are left out.", time=shortest))
    lines.append(_unknown(promise["unknown_policy"], promise["max_unknown_pct"]))
    return lines + [termination(right) for right in promise["termination"]]


def uptime_target(terms: Terms) -> str:
    """`At least 99.9% each month, measured in: Sales-critical hours.`"""
    promise = terms["uptime"]
    if promise is None:
        return _("No uptime is promised.")
    return _(
        "The product is available at least %(percent)s of the time %(each_period)s, measured in: %(hours)s.",
        percent=words.percent(promise["target_pct"]) if promise["target_pct"] else _("(to be agreed)"),
        each_period=words.each_period(promise["period"]),
        hours=words.calendar_label(terms, promise["measured"]) or _("(to be agreed)"),
    )


def _unknown(policy: str, most: str | None) -> str:
    if policy == "down":
        return _("Time that nobody measured counts as downtime.")
    if most is None:
        return _("Time that nobody measured is left out.")
    share = words.percent(most)
    return _("Time that nobody measured is left out; above %(percent)s there is no verdict.", percent=share)


def termination(right: TerminationRight) -> str:
    """`The Customer may terminate after 3 missed months in any 6.`"""
    if "below" in right:
        bound = words.percent(right["below"])
        return _("The Customer may terminate after a month below %(percent)s.", percent=bound)
    missed, of = right.get("missed"), right.get("of_months")
    if missed is None or of is None:
        return _("(to be agreed)")
    if missed == of:
        line = ngettext(
            "The Customer may terminate after %(num)s missed month in a row.",
            "The Customer may terminate after %(num)s missed months in a row.",
            missed,
        )
    else:
        line = ngettext(
            "The Customer may terminate after %(num)s missed month in any %(of)s.",
            "The Customer may terminate after %(num)s missed months in any %(of)s.",
            missed,
            of=of,
        )
    notified = right.get("notified_days")
    if not notified:
        return line
    told = _("Each must be reported within %(days)s of the end of its month.", days=words.days(notified))
    return f"{line} {told}"


def credits(terms: Terms) -> list[str]:
    lines = _graded(terms) + _other(terms)
    if not lines:
        return [_("No service credits.")]
    return [*lines, partial(terms), *caps(terms), *settlement(terms)]


def beside_tables(terms: Terms) -> list[str]:
    """As `credits`, without what the tables of schedule D say."""
    if not _graded(terms) and not _other(terms):
        return [_("No service credits.")]
    return [*_other(terms), partial(terms), *caps(terms), *settlement(terms)]


def _graded(terms: Terms) -> list[str]:
    lines = []
    if terms["uptime"] is not None and terms["uptime"]["tiers"]:
        steps = [
            _(
                "below %(bound)s %(credit)s",
                bound=words.percent(tier["below"]),
                credit=words.percent(tier["credit_pct"]),
            )
            for tier in terms["uptime"]["tiers"]
        ]
        lines.append(_("Of the fee, by uptime: %(steps)s.", steps=words.parted(steps)))
    return lines + [_missed(row) for row in terms["credits"]["breaches"]]


def _other(terms: Terms) -> list[str]:
    rules = terms["credits"]
    lines = []
    if rules["breaches"] and rules["peak_multiplier"] is not None:
        factor = words.number(rules["peak_multiplier"])
        lines.append(_("In a peak period these count %(factor)s times.", factor=factor))
    if rules["proportional"] is not None:
        factor = words.number(rules["proportional"]["multiple"])
        lines.append(_("The fee for the downtime is credited %(factor)s times.", factor=factor))
    if rules["per_day"] is not None:
        lines.append(
            _(
                "For each day with more than %(time)s of outage: %(multiple)s times the hourly fee.",
                time=words.minutes(rules["per_day"]["over_min"]),
                multiple=words.number(rules["per_day"]["hourly_multiple"]),
            )
        )
    if rules["extension"] is not None:
        lines.append(
            _(
                "For every %(time)s over the target (%(clocks)s) the contract runs %(days)s longer.",
                time=words.minutes(rules["extension"]["per_min"]),
                clocks=words.listed(words.clock(name) for name in rules["extension"]["clocks"]),
                days=words.days(rules["extension"]["days"]),
            )
        )
    return lines


def _missed(row: BreachCredit) -> str:
    given = {"response": row["response"], "resolution": row["resolution"], "update": row["update"]}
    parts = [f"{words.clock(name)} {words.percent(credit)}" for name, credit in given.items() if credit]
    return _("Each miss of %(severity)s: %(credits)s.", severity=row["key"], credits=", ".join(parts))


def partial(terms: Terms) -> str:
    """Which fee credits are a share of, where a period begins or ends with the contract."""
    if terms["credits"]["prorate"]:
        return _("For a part of a period, its fee counts by the days.")
    return _("A part of a period counts with the fee of the whole period.")


def caps(terms: Terms) -> list[str]:
    """What all credits together never exceed."""
    limits, lines = terms["credits"]["caps"], []
    if limits["period_pct"] is not None:
        share = words.percent(limits["period_pct"])
        lines.append(_("At most %(percent)s of the fee of the period.", percent=share))
    if limits["year_pct"] is not None:
        share = words.percent(limits["year_pct"])
        lines.append(_("At most %(percent)s of the fees of a contract year.", percent=share))
    if limits["year_amount"] is not None:
        amount = format_money(Decimal(limits["year_amount"]), terms["commercial"]["currency"] or "")
        lines.append(_("At most %(amount)s in a contract year.", amount=amount))
    if limits["term_pct"] is not None:
        share = words.percent(limits["term_pct"])
        lines.append(_("At most %(percent)s of all fees of the contract.", percent=share))
    return lines


def settlement(terms: Terms) -> list[str]:
    """How a credit is claimed and paid, and what else the customer may ask for."""
    rules = terms["credits"]
    if rules["claim"] == "automatic":
        lines = [_("Credited without a claim.")]
    elif rules["claim_window_days"] is None:
        lines = [_("Credited on request.")]
    else:
        window = words.days(rules["claim_window_days"])
        lines = [_("Must be claimed within %(days)s of the end of the period.", days=window)]
    if rules["settled_by"] == "next_invoice":
        lines.append(_("Taken off the next invoice."))
    else:
        lines.append(_("Paid back."))
    return [*lines, remedy_line(terms)]


def remedy_line(terms: Terms) -> str:
    if terms["credits"]["sole_remedy"]:
        return _("Credits are the only remedy for a missed target, apart from the right to end the contract.")
    return _("Credits do not replace the Customer's other rights.")


def credit_pointer(terms: Terms) -> str:
    """How a clause speaks of credits: their figures are in schedule D."""
    if not _graded(terms) and not _other(terms):
        return _("No service credits.")
    return _("For a missed promise the Customer receives the credits of schedule D.")
