"""Typeset PDFs: contract, signature page, certificate of completion, signature stamps.

Typst does the setting. What a person wrote reaches it as JSON and never as source; fonts come out
of its own package, so the same layout gives the same bytes on every machine. A contract has the
user's pictures and any length, so it is always made in a child; stamps and certificate are short
and plain, and the sealer may make them in its own process, where Typst is warm.

What goes in is declared in `layouts`: `ContractLayout`, `SignaturePageLayout`, `CertificateData`
and `Stamp`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from portal.documents import children
from portal.documents.frames import Refused
from portal.documents.layouts import (
    CertificateData,
    ContractLayout,
    LetterLayout,
    SignaturePageLayout,
    Stamp,
)

TEMPLATES = Path(__file__).with_name("typst")
NOWHERE = "/nonexistent"  # where packages are looked for: there are none
PAGE_HEIGHT = 841.89

ARCHIVE = ("a-3a", "ua-1")  # tagged, for people and for the archive
PART = ("a-3b",)  # to be taken into another PDF, whose tags it must not meet

FEW_TRIES, MOST_TRIES = 3, 60
FOREIGN = {"Lo", "Lm", "Mn", "Mc", "So"}  # letters without case, their marks, pictures
MISSING_GLYPH = re.compile(r'the text `"(.+?)"` could not be displayed', re.DOTALL)
CODE_POINT = re.compile(r"\\u\{([0-9a-f]+)\}")
TURNS_TEXT_AROUND = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
PICTURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg"}
PATH = re.compile(r"\s*M[MLQCZ\d\s,.-]*")
SEGMENT = re.compile(r"([MLQCZ])([^MLQCZ]*)")
POINTS_OF = {"M": 1, "L": 1, "Q": 2, "C": 3, "Z": 0}
SAMPLES = 8  # of a curve, to find its bounds
LONGEST_PATH = 60_000
FAREST = 100_000

_compiling = threading.Lock()


@dataclass(frozen=True)
class Placement:
    """Where a recipient signs: page from 1, points from the lower left corner."""

    recipient_key: str
    page: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Rendered:
    pdf: bytes
    pages: int
    placements: list[Placement]


@dataclass(frozen=True)
class ExecutionParts:
    """What the sealer adds behind a signed file; stamps in the order they were asked for."""

    stamps: list[bytes]
    certificate: bytes


def contract_pdf(layout: ContractLayout, *, pool: children.Pool | None = None) -> Rendered:
    """The contract as tagged PDF/A-3a with PDF/UA-1; the same layout gives the same bytes.

    Web processes pass their `pool`. Raises ChildFailed, Busy, or Refused with "no_glyph" (characters
    no font here can show) or "bad_picture".
    """
    return _rendered(_child(pool, "render_contract", layout))


def signature_page(layout: SignaturePageLayout, *, pool: children.Pool | None = None) -> Rendered:
    """A page to sign on (more if many sign), for `intake.append_pages`. As `contract_pdf`."""
    return _rendered(_child(pool, "render_signature_page", layout))


def letter_pdf(layout: LetterLayout, *, pool: children.Pool | None = None) -> bytes:
    """A letter as tagged PDF/A-3a with PDF/UA-1. As `contract_pdf`."""
    return _child(pool, "render_letter", layout).files["pdf"]


def certificate_pdf(evidence: CertificateData, *, in_process: bool = False) -> bytes:
    """The certificate of completion as a file of its own, tagged, for people to keep."""
    if in_process:
        return _certificate(evidence, ARCHIVE)
    return _child(None, "render_certificate", evidence).files["pdf"]


def execution_parts(
    stamps: Sequence[Stamp], evidence: CertificateData, *, in_process: bool = False
) -> ExecutionParts:
    """All signature stamps and the untagged certificate pages, for one executed PDF."""
    if in_process:
        return ExecutionParts([_stamp(stamp) for stamp in stamps], _certificate(evidence, PART))
    made = _child(None, "render_execution_parts", {"stamps": list(stamps), "evidence": evidence}).files
    return ExecutionParts([made[f"stamp-{at}"] for at in range(len(stamps))], made["certificate"])


def signature_stamp(stamp: Stamp) -> bytes:
    """One signature as a small page without background, in this process; fonts are embedded.

    Raises Refused("bad_drawing") for a path that is not one of M, L, Q, C and Z.
    """
    return _stamp(stamp)


def _child(pool: children.Pool | None, task: str, layout: Mapping[str, Any]) -> children.Result:
    return (pool.run if pool else children.run)(task, layout)


def _rendered(result: children.Result) -> Rendered:
    placements = [Placement(**placement) for placement in result.values["placements"]]
    return Rendered(result.files["pdf"], result.values["pages"], placements)


# --- In the child --------------------------------------------------------------------------


def contract_task(values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    return _placed("contract", values, values["frozen_at"])


def signature_page_task(
    values: dict[str, Any], files: dict[str, bytes]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    return _placed("signature_page", values, values["frozen_at"])


def letter_task(values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    pdf, _found = _compile("letter", values, at=values["dated_at"], standards=ARCHIVE)
    return {}, {"pdf": pdf}


def certificate_task(
    values: dict[str, Any], files: dict[str, bytes]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    return {}, {"pdf": _certificate(values, ARCHIVE)}


def execution_parts_task(
    values: dict[str, Any], files: dict[str, bytes]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    made = {f"stamp-{at}": _stamp(stamp) for at, stamp in enumerate(values["stamps"])}
    return {}, made | {"certificate": _certificate(values["evidence"], PART)}


def _placed(template: str, layout: dict[str, Any], at: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    for party in layout["parties"]:
        if party.get("logo"):
            party["logo"] = _picture(party["logo"])
    pdf, found = _compile(template, layout, at=at, standards=ARCHIVE, ask=("placement", "pages"))
    placements = [
        asdict(
            Placement(
                recipient_key=spot["recipient_key"],
                page=spot["page"],
                x=round(spot["x"], 2),
                y=round(PAGE_HEIGHT - spot["y"] - spot["height"], 2),
                width=round(spot["width"], 2),
                height=spot["height"],
            )
        )
        for spot in found["placement"]
    ]
    return {"pages": found["pages"][0], "placements": placements}, {"pdf": pdf}


def _certificate(evidence: Mapping[str, Any], standards: tuple[str, ...]) -> bytes:
    pdf, _found = _compile(
        "certificate", evidence, at=evidence["completed_at"], standards=standards, spare=True
    )
    return pdf


def _stamp(stamp: Mapping[str, Any]) -> bytes:
    content = dict(stamp)
    if stamp["kind"] == "drawn":
        content["steps"], content["bounds"] = path_steps(stamp["drawn"])
    pdf, _found = _compile("stamp", content, at="1970-01-01T00:00:00Z", standards=PART, spare=True)
    return pdf


# --- Typst -----------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _compiler(template: str) -> Any:
    import typst

    return typst.Compiler(
        str(TEMPLATES / f"{template}.typ"),
        root=str(TEMPLATES),
        ignore_system_fonts=True,
        package_path=NOWHERE,
        package_cache_path=NOWHERE,
    )


def _compile(
    template: str,
    content: Mapping[str, Any],
    *,
    at: str,
    standards: tuple[str, ...],
    ask: tuple[str, ...] = (),
    spare: bool = False,
) -> tuple[bytes, dict[str, list[Any]]]:
    """The PDF and the values of the labels asked for.

    A character that no font has is refused; where the page must come out all the same (`spare`,
    for what was already signed) it is printed as its code point.
    """
    import typst

    text = json.dumps(_printable(content), ensure_ascii=False)
    compiler = _compiler(template)
    tagged = any(name.endswith("a") or name.startswith("ua") for name in standards)
    with _compiling:
        for tries in range(MOST_TRIES):
            try:
                pdf: bytes = compiler.compile(
                    format="pdf",
                    sys_inputs={"data": text},
                    pdf_standards=list(standards),
                    pdf_tags=tagged,
                    timestamp=int(datetime.fromisoformat(at).timestamp()),
                )
            except typst.TypstError as error:
                text = _without_missing(text, error, spare, tries)
            else:
                return pdf, {label: json.loads(compiler.query(f"<{label}>", field="value")) for label in ask}
    raise Refused("no_glyph", characters="")


def _without_missing(text: str, error: Exception, spare: bool, tries: int) -> str:
    """The JSON text with the character that has no glyph spelled out. Raises unless that is the matter."""
    found = MISSING_GLYPH.search(str(error))
    if not found:
        if any(word in str(error) for word in ("decode", "image", "SVG")):
            raise Refused("bad_picture") from error
        raise error
    missing = CODE_POINT.sub(lambda code: chr(int(code[1], 16)), found[1])
    if not spare:
        raise Refused("no_glyph", characters=missing) from error
    if missing not in text or tries == FEW_TRIES:
        missing = "".join({letter for letter in text if unicodedata.category(letter) in FOREIGN})
    return text.translate({ord(letter): f"[U+{ord(letter):04X}]" for letter in missing})


def _printable(value: Any) -> Any:
    """The same data without control, private and direction-turning characters."""
    if isinstance(value, str):
        return "".join(filter(_shows, value.replace("\t", " ")))
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def _shows(letter: str) -> bool:
    if letter.isascii():
        return letter >= " " or letter == "\n"
    return letter not in TURNS_TEXT_AROUND and unicodedata.category(letter) not in {"Cc", "Co", "Cs", "Cn"}


def _picture(logo: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = base64.b64decode(logo["base64"], validate=True)
    except binascii.Error as error:
        raise Refused("bad_picture") from error
    kind = next((kind for start, kind in PICTURES.items() if content.startswith(start)), "svg")
    return {"format": kind, "alt": logo["alt"] or "Logo", "content": list(content)}


Point = tuple[float, float]
Step = tuple[str, *tuple[Point, ...]]


def path_steps(path: str) -> tuple[list[Step], tuple[float, float, float, float]]:
    """A drawn signature as curve steps, and its bounds: left, top, width, height.

    Raises Refused("bad_drawing") for anything but absolute M, L, Q, C and Z with plain numbers.
    """
    if len(path) > LONGEST_PATH or not PATH.fullmatch(path):
        raise Refused("bad_drawing")
    steps = [step for letter, numbers in SEGMENT.findall(path) for step in _steps(letter, numbers)]
    numbers = [number for _letter, *points in steps for point in points for number in point]
    if len(numbers) < 4 or any(abs(number) > FAREST for number in numbers):
        raise Refused("bad_drawing")
    across, down = zip(*_along(steps), strict=True)
    wide, high = max(across) - min(across), max(down) - min(down)
    return steps, (min(across), min(down), max(wide, 1), max(high, 1))


def _along(steps: list[Step]) -> Iterator[Point]:
    """Points on the line, close enough together to know how far it reaches."""
    last = (0.0, 0.0)
    for _letter, *points in steps:
        through = [last, *points] if len(points) > 1 else points
        for part in range(1, SAMPLES + 1):
            between = through
            while len(between) > 1:  # de Casteljau
                between = [
                    (a[0] + (b[0] - a[0]) * part / SAMPLES, a[1] + (b[1] - a[1]) * part / SAMPLES)
                    for a, b in pairwise(between)
                ]
            yield from between
        last = points[-1] if points else last


def _steps(letter: str, written: str) -> list[Step]:
    try:
        numbers = [float(number) for number in written.replace(",", " ").split()]
    except ValueError as error:
        raise Refused("bad_drawing") from error
    points = list(zip(numbers[::2], numbers[1::2], strict=False))
    each = POINTS_OF[letter]
    if len(numbers) % 2 or (len(points) % each if each else points):
        raise Refused("bad_drawing")
    if not each:
        return [(letter,)]
    return [(letter, *points[at : at + each]) for at in range(0, len(points), each)]
