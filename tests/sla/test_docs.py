"""docs/sla.md names every field, every variable and every level."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

from portal.sla import levels, shape, variables
from portal.sla.terms import Terms

DOCS = (Path(__file__).parents[2] / "docs" / "sla.md").read_text(encoding="utf-8")
QUOTED = {word for span in re.findall(r"`([^`]+)`", DOCS) for word in re.findall(r"[\w-]+", span)}


def field_names(kind: Any) -> set[str]:
    """Every field name below a declared type."""
    if typing.is_typeddict(kind):
        inner = shape.fields(kind)
        return set(inner).union(*(field_names(each) for each in inner.values()))
    return set().union(*(field_names(each) for each in typing.get_args(kind)))


def test_every_field_is_described() -> None:
    assert len(field_names(Terms)) > 120
    assert field_names(Terms) - QUOTED == set()


def test_every_variable_is_described() -> None:
    assert variables.names() - QUOTED == set()


def test_every_level_and_template_is_named() -> None:
    assert set(levels.LEVELS) - QUOTED == set()
    assert set(levels.TEMPLATES) - QUOTED == set()
