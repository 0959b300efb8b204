"""Contracts signed elsewhere: one by one with its PDF, or many by a CSV and a ZIP."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, PortalError
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.existing import ExistingBatch, ExistingRow
from portal.models.people import Person
from portal.pages import choices
from portal.pages.bulk import csv_file
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show, stay
from portal.services import (
    contracts,
    entities,
    existing,
    existing_batches,
    existing_csv,
    existing_zip,
    lives,
    new_contracts,
    parties,
    permissions,
)
from portal.services.contract_states import ELSEWHERE, takes_terms

bp = Blueprint("existing", __name__)
ONE, FILE, PAGE, STATE = (
    "existing/one.html",
    "existing/file.html",
    "existing/show.html",
    "existing/_state.html",
)
BATCH_WORDS = {
    "checking": (lazy("Being checked"), "wait"),
    "refused": (lazy("Cannot be read"), "bad"),
    "checked": (lazy("Checked, nothing registered yet"), "active"),
    "running": (lazy("Being registered"), "wait"),
    "paused": (lazy("Paused"), "wait"),
    "done": (lazy("All rows done"), "good"),
    "cancelled": (lazy("Cancelled"), "bad"),
}
ROW_WORDS = {
    "right": (lazy("Right"), "good"),
    "wrong": (lazy("To be mended"), "bad"),
    "left_out": (lazy("Left out"), "none"),
    "waiting": (lazy("Waits its turn"), "wait"),
    "made": (lazy("Registered"), "good"),
    "failed": (lazy("Not registered"), "bad"),
    "cancelled": (lazy("Cancelled"), "none"),
}


# --- One ---------------------------------------------------------------------------------------------


@bp.get("/contracts/existing")
@requires("contract.create")
def one() -> Response:
    usual = {"side": "supplier", "renewal": "tacit", "notice_unit": "months", "fee_period": "month",
             "currency": "EUR", "owner": person().id}  # fmt: skip
    return one_page(Form(None, **usual))


def one_page(form: Form, status: int = 200) -> Response:
    return show(
        ONE,
        None,
        status,
        form=form,
        entities=[(each.id, each.name) for each in entities.in_use()],
        owners=[(each.id, each.name) for each in permissions.who_may("contract.edit")],
        parties=parties.names(),
        currencies=choices.CURRENCIES,
    )


@bp.post("/contracts/existing")
@requires("contract.create")
def register() -> Response:
    form = Form(request.form)
    said = read(form)
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        form.refuse("file", _("Choose the signed PDF."))
    if form.errors or said is None or sent is None:
        return one_page(form, 422)
    try:
        made = existing.register(said, sent.read(), sent.filename or "", by=actor(), now=utc_now())
    except Invalid as invalid:
        for name, reason in invalid.errors.items():
            form.refuse(name, reason)
        return one_page(form, 422)
    return leave(url_for("contracts.page", reference=made.reference))


def read(form: Form) -> existing.Existing | None:
    """What the form says; None where something is missing, with the reason beside it."""
    months = {"least": 1, "most": new_contracts.LONGEST_MONTHS}
    ours = entities.in_use()
    chosen = str(form.value("entity")) or (ours[0].id if len(ours) == 1 else "")
    entity = next((each for each in ours if each.id == chosen), None)
    owner = Person.get_or_none(
        Person.id == form.choice("owner", [each.id for each in permissions.who_may("contract.edit")])
    )
    if entity is None:
        form.refuse("entity", _("Choose which of our companies it is for."))
    fee = form.decimal("fee")
    values: dict[str, Any] = {
        "title": form.text("title", most=200, required=True),
        "side": form.choice("side", contracts.SIDES),
        "party": form.text("party", most=200, required=True),
        "signed_on": form.date("signed_on", required=True) or date.min,
        "start_on": form.date("start_on", required=True) or date.min,
        "end_on": form.date("end_on"),
        "length_months": form.integer("length_months", **months),
        "renewal": form.choice("renewal", existing.RENEWALS),
        "renewal_months": form.integer("renewal_months", **months),
        "notice_value": form.integer("notice", least=0, most=3650),
        "notice_unit": form.choice("notice_unit", ("days", "months")),
        "fee": fee,
        "fee_period": form.choice("fee_period", ("month", "quarter", "year")),
        "currency": form.choice("currency", choices.CURRENCIES),
        "level": existing_csv.level_key(form),
        "product": form.text("product", most=200),
    }
    if form.errors or entity is None or owner is None:
        return None
    return existing.Existing(entity=entity, owner=owner, **values)


@bp.post("/contracts/<reference>/terms-confirmation")
@requires("contract.edit")
def confirm(reference: str) -> Response:
    """A second pair of eyes says that the typed terms are those of the signed text."""
    contract = contracts.get(reference, person())
    existing.confirm(contract, by=actor(), now=utc_now())
    return leave(url_for("contracts.page", reference=reference))


# --- Many --------------------------------------------------------------------------------------------


@bp.get("/existing")
@requires("contract.create")
def file() -> Response:
    return file_page(Form(None))


def file_page(form: Form, status: int = 200) -> Response:
    return show(
        FILE,
        None,
        status,
        form=form,
        columns=existing_csv.COLUMNS,
        batches=[(batch, *BATCH_WORDS[batch.state]) for batch in existing_batches.newest()],
    )


@bp.get("/existing/columns.csv")
@requires("contract.create")
def columns() -> Response:
    """An empty file with the right columns and one row to be replaced, in the reader's language."""
    return csv_file(iter([existing_csv.template()]), _("signed-contracts.csv"))


