"""Page 1 visible to the signer, cold, in Chromium: a new browser for every load, as it comes and with the
processor throttled to a quarter."""

from __future__ import annotations

from bench import browser, machine, stage
from bench.table import Row, show


def measure(small: bool) -> list[Row]:
    loads = 1 if small else 7
    times: dict[int, list[float]] = {1: [], 4: []}
    with stage.prepared() as held, stage.running(held) as portal:
        visit = stage.signing_page(portal, held.tokens[0])
        for _load in range(loads):
            for throttle, seen in times.items():
                machine.wait_for_quiet(0 if small else machine.PATIENCE_S)
                seen.append(browser.load(portal.address, visit, throttle).page_one_s)
    return [
        Row("page 1 visible, processor as it is", times[1], "s", 0.4),
        Row("page 1 visible, processor throttled x4", times[4], "s", 1.0),
    ]


if __name__ == "__main__":
    show(measure, __doc__)
