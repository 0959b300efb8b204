"""Contracts as business records: making them, finding them, changing who owns them, what comes next."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.i18n import format_datetime, lazy, ngettext
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, ContractContact, ReferenceCounter, Revision
from portal.models.parties import Counterparty, LegalEntity, Signatory
from portal.models.people import Person
from portal.models.templates import TemplateVersion
from portal.services import (
    audit,
    contract_search,
    contract_states,
    permissions,
)
from portal.sla import duration, money
from portal.sla import terms as terms_shape
from portal.sla.words import listed

SIDES = ("supplier", "customer")
CONTACT_ROLES = ("sales", "it", "legal", "procurement", "executive", "service")
ROLE_NAMES = {
    "owner": lazy("Owner"),
    "sales": lazy("Sales"),
    "it": lazy("IT"),
    "legal": lazy("Legal"),
    "procurement": lazy("Procurement"),
    "executive": lazy("Executive"),
    "service": lazy("Service"),
    "signatory": lazy("Signatory"),
}


# -- Finding ----------------------------------------------------------------------------------


def get(reference: str, person: Person | None) -> Contract:
    """The contract people quote by this reference. Raises NotFound for strangers too."""
    found = Contract.get_or_none(Contract.reference == reference) if "\0" not in reference else None
    if found is None or found.deleted_at is not None or not permissions.allows(person, "contract.read"):
        raise NotFound
    return found


def may_edit(contract: Contract, person: Person | None) -> bool:
    """Whether this person may change the contract's text now."""
    return contract_states.is_editable(contract) and is_author(contract, person)


def may_type(contract: Contract, person: Person | None) -> bool:
    """Whether this person may change the terms now: of a draft, or typed beside a text signed elsewhere."""
    return contract_states.takes_terms(contract) and is_author(contract, person)


def is_author(contract: Contract, person: Person | None) -> bool:
    """Its owner, or somebody who may edit every contract."""
    return permissions.may_edit(person, contract.owner_id)  # type: ignore[attr-defined]


def demand_edit(contract: Contract, person: Person | None, *, terms_alone: bool = False) -> None:
    """Raise NotAllowed for another's contract, Conflict once its text is fixed.

    With `terms_alone`, terms typed beside a contract that was signed elsewhere are not fixed.
    """
    if not is_author(contract, person):
        raise NotAllowed(_("Only its owner may change this contract: %(name)s.", name=contract.owner.name))
    may = contract_states.takes_terms if terms_alone else contract_states.is_editable
    if not may(contract):
        raise Conflict(
            _("The text is fixed: this contract is “%(state)s”.", state=contract_states.NAMES[contract.state])
        )


# -- Making -----------------------------------------------------------------------------------


def next_reference(prefix: str, year: int) -> str:
    """The next reference of a series, such as LF-2026-0147; inside the caller's transaction."""
    series = f"{prefix}-{year}"
    rows = (
        ReferenceCounter.insert(series=series, last=1)
        .on_conflict(
            conflict_target=[ReferenceCounter.series],
            update={ReferenceCounter.last: ReferenceCounter.last + 1},
        )
        .returning(ReferenceCounter)
        .execute()
    )
    return f"{series}-{next(iter(rows)).last:04}"


def create(
    *,
    entity: LegalEntity,
    side: str,
    owner: Person,
    title: str,
    by: audit.Actor,
    now: datetime,
    kind: str = "support",
    counterparty: Counterparty | None = None,
    template_version: TemplateVersion | None = None,
    terms: dict[str, Any] | None = None,
    clauses: Sequence[dict[str, Any]] = (),
    languages: Sequence[str] = ("en",),
    recipients: Sequence[dict[str, Any]] = (),
    signatory: Signatory | None = None,
    copied_from: Contract | None = None,
    base: tuple[dict[str, Any], list[dict[str, Any]]] | None = None,
    reference: str = "",
) -> Contract:
    """A new draft with its first revision. Raises Invalid for a side that is none.

    `base` is the terms and clauses it will be compared with; by default what it starts from, where
    that came from a template.
    """
    if side not in SIDES:
        raise Invalid({"side": _("Say who supplies the support.")})
    text = copy.deepcopy(terms) if terms is not None else dict(terms_shape.empty(side))  # type: ignore[arg-type]
    text["side"] = side
    with transaction():
        contract: Contract = Contract.add(
            reference=reference or next_reference(entity.reference_prefix, now.year),
            title=title,
            kind=kind,
            side=side,
            owner=owner,
            entity=entity,
            counterparty=counterparty,
            template_version=template_version,
            signatory_id=signatory.id if signatory else None,
            languages=list(languages),
            prevailing_language=languages[0],
            recipients=list(recipients),
            copied_from_id=copied_from.id if copied_from else None,
            waiting_for=owner.name,
            created_at=now,
            updated_at=now,
            **derived(text),
        )
        # Number 0 stays as the template gave it; number 1 is what people change.
        for number in (0, 1) if base is not None or template_version is not None else (1,):
            given = base if number == 0 and base is not None else (text, list(clauses))
            Revision.add(
                contract=contract, number=number, terms=given[0], clauses=given[1], author=owner,
                created_at=now,
            )  # fmt: skip
        ContractContact.create(contract=contract, side="ours", role="owner", person=owner)
        contract_search.index(contract)
        audit.append(
            "contract.drafted",
            ("contract", contract.id),
            chain=contract.id,
            by=by,
            now=now,
            facts=origin(contract, template_version, copied_from),
        )
    return contract


