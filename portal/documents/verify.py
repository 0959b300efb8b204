"""Whether a file is ours, byte for byte: the strict check of a sealed PDF.

Accepted are two shapes only, both written by `seal`: a certifying seal (DocMDP P=1) that covers the
file to its last byte, and the same with our timestamp's revision behind it. Every byte is accounted
for: those the signatures cover by their digests, those inside a signature's gap because there is one
way to write them. No PDF library is used, so nothing a reader might overlook decides.

What a registered hash says of a file is the business of the service that keeps the register.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from portal.documents import cms, revisions, timestamps
from portal.documents.authority import chain, is_authority, issued, may_sign, organisation
from portal.documents.revisions import Marks, Signed
from portal.i18n import format_number
from portal.i18n import gettext as _

LARGEST_EVIDENCE = 16 * 1024 * 1024


@dataclass(frozen=True)
class TimestampSaid:
    at: datetime
    authority: str
    trusted: bool


@dataclass(frozen=True)
class Verdict:
    """`ok` means: sealed by the authority given, complete and unchanged.

    `kind` is "sealed" (a file under our seal), "executed" (with the evidence of its signatures),
    "foreign" (signed, not by a seal of ours), "unsigned" or "not_pdf". `reasons` are codes that
    `sentences` puts into words. What stands beside a failed check is what the file claims.
    """

    ok: bool
    kind: str
    reasons: tuple[str, ...] = ()
    sealed_at: datetime | None = None
    sealed_by: str = ""
    fingerprint_sha256: str = ""
    covered: int = 0
    shown_length: int = 0
    shown_sha256: str = ""
    evidence: dict[str, Any] | None = field(default=None, repr=False)
    timestamp: TimestampSaid | None = None
    added_bytes: int = 0

    def sentences(self) -> list[str]:
        """The reasons in the reader's language."""
        return [sentence(code, self) for code in self.reasons]


def check(pdf: bytes, *, ca_pem: bytes | None) -> Verdict:
    """Judge a file by the certificates in `ca_pem`, as `countersign ca` prints them.

    The first is whose seal to accept, the others are believed on time only. Never raises for what
    the file holds.
    """
    if not pdf.startswith(b"%PDF-"):
        return Verdict(False, "not_pdf", ("not_pdf",))
    if b"/ByteRange" not in pdf:
        return Verdict(False, "unsigned", ("no_seal",))
    try:
        seal = revisions.signed(pdf)
        marked = revisions.marks(pdf, seal)
        return _check(pdf, seal, marked, _anchors(ca_pem)).verdict()
    except Exception:  # a hostile certificate has many ways to be unreadable, and each means no
        return Verdict(False, "foreign", ("not_ours",))


