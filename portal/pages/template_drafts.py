"""Writing templates: beginning one, its clauses, and the way to publication."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.documents import markdown
from portal.errors import Conflict, Invalid, PortalError
from portal.i18n import LANGUAGES, NAMES, current
from portal.i18n import gettext as _
from portal.models.templates import TemplateVersion
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, refuse, show
from portal.services import (
    clause_library,
    drafts,
    permissions,
    publication,
    revisions,
    template_drafts,
    templates,
)
from portal.sla import conditions, defined_terms, variables, words

bp = Blueprint("template_drafts", __name__, url_prefix="/templates")
NEW, PAGE, CLAUSE = "templates/new.html", "templates/draft.html", "templates/clause.html"
EMPTY, COPY, IMPORT = "empty", "copy", "import"


# -- Beginning one ----------------------------------------------------------------------------------


@bp.get("/new")
@requires("template.edit")
def new() -> Response:
    return show(NEW, form=Form(None, start=COPY), **starting_points())


def starting_points() -> dict[str, Any]:
    versions = templates.offered()
    named = [(each.id, templates.name_of(each, current())) for each in versions]
    return {"sources": named, "languages": list(NAMES.items())}


@bp.post("/new")
@requires("template.edit")
def create() -> Response:
    form = Form(request.form)
    name = {language: form.text(f"name.{language}", most=120) for language in LANGUAGES}
    start = form.choice("start", (EMPTY, COPY, IMPORT))
    source = templates.published(form.text("source", required=True))
    if source is None:
        form.refuse("source", _("Choose one of the templates."))
    clauses: list[dict[str, Any]] | None = [] if start == EMPTY else None
    if start == IMPORT:
        clauses = imported_clauses(form, name)
    if form.errors or source is None:
        return show(NEW, None, 422, form=form, **starting_points())
    try:
        draft = template_drafts.begin(
            name, source=source, clauses=clauses, author=person(), by=actor(), now=utc_now()
        )
    except PortalError as error:
        return refuse(NEW, form, error, **starting_points())
    return leave(url_for(".page", draft_id=draft.id))


def imported_clauses(form: Form, name: dict[str, str]) -> list[dict[str, Any]]:
    """The clauses of the file sent; its title is the name where none was typed. Refuses the form."""
    language = form.choice("language", LANGUAGES)
    sent = request.files.get("file")
    if form.errors:
        return []
    try:
        found = template_drafts.imported(sent.read() if sent is not None else b"", language)
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return []
    if not name["en"]:
        name["en"] = found.title[:120]
    if language == "fr" and not name["fr"]:
        name["fr"] = found.title[:120] or name["en"]
    return found.clauses


@bp.post("/<version_id>/draft")
@requires("template.edit")
def begin_next(version_id: str) -> Response:
    """The next version of a published one; where its draft is open already, there."""
    from portal.pages.templates import found

    version = found(version_id)
    open_one = template_drafts.of(version.template)
    if open_one is None:
        open_one = template_drafts.begin_next(version, author=person(), by=actor(), now=utc_now())
    return leave(url_for(".page", draft_id=open_one.id))


# -- The draft ---------------------------------------------------------------------------------------


@bp.get("/drafts/<draft_id>")
@requires("template.read")
def page(draft_id: str) -> Response:
    return draft_page(template_drafts.get(draft_id))


def draft_page(draft: TemplateVersion, form: Form | None = None, status: int = 200) -> Response:
    me = person()
    may_edit = permissions.allows(me, "template.edit")
    return show(
        PAGE, None, status, draft=draft, name=templates.name_of(draft, current()),
        form=form or Form(None, note=draft.change_note),
        clauses=listed(draft), faults=fault_links(draft), source=template_drafts.source_of(draft),
        levels=[words.level(level) for level in draft.levels],
        needs=publication.needs(draft), returned=last_answer(draft),
        may_edit=may_edit and draft.asked_at is None,
        may_recall=may_edit and draft.asked_at is not None,
        may_answer=publication.may_answer(draft, me), is_mine=me.id in draft.authors,
        latest=templates.newest(draft.template), behind=clause_library.behind(draft.clauses),
        terms=term_hints(draft), **library_choices(draft),
    )  # fmt: skip


def term_hints(draft: TemplateVersion) -> list[tuple[str, defined_terms.Found]]:
    """Defined terms that are never used, and words used like terms, by language; those with either."""
    found = [(each, defined_terms.check(draft.clauses, each)) for each in templates.languages_of(draft)]
    return [(language, each) for language, each in found if each.unused or each.undefined]


def library_choices(draft: TemplateVersion) -> dict[str, Any]:
    """The library clauses that can be taken in, and the clauses they can be put behind."""
    numbered = markdown.number_clauses(draft.clauses)
    places = [(each["key"], f"{each['number']} {in_mine(each['heading'])}") for each in numbered]
    return {
        "library": [
            (each.clause.key, clause_library.name_of(each.clause, current()))
            for each in clause_library.everything()
            if each.clause.retired_at is None
        ],
        "places": [*reversed(places), ("", _("at the front"))],
    }


def listed(draft: TemplateVersion) -> list[dict[str, Any]]:
    """The clauses in order, with the words around them that the page shows."""
    source = template_drafts.source_of(draft)
    same_template = source is not None and source.template == draft.template
    before = {each["key"]: each for each in source.clauses} if source and same_template else {}
    return [
        {
            "key": each["key"],
            "number": each["number"],
            "heading": in_mine(each["heading"]) or _("Without a heading"),
            "condition": conditions.name(each.get("when", "")),
            "library": each.get("library"),
            "html": markdown.to_html(in_mine(each["text"])),
            "differs": same_template and unnumbered(each) != before.get(each["key"]),
        }
        for each in markdown.number_clauses(draft.clauses)
    ]


def unnumbered(clause: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in clause.items() if name != "number"}


def in_mine(text: dict[str, str]) -> str:
    """Words in the reader's language, else in the first there is."""
    return text.get(current()) or next((each for each in text.values() if each), "")


