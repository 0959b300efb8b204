"""Search in what stands in contracts: clauses, terms as sentences, pages of files, the people in them.

A contract is found when every word typed begins a word of it, accents and capitals aside, wherever the
words stand. `note` is called where the trail is written and queues the job that reads the contract
anew; what it read is never stale for longer than that job waits. Pages of files with protected health
information are left out, since reading those leaves a mark of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.i18n import LANGUAGES, current
from portal.i18n import gettext as _
from portal.models.base import db, is_sqlite, transaction
from portal.models.contract_texts import ContractText
from portal.models.contracts import Contract, ContractContact, Document, PageImage, Revision
from portal.models.envelopes import Envelope, Recipient
from portal.models.people import Person
from portal.services import contract_search, jobs, permissions, revisions, text_changes, text_marks
from portal.services.text_marks import Piece
from portal.sla import sentences, shape

READ, SWEEP = text_changes.READ, "read_contract_texts"
PAGE_SIZE, AT_ONCE, MOST_SHOWN = 10, 200, 2
MARKUP = re.compile(r"\{\{[^}]*\}\}|\[\[[^\]]*\]\]|^[ >#]+|[*`]+", re.MULTILINE)
CLAUSE, TERM, PAGE, PERSON = "clause", "term", "page", "person"


@dataclass(frozen=True)
class Passage:
    """One stretch of a contract; `title` is a heading, or the name of the file."""

    kind: str
    title: str
    text: str
    language: str = ""
    document_id: str = ""
    number: int = 0

    @property
    def where(self) -> str:
        """What it is called for people."""
        if self.kind == PAGE:
            return _("%(file)s, page %(number)s", file=self.title, number=self.number)
        return _("People") if self.kind == PERSON else self.title


@dataclass(frozen=True)
class Hit:
    """A contract that was found, with the passages that show why, the words marked."""

    contract: Contract
    shown: list[tuple[Passage, list[Piece]]]


@dataclass
class Found:
    hits: list[Hit] = field(default_factory=list)
    next: int | None = None


# --- Writing --------------------------------------------------------------------------------------


def write(contract: Contract, now: datetime) -> None:
    """Keep the words of a contract as it stands, inside the caller's transaction."""
    found: set[str] = set()
    for each in passages(contract, LANGUAGES):
        found.update(contract_search.words(f"{each.title} {each.text}"))
    kept = {"words": " ".join(sorted(found)), "indexed_at": now}
    if not ContractText.update(kept).where(ContractText.contract == contract).execute():
        ContractText.insert(contract=contract, **kept).execute()


@jobs.handler(READ)
def read(payload: dict[str, Any], context: jobs.Context) -> None:
    with transaction():
        context.hold()
        contract = Contract.get_or_none(Contract.id == payload["contract"])
        if contract is not None:
            write(contract, context.clock())


@jobs.recurring(SWEEP, timedelta(minutes=10))
def sweep(_payload: dict[str, Any], context: jobs.Context) -> None:
    """Read what was never read, or changed since: after an update, a restore, an accident. Goes on
    until nothing is left."""
    while ids := unread(AT_ONCE):
        for contract_id in ids:
            with transaction():
                context.hold()
                write(Contract.get_by_id(contract_id), context.clock())
        context.renew()


def unread(most: int) -> list[str]:
    query = Contract.select(Contract.id).join(
        ContractText, peewee.JOIN.LEFT_OUTER, on=(ContractText.contract == Contract.id)
    )
    is_stale = ContractText.id.is_null() | (ContractText.indexed_at < Contract.updated_at)
    has_text = peewee.fn.EXISTS(Revision.select(Revision.id).where(Revision.contract == Contract.id))
    return [
        row.id for row in query.where(is_stale & has_text).order_by(Contract.updated_at.desc()).limit(most)
    ]


def rebuild(now: datetime) -> int:
    """Throw the kept words away and have every contract read anew. Returns how many there were."""
    with transaction():
        jobs.add_again(SWEEP, {}, key=f"{SWEEP}:all", now=now)
        return int(ContractText.delete().execute())


# --- What stands in a contract --------------------------------------------------------------------


def passages(contract: Contract, languages: Sequence[str]) -> Iterator[Passage]:
    """Everything that can be found in a contract, those of the first language first."""
    revision = revisions.current(contract)
    for language in languages:
        for clause in revision.clauses:
            yield from clause_in(clause, language)
    for language in languages:
        yield from terms_in(contract, revision.terms, language)
    yield from people_in(contract)
    if not contract.has_phi:
        yield from pages_in(contract)


