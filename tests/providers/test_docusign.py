"""DocuSign: the one suite, and what is peculiar to it."""

from __future__ import annotations

import pytest

from providers import registry
from providers.interface import Connection
from tests.providers.conformance import ProviderConformance
from tests.simulators.docusign import DocuSign

SECRET = "MARKED-secret-key-51c7"
CONNECT_KEY = "MARKED-connect-key-9d02"


@pytest.fixture
def vendor():
    with DocuSign().serving() as vendor:
        vendor.accounts.secret = SECRET
        vendor.connect_keys[-1] = CONNECT_KEY
        yield vendor


@pytest.fixture
def provider(vendor):
    return registry.get("docusign", Connection(settings=vendor.connection_settings(), server=vendor.origin))


class TestDocuSign(ProviderConformance):
    pass
