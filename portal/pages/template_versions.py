"""Two versions of a template side by side, the contracts on each, and bringing them to the newest."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import current, pgettext
from portal.i18n import gettext as _
from portal.models.campaigns import Campaign
from portal.models.templates import Template, TemplateVersion
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import campaigns, permissions, template_comparison, template_drafts, templates

bp = Blueprint("template_versions", __name__, url_prefix="/templates")
CONTRACTS, CAMPAIGN, STATE = "templates/contracts.html", "templates/campaign.html", "templates/_campaign.html"
DRAFT = "draft"


# -- Comparing ------------------------------------------------------------------------------------------


@bp.get("/<key>/compare")
@requires("template.read")
def compare(key: str) -> Response:
    """`old` and `new` are version numbers, or "draft"; without them the two newest."""
    template = templates.by_key(key)
    choices = comparable(template)
    numbers = list(choices)
    new = chosen(choices, request.args.get("new", ""), numbers[0])
    behind = numbers[min(numbers.index(new) + 1, len(numbers) - 1)]
    old = chosen(choices, request.args.get("old", ""), behind)
    return show(
        "templates/compare.html", None, template=template, name=templates.title_of(template, current()),
        old=old, new=new, found=template_comparison.compare(choices[old], choices[new], current()),
        options=[(number, word(number)) for number in numbers], word=word,
        newest=templates.newest(template),
    )  # fmt: skip


def comparable(template: Template) -> dict[str, TemplateVersion]:
    """The versions and the draft, newest first, by what stands for them in an address."""
    draft = template_drafts.of(template)
    found = {DRAFT: draft} if draft is not None else {}
    found |= {str(each.number): each for each in templates.published_versions(template)}
    return found


def chosen(choices: dict[str, TemplateVersion], wanted: str, otherwise: str) -> str:
    if wanted and wanted not in choices:
        raise NotFound
    return wanted or otherwise


def word(number: str) -> str:
    return pgettext("template", "Draft") if number == DRAFT else _("Version %(number)s", number=number)


# -- Contracts on a version -------------------------------------------------------------------------------


@bp.get("/<key>/contracts")
@requires("template.read")
def contracts(key: str) -> Response:
    """The contracts in force, by version; those on older ones can be chosen to be brought over."""
    return contracts_page(templates.by_key(key))


def contracts_page(template: Template, form: Form | None = None, status: int = 200) -> Response:
    newest = templates.newest(template)
    if newest is None:
        raise NotFound
    groups = [
        (version, campaigns.live_on(version, 500)) for version in templates.published_versions(template)
    ]
    older = [contract for version, found in groups if version.id != newest.id for contract in found]
    return show(
        CONTRACTS, None, status, template=template, name=templates.title_of(template, current()),
        newest=newest, groups=groups, form=form or Form(None), drafts=campaigns.open_drafts(older),
        chosen=request.form.getlist("contracts"), campaigns=campaigns.of_template(template),
        may_start=permissions.allows(person(), "template.edit") and bool(older),
    )  # fmt: skip


@bp.post("/<key>/campaigns")
@requires("template.edit")
def start(key: str) -> Response:
    template, form = templates.by_key(key), Form(request.form)
    version = templates.newest(template)
    note = form.text("note", most=2000)
    if version is None or str(version.number) != request.form.get("version"):
        raise Conflict(_("There is a newer version meanwhile. Look at it first."))
    if not form.errors:
        try:
            campaign = campaigns.start(
                version, request.form.getlist("contracts"), note, person=person(), by=actor(), now=utc_now()
            )
        except Invalid as error:
            form.errors.update(error.errors)
    if form.errors:
        return contracts_page(template, form, 422)
    return leave(url_for(".campaign", campaign_id=campaign.id))


@bp.get("/campaigns/<campaign_id>")
@requires("template.read")
def campaign(campaign_id: str) -> Response:
    """How far it is; the fragment asks again by itself until it is done."""
    found = campaigns.get(campaign_id)
    return show(CAMPAIGN, STATE, **campaign_state(found))


def campaign_state(found: Campaign) -> dict[str, Any]:
    rows = campaigns.rows(found)
    template = found.version.template
    return {
        "campaign": found, "rows": rows, "template": template,
        "name": templates.title_of(template, current()),
        "done": sum(1 for row in rows if row.done_at), "failed": sum(1 for row in rows if row.problem),
        "is_running": found.ended_at is None, "here_url": url_for(".campaign", campaign_id=found.id),
    }  # fmt: skip
