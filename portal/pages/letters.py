"""Letters of notice: drafted by the owner, read and signed by the signatory."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.i18n import format_date
from portal.i18n import gettext as _
from portal.models.contracts import Contract
from portal.models.lives import Letter
from portal.pages.documents import pdf_answer
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.lives import own
from portal.pages.respond import leave, show
from portal.services import contract_states, contracts, documents, entities, letters, lives, permissions

bp = Blueprint("letters", __name__, url_prefix="/contracts/<reference>")
NEW, PAGE = "letters/new.html", "letters/show.html"


@bp.get("/notice")
@requires("contract.edit")
def new(reference: str) -> Response:
    contract = own(reference)
    if contract.state not in contract_states.RUNNING or lives.term(contract) is None:
        return leave(url_for("contracts.page", reference=reference))
    return new_page(contract, Form(None, kind="end"))


def new_page(contract: Contract, form: Form, status: int = 200) -> Response:
    life, present = lives.of(contract), lives.term(contract)
    ends_on = None
    if life is not None and present is not None:
        try:
            ends_on = letters.last_day_after(contract, life, present, utc_now())
        except Conflict as conflict:
            form.refuse("", conflict.message)
    late = bool(present and ends_on and present.ends_on != ends_on)
    return show(
        NEW,
        None,
        status,
        contract=contract,
        form=form,
        ends_on=ends_on,
        is_late=late,
        notice_on=present.notice_on if present else None,
        signatories=[(each.id, f"{each.person.name}, {each.title}")
                     for each in entities.signatories(contract.entity)],
        addressees=letters.addressees(contract),
    )  # fmt: skip


@bp.post("/notice")
@requires("contract.edit")
def create(reference: str) -> Response:
    contract, form = own(reference), Form(request.form)
    asked = letters.Asked(
        kind=form.choice("kind", letters.KINDS),
        signatory_id=form.text("signatory", most=40, required=True),
        reason=form.text("reason", most=letters.LONGEST_GROUND),
        effective_on=form.date("effective_on"),
    )
    if form.errors:
        return new_page(contract, form, 422)
    try:
        made = letters.draft(contract, asked, by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return new_page(contract, form, 422)
    return leave(url_for(".page", reference=reference, letter_id=made.id))


@bp.get("/letters/<letter_id>")
@requires()
def page(reference: str, letter_id: str) -> Response:
    return letter_page(letters.get(reference, letter_id, person()), Form(None))


def letter_page(letter: Letter, form: Form, status: int = 200) -> Response:
    me = person()
    contract = letter.contract
    return show(
        PAGE,
        None,
        status,
        letter=letter,
        contract=contract,
        form=form,
        intent=letters.intent(letter),
        may_sign=letter.state == "drafted" and letters.is_signer(letter, me),
        may_withdraw=letter.state == "drafted" and contracts.is_author(contract, me),
        may_read=permissions.allows(me, "contract.read"),
        addressees=letters.addressees(contract),
        about=about(letter),
        file_url=url_for(".file", reference=contract.reference, letter_id=letter.id),
    )


def about(letter: Letter) -> list[tuple[str, Any]]:
    return [
        (_("Dated"), format_date(letter.dated_on, weekday=True)),
        (_("Last day in force"), format_date(letter.effective_on, weekday=True)),
        (_("To"), letter.contract.counterparty.name if letter.contract.counterparty else ""),
        (_("Signs for us"), f"{letter.signatory.person.name}, {letter.signatory.title}"),
        (_("Ground"), letter.reason if letter.kind == "termination" else ""),
    ]


@bp.get("/letters/<letter_id>/file")
@requires()
def file(reference: str, letter_id: str) -> Response:
    letter = letters.get(reference, letter_id, person())
    document = letter.executed or letter.document
    if document is None:
        raise NotFound
    return pdf_answer(documents.read(document), document.file_name)


@bp.post("/letters/<letter_id>/signature")
@requires(step_up=True)
def sign(reference: str, letter_id: str) -> Response:
    letter, form = letters.get(reference, letter_id, person()), Form(request.form)
    if not letters.is_signer(letter, person()):
        raise NotAllowed(_("Only %(name)s can sign this letter.", name=letter.signatory.person.name))
    try:
        letters.sign(
            letter, name=form.text("name"), is_meant=form.checked("meant"), by=actor(), now=utc_now()
        )
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return letter_page(letter, form, 422)
    return leave(url_for(".page", reference=reference, letter_id=letter_id))


@bp.post("/letters/<letter_id>/withdrawal")
@requires("contract.edit")
def withdraw(reference: str, letter_id: str) -> Response:
    contract = own(reference)
    letters.withdraw(letters.get(contract.reference, letter_id, person()), by=actor(), now=utc_now())
    return leave(url_for("contracts.page", reference=reference))
