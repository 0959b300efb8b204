"""Requests of one cold load of the signing page, until the network is idle, counted at a proxy."""

from __future__ import annotations

import sys

from bench import browser, stage
from bench.table import Row, show


def measure(small: bool) -> list[Row]:
    counts = []
    with stage.prepared() as held, stage.running(held) as portal:
        visit = stage.signing_page(portal, held.tokens[0])
        for _load in range(1 if small else 3):
            with browser.watched(portal) as (address, asked):
                browser.load(address, visit)
            counts.append(len(asked))
    for each in asked:
        print(f"  {each.size_bytes:>8}  {each.kind:<24}{each.path}", file=sys.stderr)
    return [Row("requests to read page 1", counts, "", 9)]


if __name__ == "__main__":
    show(measure, __doc__)
