"""Altered files never verify: every family of attack, many times, from a fixed seed."""

from __future__ import annotations

import random
import re
from io import BytesIO

import pikepdf
import pytest

from portal.documents import authority, cms, executed, revisions, seal, timestamps, verify
from tests.documents import independent
from tests.documents.conftest import NOW
from tests.documents.uploads import upload
from tests.simulators.tsa import timestamp_server
from tests.tools import require_tool

SEED = 20261123
EACH = 60


@pytest.fixture(scope="module")
def originals(keys, execute, contract):
    """Good files of every shape, each with the certificates to judge it by."""
    with timestamp_server(NOW) as server:
        tsa = timestamps.TimestampAuthority(server.url)
        known = keys.ca_pem + server.root_pem
        alone = execute(contract[0], [(1, 80, 80)])
        files = [
            alone,
            execute(upload(3), [(1, 80, 80)]),
            seal.seal(contract[0], keys, now=NOW, reason="x"),
            timestamps.seal_with_timestamps(contract[0], keys, tsa, NOW).pdf,
            timestamps.upgrade(alone, keys, tsa, NOW).pdf,
            timestamps.upgrade(execute(upload(5), []), keys, tsa, NOW).pdf,
        ]
    return [(file, known) for file in files]


def test_the_originals_verify(originals):
    for file, known in originals:
        assert verify.check(file, ca_pem=known).ok


def gaps(pdf):
    return [(match.start(1), match.end(1)) for match in re.finditer(rb"/Contents <([0-9A-F]+)>", pdf)]


def flipped(pdf, at, chance):
    return pdf[:at] + bytes([pdf[at] ^ (1 << chance.randrange(8))]) + pdf[at + 1 :]


def flip_anywhere(pdf, chance):
    return flipped(pdf, chance.randrange(len(pdf)), chance)


def flip_in_a_signature(pdf, chance):
    return flipped(pdf, chance.randrange(*chance.choice(gaps(pdf))), chance)


def change_a_hex_digit(pdf, chance):
    at = chance.randrange(*chance.choice(gaps(pdf)))
    other = chance.choice([digit for digit in b"0123456789ABCDEF" if digit != pdf[at]])
    return pdf[:at] + bytes([other]) + pdf[at + 1 :]


def lower_a_hex_digit(pdf, chance):
    start, end = chance.choice(gaps(pdf))
    letters = [at for at in range(start, end) if pdf[at : at + 1].isalpha()]
    at = chance.choice(letters)
    return pdf[:at] + pdf[at : at + 1].lower() + pdf[at + 1 :]


def flip_behind_the_shown_bytes(pdf, chance):
    shown = int(re.search(rb"/Shown (\d+)", pdf)[1])
    return flipped(pdf, chance.randrange(shown, len(pdf)), chance)


def fill_the_padding(pdf, chance):
    start, end = chance.choice(gaps(pdf))
    zeros = len(pdf[start:end]) - len(pdf[start:end].rstrip(b"0"))
    at = end - 1 - chance.randrange(max(1, zeros - 2))
    return pdf[:at] + b"%X" % chance.randrange(1, 16) + pdf[at + 1 :]


def append_something(pdf, chance):
    tails = [b"\n", b" ", b"%\n", b"% comment\n%%EOF\n", b"\0" * chance.randrange(1, 99), pdf[-200:], pdf]
    return pdf + chance.choice(tails)


def truncate(pdf, chance):
    return pdf[: chance.randrange(len(pdf))]


def insert_bytes(pdf, chance):
    at = chance.randrange(len(pdf))
    return pdf[:at] + chance.choice([b" ", b"\n", b"0", b"<", b"%x\n"]) + pdf[at:]


def remove_bytes(pdf, chance):
    at = chance.randrange(len(pdf) - 20)
    return pdf[:at] + pdf[at + chance.randrange(1, 20) :]


