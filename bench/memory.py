"""Memory of all processes together (PSS) once they have served and sealed, children of PDF work ended."""

from __future__ import annotations

import time

from bench import machine, stage, visits
from bench.table import Row, show

SETTLE_S = 3.0


def measure(small: bool) -> list[Row]:
    signers, seconds = (1, 1) if small else (10, 8)
    with stage.prepared(signers=signers, contracts=200) as held, stage.running(held) as portal:
        time.sleep(0 if small else SETTLE_S)
        idle = machine.held_mb(machine.tree(portal.pid))
        visit = stage.signing_page(portal, held.tokens[0])
        visits.per_second(portal, visit, seconds)
        visits.per_second(portal, stage.staff_page("/contracts", held), seconds)
        stage.sign(portal, visit)
        for token in held.tokens[1:]:
            stage.sign(portal, stage.signing_page(portal, token))
        time.sleep(0 if small else SETTLE_S)
        after = machine.held_mb(machine.tree(portal.pid))
    return [Row("memory after load, all processes", [after], "MB", 250, beside="idle", beside_samples=[idle])]


if __name__ == "__main__":
    show(measure, __doc__)
