"""The list of contracts, and the page of one: where it stands, who is in it, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request, url_for

from portal.clock import utc_now
from portal.errors import Invalid, NotFound, PortalError
from portal.i18n import NAMES, current, format_date, format_money, format_size, pgettext
from portal.i18n import gettext as _
from portal.models.contracts import Contract
from portal.models.envelopes import Recipient
from portal.models.notices import Notice
from portal.models.parties import Counterparty
from portal.models.people import Person
from portal.pages import annexes as annexes_pages
from portal.pages import approvals, archives, factor_requests, message_states, sending
from portal.pages import existing as existing_pages
from portal.pages import lives as life_pages
from portal.pages.forms import Form
from portal.pages.guards import actor, person, requires
from portal.pages.respond import leave, show
from portal.services import (
    code_messages,
    contract_search,
    contract_states,
    contracts,
    deliveries,
    deviations,
    documents,
    envelopes,
    permissions,
    policies,
    recipients,
    revisions,
    saved_views,
    templates,
    timeline,
)
from portal.services.contract_search import Filters
from portal.sla import commercial_sentences, duration, money, sentences, shape, words
from providers import registry

bp = Blueprint("contracts", __name__)
# What the button of the next step does: the page it opens, or the address it posts to.
OPENS = {
    "draft": "drafts.page",
    "file": "new_contracts.their_file",
    "recipients": "recipients.page",
    "negotiate": "negotiation.page",
    "send": "sending.page",
    "watch": "sending.state",
    "read": "sending.executed",
    "approval": "approvals.page",
}
POSTS = {"prepare": "contracts.prepare", "remind": "sending.remind", "retry": "sending.retry_seal"}


# -- The list -----------------------------------------------------------------------------------------


@bp.get("/contracts")
@requires("contract.read")
def index() -> Response:
    me, args = person(), request.args
    filters = asked(args)
    found = contract_search.page(me, filters, after=args.get("after", ""), before=args.get("before", ""))
    chosen = {name: value for name, value in vars(filters).items() if value and name != "words"}
    chosen |= {"q": filters.words} if filters.words else {}
    return show(
        "contracts/index.html",
        "contracts/_list.html",
        filters=filters,
        rows=[list_row(contract) for contract in found.contracts],
        is_partial=found.is_partial,
        texts_url=url_for("text_search.page", q=filters.words, few=1) if filters.words else "",
        next_url=url_for(".index", **chosen, after=found.next) if found.next else "",
        previous_url=url_for(".index", **chosen, before=found.previous) if found.previous else "",
        sort_urls={name: url_for(".index", **{**chosen, "sort": name}) for name in contract_search.SORTS},
        is_filtered=any((filters.words, filters.state, filters.side, filters.owner, filters.party)),
        states=state_options(),
        owners=owner_options(),
        party=Counterparty.get_or_none(Counterparty.id == filters.party) if filters.party else None,
        may_create=permissions.allows(me, "contract.create"),
        may_send=permissions.allows(me, "contract.send"),
        views=views_of(me),
        keep_url=url_for("contract_lists.views", **chosen),
        export_urls={kind: url_for("contract_lists.export", kind=kind, **chosen) for kind in ("csv", "xlsx")},
    )


def asked(args: Mapping[str, str]) -> Filters:
    """The filters that stand in an address."""
    return Filters(
        words=args.get("q", "")[:200],
        state=args.get("state", ""),
        side=args.get("side", ""),
        owner=args.get("owner", "")[:40].replace("\0", ""),
        party=args.get("party", "")[:40].replace("\0", ""),
        sort=args.get("sort", "updated"),
    )


def views_of(me: Person) -> list[tuple[str, str]]:
    """Kept views as links: name and address."""
    return [(each.name, url_for(".index", **each.asked)) for each in saved_views.of(me)]


def list_row(contract: Contract) -> dict[str, Any]:
    return {
        "title": contract.title,
        "reference": contract.reference,
        "url": url_for(".page", reference=contract.reference),
        "party": contract.counterparty.name if contract.counterparty else "",
        "state": contract_states.shown_name(contract),
        "tone": contract_states.TONES.get(contract.state, "none"),
        "waiting_for": contract.waiting_for,
        "value": format_money(contract.value_amount, contract.currency) if contract.value_amount else "",
        "end_on": contract.end_on,
        "updated_at": contract.updated_at,
    }


def state_options() -> list[tuple[str, Any]]:
    phases = {
        "draft": pgettext("phase", "Draft"),
        "agree": pgettext("phase", "Negotiate and approve"),
        "sign": pgettext("phase", "Sign"),
        "live": pgettext("phase", "Live"),
        "ended": pgettext("phase", "Ended"),
        "archived": pgettext("phase", "Archived"),
    }
    return [("", _("Any phase")), *phases.items()]


def owner_options() -> list[tuple[str, str]]:
    """Colleagues who own contracts, or may."""
    return [("", _("Anybody")), *((each.id, each.name) for each in permissions.who_may("contract.edit"))]


# -- One contract ----------------------------------------------------------------------------------------


@bp.get("/contracts/<reference>")
@requires("contract.read")
def page(reference: str) -> Response:
    try:
        contract = contracts.get(reference, person())
    except NotFound:
        return archives.tombstone_page(reference)
    return contract_page(contract)


def contract_page(contract: Contract, form: Form | None = None, status: int = 200) -> Response:
    me = person()
    revision = revisions.current(contract)
    is_author = contracts.is_author(contract, me)
    step = contracts.next_step(contract, me)
    return show(
        "contracts/show.html",
        None,
        status,
        contract=contract,
        revision=revision,
        form=form or Form(None),
        phase=contract_states.phase(contract),
        state=contract_states.shown_name(contract),
        tone=contract_states.TONES.get(contract.state, "none"),
        elsewhere=existing_pages.on_contract(contract),
        annexes=annexes_pages.on_contract(contract),
        life=life_pages.on_contract(contract),
        archive=archives.on_contract(contract),
        is_over=contract.state in contract_states.WITHOUT_FORCE,
        step=step,
        step_url=step_url(step, contract),
        step_posts=step.action in POSTS,
        is_author=is_author,
        may_edit=contracts.may_edit(contract, me),
        may_reopen=is_author and contract.state in ("approval", "ready_to_sign"),
        may_negotiate=contract.kind != "file"
        and (contract_states.was_shared(contract) or contracts.may_edit(contract, me)),
        may_withdraw=is_author
        and contract.state in contract_states.BEFORE_SIGNED
        and contract.state != "signing",
        may_reassign=is_author or permissions.allows(me, "contract.reassign"),
        may_create=permissions.allows(me, "contract.create"),
        may_read_trail=permissions.allows(me, "audit.read"),
        requests=factor_requests.asked_of_us(contract),
        owners=owner_options()[1:],
        people=people_of(contract),
        people_note=people_note(contract),
        people_url=people_url(contract, is_author),
        promises=promises(contract, revision),
        reading=revisions.terms_mode(contract) == revisions.READING,
        happened=timeline.of(contract),
        facts_list=money_and_dates(contract, revision.terms),
        template_name=template_name(contract),
        documents=documents_of(contract),
        versions=revisions.versions(contract),
        provider=provider_name(contract),
        preview_url=url_for("drafts.preview", reference=contract.reference),
        shown_url=shown_url(contract),
        approval=approvals.on_contract(contract, revision),
    )  # fmt: skip


def step_url(step: contracts.NextStep, contract: Contract) -> str:
    """Where the one button leads; "" for none."""
    endpoint = OPENS.get(step.action) or POSTS.get(step.action)
    if not endpoint:
        return ""
    person_asked = {"recipient_id": step.recipient_id} if step.recipient_id else {}
    return url_for(endpoint, reference=contract.reference, **person_asked)


def people_url(contract: Contract, is_author: bool) -> str:
    """Where the people are changed before sending, and watched after it."""
    if envelopes.latest(contract) is not None and contract.state not in recipients.CHANGEABLE:
        return url_for("sending.state", reference=contract.reference)
    if is_author and contract.state in recipients.CHANGEABLE:
        return url_for("recipients.page", reference=contract.reference)
    return ""


def people_of(contract: Contract) -> list[dict[str, Any]]:
    """Who signs, in order, with how each stands."""
    envelope = envelopes.latest(contract)
    if envelope is None or contract.state in recipients.CHANGEABLE:
        return [before_sending(each) for each in recipients.listed(contract)]
    rows = envelopes.recipients_of(envelope)
    mails = deliveries.latest_mails(rows)
    codes = code_messages.newest_of([row.id for row in rows if row.factors])
    return [since_sending(row, contract, mails.get(row.id), codes.get(row.id)) for row in rows]


def before_sending(entry: dict[str, Any]) -> dict[str, Any]:
    is_copy = entry["role"] == "copy"
    return {
        "order": None if is_copy else entry.get("routing_order", 1),
        "name": entry["name"],
        "about": ", ".join(filter(None, (entry.get("title"), entry.get("organisation")))),
        "how": str(recipients.ROLES[entry["role"]]),
        "word": _("At the end") if is_copy else _("Not asked yet"),
        "tone": "next",
    }


def since_sending(
    row: Recipient, contract: Contract, mail: Notice | None, code: Notice | None
) -> dict[str, Any]:
    reached = message_states.reached(mail) if row.acted_at is None else None
    word, tone = sending.WORDS[row.status]
    factors = words.listed(str(policies.FACTORS[factor]) for factor in row.factors)
    checked = _("Checked by: %(factors)s.", factors=factors) if factors else ""
    return {
        "order": None if row.role == "copy" else row.routing_order,
        "name": row.name,
        "about": ", ".join(filter(None, (row.title, row.organisation))),
        "how": " ".join(filter(None, (f"{recipients.ROLES[row.role]}.", checked))),
        "word": word,
        "tone": tone,
        "at": row.acted_at or row.opened_at or row.asked_at,
        "reason": sending.problem_of(row, reached)
        or (code_messages.state(code)["text"] if code else "")
        or (reached.text if reached else ""),
        "url": factor_requests.identity_url(contract, row) if contract.state == "signing" else "",
        "label": _("Identity"),
        "press_url": factor_requests.code_url(contract, row) if contract.state == "signing" else "",
        "press_label": _("Code to read out"),
    }


def people_note(contract: Contract) -> str:
    """`1 of 3 has signed`, once somebody has been asked."""
    envelope = envelopes.latest(contract)
    if envelope is None or contract.state not in ("signing", "signed"):
        return ""
    signers = [each for each in envelopes.recipients_of(envelope) if each.role == "signer"]
    done = sum(each.status == "signed" for each in signers)
    return _("%(done)s of %(all)s signed", done=done, all=len(signers))


def promises(contract: Contract, revision: Any) -> list[Any]:
    """What is promised, as sentences, with what differs from the template."""
    if existing_pages.has_no_terms(contract):
        return []
    if revisions.terms_mode(contract) == revisions.NO_TERMS or shape.read(revision.terms)[1]:
        return []
    skipped = ("commercial.fee", "commercial.renewal", "commercial.liability_cap", "commercial.governing_law")
    base = deviations.base_terms(contract, revision.terms)
    written = sentences.sections(revision.terms, current(), base=base)  # type: ignore[arg-type]
    return [section for section in written if section.key not in skipped]


def money_and_dates(contract: Contract, terms: dict[str, Any]) -> list[tuple[str, str]]:
    commercial = terms["commercial"]
    facts: list[tuple[str, str]] = []
    if commercial["fee"]:
        facts.append((_("Fee"), commercial_sentences.fee(terms)[0].rstrip(".")))  # type: ignore[arg-type]
    months = duration.term_months(terms)
    if contract.value_amount:
        label = _("Value, %(months)s", months=words.months(months)) if months else _("Value")
        facts.append((label, format_money(contract.value_amount, contract.currency)))
    if contract.start_on and contract.end_on:
        runs = _("%(first)s to %(last)s", first=format_date(contract.start_on, weekday=True),
                 last=format_date(contract.end_on, weekday=True))  # fmt: skip
        facts.append((_("Runs"), runs))
    deadline = deadline_of(terms)
    if deadline:
        facts.append((_("Last day to give notice"), format_date(deadline, weekday=True)))
    if contract.kind != "file" or revisions.terms_mode(contract) != revisions.NO_TERMS:
        facts.append((_("If nobody acts"), commercial_sentences.renewal_line(terms).rstrip(".")))  # type: ignore[arg-type]
        cap = money.liability(terms)  # type: ignore[arg-type]
        facts.append((_("Liability cap"), format_money(cap, contract.currency) if cap else _("no limit")))
        law = ", ".join(
            filter(None, (words.text(commercial["governing_law"]), words.text(commercial["courts"])))
        )
        facts.append((_("Law and courts"), law))
    return [(label, text) for label, text in facts if text]


def deadline_of(terms: dict[str, Any]) -> Any:
    try:
        return duration.notice_deadline(terms)
    except (ValueError, OverflowError):
        return None


DOCUMENT_NAMES = ("executed", "shown", "upload", "certificate")


def documents_of(contract: Contract) -> list[dict[str, Any]]:
    """The files to read: the signed one first, then the newest text, then uploads."""
    found = []
    names = {
        "executed": _("Signed contract"),
        "shown": _("Contract"),
        "upload": _("Their file"),
    }
    shown = documents.of(contract, "shown")[-1:]
    executed = documents.of(contract, "executed")[-1:]
    for document in [*executed, *shown, *documents.of(contract, "upload")]:
        languages = ", ".join(NAMES[language] for language in contract.languages)
        pages = _("%(name)s, %(pages)s pages", name=names[document.kind], pages=document.pages)
        found.append(
            {
                "id": document.id,
                "label": pages if document.pages else names[document.kind],
                "about": ", ".join(filter(None, ("PDF", format_size(document.size_bytes), languages))),
                "sha256": document.sha256,
                "url": url_for("documents.page", reference=contract.reference, document_id=document.id),
            }
        )
    return found[: len(executed)] + evidence_of(contract) + found[len(executed) :]


def evidence_of(contract: Contract) -> list[dict[str, Any]]:
    """What stands beside a file signed at a provider: our sealed record, and its own evidence."""
    envelope = envelopes.latest(contract)
    rows = (
        ("companion", _("Our sealed record of evidence"), "signing_elsewhere.record"),
        ("vendor_evidence", _("The provider’s own evidence"), "signing_elsewhere.vendor"),
    )
    found = []
    for name, label, endpoint in rows:
        document = getattr(envelope, name, None)
        if document is not None:
            suffix = document.file_name.rpartition(".")[2].upper()
            found.append(
                {
                    "id": document.id,
                    "label": label,
                    "about": f"{suffix}, {format_size(document.size_bytes)}",
                    "sha256": document.sha256,
                    "url": url_for(endpoint, reference=contract.reference),
                }
            )
    return found


def shown_url(contract: Contract) -> str:
    """The best file to read: signed, or as it will be signed."""
    newest = documents.of(contract, "executed")[-1:] or documents.of(contract, "shown")[-1:]
    if contract_states.is_editable(contract) or not newest:
        return ""
    return url_for("documents.page", reference=contract.reference, document_id=newest[0].id)


def template_name(contract: Contract) -> str:
    version = contract.template_version
    if version is None:
        return ""
    name = templates.name_of(version, current())
    return _("%(name)s, version %(number)s", name=name, number=version.number)


def provider_name(contract: Contract) -> str:
    envelope = envelopes.latest(contract)
    if envelope is None:
        return ""
    return _("Countersign, built in") if envelope.provider == "builtin" else registry.label(envelope.provider)


# -- Moving it ----------------------------------------------------------------------------------------------


@bp.post("/contracts/<reference>/ready")
@requires("contract.edit")
def prepare(reference: str) -> Response:
    """Make the exact PDF; then the page that sends it."""
    contract = contracts.get(reference, person())
    contracts.demand_edit(contract, person())
    try:
        revisions.make_ready(contract, by=actor(), now=utc_now())
    except PortalError as error:
        form = Form(None)
        form.errors.update(error.errors if isinstance(error, Invalid) else {"": error.message})
        return contract_page(contracts.get(reference, person()), form, error.status)
    waits = contract.state == "approval"
    return leave(url_for("approvals.page" if waits else "sending.page", reference=reference))


@bp.post("/contracts/<reference>/reopening")
@requires("contract.edit")
def reopen(reference: str) -> Response:
    """Take a finished text back into work."""
    contract = contracts.get(reference, person())
    if not contracts.is_author(contract, person()):
        contracts.demand_edit(contract, person())
    revisions.open_again(contract, by=actor(), now=utc_now())
    return leave(url_for("drafts.page", reference=reference))


@bp.post("/contracts/<reference>/withdrawal")
@requires("contract.withdraw")
def withdraw(reference: str) -> Response:
    contract, form = contracts.get(reference, person()), Form(request.form)
    reason = form.text("reason", most=1000, required=True)
    if form.errors:
        return contract_page(contract, form, 422)
    contracts.withdraw(contract, reason=reason, by=actor(), now=utc_now())
    return leave(url_for(".page", reference=reference))


@bp.post("/contracts/<reference>/owner")
@requires("contract.read")
def change_owner(reference: str) -> Response:
    me = person()
    contract, form = contracts.get(reference, me), Form(request.form)
    if not contracts.is_author(contract, me):
        permissions.demand(me, "contract.reassign")
    chosen = form.choice("owner", (value for value, _label in owner_options() if value))
    owner = Person.get_or_none(Person.id == chosen)
    if form.errors or owner is None:
        return contract_page(contract, form, 422)
    try:
        contracts.change_owner(contract, owner, by=actor(), now=utc_now())
    except Invalid as invalid:
        form.errors.update(invalid.errors)
        return contract_page(contract, form, 422)
    return leave(url_for(".page", reference=reference))


@bp.get("/contracts/<reference>/versions/<int:number>")
@requires("contract.read")
def version(reference: str, number: int) -> Response:
    """One state of the text, as HTML."""
    contract = contracts.get(reference, person())
    found = next((each for each in revisions.versions(contract) if each.number == number), None)
    if found is None:
        raise NotFound
    return show("contracts/version.html", contract=contract, **revisions.reading(contract, found.id))
