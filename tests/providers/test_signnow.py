"""signNow: the questions everyone is asked, and what is peculiar to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from providers.interface import Connection
from providers.signnow import SignNow
from tests.providers.conformance import ANA, BEN, ProviderConformance, asked, handle, person, send
from tests.simulators import signnow as simulator


def connection(vendor: simulator.SignNow, **settings: str) -> Connection:
    return Connection(
        {"method": "api_key", "api_key": simulator.API_KEY, "basic_token": simulator.BASIC, **settings},
        id="signnow-1",
        server=vendor.origin,
    )


@pytest.fixture
def vendor() -> Iterator[simulator.SignNow]:
    with simulator.SignNow().serving() as served:
        yield served


@pytest.fixture
def provider(vendor: simulator.SignNow) -> SignNow:
    return SignNow(connection(vendor))


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


class TestSignNow(ProviderConformance):
    @pytest.fixture
    def embedded(self, provider):
        """signNow is told where its page ends when people are invited, not at the click."""
        people = (person("ana", ANA, is_embedded=True), person("ben", BEN, is_embedded=True))
        request = asked(*people, return_url="https://p.example/r")
        return handle(request, send(provider, request))
