"""Two revisions of a contract beside each other: clauses word by word, terms from what to what.

On the page, as PDF and as a Word file with tracked changes: all three show the same stretches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.documents import children, markdown, redline, redline_pdf, word_write
from portal.documents.redline import Op
from portal.documents.word_write import Block, Paragraph, Run, Table
from portal.errors import Invalid
from portal.i18n import format_datetime, use
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Revision
from portal.services import documents, drafts, layouts
from portal.sla import rows, sentences
from portal.sla.terms import Terms

SAME, CHANGED, ADDED, REMOVED = "same", "changed", "added", "removed"


@dataclass(frozen=True)
class ClauseChange:
    """One clause in both texts; `heading` and `text` by language as stretches."""

    key: str
    number: str
    state: str  # same | changed | added | removed
    heading: dict[str, list[Op]]
    text: dict[str, list[Op]]


@dataclass(frozen=True)
class TermChange:
    """One row, or a whole section of the terms that is no row, from what to what; "–" for nothing."""

    key: str
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Redline:
    clauses: list[ClauseChange]
    terms: list[TermChange]

    @property
    def is_empty(self) -> bool:
        return not self.terms and all(each.state == SAME for each in self.clauses)


def between(contract: Contract, old: Revision, new: Revision, language: str) -> Redline:
    """Everything in which two revisions differ; labels of terms in the reader's language."""
    return Redline(
        clause_changes(contract, old, new),
        term_changes(old.terms, new.terms, language),  # type: ignore[arg-type]
    )


def clause_changes(contract: Contract, old: Revision, new: Revision) -> list[ClauseChange]:
    """Every clause of both, in the order of the new text; what was taken out stands where it stood."""
    before = {each["key"]: each for each in old.clauses}
    after = {each["key"]: each for each in new.clauses}
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(old.clauses)}
    numbers |= {each["key"]: each["number"] for each in markdown.number_clauses(new.clauses)}
    found = []
    for key in in_order([each["key"] for each in old.clauses], [each["key"] for each in new.clauses]):
        was, is_now = before.get(key), after.get(key)
        heading, text = {}, {}
        for language in contract.languages:
            heading[language] = redline.words(
                said(was, "heading", language), said(is_now, "heading", language)
            )
            text[language] = redline.words(
                plain(contract, old, was, language), plain(contract, new, is_now, language)
            )
        changed = any(redline.is_changed(ops) for ops in (*heading.values(), *text.values()))
        state = ADDED if was is None else REMOVED if is_now is None else CHANGED if changed else SAME
        found.append(ClauseChange(key, numbers[key], state, heading, text))
    return found


