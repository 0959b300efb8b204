"""Deleting an archived contract: asked for by one, approved by another, and only a tombstone is left.

One of the two is legal, the other an administrator. A job takes the bytes out of the store, then the
words out of the tables; what remains says what it was, when, under which hashes, and who decided.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal import failpoints
from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.i18n import format_date
from portal.i18n import gettext as _
from portal.models.approvals import Approval
from portal.models.audit import AuditDetail
from portal.models.base import lock_row, transaction
from portal.models.bulk import BulkRow
from portal.models.contract_texts import ContractText
from portal.models.contracts import (
    Contract,
    ContractContact,
    ContractWord,
    Document,
    PageImage,
    RegisteredFile,
    Revision,
)
from portal.models.envelopes import Act, Consent, Envelope, Recipient, Task
from portal.models.event_receivers import EventMessage
from portal.models.existing import ExistingRow
from portal.models.lives import ContractLife, Deletion, Letter
from portal.models.negotiation import Agreement, Comment, Negotiator, Proposal
from portal.models.notices import Notice
from portal.models.people import Person
from portal.services import audit, installation, jobs, lives, permissions
from portal.services.audit import SYSTEM, Actor

ROLES = ("legal", permissions.ADMINISTRATOR)
# Rows that go as a whole; of the others ids, days and hashes stay.
WHOLE: tuple[Any, ...] = (
    Comment, Proposal, Agreement, Negotiator, Approval, ContractText, ContractWord, ContractContact,
)  # fmt: skip


# --- Deciding --------------------------------------------------------------------------------------


def open_for(contract: Contract) -> Deletion | None:
    """What was asked for and is not done yet."""
    found: Deletion | None = (
        Deletion.select()
        .where((Deletion.contract == contract) & Deletion.state.in_(("asked", "approved")))
        .first()
    )
    return found


def ask(contract: Contract, why: str, *, person: Person, by: Actor, now: datetime) -> Deletion:
    """Propose to delete. Raises NotAllowed, Invalid without a reason, Conflict where it must be kept."""
    permissions.demand(person, "contract.delete")
    if not why.strip():
        raise Invalid({"reason": _("Say why.")})
    with transaction():
        may_go(contract, now)
        if open_for(contract) is not None:
            raise Conflict(_("Its deletion was proposed already."))
        made: Deletion = Deletion.create(
            contract=contract, reason=why.strip()[:1000], asked_by=person, asked_at=now
        )
        note("deletion.asked", made, by, now)
    return made


def approve(deletion: Deletion, *, person: Person, by: Actor, now: datetime) -> None:
    """The second person agrees; a job does it. Raises NotAllowed for the same person, or the same role."""
    permissions.demand(person, "contract.delete")
    if person.id == deletion.asked_by.id:
        raise NotAllowed(_("Somebody else has to approve this."))
    if not are_both(deletion.asked_by, person):
        raise NotAllowed(_("One of the two has to be legal, the other an administrator."))
    with transaction():
        may_go(deletion.contract, now)
        become(deletion, "approved", "asked", approved_by=person, approved_at=now)
        note("deletion.approved", deletion, by, now)
        jobs.add("delete_contract", {"deletion": deletion.id}, key=f"delete:{deletion.id}", now=now)


def are_both(first: Person, second: Person) -> bool:
    legal, administrator = ROLES
    one, other = permissions.roles_of(first), permissions.roles_of(second)
    return (legal in one and administrator in other) or (administrator in one and legal in other)


def withdraw(deletion: Deletion, *, person: Person, by: Actor, now: datetime) -> None:
    """Drop the proposal while nobody has approved it."""
    permissions.demand(person, "contract.delete")
    with transaction():
        become(deletion, "withdrawn", "asked")
        note("deletion.withdrawn", deletion, by, now)


def may_go(contract: Contract, now: datetime) -> None:
    """Raises Conflict with what keeps it."""
    life = lives.of(contract)
    if contract.state != "archived" or life is None or contract.deleted_at is not None:
        raise Conflict(_("Only what is archived can be deleted."))
    if life.held_at is not None:
        raise Conflict(_("It is held: %(reason)s", reason=life.hold_reason))
    if life.retain_until is not None and lives.today(life, now) < life.retain_until:
        raise Conflict(_("It has to be kept until %(day)s.", day=format_date(life.retain_until)))
    amendments = [
        each for each in lives.amendments(contract) if each.deleted_at is None and each.state in lives.SIGNED
    ]
    if amendments:
        names = ", ".join(each.reference for each in amendments)
        raise Conflict(_("Its amendments have to be deleted first: %(names)s.", names=names))


def become(deletion: Deletion, state: str, before: str, **values: Any) -> None:
    moved = (
        Deletion.update(state=state, **values)
        .where((Deletion.id == deletion.id) & (Deletion.state == before))
        .execute()
    )
    if moved != 1:
        raise Conflict(_("Somebody else was quicker. Look at it as it is now."))
    for field, value in {"state": state, **values}.items():
        setattr(deletion, field, value)


def note(act: str, deletion: Deletion, by: Actor, now: datetime, **facts: Any) -> None:
    audit.append(
        act, ("deletion", deletion.id), chain=deletion.contract.id, by=by, now=now,
        facts={"reference": deletion.contract.reference, **facts}, personal={"reason": deletion.reason},
    )  # fmt: skip


# --- Doing it ----------------------------------------------------------------------------------------


@jobs.handler("delete_contract")
def delete_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Bytes first, then words; running twice changes nothing."""
    deletion = Deletion.get_or_none(Deletion.id == payload["deletion"])
    if deletion is None or deletion.state != "approved":
        return
    contract = deletion.contract
    life = lives.of(contract)
    if life is None or life.held_at is not None:
        raise jobs.GiveUp(_("It is held: %(reason)s", reason=life.hold_reason if life else ""))
    remember(deletion, life)
    store = installation.current().store
    for key in storage_keys(contract):
        store.delete(key)
        failpoints.reach("deletion.after_bytes")
        context.renew()
    with transaction():
        context.hold()
        lock_row(Contract.select().where(Contract.id == contract.id)).get()
        empty(contract, context.clock())
        become(deletion, "done", "approved", done_at=context.clock())
        # The last entry holds no person's words; the earlier ones have just forgotten theirs.
        audit.append(
            "contract.deleted", ("contract", contract.id), chain=contract.id, by=SYSTEM,
            now=context.clock(),
            facts={
                "reference": contract.reference, "sha256s": deletion.tombstone["sha256s"],
                "asked_by": deletion.asked_by.id,
                "approved_by": deletion.approved_by.id if deletion.approved_by else "",
            },
        )  # fmt: skip
        failpoints.reach("deletion.before_commit")


