"""Templates: which wording and levels new contracts start from."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.documents import markdown, template_texts
from portal.errors import NotFound
from portal.i18n import NAMES, current
from portal.i18n import gettext as _
from portal.models.templates import TemplateVersion
from portal.pages import provider_choice
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import (
    campaigns,
    connections,
    permissions,
    publication,
    template_drafts,
    template_history,
    templates,
)
from portal.sla import conditions, sentences, words

bp = Blueprint("templates", __name__)
EXPORT_TYPES = {
    "md": "text/markdown; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@bp.get("/templates")
@requires("template.read")
def index() -> Response:
    may_create = permissions.allows(person(), "contract.create")
    return show(
        "templates/index.html", None, rows=rows_of(templates.offered()),
        retired=rows_of(templates.newest_of(retired=True)), drafts=draft_rows(), may_create=may_create,
        may_edit=permissions.allows(person(), "template.edit"), level_name=words.level,
    )  # fmt: skip


def rows_of(versions: list[TemplateVersion]) -> list[tuple[TemplateVersion, str, int]]:
    return [(each, templates.name_of(each, current()), templates.uses(each)) for each in versions]


def draft_rows() -> list[dict[str, Any]]:
    """The open drafts: what they are, and who is waited for."""
    me, found = person(), []
    for draft in template_drafts.everything():
        latest = templates.newest(draft.template)
        found.append(
            {
                "url": url_for("template_drafts.page", draft_id=draft.id),
                "name": templates.name_of(draft, current()),
                "about": _("after version %(number)s", number=latest.number) if latest else _("new"),
                "is_asked": draft.asked_at is not None,
                "is_mine_to_answer": publication.may_answer(draft, me),
                "since": draft.asked_at or draft.created_at,
                "missing": [each.name for each in publication.needs(draft) if not each.by]
                if draft.asked_at
                else [],
            }
        )
    return found


@bp.get("/templates/<version_id>")
@requires("template.read")
def page(version_id: str) -> Response:
    """One version: its levels as sentences, its clauses as they are written."""
    return shown(found(version_id))


@bp.post("/templates/<version_id>/account")
@requires("template.edit")
def account(version_id: str) -> Response:
    """Through which account contracts made from this template begin to be sent."""
    version, form = found(version_id), Form(request.form)
    known = {each.id: each for each in connections.usable()}
    chosen = form.choice("connection", (provider_choice.BUILT_IN, *known), required=False)
    if form.errors:
        return shown(version, form, 422)
    templates.choose_account(
        version.template, known.get(chosen), is_signed_here=chosen == provider_choice.BUILT_IN,
        by=actor(), now=utc_now(),
    )  # fmt: skip
    return leave(url_for(".page", version_id=version_id))


def found(version_id: str) -> TemplateVersion:
    version = templates.get(version_id)
    if version is None:
        raise NotFound
    return version


def shown(version: TemplateVersion, form: Form | None = None, status: int = 200) -> Response:
    account, is_signed_here = version.template.connection, version.template.is_signed_here
    through = provider_choice.BUILT_IN if is_signed_here else account.id if account is not None else ""
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
            conditions.name(clause.get("when", "")),
        )
        for clause in markdown.number_clauses(version.clauses)
    ]
    return show(
        "templates/show.html", None, status, version=version, name=templates.name_of(version, language),
        levels=levels, clauses=clauses, uses=templates.uses(version), account=account,
        is_signed_here=is_signed_here,
        form=form or Form(None, connection=through),
        accounts=provider_choice.everything(),
        may_choose=permissions.allows(person(), "template.edit"),
        versions=templates.published_versions(version.template), draft=template_drafts.of(version.template),
        newest=templates.newest(version.template), languages=templates.languages_of(version),
        language_names=NAMES, approved=approvals_of(version),
        happened=template_history.of(version.template), live=campaigns.live_counts(version.template),
    )  # fmt: skip


def approvals_of(version: TemplateVersion) -> list[dict[str, Any]]:
    """Who approved a version, when, and in which role."""
    return [
        {
            "name": each.person.name, "at": each.at,
            "roles": ", ".join(publication.role_name(role) for role in each.roles),
        }
        for each in reversed(publication.given(version))
        if each.decision == "approved" and each.sha256 == version.sha256
    ]  # fmt: skip


@bp.post("/templates/<version_id>/retirement")
@requires("template.edit")
def retire(version_id: str) -> Response:
    version = found(version_id)
    templates.retire(version.template, by=actor(), now=utc_now())
    return leave(url_for(".page", version_id=version_id))


@bp.post("/templates/<version_id>/return")
@requires("template.edit")
def bring_back(version_id: str) -> Response:
    version = found(version_id)
    templates.bring_back(version.template, by=actor(), now=utc_now())
    return leave(url_for(".page", version_id=version_id))


@bp.get("/templates/<version_id>/export/<any(md, docx):form>")
@requires("template.read")
def export(version_id: str, form: str) -> Response:
    """The wording in one language, as Markdown or for Word."""
    version = found(version_id)
    spoken = templates.languages_of(version)
    language = request.args.get("language", "")
    language = language if language in spoken else current() if current() in spoken else spoken[0]
    title = templates.name_of(version, language)
    if form == "md":
        content: bytes = template_texts.to_markdown(title, version.clauses, language).encode()
    else:
        content = template_texts.to_word(title, version.clauses, language, at=version.published_at)
    answer = make_response(content)
    answer.headers["Content-Type"] = EXPORT_TYPES[form]
    name = f"{version.template.key}-{version.number}-{language}.{form}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
