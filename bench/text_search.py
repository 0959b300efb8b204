"""Search in the texts of 100,000 contracts, and the list and search beside it, each against 1,000 in the
same run; medians, and the 95th of a hundred.

    python -m bench.text_search [--small]

COUNTERSIGN_BENCH_DATABASE names two empty PostgreSQL databases, separated by a blank, to measure there.
"""

from __future__ import annotations

import os

from bench import machine, stage, visits
from bench.table import Row, show

PATHS = {
    "in texts, a word of every contract": "/contracts/in-texts?q=liability",
    "in texts, three such words": "/contracts/in-texts?q=liability+supplier+notice",
    "in texts, a rare word": "/contracts/in-texts?q=corbalul",
    "list": "/contracts",
    "search, a common word": "/contracts?q=support",
    "search, a reference": "/contracts?q=LF-2016-0000400",
}


def measure(small: bool) -> list[Row]:
    few, many = (50, 200) if small else (1_000, 100_000)
    count, rounds = (3, 1) if small else (20, 5)
    databases = os.environ.get("COUNTERSIGN_BENCH_DATABASE", " ").split(" ")
    rows = []
    with (
        stage.prepared(signers=0, contracts=few, texts=True, database_url=databases[0]) as small_stage,
        stage.prepared(signers=0, contracts=many, texts=True, database_url=databases[1]) as large_stage,
        stage.running(small_stage) as small_portal,
        stage.running(large_stage) as large_portal,
    ):
        machine.wait_for_quiet(0 if small else machine.PATIENCE_S)
        for name, path in PATHS.items():
            before: list[float] = []
            after: list[float] = []
            for _round in range(rounds):
                before += visits.medians(small_portal, stage.staff_page(path, small_stage), count, 1)
                after += visits.medians(large_portal, stage.staff_page(path, large_stage), count, 1)
            limit = 2 * sorted(before)[len(before) // 2]
            figure = f"{name}, {many:,} contracts"
            rows.append(Row(figure, after, "ms", limit, beside=f"{few:,}", beside_samples=before))
    return rows


if __name__ == "__main__":
    show(measure, __doc__)
