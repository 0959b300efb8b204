"""`/negotiate/<token>` and `/negotiations/<reference>`: the other side reads, comments, proposes, agrees.

Nothing is shown but shared revisions, words meant for both, and proposals. Every request is judged by
the proved address of the browser; the mailed link proves it after a pressed button.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal import i18n
from portal.clock import utc_now
from portal.errors import Invalid, NotFound, PortalError
from portal.i18n import current
from portal.models.base import transaction
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Negotiator
from portal.pages import guards, mine, negotiation_view, outside
from portal.pages.forms import Form
from portal.pages.negotiation_files import DOCX, download
from portal.pages.respond import leave, show
from portal.services import (
    agreements,
    comments,
    negotiation,
    negotiation_news,
    proposals,
    redlines,
    word_forms,
    word_returns,
)
from portal.services.negotiation import THEIRS, Party

bp = Blueprint("negotiations", __name__)


# -- Coming in ----------------------------------------------------------------------------------


@bp.get("/negotiate/<token>")
def link(token: str) -> Response:
    """The mailed link; reads only."""
    found = negotiation_news.find_link(token, utc_now())
    if found is None:
        return show("negotiation/link.html", status=410, company=outside.company(), token="", contract=None)
    speak(found)
    return show("negotiation/link.html", token=token, contract=found.contract, **framed(found.contract))


@bp.post("/negotiate/<token>")
def enter(token: str) -> Response:
    now = utc_now()
    found = negotiation_news.find_link(token, now)
    if found is None:
        return show("negotiation/link.html", status=410, company=outside.company(), token="", contract=None)
    with transaction():
        outside.fresh_token(now, email=found.email)
        negotiation_news.note_opened(found, by=party_of(found).actor, now=now)
    return outside.give_cookie(leave(url_for(".page", reference=found.contract.reference)))


def party_of(found: Negotiator) -> Party:
    return Party(
        THEIRS, found.name, found.email, negotiator=found,
        address=guards.client_address(), user_agent=guards.client_agent(),
    )  # fmt: skip


def entered(reference: str) -> tuple[Contract, Party]:
    """The contract and who asks. Raises NotFound for every address that is not invited."""
    found = negotiation.entrant(reference, mine.email(utc_now()))
    speak(found)
    return found.contract, party_of(found)


def speak(found: Negotiator) -> None:
    """Their language, unless this browser chose another, and their side's clock."""
    chosen = request.cookies.get("language")
    zone = negotiation_news.zone_of(found.contract)
    i18n.activate(chosen if chosen in i18n.LANGUAGES else found.language, zone)


def framed(contract: Contract) -> dict[str, Any]:
    logo = url_for("ceremony.logo", entity_id=contract.entity.id) if contract.entity.logo_type else ""
    return {
        "company": {"name": contract.entity.name, "logo_url": logo},
        "reference": contract.reference,
        "foot": i18n.gettext("Negotiating with Countersign"),
    }


@bp.get("/negotiations/<reference>")
def page(reference: str) -> Response:
    if not mine.email(utc_now()):
        return leave(url_for("mine.page"))
    contract, party = entered(reference)
    return talk(contract, party)


def talk(contract: Contract, party: Party, form: Form | None = None, status: int = 200) -> Response:
    made = negotiation_view.context(contract, party, "negotiations", form)
    newest = agreements.latest(contract)
    is_open = contract.state in negotiation.TALKING
    return show(
        "negotiation/theirs.html", None, status, **made, **framed(contract),
        may_answer=is_open, may_comment=is_open,
        newer_comes=newest.shared_at is None,
        owner=contract.owner,
    )  # fmt: skip


def done(contract: Contract, place: str = "") -> Response:
    return leave(negotiation_view.place_url(contract, "negotiations", place))


def refused(contract: Contract, party: Party, form: Form, error: PortalError) -> Response:
    for name, reason in (error.errors if isinstance(error, Invalid) else {"": error.message}).items():
        form.refuse(name, reason)
    return talk(Contract.get_by_id(contract.id), party, form, error.status)


# -- Talking ---------------------------------------------------------------------------------------


@bp.post("/negotiations/<reference>/comments")
def comment(reference: str) -> Response:
    (contract, party), form = entered(reference), Form(request.form)
    place = form.text("place", most=200)
    try:
        comments.add(contract, party, place, form.text("text"), now=utc_now())
    except Invalid as error:
        return refused(contract, party, form, error)
    return done(contract, place)


@bp.post("/negotiations/<reference>/comments/<comment_id>/settlement")
def settle(reference: str, comment_id: str) -> Response:
    contract, party = entered(reference)
    comments.settle(contract, comment_id, party, now=utc_now())
    return done(contract, request.form.get("place", ""))


