"""What our side does with a request at an outside provider: try again, ask now, move it, read its files."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, request

from portal.clock import utc_now
from portal.errors import NotFound, PortalError
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Envelope
from portal.pages import guards
from portal.pages.documents import pdf_answer
from portal.pages.forms import Form
from portal.pages.guards import person, requires
from portal.pages.respond import leave, show
from portal.pages.sending import PEOPLE, STATE, meanwhile, newest, owned
from portal.services import connections, contracts, documents, moves, polling, sending, viewings

bp = Blueprint("signing_elsewhere", __name__, url_prefix="/contracts/<reference>/signing")


def outside(reference: str) -> Envelope:
    """The latest request, if it is at an outside provider. Raises NotFound for others."""
    envelope = newest(owned(reference))
    if envelope.provider == "builtin":
        raise NotFound
    return envelope


@bp.post("/again")
@requires("contract.send")
def again(reference: str) -> Response:
    """Try again what the provider did not take."""
    envelope = outside(reference)
    try:
        sending.send_again(envelope, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return problem(envelope, error)
    return leave(f"/contracts/{reference}/signing")


@bp.post("/refresh")
@requires("contract.send")
def refresh(reference: str) -> Response:
    """Ask the provider now how it stands; the answer is there in a moment."""
    envelope = outside(reference)
    now = utc_now()
    with transaction():
        polling.ask_soon(envelope.id, now, key=f"look:{envelope.id}:{now.isoformat(timespec='minutes')}")
    return leave(f"/contracts/{reference}/signing")


@bp.post("/move")
@requires("contract.send", step_up=True)
def move(reference: str) -> Response:
    """Send an unsent or withdrawn request through another account."""
    envelope, form = newest(owned(reference)), Form(request.form)
    allowed = {value or "builtin": value for value, _name, why in moves.targets(envelope) if not why}
    value = form.choice("connection", allowed)
    if form.errors:
        return show(STATE, PEOPLE, 422, **meanwhile(
            envelope.contract, envelope, problem=_("Choose an account that can take it.")
        ))  # fmt: skip
    target = connections.get(allowed[value]) if allowed[value] else None
    try:
        moves.send_through(envelope, target, by=guards.actor(), now=utc_now())
    except PortalError as error:
        return problem(envelope, error)
    return leave(f"/contracts/{reference}/signing")


def problem(envelope: Envelope, error: PortalError) -> Response:
    errors = getattr(error, "errors", {})
    said = " ".join(errors.values()) if errors else error.message
    return show(STATE, PEOPLE, error.status, **meanwhile(envelope.contract, envelope, problem=said))


@bp.get("/evidence.pdf")
@requires("contract.read")
def record(reference: str) -> Response:
    """Our sealed record of what was signed elsewhere."""
    contract = contracts.get(reference, person())
    envelope = newest(contract)
    if envelope.companion is None:
        raise NotFound
    viewings.note(contract, envelope.companion, by=guards.actor(), now=utc_now())
    return pdf_answer(documents.read(envelope.companion), envelope.companion.file_name)


@bp.get("/vendor-evidence")
@requires("contract.read")
def vendor(reference: str) -> Response:
    """The provider's own certificate or audit file, as it gave it to us."""
    contract = contracts.get(reference, person())
    found = newest(contract).vendor_evidence
    if found is None:
        raise NotFound
    viewings.note(contract, found, by=guards.actor(), now=utc_now())
    if found.facts.get("media") == "application/pdf":
        return pdf_answer(documents.read(found), found.file_name)
    answer = make_response(documents.read(found))
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = f'attachment; filename="{found.file_name}"'
    return answer
