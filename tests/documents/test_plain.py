"""The words of a file as its reader sees them."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from typing import Any

import pytest
from lxml import etree

from portal.documents import plain, redline, word_read, word_write
from portal.documents.frames import Refused
from tests.sla.samples import shared_file

MARKDOWN = """# Service *levels*

Read <b>this</b> [first](https://larkfield.example/a?b=1), then **1.5 %** of R&amp;D.<!-- not this -->

1. One
   - inner ![a lamp](lamp.png)
2. Two\\
   lines

> Quoted words

| Severity | Answer |
| --- | ---: |
| **S1** | 30 min |

```
30 < 40
```

<div class="x">A block<br>of two lines</div>
"""


def test_markdown_is_read_without_its_mark_up():
    assert plain.from_markdown(MARKDOWN).split("\n\n") == [
        "Service levels",
        "Read this first, then 1.5 % of R&D.",
        "1. One",
        "• inner a lamp",
        "2. Two\nlines",
        "Quoted words",
        "Severity\tAnswer",
        "S1\t30 min",
        "30 < 40",
        "A block\nof two lines",
    ]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"%PDF-1.7\n", "pdf"), (b"PK\x03\x04...", "docx"), ("Größe".encode(), "markdown"), (b"", "markdown")],
)
def test_a_file_is_known_by_how_it_begins(data, kind):
    assert plain.kind_of(data) == kind


def test_what_is_no_text_is_refused():
    with pytest.raises(Refused) as refused:
        plain.text_of(b"\x7fELF\0\0\0")
    assert refused.value.code == "not_text"


def package(**parts: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in parts.items():
            file.writestr(f"word/{name}.xml", content)
    return made.getvalue()


BODY = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body>{}</w:body></w:document>"
)


def test_tracked_changes_are_read_either_way():
    data = package(
        document=BODY.format(
            "<w:p><w:r><w:t>Paid in </w:t></w:r>"
            '<w:del w:author="Cleo" w:date="2026-05-02T10:00:00Z">'
            "<w:r><w:delText>30</w:delText></w:r></w:del>"
            '<w:ins w:author="Cleo" w:date="2026-05-02T10:00:00Z"><w:r><w:t>45</w:t></w:r></w:ins>'
            "<w:r><w:t> days</w:t></w:r></w:p>"
        )
    )

    assert word_read.paragraphs(data) == ["Paid in 45 days"]
    assert word_read.paragraphs(data, "old") == ["Paid in 30 days"]
    changes = word_read.rows(data)[0].changes
    assert [(each.op, each.text, each.author, each.at) for each in changes] == [
        ("delete", "30", "Cleo", "2026-05-02T10:00:00Z"),
        ("insert", "45", "Cleo", "2026-05-02T10:00:00Z"),
    ]


def test_comments_come_with_the_words_they_are_on():
    comments = (
        BODY.replace("document", "comments")
        .replace("<w:body>{}</w:body>", "{}")
        .format(
            '<w:comment w:id="3" w:author="Cleo" w:date="2026-05-02T10:00:00Z">'
            "<w:p><w:r><w:t>Too short for us.</w:t></w:r></w:p></w:comment>"
        )
    )
    body = BODY.format(
        '<w:p><w:commentRangeStart w:id="3"/><w:r><w:t>30 days</w:t></w:r><w:commentRangeEnd w:id="3"/></w:p>'
    )

    [row] = word_read.rows(package(document=body, comments=comments))

    assert [(each.author, each.about, each.text) for each in row.comments] == [
        ("Cleo", "30 days", "Too short for us.")
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 nothing more",
        package(styles="<x/>"),
        package(document="<not closed"),
        package(document='<!DOCTYPE x [<!ENTITY a "b">]>' + BODY.format("<w:p/>")),
    ],
)
def test_a_damaged_word_file_is_refused(data):
    with pytest.raises(Refused) as refused:
        word_read.rows(data)
    assert refused.value.code == "broken"


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(word_read, "LARGEST_PART", 1000)

    with pytest.raises(Refused) as refused:
        word_read.rows(package(document=BODY.format("<w:p/>" * 1000)))
    assert refused.value.code == "too_large"


def real_pair() -> list[str]:
    """Two successive versions of one agreement, as published."""
    files = (shared_file(f"realworld/bonterms-psa-{version}.md") for version in ("1.0", "1.1"))
    return [plain.from_markdown(file.read_text(encoding="utf-8")) for file in files]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_another_word_processor_sees_the_same_tracked_changes(now, tmp_path):
    ops = redline.words(*real_pair())
    (tmp_path / "redline.docx").write_bytes(
        word_write.tracked(ops, title="PSA", author="Countersign", at=now)
    )
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"

    subprocess.run(
        ["soffice", profile, "--headless", "--convert-to", "fodt", "--outdir", tmp_path, "redline.docx"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip

    seen = tracked_by_another(etree.parse(tmp_path / "redline.fodt").getroot())
    for kind, op in (("deletion", "delete"), ("insertion", "insert")):
        assert words("".join(seen[kind])) == words("".join(each.text for each in ops if each.op == op))


TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"


def tracked_by_another(root: Any) -> dict[str, list[str]]:
    """The words between the marks of each tracked change, by its kind."""
    kinds = {
        each.get(f"{TEXT}id"): etree.QName(each[0]).localname for each in root.iter(f"{TEXT}changed-region")
    }
    seen: dict[str, list[str]] = {"insertion": [], "deletion": [], "format-change": []}
    marked: list[str] = []
    body = next(root.iter("{urn:oasis:names:tc:opendocument:xmlns:office:1.0}text"))
    for event, node in etree.iterwalk(body, events=("start", "end")):
        if event == "start" and node.tag == f"{TEXT}change-start":
            marked.append(kinds[node.get(f"{TEXT}change-id")])
        elif event == "start" and node.tag == f"{TEXT}change-end":
            marked.remove(kinds[node.get(f"{TEXT}change-id")])
        said = (node.text if event == "start" else node.tail) or ""
        for kind in marked:
            seen[kind].append(said)
    return seen


def words(text: str) -> str:
    return "".join(text.split())


def test_a_real_redline_applies_to_the_old_text_and_gives_the_new(now):
    old, new = (
        plain.from_markdown(shared_file(f"realworld/bonterms-psa-{v}.md").read_text()) for v in ("1.0", "1.1")
    )

    ops = redline.words(old, new)
    written = word_write.tracked(ops, title="PSA", author="Countersign", at=now)

    assert redline.old_text(ops) == old
    assert redline.new_text(ops) == new
    assert plain.whole(word_read.paragraphs(written, "old")) == old
    assert plain.whole(word_read.paragraphs(written)) == new
    assert sum(len(each.text.split()) for each in ops if each.op != "equal") < 120


def test_a_real_word_form_is_read_whole():
    text = plain.text_of(shared_file("realworld/commonpaper-csa-with-sla.docx").read_bytes())

    assert "Target Uptime" in text
    assert "{provider_name}" in text
    assert "w:t" not in text
