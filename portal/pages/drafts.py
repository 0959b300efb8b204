"""Drafting: the page of sentences, its sections, and the four steps that show the same in full.

Every section is saved by its own address; a form carries the mark of what it was filled with, so
whoever saves second sees the other's text and keeps their own.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotFound
from portal.i18n import current
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, Revision
from portal.pages import approvals, choices, draft_view, section_forms
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.pages.section_fields import SECTIONS
from portal.services import contract_states, contracts, deviations, drafts, revisions
from portal.sla import calendars, duration
from portal.sla import sentences as terms_sentences

bp = Blueprint("drafts", __name__)
PAGE, FRAGMENT = "drafts/show.html", "drafts/_draft.html"


def editable(reference: str) -> Contract:
    """The contract, for somebody who may change its text now."""
    contract = contracts.get(reference, person())
    contracts.demand_edit(contract, person(), terms_alone=True)
    return contract


def is_fixed(reference: str) -> bool:
    """Whether an old link of the author leads to a text that can no longer be changed."""
    contract = contracts.get(reference, person())
    return contracts.is_author(contract, person()) and not contract_states.takes_terms(contract)


def draft_url(contract: Contract, opened: str = "", fragment: str = "") -> str:
    return url_for(
        "drafts.page", reference=contract.reference, open=opened or None, _anchor=fragment or opened or None
    )


# -- The page of sentences ------------------------------------------------------------------------


@bp.get("/contracts/<reference>/draft")
@requires("contract.edit")
def page(reference: str) -> Response:
    if is_fixed(reference):
        return leave(url_for("contracts.page", reference=reference))
    contract = editable(reference)
    return draft_page(contract, request.args.get("open", ""))


def draft_page(
    contract: Contract,
    opened: str,
    form: Form | None = None,
    status: int = 200,
    **more: Any,
) -> Response:
    """The page with one section opened; `form` holds what was typed there."""
    revision = revisions.current(contract)
    faults = revisions.faults(contract, revision, current())
    views = draft_view.sections(contract, revision, faults)
    opened = opened if opened in views else ""
    context = {
        "contract": contract,
        "revision": revision,
        "views": views,
        "groups": draft_view.groups(contract),
        "mode": revisions.terms_mode(contract),
        "opened": opened,
        "faults": draft_view.fault_links(faults, views, revision.terms),
        "step": draft_view.step_of(opened) if opened else "stakeholders",
        "may_withdraw": True,
        "approval": approvals.on_contract(contract, revision),
        **opened_context(contract, revision, opened, form, faults),
        **more,
    }
    return show(PAGE, FRAGMENT, status, **context)


def opened_context(
    contract: Contract, revision: Revision, opened: str, form: Form | None, faults: list[Any]
) -> dict[str, Any]:
    """What the opened section's form needs."""
    if opened in SECTIONS:
        form = form or draft_view.form_for(opened, contract, revision, faults)
        rows_url = url_for(".section", reference=contract.reference, section=opened) + "/rows"
        kit = draft_view.kit_for(opened, contract, revision.terms, form, rows_url)
        return {"form": form, "kit": kit, "items": SECTIONS[opened], "zones": choices.zones(),
                "currencies": choices.CURRENCIES}  # fmt: skip
    if opened == "people":
        return {"form": form or draft_view.people_form(contract), **draft_view.people_choices(contract)}
    if opened == "languages":
        section = drafts.languages_section(contract)
        given = {"languages": ",".join(section["languages"]), "prevailing": section["prevailing"]}
        return {"form": form or Form(None, seen=drafts.mark(section), **given)}
    if opened == "clauses":
        return {"form": form or Form(None), **draft_view.clause_context(contract, revision)}
    return {"form": Form(None)}


# -- One section ------------------------------------------------------------------------------------


def terms_section(section: str) -> str:
    if section not in SECTIONS:
        raise NotFound
    return section


@bp.post("/contracts/<reference>/sections/<section>")
@requires("contract.edit")
def section(reference: str, section: str) -> Response:
    contract, form = editable(reference), Form(request.form)
    problem = save_section(contract, terms_section(section), form)
    if problem is not None:
        return draft_page(contract, section, form, 422, **problem)
    if any(
        drafts.section_for(f.path) == section for f in revisions.faults(contract, revisions.current(contract))
    ):
        return leave(draft_url(contract, section))
    return leave(draft_url(contract, fragment=f"section-{section}"))


def save_section(contract: Contract, section: str, form: Form) -> dict[str, Any] | None:
    """Save what was typed; None when that went well, else what the page shows besides the form."""
    terms = revisions.current(contract).terms
    values = section_forms.read_section(section, form, terms, contract.languages)
    if form.errors:
        return {}
    seen = str(form.value(f"seen:{section}"))
    try:
        drafts.save_terms(contract, section, values, seen=seen, by=actor(), now=utc_now())
    except drafts.Changed as changed:
        form.values[f"seen:{section}"] = drafts.mark(changed.theirs)
        return {"changed": changed, "stands": their_sentences(contract, section)}
    except Invalid as invalid:
        faults = [type("Fault", (), {"path": p, "message": m}) for p, m in invalid.errors.items()]
        section_forms.place_faults(form, section, faults)
        return {}
    return None


def their_sentences(contract: Contract, section: str) -> list[str]:
    """What somebody else made of the section, as sentences."""
    written = terms_sentences.sections(revisions.current(contract).terms, current())
    return [f"{each.label}: {each.sentence}" for each in written if drafts.section_for(each.key) == section]


