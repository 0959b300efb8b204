"""One table as CSV that spreadsheets open as it is meant, and never as a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from io import StringIO

from portal.documents.xlsx import Cell

# A text that begins so would be worked out, or begin a command, in a spreadsheet.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, decimal_comma: bool = False) -> bytes:
    """UTF-8 with its mark. With `decimal_comma`, as spreadsheets in French expect: fields end with a
    semicolon, amounts have a comma. Dates are written 2027-12-31."""
    made = StringIO()
    writer = csv.writer(made, delimiter=";" if decimal_comma else ",", lineterminator="\r\n")
    writer.writerow([plain(head) for head in heads])
    for row in rows:
        writer.writerow([written(value, decimal_comma) for value in row])
    return b"\xef\xbb\xbf" + made.getvalue().encode("utf-8", "replace")


def written(value: Cell, decimal_comma: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | int):
        return f"{value}".replace(".", ",") if decimal_comma else f"{value}"
    return plain(value)


def plain(text: str) -> str:
    """Text that stays text: one that begins like a formula is led by an apostrophe."""
    clean = text.replace("\0", "")
    return f"'{clean}" if clean.lstrip(" ").startswith(DANGEROUS) or clean.startswith(DANGEROUS) else clean
