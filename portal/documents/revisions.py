"""The bytes around a seal, read and written without a PDF library.

A sealed file is: the shown bytes, one revision closed by the seal and, once timestamped, one more
revision that holds certificates, revocation lists and a document timestamp. `seal` writes the first
through pyHanko; the second is written here, and checked by writing it again: a timestamped file is
ours only when every byte outside the timestamp itself comes out the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from portal.documents.cms import Malformed

BYTE_RANGE = re.compile(rb"/ByteRange \[0 (\d{1,10}) (\d{1,10}) (\d{1,10})\] *\n")
SEAL = re.compile(
    rb"/Type /Sig\n/Filter /Adobe\.PPKLite\n/SubFilter /ETSI\.CAdES\.detached\n"
    rb"/M \(D\\072(?P<sealed_at>\d{14})Z\)\n"
    rb"/Reference \[ <<\n/Type /SigRef\n/TransformMethod /DocMDP\n"
    rb"/TransformParams <<\n/Type /TransformParams\n/V /1\.2\n/P 1\n>>\n>> \]\n"
    rb"/CSGN_Revision <<\n/Shown (?P<shown>\d+)\n/Next (?P<next>\d+)\n/Streams (?P<streams>true|false)\n"
    rb"/ID <(?P<id>[0-9a-f]*)>\n/Root (?P<root>\d+)\n/Info (?P<info>\d+)\n"
    rb"/Form (?P<form>\d+)\n/Field (?P<field>\d+)\n/Evidence (?P<evidence>\d+)\n>>\n"
)
BEFORE_CONTENTS = re.compile(rb"\n\d+ 0 obj\n<<\n/Contents \Z")
FILE_END = re.compile(rb"\nstartxref\n(\d+)\n%%EOF\n\Z")
REVISION_END = re.compile(rb"\nstartxref\n\d+\n%%EOF\n")
SHOWN_END = re.compile(rb"%%EOF(\r\n|\r|\n)?\Z")
HEXADECIMAL = re.compile(rb"<((?:[0-9A-F]{2})+)>\Z")
STREAM = re.compile(rb"(\d+) 0 obj\n<<\n/Length (\d{1,8})\n>>\nstream\n")
STORE = re.compile(
    rb"\d+ 0 obj\n<<\n/Type /DSS\n/Certs \[([^\]]*)\]\n(?:/CRLs \[([^\]]*)\]\n)?(?:/OCSPs \[[^\]]*\]\n)?>>\n"
)
BYTE_RANGE_WIDTH = 48


@dataclass(frozen=True)
class Signed:
    """One signature dictionary: what its range covers and what stands in its gap."""

    gap_start: int
    gap_end: int
    end: int
    after: int
    container: bytes

    def covered(self, pdf: bytes) -> tuple[memoryview, memoryview]:
        view = memoryview(pdf)
        return view[: self.gap_start], view[self.gap_end : self.end]


@dataclass(frozen=True)
class Marks:
    """What the seal says of its own revision (`/CSGN_Revision`, written by `seal`)."""

    sealed_at: datetime
    shown: int
    next: int
    streams: bool
    id: bytes
    root: int
    info: int
    form: int
    field: int
    evidence: int


def signed(pdf: bytes, start: int = 0) -> Signed:
    """The first signature at or behind `start`. Raises Malformed for every layout but ours."""
    match = BYTE_RANGE.search(pdf, start)
    if match is None or match.start() != pdf.find(b"/ByteRange", start):
        raise Malformed("no byte range in the form written here")
    gap_start, gap_end, rest = (int(number) for number in match.groups())
    end = gap_end + rest
    if not start < gap_start < gap_end < match.start() < end <= len(pdf) or match.start() != gap_end + 1:
        raise Malformed("the ranges do not surround the signature")
    if (
        not BEFORE_CONTENTS.search(pdf[max(0, gap_start - 48) : gap_start])
        or pdf[gap_end : gap_end + 1] != b"\n"
    ):
        raise Malformed("the gap is not the signature's place")
    return Signed(gap_start, gap_end, end, match.end(), _filling(pdf[gap_start:gap_end]))


def marks(pdf: bytes, seal: Signed) -> Marks:
    """Raises Malformed unless the dictionary is a certifying seal as written here."""
    match = SEAL.match(pdf, seal.after)
    if match is None:
        raise Malformed("not the dictionary of a seal")
    text = match.groupdict()
    return Marks(
        datetime.strptime(text["sealed_at"].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC),
        streams=text["streams"] == b"true",
        id=bytes.fromhex(text["id"].decode()),
        **{name: int(text[name]) for name in ("shown", "next", "root", "info", "form", "field", "evidence")},
    )


def is_one_revision(pdf: bytes, end: int, marked: Marks) -> bool:
    """Whether exactly one revision, the seal's, lies between the shown bytes and `end`."""
    return (
        64 < marked.shown < end - 64
        and SHOWN_END.search(pdf, marked.shown - 8, marked.shown) is not None
        and FILE_END.search(pdf, end - 64, end) is not None
        and len(REVISION_END.findall(pdf, marked.shown, end)) == 1
        and pdf.count(b"/ByteRange", 0, end) == 1
    )


