"""Signing page, time to first byte: 50 requests in a row over one connection, three times, beside a page of
one line from the same server."""

from __future__ import annotations

from bench import machine, stage, visits
from bench.table import Row, show


def measure(small: bool) -> list[Row]:
    count, rounds = (5, 1) if small else (50, 3)
    with stage.prepared() as held, stage.running(held) as portal, stage.hello() as floor:
        visit = stage.signing_page(portal, held.tokens[0])
        machine.wait_for_quiet(0 if small else machine.PATIENCE_S)
        ours = visits.medians(portal, visit, count, rounds)
        hello = visits.medians(floor, stage.Visit("/", ""), count, rounds)
    return [Row("signing page, time to first byte", ours, "ms", 8, beside="hello", beside_samples=hello)]


if __name__ == "__main__":
    show(measure, __doc__)
