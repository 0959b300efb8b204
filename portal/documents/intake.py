"""Somebody else's PDF, taken in: refused with a reason, or made harmless and flat.

Everything that opens the file happens in a child (`sanitise`). What comes back is one revision
without scripts, actions, forms, attachments or layers; the same upload gives the same bytes.
Signatures that were in it are named, since rewriting ends them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from portal.documents import children
from portal.documents.children import ChildFailed
from portal.documents.frames import Refused
from portal.documents.render import Rendered
from portal.i18n import format_number, ngettext
from portal.i18n import gettext as _

MEGABYTE = 1024 * 1024
MAX_BYTES = 25 * MEGABYTE
MAX_PAGES = 500
MAX_DECOMPRESSED = 200 * MEGABYTE
SECONDS = 20
MEMORY_MB = 512

FAILURES = {"timeout": "took_too_long", "memory": "too_much_data", "crashed": "broken"}


@dataclass(frozen=True)
class Admitted:
    """A file that is safe to show, and what was in it before.

    `had_signatures` are the signers' names (or field names), `removed` codes for `removal_sentence`,
    `sizes` width and height of each page in points as it is seen.
    """

    pdf: bytes
    pages: int
    had_signatures: list[str]
    removed: list[str]
    sizes: list[tuple[float, float]]


def admit(
    content: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_pages: int = MAX_PAGES,
    max_decompressed: int = MAX_DECOMPRESSED,
    pool: children.Pool | None = None,
) -> Admitted:
    """The upload made harmless. Raises Refused with a code for `refusal_sentence`, or Busy."""
    if not content:
        raise Refused("empty")
    if len(content) > max_bytes:
        raise Refused("too_large", most_mb=max_bytes // MEGABYTE)
    if b"%PDF-" not in content[:1024]:
        raise Refused("not_pdf")
    limits = {"max_pages": max_pages, "max_decompressed": max_decompressed}
    result = _child("intake", limits, {"pdf": content}, pool)
    return Admitted(
        pdf=result.files["pdf"],
        pages=result.values["pages"],
        had_signatures=result.values["had_signatures"],
        removed=result.values["removed"],
        sizes=[(width, height) for width, height in result.values["sizes"]],
    )


def append_pages(pdf: bytes, extra: Rendered, *, pool: children.Pool | None = None) -> Rendered:
    """An admitted file with the rendered pages behind it, and their placements where they now are."""
    result = _child("append_pages", {}, {"pdf": pdf, "extra": extra.pdf}, pool)
    before = result.values["pages_before"]
    shifted = [replace(placement, page=placement.page + before) for placement in extra.placements]
    return Rendered(result.files["pdf"], before + extra.pages, shifted)


def _child(
    task: str, values: dict[str, Any], files: dict[str, bytes], pool: children.Pool | None
) -> children.Result:
    try:
        return (pool.run if pool else children.run)(
            task, values, files=files, seconds=SECONDS, memory_mb=MEMORY_MB
        )
    except ChildFailed as failure:
        raise Refused(FAILURES[failure.reason]) from failure


# --- What people read ----------------------------------------------------------------------


def refusal_sentence(code: str, params: dict[str, Any]) -> str:
    """Why a file was refused, in the current language."""
    if code == "too_many_pages":
        return ngettext(
            "This file has more than %(num)s page. Split it or send a shorter one.",
            "This file has more than %(num)s pages. Split it or send a shorter one.",
            int(params["most"]),
        )
    if code == "too_large":
        return _("This file is larger than %(size)s MB.", size=format_number(params["most_mb"]))
    if code == "bad_page_size":
        return _(
            "Page %(page)s has a size that cannot be shown. Print the document to a new PDF first.",
            page=format_number(params["page"]),
        )
    return {
        "empty": _("This file is empty."),
        "not_pdf": _("This file is not a PDF."),
        "encrypted": _("This PDF is protected. Save a copy without a password or restrictions first."),
        "broken": _("This PDF is damaged or cut off. Print the document to a new PDF and try again."),
        "too_much_data": _("This PDF unpacks to far more data than a document needs, so it was not opened."),
        "took_too_long": _("This PDF took too long to read, so it was not taken."),
        "active_content_only": _(
            "This PDF is a form that builds its pages with a program; there is no text to sign."
            " Print it to a new PDF first."
        ),
        "portfolio": _("This PDF is a folder of other files. Send the document itself."),
        "still_active": _("This PDF holds programs or actions that could not be taken out."),
    }.get(code, _("This file cannot be used."))


def removal_sentence(code: str) -> str:
    """What was taken out of a file, in the current language."""
    return {
        "actions": _("Actions that run when the file is opened or a page is turned"),
        "annotations": _("Comments and marks: what they show is now part of the page"),
        "attachments": _("Attached files"),
        "external_pictures": _("Pictures and data kept outside the file or shown only in print"),
        "forms": _("Form fields: what was filled in is now part of the page"),
        "layers": _("Layers: what was visible is now the page, what was hidden is gone"),
        "links": _("Links that do more than open a page or a web address"),
        "metadata": _("Hidden information about the file"),
        "media": _("Sound, video and 3D content"),
        "scripts": _("Programs (JavaScript)"),
        "signatures": _("Digital signatures: they cannot outlast a change of the file"),
    }.get(code, _("Other active content"))


# --- In the child --------------------------------------------------------------------------


def admit_task(values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    from portal.documents import sanitise

    return sanitise.clean(files["pdf"], values["max_pages"], values["max_decompressed"])


def append_pages_task(
    values: dict[str, Any], files: dict[str, bytes]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    from portal.documents import sanitise

    before, joined = sanitise.join(files["pdf"], files["extra"])
    return {"pages_before": before}, {"pdf": joined}
