"""Writing templates: a new one, a copy, the next version of a published one, clause by clause.

A template has at most one draft. Its levels are those of the version it was begun from; the clauses
are edited here, each with the mark of what its form was filled with (as in `drafts`).
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import peewee

from portal.documents import children, markdown, template_texts, word_read
from portal.documents.frames import Refused
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import LANGUAGES
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.people import Person
from portal.models.templates import Template, TemplateApproval, TemplateVersion
from portal.services import audit, documents, drafts, revisions, templates
from portal.sla import conditions, variables
from portal.sla.validate import Fault

DRAFT = 0  # the number of what is not published: unique, so a template has one draft at most
LONGEST_KEY = 60
LARGEST_FILE = 5 * 2**20
RESERVED = ("new", "drafts", "approvers", "library", "campaigns", "import")  # addresses of pages


# -- Beginning ----------------------------------------------------------------------------------


def begin(
    name: Mapping[str, str],
    *,
    source: TemplateVersion,
    clauses: list[dict[str, Any]] | None = None,
    author: Person,
    by: audit.Actor,
    now: datetime,
) -> TemplateVersion:
    """The first draft of a new template: a copy of a published version, or only with its levels.

    `clauses` are taken instead of the source's where they are given, even when there are none.
    Raises Invalid without a name in each language of the clauses.
    """
    titles = {language: " ".join(name.get(language, "").split()) for language in LANGUAGES}
    if not titles["en"]:
        raise Invalid({"name.en": _("Give the template a name.")})
    titles = {language: title for language, title in titles.items() if title}
    own = copy.deepcopy(source.clauses) if clauses is None else clauses
    try:
        with transaction():
            template = Template.add(key=free_key(titles["en"]), name=titles, created_at=now)
            return add_draft(template, source, own, author=author, by=by, now=now)
    except peewee.IntegrityError as error:
        raise Conflict(_("Somebody has just given this name to a template. Try again.")) from error


def begin_next(
    version: TemplateVersion, *, author: Person, by: audit.Actor, now: datetime
) -> TemplateVersion:
    """The next draft of a template, from a published version of it. Raises Conflict where one is open."""
    try:
        with transaction():
            return add_draft(
                version.template, version, copy.deepcopy(version.clauses), author=author, by=by, now=now
            )
    except peewee.IntegrityError as error:
        raise Conflict(_("A draft of this template is open already.")) from error


def add_draft(
    template: Template,
    source: TemplateVersion,
    clauses: list[dict[str, Any]],
    *,
    author: Person,
    by: audit.Actor,
    now: datetime,
) -> TemplateVersion:
    made: TemplateVersion = TemplateVersion.add(
        template=template, number=DRAFT, clauses=clauses, levels=levels_for(template, source), sha256="",
        authors=[author.id], made_from_id=source.id, created_at=now,
    )  # fmt: skip
    templates.note(
        "template.drafted", template, by=by, now=now, source=source.template.key, version=source.number
    )
    return made


def levels_for(template: Template, source: TemplateVersion) -> dict[str, Any]:
    """The source's levels; in another template each names the preset that fills in a contract's answers."""
    if source.template == template:
        return dict(copy.deepcopy(source.levels))
    return {
        level: {"preset": [source.template.key, level], **copy.deepcopy(given)}
        for level, given in source.levels.items()
    }


def free_key(title: str) -> str:
    """A key for addresses, made of the name; numbered where it is taken."""
    stem = stem_of(title, "template")
    if stem in RESERVED:
        stem = f"{stem}-template"
    taken = {row.key for row in Template.select(Template.key).where(Template.key.startswith(stem))}
    candidates = [stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 2))]
    return next(key for key in candidates if key not in taken)


def stem_of(title: str, otherwise: str) -> str:
    """A name in the letters of addresses."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_KEY] or otherwise


