"""Sample PDFs for consumers (L-08): one for each word and language, made once and kept."""

from __future__ import annotations

from typing import Any

from portal.documents import children, demonstration
from portal.models.contracts import Document
from portal.models.envelopes import Recipient
from portal.services import consent_texts, consents, documents, jobs

KIND = "demonstration"


def pdf(recipient: Recipient, language: str) -> bytes:
    """The sample with this recipient's word. Reads only: one that is not kept yet is made in a child.

    Raises Unavailable when no child could be had.
    """
    language = language if language in consent_texts.WORDS else "en"
    word = consents.word_for(recipient, language)
    kept = Document.get_or_none((Document.kind == KIND) & (Document.file_name == name_of(word, language)))
    if kept is not None:
        return documents.read(kept)
    try:
        return demonstration.sample_pdf(word, language, pool=documents.POOL)
    except (children.Busy, children.ChildFailed) as error:
        raise documents.unavailable(error) from error


def name_of(word: str, language: str) -> str:
    return f"sample-{language}-{word}.pdf"


@jobs.handler("make_demonstration")
def make(payload: dict[str, Any], context: jobs.Context) -> None:
    """Make and keep the samples of one recipient, ahead of their visit. Safe to run twice."""
    recipient = Recipient.get_by_id(payload["recipient"])
    for language in consent_texts.WORDS:
        word = consents.word_for(recipient, language)
        name = name_of(word, language)
        if Document.select().where((Document.kind == KIND) & (Document.file_name == name)).exists():
            continue
        made = demonstration.sample_pdf(word, language)
        documents.add(made, KIND, file_name=name, now=context.clock(), pages=1)
