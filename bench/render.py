"""Times of the PDF-making half: contract, certificate and stamps, intake, page pictures.

    python -m bench.render

Wall time in milliseconds, median of a few runs; children include their start.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from portal.documents import children, images, intake, render
from tests.documents import hostile, samples

RUNS = 7


def main() -> None:
    stamps: list[Any] = [
        {"kind": "typed", "name": "Claire Aubert", "when": "3 Nov 2026", "width": 211.64, "height": 50},
        {
            "kind": "drawn",
            "name": "Ana",
            "drawn": samples.DRAWN,
            "when": "3 Nov 2026",
            "width": 211.64,
            "height": 50,
        },
    ]
    short, long = samples.contract("en"), samples.contract("en", repeat=9)
    facing = samples.contract("en", "fr", repeat=9)
    ten_pages = render.contract_pdf(long)
    hostile_file, bomb = hostile.everything(), hostile.bomb()
    evidence = samples.certificate()
    turns = iter(range(10_000))

    def fresh() -> Any:
        """Evidence not seen before, so that nothing comes out of Typst's memory whole."""
        return {**evidence, "reference": f"LF-{next(turns)}", "completed": f"turn {next(turns)}"}

    row("a child that does nothing", lambda: children.run("tests.documents.misbehaving:echo", {}))
    row("contract, 2 pages, child", lambda: render.contract_pdf(short))
    row(f"contract, {ten_pages.pages} pages, child", lambda: render.contract_pdf(long))
    row("contract, facing columns, child", lambda: render.contract_pdf(facing))
    row("2 stamps and certificate, child", lambda: render.execution_parts(stamps, fresh()))
    row("2 stamps and certificate, warm", lambda: render.execution_parts(stamps, fresh(), in_process=True))
    row(f"intake, {ten_pages.pages} tagged pages", lambda: intake.admit(ten_pages.pdf))
    row("intake, hostile file", lambda: intake.admit(hostile_file))
    row("intake, bomb of 600 MB refused", lambda: refused(bomb))
    row("one page picture", lambda: images.page_images(ten_pages.pdf, [1]))
    row(f"{ten_pages.pages} page pictures", lambda: images.page_images(ten_pages.pdf))


def refused(content: bytes) -> None:
    try:
        intake.admit(content)
    except children.Refused:
        return
    raise SystemExit("a bomb was admitted")


def row(name: str, work: Callable[[], object]) -> None:
    work()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    print(f"{name:<36} {statistics.median(times):8.1f} ms   (from {min(times):.1f} to {max(times):.1f})")


if __name__ == "__main__":
    main()
