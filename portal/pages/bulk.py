"""Bulk send: a file of people, checked whole, then a contract and a signing request for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request, stream_with_context, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotAllowed, NotFound, PortalError
from portal.i18n import NAMES, current, lazy
from portal.i18n import gettext as _
from portal.models.bulk import BulkBatch, BulkRow
from portal.models.contracts import Document
from portal.models.parties import LegalEntity, Signatory
from portal.models.templates import TemplateVersion
from portal.pages import choices, provider_choice
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, refuse, show, stay
from portal.pages.sending import ENVELOPE_WORDS, MOST_MESSAGE
from portal.services import (
    bulk,
    bulk_csv,
    connections,
    contracts,
    documents,
    entities,
    new_contracts,
    templates,
    uploads,
)
from portal.sla import words
from providers import registry

bp = Blueprint("bulk", __name__, url_prefix="/bulk")
NEW, PAGE, STATE, SEND = "bulk/new.html", "bulk/show.html", "bulk/_state.html", "bulk/send.html"
CSV = "text/csv; charset=utf-8"
DEFAULTS = ("level", "product", "fee", "currency", "start", "length")

BATCH_WORDS = {
    "checking": (lazy("Being checked"), "wait"),
    "refused": (lazy("Cannot be read"), "bad"),
    "checked": (lazy("Checked, not sent yet"), "active"),
    "running": (lazy("Being sent"), "wait"),
    "paused": (lazy("Paused"), "wait"),
    "done": (lazy("All rows done"), "good"),
    "cancelled": (lazy("Cancelled"), "bad"),
}
ROW_WORDS = {
    "right": (lazy("Ready to be sent"), "none"),
    "wrong": (lazy("To be mended"), "bad"),
    "left_out": (lazy("Left out"), "none"),
    "waiting": (lazy("Waits its turn"), "wait"),
    "ready": (lazy("Ready for the provider’s call"), "wait"),
    "failed": (lazy("Not sent"), "bad"),
    "cancelled": (lazy("Cancelled"), "none"),
}
FILTERS = {
    "": lazy("All rows"),
    "wrong": lazy("To be mended"),
    "waiting": lazy("Waiting"),
    "sent": lazy("Gone out"),
    "failed": lazy("Not sent"),
    "cancelled": lazy("Cancelled"),
}


# --- All of them -----------------------------------------------------------------------------------


@bp.get("")
@requires("contract.send")
def index() -> Response:
    rows = [(batch, *BATCH_WORDS[batch.state]) for batch in bulk.newest()]
    return show("bulk/index.html", rows=rows)


@bp.get("/columns.csv")
@requires("contract.send")
def columns() -> Response:
    """An empty file with the right columns and one row to be replaced, in the reader's language."""
    kind = "document" if request.args.get("kind") == "document" else "template"
    return csv_file(iter([bulk_csv.example(kind)]), _("bulk-send.csv"))


def csv_file(content: Iterator[bytes], name: str) -> Response:
    answer = Response(stream_with_context(content), content_type=CSV)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


# --- A new one -------------------------------------------------------------------------------------


@bp.get("/new")
@requires("contract.send")
def new() -> Response:
    return new_page("template", Form(None, **like("template")))


@bp.get("/new/document")
@requires("contract.send")
def new_document() -> Response:
    return new_page("document", Form(None, **like("document")))


def like(kind: str) -> dict[str, Any]:
    """The answers of an earlier batch whose file was mended, or the usual ones."""
    usual: dict[str, Any] = {
        "side": "supplier", "life_days": bulk.USUAL_DAYS, "pace": bulk.USUAL_PACE, "language": current(),
        "connection": provider_choice.USUAL if kind == "template" else provider_choice.preselected(),
    }  # fmt: skip
    if not request.args.get("like"):
        return usual
    batch = bulk.get(request.args["like"])
    return usual | {
        "template": batch.template_version.id if batch.template_version else "",
        "signatory": batch.signatory.id if batch.signatory else "",
        "entity": batch.entity.id,
        "title": batch.title,
        "side": batch.side,
        "connection": batch.connection.id if batch.connection else provider_choice.BUILT_IN,
        "message": batch.message,
        "life_days": batch.life_days,
        "pace": batch.pace_per_minute,
        "language": batch.language,
        **batch.defaults,
    }