def fault_links(draft: TemplateVersion) -> list[tuple[str, str]]:
    """(key of the clause or "", words) of what keeps it from being published."""
    numbered = {each["key"]: each for each in markdown.number_clauses(draft.clauses)}
    found = []
    for fault in template_drafts.faults(draft):
        parts = fault.path.split(".")
        each = numbered.get(parts[1]) if len(parts) > 1 else None
        said = f"{each['number']} {in_mine(each['heading'])} ({NAMES[parts[2]]})" if each else ""
        found.append((parts[1] if each else "", ": ".join(filter(None, (said, fault.message)))))
    return found


def last_answer(draft: TemplateVersion) -> Any:
    """The newest no that the draft has got, while it is being mended."""
    answers = publication.given(draft)
    return answers[0] if answers and answers[0].decision == "returned" and draft.asked_at is None else None


@bp.post("/drafts/<draft_id>/removal")
@requires("template.edit")
def discard(draft_id: str) -> Response:
    template_drafts.discard(template_drafts.get(draft_id), by=actor(), now=utc_now())
    return leave(url_for("templates.index"))


# -- Its clauses ----------------------------------------------------------------------------------------


@bp.get("/drafts/<draft_id>/clauses/<clause_key>")
@requires("template.edit")
def clause(draft_id: str, clause_key: str) -> Response:
    return clause_page(template_drafts.get(draft_id), clause_key)


def clause_page(
    draft: TemplateVersion, key: str, form: Form | None = None, status: int = 200, **more: Any
) -> Response:
    found, languages = template_drafts.clause(draft, key), templates.languages_of(draft)
    if form is None:
        values = {"seen": drafts.mark(found), "level": found["level"], "when": found.get("when", "")}
        for language in languages:
            values[f"heading.{language}"] = found["heading"].get(language, "")
            values[f"text.{language}"] = found["text"].get(language, "")
        form = Form(None, **values)
    numbered = markdown.number_clauses(draft.clauses)
    number = next(each["number"] for each in numbered if each["key"] == key)
    return show(
        CLAUSE, None, status, draft=draft, form=form, key=key, number=number, clauses=numbered,
        name=templates.name_of(draft, current()), languages=languages, language_names=NAMES,
        variable_names=sorted(variables.names()), conditions=condition_options(),
        previews={each: preview(str(form.value(f"text.{each}"))) for each in languages}, **more,
    )  # fmt: skip


def condition_options() -> list[tuple[str, Any]]:
    return [("", _("Always")), *((key, conditions.name(key)) for key in conditions.CONDITIONS)]


def preview(text: str) -> Any:
    return markdown.to_html(text[: drafts.LONGEST_CLAUSE])


@bp.post("/drafts/<draft_id>/clauses/<clause_key>")
@requires("template.edit")
def save_clause(draft_id: str, clause_key: str) -> Response:
    draft, form = template_drafts.get(draft_id), Form(request.form)
    template_drafts.clause(draft, clause_key)
    values = read_clause(form, draft)
    if form.errors:
        return clause_page(draft, clause_key, form, 422)
    try:
        template_drafts.save_clause(
            draft, clause_key, **values, seen=str(form.value("seen")), author=person(), by=actor(),
            now=utc_now(),
        )  # fmt: skip
    except drafts.Changed as changed:
        form.values["seen"] = drafts.mark(changed.theirs)
        return clause_page(draft, clause_key, form, 422, changed=changed, theirs=changed.theirs["text"])
    except (Invalid, Conflict) as error:
        form.errors.update(error.errors if isinstance(error, Invalid) else {"": error.message})
        return clause_page(draft, clause_key, form, error.status)
    return leave(url_for(".page", draft_id=draft_id, _anchor=f"clause-{clause_key}"))


