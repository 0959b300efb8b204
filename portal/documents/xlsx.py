"""One table as a workbook: plain Office Open XML, cells of text, dates and numbers, nothing that is run.

Text is written as text whatever it begins with, so no cell can be taken for a formula.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO
from xml.sax.saxutils import escape, quoteattr

Cell = str | date | Decimal | int | None
PLAIN, HEAD, DAY, AMOUNT = range(4)
EPOCH = date(1899, 12, 30)
MOST_CHARACTERS = 32_000  # a cell takes 32,767
# What XML 1.0 has no way to write.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff￾￿]")

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TOP = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"

TYPES = (
    f'{TOP}<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{SHEET}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{SHEET}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{SHEET}.styles+xml"/></Types>'
)
RELATIONS = (
    f'{TOP}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
OF_WORKBOOK = (
    f'{TOP}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>'
)
STYLES = (
    f'{TOP}<styleSheet xmlns="{MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="14" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="4" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    "</styleSheet>"
)


def workbook(name: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A workbook of one sheet: a bold first row that stays in sight, then the rows."""
    parts = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": RELATIONS,
        "xl/workbook.xml": f'{TOP}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        f'<sheet name={quoteattr(sheet_name(name))} sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": OF_WORKBOOK,
        "xl/styles.xml": STYLES,
        "xl/worksheets/sheet1.xml": sheet(heads, rows),
    }
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for path, text in parts.items():
            file.writestr(zipfile.ZipInfo(path), text.encode(), zipfile.ZIP_DEFLATED)
    return made.getvalue()


def sheet(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    written = [line(1, heads, HEAD), *(line(number, row) for number, row in enumerate(rows, 2))]
    last = f"{letters(len(heads))}{len(written)}"
    widths = "".join(
        f'<col min="{n}" max="{n}" width="{max(12, min(len(head) + 4, 40))}" customWidth="1"/>'
        for n, head in enumerate(heads, 1)
    )
    return (
        f'{TOP}<worksheet xmlns="{MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{widths}</cols><sheetData>{''.join(written)}</sheetData>"
        f'<autoFilter ref="A1:{last}"/></worksheet>'
    )


def line(number: int, row: Sequence[Cell], style: int = PLAIN) -> str:
    cells = (cell(f"{letters(column)}{number}", value, style) for column, value in enumerate(row, 1))
    return f'<row r="{number}">{"".join(cells)}</row>'


def cell(place: str, value: Cell, style: int) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, date):
        return f'<c r="{place}" s="{DAY}"><v>{(value - EPOCH).days}</v></c>'
    if isinstance(value, Decimal | int):
        shown = AMOUNT if isinstance(value, Decimal) else PLAIN
        return f'<c r="{place}" s="{shown}"><v>{value}</v></c>'
    text = escape(UNWRITABLE.sub("", value)[:MOST_CHARACTERS])
    return f'<c r="{place}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def letters(column: int) -> str:
    """1 is A, 27 is AA."""
    found = ""
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(65 + rest) + found
    return found


def sheet_name(name: str) -> str:
    return re.sub(r"[\[\]:*?/\\']", " ", UNWRITABLE.sub("", name))[:31].strip() or "1"