def spoil_the_range(pdf, chance):
    match = chance.choice(list(re.finditer(rb"/ByteRange \[0 \d+ \d+ \d+\]", pdf)))
    empty = [b"/ByteRange [0 0 0 0]", b"/ByteRange []", b"", b"/ByteRange null", b"/Byterange [0 1 2 3]"]
    text = chance.choice(empty).ljust(len(match[0]))
    return pdf[: match.start()] + text + pdf[match.end() :]


def spoil_the_signature(pdf, chance):
    start, end = chance.choice(gaps(pdf))
    nothing = [b"0" * (end - start), b"", b"00", b"F" * (end - start), b"30" + b"0" * (end - start - 2)]
    return pdf[:start] + chance.choice(nothing) + pdf[end:]


def append_a_revision(pdf, chance):
    """An incremental update by hand that replaces one object, as in shadow attacks."""
    number = chance.choice([int(one) for one in re.findall(rb"\n(\d+) 0 obj\n", pdf)])
    bodies = [
        b"<</Type/Catalog/Pages 1 0 R>>",
        b"<</Type/Page/Contents 1 0 R>>",
        b"<</Length 12>>stream\nBT (9) Tj ET\nendstream",
        b"<</Fields[]/SigFlags 3>>",
        b"null",
    ]
    place = len(pdf)
    body = b"%d 0 obj\n%b\nendobj\n" % (number, chance.choice(bodies))
    previous = re.findall(rb"startxref\s+(\d+)", pdf)[-1]
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<</Size 999/Root 1 0 R/Prev %b>>\n" % (
        number,
        place,
        previous,
    )
    return pdf + body + table + b"startxref\n%d\n%%%%EOF\n" % (place + len(body))


def rewrite(pdf, chance):
    """The whole file written again by another program."""
    out = BytesIO()
    with pikepdf.open(BytesIO(pdf)) as opened:
        opened.save(out, linearize=chance.random() < 0.5, compress_streams=chance.random() < 0.5)
    return out.getvalue()


def cut_to_an_inner_revision(pdf, chance):
    """Back to the shown file, or to half of a revision: never sealed, so never accepted."""
    shown = int(re.search(rb"/Shown (\d+)", pdf)[1])
    return pdf[: chance.choice([shown, shown + chance.randrange(1, 200), shown - 7])]


