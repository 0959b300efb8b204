"""Bulk send with built-in signing: what a row costs in a long file against a short one, rows a second, and
memory of all processes (PSS, children of PDF work included) at the start of a long run and at its end.

    python -m bench.bulk_send --rows 10000 --kind document

A `template` row is a contract typeset for one company; `document` rows all show the same PDF.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bench import machine, stage
from bench.table import Row, as_json, text

WARM, FEW, MANY = 10, 100, 400
KINDS = ("template", "document")
LOOK_S = 0.5
PATIENCE_S = 4 * 3600
PACE = 6_000  # rows a minute: as fast as it goes


@dataclass
class Run:
    """One file from the press on Send to its last row. `held_mb` was looked at all along."""

    rows: int
    checked_s: float
    sent_s: float
    cpu_s: float = 0
    held_mb: list[float] = field(default_factory=list)

    @property
    def row_ms(self) -> float:
        """Processor time, which other work on the machine does not stretch."""
        return 1000 * self.cpu_s / self.rows

    def part(self, begin: float, end: float) -> float:
        """The median of what was held between two shares of the run."""
        count = len(self.held_mb)
        return statistics.median(
            self.held_mb[int(begin * count) : max(int(end * count), int(begin * count) + 1)]
        )


def measure(small: bool, rows: int = MANY, kinds: tuple[str, ...] = KINDS) -> list[Row]:
    few, many = (1, 2) if small else (min(FEW, rows), rows)
    found: list[Row] = []
    for kind in kinds[:1] if small else kinds:
        with stage.prepared() as held, stage.running(held) as portal:
            if not small:
                send(held, portal, kind, WARM)
            short, long = (send(held, portal, kind, count) for count in (few, many))
        found += [
            Row(f"bulk send, processor time of a row of {many}, {kind}", [long.row_ms], "ms",
                beside=f"of {few} rows", beside_samples=[short.row_ms]),
            Row(f"bulk send, rows a second, {kind}", [long.rows / long.sent_s], "/s"),
            Row(f"bulk send, memory at the end of {many}, {kind}", [long.part(0.9, 1)], "MB",
                beside="at its start", beside_samples=[long.part(0, 0.1)]),
            Row(f"bulk send, check of {many} rows, {kind}", [long.checked_s], "s"),
        ]  # fmt: skip
    return found


def send(held: stage.Stage, portal: stage.Portal, kind: str, count: int) -> Run:
    """Upload a file, wait for its check, press Send, and look on until the portal's worker is through."""
    from portal.models import base
    from portal.services import bulk, installation

    installation.open_installation(held.settings)
    base.db.connect(reuse_if_open=True)
    try:
        began = time.monotonic()
        batch = upload(kind, count)
        wait_for(partial(state_of, batch, "checked"))
        checked_s = time.monotonic() - began
        bulk.start(batch, leave_out=False, by=ana(), now=datetime.now(UTC))
        run, began, spent = Run(count, checked_s, 0), time.monotonic(), spent_by(portal)
        wait_for(partial(state_of, batch, "done"), lambda: run.held_mb.append(held_by(portal)))
        run.sent_s, run.cpu_s = time.monotonic() - began, spent_by(portal) - spent
        tally = bulk.counts(bulk.get(batch.id))
        if tally.sent != count:
            raise SystemExit(f"{tally.sent} of {count} rows were sent, {tally.failed} failed")
        return run
    finally:
        base.disconnect()


def upload(kind: str, count: int) -> Any:
    from portal.models.parties import Signatory
    from portal.services import bulk, policies, templates
    from tests.services.bulk import HEADER, file, line

    now = datetime.now(UTC)
    templates.seed(now)
    policies.seed(now)
    signatory = Signatory.get()
    if kind == "template":
        rows, header = [line(number) for number in range(count)], HEADER
        what: dict[str, Any] = {"signatory": signatory, "version": templates.offered()[0]}
    else:
        rows = [f"Company {number} SA,Person {number},p{number}@c.example" for number in range(count)]
        header, what = "Company,Signer,Email", {"document": pdf(now)}
    answers = bulk.Answers(entity=signatory.entity, title="Bench", pace_per_minute=PACE, **what)
    owner = signatory_owner()
    return bulk.create(answers, file(rows, header), "people.csv", owner=owner, by=ana(), now=now)


def pdf(now: datetime) -> Any:
    from portal.services import documents
    from tests.services.signing import printed

    facts = {"original_sha256": "0", "removed": [], "had_signatures": []}
    made = printed()
    return documents.add(made.pdf, "upload", file_name="code.pdf", pages=made.pages, facts=facts, now=now)


def signatory_owner() -> Any:
    from portal.models.people import Person

    return Person.get(Person.name == "Ana")


def ana() -> Any:
    from portal.services.audit import Actor

    owner = signatory_owner()
    return Actor("person", owner.id, owner.name, owner.email)


def held_by(portal: stage.Portal) -> float:
    return machine.held_mb(machine.tree(portal.pid))


def spent_by(portal: stage.Portal) -> float:
    return machine.spent_s(machine.tree(portal.pid))


def state_of(batch: Any, wanted: str) -> bool:
    from portal.services import bulk

    found = bulk.get(batch.id)
    if found.state in ("refused", "paused", "cancelled"):
        raise SystemExit(f"the bulk send is {found.state}: {found.problem}")
    return bool(found.state == wanted)


def wait_for(what: Any, look: Any = lambda: None) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > ends:
            raise SystemExit("the bulk send did not come to its end")
        look()
        time.sleep(LOOK_S)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="a tiny size, only to see that it runs")
    parser.add_argument("--json", action="store_true", help="print the samples as JSON")
    parser.add_argument("--rows", type=int, default=MANY, help=f"of the long file, {MANY} by default")
    parser.add_argument("--kind", choices=KINDS, help="only one of the two")
    asked = parser.parse_args()
    rows = measure(asked.small, asked.rows, (asked.kind,) if asked.kind else KINDS)
    print(as_json(rows) if asked.json else text(rows))


if __name__ == "__main__":
    main()
