"""The inside of intake: measure a PDF nobody has looked at yet, then take out all it could do.

Runs only in a child. The result is read again before it is given out: had anything active stayed
in it, the file is refused.
"""

from __future__ import annotations

import contextlib
import io
import math
import zlib
from collections.abc import Iterator
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Stream

from portal.documents import disarm
from portal.documents.frames import Refused

MEGABYTE = 1024 * 1024
SMALLEST_SIDE = 36.0
LARGEST_SIDE = 14_400.0


def clean(content: bytes, max_pages: int, max_decompressed: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What `intake.admit` needs of a file, and the file made harmless. Raises Refused."""
    with _refusing(), _opened(content) as pdf:
        pages = len(pdf.pages)
        if not pages:
            raise Refused("broken")
        if pages > max_pages:
            raise Refused("too_many_pages", most=max_pages)
        _measure(pdf, max_decompressed)
        _refuse_what_has_no_pages(pdf)
        signatures = _signatures(pdf)
        removed = disarm.strip(pdf) | ({"signatures"} if signatures else set())
        sizes = [_size(page, number) for number, page in enumerate(pdf.pages, 1)]
        cleaned = _saved(pdf)
    with _refusing(), _opened(cleaned) as again:
        if disarm.sweep(again) or len(again.pages) != pages:
            raise Refused("still_active")
    found = {"pages": pages, "had_signatures": signatures, "removed": sorted(removed), "sizes": sizes}
    return found, {"pdf": cleaned}


def join(content: bytes, extra: bytes) -> tuple[int, bytes]:
    """The number of pages of the first file, and both as one."""
    with _refusing(), _opened(content) as pdf, _opened(extra) as behind:
        before = len(pdf.pages)
        for page in behind.pages:
            # its place in the other file's structure tree does not come along
            for key in ("/StructParents", "/Tabs"):
                if key in page.obj:
                    del page.obj[key]
        pdf.pages.extend(behind.pages)
        return before, _saved(pdf)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except pikepdf.PasswordError as error:
        raise Refused("encrypted") from error
    except (pikepdf.PdfError, RecursionError, ValueError, TypeError, KeyError, AttributeError) as error:
        # of the wrong type where the format leaves no choice: not a PDF that a person made
        raise Refused("broken") from error


def _opened(content: bytes) -> pikepdf.Pdf:
    """The file, read as it says it is; a damaged one is not guessed at, since pages may be missing."""
    pdf = pikepdf.open(io.BytesIO(content), suppress_warnings=True, attempt_recovery=False)
    if pdf.is_encrypted:
        raise Refused("encrypted")
    return pdf


def _saved(pdf: pikepdf.Pdf) -> bytes:
    saved = io.BytesIO()
    pdf.save(
        saved,
        deterministic_id=True,
        object_stream_mode=pikepdf.ObjectStreamMode.disable,
        fix_metadata_version=False,
        min_version="1.7",
    )
    return saved.getvalue()


# --- Measure -------------------------------------------------------------------------------


def _measure(pdf: pikepdf.Pdf, most: int) -> None:
    left = most
    for item in pdf.objects:
        if isinstance(item, Stream):
            left -= _unpacked(item, left)
            if left < 0:
                raise Refused("too_much_data")


def _unpacked(stream: Stream, most: int) -> int:
    """The size of a stream once unpacked, or more than `most`; never unpacks much beyond it."""
    if stream.get("/Subtype") == Name.Image:
        components = 4 if stream.get("/BitsPerComponent", 8) != 1 else 1 / 8
        return int(int(stream.get("/Width", 0)) * int(stream.get("/Height", 0)) * components)
    filters = stream.get("/Filter")
    names = list(filters) if isinstance(filters, Array) else [filters] if filters else []
    content = stream.read_raw_bytes()
    for at, name in enumerate(names, 1):
        if name in (Name.LZWDecode, Name.LZW, Name.RunLengthDecode, Name.RL):
            return len(stream.read_bytes())  # at most a thousandfold; the child's memory is the bound
        if name in (Name.FlateDecode, Name.Fl):
            size, content = _inflated(content, most, keep=at < len(names))
            if size > most:
                return size
            if at == len(names):
                return size
    return len(content)


def _inflated(content: bytes, most: int, *, keep: bool) -> tuple[int, bytes]:
    """Size and, where asked for, the unpacked bytes; stops soon after `most`."""
    unpacker = zlib.decompressobj()
    size, kept = 0, []
    with contextlib.suppress(zlib.error):  # readers stop at damage as well, so it cannot swell
        while content and size <= most:
            piece = unpacker.decompress(content, MEGABYTE)
            size, content = size + len(piece), unpacker.unconsumed_tail
            if keep:
                kept.append(piece)
    return size, b"".join(kept)


def _refuse_what_has_no_pages(pdf: pikepdf.Pdf) -> None:
    form = pdf.Root.get("/AcroForm")
    if pdf.Root.get("/NeedsRendering") is True and isinstance(form, Dictionary) and "/XFA" in form:
        raise Refused("active_content_only")
    if "/Collection" in pdf.Root:
        raise Refused("portfolio")


def _size(page: pikepdf.Page, number: int) -> tuple[float, float]:
    """Width and height as seen, in points."""
    left, bottom, right, top = (float(side) for side in page.cropbox)
    unit = float(page.obj.get("/UserUnit", 1))
    sides = [abs(right - left) * unit, abs(top - bottom) * unit]
    media = [abs(float(page.mediabox[at + 2]) - float(page.mediabox[at])) * unit for at in (0, 1)]
    if not all(math.isfinite(side) and SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides + media):
        raise Refused("bad_page_size", page=number)
    turned = page.rotation % 180 != 0
    return (sides[1], sides[0]) if turned else (sides[0], sides[1])


# --- Signatures ----------------------------------------------------------------------------


def _signatures(pdf: pikepdf.Pdf) -> list[str]:
    """Whom each signature in the file names, else its field; wherever it hangs."""
    named: dict[tuple[int, int], str] = {}
    for item in pdf.objects:
        if (
            isinstance(item, Dictionary)
            and item.get("/FT") == Name.Sig
            and isinstance(item.get("/V"), Dictionary)
        ):
            named[item.V.objgen] = str(item.get("/T", ""))
    found = [
        _signer(item) or named.get(item.objgen, "")
        for item in pdf.objects
        if isinstance(item, Dictionary) and "/ByteRange" in item and "/Contents" in item
    ]
    return [name or "?" for name in found]


def _signer(signature: Dictionary) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import pkcs7

    if isinstance(signature.get("/Name"), pikepdf.String):
        return str(signature.Name)
    try:
        certificates = pkcs7.load_der_pkcs7_certificates(_unpadded(bytes(signature.Contents)))
    except (ValueError, TypeError):
        return ""
    issuers = {certificate.issuer for certificate in certificates}
    leaves = [
        certificate for certificate in certificates if certificate.subject not in issuers
    ] or certificates
    names = [
        name.value
        for leaf in leaves
        for name in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    ]
    return str(names[0]) if names else ""


def _unpadded(der: bytes) -> bytes:
    """A DER value without the zeros that fill the rest of its place."""
    if len(der) < 2 or der[1] <= 0x80:
        return der
    head = 2 + (der[1] & 0x7F)
    return der[: head + int.from_bytes(der[2:head])]
