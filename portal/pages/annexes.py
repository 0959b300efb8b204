"""The annexes of a draft, its master agreement and the order of documents."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotFound
from portal.i18n import format_size
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Document
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.new_contracts import taken_file
from portal.pages.respond import leave, show
from portal.services import annex_changes, annexes, contracts, uploads

bp = Blueprint("annexes", __name__)
PAGE = "annexes/show.html"
RANKS = ("first", "second", "third")


def editable(reference: str) -> Contract:
    contract = contracts.get(reference, person())
    contracts.demand_edit(contract, person())
    return contract


def on_contract(contract: Contract) -> dict[str, Any] | None:
    """What the contract's page shows; None where there is nothing and nothing can be added."""
    listed, may_edit = rows(contract), contracts.may_edit(contract, person())
    if not listed and not contract.master_agreement and not contract.precedence and not may_edit:
        return None
    return {
        "rows": listed,
        "may_edit": may_edit,
        "master": contract.master_agreement,
        "master_url": master_url(contract),
        "order": annexes.order_in_words(contract.precedence),
        "url": url_for("annexes.page", reference=contract.reference),
    }


def rows(contract: Contract) -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "name": annexes.name_of(each),
            "kind": annexes.KINDS.get(annexes.kind_of(each), ""),
            "about": _("%(pages)s pages, %(size)s", pages=each.pages, size=format_size(each.size_bytes)),
            "sha256": each.sha256,
            "url": url_for("documents.page", reference=contract.reference, document_id=each.id),
        }
        for each in annexes.of(contract)
    ]


def master_url(contract: Contract) -> str:
    """The page of the master agreement, where its name is a reference of ours."""
    try:
        found = contracts.get(contract.master_agreement, person()) if contract.master_agreement else None
    except NotFound:
        return ""
    return url_for("contracts.page", reference=found.reference) if found else ""


@bp.get("/contracts/<reference>/annexes")
@requires("contract.edit")
def page(reference: str) -> Response:
    return annexes_page(editable(reference))


def annexes_page(
    contract: Contract,
    form: Form | None = None,
    order: Form | None = None,
    status: int = 200,
    upload: Document | None = None,
) -> Response:
    if order is None:
        placed = dict(zip(RANKS, contract.precedence, strict=False))
        order = Form(None, master=contract.master_agreement, **placed)
    return show(
        PAGE, None, status, contract=contract, rows=rows(contract), form=form or Form(None, kind="dpa"),
        order=order, upload=upload, lost_signers=uploads.signers(upload) if upload else [],
        kinds=list(annexes.KINDS.items()), ranks=RANKS,
        places=[("", "–"), *annexes.PLACES.items()],
    )  # fmt: skip


@bp.post("/contracts/<reference>/annexes")
@requires("contract.edit")
def add(reference: str) -> Response:
    contract, form, upload = editable(reference), Form(request.form), None
    kind = form.choice("kind", annexes.KINDS)
    name = form.text("name", most=120, required=True)
    try:
        upload = taken_file(form)
        if not form.errors and upload is not None:
            annex_changes.attach(contract, upload, kind=kind, name=name, by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
    if form.errors:
        return annexes_page(contract, form, None, 422, upload)
    return leave(url_for(".page", reference=reference))


@bp.post("/contracts/<reference>/annexes/<document_id>/removal")
@requires("contract.edit")
def remove(reference: str, document_id: str) -> Response:
    contract = editable(reference)
    annex_changes.remove(contract, annex_changes.get(contract, document_id), by=actor(), now=utc_now())
    return leave(url_for(".page", reference=reference))


@bp.post("/contracts/<reference>/annexes/<document_id>/up")
@requires("contract.edit")
def move_up(reference: str, document_id: str) -> Response:
    return moved(reference, document_id, -1)


@bp.post("/contracts/<reference>/annexes/<document_id>/down")
@requires("contract.edit")
def move_down(reference: str, document_id: str) -> Response:
    return moved(reference, document_id, 1)


def moved(reference: str, document_id: str, by_places: int) -> Response:
    contract = editable(reference)
    annex = annex_changes.get(contract, document_id)
    annex_changes.move(contract, annex, by_places, by=actor(), now=utc_now())
    return leave(url_for(".page", reference=reference))


@bp.post("/contracts/<reference>/document-order")
@requires("contract.edit")
def set_order(reference: str) -> Response:
    contract, order = editable(reference), Form(request.form)
    master = order.text("master", most=300)
    ranked = [order.choice(rank, annexes.PLACES, required=False) for rank in RANKS]
    if not order.errors:
        try:
            annex_changes.set_order(
                contract, master, [each for each in ranked if each], by=actor(), now=utc_now()
            )
        except Invalid as invalid:
            order.errors.update(invalid.errors)
    if order.errors:
        return annexes_page(contract, None, order, 422)
    return leave(url_for(".page", reference=reference))
