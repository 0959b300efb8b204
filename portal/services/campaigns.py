"""Bringing contracts that run to a newer version of their template.

For each chosen contract one job makes a draft for its owner, with the contract's own text moved onto
the new wording. Every contract is a transaction of its own that looks first whether its draft is
there, so a job that is stopped goes on where it was and makes nothing twice.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from portal.errors import Conflict, Invalid, NotFound, PortalError
from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.base import lock_row, transaction
from portal.models.campaigns import Campaign, CampaignContract
from portal.models.contracts import Contract, Revision
from portal.models.people import Person
from portal.models.templates import Template, TemplateVersion
from portal.services import audit, jobs, new_contracts, notices, revisions, templates
from portal.services.contract_states import PHASES
from portal.sla import conditions

LIVE = tuple(state for state in PHASES["live"])
MOST = 5000
Clause = Mapping[str, Any]


# -- Which contracts ----------------------------------------------------------------------------


def live_on(version: TemplateVersion, most: int = MOST) -> list[Contract]:
    """The contracts in force that came from a version, by reference."""
    live = (Contract.template_version == version) & Contract.state.in_(LIVE)
    return list(Contract.select().where(live).order_by(Contract.reference).limit(most))


def live_counts(template: Template) -> dict[str, int]:
    """How many contracts are in force on each version of a template, by the version's id."""
    return {
        version.id: Contract.select(Contract.id)
        .where((Contract.template_version == version) & Contract.state.in_(LIVE))
        .count()
        for version in templates.published_versions(template)
    }


def of_template(template: Template) -> list[Campaign]:
    """Every campaign of a template, newest first."""
    query = Campaign.select().join(TemplateVersion).where(TemplateVersion.template == template)
    return list(query.order_by(Campaign.created_at.desc(), Campaign.id))


def get(campaign_id: str) -> Campaign:
    """Raises NotFound."""
    found: Campaign | None = (
        Campaign.get_or_none(Campaign.id == campaign_id) if "\0" not in campaign_id else None
    )
    if found is None:
        raise NotFound
    return found


def rows(campaign: Campaign) -> list[CampaignContract]:
    """Every contract of a campaign in order."""
    return list(
        CampaignContract.select().where(CampaignContract.campaign == campaign).order_by(CampaignContract.id)
    )


# -- Starting -----------------------------------------------------------------------------------


def start(
    version: TemplateVersion,
    references: Sequence[str],
    note: str,
    *,
    person: Person,
    by: audit.Actor,
    now: datetime,
) -> Campaign:
    """Make drafts that bring these contracts to a version; they are made by a job.

    Raises Invalid without contracts or a note, or for one that is not in force on an older version of
    the template, Conflict when the version is not the newest.
    """
    latest = templates.newest(version.template)
    if latest is None or latest.id != version.id:
        raise Conflict(_("There is a newer version meanwhile. Look at it first."))
    if not note.strip():
        raise Invalid({"note": _("Say what changes and why; the owners read it.")})
    wanted = list(dict.fromkeys(references))
    if not wanted:
        raise Invalid({"contracts": _("Choose at least one contract.")})
    chosen = {row.reference: row for row in candidates(version) if row.reference in set(wanted)}
    if len(chosen) < len(wanted):
        raise Invalid({"contracts": _("Some of these contracts are no longer in force on an older version.")})
    with transaction():
        campaign: Campaign = Campaign.add(
            version=version, note=note.strip(), created_by=person, created_at=now
        )
        for reference in wanted:
            CampaignContract.create(campaign=campaign, contract=chosen[reference])
        audit.append(
            "campaign.started", ("template", version.template.id), chain=audit.INSTALLATION, by=by, now=now,
            facts={
                "campaign": campaign.id, "template": version.template.key, "version": version.number,
                "contracts": wanted,
            },
        )  # fmt: skip
        jobs.add("make_amendments", {"campaign": campaign.id}, key=f"campaign:{campaign.id}", now=now)
    return campaign


def candidates(version: TemplateVersion) -> list[Contract]:
    """The contracts in force on older versions of the template."""
    older = [each for each in templates.published_versions(version.template) if each.number < version.number]
    return [contract for each in older for contract in live_on(each)]