def new_page(kind: str, form: Form, status: int = 200, upload: Document | None = None) -> Response:
    versions = templates.offered()
    levels = dict.fromkeys(level for version in versions for level in version.levels)
    return show(
        NEW,
        None,
        status,
        kind=kind,
        form=form,
        upload=upload,
        lost_signers=uploads.signers(upload) if upload else [],
        columns=bulk_csv.COLUMNS[kind],
        templates=[(version.id, templates.name_of(version, current())) for version in versions],
        levels=[("", _("as each row says")), *((level, words.level(level)) for level in levels)],
        currencies=[("", _("as each row says")), *choices.CURRENCIES],
        signatories=[
            (each.id, f"{each.person.name}, {each.title} ({each.entity.name})", entities.authority_line(each))
            for each in entities.signatories()
        ],
        entities=[(each.id, each.name) for each in entities.in_use()],
        languages=list(NAMES.items()),
        products=new_contracts.products(),
        accounts=accounts(kind),
        bulk_accounts=[
            each.name for each in connections.usable() if registry.capabilities(each.provider).bulk
        ],
        post_url=url_for(".create" if kind == "template" else ".create_document"),
    )


def accounts(kind: str) -> list[tuple[str, str]]:
    """What requests may go through; one alone is no choice."""
    every = provider_choice.everything()
    if kind == "template" and len(every) > 1:
        every.insert(0, (provider_choice.USUAL, _("What the template says, else what is usual here")))
    return every


@bp.post("/new")
@requires("contract.send")
def create() -> Response:
    form = Form(request.form)
    version = templates.published(form.text("template", required=True))
    signatory = Signatory.get_or_none(Signatory.id == form.text("signatory", most=40, required=True))
    if version is None:
        form.refuse("template", _("Choose one of the templates."))
    if signatory is None:
        form.refuse("signatory", _("Choose who signs for us."))
    common = common_answers(form, version) | {
        "side": form.choice("side", contracts.SIDES), "defaults": defaults(form),
    }  # fmt: skip
    if form.errors or version is None or signatory is None:
        return new_page("template", form, 422)
    answers = bulk.Answers(
        entity=signatory.entity, signatory=signatory, version=version, language=current(),
        title=templates.name_of(version, current()), **common,
    )  # fmt: skip
    return made("template", form, answers)


@bp.post("/new/document")
@requires("contract.send")
def create_document() -> Response:
    form = Form(request.form)
    upload = None
    try:
        upload = taken_document(form)
    except Invalid as invalid:
        form.errors.update({("document" if k == "file" else k): v for k, v in invalid.errors.items()})
    entity = LegalEntity.get_or_none(LegalEntity.id == form.text("entity", most=40, required=True))
    if entity is None:
        form.refuse("entity", _("Choose which of our companies it is for."))
    title, language = form.text("title", most=200, required=True), form.choice("language", NAMES)
    common = common_answers(form)
    if form.errors or upload is None or entity is None:
        return new_page("document", form, 422, upload)
    answers = bulk.Answers(
        entity=entity, title=title, document=upload, language=language,
        is_native=form.checked("is_native"), **common,
    )  # fmt: skip
    return made("document", form, answers)


def taken_document(form: Form) -> Document | None:
    """The PDF of the form, made harmless: sent now, or kept from the try before."""
    sent = request.files.get("document")
    if sent is not None and sent.filename:
        upload = uploads.take(sent.read(), sent.filename, person=person(), now=utc_now())
    elif form.value("kept"):
        upload = uploads.kept(str(form.value("kept")), person=person(), now=utc_now())
    else:
        form.refuse("document", _("Choose a PDF file."))
        return None
    form.values["kept"] = upload.id
    names = uploads.signers(upload)
    if names and form.value("confirm") != upload.id:
        form.refuse(
            "confirm",
            _("The file is already signed by %(names)s. That signature ends when we add a page to it.",
              names=", ".join(names)),
        )  # fmt: skip
    return upload


def common_answers(form: Form, version: TemplateVersion | None = None) -> dict[str, Any]:
    return {
        "connection": provider_choice.chosen(form, version),
        "message": form.text("message", most=MOST_MESSAGE),
        "life_days": form.integer("life_days", least=1, most=bulk.MOST_DAYS, required=True) or 0,
        "pace_per_minute": form.integer("pace", least=1, most=bulk.FASTEST, required=True) or 0,
    }


