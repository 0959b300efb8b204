"""`countersign compare`: what changed between two texts, for people, for programs, as a Word file."""

from __future__ import annotations

import json

import pytest

from portal.documents import word_read
from tests.test_cli import run

OLD = "# Fees\n\nFees are due in **30** days.\n\nThe law of [France](https://law.example) applies.\n"
NEW = "# Fees\n\nFees are due in **45** days.\n\nThe law of [France](https://law.example) applies.\n"


@pytest.fixture
def files(tmp_path):
    old, new = tmp_path / "old.md", tmp_path / "new.md"
    old.write_text(OLD)
    new.write_text(NEW)
    return str(old), str(new)


def test_people_read_the_changed_paragraphs(tmp_path, files):
    done = run(tmp_path / "none", "compare", *files)

    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "Fees are due in [-30 -]{+45 +}days.\n\n1 paragraph differs: 1 word deleted, 1 inserted.\n"
    )
    assert not (tmp_path / "none").exists()


def test_programs_read_stretches_that_join_to_both_texts(tmp_path, files):
    told = json.loads(run(tmp_path, "compare", *files, "--json").stdout)

    assert {each["op"] for each in told} == {"equal", "insert", "delete"}
    old = "".join(each["text"] for each in told if each["op"] != "insert")
    new = "".join(each["text"] for each in told if each["op"] != "delete")
    assert old == "Fees\n\nFees are due in 30 days.\n\nThe law of France applies."
    assert new == old.replace("30", "45")


def test_the_word_file_holds_each_difference_as_a_tracked_change(tmp_path, files):
    out = tmp_path / "out.docx"

    done = run(tmp_path, "compare", *files, "--docx", str(out), "--json")

    assert done.returncode == 0, done.stderr
    rows = word_read.rows(out.read_bytes())
    assert [(each.op, each.text) for row in rows for each in row.changes] == [
        ("delete", "30 "),
        ("insert", "45 "),
    ]


def test_a_word_file_can_be_compared_with_the_text_it_came_from(tmp_path, files):
    out = tmp_path / "out.docx"
    run(tmp_path, "compare", *files, "--docx", str(out))

    assert run(tmp_path, "compare", str(out), files[1]).stdout == "No differences.\n"


def test_a_sealed_pdf_is_compared_by_its_words(tmp_path, files):
    from portal.documents import demonstration

    pdf = tmp_path / "one.pdf"
    pdf.write_bytes(demonstration.sample_pdf("K7QM", "en"))

    done = run(tmp_path, "compare", str(pdf), str(pdf), "--json")

    [only] = json.loads(done.stdout)
    assert only["op"] == "equal"
    assert "K7QM" in only["text"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.docx", b"PK\x03\x04 broken", "cannot be read"),
        ("x.pdf", b"%PDF-1.7 broken", "cannot be read"),
        ("x.bin", b"\x7fELF\0\0", "neither Markdown, DOCX nor PDF"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, files, name, content, sentence):
    (tmp_path / name).write_bytes(content)

    done = run(tmp_path, "compare", files[0], str(tmp_path / name))

    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_missing_file_and_missing_words_are_told_apart(tmp_path, files):
    assert run(tmp_path, "compare", files[0], str(tmp_path / "no.md")).returncode == 1
    assert run(tmp_path, "compare", files[0]).returncode == 2
