from __future__ import annotations

import io

import pytest

from portal.models.people import Attempt
from portal.services import verification
from tests.services.test_sealing import completed, finished


def check(client, content: bytes, name: str = "contract.pdf", **more):
    return client.post("/verify", data={"file": (io.BytesIO(content), name)} if content else {}, **more)


@pytest.fixture
def executed(cast, now, run_jobs):
    envelope = completed(cast, now, run_jobs, title="Premium SECRET support")
    run_jobs(now)
    return finished(envelope)[1]


def test_the_page_is_open_to_strangers(client):
    page = client.get("/verify")

    assert page.status_code == 200
    assert 'type="file"' in page.text


def test_a_finished_contract_is_genuine_and_says_who_signed_but_not_what(client, executed):
    page = check(client, executed)

    assert page.status_code == 200
    assert "Genuine and unchanged" in page.text
    assert "C. Aubert" in page.text
    assert "Castellan Pharma SA" in page.text
    assert "Larkfield Software Ltd" in page.text
    assert "Claire Aubert" not in page.text
    assert "castellan.example" not in page.text
    assert "SECRET" not in page.text


def test_bytes_added_behind_the_seal_are_counted(client, executed):
    page = check(client, executed + b"\n% more" * 302)

    assert "Altered after it was sealed" in page.text
    assert "2,114 bytes were added behind the company seal." in page.text
    assert "matches a file finished here" in page.text
    assert "C. Aubert" not in page.text


@pytest.mark.parametrize("at", [0.1, 0.45, 0.8])
def test_a_changed_byte_is_never_genuine(client, executed, at):
    place = int(len(executed) * at)
    changed = executed[:place] + bytes([executed[place] ^ 1]) + executed[place + 1 :]

    assert "Genuine and unchanged" not in check(client, changed).text


def test_a_truncated_file_is_never_genuine(client, executed):
    assert "Genuine and unchanged" not in check(client, executed[:-1]).text


def test_a_file_sealed_elsewhere_is_not_from_here(client, executed, home, now, tmp_path):
    from portal.documents import authority, seal
    from tests.services.signing import printed

    authority.create(tmp_path / "other", name="Larkfield Software Ltd", now=now)
    foreign = seal.seal(printed().pdf, authority.load(tmp_path / "other"), now=now, reason="Mine")

    page = check(client, foreign)

    assert "Not from here" in page.text
    assert "authority that is not known here" in page.text


@pytest.mark.parametrize("content", [b"%PDF-1.7 nothing", b"hello", b"\0" * 5000])
def test_other_files_are_not_from_here(client, content):
    assert "Not from here" in check(client, content).text


def test_no_file_is_refused_beside_the_field(client):
    page = check(client, b"")

    assert page.status_code == 422
    assert "Choose the PDF to check." in page.text


def test_a_file_too_large_is_refused_beside_the_field(client, monkeypatch):
    monkeypatch.setattr(verification, "LARGEST", 1000)

    page = check(client, b"%PDF-" + b"x" * 2000)

    assert page.status_code == 422
    assert "larger than" in page.text


def test_checking_very_often_is_refused_for_a_while(client, now):
    for _round in range(30):
        assert client.post("/verify").status_code == 422

    page = client.post("/verify")

    assert page.status_code == 429
    assert "Retry-After" in page.headers
    assert Attempt.select().where(Attempt.scope == "verify").exists()
