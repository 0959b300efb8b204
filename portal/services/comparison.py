"""Providers side by side: what each checks and does by itself, what Countersign does for it.

Built from the declarations of the providers; `python -m portal.services.comparison` writes the table
of docs/providers/comparison.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from portal.i18n import LANGUAGES, lazy
from portal.i18n import gettext as _
from providers import market, registry
from providers.interface import Capabilities

PROVIDER, OURS, BOTH, NO = "provider", "countersign", "both", "no"
WORDS = {
    PROVIDER: lazy("By the provider"),
    OURS: lazy("By Countersign"),
    BOTH: lazy("By the provider and Countersign"),
    NO: lazy("Not possible"),
}
GATED = lazy("Checked by Countersign first")


@dataclass(frozen=True)
class Cell:
    """`kind` is provider, countersign, both or no; empty for a plain sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class Row:
    label: str
    cells: tuple[Cell, ...]


def named(kind: str, text: object = "") -> Cell:
    return Cell(kind, str(text or WORDS[kind]))


def has(name: str) -> Callable[[str, Capabilities], Cell]:
    """The provider does it, or nobody does."""
    return lambda provider, can: named(itself(provider) if getattr(can, name) else NO)


def itself(provider: str) -> str:
    """Whose work it is where the provider does it: built in, that is Countersign's."""
    return OURS if provider == "builtin" else PROVIDER


def else_ours(name: str) -> Callable[[str, Capabilities], Cell]:
    """What the provider does not do, Countersign does around it."""
    return lambda provider, can: named(itself(provider) if getattr(can, name) else OURS)


def factor(*names: str) -> Callable[[str, Capabilities], Cell]:
    """Checked by the provider, else by Countersign in front of an embedded signing page."""

    def cell(name: str, can: Capabilities) -> Cell:
        if name == "builtin":
            return named(OURS if set(names) & can.factors else NO)
        if set(names) & can.factors:
            return named(PROVIDER)
        gate = registry.capabilities("builtin").factors
        return named(OURS, GATED) if can.embedded and set(names) & gate else named(NO)

    return cell


def reminders(provider: str, can: Capabilities) -> Cell:
    if provider == "builtin":
        return named(OURS)
    if can.reminders or can.automatic_reminders:
        return named(BOTH if can.embedded else PROVIDER)
    return named(OURS, _("By Countersign, to people it checks first")) if can.embedded else named(NO)


def webhooks(_name: str, can: Capabilities) -> Cell:
    if not can.webhooks:
        return Cell("", _("None needed") if not can.seals else _("None; Countersign asks"))
    if can.signed_webhooks:
        return named(PROVIDER, _("Signed by the provider"))
    return named(OURS, _("Not signed; Countersign confirms each by asking"))


def archive(provider: str, can: Capabilities) -> Cell:
    return Cell("", _("None needed")) if provider == "builtin" else has("archive")(provider, can)


def evidence(_name: str, can: Capabilities) -> Cell:
    return named(BOTH if can.evidence else OURS)


def languages(_name: str, can: Capabilities) -> Cell:
    return Cell("", ", ".join(each for each in LANGUAGES if each in can.languages).upper())


def fact(name: str) -> Callable[[str, Capabilities], Cell]:
    def cell(provider: str, _can: Capabilities) -> Cell:
        facts = market.FACTS.get(provider)
        said = getattr(facts, name) if facts else ""
        return Cell("", _(said) if said else "–")

    return cell


ROWS: tuple[tuple[object, Callable[[str, Capabilities], Cell]], ...] = (
    (lazy("Standard and scope"), fact("standing")),
    (lazy("Bulk send"), lambda name, can: named(PROVIDER if can.bulk else OURS)),
    (lazy("Signing order"), has("signing_order")),
    (lazy("Approver who does not sign"), has("approvers")),
    (lazy("Copy"), has("copies")),
    (lazy("Signing opened from Countersign"), has("embedded")),
    (lazy("Access code"), factor("access_code")),
    (lazy("Code by text message"), factor("sms")),
    (lazy("Code by telephone call"), factor("phone")),
    (lazy("Code by mail"), factor("email_code")),
    (lazy("Authenticator app (TOTP)"), factor("totp")),
    (lazy("Knowledge questions (KBA)"), factor("kba")),
    (lazy("ID document"), factor("id_check")),
    (lazy("Signer’s own certificate"), factor("certificate")),
    (lazy("Reminders"), reminders),
    (lazy("End date"), else_ours("expiry")),
    (lazy("Name and address corrected later"), has("corrections")),
    (lazy("Handed over by the signer"), has("delegation")),
    (lazy("Webhooks"), webhooks),
    (lazy("Audit file"), evidence),
    (lazy("Archive can be brought over"), archive),
    (lazy("HIPAA agreement (BAA)"), has("health_data")),
    (lazy("Languages"), languages),
    (lazy("API and libraries"), fact("api")),
)
PLANS: tuple[tuple[object, Callable[[str, Capabilities], Cell]], ...] = (
    (lazy("Free or test account"), fact("free")),
    (lazy("Entry plan"), fact("entry")),
    (lazy("Integrations included"), fact("integrations")),
    (lazy("Advanced authentication"), fact("authentication")),
    (lazy("Enterprise support"), fact("support")),
)


def labels() -> list[str]:
    """The columns of `rows`, built-in signing first."""
    return [registry.label(name) for name in registry.names()]


def rows() -> list[Row]:
    """What each provider can do, by itself or with Countersign around it."""
    return table(ROWS, registry.names())


def plan_labels() -> list[tuple[str, str]]:
    """(label, address of the vendor's own page) for the columns of `plans`."""
    return [(registry.label(name), market.FACTS[name].url) for name in sold()]


def plans() -> list[Row]:
    """What a buyer compares, as seen on `market.SEEN_ON`."""
    return table(PLANS, sold())


def sold() -> list[str]:
    return [name for name in registry.remote_names() if name in market.FACTS]


def table(
    wanted: tuple[tuple[object, Callable[[str, Capabilities], Cell]], ...], names: list[str]
) -> list[Row]:
    return [
        Row(str(label), tuple(cell(name, registry.capabilities(name)) for name in names))
        for label, cell in wanted
    ]


def markdown() -> str:
    """The capabilities as a table for docs/providers/comparison.md, in English."""
    lines = ["| | " + " | ".join(labels()) + " |", "| --- " * (len(labels()) + 1) + "|"]
    lines += [f"| {row.label} | " + " | ".join(cell.text for cell in row.cells) + " |" for row in rows()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
