"""The clause library: wordings that templates share, and what we accept in their place.

Every saved change of a library clause is a version of its own, never changed. A template takes a clause
in at one version and keeps it until somebody takes the newest. A version says besides its preferred
words which others are acceptable, need somebody's approval, or are not allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import peewee

from portal.documents import markdown
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import LANGUAGES, lazy
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.library import LibraryClause, LibraryVersion
from portal.models.people import Person
from portal.services import audit, drafts, permissions, template_drafts
from portal.sla import canonical, conditions, variables
from portal.sla.ladder import ACCEPTABLE, APPROVAL, NOT_ALLOWED

SCHEMA = "countersign-clause/1"
LEVELS = {
    ACCEPTABLE: lazy("Acceptable: the author may take it"),
    APPROVAL: lazy("Needs approval"),
    NOT_ALLOWED: lazy("Not allowed"),
}
MOST_POSITIONS = 20


# -- Reading ------------------------------------------------------------------------------------


def get(key: str) -> LibraryClause:
    """A library clause by its key. Raises NotFound."""
    found: LibraryClause | None = (
        LibraryClause.get_or_none(LibraryClause.key == key) if "\0" not in key else None
    )
    if found is None:
        raise NotFound
    return found


def everything() -> list[LibraryVersion]:
    """The newest version of each clause, by key; retired clauses at the end."""
    clauses = LibraryClause.select().order_by(LibraryClause.key)
    found = [newest(clause) for clause in clauses]
    return sorted(found, key=lambda each: each.clause.retired_at is not None)


def newest(clause: LibraryClause) -> LibraryVersion:
    found: LibraryVersion = versions(clause)[0]
    return found


def versions(clause: LibraryClause) -> list[LibraryVersion]:
    """Every version, newest first."""
    query = LibraryVersion.select().where(LibraryVersion.clause == clause)
    return list(query.order_by(LibraryVersion.number.desc()))


def pinned(clause: Mapping[str, Any] | None) -> LibraryVersion | None:
    """The library version that a clause of a template or contract names; None where it names none."""
    pin = (clause or {}).get("library")
    if not pin:
        return None
    found: LibraryVersion | None = (
        LibraryVersion.select()
        .join(LibraryClause)
        .where((LibraryClause.key == pin["key"]) & (LibraryVersion.number == pin["version"]))
        .first()
    )
    return found


def name_of(clause: LibraryClause, language: str) -> str:
    names: dict[str, str] = clause.name
    return names.get(language) or next(iter(names.values()))


def for_template(version: LibraryVersion) -> dict[str, Any]:
    """The clause as a template holds it, pinned by its version."""
    made = {
        "key": version.clause.key,
        "level": 1,
        "heading": dict(version.heading),
        "text": dict(version.text),
        "library": {"key": version.clause.key, "version": version.number},
    }
    return made | ({"when": version.applies_when} if version.applies_when else {})


# -- Writing ------------------------------------------------------------------------------------


def create(
    name: Mapping[str, str], values: Mapping[str, Any], *, person: Person, by: audit.Actor, now: datetime
) -> LibraryVersion:
    """A new clause with its first version. Raises Invalid by field."""
    titles = {language: " ".join(name.get(language, "").split()) for language in LANGUAGES}
    if not titles["en"]:
        raise Invalid({"name.en": _("Give the clause a name.")})
    checked = check(values)
    try:
        with transaction():
            clause = LibraryClause.add(
                key=free_key(titles["en"]), name={k: v for k, v in titles.items() if v}, created_at=now
            )
            return add_version(clause, 1, checked, person=person, by=by, now=now)
    except peewee.IntegrityError as error:
        raise Conflict(_("Somebody has just given this name to a clause. Try again.")) from error


def save(
    clause: LibraryClause,
    values: Mapping[str, Any],
    *,
    seen: int,
    person: Person,
    by: audit.Actor,
    now: datetime,
) -> LibraryVersion:
    """The next version. Raises Invalid by field, Conflict when `seen` is not the newest number any more."""
    checked = check(values)
    latest = newest(clause)
    if latest.number != seen:
        raise Conflict(_("Somebody has saved this clause meanwhile. Look at their words first."))
    if digest(checked) == latest.sha256:
        return latest
    if not checked["change_note"]:
        raise Invalid({"change_note": _("Say what changes.")})
    try:
        with transaction():
            return add_version(clause, seen + 1, checked, person=person, by=by, now=now)
    except peewee.IntegrityError as error:
        raise Conflict(_("Somebody has saved this clause meanwhile. Look at their words first.")) from error


def add_version(
    clause: LibraryClause,
    number: int,
    values: Mapping[str, Any],
    *,
    person: Person,
    by: audit.Actor,
    now: datetime,
) -> LibraryVersion:
    made: LibraryVersion = LibraryVersion.add(
        clause=clause, number=number, author=person, created_at=now, sha256=digest(values), **values
    )
    note("library.saved", clause, by, now, version=number, sha256=made.sha256)
    return made


def digest(values: Mapping[str, Any]) -> str:
    """The hash of what a version says; its change note is not part of it."""
    said = {name: value for name, value in values.items() if name != "change_note"}
    return canonical.sha256({"schema": SCHEMA, **said})


def check(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a version, clean. Raises Invalid by field."""
    errors: dict[str, str] = {}
    text = {language: str(words).strip() for language, words in values["text"].items() if str(words).strip()}
    if not text:
        errors["text.en"] = _("Write the clause.")
    for language, words in text.items():
        reason = wrong_marks(words)
        if reason:
            errors[f"text.{language}"] = reason
    if values["applies_when"] and values["applies_when"] not in conditions.CONDITIONS:
        errors["applies_when"] = _("Choose one of the answers offered.")
    if values["role"] not in permissions.APPROVERS:
        errors["role"] = _("Choose one of the answers offered.")
    positions = [read_position(each, text, at, errors) for at, each in enumerate(values["positions"])]
    if errors:
        raise Invalid(errors)
    return {
        "heading": {language: words.strip() for language, words in values["heading"].items()},
        "text": text,
        "applies_when": values["applies_when"],
        "role": values["role"],
        "positions": positions[:MOST_POSITIONS],
        "change_note": " ".join(str(values.get("change_note", "")).split()),
    }


