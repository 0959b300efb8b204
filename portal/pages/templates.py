"""Templates: which wording and levels new contracts start from."""

from __future__ import annotations

from flask import Blueprint, Response

from portal.documents import markdown
from portal.errors import NotFound
from portal.i18n import current
from portal.pages.guards import person, requires
from portal.pages.respond import show
from portal.services import permissions, templates
from portal.sla import sentences, words

bp = Blueprint("templates", __name__)


@bp.get("/templates")
@requires("template.read")
def index() -> Response:
    rows = [
        (version, templates.name_of(version, current()), templates.uses(version))
        for version in templates.offered()
    ]
    may_create = permissions.allows(person(), "contract.create")
    return show("templates/index.html", None, rows=rows, may_create=may_create, level_name=words.level)


@bp.get("/templates/<version_id>")
@requires("template.read")
def page(version_id: str) -> Response:
    """One version: its levels as sentences, its clauses as they are written."""
    version = templates.get(version_id)
    if version is None:
        raise NotFound
    language = current()
    # An answer that no template has (fee, dates, product) would only read "not agreed".
    answers = ("commercial.fee", "commercial.renewal", "commercial.governing_law", "scope")
    levels = [
        (
            words.level(key),
            [each for each in sentences.sections(level["terms"], language) if each.key not in answers],
        )
        for key, level in version.levels.items()
    ]
    clauses = [
        (
            clause["number"],
            clause["heading"].get(language) or next(iter(clause["heading"].values()), ""),
            markdown.to_html(clause["text"].get(language) or next(iter(clause["text"].values()), "")),
            clause["key"],
        )
        for clause in markdown.number_clauses(version.clauses)
    ]
    return show(
        "templates/show.html", None, version=version, name=templates.name_of(version, language),
        levels=levels, clauses=clauses, uses=templates.uses(version),
    )  # fmt: skip
