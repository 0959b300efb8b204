"""Starting a contract: eight answers, a copy of another one, or somebody else's PDF."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Conflict, Invalid
from portal.i18n import NAMES, current
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Document
from portal.models.people import Person
from portal.pages import choices
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import (
    contract_search,
    contracts,
    entities,
    new_contracts,
    parties,
    revisions,
    templates,
    uploads,
)
from portal.services.contract_search import Filters
from portal.sla import words

bp = Blueprint("new_contracts", __name__)
# Where the fast lane goes on, besides the page of sentences.
THEN = ("", "steps", "file")
MOST_SIGNERS = 3


# -- Eight answers ------------------------------------------------------------------------------------


@bp.get("/contracts/new")
@requires("contract.create")
def page() -> Response:
    return fast_lane_page(Form(request.args, currency="EUR", length="12", side="supplier"))


def fast_lane_page(form: Form, status: int = 200) -> Response:
    versions = templates.offered()
    signatories = entities.signatories()
    named = {version.id: templates.name_of(version, current()) for version in versions}
    levels = {level: None for version in versions for level in version.levels}
    order = ["premium", "standard", "basic"]
    ordered = sorted(levels, key=lambda level: order.index(level) if level in order else len(order))
    return show(
        "contracts/new.html",
        "contracts/_new.html",
        status,
        form=form,
        templates=[(version.id, named[version.id]) for version in versions],
        levels=[(level, words.level(level)) for level in ordered],
        signatories=[
            (each.id, f"{each.person.name}, {each.title} ({each.entity.name})", entities.authority_line(each))
            for each in signatories
        ],
        parties=parties.names(),
        countries=[("", _("as our company")), *choices.countries()],
        currencies=choices.CURRENCIES,
        products=new_contracts.products(),
        then=form.value("then"),
    )


@bp.post("/contracts/new")
@requires("contract.create")
def create() -> Response:
    form = Form(request.form)
    answers = fast_lane_answers(form)
    if form.errors:
        return fast_lane_page(form, 422)
    try:
        contract = new_contracts.fast_lane(answers, owner=person(), by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return fast_lane_page(form, 422)
    then = form.choice("then", THEN, required=False)
    if then == "steps":
        return leave(url_for("draft_steps.page", reference=contract.reference, step="stakeholders"))
    if then == "file":
        return leave(url_for(".their_file", reference=contract.reference))
    return leave(url_for("drafts.page", reference=contract.reference))


def fast_lane_answers(form: Form) -> Any:
    fee, start = form.decimal("fee", required=True), form.date("start", required=True)
    length = form.integer("length", least=1, most=new_contracts.LONGEST_MONTHS, required=True)
    values: dict[str, Any] = {
        "template_version_id": form.text("template", required=True),
        "level": form.text("level", most=60, required=True),
        "side": form.choice("side", contracts.SIDES),
        "party": form.text("party", most=200, required=True),
        "party_country": form.choice("party_country", dict(choices.countries()), required=False),
        "signatory_id": form.text("signatory", most=40, required=True),
        "their_name": form.text("their_name", most=200, required=True),
        "their_email": form.email("their_email"),
        "their_title": form.text("their_title", most=200),
        "product": form.text("product", most=200, required=True),
        "currency": form.choice("currency", choices.CURRENCIES),
    }
    if form.errors or fee is None or start is None or length is None:
        return None
    return new_contracts.FastLane(**values, fee=fee, start_on=start, length_months=length)


# -- Copy ------------------------------------------------------------------------------------------------


@bp.get("/contracts/new/copy")
@requires("contract.create")
def choose_copy() -> Response:
    query = request.args.get("q", "")
    filters = Filters(words=query)
    found = contract_search.page(person(), filters, after=request.args.get("after", ""), size=20)
    more = url_for(".choose_copy", q=query, after=found.next) if found.next else ""
    return show("contracts/copy.html", contracts=found.contracts, q=query, more=more)


@bp.post("/contracts/<reference>/copy")
@requires("contract.create")
def copy(reference: str) -> Response:
    source = contracts.get(reference, person())
    if source.kind == "file" and not revisions.current(source).clauses:
        raise Conflict(_("This contract is an uploaded file; start with the file instead."))
    made = new_contracts.copy_from(source, owner=person(), by=actor(), now=utc_now())
    return leave(url_for("drafts.page", reference=made.reference))


# -- A PDF for signature ------------------------------------------------------------------------------------


@bp.get("/contracts/new/file")
@requires("contract.create")
def file_page() -> Response:
    return new_file_page(Form(None))


def new_file_page(form: Form, status: int = 200, upload: Document | None = None) -> Response:
    return show(
        "contracts/new_file.html",
        None,
        status,
        form=form,
        upload=upload,
        lost_signers=uploads.signers(upload) if upload else [],
        entities=[(each.id, each.name) for each in entities.in_use()],
        signatories=[
            ("", _("Nobody of ours signs")),
            *(
                (each.id, f"{each.person.name}, {each.title} ({each.entity.name})")
                for each in entities.signatories()
            ),
        ],
        parties=parties.names(),
        signers=range(1, MOST_SIGNERS + 1),
        languages=list(NAMES.items()),
    )


@bp.post("/contracts/new/file")
@requires("contract.create")
def create_from_file() -> Response:
    """File, people, then the page that sends."""
    form, upload = Form(request.form), None
    try:
        upload = taken_file(form)
    except Invalid as invalid:
        form.errors.update(invalid.errors)
    values = file_values(form)
    if form.errors or upload is None:
        return new_file_page(form, 422, upload)
    try:
        contract = new_contracts.from_file(**values, owner=person(), by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return new_file_page(form, 422, upload)
    uploads.attach(contract, upload, mode=revisions.NO_TERMS, by=actor(), now=utc_now())
    return leave(url_for("contracts.page", reference=contract.reference))


def taken_file(form: Form) -> Document | None:
    """The file of a form, made harmless: sent now, or kept from the try before.

    Refuses the form (beside `confirm`) until the loss of a signature in the file is confirmed.
    """
    sent = request.files.get("file")
    me: Person = person()
    if sent is not None and sent.filename:
        upload = uploads.take(sent.read(), sent.filename, person=me, now=utc_now())
    elif form.value("kept"):
        upload = uploads.kept(str(form.value("kept")), person=me, now=utc_now())
    else:
        form.refuse("file", _("Choose a PDF file."))
        return None
    form.values["kept"] = upload.id
    names = uploads.signers(upload)
    if names and not (form.checked("confirm") and form.value("confirm") == upload.id):
        form.refuse(
            "confirm",
            _("The file is already signed by %(names)s. That signature ends when we add a page to it.",
              names=", ".join(names)),
        )  # fmt: skip
    return upload


def file_values(form: Form) -> dict[str, Any]:
    """Title, companies and people of a PDF for signature."""
    people = []
    for number in range(1, MOST_SIGNERS + 1):
        name, email = str(form.value(f"name_{number}")), str(form.value(f"email_{number}"))
        if number > 1 and not name.strip() and not email.strip():
            continue
        people.append(
            {
                "name": form.text(f"name_{number}", most=200, required=True),
                "email": form.email(f"email_{number}"),
                "title": form.text(f"title_{number}", most=200),
            }
        )
    return {
        "title": form.text("title", most=200, required=True),
        "entity_id": form.text("entity", most=40),
        "signatory_id": form.text("signatory", most=40),
        "party": form.text("party", most=200, required=True),
        "language": form.choice("language", NAMES),
        "signers": people,
    }


# -- Their PDF instead of our text --------------------------------------------------------------------------


@bp.get("/contracts/<reference>/file")
@requires("contract.edit")
def their_file(reference: str) -> Response:
    contract = contracts.get(reference, person())
    contracts.demand_edit(contract, person())
    mode = revisions.terms_mode(contract)
    return their_file_page(contract, Form(None, terms=mode))


def their_file_page(
    contract: Contract, form: Form, status: int = 200, upload: Document | None = None
) -> Response:
    present = revisions.uploads(contract)
    return show(
        "contracts/file.html",
        None,
        status,
        contract=contract,
        form=form,
        upload=upload,
        present=present[-1] if present else None,
        removed=uploads.removed(present[-1]) if present else [],
        lost_signers=uploads.signers(upload) if upload else [],
        has_text=bool(revisions.current(contract).clauses),
    )


@bp.post("/contracts/<reference>/file")
@requires("contract.edit")
def use_their_file(reference: str) -> Response:
    contract, form, upload = contracts.get(reference, person()), Form(request.form), None
    contracts.demand_edit(contract, person())
    mode = form.choice("terms", (*uploads.MODES, revisions.NO_TERMS))
    try:
        upload = taken_file(form)
    except Invalid as invalid:
        form.errors.update(invalid.errors)
    if form.errors or upload is None:
        return their_file_page(contract, form, 422, upload)
    uploads.attach(contract, upload, mode=mode, by=actor(), now=utc_now())
    return leave(url_for(".their_file", reference=reference))


@bp.post("/contracts/<reference>/file/removal")
@requires("contract.edit")
def use_our_text(reference: str) -> Response:
    contract = contracts.get(reference, person())
    contracts.demand_edit(contract, person())
    uploads.detach(contract, by=actor(), now=utc_now())
    return leave(url_for("drafts.page", reference=reference))
