from __future__ import annotations

import io
import os
import random
import re

import pikepdf
import pypdfium2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from pikepdf import Array, Dictionary, Name, String

from portal import i18n
from portal.documents import disarm, intake, render
from portal.documents.frames import Refused
from tests.documents import hostile, samples
from tests.tools import ask


def words(pdf: bytes) -> str:
    return "\n".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf))


def refused(content: bytes, **limits) -> Refused:
    with pytest.raises(Refused) as refusal:
        intake.admit(content, **limits)
    return refusal.value


def every_dictionary(pdf: pikepdf.Pdf):
    """All dictionaries of a file, found in another way than the product finds them."""
    waiting, seen = [pdf.trailer, *pdf.objects], set()
    while waiting:
        item = waiting.pop()
        if not isinstance(item, pikepdf.Object) or (item.is_indirect and item.objgen in seen):
            continue
        if item.is_indirect:
            seen.add(item.objgen)
        if isinstance(item, Array):
            waiting += list(item)
        elif isinstance(item, Dictionary | pikepdf.Stream):
            yield item
            waiting += [value for _key, value in item.items()]


# --- What is taken -------------------------------------------------------------------------


def test_an_honest_file_keeps_its_pages_and_loses_nothing():
    admitted = intake.admit(hostile.saved(hostile.plain(pages=3)))

    assert (admitted.pages, admitted.removed, admitted.had_signatures) == (3, [], [])
    assert admitted.sizes == [(595.0, 842.0)] * 3
    assert "Plain page 3" in words(admitted.pdf)


def test_the_same_upload_gives_the_same_bytes_in_one_revision():
    upload = hostile.everything()

    first, second = intake.admit(upload).pdf, intake.admit(upload).pdf

    assert first == second
    assert first.count(b"startxref") == first.count(b"%%EOF") == 1
    assert intake.admit(first).removed == []


def test_nothing_active_is_left_of_a_hostile_file():
    admitted = intake.admit(hostile.everything())

    assert admitted.removed == [
        "actions", "attachments", "external_pictures", "forms", "links", "media", "metadata", "scripts",
    ]  # fmt: skip
    for planted in (
        b"JavaScript",
        b"app.alert",
        b"Launch",
        b"run.exe",
        b"/EmbeddedFiles",
        b"/AA",
        b"etc/passwd",
    ):
        assert planted not in admitted.pdf
    with pikepdf.open(io.BytesIO(admitted.pdf)) as pdf:
        for found in every_dictionary(pdf):
            assert not set(found.keys()) & set(disarm.NEVER)
            assert str(found.get("/S", "")) not in disarm.BAD_ACTIONS
            assert "/Next" not in found


def test_honest_links_survive():
    with pikepdf.open(io.BytesIO(intake.admit(hostile.everything()).pdf)) as pdf:
        notes = list(pdf.pages[0].obj.Annots)

    assert [str(note.A.S) for note in notes] == ["/URI", "/GoTo"]
    assert str(notes[0].A.URI) == "https://example.test/terms"


def test_what_was_filled_in_becomes_part_of_the_page():
    assert "Filled in by hand" in words(intake.admit(hostile.everything()).pdf)


def test_hidden_layers_go_and_visible_ones_stay():
    admitted = intake.admit(hostile.layered())
    text = words(admitted.pdf)

    assert admitted.removed == ["layers"]
    assert "Always there" in text
    assert "Shown layer" in text
    assert "Shown when hidden" in text
    assert "Hidden" not in text
    assert b"OCProperties" not in admitted.pdf


def test_a_font_may_be_called_like_an_action():
    pdf = hostile.plain("Kept")
    page = pdf.pages[0].obj
    page.Resources.Font = pdf.make_indirect(Dictionary(AA=page.Resources.Font.F1, JS=page.Resources.Font.F1))
    page.Contents = pdf.make_stream(b"BT /AA 14 Tf 72 700 Td (Kept) Tj /JS 14 Tf ( too) Tj ET")

    admitted = intake.admit(hostile.saved(pdf))

    assert admitted.removed == []
    assert "Kept too" in words(admitted.pdf)


def test_pages_are_measured_as_they_are_seen():
    pdf = hostile.plain(pages=2)
    pdf.pages[0].obj.Rotate = 90
    pdf.pages[1].obj.CropBox = Array([10, 20, 310, 420])

    assert intake.admit(hostile.saved(pdf)).sizes == [(842.0, 595.0), (300.0, 400.0)]


def test_our_own_contract_passes_with_its_text_and_tools_are_content(tmp_path):
    ours = render.contract_pdf(samples.contract("en", "fr")).pdf
    admitted = intake.admit(ours)
    (tmp_path / "file.pdf").write_bytes(admitted.pdf)

    assert admitted.removed == []
    assert words(admitted.pdf) == words(ours)
    assert "No syntax or stream encoding errors" in ask("qpdf", "--check", tmp_path / "file.pdf")
    assert re.search(r"Form:\s+none", ask("pdfinfo", tmp_path / "file.pdf"))


# --- Signatures ----------------------------------------------------------------------------


