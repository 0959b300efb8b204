"""The four steps: stakeholders, service levels, scope, metrics and money, each as one whole form."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.errors import NotFound
from portal.i18n import current
from portal.models.contracts import Contract, Revision
from portal.pages import choices, draft_view, section_forms
from portal.pages.drafts import (
    draft_url,
    editable,
    holidays_into,
    is_fixed,
    one_more_row,
    save_section,
    store_languages,
    store_people,
)
from portal.pages.forms import Form
from portal.pages.guards import requires
from portal.pages.respond import leave, show
from portal.pages.section_fields import SECTIONS
from portal.services import drafts, revisions

bp = Blueprint("draft_steps", __name__)


@bp.get("/contracts/<reference>/draft/<step>")
@requires("contract.edit")
def page(reference: str, step: str) -> Response:
    if is_fixed(reference):
        return leave(url_for("contracts.page", reference=reference))
    contract = editable(reference)
    return step_page(contract, step)


def step_page(
    contract: Contract, step: str, form: Form | None = None, status: int = 200, **more: Any
) -> Response:
    steps = draft_view.steps(contract)
    if step not in steps:
        raise NotFound
    revision = revisions.current(contract)
    title, inside = steps[step]
    faults = revisions.faults(contract, revision, current())
    if form is None:
        form = Form(None, **step_values(contract, revision, inside))
        for section in inside:
            if section in SECTIONS:
                mine = [fault for fault in faults if drafts.section_for(fault.path) == section]
                section_forms.place_faults(form, section, mine)
    kits = {}
    for section in inside:
        if section in SECTIONS:
            rows_url = url_for(".page", reference=contract.reference, step=step) + f"/{section}/rows"
            kits[section] = draft_view.kit_for(section, contract, revision.terms, form, rows_url)
    names = list(steps)
    position = names.index(step)
    return show(
        "drafts/step.html", None, status, contract=contract, step=step, title=title, inside=inside, form=form,
        kits=kits, sections=SECTIONS, steps=steps, titles=draft_view.TITLES, zones=choices.zones(),
        currencies=choices.CURRENCIES, mode=revisions.terms_mode(contract),
        before=names[position - 1] if position else "",
        **(draft_view.people_choices(contract) if "people" in inside else {}), **more,
    )  # fmt: skip


def step_values(contract: Contract, revision: Revision, inside: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for section in inside:
        if section in SECTIONS:
            values |= section_forms.defaults(section, revision.terms, contract.languages)
        elif section == "people":
            values |= draft_view.people_form(contract).values
        else:
            given = drafts.languages_section(contract)
            values |= {"seen": drafts.mark(given), "languages": ",".join(given["languages"]),
                       "prevailing": given["prevailing"]}  # fmt: skip
    return values


@bp.post("/contracts/<reference>/draft/<step>")
@requires("contract.edit")
def save(reference: str, step: str) -> Response:
    """Save the whole step and go on to the next."""
    contract = editable(reference)
    refused = store_step(contract, step)
    if refused is not None:
        return refused
    names = list(draft_view.steps(contract))
    position = names.index(step) + 1
    if position < len(names):
        return leave(url_for(".page", reference=reference, step=names[position]))
    return leave(draft_url(contract))


@bp.post("/contracts/<reference>/draft/<step>/leaving")
@requires("contract.edit")
def save_and_leave(reference: str, step: str) -> Response:
    """Save the whole step and go to the contract; the draft can be taken up again any time."""
    contract = editable(reference)
    return store_step(contract, step) or leave(url_for("contracts.page", reference=reference))


def store_step(contract: Contract, step: str) -> Response | None:
    steps = draft_view.steps(contract)
    if step not in steps:
        raise NotFound
    form = Form(request.form)
    refused: list[dict[str, Any]] = []
    for section in steps[step][1]:
        if section == "people":
            refused += [{}] if store_people(contract, form) else []
            continue
        problem = (
            store_languages(contract, form)
            if section == "languages"
            else save_section(contract, section, form)
        )
        refused += [problem] if problem is not None else []
    if not refused:
        return None
    told = next((problem for problem in refused if problem), {})
    return step_page(contract, step, form, 422, **told)


@bp.post("/contracts/<reference>/draft/<step>/<section>/rows/<path>")
@requires("contract.edit")
def add_row(reference: str, step: str, section: str, path: str) -> Response:
    """One more row in the form; nothing is saved and nothing typed is lost."""
    contract, form = editable(reference), Form(request.form)
    one_more_row(contract, section, path, form)
    return step_page(contract, step, form)


@bp.post("/contracts/<reference>/draft/<step>/<section>/rows/<path>/<key>/removal")
@requires("contract.edit")
def remove_row(reference: str, step: str, section: str, path: str, key: str) -> Response:
    contract, form = editable(reference), Form(request.form)
    if section_forms.rows_item(section, path) is None:
        raise NotFound
    section_forms.remove_row(form, path, key)
    return step_page(contract, step, form)


@bp.post("/contracts/<reference>/draft/<step>/calendars/rows/calendars/<key>/holidays")
@requires("contract.edit")
def fill_holidays(reference: str, step: str, key: str) -> Response:
    contract, form = editable(reference), Form(request.form)
    holidays_into(form, contract, key)
    return step_page(contract, step, form)
