"""Whose seal this is: our certificate authority and the key that seals, in one folder.

    ca.pem  ca_key.pem        the authority, 20 years; signs the two below and the revocation list
    seal.pem  seal_key.pem    seals documents, 3 years
    audit.pem  audit_key.pem  signs heads and exports of the audit trail, 3 years
    timestamps.pem            roots of timestamp authorities this installation relies on

The folder appears in one step and complete, or not at all. With a PKCS#12 file of your own
(SEAL_P12) that key seals instead; the audit key stays ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from portal.documents import cms
from portal.errors import PortalError
from portal.i18n import gettext as _

CA_YEARS, SEAL_YEARS = 20, 3
LONGEST_NAME = 64  # X.520, upper bound of an organisation's name; cryptography counts bytes
CLOCKS_DIFFER = timedelta(hours=1)


class UnusableKey(PortalError):
    """The sealing key or its certificate cannot be used; the message says why."""


@dataclass(frozen=True)
class Authority:
    """The sealing key with its certificates, the signer's first and the one to trust last."""

    certificates: tuple[bytes, ...]
    key: cms.PrivateKey = field(repr=False)
    directory: Path
    own_certificate: bool = False

    @cached_property
    def template(self) -> cms.Template:
        algorithm = cms.RSA_SHA256 if isinstance(self.key, rsa.RSAPrivateKey) else cms.ECDSA_SHA256
        return cms.Template.of(self.certificates, algorithm)

    @cached_property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.certificates[0])

    @property
    def seal_certificate(self) -> bytes:
        return self.certificates[0]

    @cached_property
    def ca_pem(self) -> bytes:
        """What a verifier relies on, PEM: our root, or your own certificate itself with its chain.

        Others hold certificates of a public authority too, so such a root alone would prove nothing.
        """
        relied_on = self.certificates if self.own_certificate else self.certificates[-1:]
        return b"".join(x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in relied_on)

    @property
    def fingerprint_sha256(self) -> str:
        return sha256(self.certificates[0]).hexdigest()

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    @cached_property
    def organisation(self) -> str:
        return organisation(self.certificate)

    def sign(self, message: bytes) -> bytes:
        return cms.sign(self.key, message)

    def sign_audit(self, message: bytes) -> bytes:
        """ECDSA over SHA-256 by the audit key, whose certificate is `audit_pem`."""
        return cms.sign(_private_key(self.directory / "audit_key.pem"), message)

    def is_signed_for_audit(self, message: bytes, signature: bytes) -> bool:
        """Whether `sign_audit` made this signature over the message."""
        key = x509.load_pem_x509_certificate(self.audit_pem).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        try:
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    @property
    def audit_pem(self) -> bytes:
        return (self.directory / "audit.pem").read_bytes()

    @property
    def timestamp_roots(self) -> bytes:
        """Roots of timestamp authorities, PEM; empty until one has been used."""
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "timestamps.pem").read_bytes()
        return b""

    @property
    def bundle(self) -> bytes:
        """What `countersign ca` prints: whose seal to accept first, then who is believed on time."""
        return self.ca_pem + self.timestamp_roots

    def trust_timestamps(self, root: bytes) -> None:
        """Rely on a timestamp authority from now on; `root` is its root certificate in DER."""
        pem = x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM)
        roots = self.timestamp_roots
        if pem not in roots:
            _replace(self.directory / "timestamps.pem", roots + pem)

    def revocation_list(self, now: datetime) -> bytes | None:
        """A fresh revocation list of our own authority in DER; None with a certificate of your own."""
        if self.own_certificate:
            return None
        issuer = x509.load_der_x509_certificate(self.certificates[-1])
        key = _private_key(self.directory / "ca_key.pem")
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(now)
            .next_update(now + timedelta(days=31))
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
            .add_extension(_authority_key(issuer.public_key()), critical=False)
        )
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    def describe(self) -> dict[str, Any]:
        """What the admin page shows of the key."""
        root = x509.load_der_x509_certificate(self.certificates[-1])
        return {
            "organisation": self.organisation,
            "issuer": self.certificate.issuer.rfc4514_string(),
            "serial": f"{self.certificate.serial_number:x}",
            "key": _key_kind(self.key),
            "fingerprint_sha256": self.fingerprint_sha256,
            "not_before": self.certificate.not_valid_before_utc,
            "not_after": self.not_after,
            "ca_fingerprint_sha256": sha256(self.certificates[-1]).hexdigest(),
            "ca_not_after": root.not_valid_after_utc,
            "own_certificate": self.own_certificate,
        }


def exists(directory: Path) -> bool:
    return (directory / "seal_key.pem").is_file()


