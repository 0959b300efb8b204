"""What the templates in `typst/` are given: plain data, built by a service from a frozen revision.

Text by language is `{"en": "...", "fr": "..."}` with one entry for each of the layout's `languages`.
Times are ISO 8601 with an offset; they date the file and are not printed.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

ByLanguage = dict[str, str]
Block = dict[str, Any]  # of `markdown.blocks`


class Logo(TypedDict):
    """A picture in SVG, PNG or JPEG."""

    base64: str
    alt: str


class Party(TypedDict):
    name: str
    form: str
    registration: str
    address: str  # may hold line breaks
    role_label: str | ByLanguage  # the "Supplier"
    logo: NotRequired[Logo | None]


class Clause(TypedDict):
    """One numbered clause; `number` as `markdown.number_clauses` gives it ("4" or "4.2")."""

    key: str
    number: str
    heading: ByLanguage | None
    blocks: dict[str, list[Block]]


class Row(TypedDict):
    key: str
    cells: dict[str, list[str]]


class Table(TypedDict):
    key: str
    head: dict[str, list[str]]
    rows: list[Row]
    caption: ByLanguage | None


class Sentence(TypedDict):
    key: str
    label: ByLanguage
    text: ByLanguage


class Schedule(TypedDict):
    key: str
    title: ByLanguage
    tables: list[Table]
    sentences: list[Sentence]


class SignatureSpot(TypedDict):
    recipient_key: str
    for_party: str
    name: str
    title: str
    role_label: ByLanguage


class ContractLayout(TypedDict):
    """A contract. Two `languages` are set in facing columns, what is equal in both only once."""

    language: str
    languages: list[str]
    prevailing: str | None
    title: str
    titles: NotRequired[ByLanguage]  # where the title differs by language
    reference: str
    revision: int
    frozen_at: str
    draft: bool
    labels: dict[str, ByLanguage]  # language -> `labels.for_contract(language)`
    parties: list[Party]
    clauses: list[Clause]
    schedules: list[Schedule]
    signatures: list[SignatureSpot]


class ShownFile(TypedDict):
    name: str
    sha256: str
    pages: int
    size: str  # in words: "412 KB"


class SignaturePageLayout(TypedDict):
    """The page put behind an uploaded PDF. At most eight signatures fit on it."""

    language: str
    languages: list[str]
    title: str
    reference: str
    revision: int
    frozen_at: str
    draft: bool
    labels: dict[str, ByLanguage]
    parties: list[Party]
    files: list[ShownFile]
    signatures: list[SignatureSpot]


class LetterParty(TypedDict):
    name: str
    lines: list[str]


class LetterPart(TypedDict):
    """What a letter says in one language."""

    language: str
    subject: str
    paragraphs: list[str]


class LetterLayout(TypedDict):
    """A letter; every string but those of `parts` is in `language`. Empty strings leave their line out."""

    language: str
    title: str
    footer: str
    page_of: str
    draft: str
    dated: str
    dated_at: str
    sender: LetterParty
    addressee: LetterParty
    parts: list[LetterPart]
    signed_for: str
    signatory: str
    position: str
    signature: str  # the name as it was typed
    signed: str  # when and how


class CertificatePerson(TypedDict):
    """One recipient. An empty string or list leaves its line out."""

    name: str
    title: str
    organisation: str
    email: str
    role: str
    verified: list[str]  # one sentence for each factor
    consent: str  # "Version 3 of 1 Nov 2026, accepted in English"
    consent_sha256: str
    times: list[tuple[str, str]]  # label, time with zone
    ip: str
    intent: str  # word for word as agreed to
    authority: str


class CertificateEvent(TypedDict):
    at: str
    what: str
    who: str


class CertificateData(TypedDict):
    """A certificate of completion; every string is already in `language`."""

    language: str
    reference: str
    title: str
    completed_at: str
    completed: str  # the same time in words, with zone
    labels: ByLanguage  # `labels.for_certificate(language)`
    document_name: str
    document_sha256: str
    document_bytes: int
    document_pages: int
    shown_apart: NotRequired[bool]  # the document is a file of its own, not the first bytes of this one
    seal: list[str]  # sentences: by whom, at which level
    people: list[CertificatePerson]
    events: list[CertificateEvent]


class Stamp(TypedDict):
    """How one signature looks on its spot, in points; `drawn` is an SVG path of M, L, Q, C and Z."""

    kind: Literal["typed", "drawn"]
    name: str
    drawn: NotRequired[str]
    when: str
    width: float
    height: float
