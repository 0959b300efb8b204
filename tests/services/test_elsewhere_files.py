"""What is kept of a contract signed at a provider, and how each file of it is vouched for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from portal.clock import utc_now
from portal.documents import verify
from portal.models.contracts import Contract, RegisteredFile
from portal.models.envelopes import Envelope
from portal.pages import contracts as contract_pages
from portal.services import documents, polling, sealing, verification
from providers.errors import Refused
from providers.interface import ExecutedFile
from tests.cast import sign_in
from tests.services import pigeon
from tests.services.signing import actor, sent
from tests.simulators.tsa import timestamp_server


@pytest.fixture
def loft(monkeypatch):
    found = pigeon.Loft()
    pigeon.install(monkeypatch, found)
    return found


@pytest.fixture
def signed(cast, now, run_jobs, loft):
    envelope = sent(cast, now, run_jobs, connection=pigeon.connected("Pigeon EU", now))
    loft.complete("r1")
    polling.look(envelope.id, now)
    return envelope


def fresh(envelope):
    return Envelope.get_by_id(envelope.id)


def test_an_outside_time_that_is_missing_is_added_to_our_record_later(signed, now, run_jobs, home):
    with timestamp_server(now) as tsa:
        home.settings = replace(home.settings, tsa_url=tsa.url)
        tsa.mood = "down"
        run_jobs(now)
        first = fresh(signed)
        before = documents.read(first.companion)
        assert (first.seal_status, first.companion.version) == ("incomplete", 1)

        tsa.mood, tsa.now = "well", now + timedelta(hours=1)
        run_jobs(now + timedelta(hours=1))

        second = fresh(signed)
        after = documents.read(second.companion)
    assert (second.seal_status, second.companion.version) == ("sealed", 2)
    assert second.executed == first.executed
    assert after.startswith(before)
    verdict = verify.check(after, ca_pem=home.authority.bundle)
    assert verdict.ok
    assert verdict.timestamp is not None
    for content in (before, after):
        assert RegisteredFile.get(RegisteredFile.sha256 == hashlib.sha256(content).hexdigest())
        assert verification.look_at(content).file == "companion"


def test_with_an_outside_time_at_once_the_record_is_complete(signed, now, run_jobs, home):
    with timestamp_server(now) as tsa:
        home.settings = replace(home.settings, tsa_url=tsa.url)
        run_jobs(now)

    row = fresh(signed)
    assert (row.seal_status, row.companion.version) == ("sealed", 1)
    assert verify.check(documents.read(row.companion), ca_pem=home.authority.bundle).timestamp is not None


def test_elsewhere_our_record_is_checked_by_its_seal_alone(signed, now, run_jobs):
    run_jobs(now)

    answer = verification.look_at(documents.read(fresh(signed).companion), verification.own_ca())

    assert answer.valid
    assert answer.sealed_by == "Larkfield Software Ltd"


@pytest.mark.parametrize("name", ["executed", "companion", "vendor_evidence"])
def test_one_changed_byte_of_any_file_is_a_no(signed, now, run_jobs, name):
    run_jobs(now)
    content = bytearray(documents.read(getattr(fresh(signed), name)))
    assert verification.look_at(bytes(content)).valid
    content[len(content) // 2] ^= 1

    assert not verification.look_at(bytes(content)).valid


def test_a_file_that_cannot_be_had_can_be_asked_for_again(cast, signed, now, run_jobs, loft, monkeypatch):
    def gone(self, envelope):
        raise Refused("Pigeon refused: gone.")

    with monkeypatch.context() as patched:
        patched.setattr(pigeon.Pigeon, "download", gone)
        run_jobs(now, strict=False)
    assert (fresh(signed).seal_status, fresh(signed).seal_problem) == ("failed", "Pigeon refused: gone.")

    sealing.retry(fresh(signed), by=actor(cast.ana), now=now)
    run_jobs(now)
    assert fresh(signed).seal_status == "sealed"


def test_everything_is_offered_beside_the_signed_file(app, client, cast, signed, now, run_jobs, monkeypatch):
    monkeypatch.setattr(
        pigeon.Pigeon, "download",
        lambda self, envelope: ExecutedFile(b"%PDF-1.4 signed\n%%EOF\n", b"PK audit", "application/zip"),
    )  # fmt: skip
    run_jobs(now)
    sign_in(client, cast.ana, utc_now())
    url = f"/contracts/{signed.contract.reference}/signing"

    with app.test_request_context():
        offered = contract_pages.documents_of(Contract.get_by_id(signed.contract.id))

    assert [(each["url"].rpartition("/")[2], each["about"].partition(",")[0]) for each in offered[1:3]] == [
        ("evidence.pdf", "PDF"), ("vendor-evidence", "ZIP"),
    ]  # fmt: skip
    vendor = client.get(f"{url}/vendor-evidence")
    assert (vendor.data, vendor.mimetype) == (b"PK audit", "application/octet-stream")
    assert ".zip" in vendor.headers["Content-Disposition"]
    assert client.get(f"{url}/evidence.pdf").mimetype == "application/pdf"
    assert client.get(f"{url}/executed.pdf").data == b"%PDF-1.4 signed\n%%EOF\n"
    page = client.get(url).get_data(as_text=True)
    assert f"{url}/evidence.pdf" in page
    assert f"{url}/vendor-evidence" in page