def in_order(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The keys of the new text, with those taken out behind the one they followed."""
    found = list(new)
    for at, key in enumerate(old):
        if key not in found:
            before = old[at - 1] if at else None
            found.insert(found.index(before) + 1 if before in found else 0, key)
    return found


def said(clause: dict[str, Any] | None, part: str, language: str) -> str:
    return str(clause[part].get(language, "")) if clause else ""


def plain(contract: Contract, revision: Revision, clause: dict[str, Any] | None, language: str) -> str:
    """A clause as its reader sees it; a mark that means nothing stays visible."""
    text = said(clause, "text", language)
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(revision.clauses)}
    try:
        return markdown.plain_text(text, layouts.variable_words(contract, revision, language), numbers)
    except (markdown.UnknownVariable, markdown.UnknownReference):
        return markdown.plain_text(text)
    except markdown.TooLong:
        return text


def term_changes(old: Terms, new: Terms, language: str) -> list[TermChange]:
    """Row by row; then the sections that are said differently though no row of theirs changed."""
    before, after = rows.by_key(old, language), rows.by_key(new, language)
    found = []
    for key in in_order(list(before), list(after)):
        was, is_now = before.get(key), after.get(key)
        if was is None or is_now is None or was.value != is_now.value:
            row = is_now or was
            label = row.label if row else key
            found.append(TermChange(key, label, was.text if was else "–", is_now.text if is_now else "–"))
    shown = {drafts.section_for(each.key) for each in found}
    for section, paths in drafts.SECTIONS.items():
        same = all(drafts.value_at(old, path) == drafts.value_at(new, path) for path in paths)
        if not same and section not in shown:
            found += said_differently(old, new, section, language)
    return found


def said_differently(old: Terms, new: Terms, section: str, language: str) -> list[TermChange]:
    """The sentences of one section that differ; a change nobody says in words is named all the same."""
    found = [
        TermChange(each.key, each.label, each.was or "–", each.now or "–")
        for each in sentences.differences(new, old, language)
        if drafts.section_for(each.key) == section
    ]
    if found:
        return found
    with use(language):
        return [TermChange(section, SECTION_NAMES[section](), _("as before"), _("changed"))]


SECTION_NAMES = {
    "calendars": lambda: _("Hours"),
    "severities": lambda: _("Severities"),
    "clocks": lambda: _("Clocks"),
    "peaks": lambda: _("Peak seasons"),
    "uptime": lambda: _("Uptime"),
    "credits": lambda: _("Service credits"),
    "maintenance": lambda: _("Maintenance"),
    "release": lambda: _("Releases"),
    "scope": lambda: _("Scope"),
    "escalation": lambda: _("Escalation"),
    "money": lambda: _("Money"),
    "dates": lambda: _("Dates"),
    "liability": lambda: _("Liability"),
    "law": lambda: _("Law"),
}


# -- Files ------------------------------------------------------------------------------------------


def title_of(contract: Contract, old: Revision, new: Revision) -> str:
    return _(
        "%(reference)s: revision %(old)s compared with %(new)s",
        reference=contract.reference, old=old.number, new=new.number,
    )  # fmt: skip


def as_docx(contract: Contract, old: Revision, new: Revision, language: str, *, at: datetime) -> bytes:
    """A Word file that reads as the newer revision, with each difference as a tracked change."""
    found = between(contract, old, new, language)
    author = str(new.author.name) if new.author else "Countersign"
    with use(language):
        blocks: list[Block] = [Paragraph([Run(contract.title)], "Title")]
        blocks.append(Paragraph([Run(title_of(contract, old, new))], "Note"))
        if found.terms:
            blocks.append(Paragraph([Run(_("Figures"))], "Heading1"))
            blocks.append(term_table(found.terms))
    for chosen in contract.languages:
        for clause in found.clauses:
            blocks += clause_blocks(clause, chosen)
    return word_write.document(blocks, title=contract.title, author=author, at=at)


def term_table(terms: Sequence[TermChange]) -> Table:
    head = [[Run(_("What"), bold=True)], [Run(_("Value"), bold=True)]]
    return Table(
        [
            head,
            *([[Run(each.label)], [Run(each.before, "delete"), Run(each.after, "insert")]] for each in terms),
        ],
        (3600, 5698),
    )


def clause_blocks(clause: ClauseChange, language: str) -> list[Block]:
    mark = {ADDED: "insert", REMOVED: "delete"}.get(clause.state, "equal")
    heading = [
        Run(f"{clause.number} ", mark),
        *(Run(each.text, each.op) for each in clause.heading[language]),
    ]
    blocks: list[Block] = [Paragraph(heading, "Heading2", mark=mark)]
    for stretch in redline.paragraphs(clause.text[language]):
        ends = stretch[-1]
        mark = ends.op if ends.text.endswith("\n\n") else mark
        runs = [Run(each.text.removesuffix("\n\n"), each.op) for each in stretch]
        blocks.append(Paragraph([run for run in runs if run.text], mark=mark))
    return blocks


def as_pdf(contract: Contract, old: Revision, new: Revision, language: str, *, at: datetime) -> bytes:
    """The differences on paper: deleted words struck through, inserted ones underlined.

    Raises Invalid or Unavailable with a sentence.
    """
    found = between(contract, old, new, language)
    with use(language):
        layout: dict[str, Any] = {
            "language": language,
            "title": contract.title,
            "lead": title_of(contract, old, new),
            "legend": _("Deleted words are struck through, inserted words are underlined."),
            "made": _("Made on %(at)s", at=format_datetime(at, place=True)),
            "terms_title": _("Figures"),
            "head": [_("What"), _("Before"), _("Now")],
            "terms": [[each.label, each.before, each.after] for each in found.terms],
            "footer": contract.reference,
            "page_of": _("Page {page} of {pages}"),
            "nothing": _("Nothing differs."),
        }
    layout["clauses"] = [
        {
            "number": each.number,
            "heading": stretches(each.heading[chosen]),
            "paragraphs": [stretches(part) for part in redline.paragraphs(each.text[chosen])],
        }
        for chosen in contract.languages
        for each in found.clauses
        if each.state != SAME
    ]
    try:
        return redline_pdf.made(layout, at=at, pool=documents.POOL)
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error
    except children.Refused as refused:
        raise Invalid({"": _("A character of this text cannot be printed.")}) from refused


def stretches(ops: Sequence[Op]) -> list[dict[str, str]]:
    return [{"op": each.op, "text": each.text.rstrip("\n")} for each in ops if each.text.strip("\n")]
