"""States of a contract's text: changed while a draft, then frozen as canonical bytes and a PDF.

Revision 0 is what the template gave, kept so that differences can be shown; it is never printed.
A frozen revision is never changed: whoever opens the text again works on the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import failpoints
from portal.documents import children, intake, markdown, render
from portal.documents.render import Rendered
from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.base import transaction
from portal.models.contracts import Contract, Document, Revision
from portal.models.people import Person
from portal.services import agreements, annexes, audit, contract_states, documents, layouts
from portal.services.contract_states import Attempt
from portal.sla import canonical, validate, variables
from portal.sla.validate import Fault

SCHEMA = "countersign-revision/1"
# How the terms of an uploaded contract stand beside it.
SCHEDULE, READING, NO_TERMS = layouts.SCHEDULE, "terms_reading", "no_terms"


# -- Reading ------------------------------------------------------------------------------------


def current(contract: Contract) -> Revision:
    """The newest state of the text, frozen or not."""
    return agreements.latest(contract)


def versions(contract: Contract) -> list[Revision]:
    """Every state of the text, newest first, without its bytes."""
    columns = (
        Revision.id,
        Revision.number,
        Revision.created_at,
        Revision.frozen_at,
        Revision.shared_at,
        Revision.sha256,
        Revision.author,
    )
    query = Revision.select(*columns, Person).left_outer_join(Person, on=(Revision.author == Person.id))
    query = query.where((Revision.contract == contract) & (Revision.number > 0))
    return list(query.order_by(Revision.number.desc()))


def base(contract: Contract) -> Revision | None:
    """What the template gave, with which the text is compared; None for an uploaded file."""
    found: Revision | None = Revision.get_or_none((Revision.contract == contract) & (Revision.number == 0))
    return found


def shown_document(revision: Revision) -> Document | None:
    """The PDF that everyone is shown, once the revision is frozen."""
    found: Document | None = Document.get_or_none(
        (Document.revision == revision) & (Document.kind == "shown")
    )
    return found


def uploads(contract: Contract) -> list[Document]:
    """The files somebody else wrote that are part of this contract, oldest first."""
    return documents.of(contract, "upload")


def terms_mode(contract: Contract) -> str:
    """SCHEDULE, READING or NO_TERMS for a contract made from a file; SCHEDULE for our own text."""
    if contract.kind != "file":
        return SCHEDULE
    return next((flag for flag in (SCHEDULE, READING) if flag in contract.flags), NO_TERMS)


# -- Checking -----------------------------------------------------------------------------------


def faults(contract: Contract, revision: Revision, language: str = "en") -> list[Fault]:
    """All that keeps the text from being sent, said beside its field; empty when it is complete."""
    found: list[Fault] = []
    if terms_mode(contract) != NO_TERMS:
        found += validate.check(revision.terms, language=language, languages=contract.languages)
        found += annexes.faults(contract, revision.terms)
    if contract.kind == "file" and not uploads(contract):
        found.append(Fault("file", "required", _("Choose the PDF that is to be signed.")))
    if contract.counterparty is None and contract.kind != "file":
        found.append(Fault("party", "required", _("Say who the other party is.")))
    return found + clause_faults(contract, revision, found)


def clause_faults(contract: Contract, revision: Revision, before: list[Fault]) -> list[Fault]:
    """Clauses without words in a language, or that name a variable or clause that is not there."""
    if contract.kind == "file":
        return []
    found = []
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(revision.clauses)}
    names = variables.names()
    for clause in revision.clauses:
        for language in contract.languages:
            path = f"clauses.{clause['key']}.{language}"
            text = clause["text"].get(language, "")
            if not text.strip():
                found.append(Fault(path, "required", _("The clause has no words in this language.")))
                continue
            reason = wrong_mark(text, names, numbers)
            if reason:
                found.append(Fault(path, "mark", reason))
    return found


def wrong_mark(text: str, names: Any, numbers: dict[str, str]) -> str:
    """The sentence about the first variable or reference of a clause that means nothing; "" if none."""
    try:
        markdown.blocks(text, dict.fromkeys(names, ""), numbers)
    except markdown.UnknownVariable as error:
        return _("There is no variable called {{%(name)s}}.", name=error.name)
    except markdown.UnknownReference as error:
        return _("There is no clause called [[%(key)s]].", key=error.key)
    except markdown.TooLong:
        return _("This clause is too long.")
    return ""


@contract_states.guard("terms_complete")
def terms_complete(contract: Contract, attempt: Attempt) -> str:
    count = len(faults(contract, current(contract)))
    if not count:
        return ""
    return ngettext(
        "One thing must be corrected before this contract can be sent.",
        "%(num)s things must be corrected before this contract can be sent.",
        count,
    )


# -- Freezing -----------------------------------------------------------------------------------


def draft(contract: Contract, *, author: Person | None, now: datetime) -> Revision:
    """The revision that may be changed, inside the caller's transaction: the current one, or the next
    where that is frozen or the other side has seen it."""
    latest = current(contract)
    if latest.frozen_at is None and latest.shared_at is None:
        return latest
    made: Revision = Revision.add(
        contract=contract,
        number=latest.number + 1,
        clauses=latest.clauses,
        terms=latest.terms,
        author=author,
        created_at=now,
    )
    return made


def content(contract: Contract, revision: Revision, sha256s: list[str]) -> dict[str, Any]:
    """What is frozen, approved by hash and later run, as plain JSON."""
    version = contract.template_version
    mode = terms_mode(contract)
    return {
        "schema": SCHEMA,
        "reference": contract.reference,
        "revision": revision.number,
        "title": contract.title,
        "side": contract.side,
        "parties": [plain_party(party) for party in layouts.parties(contract)],
        "languages": list(contract.languages),
        "prevailing": contract.prevailing_language,
        "value": {"amount": f"{contract.value_amount:.2f}", "currency": contract.currency},
        "terms": revision.terms if mode != NO_TERMS else None,
        "terms_are": mode,
        "clauses": revision.clauses if contract.kind != "file" else [],
        "documents": sha256s,
        "template": {"key": version.template.key, "version": version.number, "sha256": version.sha256}
        if version
        else None,
        **annexes.frozen(contract),
    }


def plain_party(party: Any) -> dict[str, Any]:
    return {name: party[name] for name in ("name", "form", "registration", "address", "role_label")}


@dataclass(frozen=True)
class Prepared:
    """Everything of a frozen revision that lies outside the database."""

    rendered: Rendered
    stored: documents.Stored
    pages: list[documents.StoredPage]


def freeze(
    contract: Contract, *, by: audit.Actor, now: datetime, prepared: Prepared | None = None
) -> Revision:
    """Fix the text: canonical bytes and their hash, the PDF everyone is shown, its pages.

    `prepared` is a PDF made before, where many contracts are one and the same file.

    A revision that is frozen already for the same people is given back as it is. The PDF is made
    before the transaction. Raises Conflict when the text has faults or changed meanwhile, Invalid
    when it cannot be printed, Unavailable when no child had time.
    """
    latest = current(contract)
    if latest.frozen_at is not None:
        shown = shown_document(latest)
        if shown is not None and placed_keys(shown) == signing_keys(contract):
            return latest
        with transaction():
            latest = draft(contract, author=None, now=now)
    missing = terms_complete(contract, Attempt(now))
    if missing:
        raise Conflict(missing)
    prepared = prepared or prepare(contract, latest, now=now)
    failpoints.reach("freeze.after_store")
    with transaction():
        fix(contract, latest, prepared, by=by, now=now)
        failpoints.reach("freeze.before_commit")
    return Revision.get_by_id(latest.id)


def prepare(contract: Contract, revision: Revision, *, now: datetime) -> Prepared:
    rendered = rendering(contract, revision, draft=False, at=now)
    try:
        pages = documents.put_pages(rendered.pdf)
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error
    return Prepared(rendered, documents.put(rendered.pdf), pages)


def fix(
    contract: Contract, revision: Revision, prepared: Prepared, *, by: audit.Actor, now: datetime
) -> None:
    """Write the frozen revision, inside the caller's transaction. Raises Conflict if it has moved on."""
    unchanged = (Contract.id == contract.id) & (Contract.version == contract.version)
    if not Contract.select(Contract.id).where(unchanged).exists():
        raise Conflict(_("Somebody has changed this contract meanwhile. Look at it again first."))
    files = [*uploads(contract), *annexes.of(contract)]
    sha256s = [prepared.stored.sha256, *(each.sha256 for each in files)]
    canonical_bytes = canonical.canonical(content(contract, revision, sha256s))
    digest = canonical.sha256(content(contract, revision, sha256s))
    frozen = (
        Revision.update(frozen_at=now, canonical=canonical_bytes, sha256=digest)
        .where((Revision.id == revision.id) & Revision.frozen_at.is_null())
        .execute()
    )
    if frozen != 1:
        raise Conflict(_("Somebody has changed this contract meanwhile. Look at it again first."))
    shown = documents.record(
        prepared.stored,
        "shown",
        file_name=f"{contract.reference}.pdf",
        contract=contract,
        revision=revision,
        pages=prepared.rendered.pages,
        facts={
            "placements": [vars(each) for each in prepared.rendered.placements],
            "people": signing_keys(contract),
        },
        now=now,
    )
    documents.record_pages(shown, prepared.pages)
    audit.append(
        "revision.frozen",
        ("revision", revision.id),
        chain=contract.id,
        by=by,
        now=now,
        facts={"number": revision.number, "sha256": digest, "document": shown.sha256, "pages": shown.pages},
    )


