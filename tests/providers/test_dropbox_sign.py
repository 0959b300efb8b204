"""Dropbox Sign: the questions everyone is asked, and what is peculiar to it."""

from __future__ import annotations

import pytest

from providers import registry
from providers.interface import Connection
from tests.providers.conformance import ProviderConformance
from tests.simulators.dropbox_sign import DropboxSign


@pytest.fixture
def vendor():
    with DropboxSign().serving() as served:
        yield served


@pytest.fixture
def provider(vendor):
    return registry.get(
        "dropbox_sign", Connection(settings=vendor.connection_settings(), server=vendor.origin)
    )


class TestDropboxSign(ProviderConformance):
    pass
