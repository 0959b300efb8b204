"""After signature, on the page of a contract: its term, what to decide, and how it ends."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotAllowed
from portal.i18n import gettext as _
from portal.models.contracts import Contract
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import (
    closing,
    contract_states,
    contracts,
    following,
    letters,
    lives,
    permissions,
    renewals,
    successors,
)

bp = Blueprint("lives", __name__, url_prefix="/contracts/<reference>")
CLOSE = "lives/close.html"
LETTER_WORDS = {"drafted": "wait", "signed": "wait", "sealed": "good"}


def own(reference: str) -> Contract:
    """The contract, for its owner or whoever may edit every one."""
    contract = contracts.get(reference, person())
    if not contracts.is_author(contract, person()):
        raise NotAllowed(_("Only its owner may do this: %(name)s.", name=contract.owner.name))
    return contract


@bp.post("/renewal")
@requires("contract.create")
def renew(reference: str) -> Response:
    """Draft the contract that follows this one."""
    made = successors.renew(own(reference), owner=person(), by=actor(), now=utc_now())
    return leave(url_for("drafts.page", reference=made.reference))


@bp.post("/amendment")
@requires("contract.create")
def amend(reference: str) -> Response:
    """Draft what changes this one."""
    made = successors.amend(own(reference), owner=person(), by=actor(), now=utc_now())
    return leave(url_for("drafts.page", reference=made.reference))


@bp.post("/beginning")
@requires("contract.run")
def start(reference: str) -> Response:
    """Make a signed contract live now."""
    following.start_now(contracts.get(reference, person()), by=actor(), now=utc_now())
    return leave(url_for("contracts.page", reference=reference))


@bp.get("/closing")
@requires("contract.run")
def close_page(reference: str) -> Response:
    contract = contracts.get(reference, person())
    if contract.state not in closing.ENDED:
        return leave(url_for("contracts.page", reference=reference))
    life = lives.of(contract)
    today = lives.today(life, utc_now()) if life else utc_now().date()
    return close_form(contract, Form(None, closed_on=today.isoformat()))


def close_form(contract: Contract, form: Form, status: int = 200) -> Response:
    return show(CLOSE, None, status, contract=contract, form=form, duties=closing.duties(contract))


@bp.post("/closing")
@requires("contract.run")
def close(reference: str) -> Response:
    contract, form = contracts.get(reference, person()), Form(request.form)
    closed_on = form.date("closed_on", required=True)
    done = [key for key in closing.duties(contract) if form.checked(key)]
    if form.errors or closed_on is None:
        return close_form(contract, form, 422)
    try:
        closing.close(contract, closed_on=closed_on, done=done, by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return close_form(contract, form, 422)
    return leave(url_for("contracts.page", reference=reference))


# --- On the page of a contract ------------------------------------------------------------------------


def on_contract(contract: Contract) -> dict[str, Any]:
    """What the page of a contract says after signature; empty before it."""
    links = relatives(contract)
    life = lives.of(contract)
    if life is None:
        return {"links": links} if links else {}
    me, present = person(), lives.term(contract)
    mine = contracts.is_author(contract, me)
    may_act = mine and contract.state in successors.OPEN and lives.has_terms(contract)
    return {
        "links": links,
        "term": present,
        "terms": lives.terms(contract),
        "zone": life.zone,
        "decide_on": decide_on(present),
        "happens": happens(contract, life, present),
        "is_due": renewals.is_due(contract, utc_now()),
        "missed_on": life.missed_on,
        "notice_given_on": life.notice_given_on,
        "closed_on": life.closed_on,
        "letters": [letter_row(each) for each in letters.of(contract)],
        "may_renew": may_act and successors.open_renewal(contract) is None,
        "may_amend": may_act,
        "may_give_notice": mine
        and contract.state in contract_states.RUNNING
        and present is not None
        and life.notice_given_on is None,
        "may_start": contract.state in ("signed", "onboarding")
        and lives.has_terms(contract)
        and permissions.allows(me, "contract.run"),
        "may_close": contract.state in closing.ENDED and permissions.allows(me, "contract.run"),
    }


def decide_on(present: Any) -> date | None:
    return (present.notice_on or present.ends_on) if present is not None else None


def happens(contract: Contract, life: Any, present: Any) -> str:
    if present is None or contract.state not in successors.OPEN:
        return ""
    if life.notice_given_on is not None:
        return lives.ends(life.ends_on or present.ends_on)
    return lives.if_nobody_acts(present, lives.text(contract))


def letter_row(letter: Any) -> dict[str, Any]:
    words = {"drafted": _("To be signed"), "signed": _("Being sealed"), "sealed": _("Sealed and sent")}
    names = {"end": _("Letter: no renewal"), "termination": _("Letter: termination")}
    return {
        "url": url_for("letters.page", reference=letter.contract.reference, letter_id=letter.id),
        "name": names[letter.kind],
        "dated_on": letter.dated_on,
        "word": words[letter.state],
        "tone": LETTER_WORDS[letter.state],
    }


def relatives(contract: Contract) -> list[tuple[str, str, str, str]]:
    """What it belongs to: (how, reference, address, state)."""
    found = []
    for label, other_id in ((_("Amends"), contract.parent_id), (_("Renews"), contract.renews_id)):
        other = Contract.get_or_none(Contract.id == other_id) if other_id else None
        found += [(label, other)] if other else []
    found += [(_("Amendment A%(number)s", number=each.amendment_number), each)
              for each in lives.amendments(contract)]  # fmt: skip
    renewal = successors.open_renewal(contract)
    found += [(_("Renewed by"), renewal)] if renewal else []
    return [
        (label, other.reference, url_for("contracts.page", reference=other.reference),
         contract_states.shown_name(other))
        for label, other in found
    ]  # fmt: skip