def object_text(pdf: bytes, number: int, start: int, end: int) -> bytes:
    """The dictionary of an object inside a revision. Raises Malformed unless it is there once."""
    found = re.findall(
        rb"\n%d 0 obj\n(<<.*?)\n>>\nendobj\n" % number, pdf[max(0, start - 1) : end], re.DOTALL
    )
    if len(found) != 1:
        raise Malformed("an object is missing or doubled")
    text: bytes = found[0]
    return text


# --- the timestamp's revision ------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """Validation data in DER: certificates and revocation lists."""

    certificates: tuple[bytes, ...]
    revocation_lists: tuple[bytes, ...]


def timestamped(sealed: bytes, marked: Marks, data: Evidence, room: int) -> tuple[bytes, int, int]:
    """`sealed` with the timestamp's revision, its token still zeros; where that gap starts and ends.

    `room` is the number of token bytes that fit.
    """
    body = _Body(len(sealed))
    streams = [*data.certificates, *data.revocation_lists]
    numbers = list(range(marked.next, marked.next + len(streams)))
    store = marked.next + len(streams)
    field, value = store + 1, store + 2
    catalog = object_text(sealed, marked.root, marked.shown, len(sealed))
    body.add(marked.root, catalog + b"\n/DSS %d 0 R\n>>" % store)
    body.add(marked.form, b"<<\n/Fields [ %d 0 R %d 0 R ]\n/SigFlags 3\n>>" % (marked.field, field))
    for number, stream in zip(numbers, streams, strict=True):
        body.add(number, b"<<\n/Length %d\n>>\nstream\n%b\nendstream" % (len(stream), stream))
    split = len(data.certificates)
    lists = b"/CRLs [%b]\n" % _references(numbers[split:]) if numbers[split:] else b""
    body.add(store, b"<<\n/Type /DSS\n/Certs [%b]\n%b>>" % (_references(numbers[:split]), lists))
    body.add(
        field,
        b"<<\n/FT /Sig\n/T (CountersignTimestamp)\n/Type /Annot\n/Subtype /Widget\n/F 132\n"
        b"/Rect [ 0 0 0 0 ]\n/V %d 0 R\n>>" % value,
    )
    gap = body.timestamp(value, room)
    body.close(sealed, marked, value + 1)
    return _ranged(sealed + bytes(body.written), *gap), *gap


def timestamp(pdf: bytes, sealed_end: int, marked: Marks) -> tuple[Signed, Evidence]:
    """The timestamp behind a seal. Raises Malformed unless its revision is byte for byte ours."""
    found = signed(pdf, sealed_end)
    if found.end != len(pdf):
        raise Malformed("bytes lie behind the timestamp")
    data = _evidence(pdf, sealed_end)
    room = (found.gap_end - found.gap_start - 2) // 2
    again, gap_start, gap_end = timestamped(pdf[:sealed_end], marked, data, room)
    same = again[:gap_start] == pdf[:gap_start] and again[gap_end:] == pdf[gap_end:]
    if (gap_start, gap_end) != (found.gap_start, found.gap_end) or not same:
        raise Malformed("the timestamp's revision holds something else")
    return found, data


def _evidence(pdf: bytes, start: int) -> Evidence:
    streams: list[bytes] = []
    match = STREAM.search(pdf, start)
    while match is not None:
        at, length = match.end(), int(match[2])
        streams.append(pdf[at : at + length])
        match = STREAM.match(pdf, at + length + len(b"\nendstream\nendobj\n"))
        store = STORE.match(pdf, at + length + len(b"\nendstream\nendobj\n"))
        if store is not None:
            split = store[1].count(b" 0 R")
            return Evidence(tuple(streams[:split]), tuple(streams[split:]))
    raise Malformed("no store of validation data")


