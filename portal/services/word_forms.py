"""A revision as a Word file that can be changed and brought back: clauses as paragraphs, terms as tables.

Every clause, heading and figure lies in a content control whose tag names its place; tables also show
the key of each row. The first paragraph carries the revision. `word_returns` reads such a file back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from portal.documents import clause_lines, markdown, word_write
from portal.documents.clause_lines import CELLS, Chunk, Words
from portal.documents.word_write import Block, Paragraph, Run, Table
from portal.i18n import NAMES, use
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Revision
from portal.services import layouts
from portal.sla import rows

BOLD = re.compile(r"\*\*([^*{}\[\]]+)\*\*")


@dataclass
class Form:
    """What the file says, so that what comes back can be compared: every place and every fixed text."""

    lines: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # (clause key, language)
    headings: dict[tuple[str, str], str] = field(default_factory=dict)
    figures: dict[str, tuple[str, str]] = field(default_factory=dict)  # row key -> (label, value)
    fixed: dict[str, str] = field(default_factory=dict)  # name -> text
    heads: list[str] = field(default_factory=list)


def words_of(contract: Contract, revision: Revision, language: str) -> Words:
    numbers = {each["key"]: each["number"] for each in markdown.number_clauses(revision.clauses)}
    return Words(layouts.variable_words(contract, revision, language), numbers)


def described(contract: Contract, revision: Revision) -> Form:
    """The texts of the file of a revision, without making it."""
    made = Form()
    with use(contract.prevailing_language):
        made.fixed = fixed_texts(contract, revision)
        made.heads = [_("Key"), _("What"), _("Value")]
    for row in rows.rows(revision.terms, contract.prevailing_language):  # type: ignore[arg-type]
        made.figures[row.key] = (row.label, row.text)
    for language in contract.languages:
        words = words_of(contract, revision, language)
        for clause in markdown.number_clauses(revision.clauses):
            place = (clause["key"], language)
            made.headings[place] = f"{clause['number']} {clause['heading'].get(language, '')}".strip()
            made.lines[place] = clause_lines.lines_of(clause["text"].get(language, ""), words)
    return made


def fixed_texts(contract: Contract, revision: Revision) -> dict[str, str]:
    """What stands in the file and is no place of the contract: a change of it is listed."""
    note = _(
        "%(reference)s, revision %(number)s. Change words and values here, with changes tracked, and send "
        "the file back. A value keeps its form: a number with its unit.",
        reference=contract.reference, number=revision.number,
    )  # fmt: skip
    groups = {f"group.{key}": str(name) for key, name in rows.GROUPS.items()}
    languages = {
        f"language.{language}": _("Wording, %(language)s", language=NAMES[language])
        for language in contract.languages
    }
    return {"title": contract.title, "note": note, **groups, **languages}


def made(contract: Contract, revision: Revision, *, author: str, at: datetime) -> bytes:
    """The file itself."""
    form = described(contract, revision)
    blocks: list[Block] = [
        Paragraph([Run(form.fixed["title"], tag="fixed.title")], "Title", tag=f"revision.{revision.id}"),
        Paragraph([Run(form.fixed["note"], tag="fixed.note")], "Note"),
        *figure_blocks(contract, revision, form),
    ]
    for language in contract.languages:
        blocks.append(fixed(form, f"language.{language}"))
        blocks += clause_blocks(contract, revision, form, language)
    return word_write.document(blocks, title=contract.title, author=author, at=at)


def fixed(form: Form, name: str) -> Paragraph:
    return Paragraph([Run(form.fixed[name], tag=f"fixed.{name}")], "Heading1")


def figure_blocks(contract: Contract, revision: Revision, form: Form) -> Iterator[Block]:
    """A table for each group, its rows known by the key in the first column."""
    found = rows.rows(revision.terms, contract.prevailing_language)  # type: ignore[arg-type]
    head = [[Run(name, bold=True)] for name in form.heads]
    for group in rows.GROUPS:
        mine = [row for row in found if row.group == group]
        yield fixed(form, f"group.{group}")
        if mine:
            body = [
                [
                    [Run(row.key, tag=f"key.{row.key}")],
                    [Run(row.label)],
                    [Run(row.text, tag=f"terms.{row.key}")],
                ]
                for row in mine
            ]
            yield Table([head, *body], (3000, 3400, 2898))


def clause_blocks(contract: Contract, revision: Revision, form: Form, language: str) -> Iterator[Block]:
    words = words_of(contract, revision, language)
    for clause in revision.clauses:
        place = (clause["key"], language)
        tag = f"clauses.{clause['key']}.{language}"
        yield Paragraph([Run(form.headings[place])], "Heading2", tag=f"heading.{clause['key']}.{language}")
        for chunk in clause_lines.chunks(clause["text"].get(language, ""), words):
            yield from chunk_blocks(chunk, tag)


def chunk_blocks(chunk: Chunk, tag: str) -> Iterator[Block]:
    if chunk.kind == "table":
        yield Table([[[Run(cell, tag=tag)] for cell in line.split(CELLS)] for line in chunk.lines])
        return
    for line in chunk.lines:
        yield Paragraph(
            bold_runs(line, chunk.source), "ListParagraph" if chunk.kind == "list" else "", tag=tag
        )


def bold_runs(line: str, source: str) -> list[Run]:
    """The line with the words that its Markdown sets bold."""
    phrases = [re.escape(phrase) for phrase in BOLD.findall(source) if phrase in line]
    if not phrases:
        return [Run(line)]
    pieces = re.split(f"({'|'.join(phrases)})", line)
    return [Run(piece, bold=at % 2 == 1) for at, piece in enumerate(pieces) if piece]
