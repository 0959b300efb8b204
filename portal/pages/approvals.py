"""Approving a text: what waits for me, and one screen to decide on."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.errors import PortalError
from portal.models.contracts import Contract, Revision
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, refuse, show
from portal.services import (
    approval_conditions,
    approval_view,
    approvals,
    approvers,
    bulk_csv,
    contract_states,
    contracts,
    deviations,
    home,
    revisions,
)

bp = Blueprint("approvals", __name__)

INDEX, PAGE = "approvals/index.html", "approvals/show.html"
MOST_REASON = 2000


@bp.get("/approvals")
@requires("contract.read")
def index() -> Response:
    """What waits for me. Mails lead here, so that the way back from signing in is known."""
    reference = request.args.get("contract", "")
    if reference:
        return leave(url_for(".page", reference=contracts.get(reference[:60], person()).reference))
    now = utc_now()
    return show(INDEX, rows=home.approvals_of(person(), now), now=now)


@bp.get("/contracts/<reference>/approval")
@requires("contract.read")
def page(reference: str) -> Response:
    return show(PAGE, **about(contracts.get(reference, person()), Form(None)))


@bp.post("/contracts/<reference>/approval/given")
@requires("contract.read")
def give(reference: str) -> Response:
    contract, form = contracts.get(reference, person()), Form(request.form)
    try:
        approvals.approve(contract, sha256=form.text("sha256", most=64), by=actor(), now=utc_now())
    except PortalError as error:
        return refused(contract, form, error)
    return leave(url_for(".page", reference=reference))


@bp.post("/contracts/<reference>/approval/return")
@requires("contract.read")
def send_back(reference: str) -> Response:
    contract, form = contracts.get(reference, person()), Form(request.form)
    reason, sha256 = form.text("reason", most=MOST_REASON), form.text("sha256", most=64)
    if form.errors:
        return show(PAGE, None, 422, **about(contract, form))
    try:
        approvals.send_back(contract, sha256=sha256, reason=reason, by=actor(), now=utc_now())
    except PortalError as error:
        return refused(contract, form, error)
    return leave(url_for(".page", reference=reference))


@bp.post("/contracts/<reference>/approval/asking")
@requires("contract.edit")
def ask(reference: str) -> Response:
    """The owner asks for what the rules want before the other side sees the text."""
    contract = contracts.get(reference, person())
    contracts.demand_edit(contract, person())
    try:
        approvals.ask_to_share(contract, revisions.current(contract), by=actor(), now=utc_now())
    except PortalError as error:
        return refused(contract, Form(None), error)
    return leave(url_for(".page", reference=reference))


@bp.post("/contracts/<reference>/approval/taking-back")
@requires("contract.edit")
def take_back(reference: str) -> Response:
    """The owner works on the text again before all have answered."""
    contract = contracts.get(reference, person())
    try:
        revisions.open_again(contract, by=actor(), now=utc_now())
    except PortalError as error:
        return refused(contract, Form(None), error)
    return leave(url_for("contracts.page", reference=reference))


@bp.get("/contracts/<reference>/approval/history.csv")
@requires("contract.read")
def history(reference: str) -> Response:
    """Every approval ever asked of the contract."""
    contract = contracts.get(reference, person())
    answer = make_response(b"".join(bulk_csv.written(approval_view.history(contract))))
    answer.headers["Content-Type"] = "text/csv; charset=utf-8"
    answer.headers["Content-Disposition"] = f'attachment; filename="{contract.reference}-approvals.csv"'
    return answer


# -- What is shown ----------------------------------------------------------------------------------


def refused(contract: Contract, form: Form, error: PortalError) -> Response:
    fresh = Contract.get_by_id(contract.id)
    context = about(fresh, form)
    del context["form"]
    return refuse(PAGE, form, error, **context)


def about(contract: Contract, form: Form) -> dict[str, Any]:
    """All of the approver's one screen."""
    now, me = utc_now(), person()
    revision = revisions.current(contract)
    moment = moment_of(contract)
    mine = [row for row, _right in approvals.mine(contract, me, now)]
    said = approvals.reasons(contract, mine)() if mine else {}
    is_author = contracts.is_author(contract, me)
    needs = approvals.needed(contract, revision, moment)
    return {
        "contract": contract,
        "revision": revision,
        "form": form,
        "sha256": approvals.text_sha256(contract, revision),
        "mine": mine,
        "asker": next((row.asked_by.name for row in mine if row.asked_by), ""),
        "asked_at": next((row.asked_at for row in mine), None),
        "reasons": list(dict.fromkeys(said.get(row.id, row.why) for row in mine)),
        "differences": approval_view.differences(deviations.of(contract, revision)),
        "stakes": approval_view.stakes(contract, revision),
        "standings": approval_view.standings(contract, revision, moment, now),
        "needs": needs,
        "refusal": approvals.refusal(needs),
        "is_waiting": contract.state == "approval",
        "state": contract_states.NAMES[contract.state],
        "is_own": is_author or me.id in approvers.authors(contract),
        "may_take_back": is_author and contract.state == "approval" and not mine,
        "may_ask": is_author and moment == approvals.SHARE and needs
        and bool(approvals.lacking(contract, revision, needs)) and not asked(contract),
        "shown_url": shown_url(contract, revision),
        "redline_url": redline_url(contract, revision),
        "has_history": bool(approvals.of(contract)),
    }  # fmt: skip


def moment_of(contract: Contract) -> str:
    """What the page is about: sharing as long as the text may change and a rule asks, else signing."""
    if contract_states.is_editable(contract):
        revision = revisions.current(contract)
        if approvals.needed(contract, revision, approvals.SHARE):
            return approvals.SHARE
    return approvals.SIGN


def asked(contract: Contract) -> bool:
    rows = approvals.open_rows(contract)
    return any(row.moment == approvals.SHARE and approvals.is_live(contract, row) for row in rows)


def shown_url(contract: Contract, revision: Revision) -> str:
    document = revisions.shown_document(revision)
    if document is None:
        return ""
    return url_for("documents.page", reference=contract.reference, document_id=document.id)


def redline_url(contract: Contract, revision: Revision) -> str:
    """The comparison with the template, else the text itself; "" for somebody else's file."""
    if contract.kind == "file":
        return ""
    if revisions.base(contract) is not None:
        return url_for("negotiation_files.redline", reference=contract.reference, old=0, new=revision.number)
    return url_for("contracts.version", reference=contract.reference, number=revision.number)


def on_contract(contract: Contract, revision: Revision) -> dict[str, Any]:
    """What the contract and draft pages say of approvals: what is needed, and how it stands."""
    now = utc_now()
    is_open = contract_states.is_editable(contract)
    facts = approval_conditions.deal(contract, revision) if is_open else None
    needs = approvals.needed(contract, revision, facts=facts) if is_open else []
    standings = [] if is_open else approval_view.standings(contract, revision, approvals.SIGN, now)
    missing = approvals.unmet(contract, revision, approvals.SHARE, facts) if is_open else ""
    return {
        "needs": needs,
        "refusal": approvals.refusal(needs),
        "standings": standings,
        "before_sharing": missing,
        "returned": approvals.last_returned(contract) if is_open else None,
        "own_text": approvals.is_approved_by_author(contract),
        "has_history": bool(approvals.of(contract)),
        "url": url_for("approvals.page", reference=contract.reference),
    }