def read_clause(form: Form, draft: TemplateVersion) -> dict[str, Any]:
    """A clause as typed; what its marks name must exist."""
    languages = templates.languages_of(draft)
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(draft.clauses)}
    text = {each: form.text(f"text.{each}", most=drafts.LONGEST_CLAUSE) for each in languages}
    for language, typed in text.items():
        reason = revisions.wrong_mark(typed, variables.names(), numbers)
        if reason:
            form.refuse(f"text.{language}", reason)
    return {
        "text": text,
        "heading": {each: form.text(f"heading.{each}", most=200) for each in languages},
        "level": int(form.choice("level", ("1", "2")) or 1),
        "when": form.choice("when", conditions.CONDITIONS, required=False),
    }


@bp.post("/drafts/<draft_id>/clauses")
@requires("template.edit")
def add_clause(draft_id: str) -> Response:
    draft = template_drafts.get(draft_id)
    key = template_drafts.add_clause(
        draft, request.form.get("after", ""), author=person(), by=actor(), now=utc_now()
    )
    return leave(url_for(".clause", draft_id=draft_id, clause_key=key))


@bp.post("/drafts/<draft_id>/clauses/<clause_key>/removal")
@requires("template.edit")
def remove_clause(draft_id: str, clause_key: str) -> Response:
    draft = template_drafts.get(draft_id)
    template_drafts.remove_clause(draft, clause_key, author=person(), by=actor(), now=utc_now())
    return leave(url_for(".page", draft_id=draft_id))


@bp.post("/drafts/<draft_id>/clauses/<clause_key>/up")
@requires("template.edit")
def move_up(draft_id: str, clause_key: str) -> Response:
    return moved(draft_id, clause_key, -1)


@bp.post("/drafts/<draft_id>/clauses/<clause_key>/down")
@requires("template.edit")
def move_down(draft_id: str, clause_key: str) -> Response:
    return moved(draft_id, clause_key, 1)


def moved(draft_id: str, clause_key: str, by_places: int) -> Response:
    draft = template_drafts.get(draft_id)
    template_drafts.clause(draft, clause_key)
    template_drafts.move_clause(draft, clause_key, by_places, author=person(), by=actor(), now=utc_now())
    return leave(url_for(".page", draft_id=draft_id, _anchor=f"clause-{clause_key}"))


# -- Publication -------------------------------------------------------------------------------------------


@bp.post("/drafts/<draft_id>/publication")
@requires("template.edit")
def ask(draft_id: str) -> Response:
    draft, form = template_drafts.get(draft_id), Form(request.form)
    note = form.text("note", most=500)
    if not form.errors:
        try:
            publication.ask(draft, note, by=actor(), now=utc_now())
        except PortalError as error:
            form.errors.update(error.errors if isinstance(error, Invalid) else {"": error.message})
    if form.errors:
        return draft_page(draft, form, 422)
    return leave(url_for(".page", draft_id=draft_id))


@bp.post("/drafts/<draft_id>/recall")
@requires("template.edit")
def recall(draft_id: str) -> Response:
    publication.recall(template_drafts.get(draft_id), by=actor(), now=utc_now())
    return leave(url_for(".page", draft_id=draft_id))


@bp.post("/drafts/<draft_id>/approval")
@requires("template.read")
def approve(draft_id: str) -> Response:
    draft = template_drafts.get(draft_id)
    seen = request.form.get("seen", "")
    if publication.approve(draft, person(), seen=seen, by=actor(), now=utc_now()):
        return leave(url_for("templates.page", version_id=draft_id))
    return leave(url_for(".page", draft_id=draft_id))


@bp.post("/drafts/<draft_id>/return")
@requires("template.read")
def send_back(draft_id: str) -> Response:
    draft, form = template_drafts.get(draft_id), Form(request.form)
    reason = form.text("reason", most=2000)
    if not form.errors:
        try:
            publication.send_back(
                draft, person(), reason, seen=str(form.value("seen")), by=actor(), now=utc_now()
            )
        except Invalid as error:
            form.errors.update(error.errors)
    if form.errors:
        return draft_page(draft, form, 422)
    return leave(url_for(".page", draft_id=draft_id))


# -- Who approves -------------------------------------------------------------------------------------------


@bp.get("/approvers")
@requires("policy.edit", step_up=True)
def approvers() -> Response:
    return show("templates/approvers.html", **approver_choices())


def approver_choices() -> dict[str, Any]:
    asked = publication.roles_asked()
    return {
        "roles": [
            (role, publication.role_name(role), role in asked,
             ", ".join(each.name for each in publication.holders(role)))
            for role in publication.can_approve()
        ],
        "form": Form(None),
    }  # fmt: skip


@bp.post("/approvers")
@requires("policy.edit", step_up=True)
def choose_approvers() -> Response:
    ticked = [role for role in publication.can_approve() if request.form.get(f"role.{role}")]
    publication.choose_roles(ticked, by=actor(), now=utc_now())
    return leave(url_for("templates.index"))