def clause_in(clause: dict[str, Any], language: str) -> Iterator[Passage]:
    text = clause["text"].get(language)
    if text:
        heading = clause["heading"].get(language, "")
        yield Passage(CLAUSE, heading, MARKUP.sub(" ", text), language)


def terms_in(contract: Contract, terms: dict[str, Any], language: str) -> Iterator[Passage]:
    if revisions.terms_mode(contract) == revisions.NO_TERMS or shape.read(terms)[1]:
        return
    for each in sentences.sections(terms, language):  # type: ignore[arg-type]
        yield Passage(TERM, each.label, each.sentence, language)


def people_in(contract: Contract) -> Iterator[Passage]:
    """Names and addresses of who is asked, who is named, and who owns it."""
    told = [[each.get(n) for n in ("name", "email", "title", "organisation")] for each in contract.recipients]
    asked = Recipient.select().join(Envelope).where(Envelope.contract == contract)
    told += [[each.name, each.email, each.title, each.organisation] for each in asked]
    for row in ContractContact.select().where(ContractContact.contract == contract):
        one = row.contact or row.person
        told += [[one.name, one.email]] if one is not None else []
    told.append([contract.owner.name])
    lines = dict.fromkeys(", ".join(str(part) for part in parts if part) for parts in told)
    for line in lines:
        yield Passage(PERSON, "", line)


def pages_in(contract: Contract) -> Iterator[Passage]:
    """Pages of files that were not made from the clauses: uploads, and what came back signed."""
    rows = PageImage.select(PageImage.number, PageImage.text, Document.id, Document.file_name).join(Document)
    is_read = (Document.contract == contract) & Document.kind.in_(("upload", "executed"))
    for row in rows.where(is_read).order_by(Document.created_at.desc(), PageImage.number):
        name = row.document.file_name
        yield Passage(PAGE, name, row.text, document_id=row.document.id, number=row.number)


# --- Finding --------------------------------------------------------------------------------------


def search(person: Person, typed: str, *, before: int | None = None, size: int = PAGE_SIZE) -> Found:
    """Contracts in which every word typed begins a word, the newest first; none for whoever may read none.

    `before` is the `next` of an earlier page.
    """
    wanted = contract_search.wanted_words(typed)
    if not wanted or not permissions.allows(person, "contract.read"):
        return Found()
    rows = matches(wanted, before, size + 1)
    ids = [contract_id for _row, contract_id in rows[:size]]
    contracts = {each.id: each for each in Contract.select().where(Contract.id.in_(ids))} if ids else {}
    hits = [Hit(contracts[each], shown(contracts[each], wanted)) for each in ids if each in contracts]
    return Found(hits, rows[size - 1][0] if len(rows) > size else None)


def matches(wanted: Iterable[str], before: int | None, most: int) -> list[tuple[int, str]]:
    if is_sqlite():
        match = " ".join(f'"{word}"*' for word in wanted)
        sql = (
            "SELECT t.id, t.contract_id FROM contract_text_words w "
            "CROSS JOIN contract_text t ON t.id = w.rowid "
            "WHERE contract_text_words MATCH ? AND w.rowid < ? ORDER BY w.rowid DESC LIMIT ?"
        )
    else:
        match = " & ".join(f"{word}:*" for word in wanted)
        sql = (
            "WITH hits AS MATERIALIZED (SELECT id FROM contract_text_words "
            "WHERE found @@ CAST(%s AS tsquery) AND id < %s ORDER BY id DESC LIMIT %s) "
            "SELECT t.id, t.contract_id FROM hits JOIN contract_text t ON t.id = hits.id ORDER BY t.id DESC"
        )
    return list(db.execute_sql(sql, (match, before or 2**31 - 1, most)).fetchall())


def shown(contract: Contract, wanted: Sequence[str]) -> list[tuple[Passage, list[Piece]]]:
    """The passages that hold most of the words, in the reader's language where it can be."""
    mine = current()
    languages = [mine, *(each for each in LANGUAGES if each != mine)]
    best: list[tuple[int, int, Passage]] = []
    for number, each in enumerate(passages(contract, languages)):
        # Words of the text before words of its heading, which are not marked.
        count = 2 * text_marks.count(each.text, wanted) + text_marks.count(each.title, wanted)
        if count:
            best.append((-count, number, each))
    best.sort(key=lambda found: found[:2])
    return [(each, text_marks.excerpt(each.text, wanted)) for _count, _number, each in best[:MOST_SHOWN]]