def imported(content: bytes, language: str) -> template_texts.Read:
    """The clauses of a Markdown or Word file in one language. Raises Invalid (`file`) or Unavailable."""
    if not content:
        raise Invalid({"file": _("Choose a file.")})
    if len(content) > LARGEST_FILE:
        raise Invalid({"file": _("This file is larger than %(size)s MB.", size=LARGEST_FILE // 2**20)})
    if content.startswith(b"PK"):
        try:
            rows, _extras = word_read.read(content, pool=documents.POOL)
        except (children.ChildFailed, children.Busy) as error:
            raise documents.unavailable(error) from error
        except Refused as error:
            raise Invalid({"file": _("This Word file is damaged or unpacks to far too much.")}) from error
        found = template_texts.from_word(rows, language)
    else:
        try:
            found = template_texts.from_markdown(content.decode("utf-8").replace("\0", ""), language)
        except UnicodeDecodeError as error:
            raise Invalid({"file": _("This is neither a Word file nor a Markdown text in UTF-8.")}) from error
    if not found.clauses:
        raise Invalid({"file": _("There is no text in this file.")})
    if any(len(text) > drafts.LONGEST_CLAUSE for each in found.clauses for text in each["text"].values()):
        raise Invalid({"file": _("One of its clauses is too long. Give it more headings first.")})
    return found


# -- Reading ------------------------------------------------------------------------------------


def get(draft_id: str) -> TemplateVersion:
    """A draft by id. Raises NotFound, also once it is published."""
    found: TemplateVersion | None = (
        TemplateVersion.get_or_none((TemplateVersion.id == draft_id) & TemplateVersion.published_at.is_null())
        if "\0" not in draft_id
        else None
    )
    if found is None:
        raise NotFound
    return found


def of(template: Template) -> TemplateVersion | None:
    """The open draft of a template."""
    found: TemplateVersion | None = TemplateVersion.get_or_none(
        (TemplateVersion.template == template) & TemplateVersion.published_at.is_null()
    )
    return found


def everything() -> list[TemplateVersion]:
    """Every open draft, oldest first."""
    query = TemplateVersion.select().where(TemplateVersion.published_at.is_null())
    return list(query.order_by(TemplateVersion.created_at, TemplateVersion.id))


def source_of(draft: TemplateVersion) -> TemplateVersion | None:
    """The published version a draft was begun from."""
    found: TemplateVersion | None = TemplateVersion.get_or_none(TemplateVersion.id == draft.made_from_id)
    return found


def clause(draft: TemplateVersion, key: str) -> dict[str, Any]:
    """One clause. Raises NotFound."""
    found: dict[str, Any] | None = next((each for each in draft.clauses if each["key"] == key), None)
    if found is None:
        raise NotFound
    return found


def faults(draft: TemplateVersion) -> list[Fault]:
    """All that keeps a draft from being published; paths are `clauses.<key>.<language>`."""
    if not draft.clauses:
        return [Fault("clauses", "required", _("The template has no clause yet."))]
    found = []
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(draft.clauses)}
    for each in draft.clauses:
        for language in templates.languages_of(draft):
            text, path = each["text"].get(language, ""), f"clauses.{each['key']}.{language}"
            if not text.strip():
                found.append(Fault(path, "required", _("The clause has no words in this language.")))
            elif reason := revisions.wrong_mark(text, variables.names(), numbers):
                found.append(Fault(path, "mark", reason))
    return found


# -- Changing -----------------------------------------------------------------------------------


def write(
    draft: TemplateVersion,
    section: str,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    *,
    author: Person,
    by: audit.Actor,
    now: datetime,
) -> None:
    """Apply a change to the clauses under the draft's lock, and say so on the trail.

    Raises Conflict while its publication is asked for, or once it is published.
    """
    with transaction():
        row = lock_row(TemplateVersion.select().where(TemplateVersion.id == draft.id)).get_or_none()
        if row is None or row.published_at is not None:
            raise Conflict(_("This version is published: begin the next one from it."))
        if row.asked_at is not None:
            raise Conflict(_("It waits for approval. Take it back first, then change it."))
        before = copy.deepcopy(row.clauses)
        row.clauses = change(row.clauses)
        if row.clauses == before:
            return
        row.authors = [*row.authors, *([] if author.id in row.authors else [author.id])]
        row.save(only=[TemplateVersion.clauses, TemplateVersion.authors])
        templates.note("template.edited", row.template, by=by, now=now, section=section)
    draft.clauses, draft.authors = row.clauses, row.authors


def save_clause(
    draft: TemplateVersion,
    key: str,
    *,
    heading: Mapping[str, str],
    text: Mapping[str, str],
    level: int,
    when: str,
    seen: str,
    author: Person,
    by: audit.Actor,
    now: datetime,
) -> None:
    """Write one clause. Raises Changed with the other's words where it was saved since it was read."""
    if when and when not in conditions.CONDITIONS:
        raise Invalid({"when": _("Choose one of the answers offered.")})

    def change(clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = next((each for each in clauses if each["key"] == key), None)
        if found is None:
            raise Conflict(_("This clause has been removed meanwhile."))
        if drafts.mark(found) != seen:
            raise drafts.Changed(copy.deepcopy(found), "")
        words = {"heading": {**found["heading"], **heading}, "text": {**found["text"], **text}}
        kept = {name: value for name, value in found.items() if name != "when"}
        if "library" in kept and words != {"heading": found["heading"], "text": found["text"]}:
            kept.pop("library")  # its own words now, no longer the library's
        made = {**kept, **words, "level": level, **({"when": when} if when else {})}
        return [made if each["key"] == key else each for each in clauses]

    write(draft, f"clauses.{key}", change, author=author, by=by, now=now)


def add_clause(
    draft: TemplateVersion,
    after: str,
    *,
    given: Mapping[str, Any] | None = None,
    author: Person,
    by: audit.Actor,
    now: datetime,
) -> str:
    """A clause behind another one ("" for the front), empty or as given; gives its key."""
    made = ""

    def change(clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        nonlocal made
        if len(clauses) >= drafts.MOST_CLAUSES:
            raise Conflict(_("There are as many clauses as a contract may have."))
        wanted = str(given["key"]) if given else ""
        made = free_clause_key({each["key"] for each in clauses}, wanted)
        blank = {"level": 1, "heading": {}, "text": {}, **(given or {}), "key": made}
        places = [at for at, each in enumerate(clauses, start=1) if each["key"] == after]
        at = places[0] if places else (0 if not after else len(clauses))
        return [*clauses[:at], blank, *clauses[at:]]

    write(draft, "clauses", change, author=author, by=by, now=now)
    return made


def free_clause_key(taken: set[str], wanted: str = "") -> str:
    stem = wanted or "clause-1"
    if stem not in taken:
        return stem
    stem = wanted or "clause"
    return next(f"{stem}-{n}" for n in range(2, drafts.MOST_CLAUSES + 3) if f"{stem}-{n}" not in taken)


def remove_clause(
    draft: TemplateVersion, key: str, *, author: Person, by: audit.Actor, now: datetime
) -> None:
    """Take a clause out; one that is gone already stays gone."""

    def change(clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in clauses if each["key"] != key]

    write(draft, f"clauses.{key}", change, author=author, by=by, now=now)


def move_clause(
    draft: TemplateVersion, key: str, by_places: int, *, author: Person, by: audit.Actor, now: datetime
) -> None:
    """Move a clause up (-1) or down (1); at the end of the list it stays."""

    def change(clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        moved = list(clauses)
        at = next((place for place, each in enumerate(moved) if each["key"] == key), None)
        if at is None:
            raise Conflict(_("This clause has been removed meanwhile."))
        moved.insert(min(max(at + by_places, 0), len(moved) - 1), moved.pop(at))
        return moved

    write(draft, f"clauses.{key}", change, author=author, by=by, now=now)


def discard(draft: TemplateVersion, *, by: audit.Actor, now: datetime) -> None:
    """Throw a draft away; a template that was never published goes with it."""
    with transaction():
        row = lock_row(TemplateVersion.select().where(TemplateVersion.id == draft.id)).get_or_none()
        if row is None or row.published_at is not None:
            raise Conflict(_("This version is published and stays."))
        if row.asked_at is not None:
            raise Conflict(_("It waits for approval. Take it back first, then change it."))
        template = row.template
        templates.note("template.draft_discarded", template, by=by, now=now)
        TemplateApproval.delete().where(TemplateApproval.version == row).execute()
        row.delete_instance()
        if templates.newest(template) is None:
            template.delete_instance()
