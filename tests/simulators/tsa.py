"""A small RFC 3161 timestamp authority on loopback, P-256, that misbehaves on request.

Written with asn1crypto, so that what the product reads was not written by its own hands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Answer = tuple[str, str, bytes]


class TimestampServer:
    """`mood` is "well", "down", "slow", "refuses", "wrong_nonce", "wrong_imprint", "no_purpose",
    "garbage", "huge", "redirects" or "late"; `falls_after` turns a well one down after so many."""

    def __init__(self, now: datetime, *, common_name: str = "Larkfield Time") -> None:
        self.now = now
        self.mood = "well"
        self.falls_after: int | None = None
        self.asked = 0
        self.url = ""
        self.release = threading.Event()
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.common_name = common_name

    def issue(self) -> None:
        """Make the certificates, once the address is known."""
        self.root = self._certificate("root", self.root_key, None)
        self.certificate = self._certificate("unit", self.key, self.root)
        self.plain = self._certificate("unit", self.key, self.root, purpose=False)

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["PATH_INFO"] == "/list.crl":
            status, kind, reply = "200 OK", "application/pkix-crl", self._list()
        else:
            status, kind, reply = self._stamp(body)
        start(status, [("Content-Type", kind), ("Content-Length", str(len(reply))), ("Location", "/")])
        return [reply]

    def _stamp(self, body: bytes) -> Answer:
        self.asked += 1
        if self.mood == "down" or (self.falls_after is not None and self.asked > self.falls_after):
            return "503 Service Unavailable", "text/plain", b"away"
        if self.mood == "slow":
            self.release.wait(10)
        if self.mood == "redirects":
            return "302 Found", "text/plain", b""
        if self.mood in ("garbage", "huge"):
            return (
                "200 OK",
                "application/timestamp-reply",
                b"\x30\x03\x02" * (1 if self.mood == "garbage" else 200_000),
            )
        if self.mood == "refuses":
            refusal = tsp.TimeStampResp({"status": {"status": "rejection"}})
            return "200 OK", "application/timestamp-reply", refusal.dump()
        request = tsp.TimeStampReq.load(body)
        reply = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": self._token(request)})
        return "200 OK", "application/timestamp-reply", reply.dump()

    def _token(self, request: Any) -> cms.ContentInfo:
        imprint, nonce = request["message_imprint"], request["nonce"].native
        if self.mood == "wrong_imprint":
            imprint = tsp.MessageImprint(
                {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": sha256(b"other").digest()}
            )
        if self.mood == "wrong_nonce":
            nonce += 1
        at = self.now - timedelta(days=400) if self.mood == "late" else self.now
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.3.6.1.4.1.99999.1",
                "message_imprint": imprint,
                "serial_number": self.asked,
                "gen_time": at.astimezone(UTC),
                "accuracy": {"seconds": 1},
                "nonce": nonce,
            }
        )
        certificate = self.plain if self.mood == "no_purpose" else self.certificate
        return self._signed(info.dump(), certificate)

    def _signed(self, content: bytes, certificate: x509.Certificate) -> cms.ContentInfo:
        der = certificate.public_bytes(Encoding.DER)
        reference = tsp.ESSCertIDv2({"cert_hash": sha256(der).digest()})
        attributes = cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute({"type": "message_digest", "values": [sha256(content).digest()]}),
                cms.CMSAttribute(
                    {
                        "type": "signing_certificate_v2",
                        "values": [tsp.SigningCertificateV2({"certs": [reference]})],
                    }
                ),
            ]
        )
        loaded = asn1_x509.Certificate.load(der)
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    "issuer_and_serial_number",
                    cms.IssuerAndSerialNumber(
                        {"issuer": loaded.issuer, "serial_number": loaded.serial_number}
                    ),
                ),
                "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                "signed_attrs": attributes,
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
                "signature": self.key.sign(attributes.untag().dump(), ec.ECDSA(hashes.SHA256())),
            }
        )
        root = asn1_x509.Certificate.load(self.root.public_bytes(Encoding.DER))
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
                "encap_content_info": {
                    "content_type": "tst_info",
                    "content": core.ParsableOctetString(content),
                },
                "certificates": [loaded, root],
                "signer_infos": [signer],
            }
        )
        return cms.ContentInfo({"content_type": "signed_data", "content": signed})

    def _list(self) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.root.subject)
        builder = builder.last_update(self.now).next_update(self.now + timedelta(days=7))
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        return builder.sign(self.root_key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _certificate(
        self,
        role: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        *,
        purpose: bool = True,
    ) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.common_name} {role}")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.subject if issuer else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=500))
            .not_valid_after(self.now + timedelta(days=2000))
            .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if issuer is None:
            builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        else:
            point = x509.DistributionPoint(
                [x509.UniformResourceIdentifier(f"{self.url}list.crl")], None, None, None
            )
            builder = builder.add_extension(_usage(digital_signature=True), critical=True)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root_key.public_key()), critical=False
            )
        if issuer is not None and purpose:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True
            )
        return builder.sign(self.root_key, hashes.SHA256())


def _usage(**granted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        " key_cert_sign crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: granted.get(name, False) for name in names.split()})


class _Quiet(WSGIRequestHandler):
    def parse_request(self) -> bool:
        """A client that asks before it sends a body gets its yes at once."""
        parsed = super().parse_request()
        if parsed and self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return parsed

    def log_message(self, *_said: Any) -> None:
        """Tests speak through their assertions."""


@contextmanager
def running(application: Any) -> Iterator[str]:
    """Serve a WSGI application on a free loopback port; its address."""
    with make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def timestamp_server(now: datetime, **named: Any) -> Iterator[TimestampServer]:
    authority = TimestampServer(now, **named)
    with running(authority) as url:
        authority.url = url
        authority.issue()
        yield authority
        authority.release.set()
