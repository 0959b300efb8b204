from __future__ import annotations

import stat
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import NameOID

from portal.documents import authority, cms, seal, verify
from portal.documents.authority import UnusableKey
from tests.documents.conftest import NOW
from tests.tools import ask, require_tool


def test_the_folder_appears_whole_and_only_its_owner_reads_it(tmp_path):
    folder = tmp_path / "keys" / "authority"

    authority.create(folder, name="Larkfield Software Ltd", now=NOW)

    names = {"ca.pem", "ca_key.pem", "seal.pem", "seal_key.pem", "audit.pem", "audit_key.pem"}
    assert {path.name for path in folder.iterdir()} == names
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.parent.iterdir()] == ["authority"]


def test_keys_are_never_overwritten(tmp_path):
    folder = tmp_path / "authority"
    authority.create(folder, name="Larkfield Software Ltd", now=NOW)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    with pytest.raises(FileExistsError):
        authority.create(folder, name="Somebody Else", now=NOW)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["authority"]


def test_the_loser_of_a_race_leaves_nothing_behind(tmp_path, monkeypatch):
    folder = tmp_path / "authority"
    authority.create(folder, name="Winner", now=NOW)
    monkeypatch.setattr(authority, "exists", lambda directory: False)

    with pytest.raises(FileExistsError):
        authority.create(folder, name="Loser", now=NOW)

    monkeypatch.undo()
    assert authority.load(folder).organisation == "Winner"
    assert [path.name for path in tmp_path.iterdir()] == ["authority"]


def test_openssl_accepts_the_chain_and_the_revocation_list(keys, ca, tmp_path):
    require_tool("openssl")
    leaf, revoked = tmp_path / "seal.pem", tmp_path / "list.pem"
    leaf.write_bytes((keys.directory / "seal.pem").read_bytes())
    (tmp_path / "list.der").write_bytes(keys.revocation_list(NOW))
    ask("openssl", "crl", "-inform", "DER", "-in", tmp_path / "list.der", "-out", revoked)
    at = str(int(NOW.timestamp()) + 60)

    said = ask(
        "openssl",
        "verify",
        "-x509_strict",
        "-attime",
        at,
        "-CAfile",
        ca,
        "-CRLfile",
        revoked,
        "-crl_check",
        leaf,
    )

    assert said.strip().endswith("OK")


def test_the_admin_page_has_what_it_shows(keys):
    told = keys.describe()

    assert told["organisation"] == "Larkfield Software Ltd"
    assert told["key"] == "EC secp256r1"
    assert len(told["fingerprint_sha256"]) == 64
    assert timedelta(days=1090) < told["not_after"] - NOW < timedelta(days=1100)
    assert told["ca_not_after"] > told["not_after"]
    assert not told["own_certificate"]


def test_the_audit_key_signs_what_its_certificate_verifies(keys):
    signature = keys.sign_audit(b"head")

    public = x509.load_pem_x509_certificate(keys.audit_pem).public_key()
    public.verify(signature, b"head", ec.ECDSA(hashes.SHA256()))


def test_a_missing_key_is_said_in_one_sentence(tmp_path):
    with pytest.raises(UnusableKey, match="no sealing key"):
        authority.load(tmp_path)


def test_long_and_spaced_names_fit_a_certificate(tmp_path):
    authority.create(tmp_path / "a", name="  Très   longue société " + "x" * 200, now=NOW)

    assert authority.load(tmp_path / "a").organisation.startswith("Très longue société xx")


def test_timestamp_roots_are_kept_once(keys, tmp_path):
    authority.create(tmp_path / "a", name="Larkfield", now=NOW)
    held = authority.load(tmp_path / "a")

    held.trust_timestamps(keys.certificates[1])
    held.trust_timestamps(keys.certificates[1])

    assert held.timestamp_roots == keys.ca_pem
    assert held.bundle == held.ca_pem + keys.ca_pem


def own_key(key, *, usage=True, issuer=None, name="Own GmbH"):
    """A certificate of somebody else's making."""
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
    signer_key, signer = issuer or (key, subject)
    granted = dict.fromkeys(
        [
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    granted["digital_signature" if usage else "key_encipherment"] = True
    granted["key_cert_sign"] = issuer is None
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=365))
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        .add_extension(x509.KeyUsage(**granted), critical=True)
        .sign(signer_key, hashes.SHA256())
    )


def p12(path, key, certificate, others=()):
    encryption = BestAvailableEncryption(b"secret")
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"seal", key, certificate, list(others), encryption)
    )
    return path


@pytest.mark.parametrize("kind", ["rsa", "secp256r1", "secp384r1", "secp521r1"])
def test_a_certificate_of_your_own_seals(keys, contract, tmp_path, kind):
    curves = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(curves[kind])
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = own_key(root_key, name="Public authority")
    leaf = own_key(key, issuer=(root_key, root.subject))
    path = p12(tmp_path / "own.p12", key, leaf, [root])

    held = authority.load(keys.directory, path, "secret")
    sealed = seal.seal(contract[0], held, now=NOW, reason="Sealed")

    assert held.own_certificate
    assert verify.check(sealed, ca_pem=held.bundle).ok
    # the root alone vouches for many others: it is no proof of our seal, yet it is a chain
    assert verify.check(sealed, ca_pem=keys.bundle).reasons == ("certificate_unknown",)


def test_another_certificate_of_the_same_public_authority_is_not_ours(keys, contract, tmp_path):
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = own_key(root_key, name="Public authority")
    held = []
    for name in ("Ours", "Theirs"):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = own_key(key, issuer=(root_key, root.subject), name=name)
        held.append(authority.load(keys.directory, p12(tmp_path / name, key, leaf, [root]), "secret"))

    theirs = seal.seal(contract[0], held[1], now=NOW, reason="")

    assert verify.check(theirs, ca_pem=held[0].bundle).reasons == ("certificate_unknown",)


def test_what_is_wrong_with_your_own_certificate_is_said(keys, tmp_path):
    key, weak = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 1024)
    files = {
        "password": (p12(tmp_path / "a.p12", key, own_key(key)), "wrong"),
        "may not be used": (p12(tmp_path / "b.p12", key, own_key(key, usage=False)), "secret"),
        "2048": (p12(tmp_path / "c.p12", weak, own_key(weak)), "secret"),
        "cannot be read": (tmp_path / "absent.p12", "secret"),
    }
    for said, (path, password) in files.items():
        with pytest.raises(UnusableKey, match=said):
            authority.load(keys.directory, path, password)


def test_of_two_equal_signatures_only_the_lower_is_written():
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)
        for turn in range(20):
            signature = cms.sign(key, bytes([turn]))
            assert cms.is_lowest(signature, curve)
            key.public_key().verify(signature, bytes([turn]), ec.ECDSA(hashes.SHA256()))