def origin(
    contract: Contract, version: TemplateVersion | None, copied_from: Contract | None
) -> dict[str, Any]:
    """Where a draft came from, for the trail."""
    told: dict[str, Any] = {"reference": contract.reference, "kind": contract.kind, "side": contract.side}
    if version is not None:
        told |= {"template": version.template.key, "version": version.number, "sha256": version.sha256}
    if copied_from is not None:
        told["copied_from"] = copied_from.reference
    return told


def derived(terms: dict[str, Any]) -> dict[str, Any]:
    """The columns of a contract that lists and policies read, computed from its terms."""
    commercial = terms["commercial"]
    try:
        ends = duration.last_day(terms)
    except (ValueError, OverflowError):
        ends = None
    return {
        "value_amount": money.value(terms) or Decimal(0),  # type: ignore[arg-type]
        "currency": commercial["currency"] or "EUR",
        "start_on": duration.first_day(terms),
        "end_on": ends,
        "has_phi": bool(commercial["phi"]),
    }


def people(contract: Contract) -> list[ContractContact]:
    """Everybody named in the contract, on both sides."""
    query = ContractContact.select().where(ContractContact.contract == contract)
    return list(query.order_by(ContractContact.id))  # type: ignore[attr-defined]


# -- Changing ---------------------------------------------------------------------------------


def change_owner(
    contract: Contract, owner: Person, *, by: audit.Actor, now: datetime, note: str = ""
) -> None:
    """Give the contract to somebody else on our side who may draft contracts, with a note for them."""
    if not owner.is_staff or not permissions.allows(owner, "contract.edit"):
        raise Invalid({"owner": _("%(name)s may not own contracts.", name=owner.name)})
    if contract.state == "archived":
        raise Conflict(_("What is archived is not changed any more."))
    with transaction():
        before = contract.owner_id  # type: ignore[attr-defined]
        if before == owner.id:
            return
        waiting = owner.name if contract.state in contract_states.EDITABLE else contract.waiting_for
        Contract.update(owner=owner, waiting_for=waiting, updated_at=now).where(
            Contract.id == contract.id
        ).execute()
        ContractContact.delete().where(
            (ContractContact.contract == contract)
            & (ContractContact.side == "ours")
            & (ContractContact.role == "owner")
        ).execute()
        ContractContact.create(contract=contract, side="ours", role="owner", person=owner)
        audit.append(
            "contract.handed_over",
            ("contract", contract.id),
            chain=contract.id,
            by=by,
            now=now,
            facts={"from": before, "to": owner.id},
            personal={"to_name": owner.name} | ({"note": note} if note else {}),
        )
    contract.owner, contract.waiting_for, contract.updated_at = owner, waiting, now


def withdraw(contract: Contract, *, reason: str, by: audit.Actor, now: datetime) -> None:
    """End a contract that was never signed. Raises Invalid without a reason, Conflict while it is out."""
    if not reason.strip():
        raise Invalid({"reason": _("Say why.")})
    if contract.state == "signing":
        raise Conflict(_("It is out for signature. Void the signing request first."))
    from portal.services import approvals

    with transaction():
        contract_states.become(contract, "withdrawn", by=by, now=now, reason=reason.strip())
        approvals.withdraw_open(contract)


# -- What comes next ----------------------------------------------------------------------------


@dataclass(frozen=True)
class NextStep:
    """Who waits for whom, what happens by itself, and the one button: `action` names a page of ours."""

    title: str
    note: str = ""
    action: str = ""  # draft | file | recipients | negotiate | prepare | approval | send | remind | watch
    # | retry | read
    label: str = ""
    recipient_id: str = ""  # whom `remind` is about


def next_step(contract: Contract, person: Person | None) -> NextStep:
    """The next step of a contract as this person sees it; without a button where it is not theirs."""
    found = STEPS.get(contract.state, ended)(contract)
    mine = is_author(contract, person)
    if mine or not found.action or found.action == "approval":
        return found
    return NextStep(found.title, found.note)


