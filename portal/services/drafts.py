"""Changing a draft, one section at a time, so that two people can work on it at once.

A form carries the mark of the section as it was read (`mark`). Who saves a section that somebody
else has changed meanwhile gets `Changed` with the other's text and loses nothing; changes of
different sections never meet.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from portal.errors import Conflict, Invalid
from portal.i18n import LANGUAGES
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, ContractContact, Revision
from portal.models.people import Person
from portal.services import (
    agreements,
    audit,
    conditional,
    contract_search,
    contract_states,
    contracts,
    existing,
    revisions,
)
from portal.sla import canonical, messages, shape

# What each section of the terms holds; every field of the document lies in exactly one.
SECTIONS: dict[str, tuple[str, ...]] = {
    "calendars": ("tz", "calendars"),
    "severities": ("severities",),
    "clocks": ("clocks", "severity_rules"),
    "peaks": ("peaks",),
    "uptime": ("uptime",),
    "credits": ("credits",),
    "maintenance": ("maintenance",),
    "release": ("release",),
    "scope": ("product", "level", "scope"),
    "escalation": ("escalation", "executive_review"),
    "money": (
        "commercial.fee",
        "commercial.fee_period",
        "commercial.currency",
        "commercial.index",
        "commercial.uplift_pct",
        "commercial.peak_level",
    ),
    "dates": (
        "commercial.start_on",
        "commercial.end_on",
        "commercial.length_months",
        "commercial.renewal",
        "commercial.notice",
    ),
    "liability": ("commercial.liability_cap", "commercial.carve_outs"),
    "law": ("commercial.governing_law", "commercial.courts", "commercial.phi"),
}
CLAUSE_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
MOST_CLAUSES = 200
LONGEST_CLAUSE = 20_000


class Changed(Conflict):
    """Somebody else has saved this section since it was read; `theirs` is what stands there now."""

    def __init__(self, theirs: Any, by_name: str) -> None:
        super().__init__(
            _("%(name)s has changed this section while you were working on it.", name=by_name)
            if by_name
            else _("This section was changed while you were working on it.")
        )
        self.theirs = theirs
        self.by_name = by_name


# -- Reading ------------------------------------------------------------------------------------


def value_at(terms: Mapping[str, Any], path: str) -> Any:
    found: Any = terms
    for name in path.split("."):
        found = found[name]
    return found


def section_of(terms: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The part of the terms that a section's form shows, by path."""
    return {path: copy.deepcopy(value_at(terms, path)) for path in SECTIONS[section]}


def section_for(path: str) -> str:
    """The section in which a fault at this path is mended: a terms section, clauses, party or file."""
    for section, paths in SECTIONS.items():
        if any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in paths):
            return section
    return path.split(".")[0]


def mark(value: Any) -> str:
    """A short fingerprint of what a form was filled with."""
    return canonical.sha256(value)[:16]


# -- Saving -------------------------------------------------------------------------------------


def save_terms(
    contract: Contract, section: str, values: Mapping[str, Any], *, seen: str, by: audit.Actor, now: datetime
) -> None:
    """Write one section of the terms. `values` by path, as `section_of` gives them.

    Raises Invalid by path for what has not the right shape, Changed when the section is not the one
    that was read, Conflict once the text is fixed. Rules between fields may stay broken in a draft:
    `revisions.faults` names them until it is sent.
    """

    told: dict[str, Any] = {}

    def change(revision: Revision) -> None:
        before, former = section_of(revision.terms, section), revision.terms
        if mark(before) != seen:
            raise Changed(before, last_editor(contract, section))
        terms = copy.deepcopy(revision.terms)
        for path, value in values.items():
            parent, _dot, name = path.rpartition(".")
            (value_at(terms, parent) if parent else terms)[name] = value
        _clean, problems = shape.read(terms)
        errors = {each.path: messages.sentence(each.code, each.values) for each in problems}
        if errors:
            raise Invalid(errors)
        revision.terms = terms
        told.update(conditional.follow(contract, revision, former))

    write(contract, section, change, by=by, now=now, facts=told)


