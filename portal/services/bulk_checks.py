"""A bulk file checked whole before anything goes: every row, every reason, in words.

Rows are read one at a time and kept in the database a few hundred at once, so a file of any length
takes no more memory than a short one. Nothing but rows of the batch is written.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import peewee

from portal import failpoints
from portal.i18n import LANGUAGES, NAMES, current, use
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.bulk import BulkBatch, BulkRow
from portal.models.contracts import Contract
from portal.models.envelopes import PolicyRule
from portal.models.parties import Contact, Counterparty
from portal.services import (
    audit,
    bulk_csv,
    connections,
    entities,
    installation,
    jobs,
    new_contracts,
    parties,
    policies,
    sendable,
)
from portal.services.bulk_csv import Unreadable
from portal.services.contract_search import fold
from portal.services.typed import Typed
from portal.sla import duration, money, validate, words

CHUNK = 250  # rows kept at once, and looked up together
AT_ONCE = 200  # checked while the person waits; longer files are read by a job
LANES = 4  # rows of different companies may be made side by side
MOST_PLANS = 200  # computed terms kept in memory


# --- The whole file ----------------------------------------------------------------------------


@jobs.handler("check_bulk")
def check_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Read a long file; a repeated run goes on behind the last row it kept."""
    batch: BulkBatch | None = BulkBatch.get_or_none(BulkBatch.id == payload["batch"])
    if batch is not None and batch.state == "checking":
        with use(batch.owner.language, batch.owner.zone):
            check(batch, clock=context.clock, context=context)


@jobs.on_failure("check_bulk")
def check_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    BulkBatch.update(
        state="refused", checked_at=now, problem=_("The file could not be read through. Upload it again.")
    ).where((BulkBatch.id == payload["batch"]) & (BulkBatch.state == "checking")).execute()


def check(batch: BulkBatch, *, clock: Any, context: jobs.Context | None = None) -> None:
    """Read every row of the batch's file and say what is wrong; ends in `checked` or `refused`."""
    content = installation.current().store.get(batch.storage_key)
    try:
        shape = bulk_csv.shape_of(content, batch.kind, batch.defaults)
        read_rows(batch, content, shape, clock(), context)
    except Unreadable as error:
        finish(batch, "refused", clock(), context, problem=str(error))
        return
    find_doubles(batch, context)
    finish(batch, "checked", clock(), context)


def read_rows(
    batch: BulkBatch, content: bytes, shape: bulk_csv.Shape, now: datetime, context: jobs.Context | None
) -> None:
    last = BulkRow.select(peewee.fn.MAX(BulkRow.number)).where(BulkRow.batch == batch).scalar() or 0
    checker = Checker(batch, shape, now.date())
    held: list[tuple[int, dict[str, str], int]] = []
    for row in bulk_csv.rows(content, shape):
        if row[0] <= last:
            continue
        held.append(row)
        if len(held) == CHUNK:
            keep(batch, checker.check_all(held), context)
            held = []
    keep(batch, checker.check_all(held), context)


def keep(batch: BulkBatch, found: list[dict[str, Any]], context: jobs.Context | None) -> None:
    """Write some rows, and how far the reading is."""
    with transaction():
        if context is not None:
            context.hold()
        if found:
            BulkRow.insert_many(found).execute()
        BulkBatch.update(rows_read=BulkBatch.rows_read + len(found)).where(BulkBatch.id == batch.id).execute()
    if context is not None:
        context.renew()
    failpoints.reach("bulk.after_chunk")


def find_doubles(batch: BulkBatch, context: jobs.Context | None) -> None:
    """Whoever stands in the file twice is wrong from the second row on."""
    mine = (BulkRow.batch == batch) & (BulkRow.email != "")
    twice: Any = (
        BulkRow.select(BulkRow.email, peewee.fn.MIN(BulkRow.number))
        .where(mine)
        .group_by(BulkRow.email)
        .having(peewee.fn.COUNT(BulkRow.id) > 1)
        .tuples()
    )
    for email, first in list(twice):
        reason = _("This person stands in row %(row)s already.", row=first)
        with transaction():
            if context is not None:
                context.hold()
            later = mine & (BulkRow.email == email) & (BulkRow.number > first)
            for row in list(BulkRow.select().where(later)):
                if ["email", reason] not in row.errors:
                    row.typed = row.typed or row.read
                    row.errors = [*row.errors, ["email", reason]]
                    row.state = "wrong"
                    row.save()


