from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from io import BytesIO

import pikepdf
import pytest

from portal.documents import seal, timestamps, verify
from portal.documents.seal import Unsealable
from portal.documents.timestamps import AuthorityAway, TimestampAuthority
from tests.documents import independent
from tests.documents.conftest import NOW
from tests.documents.uploads import upload
from tests.simulators.tsa import timestamp_server
from tests.tools import ask, require_tool


@pytest.fixture(scope="module")
def server():
    with timestamp_server(NOW) as running:
        yield running


@pytest.fixture
def tsa(server):
    server.mood, server.falls_after, server.asked = "well", None, 0
    server.release.clear()
    return TimestampAuthority(server.url, timeout_s=0.5)


@pytest.fixture(scope="module")
def time_ca(server, tmp_path_factory):
    path = tmp_path_factory.mktemp("time") / "ca.pem"
    path.write_bytes(server.root_pem)
    return path


def sealed(pdf, keys, **named):
    return seal.seal(pdf, keys, now=NOW, reason="Sealed by Larkfield Software Ltd", **named)


def test_the_seal_is_one_revision_behind_the_very_same_bytes(contract, keys):
    out = sealed(contract[0], keys)

    verdict = verify.check(out, ca_pem=keys.ca_pem)
    assert out.startswith(contract[0])
    assert out[len(contract[0]) :].count(b"startxref") == 1
    assert verdict.ok, verdict.reasons
    assert (verdict.kind, verdict.covered, verdict.sealed_at) == ("sealed", len(out), NOW)
    assert verdict.shown_length == len(contract[0])
    assert verdict.shown_sha256 == sha256(contract[0]).hexdigest()
    assert verdict.sealed_by == "Larkfield Software Ltd"


def test_the_programs_of_others_accept_it(contract, keys, ca, tmp_path):
    require_tool("openssl")
    path = tmp_path / "sealed.pdf"
    path.write_bytes(sealed(contract[0], keys, location="Leeds (UK)"))

    said = ask("pdfsig", "-nocert", path)

    assert independent.faults(path.read_bytes(), ca, tmp_path) == []
    assert "Signature is Valid" in said
    assert "\n  - Total document signed" in said
    assert "ETSI.CAdES.detached" in said
    ask("qpdf", "--check", path)


