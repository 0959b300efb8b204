from __future__ import annotations

import subprocess
import sys

import pytest

from portal.models.envelopes import Envelope
from portal.services import ceremonies, sending
from providers import builtin, registry
from providers.errors import NotConfigured, ProviderError, Refused, Unavailable, Unsupported
from providers.interface import EnvelopeStatus, RecipientStatus, RemoteEnvelope
from tests.services.signing import act, send, sent
from tests.services.test_sealing import completed


def remote(envelope):
    return RemoteEnvelope(envelope.id, envelope.id)


@pytest.fixture
def provider():
    registry.set_ceremony(ceremonies.BuiltinCeremony())
    return registry.get("builtin")


def test_it_is_registered_with_what_it_can_do(provider):
    assert registry.names()[0] == "builtin"
    assert registry.capabilities("builtin") is builtin.CAPABILITIES
    assert {"sms", "totp"} <= provider.capabilities.factors
    assert not provider.capabilities.asks_recipients


def test_sending_gives_its_id_back_and_may_be_repeated(cast, now, provider):
    envelope = send(cast, now)
    request = sending.request_of(envelope)

    assert provider.send(request).remote_id == provider.send(request).remote_id == envelope.id
    assert request.document.read().startswith(b"%PDF-")
    assert {spot.recipient_key for spot in request.placements} == {"claire", "ana"}


def test_fetching_tells_how_it_stands(cast, now, run_jobs, provider):
    envelope = sent(cast, now, run_jobs)
    act(envelope, "claire", now)

    state = provider.fetch(remote(envelope))

    assert state.status is EnvelopeStatus.SENT
    assert {r.key: r.status for r in state.recipients} == {
        "claire": RecipientStatus.SIGNED, "ana": RecipientStatus.SENT,
    }  # fmt: skip


def test_an_unknown_word_is_unknown_and_no_error(cast, now, run_jobs, provider):
    envelope = sent(cast, now, run_jobs)
    Envelope.update(status="invented-yesterday").where(Envelope.id == envelope.id).execute()

    assert provider.fetch(remote(envelope)).status is EnvelopeStatus.UNKNOWN


def test_the_signing_address_is_fresh_and_only_for_whose_turn_it_is(cast, now, run_jobs, provider):
    envelope = sent(cast, now, run_jobs)

    first = provider.signing_url(remote(envelope), "claire", return_url="/")
    second = provider.signing_url(remote(envelope), "claire", return_url="/")

    assert "/sign/" in first
    assert first != second
    with pytest.raises(Refused):
        provider.signing_url(remote(envelope), "ana", return_url="/")


def test_the_file_is_there_once_it_is_sealed(cast, now, run_jobs, provider):
    envelope = completed(cast, now, run_jobs)
    with pytest.raises(Unavailable):
        provider.download(remote(envelope))

    run_jobs(now)

    assert provider.download(remote(envelope)).pdf.startswith(b"%PDF-")


def test_an_id_that_is_not_here_is_refused(home, provider):
    for ask in (
        provider.fetch,
        provider.download,
        lambda one: provider.void(one, "x"),
        lambda one: provider.remind(one, "a"),
    ):
        with pytest.raises(Refused):
            ask(RemoteEnvelope("0" * 20, "0" * 20))


def test_without_a_ceremony_it_is_not_configured():
    with pytest.raises(NotConfigured):
        builtin.BuiltIn(None)
    with pytest.raises(NotConfigured):
        registry.get("pigeon-post")
    with pytest.raises(NotConfigured):
        registry.capabilities("pigeon-post")


def test_errors_say_whether_to_try_again():
    assert Unavailable.retry
    assert not any(kind.retry for kind in (Refused, Unsupported, NotConfigured))
    assert issubclass(Unsupported, ProviderError)


def test_providers_can_be_loaded_without_the_portal():
    code = (
        "import providers.registry, providers.builtin, sys;"
        "print([m for m in sys.modules if m.split('.')[0] in ('portal', 'flask', 'peewee')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
