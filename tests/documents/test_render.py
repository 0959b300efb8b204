from __future__ import annotations

import io
import re
from pathlib import Path

import pikepdf
import pypdfium2
import pytest

from portal.documents import render
from portal.documents.frames import Refused
from tests.documents import samples
from tests.tools import ask

PAYLOAD = '#panic("x") ]#eval("1")[ $x$ `raw` @ref <label> // c */ \\u{41} #read("/etc/passwd") =head {{x}}'


@pytest.fixture(scope="module")
def english():
    return render.contract_pdf(samples.contract("en"))


@pytest.fixture(scope="module")
def facing():
    return render.contract_pdf(samples.contract("en", "fr"))


def words(pdf: bytes) -> str:
    """All text of a file, wrapped lines joined."""
    document = pypdfium2.PdfDocument(pdf)
    pages = [page.get_textpage().get_text_bounded() for page in document]
    return re.sub(r"\s+", " ", " ".join(pages))


def kept(folder: Path, pdf: bytes) -> Path:
    path = folder / "file.pdf"
    path.write_bytes(pdf)
    return path


def one_clause(text: str, **changes):
    clause = {"key": "only", "level": 1, "heading": None, "text": (text, text)}
    return samples.contract("en", clauses=[clause], **changes)


# --- The file ------------------------------------------------------------------------------


def test_the_same_layout_gives_the_same_bytes(english):
    assert render.contract_pdf(samples.contract("en")).pdf == english.pdf


def test_the_date_in_the_file_is_that_of_the_revision(english):
    with pikepdf.open(io.BytesIO(english.pdf)) as pdf:
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20261102093000")


def test_the_contract_says_it_is_tagged_and_for_the_archive(english):
    with pikepdf.open(io.BytesIO(english.pdf)) as pdf:
        claims = pdf.open_metadata()
        assert (claims["pdfaid:part"], claims["pdfaid:conformance"]) == ("3", "A")
        assert claims["pdfuaid:part"] == "1"
        assert pdf.Root.MarkInfo.Marked is True
        assert str(pdf.Root.Lang) == "en"


def test_independent_tools_accept_the_file(english, tmp_path):
    path = kept(tmp_path, english.pdf)

    assert "No syntax or stream encoding errors" in ask("qpdf", "--check", path)
    facts = ask("pdfinfo", path)
    assert re.search(r"Title:\s+Support agreement", facts)
    assert re.search(r"Tagged:\s+yes", facts)
    assert re.search(r"JavaScript:\s+no", facts)


@pytest.mark.parametrize("make", ["contract", "page", "certificate", "typed", "drawn"])
def test_every_font_is_embedded(make, english, tmp_path):
    made = {
        "contract": lambda: english.pdf,
        "page": lambda: render.signature_page(samples.upload_page()).pdf,
        "certificate": lambda: render.certificate_pdf(samples.certificate(), in_process=True),
        "typed": lambda: render.signature_stamp(stamp()),
        "drawn": lambda: render.signature_stamp(stamp(kind="drawn", drawn=samples.DRAWN)),
    }[make]()

    rows = ask("pdffonts", kept(tmp_path, made)).splitlines()[2:]

    assert rows
    assert all(re.search(r"yes yes (yes|no )\s+\d+\s+\d+$", row) for row in rows), rows


# --- What stands in it -----------------------------------------------------------------------


def test_everything_of_the_revision_is_printed(english):
    text = words(english.pdf)

    for said in (
        "Support agreement", "Reference LF-2026-0147, revision 5", "Castellan Pharma SA (société anonyme)",
        "1. Purpose", "1.1 The Supplier supports", "so that the Customer can prepare", "given in clause 2.",
        "2. by a workaround", "S2 Major 2 hours 1 service day Service Hours", "4.1 Yearly fee",
        "Schedule B. Fees", "2028 EUR 190,000.00 in advance", "Signed for Castellan Pharma SA",
        "Claire Aubert", "Page 1 of 2", "LF-2026-0147, revision 5 Page 2 of 2",
    ):  # fmt: skip
        assert said in text, said


