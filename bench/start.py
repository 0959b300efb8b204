"""`countersign serve` from nothing to the first healthy answer, keys, tables and wording already made."""

from __future__ import annotations

import time

from bench import machine, stage
from bench.table import Row, show


def measure(small: bool) -> list[Row]:
    times = []
    with stage.prepared(signers=0) as held:
        for _start in range(1 if small else 7):
            machine.wait_for_quiet(0 if small else machine.PATIENCE_S)
            began = time.perf_counter()
            with stage.running(held):
                times.append(time.perf_counter() - began)
    return [Row("start to healthy", times, "s", 2)]


if __name__ == "__main__":
    show(measure, __doc__)
