"""The words that clauses leave open, `{{name}}`, filled from the terms and the parties.

Whole sentences come from the same functions as the fast lane's, so a clause never says another
figure than its schedule. docs/sla.md lists every name.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypedDict

from portal.i18n import format_date, format_money, use
from portal.i18n import gettext as _
from portal.sla import commercial_sentences, credit_sentences, duration, service_sentences, words
from portal.sla.terms import Terms


class PartyWords(TypedDict):
    """One party as its legal text names it; all but the name may be empty."""

    name: str
    form: str
    registration: str
    address: str


class Parties(TypedDict):
    supplier: PartyWords
    customer: PartyWords


def variables(terms: Terms, parties: Parties, language: str) -> dict[str, str]:
    """Every variable a clause may use, in the language of the clause.

    What the terms leave open reads "(to be agreed)"; only `notice` and `carve_outs` may be empty.
    """
    with use(language):
        filled = {name: write(terms) for name, write in FROM_TERMS.items()}
        for side, party in (("supplier", parties["supplier"]), ("customer", parties["customer"])):
            filled[side] = party["name"] or _open()
            filled[f"{side}_details"] = _details(party)
    return filled


def names() -> frozenset[str]:
    """The variables that exist."""
    sides = {"supplier", "customer", "supplier_details", "customer_details"}
    return frozenset(FROM_TERMS) | sides


def _open() -> str:
    return _("(to be agreed)")


def _details(party: PartyWords) -> str:
    """`Northwind SAS, RCS Paris 123 456 789, 1 rue de la Paix, 75002 Paris`."""
    address = ", ".join(line.strip() for line in party["address"].splitlines() if line.strip())
    title = " ".join(filter(None, (party["name"], party["form"])))
    return ", ".join(filter(None, (title, party["registration"], address))) or _open()


def _fee(terms: Terms) -> str:
    commercial = terms["commercial"]
    if commercial["fee"] is None:
        return _open()
    return format_money(Decimal(commercial["fee"]), commercial["currency"] or "")


def _start(terms: Terms) -> str:
    first = duration.first_day(terms)
    return format_date(first, long=True) if first else _open()


def _end(terms: Terms) -> str:
    last = duration.last_day(terms)
    return format_date(last, long=True) if last else _open()


def _length(terms: Terms) -> str:
    months = duration.term_months(terms)
    return words.months(months) if months else _open()


def _automatic_reply(terms: Terms) -> str:
    if terms["clocks"]["automatic_reply_counts"]:
        return _("An automatic reply counts as an answer.")
    return _("An automatic reply is no answer.")


def _termination(terms: Terms) -> str:
    rights = terms["uptime"]["termination"] if terms["uptime"] else []
    lines = [credit_sentences.termination(right) for right in rights]
    return " ".join(lines) or _("Missed uptime alone gives no right to terminate.")


def _carve_outs(terms: Terms) -> str:
    lines = commercial_sentences.liability(terms)
    return " ".join(lines[1:])


def _health_data(terms: Terms) -> str:
    if terms["commercial"]["phi"]:
        return _("Protected health information may be seen; a separate addendum applies.")
    return _("No protected health information may be sent to the Supplier.")


def _maintenance(terms: Terms) -> str:
    lines = service_sentences.maintenance(terms)
    return " ".join(lines) or _("No maintenance hours are agreed; every interruption counts as downtime.")


def _releases(terms: Terms) -> str:
    lines = service_sentences.releases(terms)
    return " ".join(lines) or _("The Supplier announces each release in good time.")


FROM_TERMS: dict[str, Callable[[Terms], str]] = {
    "product": lambda terms: terms["product"] or _open(),
    "level": lambda terms: words.level(terms["level"]) or _open(),
    "fee": _fee,
    "fee_period": lambda terms: words.per_period(terms["commercial"]["fee_period"]),
    "fee_changes": commercial_sentences.fee_changes,
    "start": _start,
    "end": _end,
    "length": _length,
    "renewal": commercial_sentences.renewal_line,
    "notice": lambda terms: " ".join(commercial_sentences.notice_lines(terms)),
    "liability": commercial_sentences.liability_line,
    "carve_outs": _carve_outs,
    "governing_law": lambda terms: words.text(terms["commercial"]["governing_law"]) or _open(),
    "courts": lambda terms: words.text(terms["commercial"]["courts"]) or _open(),
    "health_data": _health_data,
    "clock_start": service_sentences.start_line,
    "automatic_reply": _automatic_reply,
    "severity_decision": lambda terms: " ".join(service_sentences.severity_decision(terms)),
    "pauses": service_sentences.pause_line,
    "reopening": service_sentences.reopening_line,
    "maintenance": _maintenance,
    "releases": _releases,
    "uptime": credit_sentences.uptime_target,
    "credits": credit_sentences.credit_pointer,
    "remedy": credit_sentences.remedy_line,
    "termination": _termination,
}