def test_french_is_set_as_french():
    made = render.contract_pdf(samples.contract("fr"))

    with pikepdf.open(io.BytesIO(made.pdf)) as pdf:
        assert str(pdf.Root.Lang) == "fr"
    text = words(made.pdf)
    assert "Le Fournisseur répond et résout dans les délais suivants" in text
    assert "Signé pour Castellan Pharma SA" in text
    assert "Page 1 sur 2" in text


def test_facing_columns_hold_both_texts_and_figures_once(facing):
    text = words(facing.pdf)

    assert "2. Meanings 2. Définitions" in text
    assert text.count("EUR 186,000.00") == 1
    assert "in advance d'avance" in text
    assert "If the texts of the two columns differ" in text
    assert "Si les textes des deux colonnes diffèrent" in text


def test_what_people_write_is_never_typst_source():
    layout = one_clause("x", title=PAYLOAD, reference=PAYLOAD)
    layout["clauses"][0]["blocks"]["en"] = [
        {"kind": "paragraph", "inline": [{"kind": "text", "text": PAYLOAD}]}
    ]
    layout["parties"][0]["name"] = layout["signatures"][0]["name"] = PAYLOAD

    text = words(render.contract_pdf(layout).pdf)

    assert text.count(PAYLOAD) >= 4


def test_links_lead_out_or_to_a_clause(english):
    with pikepdf.open(io.BytesIO(english.pdf)) as pdf:
        notes = [note for page in pdf.pages for note in page.obj.get("/Annots", [])]
        targets = [str(note.A.URI) for note in notes if "/A" in note and "/URI" in note.A]

    assert targets == ["https://support.larkfield.example/status"]
    assert len(notes) == 2


def test_a_reference_to_a_clause_that_is_not_there_is_just_its_number():
    layout = one_clause("x")
    layout["clauses"][0]["blocks"]["en"] = [
        {"kind": "paragraph", "inline": [
            {"kind": "link", "url": "#gone", "inline": [{"kind": "text", "text": "clause 9"}]}
        ]}
    ]  # fmt: skip

    assert "clause 9" in words(render.contract_pdf(layout).pdf)


def test_a_long_table_repeats_its_head_on_every_page():
    made = render.contract_pdf(samples.contract("en", schedules=samples.schedules(("en",), rows=120)))

    document = pypdfium2.PdfDocument(made.pdf)
    pages = [page.get_textpage().get_text_bounded() for page in document]
    with_rows = [text for text in pages if len(re.findall(r"EUR \d+,000\.00", text)) > 3]
    assert len(with_rows) >= 3
    assert all("Year Fee Paid" in text for text in with_rows)


@pytest.mark.parametrize("languages", [("en",), ("en", "fr")])
def test_a_word_longer_than_its_line_stays_on_the_page(languages):
    long = "Donaudampfschifffahrt" * 12
    schedules = samples.schedules(languages)
    for language in languages:
        schedules[1]["tables"][0]["rows"][0]["cells"][language][1] = long
        schedules[0]["sentences"][0]["text"][language] = long
    clause = {"key": "long", "level": 1, "heading": (long, long), "text": (long, f"a | {long}")}

    made = render.contract_pdf(samples.contract(*languages, clauses=[clause], schedules=schedules))

    for page in pypdfium2.PdfDocument(made.pdf):
        text = page.get_textpage()
        right = max(text.get_charbox(at)[2] for at in range(text.count_chars()))
        assert right <= page.get_width() - 50


def test_a_draft_says_so_on_every_page():
    made = render.contract_pdf(samples.contract("en", draft=True))

    document = pypdfium2.PdfDocument(made.pdf)
    assert all("DRAFT, NOT FOR SIGNATURE" in page.get_textpage().get_text_bounded() for page in document)