FAMILIES = [
    flip_anywhere,
    flip_in_a_signature,
    change_a_hex_digit,
    lower_a_hex_digit,
    flip_behind_the_shown_bytes,
    fill_the_padding,
    append_something,
    truncate,
    insert_bytes,
    remove_bytes,
    spoil_the_range,
    spoil_the_signature,
    append_a_revision,
    cut_to_an_inner_revision,
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_an_altered_file_never_verifies(originals, family):
    chance = random.Random(f"{SEED} {family.__name__}")
    tried = 0
    while tried < EACH:
        file, known = chance.choice(originals)
        altered = family(file, chance)
        if altered == file:
            continue
        tried += 1
        verdict = verify.check(altered, ca_pem=known)
        assert not verdict.ok, f"{family.__name__}, try {tried}"
        assert verdict.reasons
        assert verdict.sentences()


def test_a_rewritten_file_never_verifies(originals):
    chance = random.Random(SEED)
    for file, known in originals * 2:
        assert not verify.check(rewrite(file, chance), ca_pem=known).ok


def test_every_bit_of_a_signature_counts(originals):
    """The containers of a plain and of a timestamped file, hex digit by hex digit."""
    for file, known in (originals[0], originals[3]):
        for start, end in gaps(file):
            used = start + len(file[start:end].rstrip(b"0"))
            for at in range(start, used + 1, 1 if used - start < 4000 else 7):
                digit = b"%X" % (int(file[at : at + 1], 16) ^ (1 << at % 4))
                altered = file[:at] + digit + file[at + 1 :]
                assert not verify.check(altered, ca_pem=known).ok, at


def test_the_equal_twin_of_a_signature_is_refused(originals, keys):
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

    file, known = originals[0]
    found = revisions.signed(file)
    signed = cms.read(found.container)
    r, s = decode_dss_signature(signed.signature)
    digest = verify.sha256(b"".join(bytes(part) for part in found.covered(file))).digest()
    twin = encode_dss_signature(r, cms.ORDERS["secp256r1"] - s)
    container = keys.template.container(digest, twin)
    assert cms.is_signed(cms.read(container))
    room = found.gap_end - found.gap_start - 2

    altered = (
        file[: found.gap_start + 1]
        + container.hex().upper().encode().ljust(room, b"0")
        + file[found.gap_end - 1 :]
    )

    assert len(altered) == len(file)
    assert verify.check(altered, ca_pem=known).reasons == ("signature",)


def test_a_second_signature_behind_the_seal_is_refused(originals, tmp_path, contract):
    """By a stranger, with a whole seal of their own around it."""
    authority.create(tmp_path / "stranger", name="Larkfield Software Ltd", now=NOW)
    stranger = authority.load(tmp_path / "stranger")
    for file, known in originals:
        hidden = file.replace(b"/ByteRange", b"/ByteRangf")
        with pytest.raises(seal.Unsealable):
            seal.seal(file, stranger, now=NOW, reason="")
        revision = seal.Revision(file)
        unfilled = seal.finish(revision, stranger, now=NOW, reason="", field_name="Another")
        twice = unfilled.filled(seal.container(unfilled, stranger))
        assert not verify.check(twice, ca_pem=known).ok
        assert not verify.check(hidden, ca_pem=known).ok
    own = executed.build(contract[0], [], b"", {}, stranger, NOW, language="en", title="x")
    assert verify.check(own, ca_pem=originals[0][1]).reasons == ("certificate_unknown",)


def test_a_timestamp_of_a_stranger_is_refused(originals, keys):
    """Anyone can get a timestamp somewhere; the one behind a seal must be of an authority relied on."""
    alone, known = originals[0]
    with timestamp_server(NOW, common_name="Stranger") as server:
        stamped = timestamps.upgrade(alone, keys, timestamps.TimestampAuthority(server.url), NOW).pdf

    assert verify.check(stamped, ca_pem=known).reasons == ("timestamp_unknown",)


def test_a_relied_on_timestamp_over_other_changes_is_refused(keys, contract):
    """The attack that a public timestamp authority would help with: slip a change in before the stamp."""
    alone = seal.seal(contract[0], keys, now=NOW, reason="x")
    with timestamp_server(NOW) as server:
        tsa = timestamps.TimestampAuthority(server.url)
        known = keys.ca_pem + server.root_pem
        good = timestamps.upgrade(alone, keys, tsa, NOW).pdf
        for find, change in (
            (b"/Type /DSS\n", b"/Type /DSX\n"),
            (b"/SigFlags 3", b"/SigFlags 0"),
            (b"/F 132\n", b"/F 004\n"),
        ):
            at = good.rindex(find)
            altered = good[:at] + change + good[at + len(find) :]
            stamp = revisions.signed(altered, len(alone))
            digest = verify.sha256(b"".join(bytes(part) for part in stamp.covered(altered))).digest()
            token, _said = tsa.token(digest)
            room = stamp.gap_end - stamp.gap_start - 2
            gap = token.hex().upper().encode().ljust(room, b"0")
            altered = altered[: stamp.gap_start + 1] + gap + altered[stamp.gap_end - 1 :]
            verdict = verify.check(altered, ca_pem=known)
            assert verdict.reasons == ("bytes_added",), find


def test_the_independent_judge_refuses_them_too(originals, ca, tmp_path):
    """Else its yes in other tests would prove nothing."""
    require_tool("openssl")
    chance = random.Random(SEED)
    file, _known = originals[0]
    assert independent.faults(file, ca, tmp_path) == []
    families = (append_something, truncate, spoil_the_range, spoil_the_signature, append_a_revision)
    for family in (*families, fill_the_padding, lower_a_hex_digit):
        for _turn in range(3):
            assert independent.faults(family(file, chance), ca, tmp_path), family.__name__
    (start, end) = gaps(file)[0]
    for at in (200, start - 300, end + 200, len(file) - 9):
        assert independent.faults(flipped(file, at, chance), ca, tmp_path), at
