"""The clause library: preferred wordings, what may stand in their place, and taking them into a draft."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.documents import markdown
from portal.errors import Conflict, Invalid
from portal.i18n import LANGUAGES, NAMES, current
from portal.i18n import gettext as _
from portal.models.library import LibraryClause, LibraryVersion
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import clause_library, drafts, permissions, template_drafts
from portal.sla import conditions, variables

bp = Blueprint("library", __name__, url_prefix="/templates/library")
PAGE, EDIT = "library/show.html", "library/edit.html"


@bp.get("")
@requires("template.read")
def index() -> Response:
    rows = [
        {
            "version": each,
            "name": clause_library.name_of(each.clause, current()),
            "url": url_for(".page", library_key=each.clause.key),
            "condition": conditions.name(each.applies_when),
            "positions": len(each.positions),
        }
        for each in clause_library.everything()
    ]
    return show("library/index.html", None, rows=rows)


@bp.get("/<library_key>")
@requires("template.read")
def page(library_key: str) -> Response:
    """The newest version, and those before it."""
    clause = clause_library.get(library_key)
    found = clause_library.versions(clause)
    return show(
        PAGE, None, clause=clause, name=clause_library.name_of(clause, current()), version=found[0],
        versions=found, languages=list(NAMES.items()), condition=conditions.name(found[0].applies_when),
        role=role_name(found[0].role),
        positions=[shown_position(found[0], each) for each in found[0].positions],
        html={language: markdown.to_html(text) for language, text in found[0].text.items()},
    )  # fmt: skip


def shown_position(version: LibraryVersion, each: dict[str, Any]) -> dict[str, Any]:
    return {
        "level": each["level"],
        "word": clause_library.LEVELS[each["level"]],
        "role": role_name(each["role"] or version.role),
        "html": {language: markdown.to_html(text) for language, text in each["text"].items()},
    }


def role_name(role: str) -> str:
    return str(permissions.ROLES[role][0]) if role in permissions.ROLES else role


# -- Writing -----------------------------------------------------------------------------------------------


@bp.get("/new")
@requires("template.edit")
def new() -> Response:
    return show(EDIT, **editing(Form(None, role="legal", rows="1"), None))


@bp.post("/new")
@requires("template.edit")
def create() -> Response:
    form = Form(request.form)
    name = {language: form.text(f"name.{language}", most=120) for language in LANGUAGES}
    values = read(form) | {"change_note": ""}  # a first version changes nothing
    if not form.errors:
        try:
            made = clause_library.create(name, values, person=person(), by=actor(), now=utc_now())
        except (Invalid, Conflict) as error:
            form.errors.update(error.errors if isinstance(error, Invalid) else {"": error.message})
    if form.errors:
        return show(EDIT, None, 422, **editing(form, None))
    return leave(url_for(".page", library_key=made.clause.key))


@bp.get("/<library_key>/edit")
@requires("template.edit")
def edit(library_key: str) -> Response:
    clause = clause_library.get(library_key)
    return show(EDIT, **editing(filled(clause_library.newest(clause)), clause))


@bp.post("/<library_key>/edit")
@requires("template.edit")
def save(library_key: str) -> Response:
    clause, form = clause_library.get(library_key), Form(request.form)
    values, seen = read(form), form.integer("seen", required=True)
    if not form.errors and seen is not None:
        try:
            clause_library.save(clause, values, seen=seen, person=person(), by=actor(), now=utc_now())
        except (Invalid, Conflict) as error:
            form.errors.update(error.errors if isinstance(error, Invalid) else {"": error.message})
    if form.errors:
        return show(EDIT, None, 422, **editing(form, clause))
    return leave(url_for(".page", library_key=library_key))


@bp.post("/<library_key>/retirement")
@requires("template.edit")
def retire(library_key: str) -> Response:
    """Out of use, or back into it, as the pressed button said."""
    clause = clause_library.get(library_key)
    clause_library.retire(clause, on=request.form.get("on") == "yes", by=actor(), now=utc_now())
    return leave(url_for(".page", library_key=library_key))


def filled(version: LibraryVersion) -> Form:
    values: dict[str, Any] = {
        "seen": version.number, "applies_when": version.applies_when, "role": version.role,
        "rows": len(version.positions) + 1,
    }  # fmt: skip
    for language in LANGUAGES:
        values[f"heading.{language}"] = version.heading.get(language, "")
        values[f"text.{language}"] = version.text.get(language, "")
    for at, each in enumerate(version.positions):
        values |= {f"positions.{at}.level": each["level"], f"positions.{at}.role": each["role"]}
        values |= {f"positions.{at}.text.{name}": each["text"].get(name, "") for name in LANGUAGES}
    return Form(None, **values)


def rows_of(form: Form) -> int:
    """How many other wordings the form has; the last one is empty, to be filled in."""
    rows = str(form.value("rows"))
    return min(int(rows), clause_library.MOST_POSITIONS) if rows.isascii() and rows.isdigit() else 1


def read(form: Form) -> dict[str, Any]:
    """A version as typed. A wording without a word is none."""
    positions = []
    for at in range(rows_of(form)):
        text = {
            each: form.text(f"positions.{at}.text.{each}", most=drafts.LONGEST_CLAUSE) for each in LANGUAGES
        }
        level = form.choice(f"positions.{at}.level", clause_library.LEVELS, required=any(text.values()))
        role = form.choice(f"positions.{at}.role", permissions.APPROVERS, required=False)
        if any(text.values()):
            positions.append({"level": level, "role": role, "text": text})
    return {
        "heading": {each: form.text(f"heading.{each}", most=200) for each in LANGUAGES},
        "text": {each: form.text(f"text.{each}", most=drafts.LONGEST_CLAUSE) for each in LANGUAGES},
        "applies_when": form.choice("applies_when", conditions.CONDITIONS, required=False),
        "role": form.choice("role", permissions.APPROVERS),
        "positions": positions,
        "change_note": form.text("change_note", most=500),
    }


def editing(form: Form, clause: LibraryClause | None) -> dict[str, Any]:
    roles = [(role, role_name(role)) for role in permissions.ROLES if role in permissions.APPROVERS]
    return {
        "form": form, "clause": clause, "languages": list(NAMES.items()), "rows": rows_of(form),
        "name": clause_library.name_of(clause, current()) if clause else "",
        "conditions": [("", _("Always")), *((key, conditions.name(key)) for key in conditions.CONDITIONS)],
        "roles": roles, "position_roles": [("", _("the clause’s own")), *roles],
        "levels": [("", "–"), *clause_library.LEVELS.items()],
        "variable_names": sorted(variables.names()),
    }  # fmt: skip


# -- In a draft of a template --------------------------------------------------------------------------


@bp.post("/into/<draft_id>")
@requires("template.edit")
def take_in(draft_id: str) -> Response:
    """Put a library clause into the draft, behind the clause named."""
    draft = template_drafts.get(draft_id)
    version = clause_library.newest(clause_library.get(request.form.get("library", "")))
    key = clause_library.take_in(
        draft, version, request.form.get("after", ""), person=person(), by=actor(), now=utc_now()
    )
    return leave(url_for("template_drafts.page", draft_id=draft_id, _anchor=f"clause-{key}"))


@bp.post("/into/<draft_id>/<clause_key>")
@requires("template.edit")
def take_newest(draft_id: str, clause_key: str) -> Response:
    draft = template_drafts.get(draft_id)
    clause_library.take_newest(draft, clause_key, person=person(), by=actor(), now=utc_now())
    return leave(url_for("template_drafts.page", draft_id=draft_id, _anchor=f"clause-{clause_key}"))
