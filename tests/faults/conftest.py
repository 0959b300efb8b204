"""One arena per kind of database and test process: its stages are built once and copied."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.conftest import skip_or_fail
from tests.faults import arena as place

SEED = int(os.environ.get("COUNTERSIGN_TEST_SEED", "20261123"))
LONG = os.environ.get("COUNTERSIGN_TEST_LONG") == "1"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def arena(request: pytest.FixtureRequest) -> Iterator[place.Arena]:
    if request.param == "postgresql" and not place.postgres_answers():
        skip_or_fail("no PostgreSQL at 127.0.0.1:5432")
    with place.opened(request.param) as made:
        yield made