def test_a_character_without_a_glyph_is_refused_by_name():
    with pytest.raises(Refused) as refusal:
        render.contract_pdf(one_clause("Signed by 日本 Ltd"))

    assert refusal.value.code == "no_glyph"
    assert "日" in refusal.value.params["characters"]


def test_control_and_direction_characters_are_left_out():
    made = render.contract_pdf(one_clause("pay\u202e 100\x07\ue000 euro"))

    assert "pay 100 euro" in words(made.pdf)


@pytest.mark.parametrize("logo", ["%%%", "aGVsbG8=", "iVBORw0KGgo="])
def test_a_logo_that_is_no_picture_is_refused(logo):
    layout = samples.contract("en")
    layout["parties"][0]["logo"] = {"base64": logo, "alt": "x"}

    with pytest.raises(Refused) as refusal:
        render.contract_pdf(layout)

    assert refusal.value.code == "bad_picture"


# --- Places to sign ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["english", "facing", "many", "page"])
def test_each_signer_has_an_empty_place_above_a_line_on_the_page(kind, english, facing):
    made = {
        "english": lambda: english,
        "facing": lambda: facing,
        "many": lambda: render.contract_pdf(samples.contract("en", signatures=samples.signers(13))),
        "page": lambda: render.signature_page(samples.upload_page()),
    }[kind]()
    document = pypdfium2.PdfDocument(made.pdf)

    assert len({spot.recipient_key for spot in made.placements}) == len(made.placements) >= 2
    for spot in made.placements:
        page = document[spot.page - 1]
        text = page.get_textpage()
        left, right = spot.x, spot.x + spot.width
        assert 50 < left < right < page.get_width() - 50
        assert not text.get_text_bounded(left, spot.y + 2, right, spot.y + spot.height - 2).strip()
        assert "Signature" in text.get_text_bounded(left, spot.y - 22, right, spot.y - 2)
        assert "for the" in text.get_text_bounded(left, spot.y + 48, right, spot.y + spot.height + 25)


def test_the_page_behind_an_upload_names_the_file_and_counts_on():
    made = render.signature_page(samples.upload_page())
    text = words(made.pdf)

    assert made.pages == 1
    assert "NDA Castellan v3 (final).pdf" in text
    assert "5e" * 32 in text
    assert "Page 5 of 5" in text


def test_many_signers_sign_on_more_pages():
    made = render.signature_page(samples.upload_page(signatures=samples.signers(12)))

    assert made.pages == 2
    assert {spot.page for spot in made.placements} == {1, 2}
    assert "Page 6 of 6" in words(made.pdf)


# --- Certificate and stamps ----------------------------------------------------------------


def stamp(**changes):
    plain = {
        "kind": "typed",
        "name": "Claire Aubert",
        "when": "3 Nov 2026, 10:11 CET",
        "width": 211.64,
        "height": 50,
    }
    return {**plain, **changes}


def test_the_certificate_holds_all_its_evidence():
    evidence = samples.certificate()

    text = words(render.certificate_pdf(evidence))

    person = evidence["people"][1]
    for said in (
        evidence["document_sha256"], "head -c 215044 file.pdf | sha256sum", *evidence["seal"],
        person["name"], person["email"], *person["verified"], person["consent"], person["consent_sha256"],
        *(moment for _label, moment in person["times"]), person["ip"], person["intent"], person["authority"],
        evidence["events"][-1]["at"],
    ):  # fmt: skip
        assert said in text, said


def copied(folder: Path, pdf: bytes) -> str:
    """What somebody gets who copies the text out of a viewer."""
    return ask("pdftotext", kept(folder, pdf), "-")