@bp.post("/negotiations/<reference>/proposals")
def propose(reference: str) -> Response:
    (contract, party), form = entered(reference), Form(request.form)
    place, answered = form.text("place", most=200), form.text("answers", most=40)
    try:
        after = negotiation_view.read_change(form, contract, negotiation.seen_by(contract, party), place)
        note, now = form.text("note"), utc_now()
        if answered:
            proposals.counter(contract, answered, party, after, note=note, now=now)
        else:
            proposals.add(contract, party, place, after, note=note, now=now)
    except Invalid as error:
        return refused(contract, party, form, error)
    return done(contract, place)


@bp.post("/negotiations/<reference>/proposals/<proposal_id>/acceptance")
def accept(reference: str, proposal_id: str) -> Response:
    contract, party = entered(reference)
    found = proposals.accept(contract, proposal_id, party, now=utc_now())
    return done(contract, found.place)


@bp.post("/negotiations/<reference>/proposals/<proposal_id>/rejection")
def reject(reference: str, proposal_id: str) -> Response:
    (contract, party), form = entered(reference), Form(request.form)
    try:
        found = proposals.reject(contract, proposal_id, party, reason=form.text("reason"), now=utc_now())
    except Invalid as error:
        return refused(contract, party, form, error)
    return done(contract, found.place)


@bp.post("/negotiations/<reference>/proposals/<proposal_id>/withdrawal")
def take_back(reference: str, proposal_id: str) -> Response:
    contract, party = entered(reference)
    proposals.take_back(contract, proposal_id, party, now=utc_now())
    return done(contract, request.form.get("place", ""))


@bp.post("/negotiations/<reference>/agreement")
def agree(reference: str) -> Response:
    (contract, party), form = entered(reference), Form(request.form)
    try:
        negotiation.agree(contract, party, seen_sha256=form.text("seen", most=64), now=utc_now())
    except PortalError as error:
        return refused(contract, party, form, error)
    return done(contract)


# -- The Word file -----------------------------------------------------------------------------------


@bp.get("/negotiations/<reference>/text.docx")
def text(reference: str) -> Response:
    contract, party = entered(reference)
    revision = negotiation.seen_by(contract, party)
    made = word_forms.made(contract, revision, author=contract.owner.name, at=utc_now())
    return download(made, f"{reference}-revision-{revision.number}.docx", DOCX)


@bp.post("/negotiations/<reference>/file")
def take_in(reference: str) -> Response:
    """The same file with their changes: each becomes a proposal."""
    (contract, party), form = entered(reference), Form(request.form)
    sent = request.files.get("file")
    try:
        content = sent.read() if sent is not None else b""
        name = sent.filename if sent is not None else ""
        word_returns.take_in(contract, content, name or "", by=party.actor, now=utc_now())
    except Invalid as error:
        return refused(contract, party, form, error)
    return done(contract)


# -- Comparing ---------------------------------------------------------------------------------------


def chosen(contract: Contract) -> tuple[Revision, Revision]:
    """Two shared revisions; by default the last two. Raises NotFound for any that was not shared."""
    shared = {each.number: each for each in negotiation_view.shared_revisions(contract)}
    numbers = sorted(shared)
    new = request.args.get("new", numbers[-1], type=int)
    before = [each for each in numbers if each < new]
    old = request.args.get("old", before[-1] if before else numbers[0], type=int)
    if old not in shared or new not in shared:
        raise NotFound
    return shared[old], shared[new]


@bp.get("/negotiations/<reference>/redline")
def redline(reference: str) -> Response:
    contract, _party = entered(reference)
    old, new = chosen(contract)
    return show(
        "negotiation/their_redline.html", contract=contract, old=old, new=new, **framed(contract),
        found=redlines.between(contract, old, new, current()),
        numbers=sorted(each.number for each in negotiation_view.shared_revisions(contract)),
        pdf_url=url_for(".redline_pdf", reference=reference, old=old.number, new=new.number),
        docx_url=url_for(".redline_docx", reference=reference, old=old.number, new=new.number),
    )  # fmt: skip


@bp.get("/negotiations/<reference>/redline.pdf")
def redline_pdf(reference: str) -> Response:
    contract, _party = entered(reference)
    old, new = chosen(contract)
    made = redlines.as_pdf(contract, old, new, current(), at=utc_now())
    return download(made, f"{reference}-redline-{old.number}-{new.number}.pdf", "application/pdf")


@bp.get("/negotiations/<reference>/redline.docx")
def redline_docx(reference: str) -> Response:
    contract, _party = entered(reference)
    old, new = chosen(contract)
    made = redlines.as_docx(contract, old, new, current(), at=utc_now())
    return download(made, f"{reference}-redline-{old.number}-{new.number}.docx", DOCX)
