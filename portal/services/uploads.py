"""Somebody else's PDF: taken in by a child, kept until it is confirmed, made part of a contract.

A file is kept as soon as it has been made harmless, so that no form ever has to ask for it twice.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from portal.documents import children, intake
from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract, Document
from portal.models.people import Person
from portal.services import audit, contract_states, documents, installation, jobs, revisions

KEPT_FOR = timedelta(hours=24)
MODES = (revisions.SCHEDULE, revisions.READING)


def take(content: bytes, file_name: str, *, person: Person, now: datetime) -> Document:
    """The file made harmless and kept for this person. Raises Invalid beside `file`, or Unavailable."""
    try:
        admitted = intake.admit(content, pool=documents.POOL)
    except children.Refused as refused:
        raise Invalid({"file": intake.refusal_sentence(refused.code, refused.params)}) from refused
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error
    return documents.add(
        admitted.pdf,
        "upload",
        file_name=file_name or "document.pdf",
        pages=admitted.pages,
        facts={
            "uploader": person.id,
            "original_sha256": hashlib.sha256(content).hexdigest(),
            "had_signatures": admitted.had_signatures,
            "removed": admitted.removed,
        },
        now=now,
    )


def kept(document_id: str, *, person: Person, now: datetime) -> Document:
    """A file this person has sent a moment ago. Raises Invalid when it is not there any more."""
    found = Document.get_or_none((Document.id == document_id) & Document.contract.is_null())
    if found is None or found.facts.get("uploader") != person.id or found.created_at < now - KEPT_FOR:
        raise Invalid({"file": _("Choose the file again.")})
    upload: Document = found
    return upload


def signers(document: Document) -> list[str]:
    """Who had signed the file before it came here: their signatures do not outlast the intake."""
    names: list[str] = document.facts.get("had_signatures", [])
    return names


def removed(document: Document) -> list[str]:
    """What was taken out of the file, in words."""
    return [intake.removal_sentence(code) for code in document.facts.get("removed", [])]


def attach(contract: Contract, document: Document, *, mode: str, by: audit.Actor, now: datetime) -> None:
    """Make the file the text of a contract. `mode` says what our terms are beside it.

    An earlier file of the draft is replaced. Raises Conflict once the text is fixed.
    """
    if mode not in (*MODES, revisions.NO_TERMS):
        raise Invalid({"terms": _("Say what the terms are beside the file.")})
    if not contract_states.is_editable(contract):
        raise Conflict(
            _("The text is fixed: this contract is “%(state)s”.", state=contract_states.NAMES[contract.state])
        )
    flags = [flag for flag in contract.flags if flag not in MODES]
    flags += [mode] if mode in MODES else []
    with transaction():
        revisions.draft(contract, author=None, now=now)
        Document.update(kind="replaced").where(
            (Document.contract == contract) & (Document.kind == "upload")
        ).execute()
        taken = (
            Document.update(contract=contract)
            .where((Document.id == document.id) & Document.contract.is_null())
            .execute()
        )
        if taken != 1:
            raise NotFound
        change_kind(contract, "file", flags, now)
        audit.append(
            "document.added", ("document", document.id), chain=contract.id, by=by, now=now,
            facts={
                "sha256": document.sha256, "original_sha256": document.facts["original_sha256"],
                "pages": document.pages, "terms": mode, "removed": document.facts["removed"],
            },
            personal={"file_name": document.file_name, "had_signatures": ", ".join(signers(document))},
        )  # fmt: skip


def detach(contract: Contract, *, by: audit.Actor, now: datetime) -> None:
    """Go back to our own text; only a draft that has clauses can."""
    if not contract_states.is_editable(contract):
        raise Conflict(_("The text is fixed."))
    if not revisions.current(contract).clauses:
        raise Conflict(_("This contract has no text but the file."))
    with transaction():
        gone = [document.sha256 for document in revisions.uploads(contract)]
        Document.update(kind="replaced").where(
            (Document.contract == contract) & (Document.kind == "upload")
        ).execute()
        change_kind(contract, "support", [flag for flag in contract.flags if flag not in MODES], now)
        audit.append(
            "document.removed", ("contract", contract.id), chain=contract.id, by=by, now=now,
            facts={"sha256s": gone},
        )  # fmt: skip


def change_kind(contract: Contract, kind: str, flags: list[str], now: datetime) -> None:
    contract.kind, contract.flags = kind, flags
    Contract.update(kind=kind, flags=flags, version=Contract.version + 1, updated_at=now).where(
        Contract.id == contract.id
    ).execute()
    contract.version += 1


@jobs.recurring("forget_uploads", timedelta(hours=6))
def forget_uploads(payload: dict[str, object], context: jobs.Context) -> None:
    """Drop files that were sent and never used."""
    old = context.clock() - KEPT_FOR
    rows = Document.select().where(
        Document.contract.is_null() & (Document.kind == "upload") & (Document.created_at < old)
    )
    for document in list(rows.limit(500)):
        with transaction():
            context.hold()
            Document.delete().where((Document.id == document.id) & Document.contract.is_null()).execute()
        installation.current().store.delete(document.storage_key)
