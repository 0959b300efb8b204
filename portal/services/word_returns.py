"""A Word file that comes back: each changed cell a proposed figure, each changed clause a proposed wording.

The file is compared with the revision it was made from. What can be assigned to no place is listed and
keeps both sides from agreeing until somebody has settled it: nothing that differs is passed over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from portal.documents import children, clause_lines, word_read
from portal.documents.clause_lines import CELLS, squeeze
from portal.documents.frames import Refused
from portal.documents.word_read import Change, Row
from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Comment, Proposal
from portal.services import (
    agreements,
    audit,
    contract_states,
    documents,
    negotiation,
    negotiation_news,
    word_forms,
)
from portal.services.agreements import THEIRS
from portal.services.word_forms import Form
from portal.sla import rows

LARGEST = 20 * 1024 * 1024
Place = tuple[str, str]


@dataclass
class Reading:
    """What a file says of each place, and what fits nowhere."""

    lines: dict[Place, list[str]] = field(default_factory=lambda: defaultdict(list))
    headings: dict[Place, str] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    comments: list[tuple[str, word_read.Comment]] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    has_tags: bool = False


@dataclass(frozen=True)
class Returned:
    """What became of a file: counts for the page."""

    proposals: int
    comments: int
    unassigned: int


@dataclass(frozen=True)
class Found:
    """One difference: a place with what is asked for there, or words that fit nowhere."""

    place: str
    kind: str  # clause | term | unassigned
    before: Any
    after: Any


def take_in(contract: Contract, data: bytes, file_name: str, *, by: audit.Actor, now: datetime) -> Returned:
    """Compare a returned file with the revision it was made from and record what it asks for.

    The file is kept with the contract. Raises Invalid for a file that cannot be read or is not of this
    contract, Conflict outside negotiation.
    """
    told, extras = read(data)
    base = revision_of(contract, told)
    with use(contract.prevailing_language):
        form = word_forms.described(contract, base)
        reading = sorted_out(told, form)
        reading.leftovers += [_("In the header or footer: %(text)s", text=each) for each in extras]
        found = differences(contract, base, form, reading)
    stored = documents.put(data)
    with transaction():
        locked = lock_row(Contract.select().where(Contract.id == contract.id)).get()
        if locked.state not in negotiation.TALKING:
            raise Conflict(
                _("This contract is not being negotiated now: it is “%(state)s”.",
                  state=contract_states.NAMES[locked.state])
            )  # fmt: skip
        documents.record(
            stored, "returned", file_name=file_name, contract=contract, revision=base, now=now,
            facts={"differences": len(found)},
        )  # fmt: skip
        record(locked, base, found, reading, by=by, now=now, sha256=stored.sha256)
    count = Counter(each.kind == "unassigned" for each in found)
    return Returned(count[False], len(reading.comments), count[True])


def read(data: bytes) -> tuple[list[Row], list[str]]:
    if len(data) > LARGEST:
        raise Invalid({"file": _("The file is larger than 20 MB.")})
    if not data.startswith(b"PK\x03\x04"):
        raise Invalid({"file": _("Choose a Word file (.docx).")})
    try:
        return word_read.read(data, pool=documents.POOL)
    except Refused as refused:
        raise Invalid({"file": _("This Word file cannot be read.")}) from refused
    except (children.ChildFailed, children.Busy) as error:
        raise documents.unavailable(error) from error


def revision_of(contract: Contract, told: list[Row]) -> Revision:
    """The revision the file was made from; where the file does not say, the last one shared."""
    named = word_read.revision_of(told)
    ours = (Revision.id == named) & (Revision.contract == contract)
    found: Revision | None = Revision.get_or_none(ours) if named else None
    if named and found is None:
        raise Invalid({"file": _("This file was made from another contract.")})
    found = found or agreements.last_shared(contract)
    if found is None:
        raise Conflict(_("Share the text first; then its Word file can come back."))
    return found


# -- Sorting what was read ----------------------------------------------------------------------------


def sorted_out(told: Iterable[Row], form: Form) -> Reading:
    """Each paragraph and each row of a table to its place."""
    made = Reading()
    by_heading = {squeeze(text): place for place, text in form.headings.items()}
    known = {squeeze(text): name for name, text in form.fixed.items()}
    here: Place | None = None
    for row in told:
        if word_read.NOTE in row.tags:
            made.leftovers.append(_("In a note: %(text)s", text=row.text))
            continue
        if row.cells:
            here = table_row(row, form, made, here)
            continue
        here = paragraph(row, made, here, by_heading, known)
    return made


def table_row(row: Row, form: Form, made: Reading, here: Place | None) -> Place | None:
    """A row of figures by its key, a row of a clause's table by its tag or by where it stands."""
    tags = [tag for each in row.cell_tags for tag in each]
    clause = next((place_of(tag, "clauses.") for tag in tags if tag.startswith("clauses.")), None)
    key = (
        next((tag.removeprefix("terms.") for tag in tags if tag.startswith("terms.")), "")
        or row.cells[0].strip()
    )
    if clause is None and key in form.figures and len(row.cells) >= 3:
        made.has_tags = made.has_tags or bool(tags)
        made.figures[key] = row.cells[2]
        note(made, f"terms.{key}", row)
        stands = (row.cells[0], row.cells[1], *row.cells[3:])
        if [squeeze(each) for each in stands] != [squeeze(each) for each in (key, form.figures[key][0])]:
            made.leftovers.append(_("Beside a value: %(text)s", text=row.text.replace("\t", CELLS)))
        return None
    if [squeeze(cell) for cell in row.cells] == form.heads:
        return None
    place = clause or here
    if place is None:
        if row.text.strip():
            made.leftovers.append(row.text.replace("\t", CELLS))
        return None
    made.lines[place].append(CELLS.join(squeeze(cell) for cell in row.cells))
    note(made, f"clauses.{place[0]}", row)
    return place


