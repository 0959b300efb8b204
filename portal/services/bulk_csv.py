"""The file of a bulk send, read and written: which columns, in which language, how cells are taken.

Spreadsheets differ: the file may be UTF-8, with or without its mark, or Windows-1252, its cells
parted by comma, semicolon or tab. Nothing written here starts a formula when a spreadsheet opens it.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from portal.i18n import LANGUAGES, current, lazy, use
from portal.i18n import gettext as _
from portal.services.contract_search import fold
from portal.services.typed import clean
from portal.sla.words import listed

DELIMITERS = (",", ";", "\t")
LONGEST_CELL = 2_000
MOST_COLUMNS = 60
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Column:
    """One thing a row says. Its header is `label`, in any of our languages, or one of `also`."""

    key: str
    label: Any
    example: str
    about: Any
    is_required: bool = True
    also: tuple[str, ...] = ()


COMPANY = Column(
    "company", lazy("Company"), "Castellan Pharma SA",
    lazy("The other party. One we know already is found by its name or registration number."),
    also=("company name", "organisation", "organization", "customer", "vendor", "entreprise", "client",
          "nom de la société", "prestataire"),
)  # fmt: skip
COUNTRY = Column(
    "country", lazy("Country"), "FR", lazy("Of a company we do not know yet: its code or its name."),
    is_required=False, also=("country code", "code pays"),
)  # fmt: skip
NAME = Column(
    "name", lazy("Signer"), "Claire Aubert", lazy("Who signs for them, as it will stand in the contract."),
    also=("name", "contact", "contact name", "signer name", "full name", "nom", "nom du signataire"),
)  # fmt: skip
EMAIL = Column(
    "email", lazy("Mail address"), "claire.aubert@castellan.example", lazy("Where the link goes."),
    also=("email", "e-mail", "mail", "email address", "e-mail address", "courriel", "adresse courriel",
          "adresse mail", "adresse e-mail"),
)  # fmt: skip
TITLE = Column(
    "title", lazy("Position"), "IT Director", lazy("Printed under the name."), is_required=False,
    also=("title", "job title", "role", "poste", "titre"),
)  # fmt: skip
PHONE = Column(
    "phone", lazy("Mobile number"), "+33 6 12 34 56 38",
    lazy("With its country code; needed where your rules ask for a code by text message."),
    is_required=False,
    also=("phone", "mobile", "telephone", "phone number", "téléphone", "portable", "numéro de téléphone"),
)  # fmt: skip
LANGUAGE = Column(
    "language", lazy("Language"), "fr", lazy("English or French; the company’s where it is left empty."),
    is_required=False, also=("lang", "locale"),
)  # fmt: skip
LEVEL = Column(
    "level", lazy("Support level"), "standard", lazy("One of the levels of the template."),
    also=("level", "plan", "support plan", "niveau", "formule"),
)  # fmt: skip
PRODUCT = Column("product", lazy("Product"), "Mereworth Quote", lazy("What is supported."), also=("service",))
FEE = Column(
    "fee", lazy("Fee a month"), "900.00", lazy("An amount without its currency."),
    also=("fee", "monthly fee", "fee per month", "value", "price", "redevance", "montant", "prix",
          "redevance par mois"),
)  # fmt: skip
CURRENCY = Column(
    "currency", lazy("Currency"), "EUR", lazy("Its code of three letters."), also=("currency code",)
)
START = Column(
    "start", lazy("Starts on"), "2027-02-01", lazy("Year-month-day, or day/month/year."),
    also=("start", "start date", "date de début", "début"),
)  # fmt: skip
MONTHS = Column(
    "length", lazy("Length in months"), "12", lazy("How long it runs."),
    also=("months", "length", "duration", "duration in months", "mois", "durée", "nombre de mois"),
)  # fmt: skip
PERSON = (COMPANY, COUNTRY, NAME, EMAIL, TITLE, PHONE, LANGUAGE)
COLUMNS: dict[str, tuple[Column, ...]] = {
    "template": (*PERSON, LEVEL, PRODUCT, FEE, CURRENCY, START, MONTHS),
    "document": PERSON,
}
REASON = lazy("What is wrong")
ROW = lazy("Row")


class Unreadable(Exception):
    """The file as a whole cannot be taken; the sentence says why."""


# --- Reading -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """How a file is written: what it takes to read it again."""

    encoding: str
    delimiter: str
    columns: tuple[str, ...]  # the key each place stands for; "" for one that means nothing here
    ignored: tuple[str, ...]  # those headers

    @property
    def comma_is_decimal(self) -> bool:
        return self.delimiter == ";"


def shape_of(content: bytes, kind: str, given: Iterable[str] = ()) -> Shape:
    """How the file is written. Raises Unreadable.

    `given` are the columns that have one answer for all rows and so may be missing.
    """
    encoding = encoding_of(content)
    first = next(lines(content, encoding), "")
    if not first.strip():
        raise Unreadable(_("The file is empty."))
    known = names(kind)
    delimiter = max(DELIMITERS, key=lambda each: sum(fold_name(c) in known for c in first.split(each)))
    header = next(iter(records(content, encoding, delimiter)), [])
    if len(header) > MOST_COLUMNS:
        raise Unreadable(_("The file has more columns than a list of people needs."))
    keys = tuple(known.get(fold_name(cell), "") for cell in header)
    twice = [str(label(kind, key)) for key in dict.fromkeys(keys) if key and keys.count(key) > 1]
    if twice:
        raise Unreadable(_("These columns stand in it twice: %(names)s.", names=listed(twice)))
    missing = [
        str(each.label)
        for each in COLUMNS[kind]
        if each.is_required and each.key not in keys and each.key not in set(given)
    ]
    if missing:
        raise Unreadable(_("These columns are missing: %(names)s.", names=listed(missing)))
    ignored = tuple(
        clean(c).strip()[:60] for c, key in zip(header, keys, strict=True) if not key and c.strip()
    )
    return Shape(encoding, delimiter, keys, ignored)


def rows(content: bytes, shape: Shape) -> Iterator[tuple[int, dict[str, str], int]]:
    """(number, cells by column, how many cells too many), one at a time; empty rows are passed over.

    Rows are numbered as a spreadsheet does: the header is 1. Raises Unreadable where quotes break.
    """
    for number, cells in enumerate(records(content, shape.encoding, shape.delimiter), start=1):
        if number == 1 or not any(cell.strip() for cell in cells):
            continue
        width = len(shape.columns)
        found = {key: plain(cell) for key, cell in zip(shape.columns, cells, strict=False) if key}
        yield number, found, sum(bool(cell.strip()) for cell in cells[width:])


def count(content: bytes, shape: Shape) -> int:
    """How many rows there are. Raises Unreadable where quotes break."""
    return sum(1 for _row in rows(content, shape))


def line_numbers(content: bytes, shape: Shape) -> dict[int, int]:
    """On which line of the file each row begins: a cell may hold line ends."""
    text = io.TextIOWrapper(io.BytesIO(content), shape.encoding, newline="")
    reader = csv.reader(text, delimiter=shape.delimiter, strict=True)
    found, line = {}, 1
    for number, _cells in enumerate(reader, start=1):
        found[number], line = line, reader.line_num + 1
    return found


def encoding_of(content: bytes) -> str:
    if b"\0" in content[:CHUNK]:
        raise Unreadable(_("This is not a CSV file. Save it as CSV (comma separated, UTF-8)."))
    for encoding in ("utf-8-sig", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for at in range(0, len(content), CHUNK):
                decoder.decode(content[at : at + CHUNK])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise Unreadable(_("The letters of this file cannot be read. Save it as CSV UTF-8."))


def lines(content: bytes, encoding: str) -> Iterator[str]:
    return iter(io.TextIOWrapper(io.BytesIO(content), encoding, newline=None))


def records(content: bytes, encoding: str, delimiter: str) -> Iterator[list[str]]:
    text = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise Unreadable(
            _("Line %(line)s cannot be read: its quotation marks do not match.", line=reader.line_num)
        ) from error


def plain(cell: str) -> str:
    """What a cell says, on one line, without the mark that keeps spreadsheets from computing."""
    said = " ".join(clean(cell[: LONGEST_CELL + 1]).split())
    unmarked = said[1:].lstrip()
    return unmarked if said.startswith("'") and unmarked.startswith(FORMULA) else said


@lru_cache(maxsize=4)
def names(kind: str) -> Mapping[str, str]:
    """Every header that is understood, folded, with the column it stands for."""
    found = {}
    for each in COLUMNS[kind]:
        for language in LANGUAGES:
            with use(language):
                found[fold_name(str(each.label))] = each.key
        found |= {fold_name(name): each.key for name in (each.key, *each.also)}
    return found


def fold_name(header: str) -> str:
    return " ".join(re.sub(r"[-_*:]", " ", fold(header.replace("\ufeff", ""))).split())


def label(kind: str, key: str) -> Any:
    """How a column is called for the reader; "" for none."""
    return next((each.label for each in COLUMNS[kind] if each.key == key), "")


def amount(typed: str, *, comma_is_decimal: bool) -> Decimal | None:
    """An amount as people write it; None where it could mean two things, or nothing.

    Both signs: the last one is decimal. One sign once before three digits groups thousands only if
    the file does not use it for decimals.
    """
    said = re.sub(r"[\s\u00a0\u202f'’]", "", typed)
    if not re.fullmatch(r"[0-9][0-9.,]*", said):
        return None
    decimal = "," if comma_is_decimal else "."
    if "," in said and "." in said:
        decimal = max(",.", key=said.rindex)
    elif re.fullmatch(r"\d+[.,]\d{1,2}", said):
        decimal = "," if "," in said else "."
    grouping = "." if decimal == "," else ","
    whole, _sign, cents = said.partition(decimal)
    if grouping in cents or decimal in cents or len(cents) > 2:
        return None
    if grouping in whole and not re.fullmatch(rf"\d{{1,3}}(\{grouping}\d{{3}})+", whole):
        return None
    try:
        return Decimal(f"{whole.replace(grouping, '')}.{cents or '0'}")
    except InvalidOperation:
        return None


# --- Writing -----------------------------------------------------------------------------------


def example(kind: str) -> bytes:
    """A file with the right columns and one row to be replaced."""
    columns = COLUMNS[kind]
    return b"".join(written([[each.label for each in columns], [each.example for each in columns]]))


def written(table: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """CSV that spreadsheets of the reader's language open as it is, row by row, without formulas."""
    delimiter = ";" if current() == "fr" else ","
    yield codecs.BOM_UTF8
    for row in table:
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow([safe(str(c)) for c in row])
        yield out.getvalue().encode()


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.lstrip().startswith(FORMULA) or cell.startswith(FORMULA) else cell
