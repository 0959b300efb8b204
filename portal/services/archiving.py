"""The archive: what is over goes there by itself, is checked against its hashes, and may be held.

Nothing in the archive changes. Whoever needs a contract back says why; that holds it until the hold
is lifted again.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Any

from portal.documents.crypto import Unreadable
from portal.documents.store import Missing
from portal.errors import Conflict, Invalid
from portal.i18n import format_date
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Document, Revision
from portal.models.lives import ContractLife, Letter
from portal.models.people import Person
from portal.services import audit, contract_states, documents, jobs, lives, permissions, retention, tasks
from portal.services.audit import SYSTEM, Actor
from portal.services.contract_states import Attempt

CHECKED_EVERY = timedelta(days=365)
# What is kept for good: everything people rely on, not drafts and previews.
KEPT = ("executed", "shown", "upload", "authority", "companion", "vendor_evidence", "notice_letter")
MOST_AT_ONCE = 500


# --- When ----------------------------------------------------------------------------------------


def ended_on(contract: Contract, life: ContractLife) -> date | None:
    """The day the archive counts from: closed, or for a bare file the day its signing was complete."""
    if contract.state in ("completed", "archived") and life.closed_on is not None:
        return life.closed_on
    if contract.state in ("signed", "archived") and is_bare(contract):
        return life.signed_on
    return None


def is_bare(contract: Contract) -> bool:
    """A file without terms that is nobody's amendment: its life is over once it is signed."""
    return not lives.has_terms(contract) and contract.parent_id is None


def due_on(contract: Contract, life: ContractLife) -> date | None:
    """The day from which it may be archived; of an amendment the day its contract was."""
    if contract.parent_id is not None:
        parent = Contract.get_or_none(Contract.id == contract.parent_id)
        is_over = parent is not None and parent.state == "archived" and contract.state == "signed"
        return life.signed_on if is_over else None
    counted = ended_on(contract, life)
    return counted + timedelta(days=retention.policy().archive_days) if counted else None


@contract_states.guard("archive_due")
def archive_due(contract: Contract, attempt: Attempt) -> str:
    life = lives.of(contract)
    if life is None:
        return _("Nothing is known of its end.")
    due = due_on(contract, life)
    if due is None or due > lives.today(life, attempt.now):
        return _("The day to archive it has not come.")
    codes = why_wait(contract, life)
    return " ".join(reason(code, life) for code in codes)


def why_wait(contract: Contract, life: ContractLife) -> list[str]:
    """Codes of what keeps it out of the archive although its day has come."""
    found = []
    if life.held_at is not None:
        found.append("held")
    if tasks.open_for(contract):
        found.append("tasks")
    if (
        Letter.select()
        .where((Letter.contract == contract) & Letter.state.in_(("drafted", "signed")))
        .exists()
    ):
        found.append("letter")
    if life.check_problem:
        found.append("damaged")
    return found


def reason(code: str, life: ContractLife) -> str:
    """Why it waits, in words."""
    words = {
        "held": _("It is held: %(reason)s", reason=life.hold_reason),
        "tasks": _("Somebody still waits for an answer of ours."),
        "letter": _("A letter of notice is not finished."),
        "damaged": _("A file does not match its fingerprint. See Operations."),
    }
    return str(words.get(code, code))


# --- The job -------------------------------------------------------------------------------------


@jobs.recurring("archive_contracts", timedelta(hours=6))
def archive_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Archive what is due, and look again at what has lain there for a year."""
    now = context.clock()
    for contract_id in candidates(now):
        archive_one(contract_id, context)
        context.renew()
    for contract_id in unchecked(now):
        check_one(contract_id, context)
        context.renew()


def candidates(now: datetime) -> list[str]:
    """Ids of what may be due, in any zone; amendments behind their contracts."""
    until = now.date() + timedelta(days=1) - timedelta(days=retention.policy().archive_days)
    over = ((Contract.state == "completed") & (ContractLife.closed_on <= until)) | (
        (Contract.state == "signed") & (Contract.kind == "file") & (ContractLife.signed_on <= until)
    )
    query = Contract.select(Contract.id).join(ContractLife, on=(ContractLife.contract == Contract.id))
    found = [row.id for row in query.where(over).order_by(Contract.id).limit(MOST_AT_ONCE)]
    parent = Contract.alias()
    amendments = (
        Contract.select(Contract.id)
        .join(parent, on=(Contract.parent_id == parent.id))
        .where((Contract.state == "signed") & (parent.state == "archived"))
    )
    return found + [row.id for row in amendments.limit(MOST_AT_ONCE)]


def unchecked(now: datetime) -> list[str]:
    """Ids of archived contracts whose files were last looked at a year ago."""
    old = ContractLife.archived_at.is_null(False) & (ContractLife.checked_at <= now - CHECKED_EVERY)
    query = (
        ContractLife.select(ContractLife.contract).join(Contract).where(old & Contract.deleted_at.is_null())
    )
    return [row.contract.id for row in query.order_by(ContractLife.checked_at).limit(MOST_AT_ONCE)]


def archive_one(contract_id: str, context: jobs.Context) -> None:
    """Archive a contract, or note why it waits. Its files are read before the transaction."""
    contract = Contract.get_by_id(contract_id)
    problem = faults(contract)
    now = context.clock()
    with transaction():
        context.hold()
        contract = lock_row(Contract.select().where(Contract.id == contract_id)).get()
        archive(contract, problem, now=now)


def archive(contract: Contract, problem: str, *, now: datetime) -> None:
    """Inside the caller's transaction; `problem` is what was found wrong with its files."""
    life = lives.of(contract)
    due = due_on(contract, life) if life else None
    if life is None or due is None or due > lives.today(life, now):
        return
    note_check(contract, life, problem, now)
    codes = why_wait(contract, life)
    if codes != life.wait_reasons:
        ContractLife.update(wait_reasons=codes).where(ContractLife.contract == contract).execute()
    if codes:
        return
    counted = ended_on(contract, life) or life.signed_on or now.astimezone(UTC).date()
    keep = retention.keep_until(contract, life, counted)
    contract_states.become(
        contract, "archived", by=SYSTEM, now=now, facts={"keep_until": keep.isoformat(), "checked": True}
    )
    ContractLife.update(archived_at=now, retain_until=keep).where(ContractLife.contract == contract).execute()


