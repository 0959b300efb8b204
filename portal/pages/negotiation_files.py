"""Files of a negotiation: redlines, the Word file that goes out, and what comes back."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, request, url_for

from portal.clock import utc_now
from portal.errors import NotFound, PortalError
from portal.i18n import current
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Revision
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.negotiation import answering, done, refused
from portal.pages.respond import show
from portal.services import agreements, contracts, pdf_returns, redlines, word_forms, word_returns

bp = Blueprint("negotiation_files", __name__)
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


# -- The Word file ------------------------------------------------------------------------------


@bp.get("/contracts/<reference>/negotiation/text.docx")
@requires("contract.read")
def text(reference: str) -> Response:
    """The newest text as a Word file whose changes can be read back."""
    contract = contracts.get(reference, person())
    if contract.kind == "file":
        raise NotFound
    revision = agreements.latest(contract)
    made = word_forms.made(contract, revision, author=person().name, at=utc_now())
    return download(made, f"{reference}-revision-{revision.number}.docx", DOCX)


@bp.post("/contracts/<reference>/negotiation/file")
@requires("contract.edit")
def take_in(reference: str) -> Response:
    """What came back by mail: a Word file becomes proposals, a PDF is compared for somebody to read."""
    contract, form = answering(reference), Form(request.form)
    sent = request.files.get("file")
    content = sent.read() if sent is not None else b""
    if not content or sent is None:
        form.refuse("file", _("Choose the Word or PDF file that came back."))
        return refused(contract, form, None)
    try:
        if content[:1024].lstrip().startswith(b"%PDF-"):
            ops = pdf_returns.compared(contract, content)
            return show("negotiation/returned_pdf.html", contract=contract, ops=ops, name=sent.filename)
        word_returns.take_in(contract, content, sent.filename or "", by=actor(), now=utc_now())
    except PortalError as error:
        return refused(contract, form, error)
    return done(contract)


# -- Comparing --------------------------------------------------------------------------------------


def chosen(contract: Contract) -> tuple[Revision, Revision]:
    """The two revisions asked for; by default the newest and the one shared before it, or the template's."""
    numbers = [
        row.number for row in Revision.select(Revision.number).where(Revision.contract == contract)
        .order_by(Revision.number)
    ]  # fmt: skip
    old, new = request.args.get("old", type=int), request.args.get("new", type=int)
    new = numbers[-1] if new is None else new
    old = next((each for each in reversed(numbers) if each < new), numbers[0]) if old is None else old
    if old not in numbers or new not in numbers:
        raise NotFound
    rows = Revision.select().where((Revision.contract == contract) & Revision.number.in_((old, new)))
    found = {each.number: each for each in rows}
    return found[old], found[new]


@bp.get("/contracts/<reference>/redline")
@requires("contract.read")
def redline(reference: str) -> Response:
    contract = contracts.get(reference, person())
    old, new = chosen(contract)
    numbers = Revision.select(Revision.number).where(Revision.contract == contract).order_by(Revision.number)
    return show(
        "negotiation/redline.html", contract=contract, old=old, new=new,
        found=redlines.between(contract, old, new, current()), numbers=[each.number for each in numbers],
        pdf_url=url_for(".redline_pdf", reference=reference, old=old.number, new=new.number),
        docx_url=url_for(".redline_docx", reference=reference, old=old.number, new=new.number),
    )  # fmt: skip


@bp.get("/contracts/<reference>/redline.pdf")
@requires("contract.read")
def redline_pdf(reference: str) -> Response:
    contract = contracts.get(reference, person())
    old, new = chosen(contract)
    made = redlines.as_pdf(contract, old, new, current(), at=utc_now())
    return download(made, f"{reference}-redline-{old.number}-{new.number}.pdf", "application/pdf")


@bp.get("/contracts/<reference>/redline.docx")
@requires("contract.read")
def redline_docx(reference: str) -> Response:
    contract = contracts.get(reference, person())
    old, new = chosen(contract)
    made = redlines.as_docx(contract, old, new, current(), at=utc_now())
    return download(made, f"{reference}-redline-{old.number}-{new.number}.docx", DOCX)


def download(content: bytes, name: str, kind: str) -> Response:
    answer = make_response(content)
    answer.headers["Content-Type"] = kind
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