def paragraph(
    row: Row, made: Reading, here: Place | None, by_heading: dict[str, Place], known: dict[str, str]
) -> Place | None:
    tags = {tag.partition(".")[0]: tag for tag in row.tags}
    text = squeeze(row.text)
    if "heading" in tags or (not tags and text in by_heading):
        place = place_of(tags["heading"], "heading.") if "heading" in tags else by_heading[text]
        made.has_tags = made.has_tags or "heading" in tags
        made.headings[place] = row.text
        note(made, f"clauses.{place[0]}", row)
        return place
    if "fixed" in tags or (not tags and text in known):
        name = tags["fixed"].removeprefix("fixed.") if "fixed" in tags else known[text]
        made.fixed[name] = row.text
        note(made, "", row)
        return None
    if "clauses" in tags:
        here = place_of(tags["clauses"], "clauses.")
    if not text:
        return here
    if here is None:
        made.leftovers.append(row.text)
        note(made, "", row)
        return None
    made.lines[here].append(row.text)
    note(made, f"clauses.{here[0]}", row)
    return here


def place_of(tag: str, prefix: str) -> Place:
    key, _dot, language = tag.removeprefix(prefix).rpartition(".")
    return key, language


def note(made: Reading, place: str, row: Row) -> None:
    made.changes[place] += row.changes
    made.comments += [(place, each) for each in row.comments]


# -- Comparing ------------------------------------------------------------------------------------------


def differences(contract: Contract, base: Revision, form: Form, reading: Reading) -> list[Found]:
    """Everything in which the file differs from the revision it was made from."""
    found = [*figure_differences(base, form, reading), *clause_differences(contract, base, form, reading)]
    for name, text in form.fixed.items():
        if squeeze(reading.fixed.get(name, "")) != squeeze(text):
            said = reading.fixed.get(name, "–")
            found.append(leftover(_("“%(before)s” became “%(after)s”", before=text, after=said)))
    return found + [leftover(text) for text in reading.leftovers]


def leftover(text: str) -> Found:
    return Found("", "unassigned", None, text)