def remember(deletion: Deletion, life: ContractLife) -> None:
    """What the tombstone says, before anything is gone."""
    if deletion.tombstone:
        return
    contract = deletion.contract
    hashes = Document.select(Document.sha256).where(
        (Document.contract == contract) & Document.kind.in_(("executed", "notice_letter", "companion"))
    )
    deletion.tombstone = {
        "signed_on": said(life.signed_on),
        "closed_on": said(life.closed_on),
        "archived_on": life.archived_at.date().isoformat() if life.archived_at else None,
        "kept_until": said(life.retain_until),
        "sha256s": [row.sha256 for row in hashes.order_by(Document.created_at)],
        "texts": [row.sha256 for row in Revision.select().where(
            (Revision.contract == contract) & Revision.sha256.is_null(False)).order_by(Revision.number)],
    }  # fmt: skip
    Deletion.update(tombstone=deletion.tombstone).where(Deletion.id == deletion.id).execute()


def said(day: Any) -> str | None:
    return day.isoformat() if day else None


def storage_keys(contract: Contract) -> list[str]:
    """Where every byte of the contract lies."""
    files = Document.select().where((Document.contract == contract) & (Document.storage_key != ""))
    pages = PageImage.select(PageImage.storage_key).join(Document).where(Document.contract == contract)
    found = [row.storage_key for row in files] + [row.storage_key for row in pages]
    # A file that another contract holds too stays for that one.
    shared = Document.select(Document.storage_key).where(
        Document.storage_key.in_(found) & (Document.contract != contract)
    )
    return sorted(set(found) - {row.storage_key for row in shared})


def empty(contract: Contract, now: datetime) -> None:
    """Take out every word, inside the caller's transaction; ids, days and hashes stay."""
    mine = Document.contract == contract
    ids = Document.select(Document.id).where(mine)
    PageImage.delete().where(PageImage.document.in_(ids)).execute()
    RegisteredFile.update(facts={"deleted": True}).where(RegisteredFile.document_id.in_(ids)).execute()
    Document.update(storage_key="", file_name="deleted.pdf", facts={}).where(mine).execute()
    for table in WHOLE:
        table.delete().where(table.contract == contract).execute()
    BulkRow.update(company="", name="", email="", read={}, typed={}).where(
        BulkRow.contract == contract
    ).execute()
    EventMessage.update(text="").where(EventMessage.contract_id == contract.id).execute()
    Revision.update(clauses=[], terms={}, canonical=None, share_note="").where(
        Revision.contract == contract
    ).execute()
    Task.update(text="").where(Task.contract == contract).execute()
    Letter.update(reason="", name="").where(Letter.contract == contract).execute()
    Notice.delete().where(Notice.contract_id == contract.id).execute()
    ExistingRow.update(company="", title="", file_name="", read={}, typed={}).where(
        ExistingRow.contract == contract
    ).execute()
    empty_requests(contract)
    erased = [row.number for row in AuditDetail.select().where(AuditDetail.chain == contract.id)]
    audit.erase_details(contract.id, erased, by=SYSTEM, now=now)
    ContractLife.update(hold_reason="").where(ContractLife.contract == contract).execute()
    Contract.update(
        title=contract.reference, recipients=[], flags=[], search_text="", waiting_for="",
        value_amount=0, has_phi=False, deleted_at=now, updated_at=now,
    ).where(Contract.id == contract.id).execute()  # fmt: skip


def empty_requests(contract: Contract) -> None:
    """The people who were asked to sign, and what they typed."""
    envelopes = Envelope.select(Envelope.id).where(Envelope.contract == contract)
    people = Recipient.select(Recipient.id).where(Recipient.envelope.in_(envelopes))
    Act.update(name="", title="", intent="", authority="", signature_path="", reason="", address="",
               user_agent="").where(Act.envelope.in_(envelopes)).execute()  # fmt: skip
    Consent.update(text="").where(Consent.recipient.in_(people)).execute()
    Recipient.update(name="", email="", title="", organisation="", phone="", gate=None).where(
        Recipient.envelope.in_(envelopes)
    ).execute()
    Envelope.update(message="", ended_reason="").where(Envelope.contract == contract).execute()


# --- What is left -----------------------------------------------------------------------------------


def tombstone(reference: str, person: Person | None) -> Deletion:
    """What stands where a contract was. Raises NotFound for strangers, and where nothing was deleted."""
    found = Contract.get_or_none(Contract.reference == reference) if "\0" not in reference else None
    if found is None or found.deleted_at is None or not permissions.allows(person, "contract.read"):
        raise NotFound
    done: Deletion = Deletion.get((Deletion.contract == found) & (Deletion.state == "done"))
    return done
