"""The signature container (CMS SignedData), written and read in one exact form.

Writing is a template: everything but the digest and the signature value is constant per key, which
is why a seal costs well under a millisecond here. Reading is the same form turned round: each length
minimal, each field the one expected, no byte left over. So nothing in a container that its signature
does not protect can be changed without being seen. Timestamp tokens come from elsewhere and are read
with the same strictness, in the few spellings that authorities use.

Sources: RFC 5652 (CMS), RFC 5035 (signing-certificate-v2), RFC 3161 (timestamps), ETSI EN 319 122-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

INTEGER, OCTETS, OID, TIME, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31
TAGGED_0, TAGGED_1 = 0xA0, 0xA1

SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
DATA = bytes.fromhex("06092a864886f70d010701")
TST_INFO = bytes.fromhex("060b2a864886f70d0109100104")
CONTENT_TYPE = bytes.fromhex("06092a864886f70d010903")
MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
SIGNING_CERTIFICATE = bytes.fromhex("060b2a864886f70d010910020c")
SIGNING_CERTIFICATE_V2 = bytes.fromhex("060b2a864886f70d010910022f")
TIMESTAMP_TOKEN = bytes.fromhex("060b2a864886f70d010910020e")

NULL = bytes.fromhex("0500")
DIGESTS: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("0609608648016503040201"): hashes.SHA256(),
    bytes.fromhex("0609608648016503040202"): hashes.SHA384(),
    bytes.fromhex("0609608648016503040203"): hashes.SHA512(),
}
SHA256 = bytes.fromhex("300b0609608648016503040201")
RSA_PLAIN = bytes.fromhex("06092a864886f70d010101")
RSA_WITH = {
    bytes.fromhex("06092a864886f70d01010b"): "sha256",
    bytes.fromhex("06092a864886f70d01010c"): "sha384",
    bytes.fromhex("06092a864886f70d01010d"): "sha512",
}
ECDSA_WITH = {
    bytes.fromhex("06082a8648ce3d040302"): "sha256",
    bytes.fromhex("06082a8648ce3d040303"): "sha384",
    bytes.fromhex("06082a8648ce3d040304"): "sha512",
}
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Malformed(ValueError):
    """A container that is not written in the one form accepted here."""


# --- DER ---------------------------------------------------------------------------------------


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


class Der:
    """Reads values one after the other; each must have its shortest length and lie inside."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def peek(self) -> int:
        """Tag of the next value, -1 at the end."""
        return self.data[self.at] if self.at < len(self.data) else -1

    def whole(self, tag: int) -> bytes:
        """The next value with its tag and length."""
        start = self.at
        self.content(tag)
        return self.data[start : self.at]

    def content(self, tag: int) -> bytes:
        if self.peek() != tag or self.at + 2 > len(self.data):
            raise Malformed(f"expected tag {tag:02x}")
        length, start = self.data[self.at + 1], self.at + 2
        if length >= 0x80:
            size = length & 0x7F
            digits = self.data[start : start + size]
            length, start = int.from_bytes(digits, "big"), start + size
            if not 1 <= size <= 4 or len(digits) != size or digits[0] == 0 or length < 0x80:
                raise Malformed("length is not the shortest")
        if start + length > len(self.data):
            raise Malformed("value runs past its container")
        self.at = start + length
        return self.data[start : self.at]

    def into(self, tag: int) -> Der:
        return Der(self.content(tag))

    def expect(self, whole: bytes) -> None:
        if not self.data.startswith(whole, self.at):
            raise Malformed("a fixed part differs")
        self.at += len(whole)

    def end(self) -> None:
        if self.at != len(self.data):
            raise Malformed("bytes are left over")


