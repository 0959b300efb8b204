"""What is wrong with a contract's terms, said beside the field it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.i18n import use
from portal.sla import messages, rules, shape


@dataclass(frozen=True)
class Fault:
    """`path` names the field by keys ("severities.S2.resolution"), `code` the rule, `message` the reason."""

    path: str
    code: str
    message: str


def check(terms: Any, *, language: str = "en", languages: Sequence[str] = ()) -> list[Fault]:
    """Every fault in the terms, shape first; an empty list means they may be sent.

    Any JSON value is accepted and never raises. `language` is the reader's; `languages` are those
    of the contract, in each of which every text must then be written.
    """
    clean, problems = shape.read(terms)
    problems += rules.problems(clean, languages)
    with use(language):
        faults = [Fault(each.path, each.code, messages.sentence(each.code, each.values)) for each in problems]
    return _first_per_rule(faults)


def by_path(faults: Sequence[Fault], prefix: str) -> list[Fault]:
    """The faults at a field or anywhere below it."""
    below = (f"{prefix}.", f"{prefix}[")
    return [fault for fault in faults if fault.path == prefix or fault.path.startswith(below)]


def _first_per_rule(faults: list[Fault]) -> list[Fault]:
    """Each (path, code) once. A field missing by shape is not asked for a second time."""
    seen: set[tuple[str, str]] = set()
    faulty = {fault.path for fault in faults if fault.code != "required"}
    kept = []
    for fault in faults:
        again = fault.code == "required" and fault.path in faulty
        if not again and (fault.path, fault.code) not in seen:
            seen.add((fault.path, fault.code))
            kept.append(fault)
    return kept
