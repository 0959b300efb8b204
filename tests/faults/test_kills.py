"""`kill -9` of worker and web process, at named points, at statements and at any moment.

The short version kills about fifty times; COUNTERSIGN_TEST_LONG=1 several hundred times, and
`python -m tests.faults` prints the totals of a long run with its seed.
"""

from __future__ import annotations

import random

import pytest

from portal.settings import ROOT
from tests.faults import doomed, invariants, rounds, stage
from tests.faults.arena import LEASE, NOW, findings, live
from tests.faults.conftest import LONG, SEED
from tests.faults.doomed import Doom
from tests.faults.findings import differences, outcome


@pytest.fixture(scope="module")
def calm(arena):
    return rounds.undisturbed(arena)


KILLED_APART = {
    "bulk.": "test_bulk_*.py", "existing.": "test_existing_batches.py", "letter.": "test_letters.py",
    "deletion.": "test_archiving.py",
}  # fmt: skip


@pytest.fixture
def chance(arena, request):
    return random.Random(f"{SEED}-{arena.kind}-{request.function.__name__}")


def no_violations(totals):
    assert not totals.violations, "\n".join([f"seed {totals.seed}", *totals.violations])


@pytest.mark.parametrize("arena", ["sqlite"], indirect=True)
def test_every_named_point_in_the_code_is_walked(arena):
    """Those of files of rows, letters and deletions are killed at by tests of their own, which name each."""
    points = rounds.failpoints_in_code()
    apart = {point for point in points if point.startswith(tuple(KILLED_APART))}
    services = ROOT / "tests" / "services"

    assert points - apart == rounds.walked(arena) - apart
    for start, tests in KILLED_APART.items():
        named = "".join(path.read_text() for path in services.glob(tests))
        assert not [point for point in apart if point.startswith(start) and f'"{point}"' not in named]


@pytest.mark.parametrize("arena", ["sqlite"], indirect=True)
@pytest.mark.parametrize("point", ["ask.after_mail_row", "fold.before_mark"])
def test_a_product_without_transactions_is_found_out(arena, calm, point):
    later = NOW + stage.LATER
    with arena.stage("outbox").fresh() as site:
        assert live(site, later, doomed.work_carelessly, doom=Doom(point)).was_killed
        live(site, later + LEASE, doomed.work)
        found = findings(site)

    assert invariants.violations(found, finished=True) + differences(calm.outcome, outcome(found))


def test_killed_workers_lose_nothing_and_double_nothing(arena, calm, chance):
    wanted = (
        {"each": 4, "statements": 60, "moments": 60} if LONG else {"each": 1, "statements": 3, "moments": 2}
    )
    fates = rounds.worker_fates(calm, chance, **wanted)
    if arena.kind != "sqlite" and not LONG:
        # Mostly named points: a statement or a moment may lie behind the worker's last work.
        fates = sorted(fates, key=lambda fate: not (isinstance(fate, Doom) and fate.point))
        fates = [*fates[:7], fates[-1]]

    totals = rounds.kill_workers(arena, calm, fates, SEED)

    no_violations(totals)
    assert totals.kills >= len(fates) * 0.7


def test_a_killed_web_process_leaves_a_press_that_can_be_repeated(arena, chance):
    wanted = {"each": 1, "statements": 0, "moments": 0}
    if LONG:
        wanted = {"each": 3, "statements": 8, "moments": 3}
    elif arena.kind != "sqlite":
        wanted["names"] = ("last", "send")

    totals = rounds.kill_webs(arena, SEED, chance, **wanted)

    no_violations(totals)
    assert totals.kills >= 4
