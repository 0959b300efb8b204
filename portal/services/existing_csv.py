"""The file that signed contracts are brought in by: its columns, and what a row of it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.parties import LegalEntity
from portal.models.people import Person
from portal.services import bulk_csv, entities, existing, new_contracts, permissions
from portal.services.bulk_checks import country_code
from portal.services.bulk_csv import COUNTRY, CURRENCY, LEVEL, MONTHS, PRODUCT, START, Column
from portal.services.contract_search import fold
from portal.services.existing import Existing
from portal.services.typed import Typed
from portal.sla import words

KIND = "existing"
TITLE = Column(
    "title", lazy("Title"), "Support for Mereworth Quote", lazy("What the contract is called."),
    also=("contract", "name", "contract title", "titre", "contrat"),
)  # fmt: skip
SIDE = Column(
    "side", lazy("Our side"), "supplier",
    lazy("“supplier” where we give the support, “customer” where we buy it."),
    also=("side", "we are", "role", "côté", "nous sommes"),
)  # fmt: skip
ENTITY = Column(
    "entity", lazy("Our company"), "Mereworth Software Ltd",
    lazy("Its name, or the letters its references begin with; not needed where there is only one."),
    is_required=False, also=("our entity", "entity", "legal entity", "notre société", "entité"),
)  # fmt: skip
PARTY = Column(
    "party", lazy("Other company"), "Castellan Pharma SA",
    lazy("The other party. One we know already is found by its name or registration number."),
    also=("other party", "company", "party", "customer", "vendor", "autre partie", "client", "prestataire",
          "entreprise"),
)  # fmt: skip
OWNER = Column(
    "owner", lazy("Owner"), "nora@mereworth.example",
    lazy("A colleague’s mail address or name; you, where it is left empty."),
    is_required=False, also=("contract owner", "responsable", "titulaire"),
)  # fmt: skip
SIGNED = Column(
    "signed", lazy("Signed on"), "2025-11-20", lazy("Year-month-day, or day/month/year."),
    also=("signed on", "signed", "signature date", "date de signature", "signé le"),
)  # fmt: skip
END = Column(
    "end", lazy("Ends on"), "", lazy("The last day in force; or its length in months."), is_required=False,
    also=("end", "end date", "until", "date de fin", "fin"),
)  # fmt: skip
LENGTH = Column(
    "length", MONTHS.label, "12", lazy("How long it runs, where no last day is given."), is_required=False,
    also=(*MONTHS.also, "end or length"),
)  # fmt: skip
RENEWAL = Column(
    "renewal", lazy("Renewal"), "tacit",
    lazy("“none”, “express” (both agree to it) or “tacit” (by itself, unless notice is given)."),
    also=("renewal kind", "renews", "reconduction", "renouvellement"),
)  # fmt: skip
RENEWED_FOR = Column(
    "renewal_months", lazy("Renewed for, in months"), "12", lazy("Its own length, where left empty."),
    is_required=False, also=("renewal length", "renewal months", "reconduction en mois"),
)  # fmt: skip
NOTICE = Column(
    "notice", lazy("Notice period"), "3 months", lazy("Such as “90 days” or “3 months”."), is_required=False,
    also=("notice", "préavis", "délai de préavis"),
)  # fmt: skip
FEE = Column(
    "fee", lazy("Fee"), "900.00", lazy("An amount without its currency."), is_required=False,
    also=("value", "price", "redevance", "montant", "prix"),
)  # fmt: skip
PERIOD = Column(
    "period", lazy("Fee period"), "month", lazy("“month”, “quarter” or “year”."), is_required=False,
    also=("period", "billing period", "per", "période", "périodicité"),
)  # fmt: skip
FILE = Column(
    "file", lazy("PDF file"), "contract-001.pdf", lazy("Its name in the ZIP."),
    also=("file", "pdf", "file name", "filename", "pdf file name", "fichier",
          "nom du fichier"),
)  # fmt: skip


def optional(column: Column) -> Column:
    return Column(column.key, column.label, column.example, column.about, is_required=False, also=column.also)


COLUMNS: tuple[Column, ...] = (
    TITLE, SIDE, ENTITY, PARTY, COUNTRY, OWNER, SIGNED, START, END, LENGTH, RENEWAL, RENEWED_FOR, NOTICE,
    FEE, PERIOD, optional(CURRENCY), optional(LEVEL), optional(PRODUCT), FILE,
)  # fmt: skip
bulk_csv.COLUMNS[KIND] = COLUMNS

SIDES = {
    "supplier": ("supplier", "we supply", "seller", "sell", "provider", "fournisseur", "nous fournissons",
                 "prestataire", "vente"),
    "customer": ("customer", "we buy", "buyer", "buy", "client", "nous achetons", "acheteur", "achat"),
}  # fmt: skip
RENEWALS = {
    "none": ("none", "no", "aucune", "aucun", "non", "sans"),
    "agreement": ("express", "agreement", "by agreement", "expresse", "expres", "par accord"),
    "tacit": ("tacit", "automatic", "auto", "tacite", "automatique"),
}
PERIODS = {
    "month": ("month", "monthly", "per month", "a month", "mois", "mensuel", "par mois"),
    "quarter": ("quarter", "quarterly", "per quarter", "trimestre", "trimestriel", "par trimestre"),
    "year": ("year", "yearly", "annual", "per year", "a year", "an", "annuel", "par an", "annee"),
}
UNITS = {"days": ("day", "days", "jour", "jours"), "months": ("month", "months", "mois")}


def meant(table: Mapping[str, Sequence[str]], typed: str) -> str:
    """The word of ours that a cell stands for; "" for none."""
    said = " ".join(fold(typed).split())
    return next((key for key, names in table.items() if said in {fold(name) for name in names}), "")


def notice_period(typed: str) -> tuple[int, str] | None:
    """`90 days` as (90, "days"); None where it says no unit or no number."""
    found = re.fullmatch(r"(\d{1,4})\s*([a-z]+)", " ".join(fold(typed).split()))
    unit = meant(UNITS, found[2]) if found else ""
    return (int(found[1]), unit) if found and unit else None


@dataclass
class Row:
    """A row on its way: what was typed, understood and found wrong."""

    number: int
    typed: Typed
    said: Existing | None = None
    read: dict[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> dict[str, str]:
        return self.typed.errors


class Reader:
    """Reads rows by the rules that a single contract is registered by."""

    def __init__(self, owner: Person, shape: bulk_csv.Shape, now: datetime) -> None:
        self.owner, self.shape, self.now = owner, shape, now
        self.entities: list[LegalEntity] = entities.in_use()
        self.colleagues = colleagues()

    def read(self, number: int, cells: Mapping[str, str], spare: int) -> Row:
        """One row; with every reason noted beside its column."""
        row = Row(number, Typed(cells))
        if spare:
            row.typed.refuse("", _("The row has more cells than the first row has columns."))
        said = self.understood(row)
        if not row.errors:
            try:
                existing.check(said, self.now)
            except Invalid as invalid:
                for name, reason in invalid.errors.items():
                    row.typed.refuse(FIELDS.get(name, name), reason)
        row.said = said
        return row

    def understood(self, row: Row) -> Existing:
        typed = row.typed
        notice = self.notice(typed)
        return Existing(
            title=typed.text("title", most=200, required=True),
            side=self.word(typed, "side", SIDES, _("Write “supplier” or “customer”.")),
            entity=self.entity(typed),
            party=typed.text("party", most=200, required=True),
            country=self.country(typed),
            owner=self.colleague(typed),
            signed_on=typed.date("signed", required=True) or date.min,
            start_on=typed.date("start", required=True) or date.min,
            end_on=typed.date("end"),
            length_months=typed.integer("length", least=1, most=new_contracts.LONGEST_MONTHS),
            renewal=self.word(typed, "renewal", RENEWALS, _("Write “none”, “express” or “tacit”.")),
            renewal_months=typed.integer("renewal_months", least=1, most=new_contracts.LONGEST_MONTHS),
            notice_value=notice[0] if notice else None,
            notice_unit=notice[1] if notice else "months",
            fee=self.fee(typed),
            fee_period=self.word(typed, "period", PERIODS, _("Write “month”, “quarter” or “year”."), "month"),
            currency=self.currency(typed),
            level=level_key(typed),
            product=typed.text("product", most=200),
        )

    def word(
        self, typed: Typed, name: str, table: Mapping[str, Sequence[str]], reason: str, empty: str = ""
    ) -> str:
        said = str(typed.value(name)).strip()
        found = meant(table, said) if said else empty
        if not found:
            typed.refuse(name, reason)
        return found

    def entity(self, typed: Typed) -> LegalEntity:
        said = fold(str(typed.value("entity"))).split()
        if not said and len(self.entities) == 1:
            return self.entities[0]
        for each in self.entities:
            if said and said in (fold(each.name).split(), fold(each.reference_prefix).split()):
                return each
        known = words.listed([each.name for each in self.entities])
        typed.refuse("entity", _("Write which of our companies it is: %(known)s.", known=known))
        return self.entities[0] if self.entities else LegalEntity()

    def colleague(self, typed: Typed) -> Person:
        said = " ".join(fold(str(typed.value("owner"))).split())
        if not said:
            return self.owner
        found = self.colleagues.get(said)
        if found is None:
            typed.refuse("owner", _("Nobody who may own contracts has this name or address."))
        return found or self.owner

    def country(self, typed: Typed) -> str:
        said = str(typed.value("country"))
        code = country_code(said)
        if said and not code:
            typed.refuse("country", _("This country is not on our list. Write its code, such as FR."))
        return code

    def notice(self, typed: Typed) -> tuple[int, str] | None:
        said = str(typed.value("notice")).strip()
        found = notice_period(said) if said else None
        if said and found is None:
            typed.refuse("notice", _("Write a length with its unit, such as “90 days” or “3 months”."))
        return found

    def fee(self, typed: Typed) -> Decimal | None:
        said = str(typed.value("fee")).strip()
        if not said:
            return None
        found = bulk_csv.amount(said, comma_is_decimal=self.shape.comma_is_decimal)
        if found is None or found > Decimal("999999999999.99"):
            typed.refuse("fee", _("Write an amount such as 900.00, without its currency."))
        return found

    def currency(self, typed: Typed) -> str:
        said = str(typed.value("currency")).strip().upper()
        if said and said not in new_contracts.CURRENCIES:
            known = words.listed(new_contracts.CURRENCIES)
            typed.refuse("currency", _("Write one of these currencies: %(known)s.", known=known))
        elif not said and str(typed.value("fee")).strip():
            typed.refuse("currency", _("Say in which currency the fee is."))
        return said or "EUR"


def level_key(typed: Typed) -> str:
    """One of our levels by key or name, else the word as it stands, as a key."""
    said = " ".join(fold(typed.text("level", most=60)).split())
    return re.sub(r"[^a-z0-9]+", "-", said).strip("-")[:40]


def colleagues() -> dict[str, Person]:
    """Who may own contracts, by folded name and mail address; a name that two share stands for none."""
    found: dict[str, Person] = {}
    shared = set()
    ids = [each.id for each in permissions.who_may("contract.edit")]
    for person in Person.select().where(Person.id.in_(ids)):
        for name in (person.name, person.email):
            key = " ".join(fold(name).split())
            shared |= {key} if key in found else set()
            found[key] = person
    return {key: person for key, person in found.items() if key not in shared}


# Where a fault of `existing.check` stands in the file.
FIELDS = {"signed_on": "signed", "end_on": "end", "start_on": "start"}


def template() -> bytes:
    """An empty file with the right columns and one row to be replaced."""
    return bulk_csv.example(KIND)


def columns() -> Iterable[Column]:
    return COLUMNS
