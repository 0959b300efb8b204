"""Pages as pictures with their text, made on the server: no reader needs a PDF viewer.

PDFium opens the file in a child. Pictures are lossless WebP; a page of any size gives at most
`MOST_PIXELS`. The text is the words of the page, lines joined into paragraphs, for those who listen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from portal.documents import children

DPI = 96
MOST_PIXELS = 4_000_000
LONGEST_SIDE = 4_096
LONGEST_TEXT = 200_000
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\u200b\ufffe\uffff]")  # PDFium marks broken words so
MEMORY_MB = 768
SECONDS = 30


@dataclass(frozen=True)
class PageImage:
    """Page `number` from 1; width and height in pixels; `text` has a blank line between paragraphs."""

    number: int
    width: int
    height: int
    webp: bytes
    text: str


def page_images(
    pdf: bytes, pages: list[int] | None = None, *, dpi: int = DPI, pool: children.Pool | None = None
) -> list[PageImage]:
    """Those pages (all of them for None) as pictures. Raises ChildFailed, Busy or Refused("broken")."""
    result = (pool.run if pool else children.run)(
        "images", {"pages": pages, "dpi": dpi}, files={"pdf": pdf}, seconds=SECONDS, memory_mb=MEMORY_MB
    )
    return [PageImage(**page, webp=result.files[str(page["number"])]) for page in result.values["pages"]]


# --- In the child --------------------------------------------------------------------------


def page_images_task(
    values: dict[str, Any], files: dict[str, bytes]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(files["pdf"])
    except pypdfium2.PdfiumError as error:
        raise children.Refused("broken") from error
    numbers = values["pages"] or range(1, len(document) + 1)
    found: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    for number in numbers:
        if not 1 <= number <= len(document):
            raise children.Refused("no_such_page", page=number)
        page = document[number - 1]
        picture = _picture(page, values["dpi"])
        pictures[str(number)] = _webp(picture)
        found.append(
            {"number": number, "width": picture.width, "height": picture.height, "text": _text(page)}
        )
        page.close()
    return {"pages": found}, pictures


def _picture(page: Any, dpi: int) -> Any:
    width, height = page.get_size()
    scale = min(
        dpi / 72,
        LONGEST_SIDE / max(width, height, 1),
        (MOST_PIXELS / max(width * height, 1)) ** 0.5,
    )
    return page.render(scale=scale, rev_byteorder=True, may_draw_forms=False).to_pil().convert("RGB")


def _webp(picture: Any) -> bytes:
    import io

    from PIL import Image, ImageChops

    red, green, blue = picture.split()
    is_grey = (
        not ImageChops.difference(red, green).getbbox() and not ImageChops.difference(green, blue).getbbox()
    )
    written = io.BytesIO()
    shown: Image.Image = red if is_grey else picture
    shown.save(written, "WEBP", lossless=True, quality=50, method=1)
    return written.getvalue()


def _text(page: Any) -> str:
    return paragraphs(page.get_textpage().get_text_bounded()[:LONGEST_TEXT])


def paragraphs(text: str) -> str:
    """Lines joined where the sentence goes on: after a space at the line's end, or in lower case."""
    found: list[str] = []
    goes_on = False
    for row in UNSEEN.sub("", text).splitlines():
        words = row.strip()
        if not words:
            goes_on = False
            continue
        if found and (goes_on or (words[0].islower() and found[-1][-1] not in ".:;?!")):
            found[-1] += f" {words}"
        else:
            found.append(words)
        goes_on = row.endswith(" ")
    return "\n\n".join(found)


def heights(pdf: bytes) -> dict[int, float]:
    """Page number from 1 to its height in points, as it is looked at."""
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    try:
        return {number: float(document[number - 1].get_height()) for number in range(1, len(document) + 1)}
    finally:
        document.close()