def create(directory: Path, *, name: str, now: datetime) -> None:
    """Make the authority and its keys for the organisation `name`.

    Raises FileExistsError when the folder already holds one; nothing is ever overwritten.
    """
    if exists(directory):
        raise FileExistsError(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = directory.with_name(f".{directory.name}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.mkdir(mode=0o700)
    try:
        for file_name, content in _fresh(name, now).items():
            _write(draft / file_name, content)
        _sync(draft)
        _appear(draft, directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load(directory: Path, seal_p12: Path | None = None, password: str = "") -> Authority:
    """Read the keys once; `seal_p12` replaces the sealing key. Raises UnusableKey."""
    if not exists(directory):
        raise UnusableKey(_("This installation has no sealing key yet: no %(file)s.") % {"file": directory})
    if seal_p12 is not None:
        return _from_p12(directory, seal_p12, password)
    certificates = tuple(
        x509.load_pem_x509_certificate((directory / name).read_bytes()).public_bytes(Encoding.DER)
        for name in ("seal.pem", "ca.pem")
    )
    return Authority(certificates, _private_key(directory / "seal_key.pem"), directory)


def organisation(certificate: x509.Certificate) -> str:
    """The organisation a certificate names, else its common name."""
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(kind):
            return str(attribute.value)
    return certificate.subject.rfc4514_string()


def may_sign(certificate: x509.Certificate) -> bool:
    """Whether the key usage, where stated, allows signing documents."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.digital_signature or usage.content_commitment


def chain(first: x509.Certificate, others: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """`first` and those who vouch for it, as far as `others` reach."""
    found, left = [first], list(others)
    while issuer := next((one for one in left if one != found[-1] and issued(found[-1], one)), None):
        found.append(issuer)
        left.remove(issuer)
    return found


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _from_p12(directory: Path, path: Path, password: str) -> Authority:
    named = {"file": path.name}
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(path.read_bytes(), password.encode())
    except ValueError as error:
        raise UnusableKey(_("%(file)s cannot be opened: wrong password or not PKCS#12.") % named) from error
    except OSError as error:
        raise UnusableKey(_("%(file)s cannot be read.") % named) from error
    if key is None or certificate is None:
        raise UnusableKey(_("%(file)s does not hold a key together with its certificate.") % named)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) or _weak(key):
        raise UnusableKey(_("The key in %(file)s is neither RSA of 2048 bits nor a NIST curve.") % named)
    if not may_sign(certificate):
        raise UnusableKey(_("The certificate in %(file)s may not be used for signing documents.") % named)
    ders = tuple(one.public_bytes(Encoding.DER) for one in chain(certificate, others))
    return Authority(ders, key, directory, own_certificate=True)


def _weak(key: cms.PrivateKey) -> bool:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size < 2048
    return key.curve.name not in cms.ORDERS


def _key_kind(key: cms.PrivateKey) -> str:
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPrivateKey) else f"EC {key.curve.name}"


def _private_key(path: Path) -> cms.PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UnusableKey(_("%(file)s does not hold a key that seals.") % {"file": path.name})
    return key


# --- making ------------------------------------------------------------------------------------


def _fresh(name: str, now: datetime) -> dict[str, bytes]:
    organisation_name = _cut(" ".join(name.split()), LONGEST_NAME)
    if not organisation_name:
        raise ValueError("an authority needs the organisation's name")
    root_key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(organisation_name, "document authority")
    root = _root(subject, root_key, now)
    files = {"ca.pem": root.public_bytes(Encoding.PEM), "ca_key.pem": _pem(root_key)}
    for purpose in ("seal", "audit"):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _leaf(_subject(organisation_name, purpose), key, root, root_key, now)
        files |= {f"{purpose}.pem": leaf.public_bytes(Encoding.PEM), f"{purpose}_key.pem": _pem(key)}
    return files


def _subject(organisation_name: str, purpose: str) -> x509.Name:
    common = f"{_cut(organisation_name, LONGEST_NAME - len(purpose) - 1)} {purpose}"
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation_name),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore").strip()


def _root(subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    return (
        _certificate(subject, subject, key.public_key(), now, CA_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    return (
        _certificate(subject, root.subject, key.public_key(), now, SEAL_YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, content_commitment=True), critical=True)
        .add_extension(_authority_key(root.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, years: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - CLOCKS_DIFFER)
        .not_valid_after(now.astimezone(UTC) + timedelta(days=365 * years + years // 4))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_key(key: Any) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _usage(**granted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        " key_cert_sign crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: granted.get(name, False) for name in names.split()})


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# --- files -------------------------------------------------------------------------------------


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    _write(draft, content)
    draft.rename(path)
    _sync(path.parent)


def _appear(draft: Path, directory: Path) -> None:
    """Give the finished folder its name; an empty folder may stand there, a filled one may not."""
    try:
        draft.rename(directory)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(directory) from error
        raise
    directory.chmod(0o700)
    _sync(directory.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
