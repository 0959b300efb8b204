"""Rows of the table: what was measured, against which target, and how far from what nobody can go below."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

HEADINGS = ("figure", "ours", "spread", "target", "beside it, same run", "ratio")


@dataclass(frozen=True)
class Row:
    """One figure: every sample of it, the most (or least) it may be, and something measured beside it."""

    figure: str
    samples: Sequence[float]
    unit: str
    target: float | None = None
    at_least: bool = False
    beside: str = ""
    beside_samples: Sequence[float] = field(default_factory=tuple)

    @property
    def ours(self) -> float:
        return statistics.median(self.samples)

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        return self.ours >= self.target if self.at_least else self.ours <= self.target

    @property
    def ratio(self) -> float | None:
        return self.ours / statistics.median(self.beside_samples) if self.beside_samples else None

    def cells(self) -> tuple[str, ...]:
        spread = "" if len(self.samples) < 2 else f"{number(min(self.samples))}-{number(max(self.samples))}"
        limit = "" if self.target is None else f"{'over' if self.at_least else 'under'} {self.target:.3g}"
        beside = ""
        if self.beside:
            beside = f"{self.beside}: {number(statistics.median(self.beside_samples))}"
        return (
            self.figure,
            f"{number(self.ours)} {self.unit}",
            spread,
            limit if self.met else f"{limit}  MISSED",
            beside,
            "" if self.ratio is None else f"{self.ratio:.2f} x",
        )


def number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(rows: Sequence[Row]) -> str:
    """The table, columns aligned, each ratio being ours divided by what stands beside it."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_json(rows: Sequence[Row]) -> str:
    return json.dumps([asdict(row) for row in rows])


def from_json(said: str) -> list[Row]:
    return [Row(**values) for values in json.loads(said)]


def show(measure: Callable[[bool], list[Row]], about: str | None) -> None:
    """The whole command of a bench program: measure, then print its rows."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tiny size, only to see that it runs")
    parser.add_argument("--json", action="store_true", help="print the samples as JSON")
    asked = parser.parse_args()
    rows = measure(asked.small)
    print(as_json(rows) if asked.json else text(rows))