def child_task(values: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """`check` for `children.run`: files "pdf" and, where known, "ca"; the verdict's fields come back.

    Times come back as ISO text; `from_values` makes the Verdict again.
    """
    verdict = check(files["pdf"], ca_pem=files.get("ca"))
    return json.loads(json.dumps(asdict(verdict), default=datetime.isoformat)), {}


def from_values(values: dict[str, Any]) -> Verdict:
    """The verdict that `child_task` sent as plain values."""
    said = values["timestamp"]
    return Verdict(
        **{
            **values,
            "reasons": tuple(values["reasons"]),
            "sealed_at": datetime.fromisoformat(values["sealed_at"]) if values["sealed_at"] else None,
            "timestamp": TimestampSaid(**{**said, "at": datetime.fromisoformat(said["at"])})
            if said
            else None,
        }
    )


@dataclass
class _Findings:
    """What one check gathers; the reasons keep the order they were found in."""

    pdf: bytes
    seal: Signed
    marked: Marks
    reasons: list[str] = field(default_factory=list)
    sealed_by: str = ""
    fingerprint: str = ""
    timestamp: TimestampSaid | None = None
    added_bytes: int = 0

    def expect(self, holds: bool, code: str) -> None:
        if not holds and code not in self.reasons:
            self.reasons.append(code)

    def verdict(self) -> Verdict:
        shown = self.marked.shown
        evidence = _evidence(self.pdf, self.seal, self.marked)
        return Verdict(
            not self.reasons,
            "sealed" if evidence is None else "executed",
            tuple(self.reasons),
            self.marked.sealed_at,
            self.sealed_by,
            self.fingerprint,
            self.seal.end,
            shown,
            sha256(memoryview(self.pdf)[:shown]).hexdigest(),
            evidence,
            self.timestamp,
            self.added_bytes,
        )


def _check(pdf: bytes, seal: Signed, marked: Marks, anchors: list[x509.Certificate]) -> _Findings:
    found = _Findings(pdf, seal, marked)
    found.expect(revisions.is_one_revision(pdf, seal.end, marked), "revisions")
    token = _check_seal(found, anchors)
    if seal.end != len(pdf):
        _check_behind(found, token, anchors[1:])
    elif token is not None:
        found.expect(False, "container")
    return found


# --- the seal ----------------------------------------------------------------------------------


def _check_seal(found: _Findings, anchors: list[x509.Certificate]) -> bytes | None:
    """Check the certifying signature; gives the timestamp inside it, if there is one."""
    try:
        signed = cms.read(found.seal.container)
    except ValueError:
        found.expect(False, "container")
        return None
    signer = x509.load_der_x509_certificate(signed.signer)
    found.sealed_by = organisation(signer)
    found.fingerprint = sha256(signed.signer).hexdigest()
    digest = sha256()
    for part in found.seal.covered(found.pdf):
        digest.update(part)
    others = [der for der in signed.certificates if der != signed.signer]
    template = cms.Template.of([signed.signer, *others], signed.algorithm)
    unchanged = signed.attributes == template.attributes(digest.digest())
    found.expect(unchanged, "changed")
    if unchanged:
        again = template.container(digest.digest(), signed.signature, signed.token)
        found.expect(again == found.seal.container, "container")
    found.expect(_is_signed(signed, signer), "signature")
    found.expect(may_sign(signer), "certificate_usage")
    in_time = signer.not_valid_before_utc <= found.marked.sealed_at <= signer.not_valid_after_utc
    found.expect(in_time, "certificate_time")
    if not anchors:
        found.expect(False, "authority_missing")
    else:
        found.expect(_is_trusted(signer, others, anchors), "certificate_unknown")
    return signed.token


def _is_signed(signed: cms.SignedData, signer: x509.Certificate) -> bool:
    if signed.algorithm not in (cms.ECDSA_SHA256, cms.RSA_SHA256) or not cms.is_signed(signed):
        return False
    key = signer.public_key()
    return not isinstance(key, ec.EllipticCurvePublicKey) or cms.is_lowest(signed.signature, key.curve)


def _is_trusted(signer: x509.Certificate, others: Sequence[bytes], anchors: list[x509.Certificate]) -> bool:
    """Whether the first anchor is the signer or vouches for it, and no other certificate is carried
    along that nobody vouches for."""
    vouching = chain(signer, [x509.load_der_x509_certificate(der) for der in others])
    if len(vouching) != 1 + len(others) or anchors[0] not in vouching:
        return False
    top = vouching[-1]
    return all(is_authority(one) for one in vouching[1:]) and (top in anchors or issued(top, top))


# --- behind the seal ---------------------------------------------------------------------------


def _check_behind(found: _Findings, token: bytes | None, roots: list[x509.Certificate]) -> None:
    """What follows the seal must be our timestamp's revision, and nothing else."""
    pdf, end = found.pdf, found.seal.end
    try:
        behind, data = revisions.timestamp(pdf, end, found.marked)
    except ValueError:
        found.expect(False, "bytes_added")
        found.added_bytes = len(pdf) - end
        return
    digest = sha256()
    for part in behind.covered(pdf):
        digest.update(part)
    try:
        said = timestamps.read(behind.container, digest.digest())
        inside = _inside(found, token)
    except ValueError:
        found.expect(False, "timestamp")
        return
    stored = set(data.certificates)
    for one in [said, *inside]:
        # nothing protects the certificates in a token, so each must also stand in the covered store
        found.expect(set(one.certificates) <= stored, "timestamp")
        found.expect(one.at >= found.marked.sealed_at - timestamps.CLOCKS_DIFFER, "timestamp")
        found.expect(one.vouched_by(roots), "timestamp_unknown")
    found.timestamp = TimestampSaid(said.at, said.authority, "timestamp_unknown" not in found.reasons)


def _inside(found: _Findings, token: bytes | None) -> list[timestamps.Timestamp]:
    if token is None:
        return []
    signature = cms.read(found.seal.container).signature
    return [timestamps.read(token, sha256(signature).digest())]


def _anchors(ca_pem: bytes | None) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(ca_pem) if ca_pem else []


# --- the evidence ------------------------------------------------------------------------------


def _evidence(pdf: bytes, seal: Signed, marked: Marks) -> dict[str, Any] | None:
    """The evidence attached in the seal's revision; None when there is none or it cannot be read."""
    if not marked.evidence:
        return None
    start = b"\n%d 0 obj\n<<\n" % marked.evidence
    at = pdf.find(start, marked.shown - 1, seal.end)
    head = pdf.find(b"\n>>\nstream\n", at, at + 2000)
    tail = pdf.find(b"\nendstream\nendobj\n", head, seal.end)
    if min(at, head, tail) < 0:
        return None
    content = pdf[head + len(b"\n>>\nstream\n") : tail]
    try:
        if b"/FlateDecode" in pdf[at:head]:
            content = zlib.decompressobj().decompress(content, LARGEST_EVIDENCE)
        found = json.loads(content)
    except (ValueError, zlib.error, RecursionError):
        return None
    return found if isinstance(found, dict) else None


# --- words -------------------------------------------------------------------------------------


def sentence(code: str, verdict: Verdict) -> str:
    """One reason in the reader's language."""
    words = {
        "not_pdf": _("This file is not a PDF."),
        "no_seal": _("This PDF carries no signature at all."),
        "not_ours": _("This PDF is signed, but not with a company seal as it is written here."),
        "bytes_added": _("%(count)s bytes were added behind the company seal.")
        % {"count": format_number(verdict.added_bytes)},
        "revisions": _("The file has another structure than a sealed file."),
        "changed": _("The content was changed after it was sealed."),
        "signature": _("The signature of the company seal is wrong."),
        "container": _("The signature of the company seal was changed."),
        "certificate_usage": _("The seal's certificate may not be used for documents."),
        "certificate_time": _("The seal's certificate was not valid when the file was sealed."),
        "certificate_unknown": _("The seal belongs to an authority that is not known here."),
        "authority_missing": _("No authority was given to check the seal against."),
        "timestamp": _("The timestamp does not fit the file."),
        "timestamp_unknown": _("The timestamp comes from an authority that is not known here."),
    }
    return words[code]