def test_fingerprints_and_commands_copy_as_they_are_typed(tmp_path):
    evidence = samples.certificate()

    certificate = copied(tmp_path, render.certificate_pdf(evidence))
    behind_upload = copied(tmp_path, render.signature_page(samples.upload_page()).pdf)

    lines = [line.strip() for line in certificate.splitlines()]
    assert evidence["document_sha256"] in lines
    assert f"head -c {evidence['document_bytes']} file.pdf | sha256sum" in lines
    assert evidence["people"][0]["consent_sha256"] in lines
    assert "5e" * 32 in "".join(behind_upload.split())
    assert "\u200b" not in certificate + behind_upload


def test_a_certificate_beside_the_document_says_how_to_check_that_file():
    text = words(render.certificate_pdf(samples.certificate(shown_apart=True)))

    assert "sha256sum file.pdf" in text
    assert "head -c" not in text


def test_a_name_no_font_can_show_does_not_stop_the_certificate():
    evidence = samples.certificate(title="契約 " + "".join(chr(0x4E00 + at) for at in range(300)))

    text = words(render.certificate_pdf(evidence))

    assert "[U+5951]" in text
    assert "Claire Aubert" in text


def test_the_parts_of_an_execution_are_the_same_in_a_child_and_here():
    stamps = [stamp(), stamp(kind="drawn", drawn=samples.DRAWN)]

    away = render.execution_parts(stamps, samples.certificate())

    assert away == render.execution_parts(stamps, samples.certificate(), in_process=True)
    assert len(away.stamps) == 2


def test_the_certificate_for_the_sealer_brings_no_tags():
    parts = render.execution_parts([], samples.certificate(), in_process=True)

    with pikepdf.open(io.BytesIO(parts.certificate)) as pdf:
        assert "/StructTreeRoot" not in pdf.Root


@pytest.mark.parametrize(
    "name", ["Li", "Claire Aubert", "Jean-Baptiste de la Rochefoucauld-Montbel-Saint-Simon"]
)
def test_a_typed_signature_fits_its_place(name):
    page = pypdfium2.PdfDocument(render.signature_stamp(stamp(name=name)))[0]

    text = page.get_textpage()
    seen = [at for at in range(text.count_chars()) if text.get_text_range(at, 1) not in "\r\n"]
    boxes = [text.get_charbox(at) for at in seen]
    assert name in text.get_text_bounded()
    assert page.get_size() == pytest.approx((211.64, 50), abs=0.1)
    assert min(box[0] for box in boxes) >= 0
    assert max(box[2] for box in boxes) <= 211.64


def test_a_stamp_has_no_background():
    picture = (
        pypdfium2.PdfDocument(render.signature_stamp(stamp()))[0].render(fill_color=(0, 0, 0, 0)).to_pil()
    )

    assert picture.convert("RGBA").getpixel((picture.width - 1, 0))[3] == 0


def test_a_drawn_signature_fills_the_height_it_has():
    drawn = stamp(kind="drawn", drawn=samples.DRAWN, when="")
    picture = pypdfium2.PdfDocument(render.signature_stamp(drawn))[0].render(scale=2).to_pil().convert("L")

    left, top, right, bottom = picture.point(lambda value: 255 if value < 128 else 0).getbbox()

    assert top <= 12
    assert bottom >= 85
    assert 0 <= left < right < picture.width


@pytest.mark.parametrize(
    "path",
    ["", "M", "L1 2", "M1 2", "m1 2 l3 4", "M1 2 L3", "M1 2 A1 2 3 4 5 6 7", "M1 2 L3 4 url(x)", "M1 2 Z5",
     "M1e9 2 L3 4", "M1 2 L" + "9" * 400 + " 4", "M1 2 L--3 4", "M0 0" + " L1 1" * 20_000],
)  # fmt: skip
def test_a_drawing_that_is_no_plain_path_is_refused(path):
    with pytest.raises(Refused) as refusal:
        render.signature_stamp(stamp(kind="drawn", drawn=path))

    assert refusal.value.code == "bad_drawing"
