"""What rules for approval look at: each condition with when it holds, what exactly it looked at, and why.

`matter` is what an approval rests on besides the rule: as long as it stays the same, the approval of
an earlier text holds for the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portal.i18n import format_money, lazy, ngettext
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Revision
from portal.services import deviations, policies, revisions
from portal.services.deviations import Deviation
from portal.sla import canonical, exposure, money, shape, words
from portal.sla.ladder import APPROVAL, NOT_ALLOWED

# Which files of somebody else ask: those that promise support, or every PDF.
PAPERS = {"support": lazy("a support contract on the other side’s paper"), "any": lazy("every PDF of others")}
DEVIATIONS = {
    APPROVAL: lazy("something differs that an author may not accept alone"),
    NOT_ALLOWED: lazy("something differs beyond every limit"),
}


@dataclass(frozen=True)
class Deal:
    """The facts of one text, as conditions see them."""

    value: Decimal
    yearly_fee: Decimal | None
    currency: str
    start_on: Any
    end_on: Any
    renewal_months: int  # how long it renews by itself at a time; 0 where it does not
    phi: bool
    flags: frozenset[str]
    liability: Decimal | None
    is_support: bool
    exposure: exposure.Exposure
    deviations: tuple[Deviation, ...]
    paper: str  # "" for our own text, else "support" or "plain"
    files: tuple[str, ...]
    whole: Callable[[], Any]  # everything that is agreed; read only where a rule asks for it

    def at(self, level: str, roles: tuple[str, ...] = ()) -> list[Deviation]:
        """The differences of a level, or of those roles alone; another's paper is a matter by itself."""
        return [
            each
            for each in self.deviations
            if each.level == level and each.key != deviations.FILE and (not roles or each.role in roles)
        ]


def deal(contract: Contract, revision: Revision) -> Deal:
    """The facts of a text as it stands, frozen or not."""
    terms: Any = revision.terms if not shape.read(revision.terms)[1] else None
    with_terms = revisions.terms_mode(contract) != revisions.NO_TERMS and terms is not None
    commercial = terms["commercial"] if with_terms else None
    renewal: Any = commercial["renewal"] if commercial else {"kind": "none", "months": None}
    files = tuple(each.sha256 for each in revisions.uploads(contract)) if contract.kind == "file" else ()
    return Deal(
        value=contract.value_amount,
        yearly_fee=money.yearly_fee(terms) if with_terms else None,
        currency=contract.currency,
        start_on=contract.start_on,
        end_on=contract.end_on,
        renewal_months=(renewal["months"] or 0) if renewal["kind"] == "tacit" else 0,
        phi=contract.has_phi,
        flags=frozenset(contract.flags),
        liability=money.liability(terms) if with_terms else None,
        is_support=contract.kind == "support",
        exposure=exposure.worst_year(terms) if with_terms else exposure.Exposure(Decimal(0)),
        deviations=tuple(deviations.of(contract, revision)),
        paper=("support" if with_terms else "plain") if contract.kind == "file" else "",
        files=files,
        whole=lambda: [whole(contract, revision), list(files)],
    )


def whole(contract: Contract, revision: Revision) -> dict[str, Any]:
    """Everything that is agreed, whatever the number of its revision."""
    return {
        name: value
        for name, value in revisions.content(contract, revision, []).items()
        if name not in ("revision", "documents", "reference")
    }