# --- writing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Template:
    """All of a signature container that is the same for every document sealed with one key."""

    certificates: tuple[bytes, ...]
    signature_algorithm: bytes
    _before: bytes
    _signer: bytes
    _certificate_attribute: bytes

    @classmethod
    def of(cls, certificates: Sequence[bytes], signature_algorithm: bytes) -> Template:
        """`certificates` in DER, the signer's first."""
        signer = certificates[0]
        return cls(
            tuple(certificates),
            signature_algorithm,
            tlv(INTEGER, b"\1") + tlv(SET, SHA256) + tlv(SEQUENCE, DATA) + _certificate_set(certificates),
            tlv(INTEGER, b"\1") + issuer_and_serial(signer) + SHA256,
            _certificate_attribute(signer),
        )

    def attributes(self, digest: bytes) -> bytes:
        """The signed attributes as a SET: what the key signs."""
        attributes = [
            tlv(SEQUENCE, CONTENT_TYPE, tlv(SET, DATA)),
            tlv(SEQUENCE, MESSAGE_DIGEST, tlv(SET, tlv(OCTETS, digest))),
            self._certificate_attribute,
        ]
        return tlv(SET, *sorted(attributes))

    def container(self, digest: bytes, signature: bytes, token: bytes | None = None) -> bytes:
        """The finished container; `token` is a timestamp over the signature value."""
        attributes = self.attributes(digest)
        signer = [self._signer, bytes([TAGGED_0]) + attributes[1:], self.signature_algorithm]
        signer.append(tlv(OCTETS, signature))
        if token is not None:
            signer.append(tlv(TAGGED_1, tlv(SEQUENCE, TIMESTAMP_TOKEN, tlv(SET, token))))
        signed = tlv(SEQUENCE, self._before, tlv(SET, tlv(SEQUENCE, *signer)))
        return tlv(SEQUENCE, SIGNED_DATA, tlv(TAGGED_0, signed))


def issuer_and_serial(certificate: bytes) -> bytes:
    loaded = x509.load_der_x509_certificate(certificate)
    serial = loaded.serial_number
    return tlv(
        SEQUENCE,
        loaded.issuer.public_bytes(),
        tlv(INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)),
    )


def _certificate_set(certificates: Sequence[bytes]) -> bytes:
    return tlv(TAGGED_0, *sorted(certificates))


def _certificate_attribute(signer: bytes) -> bytes:
    """signing-certificate-v2 with the SHA-256 of the certificate, issuer and serial left out."""
    reference = tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(OCTETS, sha256(signer).digest()))))
    return tlv(SEQUENCE, SIGNING_CERTIFICATE_V2, tlv(SET, reference))


