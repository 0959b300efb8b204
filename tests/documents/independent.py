"""A judge of sealed PDFs that shares nothing with the product: no PDF library, no code of ours.

It cuts the covered ranges itself, lets openssl check every signature and timestamp, and holds a file
to the strict rule: one certifying seal (DocMDP P=1), nothing uncovered but signatures, and the last
covered byte is the last byte of the file.
"""

from __future__ import annotations

import re
import subprocess
from calendar import timegm
from hashlib import sha256
from pathlib import Path
from time import strptime

RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")
SIGNATURE_VALUE = re.compile(rb"/Type\s*/(Sig|DocTimeStamp)\b")
SIGNED_AT = re.compile(rb"/M\s*\(D(?::|\\072)(\d{14})Z\)")
TOKEN_ATTRIBUTE = bytes.fromhex("060b2a864886f70d010910020e")


def faults(pdf: bytes, ca: Path, folder: Path, time_ca: Path | None = None) -> list[str]:
    """What is wrong with the file; nothing when it is as it should be. `folder` is for scraps."""
    ranges = [tuple(map(int, match.groups())) for match in RANGE.finditer(pdf)]
    if not ranges:
        return ["no signature"]
    found = [f"range {number}: {fault}" for number, one in enumerate(ranges) for fault in _shape(pdf, one)]
    if found:
        return found
    ends = [second + length for _, _, second, length in ranges]
    if ends != sorted(set(ends)) or ends[-1] != len(pdf):
        found.append("the last covered byte is not the last byte of the file")
    if len(SIGNATURE_VALUE.findall(pdf)) != len(ranges):
        found.append("signature dictionaries and ranges differ in number")
    first = pdf[ranges[0][2] : ends[0]]
    if not re.search(rb"/TransformMethod\s*/DocMDP\b.*?/P\s+1\b", first, re.DOTALL):
        found.append("the first signature does not certify with P=1")
    signed_at = SIGNED_AT.search(first)
    if signed_at is None:
        return [*found, "no signing time"]
    at = str(timegm(strptime(signed_at[1].decode(), "%Y%m%d%H%M%S")))
    for number, (_, gap, second, length) in enumerate(ranges):
        covered = pdf[:gap] + pdf[second : second + length]
        der = _der(pdf[gap + 1 : second - 1])
        is_time = b"/SubFilter /ETSI.RFC3161" in pdf[second : second + 300]
        if is_time != (number > 0):
            found.append(f"signature {number} is not of the kind expected there")
        elif is_time:
            found += _ask_time(der, covered, time_ca, folder, at)
        else:
            found += _ask_seal(der, covered, ca, folder, at) + _inner_token(der, time_ca, folder, at)
    return found


def _shape(pdf: bytes, one: tuple[int, ...]) -> list[str]:
    start, gap, second, length = one
    if start != 0 or not 0 < gap < second <= second + length <= len(pdf):
        return ["does not lie inside the file"]
    hexadecimal = pdf[gap:second]
    if not re.fullmatch(rb"<[0-9A-F]+>", hexadecimal) or len(hexadecimal) % 2:
        return ["the gap is not one hex string"]
    filling = bytes.fromhex(hexadecimal[1:-1].decode())
    if not _der(hexadecimal[1:-1]) or filling[len(_der(hexadecimal[1:-1])) :].strip(b"\0"):
        return ["something stands behind the signature in its gap"]
    return []


def _der(hexadecimal: bytes) -> bytes:
    """The DER value at the start, without the padding."""
    filling = bytes.fromhex(hexadecimal.decode())
    if filling[:1] != b"\x30" or len(filling) < 4:
        return b""
    size = filling[1] & 0x7F if filling[1] & 0x80 else 0
    length = int.from_bytes(filling[2 : 2 + size], "big") if size else filling[1]
    return filling[: 2 + size + length]


def _ask_seal(der: bytes, covered: bytes, ca: Path, folder: Path, at: str) -> list[str]:
    (folder / "seal.der").write_bytes(der)
    (folder / "covered.bin").write_bytes(covered)
    command = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-purpose",
        "any",
        "-no-CApath",
        "-no-CAstore",
    ]
    files = ["-in", folder / "seal.der", "-content", folder / "covered.bin", "-CAfile", ca]
    return _ask([*command, *map(str, files), "-attime", at, "-out", "/dev/null"], "seal")


def _ask_time(token: bytes, covered: bytes, ca: Path | None, folder: Path, at: str) -> list[str]:
    if ca is None:
        return ["a timestamp, and no authority to check it by"]
    (folder / "token.der").write_bytes(token)
    command = ["openssl", "ts", "-verify", "-token_in", "-in", str(folder / "token.der")]
    command += ["-digest", sha256(covered).hexdigest(), "-CAfile", str(ca), "-attime", at]
    return _ask(command, "timestamp")


def _inner_token(der: bytes, ca: Path | None, folder: Path, at: str) -> list[str]:
    """Check the timestamp over the signature value: an unsigned attribute, which no seal protects."""
    place = der.find(TOKEN_ATTRIBUTE)
    if place < 0:
        return []
    values = der[place + len(TOKEN_ATTRIBUTE) :]
    head = 2 + (values[1] & 0x7F if values[1] & 0x80 else 0)
    token = _der(values[head:].hex().encode())
    signature = _last_octets_before(der, place)
    return _ask_time(token, signature, ca, folder, at)


def _last_octets_before(der: bytes, place: int) -> bytes:
    """The OCTET STRING that ends where the unsigned attributes ([1]) begin."""
    for start in range(place, 0, -1):
        for head in (2, 3, 4):
            size = head - 2
            if der[start] != 0x04 or (size and der[start + 1] != 0x80 + size):
                continue
            length = int.from_bytes(der[start + 2 : start + head], "big") if size else der[start + 1]
            end = start + head + length
            if 60 <= length <= 600 and end < place <= end + 16 and der[end] == 0xA1:
                return der[start + head : end]
    raise AssertionError("no signature value before the unsigned attributes")


def _ask(command: list[str], what: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return [] if done.returncode == 0 else [f"{what}: openssl says {done.stderr.strip()[-300:]}"]
