"""One PDF that many people sign, each their own copy: the page to sign on names nobody.

So the bytes are the same for everyone, are made once, and a provider can send them to all in one call.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.documents import children, intake, render
from portal.errors import Invalid
from portal.models.base import transaction
from portal.models.contracts import Contract, Document, Revision
from portal.models.parties import LegalEntity
from portal.services import documents, layouts, revisions

SIGNER: dict[str, Any] = {
    "key": "theirs-1", "side": "theirs", "role": "signer", "routing_order": 1,
    "name": "", "title": "", "organisation": "",
}  # fmt: skip


def shown_to_all(upload: Document, entity: LegalEntity, title: str, language: str, now: datetime) -> Document:
    """The upload with a page to sign on, stored with its pictures. Raises Invalid or Unavailable."""
    nobody = Contract(
        reference=f"PDF-{upload.sha256[:8].upper()}", title=title, side="supplier", kind="file",
        entity=entity, counterparty=None, languages=[language], recipients=[SIGNER], flags=[],
    )  # fmt: skip
    text = Revision(contract=nobody, number=1, clauses=[], terms={})
    try:
        page = layouts.signature_page(nobody, text, [upload], draft=False, at=now)
        behind = render.signature_page(page, pool=documents.POOL)
        rendered = intake.append_pages(documents.read(upload), behind, pool=documents.POOL)
        pages = documents.put_pages(rendered.pdf)
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error
    except children.Refused as refused:
        raise Invalid({"document": revisions.refusal(refused)}) from refused
    stored = documents.put(rendered.pdf)
    spots = [vars(each) for each in rendered.placements]
    with transaction():
        made = documents.record(
            stored, "bulk", file_name=upload.file_name, pages=rendered.pages,
            facts={"placements": spots}, now=now,
        )  # fmt: skip
        documents.record_pages(made, pages)
    return made