def sign(key: PrivateKey, message: bytes) -> bytes:
    """A signature over SHA-256. Of the two equal forms of an ECDSA signature the lower is written."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    order = _order(key.curve)
    return encode_dss_signature(r, min(s, order - s))


def is_lowest(signature: bytes, curve: ec.EllipticCurve) -> bool:
    r, s = decode_dss_signature(signature)
    return 2 * s <= _order(curve) and encode_dss_signature(r, s) == signature


def _order(curve: ec.EllipticCurve) -> int:
    order = ORDERS.get(curve.name)
    if order is None:
        raise Malformed(f"curve {curve.name} is not used here")
    return order


ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
    "secp521r1": int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA"
        "51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
}


# --- reading -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignedData:
    content_type: bytes
    content: bytes | None
    certificates: tuple[bytes, ...]
    signer: bytes
    digest: hashes.HashAlgorithm
    attributes: bytes
    algorithm: bytes
    signature: bytes
    token: bytes | None

    def attribute(self, oid: bytes) -> bytes:
        """The only value of a signed attribute. Raises Malformed when it is missing or doubled."""
        values = [value for name, value in _attributes(self.attributes) if name == oid]
        if len(values) != 1:
            raise Malformed("a signed attribute is missing or doubled")
        return values[0]


def read(der: bytes) -> SignedData:
    """Raises Malformed for every spelling but the accepted one."""
    outer = Der(der)
    container = outer.into(SEQUENCE)
    outer.end()
    container.expect(SIGNED_DATA)
    wrapper = container.into(TAGGED_0)
    container.end()
    signed = wrapper.into(SEQUENCE)
    wrapper.end()
    version = signed.content(INTEGER)
    digests = signed.into(SET)
    digest_oid = _digest_oid(digests)
    digests.end()
    content_type, content = _content(signed.into(SEQUENCE))
    if version != (b"\1" if content_type == DATA else b"\3"):
        raise Malformed("version does not fit the content")
    certificates = _values(signed.into(TAGGED_0), SEQUENCE)
    signers = signed.into(SET)
    signed.end()
    signer = signers.into(SEQUENCE)
    signers.end()
    return _signer(signer, digest_oid, content_type, content, certificates)


def _signer(
    signer: Der, digest_oid: bytes, content_type: bytes, content: bytes | None, certificates: list[bytes]
) -> SignedData:
    signer.expect(tlv(INTEGER, b"\1"))
    named = signer.whole(SEQUENCE)
    if _digest_oid(signer) != digest_oid:
        raise Malformed("two digest algorithms are named")
    attributes = signer.whole(TAGGED_0)
    algorithm = signer.whole(SEQUENCE)
    signature = signer.content(OCTETS)
    token = _token(signer.into(TAGGED_1)) if signer.peek() == TAGGED_1 else None
    signer.end()
    owners = [der for der in certificates if issuer_and_serial(der) == named]
    if len(owners) != 1 or len(set(certificates)) != len(certificates):
        raise Malformed("the signer's certificate is missing or doubled")
    return SignedData(
        content_type,
        content,
        tuple(certificates),
        owners[0],
        DIGESTS[digest_oid],
        bytes([SET]) + attributes[1:],
        algorithm,
        signature,
        token,
    )


def _digest_oid(der: Der) -> bytes:
    algorithm = der.into(SEQUENCE)
    oid = algorithm.whole(OID)
    if algorithm.peek() != -1:
        algorithm.expect(NULL)
    algorithm.end()
    if oid not in DIGESTS:
        raise Malformed("the digest algorithm is not one accepted here")
    return oid


def _content(info: Der) -> tuple[bytes, bytes | None]:
    content_type = info.whole(OID)
    if content_type == DATA:
        info.end()
        return content_type, None
    if content_type != TST_INFO:
        raise Malformed("the content is neither a document nor a timestamp")
    wrapper = info.into(TAGGED_0)
    info.end()
    content = wrapper.content(OCTETS)
    wrapper.end()
    return content_type, content


def _values(der: Der, tag: int) -> list[bytes]:
    values = []
    while der.peek() != -1:
        values.append(der.whole(tag))
    return values


def _attributes(whole: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    outer = Der(whole).into(SET)
    while outer.peek() != -1:
        attribute = outer.into(SEQUENCE)
        oid, values = attribute.whole(OID), attribute.into(SET)
        attribute.end()
        found.append((oid, values.whole(values.peek())))
        values.end()
    return found


def _token(unsigned: Der) -> bytes:
    attribute = unsigned.into(SEQUENCE)
    unsigned.end()
    attribute.expect(TIMESTAMP_TOKEN)
    values = attribute.into(SET)
    attribute.end()
    token = values.whole(SEQUENCE)
    values.end()
    return token


# --- checking ----------------------------------------------------------------------------------


def names_signer(signed: SignedData) -> bool:
    """Whether the signed attributes hold the fingerprint of the certificate used."""
    try:
        reference = signed.attribute(SIGNING_CERTIFICATE_V2)
        algorithm: hashes.HashAlgorithm = hashes.SHA256()
    except Malformed:
        reference = signed.attribute(SIGNING_CERTIFICATE)
        algorithm = hashes.SHA1()  # noqa: S303 - the older attribute knows no other
    first = Der(reference).into(SEQUENCE).into(SEQUENCE).into(SEQUENCE)
    if first.peek() == SEQUENCE:
        algorithm = DIGESTS[_digest_oid(first)]
    return first.content(OCTETS) == digest_of(algorithm, signed.signer)


def is_signed(signed: SignedData) -> bool:
    """Whether the signature value is the signer's over the signed attributes."""
    key = x509.load_der_x509_certificate(signed.signer).public_key()
    algorithm = Der(signed.algorithm).into(SEQUENCE)
    oid = algorithm.whole(OID)
    if algorithm.peek() != -1:
        algorithm.expect(NULL)
    algorithm.end()
    named = signed.digest.name
    try:
        if isinstance(key, rsa.RSAPublicKey) and (oid == RSA_PLAIN or RSA_WITH.get(oid) == named):
            key.verify(signed.signature, signed.attributes, padding.PKCS1v15(), signed.digest)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and ECDSA_WITH.get(oid) == named:
            key.verify(signed.signature, signed.attributes, ec.ECDSA(signed.digest))
            return True
    except InvalidSignature:
        return False
    return False


def digest_of(algorithm: hashes.HashAlgorithm, *parts: bytes | memoryview) -> bytes:
    digest = hashes.Hash(algorithm)
    for part in parts:
        digest.update(part)
    return digest.finalize()