@bp.post("/existing")
@requires("contract.create")
def upload() -> Response:
    form = Form(request.form)
    sent, pack = request.files.get("file"), request.files.get("pack")
    if sent is None or not sent.filename:
        form.refuse("file", _("Choose a CSV file."))
    if pack is None or not pack.filename:
        form.refuse("pack", _("Choose the ZIP with the PDFs."))
    if form.errors or sent is None or pack is None:
        return file_page(form, 422)
    try:
        batch = existing_batches.create(
            sent.read(existing_batches.LARGEST_CSV + 1), sent.filename or "",
            pack.read(existing_zip.LARGEST_ZIP + 1), pack.filename or "",
            owner=person(), by=actor(), now=utc_now(),
        )  # fmt: skip
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return file_page(form, 422)
    return leave(url_for(".page", existing_id=batch.id))


@bp.get("/existing/<existing_id>")
@requires("contract.create")
def page(existing_id: str) -> Response:
    return show(PAGE, STATE, **context(existing_batches.get(existing_id)))


def context(batch: ExistingBatch, said: str = "") -> dict[str, Any]:
    tally = existing_batches.counts(batch)
    only = request.args.get("only", "")
    only = only if only in ROW_WORDS else ""
    if batch.state == "checked" and "only" not in request.args and tally.wrong:
        only = "wrong"
    after = max(0, min(request.args.get("after", 0, type=int), 2**31))
    found = existing_batches.rows(batch, only=only, after=after)
    more = found[existing_batches.PAGE_SIZE :]
    shown = found[: existing_batches.PAGE_SIZE]
    word, tone = BATCH_WORDS[batch.state]
    return {
        "batch": batch,
        "word": word,
        "tone": tone,
        "tally": tally,
        "rows": [row_words(row) for row in shown],
        "filters": filters(batch, tally, only),
        "next_url": url_for(".page", existing_id=batch.id, only=only, after=shown[-1].number) if more else "",
        "here_url": url_for(".page", existing_id=batch.id, **({"only": only} if only else {})),
        "is_moving": batch.state in existing_batches.MOVING,
        "may_act": existing_batches.may_act(batch, person()),
        "said": said,
    }


def row_words(row: ExistingRow) -> dict[str, Any]:
    word, tone = ROW_WORDS[row.state]
    labels = {column.key: str(column.label) for column in existing_csv.COLUMNS}
    reasons = [f"{labels[name]}: {reason}" if name in labels else reason for name, reason in row.errors]
    return {
        "row": row,
        "word": word,
        "tone": tone,
        "reasons": reasons if row.state in ("wrong", "left_out") else [row.problem] if row.problem else [],
        "url": url_for("contracts.page", reference=row.contract.reference) if row.contract else "",
        "reference": row.contract.reference if row.contract else "",
    }


def filters(
    batch: ExistingBatch, tally: existing_batches.Counts, only: str
) -> list[tuple[Any, int, str, bool]]:
    """Name, how many, address and whether it is chosen, of each kind of rows there is."""
    found = [(_("All rows"), batch.rows_read, "", only == "")]
    for state, (word, _tone) in ROW_WORDS.items():
        count = getattr(tally, state)
        if count:
            found.append((word, count, state, only == state))
    return [
        (word, count, url_for(".page", existing_id=batch.id, only=state), chosen)
        for word, count, state, chosen in found
    ]


@bp.get("/existing/<existing_id>/wrong.csv")
@requires("contract.create")
def wrong(existing_id: str) -> Response:
    return csv_file(iter(existing_batches.wrong_rows(existing_batches.get(existing_id))), _("wrong-rows.csv"))


@bp.post("/existing/<existing_id>/start")
@requires("contract.create")
def start(existing_id: str) -> Response:
    return act(existing_id, existing_batches.start, _("The contracts are being registered."))


@bp.post("/existing/<existing_id>/pause")
@requires("contract.create")
def pause(existing_id: str) -> Response:
    return act(existing_id, existing_batches.pause, _("It stops behind the row under way."))


@bp.post("/existing/<existing_id>/resume")
@requires("contract.create")
def resume(existing_id: str) -> Response:
    return act(existing_id, existing_batches.resume, _("It goes on."))


@bp.post("/existing/<existing_id>/cancel")
@requires("contract.create")
def cancel(existing_id: str) -> Response:
    return act(existing_id, existing_batches.cancel, _("What was not registered yet is left out."))


def act(existing_id: str, move: Any, said: str) -> Response:
    batch = existing_batches.get(existing_id)
    existing_batches.demand(batch, person())
    try:
        move(batch, by=actor(), now=utc_now())
    except PortalError as error:
        return show(PAGE, STATE, error.status, **context(existing_batches.get(existing_id), error.message))
    url = url_for(".page", existing_id=existing_id)
    return stay(url, STATE, **context(existing_batches.get(existing_id), said))


def has_no_terms(contract: Any) -> bool:
    """Whether it was signed elsewhere and nobody has typed its terms yet."""
    life = lives.of(contract) if ELSEWHERE in contract.flags else None
    return life is not None and not life.transcribed_by


# --- On the page of a contract --------------------------------------------------------------------------


def on_contract(contract: Any) -> dict[str, Any]:
    """What the page of a contract says of being signed elsewhere."""
    life = lives.of(contract) if ELSEWHERE in contract.flags else None
    if life is None:
        return {}
    me = person()
    waits = bool(life.transcribed_by) and not life.confirmed_by and takes_terms(contract)
    return {
        "label": existing.label(contract),
        "is_typed": bool(life.transcribed_by),
        "giver": existing.name_of(life.given_by),
        "given_on": lives.today(life, life.given_at) if life.given_at else None,
        "signed_on": life.signed_on,
        "may_type": contracts.may_type(contract, me),
        "may_confirm": waits and life.transcribed_by != me.id and permissions.allows(me, "contract.edit"),
        "waits": waits,
    }
