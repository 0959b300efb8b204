"""Signed contracts from elsewhere: a CSV, a ZIP and what is said of one."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

from portal.services.existing import Existing
from tests.cast import Cast

HEADER = (
    "Title,Side,Our entity,Other party,Owner,Signed on,Start,End,Length in months,Renewal kind,"
    "Notice period,Fee,Fee period,Currency,Level,PDF file name"
)


def pdf(number: int = 1) -> bytes:
    """A small PDF that differs from every other."""
    return b"%PDF-1.7\n% " + str(number).encode() + b"\n%%EOF\n"


def line(number: int = 1, **changes: str) -> str:
    cells = {
        "title": f"Support {number}", "side": "supplier", "entity": "", "party": "Castellan Pharma SA",
        "owner": "", "signed": "2025-12-20", "start": "2026-01-01", "end": "2026-12-31", "length": "",
        "renewal": "tacit", "notice": "1 month", "fee": "900.00", "period": "month", "currency": "EUR",
        "level": "Standard", "file": f"{number}.pdf",
    } | changes  # fmt: skip
    return ",".join(f'"{cell}"' if "," in cell or "\n" in cell else cell for cell in cells.values())


def csv_of(*lines: str) -> bytes:
    return "\r\n".join([HEADER, *lines, ""]).encode()


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def said(cast: Cast, **changes: Any) -> Existing:
    values: dict[str, Any] = {
        "title": "Support for Castellan Quote", "side": "supplier", "entity": cast.entity,
        "party": "Castellan Pharma SA", "owner": cast.ana, "signed_on": date(2025, 12, 20),
        "start_on": date(2026, 1, 1), "end_on": date(2026, 12, 31), "renewal": "tacit",
        "notice_value": 1, "notice_unit": "months", "fee": Decimal("900.00"),
    } | changes  # fmt: skip
    return Existing(**values)