def test_signatures_are_named_before_they_are_lost(now):
    pdf = hostile.plain()
    values = [
        Dictionary(Type=Name.Sig, ByteRange=Array([0, 1, 2, 3]), **keys)
        for keys in (
            {"Name": String("Claire Aubert"), "Contents": String("x")},
            {"Contents": String(certificates("Ana Whitmore", now) + bytes(40))},
            {"Contents": String("unreadable")},
        )
    ]
    fields = [
        pdf.make_indirect(
            Dictionary(FT=Name.Sig, T=String(f"Signature{at}"), V=pdf.make_indirect(value), Type=Name.Annot,
                       Subtype=Name.Widget, Rect=Array([0, 0, 0, 0]))
        )
        for at, value in enumerate(values)
    ]  # fmt: skip
    pdf.pages[0].obj.Annots = Array(fields)
    pdf.Root.AcroForm = Dictionary(Fields=Array(fields), SigFlags=3)
    pdf.Root.Perms = Dictionary(DocMDP=fields[0].V)

    admitted = intake.admit(hostile.saved(pdf))

    assert sorted(admitted.had_signatures) == ["Ana Whitmore", "Claire Aubert", "Signature2"]
    assert "signatures" in admitted.removed
    assert b"ByteRange" not in admitted.pdf


def certificates(name, now) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now.replace(year=now.year + 1))
        .sign(key, hashes.SHA256())
    )
    return pkcs7.serialize_certificates([made], serialization.Encoding.DER)


# --- What is refused -----------------------------------------------------------------------


def test_an_empty_file_is_refused():
    assert refused(b"").code == "empty"


def test_a_file_beyond_the_limit_is_refused_before_it_is_opened():
    refusal = refused(b"%PDF-" + bytes(2 * intake.MEGABYTE), max_bytes=intake.MEGABYTE)

    assert (refusal.code, refusal.params) == ("too_large", {"most_mb": 1})


@pytest.mark.parametrize("content", [b"<html>", b"PK\x03\x04", b"\x89PNG\r\n", os.urandom(3000)])
def test_what_is_no_pdf_is_refused(content):
    assert refused(content).code == "not_pdf"


@pytest.mark.parametrize("user", ["secret", ""])
def test_protected_files_are_refused_whoever_holds_the_password(user):
    protected = hostile.saved(hostile.plain(), encryption=pikepdf.Encryption(owner="owner", user=user))

    assert refused(protected).code == "encrypted"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_off_is_refused_and_never_guessed_at(part):
    whole = render.certificate_pdf(samples.certificate(), in_process=True)

    assert refused(whole[: int(len(whole) * part)]).code == "broken"


def test_too_many_pages_are_refused():
    refusal = refused(hostile.saved(hostile.plain(pages=4)), max_pages=3)

    assert (refusal.code, refusal.params) == ("too_many_pages", {"most": 3})


@pytest.mark.parametrize("make", [hostile.bomb, hostile.double_bomb, hostile.huge_picture])
def test_a_small_file_that_unpacks_to_a_flood_is_refused(make):
    content = make()

    assert len(content) < intake.MAX_BYTES
    assert refused(content).code == "too_much_data"


def test_a_form_without_pages_and_a_folder_of_files_are_refused():
    assert refused(hostile.dynamic_form()).code == "active_content_only"
    assert refused(hostile.portfolio()).code == "portfolio"


@pytest.mark.parametrize("box", [[0, 0, 10, 842], [0, 0, 20_000, 842], [0, 0, 0, 0]])
def test_a_page_that_nobody_can_see_is_refused(box):
    pdf = hostile.plain(pages=2)
    pdf.pages[1].obj.MediaBox = Array(box)

    refusal = refused(hostile.saved(pdf))

    assert (refusal.code, refusal.params) == ("bad_page_size", {"page": 2})


def test_damaged_bytes_give_a_refusal_or_a_harmless_file():
    """Every outcome of a damaged upload is one of the two, for damage anywhere in the file."""
    dice = random.Random(20261102)
    whole = hostile.everything()
    outcomes = set()
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 12)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        outcomes.add(outcome(bytes(damaged)))
    assert outcomes == {"refused", "admitted"}


def outcome(content: bytes) -> str:
    try:
        admitted = intake.admit(content)
    except Refused as refusal:
        known = intake.refusal_sentence(refusal.code, refusal.params) != intake.refusal_sentence("?", {})
        return "refused" if known else f"refused without a sentence: {refusal.code}"
    with pikepdf.open(io.BytesIO(admitted.pdf)) as pdf:
        left = [found for found in every_dictionary(pdf) if set(found.keys()) & set(disarm.NEVER)]
    return f"left {left}" if left else "admitted"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_refusal_and_removal_has_its_own_sentence(language):
    codes = {
        "empty": {}, "too_large": {"most_mb": 25}, "not_pdf": {}, "encrypted": {}, "broken": {},
        "too_many_pages": {"most": 500}, "too_much_data": {}, "took_too_long": {}, "active_content_only": {},
        "portfolio": {}, "still_active": {}, "bad_page_size": {"page": 3},
    }  # fmt: skip

    with i18n.use(language):
        sentences = {intake.refusal_sentence(code, params) for code, params in codes.items()}
        removals = {*disarm.NEVER.values(), "links", "annotations"} - {""}
        named = {intake.removal_sentence(code) for code in removals}

    assert len(sentences) == len(codes)
    assert len(named - {intake.removal_sentence("?")}) == len(removals)
    assert not [sentence for sentence in sentences if "%(" in sentence]


# --- The page behind -----------------------------------------------------------------------


def test_the_signature_page_goes_behind_and_its_places_move_with_it():
    upload = intake.admit(hostile.saved(hostile.plain("Upload", pages=4))).pdf
    extra = render.signature_page(samples.upload_page())

    joined = intake.append_pages(upload, extra)

    assert joined.pages == 5
    assert [spot.page for spot in joined.placements] == [5, 5]
    assert [spot.x for spot in joined.placements] == [spot.x for spot in extra.placements]
    text = words(joined.pdf)
    assert text.index("Upload 4") < text.index("Mutual confidentiality agreement")
    assert intake.append_pages(upload, extra).pdf == joined.pdf
