"""A Word file (DOCX, ECMA-376) read without trust: its paragraphs, tables, tracked changes, comments.

Always in a child: a file may be a bomb or carry entities. Only what a reader sees is read; macros,
pictures and fields' codes are left alone.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from portal.documents import children
from portal.documents.frames import Refused

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
LARGEST_PART = 64 * 1024 * 1024
NEW, OLD = "new", "old"
NOTE = "note"  # the tag of what a footnote or an endnote says
# Tracked changes: what stands only in the older text, and only in the newer one.
ONLY_OLD = frozenset({f"{W}del", f"{W}moveFrom"})
ONLY_NEW = frozenset({f"{W}ins", f"{W}moveTo"})
SILENT = frozenset(
    {f"{W}pPr", f"{W}rPr", f"{W}tblPr", f"{W}sectPr", f"{W}instrText", f"{W}sdtPr", f"{MC}Fallback"}
)


@dataclass(frozen=True)
class Change:
    """One tracked change: inserted or deleted words, by whom and when as the file says."""

    op: str  # insert | delete
    text: str
    author: str
    at: str


@dataclass(frozen=True)
class Comment:
    author: str
    at: str
    text: str
    about: str  # the words it is on


@dataclass
class Row:
    """One paragraph, or one row of a table: `cells` then holds each cell's text.

    `tags` are the names of the content controls it lies in or holds, outermost first; `cell_tags`
    those of each cell; `style` is the paragraph's style id.
    """

    text: str
    tags: tuple[str, ...] = ()
    cells: list[str] = field(default_factory=list)
    cell_tags: list[tuple[str, ...]] = field(default_factory=list)
    style: str = ""
    changes: list[Change] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    is_bold: bool = False


def paragraphs(data: bytes, version: str = NEW) -> list[str]:
    """The text of every paragraph and table row in reading order; cells are parted by a tab."""
    return [row.text for row in rows(data, version)]


def rows(data: bytes, version: str = NEW) -> list[Row]:
    """Everything a reader sees, in order. `version` chooses the text before or after tracked changes.

    Raises Refused("broken" | "too_large").
    """
    file = _File(data)
    body = file.part("word/document.xml")
    found = list(_Reader(file.comments(), version).read(body.find(f"{W}body")))
    for name in ("word/footnotes.xml", "word/endnotes.xml"):
        notes = file.part(name, optional=True)
        if notes is not None:
            found += [row for note in notes if note.get(f"{W}type") is None
                      for row in _Reader({}, version).read(note, (NOTE,))]  # fmt: skip
    return found


def extras(data: bytes) -> list[str]:
    """What stands outside the running text: headers and footers, paragraph by paragraph."""
    file = _File(data)
    found = []
    for name in sorted(file.zip.namelist()):
        if name.startswith(("word/header", "word/footer")) and name.endswith(".xml"):
            found += [row.text for row in _Reader({}, NEW).read(file.part(name)) if row.text.strip()]
    return found


def revision_of(rows: list[Row]) -> str:
    """The id of the revision a form of ours was made from, as its first paragraphs carry it; else ""."""
    tags = (tag for row in rows[:5] for tag in row.tags if tag.startswith("revision."))
    return next(tags, "").removeprefix("revision.")


def read(data: bytes, *, pool: children.Pool | None = None) -> tuple[list[Row], list[str]]:
    """Rows and extras of a file, read in a child. Raises Refused, ChildFailed or Busy."""
    run = pool.run if pool else children.run
    told = run("read_word", {}, files={"file": data}, seconds=60, memory_mb=1024).values
    return [_row(each) for each in told["rows"]], told["extras"]


def task(_values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """In the child."""
    data = files["file"]
    return {"rows": [asdict(row) for row in rows(data)], "extras": extras(data)}, {}


def _row(told: dict[str, Any]) -> Row:
    return Row(
        **{
            **told,
            "tags": tuple(told["tags"]),
            "cell_tags": [tuple(each) for each in told["cell_tags"]],
            "changes": [Change(**each) for each in told["changes"]],
            "comments": [Comment(**each) for each in told["comments"]],
        }
    )


class _File:
    """The parts of the package; sizes are checked before anything is unpacked."""

    def __init__(self, data: bytes) -> None:
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(data))
        except zipfile.BadZipFile as error:
            raise Refused("broken") from error

    def part(self, name: str, *, optional: bool = False) -> Any:
        from lxml import etree

        try:
            entry = self.zip.getinfo(name)
        except KeyError:
            if optional:
                return None
            raise Refused("broken") from None
        if entry.file_size > LARGEST_PART:
            raise Refused("too_large")
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            with self.zip.open(entry) as stream:
                content = stream.read(LARGEST_PART + 1)
            if len(content) > LARGEST_PART:
                raise Refused("too_large")
            if b"<!DOCTYPE" in content[:4096]:
                raise Refused("broken")
            return etree.fromstring(content, parser)
        except (etree.XMLSyntaxError, zipfile.BadZipFile, OSError, RuntimeError, EOFError) as error:
            raise Refused("broken") from error

    def comments(self) -> dict[str, dict[str, str]]:
        """Comment id -> author, date and words."""
        root = self.part("word/comments.xml", optional=True)
        if root is None:
            return {}
        return {
            each.get(f"{W}id", ""): {
                "author": each.get(f"{W}author", ""),
                "at": each.get(f"{W}date", ""),
                "text": "\n".join("".join(p.itertext(f"{W}t")) for p in each.iter(f"{W}p")),
            }
            for each in root.iter(f"{W}comment")
        }


class _Reader:
    def __init__(self, comments: dict[str, dict[str, str]], version: str) -> None:
        self.comments = comments
        self.version = version
        self.open: dict[str, list[str]] = {}  # comments whose words are being read
        self.carried: list[_Paragraph] = []  # paragraphs whose mark does not stand in this version

    def read(self, parent: Any, tags: tuple[str, ...] = ()) -> Iterator[Row]:
        """Block content: paragraphs, tables, and what wraps them."""
        for node in parent if parent is not None else ():
            if node.tag == f"{W}p":
                yield from self.paragraph(node, tags)
            elif node.tag == f"{W}tbl":
                yield from self.table(node, tags)
            elif node.tag == f"{W}sdt":
                yield from self.read(node.find(f"{W}sdtContent"), (*tags, _tag(node)))
            elif node.tag not in SILENT and isinstance(node.tag, str):
                yield from self.read(node, tags)

    def paragraph(self, node: Any, tags: tuple[str, ...]) -> Iterator[Row]:
        read = _Paragraph(self, tags)
        read.walk(node, "", "", "")
        self.carried.append(read)
        mark = node.find(f"{W}pPr/{W}rPr")
        if mark is not None and mark.find(self.gone) is not None and _goes_on(node):
            return
        rows, self.carried = self.carried, []
        yield _together(rows, _style(node), _is_bold(node))

    @property
    def gone(self) -> str:
        return f"{W}del" if self.version == NEW else f"{W}ins"

    def table(self, node: Any, tags: tuple[str, ...]) -> Iterator[Row]:
        for row in node.iter(f"{W}tr"):
            if self.table_of(row) is not node or row.find(f"{W}trPr/{self.gone}") is not None:
                continue
            made = Row("", tags)
            for cell, outer in _cells(row):
                inside = list(self.read(cell, outer))
                text = "\n".join(each.text for each in inside if each.text)
                made.cells.append(text)
                made.cell_tags.append(tuple(dict.fromkeys(tag for each in inside for tag in each.tags)))
                made.changes += [change for each in inside for change in each.changes]
                made.comments += [comment for each in inside for comment in each.comments]
            made.text = "\t".join(cell.replace("\n", " ").replace("\t", " ") for cell in made.cells)
            yield made

    @staticmethod
    def table_of(node: Any) -> Any:
        return next(node.iterancestors(f"{W}tbl"))


def _goes_on(node: Any) -> bool:
    """Whether something follows that a paragraph without a mark of its own can run into."""
    return next(node.itersiblings(f"{W}p", f"{W}sdt"), None) is not None


def _cells(row: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for node in row:
        if node.tag == f"{W}tc":
            yield node, ()
        elif node.tag == f"{W}sdt":
            for cell in node.findall(f"{W}sdtContent/{W}tc"):
                yield cell, (_tag(node),)


class _Paragraph:
    """The words of one paragraph as they are read."""

    def __init__(self, reader: _Reader, tags: tuple[str, ...]) -> None:
        self.reader = reader
        self.tags = list(tags)
        self.words: list[str] = []
        self.changes: list[Change] = []
        self.comments: list[Comment] = []

    def walk(self, node: Any, op: str, author: str, at: str) -> None:
        for child in node:
            if not isinstance(child.tag, str) or child.tag in SILENT:
                continue
            if child.tag in ONLY_OLD or child.tag in ONLY_NEW:
                kind = "delete" if child.tag in ONLY_OLD else "insert"
                self.walk(child, kind, child.get(f"{W}author", ""), child.get(f"{W}date", ""))
            elif child.tag == f"{W}sdt":
                self.tags.append(_tag(child))
                content = child.find(f"{W}sdtContent")
                if content is not None:
                    self.walk(content, op, author, at)
            else:
                self.said(child, op, author, at)

    def said(self, node: Any, op: str, author: str, at: str) -> None:
        text = {
            f"{W}t": node.text or "",
            f"{W}delText": node.text or "",
            f"{W}tab": "\t",
            f"{W}br": "\n",
            f"{W}cr": "\n",
            f"{W}noBreakHyphen": "\u2011",
        }.get(node.tag)
        if text is None:
            self.note(node)
            self.walk(node, op, author, at)
            return
        if op:
            self.changes.append(Change(op, text, author, at))
        if op != ("delete" if self.reader.version == NEW else "insert"):
            self.words.append(text)
            for about in self.reader.open.values():
                about.append(text)

    def note(self, node: Any) -> None:
        """Where a comment begins and ends."""
        key = node.get(f"{W}id", "")
        if node.tag == f"{W}commentRangeStart":
            self.reader.open[key] = []
        elif node.tag == f"{W}commentRangeEnd" and key in self.reader.open:
            about = "".join(self.reader.open.pop(key))
            if key in self.reader.comments:
                self.comments.append(Comment(**self.reader.comments[key], about=about))


def _together(parts: list[_Paragraph], style: str, is_bold: bool) -> Row:
    return Row(
        text="".join(word for each in parts for word in each.words),
        tags=tuple(dict.fromkeys(tag for each in parts for tag in each.tags if tag)),
        style=style,
        is_bold=is_bold,
        changes=_joined_changes([change for each in parts for change in each.changes]),
        comments=[comment for each in parts for comment in each.comments],
    )


def _joined_changes(changes: list[Change]) -> list[Change]:
    found: list[Change] = []
    for each in changes:
        last = found[-1] if found else None
        if last and (last.op, last.author, last.at) == (each.op, each.author, each.at):
            found[-1] = Change(each.op, last.text + each.text, each.author, each.at)
        else:
            found.append(each)
    return found


def _tag(node: Any) -> str:
    found = node.find(f"{W}sdtPr/{W}tag")
    return str(found.get(f"{W}val", "")) if found is not None else ""


def _style(node: Any) -> str:
    found = node.find(f"{W}pPr/{W}pStyle")
    return str(found.get(f"{W}val", "")) if found is not None else ""


def _is_bold(node: Any) -> bool:
    runs = [run for run in node.iter(f"{W}r") if run.find(f"{W}t") is not None]
    return bool(runs) and all(run.find(f"{W}rPr/{W}b") is not None for run in runs)
