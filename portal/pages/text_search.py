"""Search in what stands in contracts; a part of it stands below the list of contracts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.models.contracts import Contract
from portal.pages.guards import person, requires
from portal.pages.respond import show
from portal.services import contract_states, contract_texts
from portal.services.contract_texts import Hit

bp = Blueprint("text_search", __name__)
PAGE, HITS = "text_search/show.html", "text_search/_hits.html"
FEW = 5


@bp.get("/contracts/in-texts")
@requires("contract.read")
def page() -> Response:
    """The whole page; for htmx the first few, as they stand below the list."""
    typed, before = request.args.get("q", "")[:200], request.args.get("before", type=int)
    is_part = "few" in request.args
    found = contract_texts.search(
        person(), typed, before=before, size=FEW if is_part else contract_texts.PAGE_SIZE
    )
    next_url = url_for(".page", q=typed, before=found.next) if found.next else ""
    return show(
        PAGE,
        HITS,
        typed=typed,
        hits=[shown(each) for each in found.hits],
        is_part=is_part,
        more_url=url_for(".page", q=typed) if is_part and found.next else "",
        next_url=next_url,
    )


def shown(hit: Hit) -> dict[str, Any]:
    contract = hit.contract
    return {
        "title": contract.title,
        "url": url_for("contracts.page", reference=contract.reference),
        "reference": contract.reference,
        "state": contract_states.NAMES[contract.state],
        "tone": contract_states.TONES.get(contract.state, "none"),
        "passages": [(each.where, place(contract, each), pieces) for each, pieces in hit.shown],
    }


def place(contract: Contract, passage: Any) -> str:
    """Where the passage can be read; "" for what stands on the contract's own page."""
    if not passage.document_id:
        return ""
    address = url_for("documents.page", reference=contract.reference, document_id=passage.document_id)
    return f"{address}#page-{passage.number}"
