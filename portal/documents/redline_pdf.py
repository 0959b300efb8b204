"""A redline on paper: the differences between two revisions, typeset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from portal.documents import children


def made(layout: Mapping[str, Any], *, at: datetime, pool: children.Pool | None = None) -> bytes:
    """The PDF. `layout` is what `typst/redline.typ` reads. Raises ChildFailed, Busy or Refused."""
    task = {"layout": dict(layout), "at": at.isoformat()}
    return (pool.run if pool else children.run)("render_redline", task).files["pdf"]


def child_task(values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """In the child."""
    from portal.documents import render

    pdf, _found = render._compile(
        "redline", values["layout"], at=values["at"], standards=render.ARCHIVE, spare=True
    )
    return {}, {"pdf": pdf}
