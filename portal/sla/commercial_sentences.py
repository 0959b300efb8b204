"""Sentences about scope, money, duration, liability and law."""

from __future__ import annotations

from decimal import Decimal

from portal.i18n import format_date, format_money
from portal.i18n import gettext as _
from portal.sla import duration as life
from portal.sla import words
from portal.sla.terms import Dependency, NoticePeriod, Terms


def scope(terms: Terms) -> list[str]:
    parts = terms["scope"]
    lines = []
    if terms["product"]:
        lines.append(_("Product: %(product)s.", product=terms["product"]))
    names = [module["name"] for module in parts["modules"] if module["name"] != terms["product"]]
    if names:
        lines.append(_("Modules: %(names)s.", names=", ".join(names)))
    if parts["integrations"]:
        lines.append(_("Integrations: %(names)s.", names=_dependencies(parts["integrations"])))
    if parts["third_party"]:
        lines.append(_("Third-party software: %(names)s.", names=_dependencies(parts["third_party"])))
    if parts["exclusions"]:
        texts = words.parted(words.text(row["text"]) for row in parts["exclusions"])
        lines.append(_("Not covered: %(texts)s.", texts=texts))
    return lines


def _dependencies(rows: list[Dependency]) -> str:
    return ", ".join(
        _("%(name)s (answered for by %(side)s)", name=row["name"], side=words.by_side(row["responsible"]))
        for row in rows
    )


def fee(terms: Terms) -> list[str]:
    commercial = terms["commercial"]
    if commercial["fee"] is None:
        return []
    amount = format_money(Decimal(commercial["fee"]), commercial["currency"] or "")
    lines = [
        _("%(amount)s %(per_period)s.", amount=amount, per_period=words.per_period(commercial["fee_period"]))
    ]
    return lines + indexation(terms) + peak_level_lines(terms)


def fee_changes(terms: Terms) -> str:
    """For a clause: how the fee moves, or that it does not."""
    lines = indexation(terms) + peak_level_lines(terms)
    return " ".join(lines) or _("The fee stays the same until the contract is renewed.")


def peak_level_lines(terms: Terms) -> list[str]:
    commercial = terms["commercial"]
    peak = commercial["peak_level"]
    if peak is None:
        return []
    return [
        _(
            "From %(first)s to %(last)s the level is %(level)s, for %(amount)s more.",
            first=words.day(peak["from"]),
            last=words.day(peak["to"]),
            level=words.level(peak["level"]),
            amount=format_money(Decimal(peak["price"]), commercial["currency"] or ""),
        )
    ]


def indexation(terms: Terms) -> list[str]:
    index, uplift = terms["commercial"]["index"], terms["commercial"]["uplift_pct"]
    lines = []
    if index:
        lines.append(_("Adjusted each year by the index %(index)s.", index=index))
    if uplift is not None:
        lines.append(_("Raised by %(percent)s each year.", percent=words.percent(uplift)))
    return lines


def duration(terms: Terms) -> list[str]:
    first, last = life.first_day(terms), life.last_day(terms)
    lines = []
    if first and last:
        lines.append(_("From %(first)s to %(last)s.", first=format_date(first), last=format_date(last)))
    renewal = renewal_line(terms)
    zone = [_("Dates are those of %(zone)s.", zone=terms["tz"])] if lines and terms["tz"] else []
    return lines + ([renewal] if renewal else []) + notice_lines(terms) + zone


def renewal_line(terms: Terms) -> str:
    renewal = terms["commercial"]["renewal"]
    length = words.months(renewal["months"]) if renewal["months"] else ""
    if renewal["kind"] == "tacit":
        return _("The contract renews by itself for %(length)s at a time.", length=length)
    if renewal["kind"] == "agreement":
        return _("The contract renews for %(length)s if both parties agree in writing.", length=length)
    return _("The contract ends without renewal.")


def notice_lines(terms: Terms) -> list[str]:
    notice = terms["commercial"]["notice"]
    if notice is None:
        return []
    lines = [
        _(
            "Notice is given at least %(length)s before the end, %(form)s.",
            length=notice_length(notice),
            form=words.form(notice["form"]),
        )
    ]
    deadline = life.notice_deadline(terms)
    if deadline:
        lines.append(_("The last day for it is %(day)s.", day=format_date(deadline)))
    return lines


def notice_length(notice: NoticePeriod) -> str:
    return words.days(notice["value"]) if notice["unit"] == "days" else words.months(notice["value"])


def liability(terms: Terms) -> list[str]:
    commercial = terms["commercial"]
    lines = [liability_line(terms)]
    if commercial["liability_cap"] is not None and commercial["carve_outs"]:
        texts = words.parted(words.text(row["text"]) for row in commercial["carve_outs"])
        lines.append(_("There is no limit for: %(texts)s.", texts=texts))
    return lines


def liability_line(terms: Terms) -> str:
    cap = terms["commercial"]["liability_cap"]
    if cap is None:
        return _("Liability is not limited in amount.")
    if "amount" in cap:
        amount = format_money(Decimal(cap["amount"]), terms["commercial"]["currency"] or "")
        return _("Liability is limited to %(amount)s in each contract year.", amount=amount)
    months = words.months(cap["fee_months"]) if "fee_months" in cap else _("(to be agreed)")
    return _("Liability is limited to the fees of %(months)s in each contract year.", months=months)


def law(terms: Terms) -> list[str]:
    commercial = terms["commercial"]
    lines = []
    if words.text(commercial["governing_law"]):
        name = words.text(commercial["governing_law"])
        lines.append(_("Governing law: %(law)s.", law=name))
    if words.text(commercial["courts"]):
        lines.append(_("Courts: %(courts)s.", courts=words.text(commercial["courts"])))
    if commercial["phi"]:
        lines.append(_("Protected health information may be seen; a separate addendum applies."))
    return lines