def figure_differences(base: Revision, form: Form, reading: Reading) -> Iterator[Found]:
    for key, (label, text) in form.figures.items():
        if key not in reading.figures:
            yield leftover(_("The row “%(label)s” was taken out.", label=label))
            continue
        typed = reading.figures[key]
        if squeeze(typed) == squeeze(text):
            continue
        try:
            value = rows.read(base.terms, key, typed)  # type: ignore[arg-type]
        except rows.Unreadable as unreadable:
            said = _("%(label)s: “%(typed)s”. %(why)s", label=label, typed=typed, why=unreadable)
            yield leftover(said)
            continue
        before = rows.value_at(base.terms, key)  # type: ignore[arg-type]
        if value != before:
            yield Found(f"terms.{key}", "term", before, value)


def clause_differences(contract: Contract, base: Revision, form: Form, reading: Reading) -> Iterator[Found]:
    words = {language: word_forms.words_of(contract, base, language) for language in contract.languages}
    for clause in base.clauses:
        key = clause["key"]
        places = [(key, language) for language in contract.languages]
        if not any(place in reading.headings or reading.lines.get(place) for place in places):
            gone = _("The clause “%(name)s” is not in the file.", name=form.headings[places[0]])
            yield (
                Found(f"clauses.{key}", "clause", clause["text"], None)
                if reading.has_tags
                else leftover(gone)
            )
            continue
        after = {}
        for place in places:
            yield from heading_difference(form, reading, place)
            lines = [line for line in reading.lines.get(place, []) if line.strip()]
            if [squeeze(line) for line in lines] == form.lines[place]:
                continue
            try:
                after[place[1]] = clause_lines.rebuilt(
                    clause["text"].get(place[1], ""), lines, words[place[1]]
                )
            except ValueError:
                yield leftover("\n".join(lines))
        if after:
            yield Found(f"clauses.{key}", "clause", clause["text"], {**clause["text"], **after})


def heading_difference(form: Form, reading: Reading, place: Place) -> Iterator[Found]:
    before, now = form.headings[place], reading.headings.get(place, "–")
    if squeeze(before) != squeeze(now):
        yield leftover(_("The heading “%(before)s” became “%(after)s”", before=before, after=now))


# -- Recording -------------------------------------------------------------------------------------------


def record(
    contract: Contract,
    base: Revision,
    found: list[Found],
    reading: Reading,
    *,
    by: audit.Actor,
    now: datetime,
    sha256: str,
) -> None:
    """Proposals and comments in the names of those the file names, inside the caller's transaction."""
    for each in found:
        changes = reading.changes.get(each.place, []) if each.place else []
        Proposal.add(
            contract=contract, revision=base, place=each.place, kind=each.kind, before=each.before,
            after=each.after, side=THEIRS, author_name=author_of(changes, reading), source="word",
            tracked=[asdict(change) for change in changes], created_at=now,
        )  # fmt: skip
    for place, said in reading.comments:
        Comment.add(
            contract=contract, revision=base, place=place, side=THEIRS, source="word", created_at=now,
            author_name=said.author or _("Word file"),
            text=said.text if not said.about else f"“{said.about}”: {said.text}",
        )  # fmt: skip
    audit.append(
        "contract.file_returned", ("revision", base.id), chain=contract.id, by=by, now=now,
        facts={
            "sha256": sha256, "number": base.number, "comments": len(reading.comments),
            "proposals": sum(each.kind != "unassigned" for each in found),
            "unassigned": sum(each.kind == "unassigned" for each in found),
        },
    )  # fmt: skip
    if found:
        agreements.void(contract, by=by, now=now)
    if found or reading.comments:
        negotiation_news.tell(contract, THEIRS, now=now)


def author_of(changes: list[Change], reading: Reading) -> str:
    """Who the file says changed it; where no change is tracked, whoever changed most of the rest."""
    every = changes or [change for each in reading.changes.values() for change in each]
    names = Counter(change.author for change in every if change.author)
    return names.most_common(1)[0][0] if names else _("Word file")