def placed_keys(shown: Document) -> list[list[str]]:
    """Whose spots a shown document holds."""
    found: list[list[str]] = shown.facts.get("people", [])
    return found


def signing_keys(contract: Contract) -> list[list[str]]:
    """Who is printed on the signature page: a change of any of it needs a new document."""
    return [
        [each["key"], each["name"], each["title"], each["organisation"]]
        for each in contract.recipients
        if each["role"] == "signer"
    ]


def open_again(contract: Contract, *, by: audit.Actor, now: datetime) -> None:
    """Take a text that was fixed back into work; the next change makes a new revision."""
    from portal.services import approvals

    with transaction():
        if contract.state == "approval":
            approvals.take_back(contract, by=by, now=now)
        else:
            contract_states.become(contract, "negotiation", by=by, now=now)


def make_ready(
    contract: Contract, *, by: audit.Actor, now: datetime, prepared: Prepared | None = None
) -> Revision:
    """Freeze the text and ask for the approvals it needs; where it needs none it is ready to be sent.

    Raises Conflict too where the rules refuse the deal.
    """
    from portal.services import approvals

    contract_states.demand_before_signing(contract)
    approvals.demand_possible(contract, current(contract))
    agreements.demand_agreed(contract)
    revision = freeze(contract, by=by, now=now, prepared=prepared)
    with transaction():
        if contract.state == "ready_to_sign" and approvals.unmet(contract, revision):
            contract_states.become(contract, "negotiation", by=by, now=now, sha256=str(revision.sha256))
        contract_states.advance_to_approval(contract, sha256=str(revision.sha256), by=by, now=now)
        if contract.state == "approval":
            approvals.settle(contract, revision, by=by, now=now)
    return revision


