"""Terms and shared data that the tests of this folder begin with."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from portal.sla import levels
from portal.sla.terms import Terms
from portal.sla.variables import Parties

SHARED = Path(__file__).parents[3] / "shared"
PARTIES: Parties = {
    "supplier": {
        "name": "Northwind Software",
        "form": "SAS",
        "registration": "RCS Lyon 512 345 678",
        "address": "4 quai Perrache\n69002 Lyon",
    },
    "customer": {"name": "Harbour Retail", "form": "Ltd", "registration": "", "address": ""},
}


def premium(**changes: Any) -> Terms:
    """The sales-critical premium contract of 2027, two years long."""
    return terms("sales-critical-24x7", "premium", **changes)


def terms(template: str, level: str, **changes: Any) -> Terms:
    answers: dict[str, Any] = {
        "side": "supplier",
        "product": "Harbour CRM",
        "start_on": date(2027, 1, 1),
        "length_months": 24,
        "fee": Decimal("12500.00"),
        "currency": "EUR",
        "tz": "Europe/Paris",
        "country": "FR",
    }
    return levels.defaults(template, level, **{**answers, **changes})


def shared_file(name: str) -> Path:
    """A file of the research folder beside the checkout; the test is skipped without it."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside this checkout")
    return path


def shared(name: str) -> Any:
    """The same as JSON."""
    return json.loads(shared_file(name).read_text(encoding="utf-8"))