class _Body:
    """Objects of a revision as they are appended, and where each one starts."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.written = bytearray()
        self.places: dict[int, int] = {}

    def add(self, number: int, text: bytes) -> None:
        self.places[number] = self.start + len(self.written)
        self.written += b"%d 0 obj\n%b\nendobj\n" % (number, text)

    def timestamp(self, number: int, room: int) -> tuple[int, int]:
        gap = b"<" + b"0" * (2 * room) + b">"
        before = b"<<\n/Contents "
        start = self.start + len(self.written) + len(b"%d 0 obj\n" % number) + len(before)
        self.add(
            number,
            before
            + gap
            + b"\n/ByteRange "
            + b" " * BYTE_RANGE_WIDTH
            + b"\n/Type /DocTimeStamp\n/Filter /Adobe.PPKLite\n/SubFilter /ETSI.RFC3161\n>>",
        )
        return start, start + len(gap)

    def close(self, sealed: bytes, marked: Marks, size: int) -> None:
        """Cross-references in the form the file already uses, trailer, end."""
        previous = FILE_END.search(sealed, max(0, len(sealed) - 64))
        if previous is None:
            raise Malformed("the sealed file has no end")
        info = b"/Info %d 0 R\n" % marked.info if marked.info else b""
        trailer = b"/Root %d 0 R\n%b/ID [ <%b> <%b> ]\n/Prev %b\n" % (
            marked.root,
            info,
            marked.id.hex().encode(),
            sha256(sealed).hexdigest()[:32].encode(),
            previous[1],
        )
        here = self.start + len(self.written)
        if marked.streams:
            self._cross_reference_stream(trailer, size)
        else:
            self.written += b"xref\n0 1\n0000000000 65535 f \n"
            for number in sorted(self.places):
                self.written += b"%d 1\n%010d 00000 n \n" % (number, self.places[number])
            self.written += b"trailer\n<<\n/Size %d\n%b>>" % (size, trailer)
        self.written += b"\nstartxref\n%d\n%%%%EOF\n" % here

    def _cross_reference_stream(self, trailer: bytes, number: int) -> None:
        places = {**self.places, number: self.start + len(self.written)}
        rows = b"".join(b"\1" + places[one].to_bytes(8, "big") + b"\0\0" for one in sorted(places))
        index = b" ".join(b"%d 1" % one for one in sorted(places))
        self.written += (
            b"%d 0 obj\n<<\n/Type /XRef\n/Size %d\n/W [ 1 8 2 ]\n/Index [ %b ]\n%b/Length %d\n>>\nstream\n%b"
            b"\nendstream\nendobj\n"
        ) % (number, number + 1, index, trailer, len(rows), rows)


def _ranged(pdf: bytes, gap_start: int, gap_end: int) -> bytes:
    text = b"[0 %d %d %d]" % (gap_start, gap_end, len(pdf) - gap_end)
    at = gap_end + len(b"\n/ByteRange ")
    return pdf[:at] + text.ljust(BYTE_RANGE_WIDTH) + pdf[at + BYTE_RANGE_WIDTH :]


def _references(numbers: list[int]) -> bytes:
    return b"".join(b" %d 0 R" % number for number in numbers) + b" "


def _filling(gap: bytes) -> bytes:
    """The container inside a gap: upper-case hex, then nothing but zeros."""
    match = HEXADECIMAL.match(gap)
    if match is None:
        raise Malformed("the signature is not upper-case hex")
    filling = bytes.fromhex(match[1].decode())
    container = filling[: _der_length(filling)]
    if filling[len(container) :].strip(b"\0"):
        raise Malformed("something lies behind the signature")
    return container


def _der_length(der: bytes) -> int:
    """How long the value at the start is, header included; 0 when it cannot be one."""
    if len(der) < 4 or der[0] != 0x30:
        return 0
    if der[1] < 0x80:
        return 2 + der[1]
    size = der[1] & 0x7F
    return 2 + size + int.from_bytes(der[2 : 2 + size], "big") if 1 <= size <= 3 else 0