def apart(validate, *arguments):
    """Run in a thread of its own: a browser test of this process may hold the main thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(validate, *arguments).result()


def test_pyhanko_trusts_it_and_sees_no_change(contract, keys):
    from asn1crypto import x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    root = x509.Certificate.load(keys.certificates[-1])
    reader = PdfFileReader(BytesIO(sealed(contract[0], keys)))
    context = ValidationContext(trust_roots=[root], moment=NOW, allow_fetching=False)

    status = apart(validate_pdf_signature, reader.embedded_signatures[0], context)

    assert status.bottom_line
    assert status.coverage.name == "ENTIRE_FILE"
    assert reader.embedded_signatures[0].docmdp_level.value == 1


@pytest.mark.parametrize("seed", range(12))
def test_files_of_other_programs_are_sealed_too(keys, ca, tmp_path, seed):
    shown = upload(seed)

    out = sealed(shown, keys)

    assert out.startswith(shown)
    assert verify.check(out, ca_pem=keys.ca_pem).ok
    assert independent.faults(out, ca, tmp_path) == []


def test_what_cannot_be_sealed_is_refused(contract, keys):
    encrypted, form = BytesIO(), BytesIO()
    with pikepdf.open(BytesIO(contract[0])) as pdf:
        pdf.save(encrypted, encryption=pikepdf.Encryption(owner="o", user=""))
        pdf.Root.AcroForm = pikepdf.Dictionary(
            Fields=pikepdf.Array([pdf.make_indirect(pikepdf.Dictionary())])
        )
        pdf.save(form)
    refused = {
        "encrypted": encrypted.getvalue(),
        "form fields": form.getvalue(),
        "already carries a signature": sealed(contract[0], keys),
        "not a PDF": b"hello",
        "that can be sealed": contract[0][:-400],
        "cannot|can be sealed": b"%PDF-1.7\nnothing\n%%EOF\n",
    }

    for said, pdf in refused.items():
        with pytest.raises(Unsealable, match=said):
            sealed(pdf, keys)


@pytest.mark.parametrize("days", [-2, 2000])
def test_an_expired_certificate_does_not_seal(contract, keys, days):
    with pytest.raises(Unsealable, match="not valid at this time"):
        seal.seal(contract[0], keys, now=NOW + timedelta(days=days), reason="")


# --- timestamps --------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", ["contract", 0, 1, 2, 3])
def test_with_a_timestamp_authority_the_last_range_ends_the_file(
    contract, keys, ca, tsa, server, time_ca, tmp_path, shown
):
    pdf = contract[0] if shown == "contract" else upload(shown)

    done = timestamps.seal_with_timestamps(pdf, keys, tsa, NOW)

    verdict = verify.check(done.pdf, ca_pem=keys.ca_pem + server.root_pem)
    assert not done.incomplete
    assert done.pdf.startswith(pdf)
    assert verdict.ok, verdict.reasons
    assert verdict.timestamp == verify.TimestampSaid(NOW, "Larkfield Time unit", True)
    assert verify.check(done.pdf, ca_pem=keys.ca_pem).reasons == ("timestamp_unknown",)
    assert independent.faults(done.pdf, ca, tmp_path, time_ca) == []
    (tmp_path / "t.pdf").write_bytes(done.pdf)
    ask("qpdf", "--check", tmp_path / "t.pdf")
    said = ask("pdfsig", "-nocert", tmp_path / "t.pdf")
    assert said.count("Signature is Valid") == 1
    assert said.count("\n  - Total document signed") == 1
    assert said.index("Total document signed", said.index("Signature #2"))


def test_pyhanko_finds_it_valid_for_the_long_term(contract, keys, tsa, server):
    from asn1crypto import pem, x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
    from pyhanko.sign.validation.dss import DocumentSecurityStore

    roots = [x509.Certificate.load(pem.unarmor(one)[2]) for one in (keys.ca_pem, server.root_pem)]
    done = timestamps.seal_with_timestamps(contract[0], keys, tsa, NOW)
    late = timestamps.upgrade(sealed(contract[0], keys), keys, tsa, NOW)

    for pdf in (done.pdf, late.pdf):
        reader = PdfFileReader(BytesIO(pdf))
        store = DocumentSecurityStore.read_dss(reader)
        context = store.as_validation_context(
            {"trust_roots": roots, "moment": NOW, "allow_fetching": False, "revocation_mode": "hard-fail"}
        )
        status = apart(validate_pdf_signature, reader.embedded_regular_signatures[0], context, context)
        time = apart(validate_pdf_timestamp, reader.embedded_timestamp_signatures[0], context)
        assert status.bottom_line, status.pretty_print_details()
        assert status.modification_level.name == "LTA_UPDATES"
        assert time.trusted
        assert time.coverage.name == "ENTIRE_FILE"


@pytest.mark.parametrize(
    "mood",
    [
        "down",
        "slow",
        "refuses",
        "wrong_nonce",
        "wrong_imprint",
        "no_purpose",
        "garbage",
        "huge",
        "redirects",
        "late",
    ],
)
def test_an_authority_that_is_away_or_lies_leaves_the_seal_alone_and_says_so(
    contract, keys, tsa, server, mood
):
    server.mood = mood

    done = timestamps.seal_with_timestamps(contract[0], keys, tsa, NOW)

    server.release.set()
    assert done.incomplete
    assert done.problem
    assert done.timestamp is None
    verdict = verify.check(done.pdf, ca_pem=keys.ca_pem)
    assert verdict.ok, verdict.reasons
    assert verdict.timestamp is None


def test_an_authority_that_falls_between_two_answers_leaves_the_seal_alone(contract, keys, tsa, server):
    server.falls_after = 1

    done = timestamps.seal_with_timestamps(contract[0], keys, tsa, NOW)

    assert server.asked == 2
    assert done.incomplete
    assert verify.check(done.pdf, ca_pem=keys.ca_pem).ok


def test_an_incomplete_seal_is_upgraded_later_and_never_signed_again(
    contract, keys, ca, tsa, server, time_ca, tmp_path
):
    server.mood = "down"
    alone = timestamps.seal_with_timestamps(contract[0], keys, tsa, NOW).pdf
    server.mood = "well"

    done = timestamps.upgrade(alone, keys, tsa, NOW + timedelta(minutes=5))

    assert done.pdf.startswith(alone)
    assert not done.incomplete
    assert verify.check(done.pdf, ca_pem=keys.ca_pem + server.root_pem).ok
    assert independent.faults(done.pdf, ca, tmp_path, time_ca) == []
    with pytest.raises(ValueError, match="stands alone"):
        timestamps.upgrade(done.pdf, keys, tsa, NOW)


def test_upgrading_while_the_authority_is_away_says_so(contract, keys, tsa, server):
    alone = sealed(contract[0], keys)
    server.mood = "down"

    with pytest.raises(AuthorityAway, match="503"):
        timestamps.upgrade(alone, keys, tsa, NOW)
    with pytest.raises(AuthorityAway, match="does not answer"):
        timestamps.upgrade(alone, keys, TimestampAuthority("http://127.0.0.1:9/", timeout_s=0.5), NOW)


def test_only_the_root_relied_on_may_stamp(contract, keys, tsa, server):
    strict = TimestampAuthority(server.url, roots=server.root_pem)
    stranger = TimestampAuthority(server.url, roots=keys.ca_pem)

    assert not timestamps.seal_with_timestamps(contract[0], keys, strict, NOW).incomplete
    assert "another root" in timestamps.seal_with_timestamps(contract[0], keys, stranger, NOW).problem