def finish(
    batch: BulkBatch, state: str, now: datetime, context: jobs.Context | None, *, problem: str = ""
) -> None:
    """The file is not needed any more: what it said stands in the rows."""
    with transaction():
        if context is not None:
            context.hold()
        moved = (
            BulkBatch.update(state=state, checked_at=now, problem=problem, storage_key="")
            .where((BulkBatch.id == batch.id) & (BulkBatch.state == "checking"))
            .execute()
        )
        if not moved:
            return
        wrong = BulkRow.select().where((BulkRow.batch == batch) & (BulkRow.state == "wrong")).count()
        rows = BulkRow.select().where(BulkRow.batch == batch).count()
        BulkBatch.update(rows_total=rows, rows_read=rows).where(BulkBatch.id == batch.id).execute()
        audit.append(
            "bulk.checked", ("bulk", batch.id), chain=audit.INSTALLATION, by=audit.SYSTEM, now=now,
            facts={"outcome": state, "rows": rows, "wrong": wrong, "sha256": batch.sha256},
        )  # fmt: skip
    installation.current().store.delete(batch.storage_key)


# --- One row -----------------------------------------------------------------------------------


@dataclass
class Plan:
    """Terms that many rows share but for the fee, and what is wrong with them."""

    terms: dict[str, Any]
    faults: list[str]


@dataclass
class Row:
    """A row on its way: what was typed, understood and found wrong."""

    number: int
    typed: Typed
    spare: int
    party: Counterparty | None = None
    read: dict[str, str] = field(default_factory=dict)
    amount: Decimal = Decimal(0)

    @property
    def errors(self) -> dict[str, str]:
        return self.typed.errors


