"""Every bench program runs, in a tiny size, and gives the rows that the table is made of."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from bench.__main__ import PROGRAMS
from bench.table import Row, from_json, text
from portal.settings import ROOT
from tests.conftest import skip_or_fail

IN_A_BROWSER = ("requests_to_read", "page_visible")


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_gives_rows(name):
    if name in IN_A_BROWSER and not shutil.which("chromium"):
        skip_or_fail("no Chromium")

    run = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--small", "--json"], cwd=ROOT, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    rows = from_json(run.stdout)
    assert rows
    for row in rows:
        assert row.figure
        assert row.samples
        assert all(sample > 0 for sample in row.samples)


def test_a_row_says_whether_its_target_is_met():
    fast = Row("page", [4.0, 5.0, 9.0], "ms", 8, beside="hello", beside_samples=[0.5])
    slow = Row("pages a second", [700.0], "/s", 800, at_least=True)

    shown = text([fast, slow])

    assert fast.met
    assert not slow.met
    assert "10.00 x" in shown
    assert shown.count("MISSED") == 1


def test_every_program_of_the_folder_is_in_the_table():
    helpers = {"__init__", "__main__", "browser", "hello", "machine", "stage", "table", "visits", "volume"}
    by_hand = {"render"}

    found = {path.stem for path in (ROOT / "bench").glob("*.py")}

    assert found - helpers - by_hand == set(PROGRAMS)
