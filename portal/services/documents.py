"""Files: their bytes encrypted in the store, their SHA-256, their pages as pictures and text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import failpoints
from portal.documents import children, images
from portal.errors import NotFound, Unavailable
from portal.i18n import gettext as _
from portal.models.base import new_id, transaction
from portal.models.contracts import Contract, Document, PageImage, Revision
from portal.services import installation

# At most so many documents are opened at once in one process; the rest waits its turn.
POOL = children.Pool(size=2, patience=10)
MOST_PAGES = 100_000  # of any document; larger numbers are not even asked for
UNSAFE_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\"/\\:*?<>|]+")


class Damaged(Exception):
    """A file in the store is not the one that was registered."""


@dataclass(frozen=True)
class Stored:
    """Bytes that lie in the store already and await their row."""

    storage_key: str
    sha256: str
    size_bytes: int


def put(content: bytes, folder: str = "documents") -> Stored:
    """Write bytes to the store, before the transaction that records them."""
    name = new_id()
    key = f"{folder}/{name[-2:]}/{name}"
    installation.current().store.put(key, content)
    return Stored(key, hashlib.sha256(content).hexdigest(), len(content))


def record(
    stored: Stored,
    kind: str,
    *,
    file_name: str,
    now: datetime,
    contract: Contract | None = None,
    revision: Revision | None = None,
    pages: int = 0,
    facts: dict[str, Any] | None = None,
    version: int = 1,
) -> Document:
    """The row of stored bytes, inside the caller's transaction."""
    made: Document = Document.add(
        contract=contract,
        revision=revision,
        kind=kind,
        file_name=safe_name(file_name),
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        pages=pages,
        storage_key=stored.storage_key,
        facts=facts or {},
        version=version,
        created_at=now,
    )
    return made


def add(content: bytes, kind: str, *, file_name: str, now: datetime, **about: Any) -> Document:
    """Store and record in one; call it outside transactions. `about` as in `record`."""
    stored = put(content)
    failpoints.reach("document.after_store")
    with transaction():
        return record(stored, kind, file_name=file_name, now=now, **about)


def read(document: Document) -> bytes:
    """The bytes of a document. Raises Damaged unless they are those that were registered."""
    content: bytes = installation.current().store.get(document.storage_key)
    if hashlib.sha256(content).hexdigest() != document.sha256:
        raise Damaged(document.id)
    return content


def get(contract: Contract, document_id: str) -> Document:
    """A document of this contract. Raises NotFound for any other."""
    found = Document.get_or_none((Document.id == document_id) & (Document.contract == contract))
    if found is None:
        raise NotFound
    return found


def of(contract: Contract, *kinds: str) -> list[Document]:
    """The contract's documents of these kinds, oldest first."""
    query = Document.select().where((Document.contract == contract) & Document.kind.in_(kinds))
    return list(query.order_by(Document.created_at, Document.id))


def safe_name(file_name: str) -> str:
    """A file name that is only a name, for downloads."""
    name = UNSAFE_IN_NAMES.sub(" ", file_name.rsplit("/", 1)[-1].rsplit("\\", 1)[-1])
    return " ".join(name.split()).strip(". ")[:120] or "document.pdf"


# -- Pages --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredPage:
    """One page whose picture lies in the store already."""

    image: images.PageImage
    stored: Stored


def put_pages(pdf: bytes) -> list[StoredPage]:
    """Make pictures of every page in a child and store them; before any transaction."""
    return [StoredPage(image, put(image.webp, "pages")) for image in images.page_images(pdf, pool=POOL)]


def record_pages(document: Document, pages: Sequence[StoredPage]) -> None:
    """The rows of stored pages, inside the caller's transaction."""
    rows = [
        {
            "document": document.id,
            "number": each.image.number,
            "width": each.image.width,
            "height": each.image.height,
            "text": each.image.text,
            "storage_key": each.stored.storage_key,
        }
        for each in pages
    ]
    for start in range(0, len(rows), 100):
        PageImage.insert_many(rows[start : start + 100]).execute()


def pages(document: Document) -> list[PageImage]:
    """Every page with its text; the pictures stay in the store."""
    return list(PageImage.select().where(PageImage.document == document).order_by(PageImage.number))


def page(document: Document, number: int) -> PageImage:
    """One page. Raises NotFound beyond the last."""
    wanted = (PageImage.document == document) & (PageImage.number == number)
    found = PageImage.get_or_none(wanted) if number <= MOST_PAGES else None
    if found is None:
        raise NotFound
    return found


def picture(image: PageImage) -> bytes:
    """The WebP picture of a page."""
    content: bytes = installation.current().store.get(image.storage_key)
    return content


def unavailable(error: Exception) -> Unavailable:
    """What people read when no child could be had or it gave no answer."""
    if isinstance(error, children.Busy):
        return Unavailable(_("Many documents are being made at this moment. Try again in a minute."))
    return Unavailable(_("The document could not be made in time. Try again in a minute."))
