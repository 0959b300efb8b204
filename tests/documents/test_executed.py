from __future__ import annotations

import os
from hashlib import sha256
from io import BytesIO

import pikepdf
import pypdfium2
import pytest

from portal.documents import executed, render, sanitise, timestamps, verify
from portal.documents.seal import Unsealable
from tests.documents import independent, samples
from tests.documents.conftest import EVIDENCE, NOW
from tests.documents.uploads import square, upload
from tests.simulators.tsa import timestamp_server
from tests.tools import ask, require_tool

HOW_MANY = 100 if os.environ.get("COUNTERSIGN_TEST_LONG") == "1" else 12
LANGUAGES = [("en",), ("fr",), ("en", "fr")]


def shown_file(number):
    """Every third is a typeset contract, the others are uploads, half of them after intake."""
    if number % 3 == 0:
        layout = samples.contract(*LANGUAGES[number // 3 % 3], repeat=1 + number % 7)
        values, files = render.contract_task(dict(layout), {})
        return files["pdf"], [(one["page"], one["x"], one["y"]) for one in values["placements"]]
    shown = upload(number)
    if number % 2:
        shown = sanitise.clean(shown, 500, 200_000_000)[1]["pdf"]
    with pikepdf.open(BytesIO(shown)) as pdf:
        pages = len(pdf.pages)
    return shown, [(1 + turn % pages, 60 + 7 * turn, 80 + 9 * turn) for turn in range(1 + number % 4)]


@pytest.mark.parametrize("number", range(HOW_MANY))
def test_varied_files_are_executed_and_accepted_by_every_judge(execute, keys, ca, tmp_path, number):
    require_tool("openssl")
    shown, spots = shown_file(number)
    path = tmp_path / "executed.pdf"

    out = execute(shown, spots)

    path.write_bytes(out)
    assert out.startswith(shown)
    assert independent.faults(out, ca, tmp_path) == []
    said = ask("pdfsig", "-nocert", path)
    assert said.count("Signature #") == 1
    assert "Signature is Valid" in said
    assert "\n  - Total document signed" in said
    ask("qpdf", "--check", path)
    text = ask("pdftotext", path, "-")
    assert "LF-2026-0147" in text
    assert "Claire Aubert" in text
    verdict = verify.check(out, ca_pem=keys.ca_pem)
    assert verdict.ok, verdict.reasons
    assert verdict.kind == "executed"
    assert verdict.evidence == EVIDENCE
    assert (verdict.shown_length, verdict.shown_sha256) == (len(shown), sha256(shown).hexdigest())


def test_text_of_shown_pages_certificate_and_evidence_are_all_there(execute, contract, tmp_path):
    shown, placements = contract
    path = tmp_path / "executed.pdf"

    path.write_bytes(execute(shown, [(one.page, one.x, one.y) for one in placements]))

    text = ask("pdftotext", "-layout", path, "-")
    assert "Support agreement" in text
    assert "Code from an authenticator app" in text
    assert "evidence.json" in ask("pdfdetach", "-list", path)
    ask("pdfdetach", "-save", "1", "-o", tmp_path / "evidence.json", path)
    assert "countersign-evidence/1" in (tmp_path / "evidence.json").read_text()
    with pikepdf.open(path) as pdf:
        assert [file.AFRelationship for file in pdf.Root.AF] == [pikepdf.Name.Data]
        assert len(pdf.pages) == pdf.Root.Pages.Count
        assert "/Lang" in pdf.Root
        assert "/StructTreeRoot" in pdf.Root


def picture(pdf, page):
    document = pypdfium2.PdfDocument(pdf)
    try:
        return document[page].render(scale=1).to_pil().convert("L")
    finally:
        document.close()


@pytest.mark.parametrize("seed", range(14))
def test_a_stamp_lands_where_the_page_as_seen_says_and_nothing_else_moves(keys, seed):
    from PIL import ImageChops

    shown = upload(seed)
    stamp = executed.Stamp(1, 100, 130, 80, 40, square())

    out = executed.build(shown, [stamp], b"", {}, keys, NOW, language="en", title="Order")

    before, after = picture(shown, 0), picture(out, 0)
    box = ImageChops.difference(before, after).point(lambda value: 255 if value > 40 else 0).getbbox()
    expected = (100, before.height - 170, 180, before.height - 130)
    assert box is not None
    assert all(abs(seen - meant) <= 2 for seen, meant in zip(box, expected, strict=True)), (box, expected)


def test_pages_without_a_signature_look_the_same(execute):
    shown, _spots = shown_file(4)
    with pikepdf.open(BytesIO(shown)) as pdf:
        pages = len(pdf.pages)

    out = execute(shown, [(1, 60, 60)])

    for page in range(1, pages):
        assert picture(shown, page).tobytes() == picture(out, page).tobytes()


def test_attachments_of_the_shown_file_stay(execute):
    shown = BytesIO()
    with pikepdf.open(BytesIO(upload(2))) as pdf:
        pdf.attachments["annex.txt"] = b"annex"
        pdf.save(shown)

    out = execute(shown.getvalue(), [])

    with pikepdf.open(BytesIO(out)) as pdf:
        assert set(pdf.attachments) == {"annex.txt", "evidence.json"}
        assert pdf.attachments["annex.txt"].get_file().read_bytes() == b"annex"


def test_a_french_contract_is_sealed_in_french_words(keys, contract):
    out = executed.build(contract[0], [], b"", {}, keys, NOW, language="fr", title="Contrat d’été")

    assert verify.check(out, ca_pem=keys.ca_pem).ok
    with pikepdf.open(BytesIO(out)) as pdf:
        assert "Contrat d’été" in str(pdf.Root.AcroForm.Fields[0].V.Reason)


def test_a_page_that_is_not_there_is_refused(keys, contract):
    for page in (0, 99):
        stamp = executed.Stamp(page, 0, 0, 10, 10, square())
        with pytest.raises(Unsealable, match="no page"):
            executed.build(contract[0], [stamp], b"", {}, keys, NOW, language="en", title="x")


def test_the_executed_file_is_timestamped_when_an_authority_is_there(keys, ca, contract, parts, tmp_path):
    named = {"language": "en", "title": "Support agreement"}
    with timestamp_server(NOW) as server:
        tsa = timestamps.TimestampAuthority(server.url)
        arguments = (contract[0], [], parts.certificate, {executed.EVIDENCE: b'{"a": 1}'}, keys, NOW)

        done = executed.build_with_timestamps(*arguments, **named, tsa=tsa)
        server.mood = "down"
        alone = executed.build_with_timestamps(*arguments, **named, tsa=tsa)

        (tmp_path / "time.pem").write_bytes(server.root_pem)
    assert not done.incomplete
    assert verify.check(done.pdf, ca_pem=keys.ca_pem + server.root_pem).evidence == {"a": 1}
    assert verify.check(done.pdf, ca_pem=keys.ca_pem + server.root_pem).ok
    assert independent.faults(done.pdf, ca, tmp_path, tmp_path / "time.pem") == []
    assert alone.incomplete
    assert verify.check(alone.pdf, ca_pem=keys.ca_pem).ok