# -- The conditions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """`holds` and `matter` of (asked for, deal); `why` a clause of a sentence with the deal's figures;
    `describe` the condition alone."""

    holds: Callable[[Any, Deal], bool]
    matter: Callable[[Deal], Any]
    why: Callable[[Any, Deal, str], str]
    describe: Callable[[Any, str], str]


def limit(amount: Any, currency: str) -> str:
    return format_money(Decimal(amount), currency)


def over(amount: Decimal | None, most: Any) -> bool:
    return amount is not None and amount > Decimal(most)


def months_words(count: int) -> str:
    return words.months(int(count))


def runs_longer(most: Any, deal: Deal) -> bool:
    return policies.longer_than(int(most), {"start_on": deal.start_on, "end_on": deal.end_on})


def exposure_why(most: Any, deal: Deal, currency: str) -> str:
    if deal.exposure.amount is None:
        return _("nothing limits its service credits")
    return _(
        "service credits can cost %(amount)s a year at worst, over %(limit)s",
        amount=limit(deal.exposure.amount, deal.currency), limit=limit(most, currency),
    )  # fmt: skip


def liability_why(most: Any, deal: Deal, currency: str) -> str:
    if deal.liability is None:
        return _("our liability has no cap")
    return _(
        "liability goes up to %(amount)s, over %(limit)s",
        amount=limit(deal.liability, deal.currency), limit=limit(most, currency),
    )  # fmt: skip


def differs_why(level: Any, deal: Deal, currency: str) -> str:
    names = [each.label for each in deal.at(level)]
    shown = words.parted(names[:6])
    return ngettext("%(num)s thing differs: %(names)s", "%(num)s things differ: %(names)s", len(names),
                    names=shown)  # fmt: skip


CONDITIONS: dict[str, Condition] = {
    "fee_over": Condition(
        lambda most, deal: over(deal.yearly_fee, most),
        lambda deal: [str(deal.yearly_fee), deal.currency],
        lambda most, deal, currency: _(
            "the fee, %(fee)s a year, is over %(limit)s",
            fee=limit(deal.yearly_fee, deal.currency), limit=limit(most, currency),
        ),
        lambda most, currency: _("fee over %(limit)s a year", limit=limit(most, currency)),
    ),
    "value_over": Condition(
        lambda most, deal: over(deal.value, most),
        lambda deal: [str(deal.value), deal.currency],
        lambda most, deal, currency: _(
            "the value, %(value)s, is over %(limit)s",
            value=limit(deal.value, deal.currency), limit=limit(most, currency),
        ),
        lambda most, currency: _("value over %(limit)s", limit=limit(most, currency)),
    ),
    "exposure_over": Condition(
        lambda most, deal: not deal.exposure.is_limited or over(deal.exposure.amount, most),
        lambda deal: [str(deal.exposure.amount), deal.exposure.is_limited, deal.currency],
        exposure_why,
        lambda most, currency: _(
            "service credits over %(limit)s a year at worst", limit=limit(most, currency)
        ),
    ),
    "liability_over": Condition(
        lambda most, deal: deal.is_support if deal.liability is None else over(deal.liability, most),
        lambda deal: [str(deal.liability), deal.currency],
        liability_why,
        lambda most, currency: _(
            "liability over %(limit)s, or without a cap", limit=limit(most, currency)
        ),
    ),
    "months_over": Condition(
        runs_longer,
        lambda deal: [str(deal.start_on), str(deal.end_on)],
        lambda most, deal, currency: _("it runs for more than %(months)s", months=months_words(most)),
        lambda most, currency: _("longer than %(months)s", months=months_words(most)),
    ),
    "renewal_over": Condition(
        lambda most, deal: deal.renewal_months > int(most),
        lambda deal: deal.renewal_months,
        lambda most, deal, currency: _(
            "it renews by itself for %(months)s at a time", months=months_words(deal.renewal_months)
        ),
        lambda most, currency: _("renews by itself for more than %(months)s", months=months_words(most)),
    ),
    "phi": Condition(
        lambda _asked, deal: deal.phi,
        lambda deal: deal.phi,
        lambda _asked, deal, currency: _("it holds protected health information"),
        lambda _asked, currency: _("protected health information"),
    ),
    "flag": Condition(
        lambda flag, deal: flag in deal.flags,
        lambda deal: sorted(deal.flags),
        lambda flag, deal, currency: _("it is marked “%(flag)s”", flag=policies.flag_name(flag)),
        lambda flag, currency: _("marked “%(flag)s”", flag=policies.flag_name(flag)),
    ),
    "paper": Condition(
        lambda kind, deal: bool(deal.paper) and kind in ("any", deal.paper),
        lambda deal: [list(deal.files), deal.paper],
        lambda kind, deal, currency: _("it is the other side’s paper"),
        lambda kind, currency: str(PAPERS[kind]),
    ),
    "deviation": Condition(
        lambda level, deal: bool(deal.at(level)),
        lambda deal: [[each.key, each.level, each.matter] for each in deal.deviations],
        differs_why,
        lambda level, currency: str(DEVIATIONS[level]),
    ),
}  # fmt: skip


def named(condition: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, condition[name]) for name in CONDITIONS if condition.get(name)]


def holds(condition: Mapping[str, Any], facts: Deal) -> bool:
    """Whether every part holds; an empty condition always does. Other currencies count as plain numbers."""
    return all(CONDITIONS[name].holds(asked, facts) for name, asked in named(condition))


def matter(condition: Mapping[str, Any], facts: Deal, roles: tuple[str, ...] = ()) -> str:
    """The SHA-256 of all the condition looks at: everything that is agreed, where it has no parts.

    Of differences only those of the `roles`, where the rule leaves it to them who is asked.
    """
    parts = named(condition)
    looked_at: list[Any] = [] if parts else [facts.whole()]
    for name, asked in parts:
        if name == "deviation":
            looked_at.append([[e.key, e.level, e.role, e.matter] for e in facts.at(asked, roles)])
        else:
            looked_at.append(CONDITIONS[name].matter(facts))
    return canonical.sha256(looked_at)


def why(condition: Mapping[str, Any], facts: Deal) -> str:
    """The reason as one sentence with the deal's own figures."""
    currency = condition.get("currency", "EUR")
    parts = [CONDITIONS[name].why(asked, facts, currency) for name, asked in named(condition)]
    said = _(" and ").join(parts) or _("every contract asks for it")
    return f"{said[:1].upper()}{said[1:]}."


def describe(condition: Mapping[str, Any]) -> str:
    """The condition in words."""
    currency = condition.get("currency", "EUR")
    parts = [CONDITIONS[name].describe(asked, currency) for name, asked in named(condition)]
    said = _(" and ").join(parts) or _("every contract")
    return said[:1].upper() + said[1:]