class Checker:
    """Reads rows by the rules that a single contract is made by, for one batch on one day."""

    def __init__(self, batch: BulkBatch, shape: bulk_csv.Shape, today: date) -> None:
        self.batch, self.shape, self.today = batch, shape, today
        # None for a document, whose rows need neither.
        self.version: Any = batch.template_version
        self.signatory: Any = batch.signatory
        self.rules: list[PolicyRule] = policies.active_rules()
        self.provider = batch.connection.provider if batch.connection else "builtin"
        self.stops: dict[bool, list[str]] = {}
        self.ours = new_contracts.our_signer(self.signatory) if self.signatory else None
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def check_all(self, rows: Iterable[tuple[int, dict[str, str], int]]) -> list[dict[str, Any]]:
        """Some rows as they are kept; what is known of their people is looked up together."""
        found = [Row(number, Typed(self.with_defaults(cells)), spare) for number, cells, spare in rows]
        known = parties.find_many(str(row.typed.value("company")) for row in found)
        emails = [str(row.typed.value("email")).lower() for row in found]
        people: Any = Contact.select().where(Contact.email.in_(emails))
        contacts = {(each.counterparty_id, each.email): each for each in people}
        for row in found:
            row.party = known.get(str(row.typed.value("company")))
            self.check(row, contacts)
        return [self.kept(row) for row in found]

    def with_defaults(self, cells: Mapping[str, str]) -> dict[str, str]:
        return {**self.batch.defaults, **{key: said for key, said in cells.items() if said}}

    def check(self, row: Row, contacts: Mapping[tuple[str, str], Contact]) -> None:
        if row.spare:
            row.typed.refuse("", _("The row has more cells than the first row has columns."))
        row.read = self.person(row)
        contact = contacts.get((row.party.id, row.read["email"])) if row.party else None
        phone = row.read["phone"] or (contact.phone if contact else "")
        if self.batch.kind == "template":
            row.read |= self.answers(row)
            facts = None if row.errors else self.facts(row)
        else:
            facts = NO_TERMS
        if facts is not None:
            self.judge(row, facts, phone)

    def person(self, row: Row) -> dict[str, str]:
        typed = row.typed
        country = country_code(str(typed.value("country")))
        if typed.value("country") and not country:
            typed.refuse("country", _("This country is not on our list. Write its code, such as FR."))
        language = language_code(str(typed.value("language")))
        if typed.value("language") and not language:
            typed.refuse("language", _("Write English or French."))
        return {
            "company": typed.text("company", most=200, required=True),
            "country": country,
            "name": typed.text("name", most=200, required=True),
            "email": typed.email("email"),
            "title": typed.text("title", most=200),
            "phone": typed.phone("phone", country=(row.party.country if row.party else "") or country),
            "language": language,
        }

    def answers(self, row: Row) -> dict[str, str]:
        typed = row.typed
        level = level_key(self.batch, str(typed.value("level")))
        if not level:
            typed.refuse("level", self.level_reason())
        currency = str(typed.value("currency")).strip().upper()
        if currency not in new_contracts.CURRENCIES:
            known = words.listed(new_contracts.CURRENCIES)
            typed.refuse("currency", _("Write one of these currencies: %(known)s.", known=known))
        start, length = (
            typed.date("start", required=True),
            typed.integer("length", least=1, most=new_contracts.LONGEST_MONTHS, required=True),
        )
        return {
            "level": level,
            "product": typed.text("product", most=200, required=True),
            "fee": self.fee(row),
            "currency": currency,
            "start": start.isoformat() if start else "",
            "length": str(length or ""),
        }

    def fee(self, row: Row) -> str:
        said = str(row.typed.value("fee"))
        comma = self.shape.comma_is_decimal or (self.shape.delimiter == "\t" and self.batch.language == "fr")
        found = bulk_csv.amount(said, comma_is_decimal=comma)
        if found is None or found >= Decimal(10) ** 12:
            row.typed.refuse(
                "fee", _("Write the amount in digits, without signs for thousands, such as 4500.50.")
            )
            return ""
        return f"{found:.2f}"

    def level_reason(self) -> str:
        labels = [words.level(level) for level in self.version.levels]
        return _("Write one of the levels of this template: %(levels)s.", levels=words.listed(labels))

    def facts(self, row: Row) -> dict[str, Any] | None:
        """What policies look at; None where the terms themselves are wrong."""
        plan = self.plan(row)
        for fault in plan.faults:
            row.typed.refuse("", fault)
        commercial = {**plan.terms["commercial"], "fee": row.read["fee"], "currency": row.read["currency"]}
        terms: Any = {**plan.terms, "commercial": commercial}
        row.amount = money.value(terms) or Decimal(0)
        reason = entities.why_not(self.signatory, row.amount, row.read["currency"], self.today)
        if reason:
            row.typed.refuse("fee", reason)
        return {
            "value": row.amount,
            "currency": row.read["currency"],
            "start_on": duration.first_day(terms),
            "end_on": duration.last_day(terms),
            "phi": bool(commercial["phi"]),
            "flags": set(),
            "liability": money.liability(terms),
            "is_support": True,
        }

    def plan(self, row: Row) -> Plan:
        read, party = row.read, row.party
        if party is None:
            party = Counterparty(
                **parties.usual(read["company"], country=read["country"], language=read["language"])
            )
        languages = new_contracts.languages_for(party, self.version)
        key = (read["level"], read["start"], read["length"], party.country, party.zone, *languages)
        if key not in self.plans:
            if len(self.plans) >= MOST_PLANS:
                self.plans.clear()
            answers = fast_lane(self.batch, read)
            terms = new_contracts.terms_from(answers, self.version, self.batch.entity, party)
            faults = validate.check(terms, language=current(), languages=languages)
            self.plans[key] = Plan(terms, [each.message for each in faults])
        return self.plans[key]

    def judge(self, row: Row, facts: Mapping[str, Any], phone: str) -> None:
        """What policy asks of those who sign, and whether they and the account can meet it."""
        theirs: dict[str, Any] = {
            "side": "theirs",
            "role": "signer",
            "name": row.read["name"],
            "phone": phone,
        }
        for who in (theirs, *([self.ours] if self.ours else [])):
            factors, _reasons = policies.asked_of(facts, who, self.rules)
            if factors and self.batch.is_native:
                asked = words.listed(str(policies.FACTORS[each]) for each in factors)
                row.typed.refuse(
                    "", _("Your rules ask for “%(factors)s”, which is checked by Countersign first. Let "
                          "Countersign send the requests one by one instead.", factors=asked),
                )  # fmt: skip
                continue
            for reason in sendable.hindrances(factors, who, self.provider):
                row.typed.refuse("phone" if "sms" in factors and who is theirs else "", reason)
        for reason in self.account_reasons(bool(facts["phi"])):
            row.typed.refuse("", reason)

    def account_reasons(self, has_phi: bool) -> list[str]:
        """Why the account takes no such contract."""
        if self.batch.connection is None:
            return []
        if has_phi not in self.stops:
            self.stops[has_phi] = connections.usable_for(
                Contract(has_phi=has_phi, entity=self.batch.entity), self.batch.connection
            )
        return self.stops[has_phi]

    def kept(self, row: Row) -> dict[str, Any]:
        """The row as it is written down; of a wrong one also what was typed, to be mended."""
        read, errors = row.read, row.errors
        company = str(read["company"] or row.typed.value("company"))[:200]
        return {
            "batch": self.batch.id,
            "number": row.number,
            "lane": zlib.crc32((row.party.id if row.party else fold(company)).encode()) % LANES,
            "state": "wrong" if errors else "right",
            "company": company,
            "name": str(read["name"] or row.typed.value("name"))[:200],
            "email": read["email"] or "",
            "is_known": row.party is not None,
            "amount": row.amount,
            "currency": read.get("currency", "") if not errors else "",
            "read": {} if errors else read,
            "typed": {key: str(said) for key, said in row.typed.values.items()} if errors else {},
            "errors": [[key, str(reason)] for key, reason in errors.items()],
        }


