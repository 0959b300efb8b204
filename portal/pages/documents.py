"""Files of a contract, for those who may read it: the PDF itself, and its pages as pictures."""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import Blueprint, Response, make_response

from portal.clock import utc_now
from portal.pages.guards import actor, person, requires
from portal.services import contracts, documents, viewings

bp = Blueprint("documents", __name__)


@bp.get("/contracts/<reference>/documents/<document_id>")
@requires("contract.read")
def page(reference: str, document_id: str) -> Response:
    """The PDF, shown by the browser without letting it do anything."""
    contract = contracts.get(reference, person())
    document = documents.get(contract, document_id)
    viewings.note(contract, document, by=actor(), now=utc_now())
    return pdf_answer(documents.read(document), document.file_name)


@bp.get("/contracts/<reference>/documents/<document_id>/pages/<int:number>")
@requires("contract.read")
def picture(reference: str, document_id: str, number: int) -> Response:
    contract = contracts.get(reference, person())
    document = documents.get(contract, document_id)
    image = documents.page(document, number)
    viewings.note(contract, document, by=actor(), now=utc_now(), page=number)
    answer = make_response(documents.picture(image))
    answer.headers["Content-Type"] = "image/webp"
    answer.headers["Cache-Control"] = "private, max-age=3600"
    return answer


def pdf_answer(content: bytes, file_name: str) -> Response:
    """A PDF to read: named, never sniffed, never cached, never allowed to run anything."""
    answer = make_response(content)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", file_name) or "document.pdf"
    answer.headers["Content-Type"] = "application/pdf"
    answer.headers["Content-Disposition"] = (
        f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name)}"
    )
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; object-src 'self'"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "no-store"
    return answer
