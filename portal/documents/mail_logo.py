"""A company's logo as mail programs show it: a small PNG, whatever it was before.

Mail programs show no SVG and fetch no picture unasked, so it travels inside the mail, twice as
large as it is shown, for sharp screens.
"""

from __future__ import annotations

import io
from typing import Any

from portal.documents import children

HEIGHT = 64  # shown at half of it
WIDEST = 320
LARGEST_SIDE = 4000


def small_png(logo: bytes, kind: str, *, pool: children.Pool | None = None) -> bytes:
    """The picture, at most 320 by 64 pixels. Raises ChildFailed, Busy, or Refused("broken")."""
    run = pool.run if pool else children.run
    return run("mail_logo", {"kind": kind}, files={"logo": logo}).files["png"]


def task(values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """In the child."""
    from PIL import Image

    drawn = drawing(files["logo"]) if values["kind"] == "image/svg+xml" else files["logo"]
    try:
        with Image.open(io.BytesIO(drawn), formats=["PNG"]) as opened:
            if max(opened.size) > LARGEST_SIDE:
                raise children.Refused("broken")
            picture = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise children.Refused("broken") from error
    picture.thumbnail((WIDEST, HEIGHT), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return {}, {"png": out.getvalue()}


def drawing(svg: bytes) -> bytes:
    """An SVG set to the height, on no ground."""
    import typst

    page = (
        "#set page(width: auto, height: auto, margin: 0pt, fill: none)\n"
        f'#image(bytes(sys.inputs.svg), format: "svg", height: {HEIGHT}pt)'
    )
    try:
        made = typst.compile(page.encode(), format="png", ppi=144, sys_inputs={"svg": svg.decode()})
    except (typst.TypstError, RuntimeError, UnicodeDecodeError) as error:
        raise children.Refused("broken") from error
    return bytes(made[0] if isinstance(made, list) else made)