def write(
    contract: Contract,
    section: str,
    change: Callable[[Revision], None],
    *,
    by: audit.Actor,
    now: datetime,
    columns: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Apply a change to the draft revision under the contract's lock, and say so on the trail.

    `facts` may be filled by `change`; the trail is told them too.
    """
    with transaction():
        locked = lock_row(Contract.select().where(Contract.id == contract.id)).get()
        if not contract_states.takes_terms(locked):
            raise Conflict(
                _(
                    "The text is fixed: this contract is “%(state)s”.",
                    state=contract_states.NAMES[locked.state],
                )
            )
        agreements.demand_open(locked)
        author = Person.get_or_none(Person.id == by.id) if by.kind == "person" else None
        revision = revisions.draft(locked, author=author, now=now)
        before = (revision.terms, revision.clauses)
        change(revision)
        if (revision.terms, revision.clauses) == before and not columns:
            return
        revision.save()
        values = {**contracts.derived(revision.terms), **(columns or {})}
        values |= {"version": locked.version + 1, "updated_at": now}
        Contract.update(values).where(Contract.id == contract.id).execute()
        audit.append(
            "contract.edited",
            ("contract", contract.id),
            chain=contract.id,
            by=by,
            now=now,
            facts={"section": section, "revision": revision.number, **(facts or {})},
        )
        if not contract_states.is_editable(locked) and revision.terms != before[0]:
            existing.note_typing(locked, by=by, now=now)
    for name, value in values.items():
        setattr(contract, name, value)


def last_editor(contract: Contract, section: str) -> str:
    """Who saved this section last, by name, where the trail still knows it."""
    for event in audit.history(contract.id, limit=100):
        if event["act"] == "contract.edited" and event["facts"].get("section") == section:
            return str(event["details"].get("by_name", ""))
    return ""


# -- Clauses ------------------------------------------------------------------------------------


def clause(revision: Revision, key: str) -> dict[str, Any] | None:
    return next((each for each in revision.clauses if each["key"] == key), None)


def save_clause(
    contract: Contract,
    key: str,
    *,
    heading: Mapping[str, str],
    text: Mapping[str, str],
    level: int,
    seen: str,
    by: audit.Actor,
    now: datetime,
) -> None:
    """Write one clause; languages not given keep their words. Raises Changed or Invalid."""
    too_long = {
        f"text.{language}": _("This clause is too long.")
        for language, words in text.items()
        if len(words) > LONGEST_CLAUSE
    }
    if too_long:
        raise Invalid(too_long)

    def change(revision: Revision) -> None:
        clauses = copy.deepcopy(revision.clauses)
        found = next((each for each in clauses if each["key"] == key), None)
        if found is None:
            raise Conflict(_("This clause has been removed meanwhile."))
        if mark(found) != seen:
            raise Changed(copy.deepcopy(found), last_editor(contract, f"clauses.{key}"))
        found["heading"] = {**found["heading"], **heading}
        found["text"] = {**found["text"], **text}
        found["level"] = level
        revision.clauses = clauses

    write(contract, f"clauses.{key}", change, by=by, now=now)


def add_clause(contract: Contract, after: str, *, by: audit.Actor, now: datetime) -> str:
    """An empty clause behind another one ("" for the front); gives its key."""
    made = ""

    def change(revision: Revision) -> None:
        nonlocal made
        if len(revision.clauses) >= MOST_CLAUSES:
            raise Conflict(_("There are as many clauses as a contract may have."))
        taken = {each["key"] for each in revision.clauses}
        made = next(f"clause-{n}" for n in range(1, MOST_CLAUSES + 2) if f"clause-{n}" not in taken)
        places = [at for at, each in enumerate(revision.clauses, start=1) if each["key"] == after]
        at = places[0] if places else (0 if not after else len(revision.clauses))
        blank = {"key": made, "level": 1, "heading": {}, "text": {}}
        revision.clauses = [*revision.clauses[:at], blank, *revision.clauses[at:]]

    write(contract, "clauses", change, by=by, now=now)
    return made


def remove_clause(contract: Contract, key: str, *, by: audit.Actor, now: datetime) -> None:
    """Take a clause out; one that is gone already stays gone."""

    def change(revision: Revision) -> None:
        revision.clauses = [each for each in revision.clauses if each["key"] != key]

    write(contract, f"clauses.{key}", change, by=by, now=now)


def move_clause(contract: Contract, key: str, by_places: int, *, by: audit.Actor, now: datetime) -> None:
    """Move a clause up (-1) or down (1); at the end of the list it stays."""

    def change(revision: Revision) -> None:
        clauses = list(revision.clauses)
        at = next((place for place, each in enumerate(clauses) if each["key"] == key), None)
        if at is None:
            raise Conflict(_("This clause has been removed meanwhile."))
        to = min(max(at + by_places, 0), len(clauses) - 1)
        clauses.insert(to, clauses.pop(at))
        revision.clauses = clauses

    write(contract, "clauses", change, by=by, now=now)


# -- Everything else ----------------------------------------------------------------------------


def languages_section(contract: Contract) -> dict[str, Any]:
    return {"languages": list(contract.languages), "prevailing": contract.prevailing_language}


def save_languages(
    contract: Contract,
    languages: Sequence[str],
    prevailing: str,
    *,
    seen: str,
    by: audit.Actor,
    now: datetime,
) -> None:
    """One language, or both in facing columns of which one prevails."""
    chosen = [language for language in languages if language in LANGUAGES]
    if not chosen or len(set(chosen)) != len(chosen):
        raise Invalid({"languages": _("Choose one language, or both.")})
    if prevailing not in chosen:
        raise Invalid({"prevailing": _("Choose which of the two languages prevails.")})
    current = Contract.get_by_id(contract.id)
    if mark(languages_section(current)) != seen:
        raise Changed(languages_section(current), last_editor(contract, "languages"))
    columns = {"languages": chosen, "prevailing_language": prevailing}
    write(contract, "languages", lambda revision: None, columns=columns, by=by, now=now)


def save_title(contract: Contract, title: str, *, by: audit.Actor, now: datetime) -> None:
    """The contract's name, printed on its first page and shown in lists."""
    if not title.strip():
        raise Invalid({"title": _("Give the contract a title.")})
    with transaction():
        write(contract, "title", lambda revision: None, columns={"title": title.strip()}, by=by, now=now)
        contract_search.index(contract)


def save_people(
    contract: Contract,
    chosen: Sequence[tuple[str, str, str]],
    *,
    by: audit.Actor,
    now: datetime,
) -> None:
    """Who is named in the contract: (side, role, id of a person of ours or of a contact of theirs).

    The owner stays; `contracts.change_owner` changes that.
    """
    rows = []
    for side, role, someone in dict.fromkeys(chosen):
        if role not in contracts.CONTACT_ROLES and role != "signatory":
            raise Invalid({"people": _("Choose a role for each person.")})
        field = "person" if side == "ours" else "contact"
        rows.append({"contract": contract, "side": side, "role": role, field: someone})
    with transaction():
        ContractContact.delete().where(
            (ContractContact.contract == contract) & (ContractContact.role != "owner")
        ).execute()
        for row in rows:
            ContractContact.create(**row)
        write(contract, "people", lambda revision: None, columns={"updated_at": now}, by=by, now=now)
