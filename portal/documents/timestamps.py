"""Time from outside: a client for an RFC 3161 authority, and the timestamps in a sealed file.

With an authority the seal carries a timestamp over its signature, and one more revision holds the
validation data and a document timestamp that reaches the last byte of the file (B-LT and a final
document timestamp). When the authority is away the seal stands alone and `upgrade` adds the revision
later: the earlier bytes stay a prefix, and nothing is signed again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from portal.documents import cms, revisions
from portal.documents.authority import Authority, chain, is_authority, issued
from portal.documents.cms import INTEGER, OCTETS, OID, SEQUENCE, TIME, Der, Malformed, tlv

if TYPE_CHECKING:
    from portal.documents.seal import Unfilled

CLOCKS_DIFFER = timedelta(minutes=10)
TOKEN_ROOM = 12 * 1024
LARGEST_ANSWER = 256 * 1024


class BadTimestamp(ValueError):
    """A timestamp that is not one over these bytes by a timestamp authority."""


class AuthorityAway(Exception):
    """The timestamp authority gave no usable answer; asking again later may help."""


@dataclass(frozen=True)
class Timestamp:
    """`at` as the authority says it; `authority` is the name in its certificate.

    `certificates` are all that the token carries, `vouching` those from its signer upwards.
    """

    at: datetime
    authority: str
    certificates: tuple[bytes, ...]
    vouching: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        return self.vouching[-1]

    def vouched_by(self, roots: Sequence[x509.Certificate]) -> bool:
        """Whether one of `roots` stands in, or right above, the chain of its signer."""
        chained = [x509.load_der_x509_certificate(der) for der in self.vouching]
        return any(root in chained or issued(chained[-1], root) for root in roots)


@dataclass(frozen=True)
class Sealed:
    """A sealed file; `problem` says why it is not timestamped yet, and is empty when it is."""

    pdf: bytes
    problem: str = ""
    timestamp: Timestamp | None = None

    @property
    def incomplete(self) -> bool:
        return bool(self.problem)


# --- a token -----------------------------------------------------------------------------------


def read(token: bytes, imprint: bytes, nonce: int | None = None) -> Timestamp:
    """The timestamp in a token over SHA-256 `imprint`. Raises BadTimestamp.

    The caller decides whether to rely on its `root`.
    """
    try:
        signed = cms.read(token)
        if signed.content is None or signed.token is not None:
            raise BadTimestamp("not a timestamp")
        at = _info(signed.content, imprint, nonce)
        if signed.attribute(cms.CONTENT_TYPE) != cms.TST_INFO:
            raise BadTimestamp("the signed attributes are of something else")
        digest = tlv(OCTETS, cms.digest_of(signed.digest, signed.content))
        if signed.attribute(cms.MESSAGE_DIGEST) != digest or not cms.names_signer(signed):
            raise BadTimestamp("the signed attributes do not fit")
        if not cms.is_signed(signed):
            raise BadTimestamp("the signature is wrong")
        return _judged(signed, at)
    except BadTimestamp:
        raise
    except (ValueError, KeyError) as error:
        raise BadTimestamp("the timestamp cannot be read") from error


def _judged(signed: cms.SignedData, at: datetime) -> Timestamp:
    signer = x509.load_der_x509_certificate(signed.signer)
    others = [x509.load_der_x509_certificate(der) for der in signed.certificates if der != signed.signer]
    if not _is_for_timestamps(signer) or not signer.not_valid_before_utc <= at <= signer.not_valid_after_utc:
        raise BadTimestamp("its certificate is not for timestamps at that time")
    vouching = chain(signer, others)
    if not all(is_authority(one) for one in vouching[1:]):
        raise BadTimestamp("its certificate was issued by somebody who may not")
    name = signer.subject.rfc4514_string()
    for attribute in signer.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        name = str(attribute.value)
    return Timestamp(at, name, signed.certificates, tuple(one.public_bytes(Encoding.DER) for one in vouching))


def _info(content: bytes, imprint: bytes, nonce: int | None) -> datetime:
    """Reads TSTInfo (RFC 3161, 2.4.2): the time, once imprint and nonce are those asked for."""
    info = Der(content).into(SEQUENCE)
    info.expect(tlv(INTEGER, b"\1"))
    info.whole(OID)
    asked = info.into(SEQUENCE)
    algorithm = asked.into(SEQUENCE)
    if algorithm.whole(OID) not in cms.SHA256 or asked.content(OCTETS) != imprint:
        raise BadTimestamp("it is over something else")
    info.content(INTEGER)
    at = _time(info.content(TIME))
    if info.peek() == SEQUENCE:
        info.content(SEQUENCE)
    if info.peek() == 0x01:
        info.content(0x01)
    answered = int.from_bytes(info.content(INTEGER), "big", signed=True) if info.peek() == INTEGER else None
    if nonce is not None and answered != nonce:
        raise BadTimestamp("it answers another question")
    return at


def _time(text: bytes) -> datetime:
    whole, _, fraction = text.decode().rstrip("Z").partition(".")
    if not text.endswith(b"Z"):
        raise BadTimestamp("its time is not UTC")
    at = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return at.replace(microsecond=int(fraction.ljust(6, "0")[:6]) if fraction else 0)


def _is_for_timestamps(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return False
    return usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


# --- asking ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimestampAuthority:
    """An RFC 3161 authority over HTTP; `roots` (PEM) are the only ones accepted, any when empty."""

    url: str
    timeout_s: float = 10
    roots: bytes = b""

    def token(self, imprint: bytes) -> tuple[bytes, Timestamp]:
        """A token over SHA-256 `imprint`, checked. Raises AuthorityAway."""
        nonce = int.from_bytes(os.urandom(8), "big") >> 1
        reply = self._fetch(self.url, _question(imprint, nonce))
        try:
            token = _answer(reply)
            timestamp = read(token, imprint, nonce)
        except ValueError as error:
            raise AuthorityAway(f"the answer of {self.url} is no timestamp for us: {error}") from error
        if self.roots and not timestamp.vouched_by(x509.load_pem_x509_certificates(self.roots)):
            raise AuthorityAway(f"{self.url} now answers with a certificate of another root")
        if len(token) > TOKEN_ROOM:
            raise AuthorityAway(f"the timestamp of {self.url} is larger than {TOKEN_ROOM} bytes")
        return token, timestamp

    def revocation_lists(self, certificates: Sequence[bytes]) -> tuple[bytes, ...]:
        """The lists that these certificates name, in DER. Raises AuthorityAway."""
        found = []
        for address in sorted({url for der in certificates for url in _list_addresses(der)}):
            reply = self._fetch(address)
            try:
                found.append(x509.load_der_x509_crl(reply).public_bytes(Encoding.DER))
            except ValueError as error:
                raise AuthorityAway(f"{address} is not a revocation list") from error
        return tuple(found)

    def _fetch(self, url: str, question: bytes | None = None) -> bytes:
        import requests

        try:
            with requests.request(
                "GET" if question is None else "POST",
                url,
                data=question,
                headers={} if question is None else {"Content-Type": "application/timestamp-query"},
                timeout=self.timeout_s,
                allow_redirects=False,
                stream=True,
            ) as reply:
                body = reply.raw.read(LARGEST_ANSWER + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise AuthorityAway(f"{url} does not answer: {type(error).__name__}") from error
        except Exception as error:  # urllib3 speaks for itself while a body is read
            raise AuthorityAway(f"{url} broke off: {type(error).__name__}") from error
        if reply.status_code != 200 or len(body) > LARGEST_ANSWER:
            raise AuthorityAway(f"{url} answered {reply.status_code} with {len(body)} bytes")
        return bytes(body)


def _question(imprint: bytes, nonce: int) -> bytes:
    """TimeStampReq with the certificates asked for."""
    return tlv(
        SEQUENCE,
        tlv(INTEGER, b"\1"),
        tlv(SEQUENCE, cms.SHA256, tlv(OCTETS, imprint)),
        tlv(INTEGER, nonce.to_bytes(nonce.bit_length() // 8 + 1, "big")),
        tlv(0x01, b"\xff"),
    )


def _answer(reply: bytes) -> bytes:
    outer = Der(reply)
    response = outer.into(SEQUENCE)
    outer.end()
    status = response.into(SEQUENCE).content(INTEGER)
    if status not in (b"\0", b"\1"):
        raise Malformed("the authority refuses")
    token = response.whole(SEQUENCE)
    response.end()
    return token


def _list_addresses(certificate: bytes) -> list[str]:
    try:
        points = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.CRLDistributionPoints
        )
    except x509.ExtensionNotFound:
        return []
    names = [name for point in points.value for name in point.full_name or ()]
    addresses = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
    return [address for address in addresses if address.startswith(("http://", "https://"))][:1]


# --- timestamps in a file ----------------------------------------------------------------------


def seal_with_timestamps(
    pdf: bytes,
    authority: Authority,
    tsa: TimestampAuthority,
    now: datetime,
    *,
    reason: str = "",
    location: str = "",
) -> Sealed:
    """Seal and timestamp at once; the seal alone, and why, when the authority is away."""
    from portal.documents import seal

    with seal.reading():
        unfilled = seal.finish(
            seal.begin(pdf), authority, now=now, reason=reason, location=location, token_room=TOKEN_ROOM
        )
    return complete(unfilled, authority, tsa, now)


def complete(unfilled: Unfilled, authority: Authority, tsa: TimestampAuthority, now: datetime) -> Sealed:
    """Fill a seal that has room for a timestamp (`seal.finish` with `token_room`), then upgrade it."""
    template = authority.template
    signature = authority.sign(template.attributes(unfilled.digest))
    try:
        token, first = tsa.token(sha256(signature).digest())
        sealed = unfilled.filled(template.container(unfilled.digest, signature, token))
        return _upgraded(sealed, authority, tsa, now, first)
    except AuthorityAway as error:
        return Sealed(unfilled.filled(template.container(unfilled.digest, signature)), str(error))


def upgrade(sealed: bytes, authority: Authority, tsa: TimestampAuthority, now: datetime) -> Sealed:
    """A seal that stands alone, with validation data and a document timestamp behind it.

    Raises AuthorityAway, and Malformed for a file that is not such a seal.
    """
    _token, first = tsa.token(sha256(sealed).digest())  # tells which certificates to store beforehand
    return _upgraded(sealed, authority, tsa, now, first)


def _upgraded(
    sealed: bytes, authority: Authority, tsa: TimestampAuthority, now: datetime, first: Timestamp
) -> Sealed:
    seal = revisions.signed(sealed)
    if seal.end != len(sealed):
        raise Malformed("this file is not a seal that stands alone")
    certificates = tuple(dict.fromkeys((*authority.certificates, *first.certificates)))
    own_list = authority.revocation_list(now)
    lists = (*((own_list,) if own_list else ()), *tsa.revocation_lists(certificates))
    pdf, gap_start, gap_end = revisions.timestamped(
        sealed, revisions.marks(sealed, seal), revisions.Evidence(certificates, lists), TOKEN_ROOM
    )
    token, timestamp = tsa.token(sha256(pdf[:gap_start] + pdf[gap_end:]).digest())
    if not set(timestamp.certificates) <= set(certificates):
        raise AuthorityAway(f"{tsa.url} changed its certificates between two answers")
    if timestamp.at < now - CLOCKS_DIFFER:
        raise AuthorityAway(f"the clock of {tsa.url} is behind ours")
    gap = b"<" + token.hex().upper().encode().ljust(2 * TOKEN_ROOM, b"0") + b">"
    return Sealed(pdf[:gap_start] + gap + pdf[gap_end:], "", timestamp)
