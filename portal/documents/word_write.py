"""A Word file (DOCX, ECMA-376 transitional) written: headings, paragraphs, tables, tracked changes.

Text comes in stretches (`Run`) that may be tracked as inserted or deleted. Content controls carry a
`tag`, by which a file that comes back is assigned again. Written the same way each time: the same
content gives the same bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from portal.documents.redline import Op, paragraphs

TEXT = re.compile(r"([\t\n])")
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
NAMESPACES = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
FIXED = (1980, 1, 1, 0, 0, 0)

TYPES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>'
    '<Override PartName="/word/styles.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>'
    '<Override PartName="/word/settings.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.settings+xml"/>'
    '<Override PartName="/docProps/core.xml" ContentType='
    '"application/vnd.openxmlformats-package.core-properties+xml"/>'
    "</Types>"
)
RELATIONS = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STYLES = (
    # id, name, size in half points, bold, space before and after in twentieths, left indent, outline level
    ("Title", "Title", 40, True, 0, 240, 0, None),
    ("Heading1", "heading 1", 28, True, 360, 120, 0, 0),
    ("Heading2", "heading 2", 24, True, 240, 80, 0, 1),
    ("Heading3", "heading 3", 22, True, 160, 60, 0, 2),
    ("ListParagraph", "List Paragraph", None, False, 0, 80, 360, None),
    ("Note", "Note", 18, False, 0, 120, 0, None),
)


@dataclass(frozen=True)
class Run:
    """A stretch of one kind; `op` says whether it is tracked, `tag` names its content control."""

    text: str
    op: str = "equal"  # equal | insert | delete
    bold: bool = False
    italic: bool = False
    tag: str = ""


@dataclass(frozen=True)
class Paragraph:
    """`mark` tracks the paragraph's own end: a paragraph that is new, or run into the next one."""

    runs: Sequence[Run]
    style: str = ""
    mark: str = "equal"
    tag: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first row is the head. `widths` in twentieths of a point, one a column."""

    rows: Sequence[Sequence[Sequence[Run]]]
    widths: Sequence[int] = ()


Block = Paragraph | Table


def tracked(ops: Iterable[Op], *, title: str, author: str, at: datetime) -> bytes:
    """A file that reads as the new text, with every difference from the old one as a tracked change."""
    blocks: list[Block] = []
    for stretch in paragraphs(ops):
        mark = stretch[-1].op if stretch[-1].text.endswith("\n\n") else "equal"
        runs = [Run(each.text.removesuffix("\n\n"), each.op) for each in stretch]
        blocks.append(Paragraph([run for run in runs if run.text], mark=mark))
    return document(blocks, title=title, author=author, at=at)


def document(blocks: Iterable[Block], *, title: str, author: str, at: datetime) -> bytes:
    """The whole file. `author` and `at` stand at every tracked change."""
    body = _Body(author, at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    inside = "".join(body.block(each) for each in blocks)
    parts = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": RELATIONS.format(
            f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/>'
            '<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/'
            'metadata/core-properties" Target="docProps/core.xml"/>'
        ),
        "docProps/core.xml": _properties(title, author, body.at),
        "word/_rels/document.xml.rels": RELATIONS.format(
            f'<Relationship Id="rId1" Type="{OFFICE}/styles" Target="styles.xml"/>'
            f'<Relationship Id="rId2" Type="{OFFICE}/settings" Target="settings.xml"/>'
        ),
        "word/settings.xml": _xml("settings", ""),
        "word/styles.xml": _xml("styles", _styles()),
        "word/document.xml": _xml("document", f"<w:body>{inside}{PAGE}</w:body>"),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        for name, content in parts.items():
            package.writestr(zipfile.ZipInfo(name, FIXED), content.encode(), zipfile.ZIP_DEFLATED)
    return made.getvalue()


PAGE = (
    '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/>'
    '<w:pgMar w:top="1304" w:right="1304" w:bottom="1304" w:left="1304" w:header="709" w:footer="709"'
    ' w:gutter="0"/>'
    "</w:sectPr>"
)


def _xml(root: str, inside: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:{root} {NAMESPACES}>{inside}</w:{root}>'
    )


class _Body:
    def __init__(self, author: str, at: str) -> None:
        self.author, self.at, self.count = author, at, 0

    def block(self, block: Block) -> str:
        return self.table(block) if isinstance(block, Table) else self.paragraph(block)

    def paragraph(self, paragraph: Paragraph) -> str:
        style = f'<w:pStyle w:val="{paragraph.style}"/>' if paragraph.style else ""
        mark = "" if paragraph.mark == "equal" else f"<w:rPr>{self.change(paragraph.mark)}</w:rPr>"
        properties = f"<w:pPr>{style}{mark}</w:pPr>" if style or mark else ""
        made = f"<w:p>{properties}{''.join(self.run(run) for run in paragraph.runs)}</w:p>"
        return self.control(made, paragraph.tag) if paragraph.tag else made

    def run(self, run: Run) -> str:
        bold = "<w:b/>" if run.bold else ""
        italic = "<w:i/>" if run.italic else ""
        properties = f"<w:rPr>{bold}{italic}</w:rPr>" if bold or italic else ""
        word = "delText" if run.op == "delete" else "t"
        inside = "".join(_piece(piece, word) for piece in TEXT.split(UNWRITABLE.sub("", run.text)) if piece)
        made = f"<w:r>{properties}{inside}</w:r>"
        if run.op != "equal":
            made = self.change(run.op, made)
        return self.control(made, run.tag) if run.tag else made

    def change(self, op: str, inside: str = "") -> str:
        self.count += 1
        name = "ins" if op == "insert" else "del"
        about = f'w:id="{self.count}" w:author={quoteattr(self.author)} w:date="{self.at}"'
        return f"<w:{name} {about}>{inside}</w:{name}>" if inside else f"<w:{name} {about}/>"

    def control(self, inside: str, tag: str) -> str:
        self.count += 1
        return (
            f'<w:sdt><w:sdtPr><w:tag w:val={quoteattr(tag)}/><w:id w:val="{self.count}"/></w:sdtPr>'
            f"<w:sdtContent>{inside}</w:sdtContent></w:sdt>"
        )

    def table(self, table: Table) -> str:
        columns = max((len(row) for row in table.rows), default=0)
        widths = list(table.widths) or [9298 // max(columns, 1)] * columns
        grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
        borders = "".join(
            f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="999999"/>'
            for side in ("top", "left", "bottom", "right", "insideH", "insideV")
        )
        rows = "".join(self.row(row, widths, is_head=at == 0) for at, row in enumerate(table.rows))
        return (
            f'<w:tbl><w:tblPr><w:tblW w:w="{sum(widths)}" w:type="dxa"/>'
            f"<w:tblBorders>{borders}</w:tblBorders>"
            f'<w:tblLayout w:type="fixed"/></w:tblPr><w:tblGrid>{grid}</w:tblGrid>{rows}</w:tbl><w:p/>'
        )

    def row(self, cells: Sequence[Sequence[Run]], widths: Sequence[int], *, is_head: bool) -> str:
        made = "".join(
            f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/></w:tcPr>'
            f"{self.paragraph(Paragraph(runs))}</w:tc>"
            for runs, width in zip(cells, widths, strict=False)
        )
        head = "<w:trPr><w:tblHeader/></w:trPr>" if is_head else ""
        return f"<w:tr>{head}{made}</w:tr>"


def _piece(piece: str, word: str) -> str:
    if piece == "\t":
        return "<w:tab/>"
    if piece == "\n":
        return "<w:br/>"
    return f'<w:{word} xml:space="preserve">{escape(piece)}</w:{word}>'


def _styles() -> str:
    defaults = (
        "<w:docDefaults><w:rPrDefault><w:rPr>"
        '<w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:cs="Calibri" w:eastAsia="Calibri"/>'
        '<w:sz w:val="21"/>'
        "</w:rPr></w:rPrDefault><w:pPrDefault><w:pPr>"
        '<w:spacing w:after="120" w:line="276" w:lineRule="auto"/></w:pPr></w:pPrDefault></w:docDefaults>'
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>'
    )
    return defaults + "".join(_style(*each) for each in STYLES)


def _style(key: str, name: str, size: int | None, bold: bool, before: int, after: int, indent: int,
           level: int | None) -> str:  # fmt: skip
    outline = f'<w:outlineLvl w:val="{level}"/>' if level is not None else ""
    keep = "<w:keepNext/>" if level is not None else ""
    left = f'<w:ind w:left="{indent}"/>' if indent else ""
    letters = ("<w:b/>" if bold else "") + (f'<w:sz w:val="{size}"/>' if size else "")
    return (
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/>'
        '<w:basedOn w:val="Normal"/>'
        f'<w:pPr>{keep}<w:spacing w:before="{before}" w:after="{after}"/>{left}{outline}</w:pPr>'
        f"<w:rPr>{letters}</w:rPr></w:style>"
    )


def _properties(title: str, author: str, at: str) -> str:
    stamp = f'<dcterms:created xsi:type="dcterms:W3CDTF">{at}</dcterms:created>'
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        "<cp:coreProperties "
        'xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<dc:title>{_clean(title)}</dc:title><dc:creator>{_clean(author)}</dc:creator>{stamp}"
        "</cp:coreProperties>"
    )


def _clean(text: str) -> str:
    return escape(UNWRITABLE.sub("", text))


def text_runs(parts: Iterable[dict[str, Any]], *, bold: bool = False, italic: bool = False) -> list[Run]:
    """Inline parts of `portal.documents.markdown` as runs; a link is its words."""
    found: list[Run] = []
    for part in parts:
        if part["kind"] == "text":
            found.append(Run(part["text"], bold=bold, italic=italic))
        elif part["kind"] == "break":
            found.append(Run("\n"))
        else:
            found += text_runs(
                part["inline"], bold=bold or part["kind"] == "strong", italic=italic or part["kind"] == "em"
            )
    return found
