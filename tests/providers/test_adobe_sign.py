"""Acrobat Sign: asked what every provider is asked, and what is peculiar to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from providers.adobe_sign import AdobeSign
from providers.interface import Connection
from tests.providers.conformance import ANA, BEN, ProviderConformance, asked, handle, person, send
from tests.simulators import adobe_sign as simulator


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> Iterator[simulator.AdobeSign]:
    with simulator.AdobeSign(clock).serving() as served:
        yield served


def connected(vendor: simulator.AdobeSign, **settings: str) -> AdobeSign:
    found = vendor.connection_settings() | settings
    return AdobeSign(Connection(found, id="adobe-1", server=vendor.origin, clock=vendor.clock))


@pytest.fixture
def provider(vendor: simulator.AdobeSign) -> AdobeSign:
    return connected(vendor)


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock.now


class TestAdobeSign(ProviderConformance):
    @pytest.fixture
    def embedded(self, provider):
        """Adobe is told where its page ends when the agreement is made, not at the click."""
        people = (person("ana", ANA, is_embedded=True), person("ben", BEN, is_embedded=True))
        request = asked(*people, return_url="https://p.example/r")
        return handle(request, send(provider, request))
