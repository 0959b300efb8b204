"""Tables for spreadsheets: typed cells, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from portal.documents import calendar_file, csv_file, xlsx
from portal.documents.calendar_file import Day

DANGEROUS = [
    "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1+1", "＝1+1", '=HYPERLINK("http://x")',
]  # fmt: skip
ROWS = [
    ["LF-1", "Côté <b> & “x”", date(2027, 12, 31), Decimal("15500.50"), None, 3],
    ["=1", "", None, Decimal(0), "x", 0],
]
NS = {"m": xlsx.MAIN}


def read_csv(content, delimiter=","):
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=delimiter))


def test_csv_keeps_types_and_speaks_either_way_of_writing_amounts():
    english = read_csv(csv_file.table(["A", "B", "C", "D", "E", "F"], ROWS))
    french = read_csv(csv_file.table(["A", "B", "C", "D", "E", "F"], ROWS, decimal_comma=True), ";")

    assert english[1] == ["LF-1", "Côté <b> & “x”", "2027-12-31", "15500.50", "", "3"]
    assert french[1][3] == "15500,50"


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_cell_of_a_csv_begins_like_a_formula(text):
    cell = read_csv(csv_file.table([text], [[text]]))[1][0]

    assert cell.startswith("'")
    assert cell[1:].splitlines() == text.splitlines()


def test_negative_numbers_stay_numbers():
    assert read_csv(csv_file.table(["A"], [[Decimal("-5.00")], [-3]]))[1:] == [["-5.00"], ["-3"]]


def sheet_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        parts = {name: etree.fromstring(file.read(name)) for name in file.namelist()}
    return parts["xl/worksheets/sheet1.xml"]


def test_a_workbook_holds_typed_cells_and_no_formula():
    root = sheet_of(xlsx.workbook("Contracts", ["A", "B", "C", "D", "E", "F"], ROWS))
    cells = {each.get("r"): each for each in root.iter(f"{{{xlsx.MAIN}}}c")}

    assert not root.xpath("//m:f", namespaces=NS)
    assert cells["A3"].get("t") == "inlineStr"
    assert "".join(cells["A3"].itertext()) == "=1"
    assert "".join(cells["B2"].itertext()) == "Côté <b> & “x”"
    assert (cells["C2"].get("s"), cells["C2"].findtext("m:v", namespaces=NS)) == ("2", "46752")
    assert (cells["D2"].get("s"), cells["D2"].findtext("m:v", namespaces=NS)) == ("3", "15500.50")
    assert "E2" not in cells


def test_text_that_xml_cannot_write_breaks_nothing():
    root = sheet_of(xlsx.workbook("a:b/c[d]'", ["\x00head"], [["\x01\ud800ok￿" + "x" * 40_000]]))

    assert root.xpath("string(//m:row[2]/m:c)", namespaces=NS).startswith("ok")


def test_a_spreadsheet_program_reads_it(tmp_path):
    office = shutil.which("soffice")
    if not office or not list(Path(office).resolve().parent.glob("libsclo.so")):
        pytest.skip("no LibreOffice Calc here")
    (tmp_path / "a.xlsx").write_bytes(xlsx.workbook("Contracts", ["A", "B", "C", "D", "E", "F"], ROWS))
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = [office, profile, "--headless", "--convert-to", "csv", "a.xlsx"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)

    rows = read_csv((tmp_path / "a.csv").read_bytes())

    assert rows[1][0] == "LF-1"
    assert rows[2][0] == "=1"


def test_columns_go_on_behind_z():
    assert [xlsx.letters(n) for n in (1, 26, 27, 52, 703)] == ["A", "Z", "AA", "AZ", "AAA"]


def test_a_calendar_folds_long_lines_and_escapes_what_means_something(now):
    day = Day("a-end@x", date(2027, 12, 31), "É" * 60 + ", a; b\\c\nEND:VEVENT")
    text = calendar_file.calendar("Contracts", [day], now)

    lines = text.decode().split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    whole = text.decode().replace("\r\n ", "")
    assert "SUMMARY:" + "É" * 60 + "\\, a\\; b\\\\c END:VEVENT\r\n" in whole
    assert "DTSTART;VALUE=DATE:20271231\r\nDTEND;VALUE=DATE:20280101" in whole
    assert whole.count("\r\nEND:VEVENT\r\n") == 1
    assert text.startswith(b"BEGIN:VCALENDAR\r\n")
    assert text.endswith(b"END:VCALENDAR\r\n")