def open_drafts(contracts: Sequence[Contract]) -> dict[str, Contract]:
    """The newest draft a campaign has made of each contract, by the contract's id."""
    found = CampaignContract.select().where(
        CampaignContract.contract.in_(contracts) & CampaignContract.draft.is_null(False)
    )
    return {row.contract.id: row.draft for row in found.order_by(CampaignContract.id) if row.draft}


# -- The job ------------------------------------------------------------------------------------


@jobs.handler("make_amendments")
def make_amendments(payload: dict[str, Any], context: jobs.Context) -> None:
    """Make the drafts that are still missing, each in a transaction of its own."""
    campaign = Campaign.get_or_none(Campaign.id == payload["campaign"])
    if campaign is None:
        return
    for row in rows(campaign):
        if row.done_at is None:
            context.renew()
            make(row, context)
    with transaction():
        context.hold()
        ended = (Campaign.id == campaign.id) & Campaign.ended_at.is_null()
        Campaign.update(ended_at=context.clock()).where(ended).execute()


def make(row: CampaignContract, context: jobs.Context) -> None:
    """One draft, or the sentence that says why there is none."""
    now = context.clock()
    try:
        with transaction():
            context.hold()
            locked = lock_row(CampaignContract.select().where(CampaignContract.id == row.id)).get()
            if locked.done_at is not None:
                return
            draft = amendment(locked, now)
            CampaignContract.update(draft=draft, done_at=now).where(CampaignContract.id == row.id).execute()
            tell_owner(locked, draft, now)
    except PortalError as error:
        with transaction():
            context.hold()
            CampaignContract.update(problem=error.message, done_at=now).where(
                (CampaignContract.id == row.id) & CampaignContract.done_at.is_null()
            ).execute()


def amendment(row: CampaignContract, now: datetime) -> Contract:
    """The draft of one contract: its text on the new wording, owned by whoever owns the contract."""
    contract, version = row.contract, row.campaign.version
    if contract.state not in LIVE:
        raise Conflict(_("It is no longer in force."))
    if contract.kind == "file":
        raise Conflict(_("Its text is an uploaded file: there are no clauses to bring over."))
    text, before = revisions.current(contract), revisions.base(contract)
    made = new_contracts.copy_from(contract, owner=contract.owner, by=audit.SYSTEM, now=now)
    offered = conditions.applying(version.clauses, text.terms)
    given = before.clauses if before is not None else []
    for number, clauses in ((0, offered), (1, brought_over(text.clauses, given, offered))):
        if number == 0 and before is None:
            continue
        Revision.update(clauses=copy.deepcopy(clauses)).where(
            (Revision.contract == made) & (Revision.number == number)
        ).execute()
    Contract.update(template_version=version).where(Contract.id == made.id).execute()
    return Contract.get_by_id(made.id)


def brought_over(
    own: Sequence[Clause], given: Sequence[Clause], offered: Sequence[Clause]
) -> list[dict[str, Any]]:
    """The contract's clauses on the new wording: what was agreed beside the template stays as agreed.

    A clause that was never changed takes the new words; one that was negotiated keeps its own; one that
    was taken out stays out; one of its own keeps its place behind the clause it follows.
    """
    before, mine = ({each["key"]: each for each in side} for side in (given, own))
    made = []
    for each in offered:
        key = each["key"]
        was_agreed = key in mine and mine[key] != before.get(key)
        if key in before and key not in mine:
            continue
        made.append(dict(mine[key] if was_agreed else each))
    present = {each["key"] for each in made}
    follows = ""
    for each in own:
        is_kept = each["key"] not in before or each != before[each["key"]]
        if each["key"] not in present and is_kept:
            places = [at for at, other in enumerate(made, start=1) if other["key"] == follows]
            made.insert(places[0] if places else 0, dict(each))
        follows = each["key"] if any(other["key"] == each["key"] for other in made) else follows
    return made


def tell_owner(row: CampaignContract, draft: Contract, now: datetime) -> None:
    owner, campaign = draft.owner, row.campaign
    with use(owner.language, owner.zone):
        notices.queue(
            "campaign_draft", address=owner.email, name=owner.name, language=owner.language,
            zone=owner.zone, now=now, contract=draft, person_id=owner.id,
            context={
                "template": templates.title_of(campaign.version.template, owner.language),
                "number": campaign.version.number, "former": row.contract.reference,
                "who": campaign.created_by.name, "message": campaign.note,
                "link": notices.url(f"/contracts/{draft.reference}/draft"),
            },
        )  # fmt: skip
