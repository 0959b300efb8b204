"""PandaDoc: the questions everyone is asked, and what is peculiar to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from providers.interface import Connection
from providers.pandadoc import PandaDoc
from tests.providers.conformance import ProviderConformance
from tests.simulators import pandadoc as simulator


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> Iterator[simulator.PandaDoc]:
    with simulator.PandaDoc(clock).serving() as served:
        yield served


def connected(vendor: simulator.PandaDoc, **settings: str) -> PandaDoc:
    found = vendor.connection_settings() | settings
    return PandaDoc(Connection(found, id="pandadoc-1", server=vendor.origin, clock=vendor.clock))


@pytest.fixture
def provider(vendor: simulator.PandaDoc) -> PandaDoc:
    return connected(vendor)


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock.now


class TestPandaDoc(ProviderConformance):
    pass
