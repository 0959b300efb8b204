"""Who saw the files of a contract with protected health information, and when: in the trail."""

from __future__ import annotations

from datetime import datetime

from portal.models.base import transaction
from portal.models.contracts import Contract, Document
from portal.services import audit
from portal.services.audit import Actor


def note(
    contract: Contract, document: Document, *, by: Actor, now: datetime, page: int | None = None
) -> None:
    """Record that a document, or the picture of one page, was shown or handed out.

    Nothing is written for a contract without PHI. Source: 45 CFR 164.312(b).
    """
    if not contract.has_phi:
        return
    facts = {"sha256": document.sha256}
    with transaction():
        audit.append(
            "document.viewed", ("document", document.id), chain=contract.id, by=by, now=now,
            facts=facts if page is None else {**facts, "page": page},
        )  # fmt: skip