def drafting(contract: Contract) -> NextStep:
    from portal.services import revisions

    missing = revisions.faults(contract, revisions.current(contract))
    if missing:
        title = ngettext(
            "One thing is missing in the draft.", "%(num)s things are missing in the draft.", len(missing)
        )
        action = (
            "file"
            if contract.kind == "file" and revisions.terms_mode(contract) == revisions.NO_TERMS
            else "draft"
        )
        return NextStep(title, _("It can be sent once all of it is said."), action, _("Finish the draft"))
    if not any(each["role"] == "signer" for each in contract.recipients):
        return NextStep(
            _("The text is complete."),
            _("Nobody is named who signs yet."),
            "recipients",
            _("Choose who signs"),
        )
    names = listed([each["name"] for each in contract.recipients if each["role"] == "signer"])
    return NextStep(
        _("The text is complete; %(names)s will sign.", names=names),
        _("The exact PDF is made now. You look at it once more before it is sent."),
        "prepare",
        _("Check and send"),
    )


def waiting(contract: Contract) -> NextStep:
    """Whoever reads contracts may see who is asked; the page knows who may answer."""
    title = _("It waits for approval by %(names)s.", names=contract.waiting_for or contract.owner.name)
    note = _("Once everybody has approved this exact text, it can be sent.")
    return NextStep(title, note, "approval", _("See the approval"))


def negotiating(contract: Contract) -> NextStep:
    """Whose answer is waited for, once the other side was shown the text."""
    from portal.services import agreements

    shared = agreements.last_shared(contract)
    if shared is None or agreements.both(contract, agreements.latest(contract)):
        return drafting(contract)
    ours = [each for each in agreements.open_proposals(contract) if each.side == "theirs" or not each.place]
    other = contract.counterparty.name if contract.counterparty else _("the other side")
    label = _("Open the negotiation")
    if ours:
        title = ngettext(
            "%(num)s proposal of %(other)s waits for your answer.",
            "%(num)s proposals of %(other)s wait for your answer.",
            len(ours),
            other=other,
        )
        return NextStep(title, "", "negotiate", label)
    if agreements.latest(contract).shared_at is None:
        title = _("The draft has changed since it was last shared.")
        return NextStep(title, _("The other side sees it once you share it."), "negotiate", label)
    at = format_datetime(shared.shared_at)
    title = _("Waiting for %(other)s, who have had the text since %(at)s.", other=other, at=at)
    return NextStep(title, _("It can be sent for signature once both sides agree."), "negotiate", label)


def ready(contract: Contract) -> NextStep:
    return NextStep(
        _("The PDF is ready; nobody has been asked to sign yet."), "", "send", _("Check and send")
    )


def signing(contract: Contract) -> NextStep:
    """Who is asked, since when, and when they are reminded."""
    from portal.services import envelopes

    envelope = envelopes.open_for(contract)
    asked = [r for r in envelopes.recipients_of(envelope) if r.status in envelopes.ASKED] if envelope else []
    if envelope is None or not asked:
        return NextStep(_("The signing request is on its way."))
    names = listed([each.name for each in asked])
    opened = all(each.status == "opened" for each in asked)
    title = (
        _("%(names)s has been asked to sign and has opened the contract.", names=names)
        if opened and len(asked) == 1
        else ngettext(
            "%(names)s has been asked to sign.", "%(names)s have been asked to sign.", len(asked), names=names
        )
    )
    reminders = [each.next_reminder_at for each in asked if each.next_reminder_at]
    notes = [_("The request expires on %(day)s.", day=format_datetime(envelope.expires_at))]
    if reminders:
        at = format_datetime(min(reminders))
        notes.insert(0, _("The next reminder goes out by itself on %(at)s.", at=at))
    if len(asked) > 1:
        return NextStep(title, " ".join(notes), "watch", _("See who has been asked"))
    label = _("Remind %(name)s now", name=asked[0].name)
    return NextStep(title, " ".join(notes), "remind", label, asked[0].id)


def signed(contract: Contract) -> NextStep:
    from portal.services import envelopes

    envelope = envelopes.latest(contract)
    title = _("Everybody has signed.")
    if envelope is None or envelope.executed is not None:
        return NextStep(
            title, _("The signed PDF is kept here and was sent to all."), "read", _("Read the signed PDF")
        )
    if envelope.seal_status == "failed":
        return NextStep(title, _("The company seal could not be put on."), "retry", _("Try the seal again"))
    return NextStep(title, _("The signed PDF is being closed with the company seal."))


def running(contract: Contract) -> NextStep:
    """Until when it runs, and what happens then by itself."""
    from portal.services import lives

    life, term = lives.of(contract), lives.term(contract)
    title = _("This contract is “%(state)s”.", state=contract_states.shown_name(contract))
    if life is None or term is None:
        return NextStep(title)
    if life.notice_given_on is not None:
        return NextStep(title, lives.ends(life.ends_on or term.ends_on))
    return NextStep(title, lives.if_nobody_acts(term, lives.text(contract)))


def ended(contract: Contract) -> NextStep:
    return NextStep(_("This contract is “%(state)s”.", state=contract_states.shown_name(contract)))


STEPS: dict[str, Callable[[Contract], NextStep]] = {
    "draft": drafting,
    "internal_review": drafting,
    "negotiation": negotiating,
    "approval": waiting,
    "ready_to_sign": ready,
    "signing": signing,
    "signed": signed,
    "active": running,
    "renewal_due": running,
}
