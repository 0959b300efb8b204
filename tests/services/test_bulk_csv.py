from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from portal import i18n
from portal.services import bulk_csv
from portal.services.bulk_csv import Unreadable

HEADER = ["Company", "Signer", "E-mail", "Plan", "Product", "Fee", "Currency", "Start date", "Months"]
CELLS = ["Établissements Noël", "Zoë", "z@x.example", "Basic", "Quote", "900", "EUR", "2027-01-01", "12"]


def read(content, kind="template", given=()):
    shape = bulk_csv.shape_of(content, kind, given)
    return shape, list(bulk_csv.rows(content, shape))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_files_of_all_spreadsheets_say_the_same(encoding, delimiter):
    content = "\n".join(delimiter.join(row) for row in (HEADER, CELLS)).encode(encoding)

    shape, rows = read(content)

    assert shape.delimiter == delimiter
    assert rows[0][0] == 2
    assert (rows[0][1]["company"], rows[0][1]["name"]) == ("Établissements Noël", "Zoë")
    assert rows[0][1]["length"] == "12"


def test_headers_are_understood_in_both_languages_whatever_the_reader_speaks():
    with i18n.use("fr"):
        french = bulk_csv.example("template")
    assert "Société" in french.decode("utf-8-sig")

    _shape, rows = read(french)

    assert rows[0][1]["company"] == "Castellan Pharma SA"
    assert rows[0][1]["phone"] == "+33 6 12 34 56 38"
    assert set(rows[0][1]) == {column.key for column in bulk_csv.COLUMNS["template"]}


def test_quoted_cells_may_hold_delimiters_and_lines():
    content = b'Company,Signer,E-mail\n"Smith, Sons\n& Co","A ""B"" C",a@x.example\n\nLast,D,d@x.example\n'

    _shape, rows = read(content, "document")

    assert rows[0][1]["company"] == "Smith, Sons & Co"
    assert rows[0][1]["name"] == 'A "B" C'
    assert [number for number, _cells, _spare in rows] == [2, 4]


def test_a_file_as_a_whole_is_refused_with_what_is_missing():
    for content, words in (
        (b"", "is empty"),
        (b"PK\x03\x04\0\0", "not a CSV file"),
        ("Company,Signer".encode("utf-16"), "not a CSV file"),
        (b"Company,Signer\nA,B", "missing: Mail address"),
        (b"Company,Company,Signer,E-mail\n", "twice: Company"),
    ):
        with pytest.raises(Unreadable, match=words):
            read(content, "document")


def test_broken_quotes_are_refused_by_line():
    content = b'Company,Signer,E-mail\nA,B,c@x.example\n"D,E,f@x.example\n'
    shape = bulk_csv.shape_of(content, "document")

    with pytest.raises(Unreadable, match="cannot be read"):
        list(bulk_csv.rows(content, shape))


def test_columns_with_one_answer_for_all_may_be_missing_and_unknown_ones_are_named():
    content = b"Company,Signer,E-mail,Colour\nA,B,c@x.example,red\n"

    shape, _rows = read(content, "template", ["level", "product", "fee", "currency", "start", "length"])

    assert shape.ignored == ("Colour",)


@pytest.mark.parametrize(
    ("typed", "comma", "meaning"),
    [
        ("900", False, "900.0"), ("4500.50", False, "4500.50"), ("4,500.50", False, "4500.50"),
        ("4.500,50", False, "4500.50"), ("4 500,50", True, "4500.50"), ("4,500", False, "4500.0"),
        ("4.500", True, "4500.0"), ("4500,5", False, "4500.5"), ("1,234,567", False, "1234567.0"),
        ("4.500", False, None), ("4,500", True, None), ("1,23,456", False, None), ("12a", False, None),
        ("-5", False, None), ("", False, None), ("1.234.5", False, None), ("900 EUR", False, None),
    ],
)  # fmt: skip
def test_amounts_that_could_mean_two_things_are_refused(typed, comma, meaning):
    found = bulk_csv.amount(typed, comma_is_decimal=comma)

    assert found == (None if meaning is None else Decimal(meaning))


@pytest.mark.parametrize("cell", ["=1+1", "+44 117 496 0182", "-2", "@SUM(A1)", "\t=1", "\uff1dx", "  =1"])
def test_nothing_we_write_starts_a_formula_and_it_reads_back_as_it_was(cell):
    written = b"".join(bulk_csv.written([["Company", "Signer", "E-mail"], [cell, "n", "e@x.example"]]))

    shown = list(csv.reader(io.StringIO(written.decode("utf-8-sig"))))[1][0]
    _shape, rows = read(written, "document")

    assert shown.startswith("'")
    assert rows[0][1]["company"] == " ".join(cell.split())
