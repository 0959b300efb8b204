from __future__ import annotations

import subprocess
import sys
import time

import pytest

from portal import i18n
from portal.documents import authority, children, executed, seal, verify
from tests.documents.conftest import EVIDENCE, NOW
from tests.documents.uploads import upload


@pytest.fixture(scope="module")
def file(execute, contract):
    return execute(contract[0], [(one.page, one.x, one.y) for one in contract[1]])


def test_an_executed_file_says_who_when_and_what_was_shown(file, keys, contract):
    verdict = verify.check(file, ca_pem=keys.ca_pem)

    assert verdict.ok
    assert verdict.kind == "executed"
    assert verdict.sealed_by == "Larkfield Software Ltd"
    assert verdict.sealed_at == NOW
    assert verdict.fingerprint_sha256 == keys.fingerprint_sha256
    assert verdict.shown_length == len(contract[0])
    assert verdict.evidence == EVIDENCE
    assert verdict.sentences() == []


def test_bytes_behind_the_seal_are_counted_for_the_reader(file, keys):
    verdict = verify.check(file + b"%" * 2114, ca_pem=keys.ca_pem)

    assert not verdict.ok
    assert verdict.reasons == ("bytes_added",)
    assert verdict.added_bytes == 2114
    assert verdict.covered == len(file)
    assert verdict.sentences() == ["2,114 bytes were added behind the company seal."]


@pytest.mark.parametrize(
    ("kind", "reason", "pdf"),
    [
        ("not_pdf", "not_pdf", b""),
        ("not_pdf", "not_pdf", b"PK\x03\x04"),
        ("unsigned", "no_seal", upload(1)),
        ("foreign", "not_ours", b"%PDF-1.7\n/ByteRange [0 1 2 3]\n"),
        ("foreign", "not_ours", b"%PDF-1.7\n" + b"/ByteRange [0 9999999999 1 1]\n" * 1000),
    ],
)
def test_what_is_not_ours_is_named(keys, kind, reason, pdf):
    verdict = verify.check(pdf, ca_pem=keys.ca_pem)

    assert (verdict.ok, verdict.kind, verdict.reasons) == (False, kind, (reason,))


def test_a_seal_of_another_installation_is_not_ours(file, tmp_path):
    authority.create(tmp_path / "other", name="Larkfield Software Ltd", now=NOW)

    verdict = verify.check(file, ca_pem=authority.load(tmp_path / "other").ca_pem)

    assert verdict.reasons == ("certificate_unknown",)


def test_without_an_authority_there_is_no_yes(file):
    verdict = verify.check(file, ca_pem=None)

    assert not verdict.ok
    assert verdict.reasons == ("authority_missing",)


def test_the_audit_or_a_certificate_authority_key_is_no_way_round(contract, keys):
    """The root that vouches is not itself a sealing key: its usage forbids it."""
    root = authority.Authority(
        keys.certificates[1:], authority._private_key(keys.directory / "ca_key.pem"), keys.directory
    )

    forged = seal.seal(contract[0], root, now=NOW, reason="")

    assert "certificate_usage" in verify.check(forged, ca_pem=keys.ca_pem).reasons


def test_every_reason_has_a_sentence_in_both_languages(file, keys):
    verdict = verify.check(file, ca_pem=keys.ca_pem)
    codes = (
        "not_pdf no_seal not_ours bytes_added revisions changed signature container certificate_usage"
        " certificate_time certificate_unknown authority_missing timestamp timestamp_unknown"
    )
    for language in ("en", "fr"):
        with i18n.use(language):
            sentences = [verify.sentence(code, verdict) for code in codes.split()]
        assert len(set(sentences)) == len(sentences)
        assert all(sentence.endswith(".") for sentence in sentences)


def test_no_pdf_library_is_loaded_to_verify():
    script = (
        "import sys, portal.documents.verify;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('pyhanko', 'pikepdf', 'pypdfium2', 'typst', 'flask', 'peewee', 'asn1crypto')])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_child_gives_the_same_verdict(file, keys):
    result = children.run("verify", {}, files={"pdf": file, "ca": keys.ca_pem})

    assert verify.from_values(result.values) == verify.check(file, ca_pem=keys.ca_pem)


def test_a_hostile_evidence_file_says_nothing(keys, contract):
    for content in (b"[" * 100_000, b"not json", b"[]", b"\xff\xfe"):
        attached = {executed.EVIDENCE: content}
        out = executed.build(contract[0], [], b"", attached, keys, NOW, language="en", title="x")

        verdict = verify.check(out, ca_pem=keys.ca_pem)

        assert verdict.ok
        assert verdict.evidence is None


def test_verifying_is_quick(file, keys):
    started = time.process_time()
    for _turn in range(20):
        verify.check(file, ca_pem=keys.ca_pem)

    assert (time.process_time() - started) / 20 < 0.01