def read_position(
    given: Mapping[str, Any], preferred: Mapping[str, str], at: int, errors: dict[str, str]
) -> dict[str, Any]:
    """One other wording: in which languages it is said, and what it takes to use it."""
    text = {language: str(words).strip() for language, words in given["text"].items() if str(words).strip()}
    if given["level"] not in LEVELS:
        errors[f"positions.{at}.level"] = _("Choose one of the answers offered.")
    if given.get("role") and given["role"] not in permissions.APPROVERS:
        errors[f"positions.{at}.role"] = _("Choose one of the answers offered.")
    if not text:
        errors[f"positions.{at}.text.en"] = _("Write the other wording.")
    elif given["level"] != NOT_ALLOWED and set(preferred) - set(text):
        missing = sorted(set(preferred) - set(text))[0]
        errors[f"positions.{at}.text.{missing}"] = _("Write it in this language too, as the clause is.")
    return {"level": given["level"], "role": given.get("role", ""), "text": text}


def wrong_marks(words: str) -> str:
    """Why a text cannot be printed; references may point to clauses of templates it is not yet in."""
    if len(words) > drafts.LONGEST_CLAUSE:
        return _("This clause is too long.")
    try:
        markdown.blocks(words, dict.fromkeys(variables.names(), ""))
    except markdown.UnknownVariable as error:
        return _("There is no variable called {{%(name)s}}.", name=error.name)
    return ""


def retire(clause: LibraryClause, *, on: bool, by: audit.Actor, now: datetime) -> None:
    """Out of the list to take from (`on`), or back; templates that hold it keep it."""
    with transaction():
        present = LibraryClause.retired_at.is_null(on)
        changed = LibraryClause.update(retired_at=now if on else None).where(
            (LibraryClause.id == clause.id) & present
        )
        if changed.execute():
            note("library.retired" if on else "library.brought_back", clause, by, now)


def note(act: str, clause: LibraryClause, by: audit.Actor, now: datetime, **facts: Any) -> None:
    audit.append(
        act, ("library_clause", clause.id), chain=audit.INSTALLATION, by=by, now=now,
        facts={"clause": clause.key, **facts},
    )  # fmt: skip


def free_key(title: str) -> str:
    stem = template_drafts.stem_of(title, "clause")
    taken = {
        row.key for row in LibraryClause.select(LibraryClause.key).where(LibraryClause.key.startswith(stem))
    }
    return next(key for key in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if key not in taken)


# -- In templates -------------------------------------------------------------------------------


def take_in(
    draft: Any, version: LibraryVersion, after: str, *, person: Person, by: audit.Actor, now: datetime
) -> str:
    """Put a library clause into a draft of a template; gives its key there."""
    if version.clause.retired_at is not None:
        raise Conflict(_("This clause is retired."))
    given = for_template(version)
    return template_drafts.add_clause(draft, after, given=given, author=person, by=by, now=now)


def take_newest(draft: Any, key: str, *, person: Person, by: audit.Actor, now: datetime) -> None:
    """Bring a library clause of a draft to its newest version; its number and place stay."""

    def change(clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = next((each for each in clauses if each["key"] == key), None)
        pin = pinned(found)
        if found is None or pin is None:
            raise Conflict(_("This clause is not from the library any more."))
        made = {**for_template(newest(pin.clause)), "key": key, "level": found["level"]}
        return [made if each["key"] == key else each for each in clauses]

    template_drafts.write(draft, f"clauses.{key}", change, author=person, by=by, now=now)


def behind(clauses: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Clauses that the library has a newer version of: key -> the newest number."""
    found = {}
    for each in clauses:
        pin = pinned(each)
        if pin is not None and (latest := newest(pin.clause)).number > pin.number:
            found[str(each["key"])] = latest.number
    return found


# -- In contracts -------------------------------------------------------------------------------


def position(
    before: Mapping[str, Any] | None, now: Mapping[str, Any] | None, languages: Sequence[str]
) -> tuple[str, str] | None:
    """What it takes to have `now` in place of a library clause: level and role; None for other clauses.

    Words that are not allowed make the clause so wherever they stand in it. Other wordings count only word
    for word, in every language of the contract.
    """
    version = pinned(before)
    if version is None:
        return None
    said = {language: squeeze((now or {}).get("text", {}).get(language, "")) for language in languages}
    for each in version.positions:
        words = {language: squeeze(text) for language, text in each["text"].items()}
        role = each["role"] or version.role
        if each["level"] == NOT_ALLOWED:
            if any(words.get(language) and words[language] in text for language, text in said.items()):
                return NOT_ALLOWED, role
        elif now is not None and all(words.get(language) == text for language, text in said.items()):
            return each["level"], role
    return APPROVAL, version.role


def squeeze(text: str) -> str:
    """Words alone, whatever their spacing."""
    return " ".join(str(text).split())
