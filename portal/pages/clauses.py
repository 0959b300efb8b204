"""The wording: clauses in Markdown, one opened at a time, in the languages of the contract."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.documents import markdown
from portal.errors import NotFound
from portal.i18n import current
from portal.models.contracts import Contract
from portal.pages.drafts import draft_url, editable
from portal.pages.forms import Form
from portal.pages.guards import actor, requires
from portal.pages.respond import leave, show
from portal.services import drafts, layouts, revisions
from portal.sla import variables

bp = Blueprint("clauses", __name__)


@bp.get("/contracts/<reference>/clauses/<key>")
@requires("contract.edit")
def page(reference: str, key: str) -> Response:
    contract = editable(reference)
    return clause_page(contract, key)


def clause_page(
    contract: Contract, key: str, form: Form | None = None, status: int = 200, **more: Any
) -> Response:
    revision = revisions.current(contract)
    found = drafts.clause(revision, key)
    if found is None:
        raise NotFound
    if form is None:
        values = {"seen": drafts.mark(found), "level": found["level"]}
        for language in contract.languages:
            values[f"heading.{language}"] = found["heading"].get(language, "")
            values[f"text.{language}"] = found["text"].get(language, "")
        form = Form(None, **values)
        for fault in revisions.faults(contract, revision, current()):
            if fault.path.startswith(f"clauses.{key}."):
                form.refuse(f"text.{fault.path.rsplit('.', 1)[1]}", fault.message)
    numbered = markdown.number_clauses(revision.clauses)
    numbers = {each["key"]: each["number"] for each in numbered}
    previews = {}
    for language in contract.languages:
        try:
            words = layouts.variable_words(contract, revision, language)
            previews[language] = markdown.to_html(str(form.value(f"text.{language}")), words, numbers)
        except (markdown.UnknownVariable, markdown.UnknownReference, markdown.TooLong):
            previews[language] = markdown.to_html(
                str(form.value(f"text.{language}"))[: drafts.LONGEST_CLAUSE]
            )
    base = revisions.base(contract)
    given = next((each for each in base.clauses if each["key"] == key), None) if base else None
    return show(
        "drafts/clause.html", None, status, contract=contract, form=form, key=key, clauses=numbered,
        number=numbers[key], previews=previews, is_changed=bool(base) and given != found,
        variable_names=sorted(variables.names()), **more,
    )  # fmt: skip


@bp.post("/contracts/<reference>/clauses/<key>")
@requires("contract.edit")
def save(reference: str, key: str) -> Response:
    contract, form = editable(reference), Form(request.form)
    text = {each: form.text(f"text.{each}", most=drafts.LONGEST_CLAUSE) for each in contract.languages}
    heading = {each: form.text(f"heading.{each}", most=200) for each in contract.languages}
    level = form.choice("level", ("1", "2"))
    check_marks(contract, form, text)
    if form.errors:
        return clause_page(contract, key, form, 422)
    try:
        drafts.save_clause(
            contract, key, heading=heading, text=text, level=int(level), seen=str(form.value("seen")),
            by=actor(), now=utc_now(),
        )  # fmt: skip
    except drafts.Changed as changed:
        form.values["seen"] = drafts.mark(changed.theirs)
        return clause_page(contract, key, form, 422, changed=changed, theirs=changed.theirs["text"])
    return leave(draft_url(contract, "clauses", f"clause-{key}"))


def check_marks(contract: Contract, form: Form, text: dict[str, str]) -> None:
    """Refuse variables and references that mean nothing, beside the text they stand in."""
    revision = revisions.current(contract)
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(revision.clauses)}
    for language, words in text.items():
        reason = revisions.wrong_mark(words, variables.names(), numbers)
        if reason:
            form.refuse(f"text.{language}", reason)


@bp.post("/contracts/<reference>/clauses")
@requires("contract.edit")
def add(reference: str) -> Response:
    contract = editable(reference)
    key = drafts.add_clause(contract, request.form.get("after", ""), by=actor(), now=utc_now())
    return leave(url_for(".page", reference=reference, key=key))


@bp.post("/contracts/<reference>/clauses/<key>/removal")
@requires("contract.edit")
def remove(reference: str, key: str) -> Response:
    contract = editable(reference)
    drafts.remove_clause(contract, key, by=actor(), now=utc_now())
    return leave(draft_url(contract, "clauses"))


@bp.post("/contracts/<reference>/clauses/<key>/up")
@requires("contract.edit")
def move_up(reference: str, key: str) -> Response:
    contract = editable(reference)
    drafts.move_clause(contract, key, -1, by=actor(), now=utc_now())
    return leave(draft_url(contract, "clauses", f"clause-{key}"))


@bp.post("/contracts/<reference>/clauses/<key>/down")
@requires("contract.edit")
def move_down(reference: str, key: str) -> Response:
    contract = editable(reference)
    drafts.move_clause(contract, key, 1, by=actor(), now=utc_now())
    return leave(draft_url(contract, "clauses", f"clause-{key}"))