# What policies look at in a document that has no terms of ours.
NO_TERMS: dict[str, Any] = {
    "value": Decimal(0), "currency": "EUR", "start_on": None, "end_on": None, "phi": False,
    "flags": set(), "liability": None, "is_support": False,
}  # fmt: skip


def fast_lane(batch: Any, read: Mapping[str, str]) -> new_contracts.FastLane:
    """The eight answers of a row that was understood."""
    return new_contracts.FastLane(
        template_version_id=batch.template_version.id,
        level=read["level"],
        side=batch.side,
        party=read["company"],
        signatory_id=batch.signatory.id,
        their_name=read["name"],
        their_email=read["email"],
        product=read["product"],
        fee=Decimal(read["fee"]),
        currency=read["currency"],
        start_on=date.fromisoformat(read["start"]),
        length_months=int(read["length"]),
        their_title=read["title"],
        party_country=read["country"],
        their_phone=read["phone"],
        their_language=read["language"],
    )


# --- Words of a cell ---------------------------------------------------------------------------


def country_code(said: str) -> str:
    """The code of a country on our list, from its code or its name in any of our languages."""
    return country_names().get(fold(said).strip(), "") if said else ""


@lru_cache(maxsize=1)
def country_names() -> Mapping[str, str]:
    from babel import Locale  # read once

    found: dict[str, str] = {}
    for language in LANGUAGES:
        territories = Locale.parse(language).territories
        found |= {fold(str(territories[code])).strip(): code for code in parties.ZONE_OF}
    return found | {fold(code): code for code in parties.ZONE_OF} | {"uk": "GB", "usa": "US"}


def language_code(said: str) -> str:
    return language_names().get(fold(said).strip(), "") if said else ""


@lru_cache(maxsize=1)
def language_names() -> Mapping[str, str]:
    from babel import Locale

    found = {fold(code): code for code in LANGUAGES} | {fold(name): code for code, name in NAMES.items()}
    for language in LANGUAGES:
        found |= {fold(str(Locale.parse(language).languages[code])): code for code in LANGUAGES}
    return found


def level_key(batch: Any, said: str) -> str:
    """A level of the template, from its key or its name in any language."""
    wanted = fold(said).strip()
    for key, level in batch.template_version.levels.items():
        if wanted and wanted in {fold(name).strip() for name in (key, *level["label"].values())}:
            return str(key)
    return ""