# --- Checking files ---------------------------------------------------------------------------------


def faults(contract: Contract) -> str:
    """Which file or text does not match its hash, by id; "" when all do."""
    wrong = []
    for document in documents.of(contract, *KEPT):
        try:
            documents.read(document)
        except (documents.Damaged, Missing, Unreadable):
            wrong.append(f"{document.kind} {document.id}")
    for revision in Revision.select().where(
        (Revision.contract == contract) & Revision.canonical.is_null(False)
    ):
        if hashlib.sha256(bytes(revision.canonical or b"")).hexdigest() != revision.sha256:
            wrong.append(f"revision {revision.number}")
    return ", ".join(wrong)[:500]


def check_one(contract_id: str, context: jobs.Context) -> None:
    contract = Contract.get_by_id(contract_id)
    problem = faults(contract)
    with transaction():
        context.hold()
        life = lives.of(contract)
        if life is not None:
            note_check(contract, life, problem, context.clock())


def note_check(contract: Contract, life: ContractLife, problem: str, now: datetime) -> None:
    """Write down that the files were compared, and what did not match."""
    files = Document.select().where((Document.contract == contract) & Document.kind.in_(KEPT)).count()
    ContractLife.update(checked_at=now, check_problem=problem).where(
        ContractLife.contract == contract
    ).execute()
    if problem != life.check_problem or contract.state == "archived":
        audit.append(
            "archive.checked", ("contract", contract.id), chain=contract.id, by=SYSTEM, now=now,
            facts={"files": files, "problem": problem},
        )  # fmt: skip
    life.checked_at, life.check_problem = now, problem


def damaged() -> list[str]:
    """References of contracts a file of which does not match its hash, for Operations."""
    query = Contract.select(Contract.reference).join(ContractLife, on=(ContractLife.contract == Contract.id))
    return [row.reference for row in query.where(ContractLife.check_problem != "").limit(50)]


# --- Holding and taking back --------------------------------------------------------------------------


def hold(contract: Contract, why: str, *, person: Person, by: Actor, now: datetime) -> None:
    """Keep a contract from the archive and from deletion. Raises NotAllowed, Invalid, Conflict."""
    permissions.demand(person, "contract.hold")
    if not why.strip():
        raise Invalid({"reason": _("Say why.")})
    with transaction():
        life = known(contract)
        if life.held_at is not None:
            raise Conflict(_("It is held already."))
        ContractLife.update(hold_reason=why.strip()[:1000], held_by=person.id, held_at=now).where(
            ContractLife.contract == contract
        ).execute()
        audit.append(
            "hold.set", ("contract", contract.id), chain=contract.id, by=by, now=now,
            personal={"reason": why.strip()},
        )  # fmt: skip


def lift(contract: Contract, why: str, *, person: Person, by: Actor, now: datetime) -> None:
    """End a hold, saying why."""
    permissions.demand(person, "contract.hold")
    if not why.strip():
        raise Invalid({"reason": _("Say why.")})
    with transaction():
        held = (ContractLife.contract == contract) & ContractLife.held_at.is_null(False)
        ended = ContractLife.update(hold_reason="", held_by="", held_at=None).where(held).execute()
        if not ended:
            raise Conflict(_("It is not held."))
        audit.append(
            "hold.lifted", ("contract", contract.id), chain=contract.id, by=by, now=now,
            personal={"reason": why.strip()},
        )  # fmt: skip


def known(contract: Contract) -> ContractLife:
    life = lives.of(contract)
    if life is None:
        raise Conflict(_("Only what was signed can be held."))
    return life


def unarchive(contract: Contract, why: str, *, by: Actor, now: datetime) -> None:
    """Take a contract out of the archive; it is held until the hold is lifted, and no clock starts again.

    Raises NotAllowed, Invalid, Conflict.
    """
    if not why.strip():
        raise Invalid({"reason": _("Say why.")})
    with transaction():
        life = known(contract)
        contract_states.become(contract, "completed", by=by, now=now, reason=why.strip())
        ContractLife.update(
            archived_at=None, closed_on=life.closed_on or life.signed_on, hold_reason=why.strip()[:1000],
            held_by=by.id, held_at=now, wait_reasons=["held"],
        ).where(ContractLife.contract == contract).execute()  # fmt: skip


def waits(contract: Contract, life: ContractLife, now: datetime) -> list[str]:
    """Sentences for the contract's page: when it is archived, or why not."""
    due = due_on(contract, life)
    if due is None or contract.state == "archived":
        return []
    if due > lives.today(life, now):
        return [_("It is archived by itself on %(day)s.", day=format_date(due))]
    return [reason(code, life) for code in why_wait(contract, life)] or [
        _("It is archived within some hours.")
    ]