@bp.post("/contracts/<reference>/sections/<section>/restoring")
@requires("contract.edit")
def restore(reference: str, section: str) -> Response:
    """Back to what the template gave."""
    contract = editable(reference)
    now_terms = revisions.current(contract).terms
    base = deviations.base_terms(contract, now_terms)
    if base is None:
        raise NotFound
    values = drafts.section_of(base, terms_section(section))
    seen = drafts.mark(drafts.section_of(now_terms, section))
    drafts.save_terms(contract, section, values, seen=seen, by=actor(), now=utc_now())
    return leave(draft_url(contract, section))


@bp.post("/contracts/<reference>/sections/<section>/rows/<path>")
@requires("contract.edit")
def add_row(reference: str, section: str, path: str) -> Response:
    """One more row in the form; nothing is saved and nothing typed is lost."""
    contract, form = editable(reference), Form(request.form)
    key = one_more_row(contract, section, path, form)
    return draft_page(contract, section, form, added=f"{path}.{key}")


def one_more_row(contract: Contract, section: str, path: str, form: Form) -> str:
    item = section_forms.rows_item(section, path)
    if item is None:
        raise NotFound
    severities = [row["key"] for row in revisions.current(contract).terms["severities"]]
    taken = severities if path == "credits.breaches" else []
    return section_forms.add_row(form, item, path, contract.languages, taken)


@bp.post("/contracts/<reference>/sections/<section>/rows/<path>/<key>/removal")
@requires("contract.edit")
def remove_row(reference: str, section: str, path: str, key: str) -> Response:
    """One row fewer in the form; it is gone once the section is saved."""
    contract, form = editable(reference), Form(request.form)
    if section_forms.rows_item(section, path) is None:
        raise NotFound
    section_forms.remove_row(form, path, key)
    return draft_page(contract, section, form)


@bp.post("/contracts/<reference>/sections/calendars/rows/calendars/<key>/holidays")
@requires("contract.edit")
def fill_holidays(reference: str, key: str) -> Response:
    """Write a country's public holidays into the form of one calendar; nothing is saved yet."""
    contract, form = editable(reference), Form(request.form)
    holidays_into(form, contract, key)
    return draft_page(contract, "calendars", form)


def holidays_into(form: Form, contract: Contract, key: str) -> None:
    terms = revisions.current(contract).terms
    first = duration.first_day(terms) or utc_now().date()
    last = duration.last_day(terms) or duration.add_months(first, 36)
    name = f"calendars.{key}.overrides"
    country = str(form.value(f"country:{key}"))
    if country not in dict(choices.countries()) or name not in form.values:
        raise NotFound
    found = calendars.holiday_overrides(country, None, first, last)
    kept = [line for line in str(form.value(name)).splitlines() if line.strip()]
    days = {line.split("|")[0].strip() for line in kept}
    lines = [section_forms.override_line(dict(each), contract.languages) for each in found]
    form.values[name] = "\n".join(
        [*(line for line in lines if line.split("|")[0].strip() not in days), *kept]
    )


# -- People and languages -----------------------------------------------------------------------------


@bp.post("/contracts/<reference>/people")
@requires("contract.edit")
def save_people(reference: str) -> Response:
    contract, form = editable(reference), Form(request.form)
    problem = store_people(contract, form)
    if problem:
        return draft_page(contract, "people", form, 422)
    return leave(draft_url(contract, fragment="section-people"))


def store_people(contract: Contract, form: Form) -> bool:
    """Save title and people; True when the form was refused."""
    allowed = draft_view.people_choices(contract)
    chosen = []
    for side in ("ours", "theirs"):
        for role in contracts.CONTACT_ROLES:
            someone = form.choice(
                f"{side}.{role}", (value for value, _label in allowed[side]), required=False
            )
            if someone:
                chosen.append((side, role, someone))
    kept = [(each.side, each.role, (each.person or each.contact).id)
            for each in contracts.people(contract) if each.role == "signatory"]  # fmt: skip
    title = form.text("title", most=200, required=True)
    if form.errors:
        return True
    with transaction():
        if title != contract.title:
            drafts.save_title(contract, title, by=actor(), now=utc_now())
        drafts.save_people(contract, [*chosen, *kept], by=actor(), now=utc_now())
    return False


@bp.post("/contracts/<reference>/languages")
@requires("contract.edit")
def save_languages(reference: str) -> Response:
    contract, form = editable(reference), Form(request.form)
    problem = store_languages(contract, form)
    if problem is not None:
        return draft_page(contract, "languages", form, 422, **problem)
    return leave(draft_url(contract, fragment="section-languages"))


def store_languages(contract: Contract, form: Form) -> dict[str, Any] | None:
    """Save the languages; None when that went well, else what the page shows besides the form."""
    wanted = form.choice("languages", ("en", "fr", "en,fr", "fr,en"))
    if form.errors:
        return {}
    languages = wanted.split(",")
    prevailing = str(form.value("prevailing")) if len(languages) > 1 else languages[0]
    try:
        drafts.save_languages(
            contract, languages, prevailing, seen=str(form.value("seen")), by=actor(), now=utc_now()
        )
    except drafts.Changed as changed:
        form.values["seen"] = drafts.mark(changed.theirs)
        contract.languages, contract.prevailing_language = (
            changed.theirs["languages"],
            changed.theirs["prevailing"],
        )
        return {"changed": changed, "stands": [draft_view.languages_sentence(contract)]}
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return {}
    return None


# -- Preview ----------------------------------------------------------------------------------------------


@bp.get("/contracts/<reference>/preview.pdf")
@requires("contract.read")
def preview(reference: str) -> Response:
    """The PDF as it stands, marked as a draft."""
    contract = contracts.get(reference, person())
    pdf = revisions.preview(contract, now=utc_now())
    answer = make_response(pdf)
    answer.headers["Content-Type"] = "application/pdf"
    answer.headers["Content-Disposition"] = f'inline; filename="{contract.reference}-{_("draft")}.pdf"'
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer
