"""The words of a file as its reader sees them: Markdown, Word (DOCX) or PDF.

Paragraphs, headings, list items and table rows are parted by an empty line, cells by a tab, lines
by a line break. Numbers of lists stay; tags, link targets, comments and mark-up go; of changes
tracked in a Word file the newer text is read.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from html.parser import HTMLParser
from typing import Any

from portal.documents import children, word_read
from portal.documents.frames import Refused
from portal.documents.images import paragraphs as pdf_paragraphs

Node = dict[str, Any]
LONGEST = 4_000_000
LARGEST = 50 * 1024 * 1024
SECONDS = 60
MEMORY_MB = 1024
LEFT_OVER = re.compile(r"\*{2,}|(?<!\w)__+(?=\w)|(?<=\w)__+(?!\w)")


def kind_of(data: bytes) -> str:
    """pdf, docx or markdown, by how the file begins. Raises Refused("not_text") for anything else."""
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return "docx"
    if b"\0" in data[:4096]:
        raise Refused("not_text")
    return "markdown"


def text_of(data: bytes, *, pool: children.Pool | None = None) -> str:
    """The words of a file, read in a child.

    Raises Refused("too_large" | "not_text" | "broken" | "encrypted"), ChildFailed or Busy.
    """
    if len(data) > LARGEST:
        raise Refused("too_large")
    kind_of(data)
    run = pool.run if pool else children.run
    result = run("plain_text", {}, files={"file": data}, seconds=SECONDS, memory_mb=MEMORY_MB)
    return result.files["text"].decode()


# --- In the child --------------------------------------------------------------------------


def task(_values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    data = files["file"]
    read = {"pdf": from_pdf, "docx": from_docx, "markdown": from_bytes}[kind_of(data)]
    return {}, {"text": read(data).encode("utf-8", "replace")}


def from_docx(data: bytes) -> str:
    return whole(word_read.paragraphs(data))


def from_pdf(data: bytes) -> str:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Refused("encrypted" if "password" in str(error).lower() else "broken") from error
    pages = (pdf_paragraphs(page.get_textpage().get_text_bounded()) for page in document)
    return whole(row for page in pages for row in page.split("\n\n"))


def from_bytes(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return from_markdown(text)


def from_markdown(text: str) -> str:
    """Raises Refused("too_large")."""
    import mistune

    if len(text) > LONGEST:
        raise Refused("too_large")
    parser = mistune.create_markdown(renderer=None, plugins=["table", "strikethrough", "task_lists"])
    return whole(_rows(parser(text)))  # type: ignore[arg-type]


def whole(rows: Iterable[str]) -> str:
    """Paragraphs as one text: blanks closed up, empty ones left out."""
    tidy = ("\n".join(_closed_up(line) for line in row.split("\n")).strip("\n") for row in rows)
    return "\n\n".join(re.sub(r"\n{2,}", "\n", row) for row in tidy if row.strip())


def _closed_up(line: str) -> str:
    return re.sub(r"[^\S\t\n]+", " ", line.replace("\0", "")).strip()


def _rows(nodes: Sequence[Node]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        found += BLOCKS.get(node["type"], _paragraph)(node)
    return found


def _paragraph(node: Node) -> list[str]:
    if "children" in node:
        return [_spoken(node["children"])]
    return [node["raw"]] if "raw" in node else []


def _code(node: Node) -> list[str]:
    """Words set in one width, and how an indented line of prose comes out: spaces closed up."""
    return [node["raw"].strip("\n")]


def _list(node: Node) -> list[str]:
    start, is_ordered = node["attrs"].get("start", 1), node["attrs"]["ordered"]
    found = []
    for number, item in enumerate(node["children"], start):
        rows = _rows(item["children"])
        mark = f"{number}." if is_ordered else "•"
        found += [f"{mark} {rows[0]}" if rows else mark, *rows[1:]]
    return found


def _inside(node: Node) -> list[str]:
    return _rows(node["children"])


def _table(node: Node) -> list[str]:
    head, *body = node["children"]
    rows = [head, *(row for part in body for row in part["children"])]
    return ["\t".join(_spoken(cell["children"]) for cell in row["children"]) for row in rows]


def _tags(node: Node) -> list[str]:
    return _without_tags(node["raw"]).split("\n\n")


BLOCKS: dict[str, Callable[[Node], list[str]]] = {
    "list": _list,
    "block_quote": _inside,
    "block_code": _code,
    "block_html": _tags,
    "table": _table,
    "thematic_break": lambda _node: [],
    "blank_line": lambda _node: [],
}


def _spoken(nodes: Sequence[Node]) -> str:
    said = "".join(_said(node) for node in nodes).replace("\t", " ")
    return LEFT_OVER.sub("", _without_tags(said))


def _said(node: Node) -> str:
    """One inline node, its own text escaped so that only real tags are taken for tags."""
    kind = node["type"]
    if kind == "inline_html":
        return str(node["raw"])
    if kind in ("linebreak", "softbreak"):
        return "\n" if kind == "linebreak" else " "
    if "children" in node:
        return "".join(_said(child) for child in node["children"])
    return html.escape(html.unescape(node.get("raw", "")), quote=False)


class _Words(HTMLParser):
    """The text between tags; a break tag is a line break, scripts and styles are silent."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in ("script", "style"):
            self.silent += 1
        elif tag == "br":
            self.said.append("\n")
        elif tag in ("p", "div", "li", "tr", "h1", "h2", "h3", "h4", "table"):
            self.said.append("\n\n")
        elif tag in ("td", "th"):
            self.said.append("\t")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style") and self.silent:
            self.silent -= 1

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.said.append(data)


def _without_tags(text: str) -> str:
    if "<" not in text and "&" not in text:
        return text
    parser = _Words()
    parser.feed(text)
    parser.close()
    return "".join(parser.said)
