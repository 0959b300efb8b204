"""The one-page sample PDF that a consumer opens to show that PDFs can be read on their device."""

from __future__ import annotations

from typing import Any

from portal.documents import children

TEXTS = {
    "en": {
        "title": "Sample document",
        "text": "If you can read this page, you can read your contract. Go back and type this word:",
        "after": "This page is not a contract. Nothing on it is signed.",
        "footer": "Sample",
        "page_of": "Page {page} of {pages}",
    },
    "fr": {
        "title": "Document d’essai",
        "text": "Si vous pouvez lire cette page, vous pourrez lire votre contrat. Revenez en arrière et "
        "saisissez ce mot :",
        "after": "Cette page n’est pas un contrat. Rien de ce qui s’y trouve n’est signé.",
        "footer": "Essai",
        "page_of": "Page {page} sur {pages}",
    },
}


def sample_pdf(word: str, language: str, *, pool: children.Pool | None = None) -> bytes:
    """The sample with its word. Raises ChildFailed or Busy."""
    task = {"word": word, "language": language}
    return (pool.run if pool else children.run)("render_demonstration", task).files["pdf"]


def task(values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """In the child."""
    from portal.documents import render

    content = {**TEXTS[values["language"]], **values}
    pdf, _found = render._compile(
        "demonstration", content, at="2026-01-01T00:00:00Z", standards=render.ARCHIVE
    )
    return {}, {"pdf": pdf}
