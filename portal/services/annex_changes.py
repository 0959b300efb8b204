"""Taking annexes in and out of a draft, their order, and the order of documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Document
from portal.services import annexes, audit, contract_states, documents, revisions

MOST = 20
MOST_PAGES = 500  # of all annexes together


def attach(
    contract: Contract, document: Document, *, kind: str, name: str, by: audit.Actor, now: datetime
) -> None:
    """Make a file that was taken in the last annex. Raises Invalid by field, Conflict once it is too late."""
    name = " ".join(name.split())
    errors = {}
    if kind not in annexes.KINDS:
        errors["kind"] = _("Choose one of the answers offered.")
    if not name:
        errors["name"] = _("Give the annex a name; it is printed in the contract.")
    if errors:
        raise Invalid(errors)
    with transaction():
        locked(contract, now)
        present = annexes.of(contract)
        if len(present) >= MOST or sum(each.pages for each in present) + document.pages > MOST_PAGES:
            raise Invalid({"file": _("The annexes would be too many, or too long, for one contract.")})
        position = max((each.facts["annex"]["position"] for each in present), default=0) + 1
        about = {"kind": kind, "name": name, "position": position}
        taken = (
            Document.update(contract=contract, kind=annexes.KIND, facts={**document.facts, "annex": about})
            .where((Document.id == document.id) & Document.contract.is_null())
            .execute()
        )
        if taken != 1:
            raise NotFound
        changed(contract, now)
        audit.append(
            "annex.added", ("document", document.id), chain=contract.id, by=by, now=now,
            facts={"sha256": document.sha256, "pages": document.pages, "kind": kind},
            personal={"name": name, "file_name": document.file_name},
        )  # fmt: skip


def remove(contract: Contract, annex: Document, *, by: audit.Actor, now: datetime) -> None:
    """Take an annex out; one that is gone already stays gone."""
    with transaction():
        locked(contract, now)
        gone = (Document.id == annex.id) & (Document.kind == annexes.KIND)
        if not Document.update(kind="replaced").where(gone).execute():
            return
        changed(contract, now)
        audit.append(
            "annex.removed", ("document", annex.id), chain=contract.id, by=by, now=now,
            facts={"sha256": annex.sha256}, personal={"name": annexes.name_of(annex)},
        )  # fmt: skip


def move(contract: Contract, annex: Document, by_places: int, *, by: audit.Actor, now: datetime) -> None:
    """Move an annex up (-1) or down (1); at the end of the list it stays."""
    with transaction():
        locked(contract, now)
        listed = annexes.of(contract)
        at = next((place for place, each in enumerate(listed) if each.id == annex.id), None)
        if at is None:
            raise NotFound
        to = min(max(at + by_places, 0), len(listed) - 1)
        if to == at:
            return
        listed.insert(to, listed.pop(at))
        for position, each in enumerate(listed, start=1):
            about = {**each.facts["annex"], "position": position}
            Document.update(facts={**each.facts, "annex": about}).where(Document.id == each.id).execute()
        changed(contract, now)
        audit.append(
            "annex.moved", ("document", annex.id), chain=contract.id, by=by, now=now, facts={"place": to + 1}
        )


def set_order(
    contract: Contract, master: str, precedence: Sequence[str], *, by: audit.Actor, now: datetime
) -> None:
    """Name the master agreement and what prevails over what. Raises Invalid for an order that is none."""
    master, order = " ".join(master.split()), list(precedence)
    if len(set(order)) < len(order) or not set(order) <= set(annexes.PLACES):
        raise Invalid({"first": _("Name each kind of document once.")})
    if "master" in order and not master:
        raise Invalid({"master": _("Say which master agreement that is.")})
    with transaction():
        locked(contract, now)
        if (contract.master_agreement, list(contract.precedence)) == (master, order):
            return
        changed(contract, now, master_agreement=master, precedence=order)
        audit.append(
            "contract.edited", ("contract", contract.id), chain=contract.id, by=by, now=now,
            facts={"section": "documents", "precedence": order}, personal={"master_agreement": master},
        )  # fmt: skip


def get(contract: Contract, document_id: str) -> Document:
    """An annex of this contract. Raises NotFound for any other document."""
    found = documents.get(contract, document_id)
    if found.kind != annexes.KIND:
        raise NotFound
    return found


def locked(contract: Contract, now: datetime) -> None:
    """Lock the contract and open its next revision where the last one is frozen. Raises Conflict."""
    row = lock_row(Contract.select().where(Contract.id == contract.id)).get()
    if not contract_states.is_editable(row):
        raise Conflict(
            _("The text is fixed: this contract is “%(state)s”.", state=contract_states.NAMES[row.state])
        )
    revisions.draft(row, author=None, now=now)
    contract.version = row.version


def changed(contract: Contract, now: datetime, **columns: Any) -> None:
    values = {**columns, "version": contract.version + 1, "updated_at": now}
    Contract.update(values).where(Contract.id == contract.id).execute()
    for name, value in values.items():
        setattr(contract, name, value)
