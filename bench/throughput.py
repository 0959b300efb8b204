"""Signing pages a second from two web processes, 16 connections kept busy, beside a page of one line."""

from __future__ import annotations

from bench import machine, stage, visits
from bench.table import Row, show


def measure(small: bool) -> list[Row]:
    seconds, rounds = (1, 1) if small else (8, 3)
    ours, hello = [], []
    with stage.prepared() as held, stage.running(held) as portal, stage.hello() as floor:
        visit = stage.signing_page(portal, held.tokens[0])
        for _round in range(rounds):
            machine.wait_for_quiet(0 if small else machine.PATIENCE_S)
            ours.append(visits.per_second(portal, visit, seconds))
            hello.append(visits.per_second(floor, stage.Visit("/", ""), max(1, seconds // 2)))
    return [
        Row("signing pages per second", ours, "/s", 800, at_least=True, beside="hello", beside_samples=hello)
    ]


if __name__ == "__main__":
    show(measure, __doc__)