def defaults(form: Form) -> dict[str, str]:
    """What every row says that leaves the column empty, checked once here."""
    fee = form.decimal("fee")
    start = form.date("start")
    length = form.integer("length", least=1, most=new_contracts.LONGEST_MONTHS)
    found = {
        "level": form.text("level", most=60),
        "product": form.text("product", most=200),
        "fee": "" if fee is None else f"{fee:.2f}",
        "currency": form.choice("currency", choices.CURRENCIES, required=False),
        "start": start.isoformat() if start else "",
        "length": str(length or ""),
    }
    return {key: value for key, value in found.items() if value}


def made(kind: str, form: Form, answers: bulk.Answers) -> Response:
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        form.refuse("file", _("Choose a CSV file."))
        return new_page(kind, form, 422, answers.document)
    try:
        batch = bulk.create(answers, sent.read(), sent.filename, owner=person(), by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return new_page(kind, form, 422, answers.document)
    return leave(url_for(".page", batch_id=batch.id))


# --- One of them -------------------------------------------------------------------------------------


@bp.get("/<batch_id>")
@requires("contract.send")
def page(batch_id: str) -> Response:
    return show(PAGE, STATE, **context(bulk.get(batch_id)))


def context(batch: BulkBatch, said: str = "") -> dict[str, Any]:
    """All the page shows; `said` is what an act just did."""
    now, tally = utc_now(), bulk.counts(batch)
    only = request.args.get("only", "") if request.args.get("only", "") in FILTERS else ""
    if batch.state == "checked" and "only" not in request.args and tally.wrong:
        only = "wrong"
    after = request.args.get("after", 0, type=int)
    found = bulk.rows(batch, only=only, after=max(0, min(after, 2**31)))
    word, tone = BATCH_WORDS[batch.state]
    return {
        "batch": batch,
        "word": word,
        "tone": tone,
        "tally": tally,
        "totals": bulk.totals(batch) if batch.kind == "template" else [],
        "rows": [row_words(batch, row) for row in found[: bulk.PAGE_SIZE]],
        "filters": filters(batch, tally, only),
        "next_url": page_url(batch, only, found[bulk.PAGE_SIZE - 1].number)
        if len(found) > bulk.PAGE_SIZE
        else "",
        "here_url": page_url(batch, only if "only" in request.args else None, after),
        "same_file": bulk.repeated(batch, now) if batch.state == "checked" else None,
        "may_act": bulk.may_act(batch, person()),
        "is_moving": batch.state in bulk.MOVING,
        "said": said,
        "now": now,
    }


def page_url(batch: BulkBatch, only: str | None, after: int = 0) -> str:
    more = {"only": only} if only is not None else {}
    return url_for(".page", batch_id=batch.id, **more, **({"after": after} if after else {}))


def filters(batch: BulkBatch, tally: bulk.Counts, only: str) -> list[tuple[str, int, str, bool]]:
    """(name, how many, address, chosen) of what there is."""
    numbers = {
        "": tally.total + tally.wrong + tally.left_out,
        "wrong": tally.wrong + tally.left_out,
        "waiting": tally.waiting,
        "sent": tally.sent,
        "failed": tally.failed,
        "cancelled": tally.cancelled,
    }
    return [
        (str(FILTERS[key]), number, page_url(batch, key), key == only)
        for key, number in numbers.items()
        if number or key == only
    ]


def row_words(batch: BulkBatch, row: BulkRow) -> dict[str, Any]:
    if row.state == "sent" and not row.is_unsent:
        word, tone = ENVELOPE_WORDS[row.envelope.status]
    else:
        word, tone = ROW_WORDS["failed" if row.state == "sent" else row.state]
    return {
        "row": row,
        "word": word,
        "tone": tone,
        "why": bulk.why_not(row) or (row.problem if row.state == "waiting" else ""),
        "reasons": [bulk.said(batch, key, reason) for key, reason in row.errors],
        "may_retry": bool(bulk.why_not(row)) and batch.state in ("running", "paused", "done"),
    }


@bp.get("/<batch_id>/document.pdf")
@requires("contract.send")
def file(batch_id: str) -> Response:
    """What everyone is shown, where it is the same PDF."""
    batch = bulk.get(batch_id)
    if batch.shown is None:
        raise NotFound
    answer = Response(documents.read(batch.shown), content_type="application/pdf")
    answer.headers["Content-Disposition"] = f'inline; filename="{batch.shown.file_name}"'
    return answer


@bp.get("/<batch_id>/wrong.csv")
@requires("contract.send")
def wrong(batch_id: str) -> Response:
    return csv_file(bulk.wrong_rows(bulk.get(batch_id)), _("rows-to-mend.csv"))


@bp.get("/<batch_id>/results.csv")
@requires("contract.send")
def results(batch_id: str) -> Response:
    """Every row with what became of it."""
    batch = bulk.get(batch_id)

    def table() -> Iterator[list[Any]]:
        yield [
            bulk_csv.ROW, _("Company"), _("Signer"), _("Mail address"), _("Contract"), _("State"),
            bulk_csv.REASON,
        ]  # fmt: skip
        for row in bulk.every(batch):
            said = row_words(batch, row)
            reference = row.contract.reference if row.contract else ""
            why = said["why"] or "; ".join(said["reasons"])
            yield [row.number, row.company, row.name, row.email, reference, said["word"], why]

    return csv_file(bulk_csv.written(table()), _("bulk-send-results.csv"))


# --- Acts --------------------------------------------------------------------------------------------


@bp.get("/<batch_id>/send")
@requires("contract.send", step_up=True)
def before_sending(batch_id: str) -> Response:
    """The last look: how many, worth what, through which account, how fast."""
    batch = mine(batch_id)
    if batch.state != "checked":
        return leave(url_for(".page", batch_id=batch.id))
    return show(SEND, form=Form(None), **context(batch))


@bp.post("/<batch_id>/send")
@requires("contract.send", step_up=True)
def send(batch_id: str) -> Response:
    batch, form = mine(batch_id), Form(request.form)
    try:
        bulk.start(batch, leave_out=form.checked("leave_out"), by=actor(), now=utc_now())
    except PortalError as error:
        return refuse(SEND, form, error, **context(bulk.get(batch_id)))
    return leave(url_for(".page", batch_id=batch_id))


@bp.post("/<batch_id>/pause")
@requires("contract.send")
def pause(batch_id: str) -> Response:
    bulk.pause(mine(batch_id), by=actor(), now=utc_now())
    return done(batch_id, _("Paused: no further row is begun."))


@bp.post("/<batch_id>/resumption")
@requires("contract.send")
def resume(batch_id: str) -> Response:
    bulk.resume(mine(batch_id), by=actor(), now=utc_now())
    return done(batch_id, _("It goes on."))


@bp.post("/<batch_id>/cancellation")
@requires("contract.send")
def cancel(batch_id: str) -> Response:
    bulk.cancel(mine(batch_id), by=actor(), now=utc_now())
    return done(batch_id, _("The rest is cancelled. What was sent goes on."))


@bp.post("/<batch_id>/pace")
@requires("contract.send")
def change_pace(batch_id: str) -> Response:
    batch, form = mine(batch_id), Form(request.form)
    pace = form.integer("pace", least=1, most=bulk.FASTEST, required=True)
    if form.errors or pace is None:
        return show(PAGE, STATE, 422, **context(batch), form=form)
    bulk.change_pace(batch, pace, by=actor(), now=utc_now())
    return done(batch_id, _("The pace is changed."))


@bp.post("/<batch_id>/retry")
@requires("contract.send")
def retry_all(batch_id: str) -> Response:
    count = bulk.retry(mine(batch_id), by=actor(), now=utc_now())
    return done(batch_id, tried_again(count))


@bp.post("/<batch_id>/rows/<int:number>/retry")
@requires("contract.send")
def retry(batch_id: str, number: int) -> Response:
    count = bulk.retry(mine(batch_id), number, by=actor(), now=utc_now())
    return done(batch_id, tried_again(count))


@bp.post("/<batch_id>/removal")
@requires("contract.send")
def remove(batch_id: str) -> Response:
    bulk.remove(mine(batch_id), by=actor(), now=utc_now())
    return leave(url_for(".index"))


def tried_again(count: int) -> str:
    return _("It is tried again.") if count else _("Nothing was left to try again.")


def done(batch_id: str, said: str) -> Response:
    return stay(url_for(".page", batch_id=batch_id), STATE, **context(bulk.get(batch_id), said))


def mine(batch_id: str) -> BulkBatch:
    """A batch this person may act on. Raises NotAllowed."""
    batch = bulk.get(batch_id)
    if not bulk.may_act(batch, person()):
        raise NotAllowed(_("Only its owner may do this: %(name)s.", name=batch.owner.name))
    return batch
