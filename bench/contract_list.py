"""Contract list with 100,000 contracts, time to first byte: 50 requests in a row, three times, beside a
page of one line from the same server."""

from __future__ import annotations

from bench import machine, stage, visits
from bench.table import Row, show


def measure(small: bool) -> list[Row]:
    contracts, count, rounds = (200, 5, 1) if small else (100_000, 50, 3)
    with (
        stage.prepared(signers=0, contracts=contracts) as held,
        stage.running(held) as portal,
        stage.hello() as floor,
    ):
        visit = stage.staff_page("/contracts", held)
        machine.wait_for_quiet(0 if small else machine.PATIENCE_S)
        ours = visits.medians(portal, visit, count, rounds)
        hello = visits.medians(floor, stage.Visit("/", ""), count, rounds)
    figure = f"contract list, {contracts:,} contracts, time to first byte"
    return [Row(figure, ours, "ms", 10, beside="hello", beside_samples=hello)]


if __name__ == "__main__":
    show(measure, __doc__)