def reading(contract: Contract, revision_id: str) -> dict[str, Any]:
    """A revision's clauses as HTML, by language, with the number each has. Raises Conflict if unreadable."""
    revision = Revision.get_by_id(revision_id)
    numbered = markdown.number_clauses(revision.clauses)
    numbers = {each["key"]: each["number"] for each in numbered}
    try:
        html = {
            language: [
                markdown.to_html(
                    each["text"].get(language, ""),
                    layouts.variable_words(contract, revision, language),
                    numbers,
                )
                for each in numbered
            ]
            for language in contract.languages
        }
    except (markdown.UnknownVariable, markdown.UnknownReference, markdown.TooLong) as error:
        raise Conflict(_("A clause names something that does not exist: %(name)s", name=error)) from error
    return {"revision": revision, "clauses": numbered, "html": html}


# -- Printing -----------------------------------------------------------------------------------


def preview(contract: Contract, *, now: datetime) -> bytes:
    """The text as it stands, marked as a draft; nothing is kept."""
    return rendering(contract, current(contract), draft=True, at=now).pdf


def rendering(contract: Contract, revision: Revision, *, draft: bool, at: datetime) -> Rendered:
    """The PDF of a revision, made in a child. Raises Invalid or Unavailable with a sentence."""
    try:
        if contract.kind == "file":
            return file_rendering(contract, revision, draft=draft, at=at)
        layout = layouts.contract_layout(contract, revision, draft=draft, at=at)
        return with_annexes(render.contract_pdf(layout, pool=documents.POOL), contract)
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error
    except children.Refused as refused:
        raise Invalid({"": refusal(refused)}) from refused
    except (markdown.UnknownVariable, markdown.UnknownReference, markdown.TooLong) as error:
        raise Invalid(
            {"clauses": _("A clause names something that does not exist: %(name)s", name=error)}
        ) from error


def file_rendering(contract: Contract, revision: Revision, *, draft: bool, at: datetime) -> Rendered:
    """Somebody else's PDF with our page, or our terms and page, behind it."""
    files = uploads(contract)
    if not files:
        raise Invalid({"file": _("Choose the PDF that is to be signed.")})
    if terms_mode(contract) == SCHEDULE:
        layout = layouts.contract_layout(contract, revision, draft=draft, at=at, schedules_only=True)
        behind = render.contract_pdf(layout, pool=documents.POOL)
    else:
        shown = [*files[-1:], *annexes.of(contract)]
        page = layouts.signature_page(contract, revision, shown, draft=draft, at=at)
        behind = render.signature_page(page, pool=documents.POOL)
    theirs = with_annexes(Rendered(documents.read(files[-1]), files[-1].pages, []), contract)
    return intake.append_pages(theirs.pdf, behind, pool=documents.POOL)


def with_annexes(rendered: Rendered, contract: Contract) -> Rendered:
    """The same pages with those of the annexes behind them; spots stay where they are."""
    for annex in annexes.of(contract):
        extra = Rendered(documents.read(annex), annex.pages, [])
        joined = intake.append_pages(rendered.pdf, extra, pool=documents.POOL)
        rendered = Rendered(joined.pdf, joined.pages, rendered.placements)
    return rendered


def refusal(refused: children.Refused) -> str:
    """Why a text cannot be printed, in words."""
    if refused.code == "no_glyph":
        shown = str(refused.params.get("characters", ""))
        return _("These characters cannot be printed: %(characters)s", characters=shown)
    if refused.code == "too_many_signatures":
        return _("More people sign than fit on the page: at most %(most)s.", most=refused.params["most"])
    if refused.code == "bad_picture":
        return _("The logo of our company cannot be printed. Ask an administrator to load another one.")
    return intake.refusal_sentence(refused.code, refused.params)
