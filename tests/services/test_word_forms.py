"""The Word file of a revision: it goes out, is changed by somebody's lawyer, and nothing is passed over."""

from __future__ import annotations

import copy
import io
import shutil
import subprocess
import zipfile

import pytest
from lxml import etree

from portal.documents import word_read
from portal.documents.word_read import W
from portal.errors import Conflict, Invalid
from portal.models.contracts import Document
from portal.models.negotiation import Comment, Proposal
from portal.services import (
    agreements,
    audit,
    drafts,
    negotiation,
    proposals,
    word_forms,
    word_returns,
)
from tests.services.drafting import actor, draft
from tests.services.talks import opened


@pytest.fixture
def talks(cast, now):
    return opened(cast, now)


@pytest.fixture
def contract(talks):
    return talks[0]


@pytest.fixture
def form(contract, now):
    return word_forms.made(contract, agreements.last_shared(contract), author="Ana", at=now)


class Edited:
    """A Word file opened for changes, as a word processor would make them."""

    def __init__(self, data: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            self.parts = {name: package.read(name) for name in package.namelist()}
        self.root = etree.fromstring(self.parts["word/document.xml"])

    def controls(self, start: str) -> list:
        found = self.root.iter(f"{W}sdt")
        return [each for each in found if each.find(f"{W}sdtPr/{W}tag").get(f"{W}val").startswith(start)]

    def write(self, start: str, text: str, at: int = 0) -> None:
        """Other words in a content control; the paragraph keeps its first run."""
        runs = [each for each in self.controls(start)[at].iter(f"{W}t")]
        runs[0].text, rest = text, runs[1:]
        for each in rest:
            each.text = ""

    def track(self, start: str, text: str, author: str) -> None:
        """The same with the change tracked."""
        run = next(self.controls(start)[0].iter(f"{W}r"))
        parent, mark = (
            run.getparent(),
            {f"{W}author": author, f"{W}date": "2026-11-24T10:00:00Z", f"{W}id": "9"},
        )
        new = copy.deepcopy(run)
        for name, inside in (("ins", new), ("del", run)):
            wrapper = etree.Element(f"{W}{name}", mark)
            parent.insert(parent.index(run), wrapper) if inside is new else parent.insert(
                parent.index(wrapper.getparent()[0]) if wrapper.getparent() is not None else 0, wrapper
            )
            wrapper.append(inside)
        for each in run.iter(f"{W}t"):
            each.tag = f"{W}delText"
        next(new.iter(f"{W}t")).text = text

    def add_after(self, start: str, text: str) -> None:
        """A paragraph of somebody's own behind one of ours, in no content control."""
        node = etree.fromstring(f'<w:p xmlns:w="{W[1:-1]}"><w:r><w:t>{text}</w:t></w:r></w:p>')
        self.controls(start)[0].addnext(node)

    def take_out(self, start: str) -> None:
        for each in self.controls(start):
            each.getparent().remove(each)

    def saved(self) -> bytes:
        self.parts["word/document.xml"] = etree.tostring(self.root, xml_declaration=True, encoding="UTF-8")
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
            for name, content in self.parts.items():
                package.writestr(name, content)
        return made.getvalue()


def take(contract, cast, data, now):
    return word_returns.take_in(contract, data, "back.docx", by=actor(cast.ana), now=now)


def keys(contract):
    return [each["key"] for each in agreements.last_shared(contract).clauses]


def test_a_file_that_comes_back_unchanged_asks_for_nothing(contract, cast, form, now):
    returned = take(contract, cast, form, now)

    assert (returned.proposals, returned.comments, returned.unassigned) == (0, 0, 0)
    assert Proposal.select().count() == 0
    assert Document.get(Document.kind == "returned").file_name == "back.docx"


def test_ten_changes_come_back_as_ten(contract, cast, form, now):
    """A figure, a figure nobody can read, words, new words, a clause gone, a heading, the title, a key ..."""
    first, second, third, fourth = keys(contract)[:4]
    language = contract.languages[0]
    file = Edited(form)
    file.write("terms.severities.S1.response", "15 minutes")
    file.track("terms.commercial.fee", "14 000,00 EUR", "Maître Roux")
    file.write("terms.uptime.target_pct", "as good as possible")
    file.write(f"clauses.{first}.{language}", "Words of theirs.")
    file.add_after(f"clauses.{second}.{language}", "Une phrase de plus.")
    file.take_out(f"clauses.{third}.{language}")
    file.take_out(f"heading.{third}.{language}")
    file.write(f"heading.{fourth}.{language}", "4 Another heading")
    file.write("fixed.title", "Another title")
    file.write("key.maintenance.min_notice_h", "maintenance")
    file.take_out("terms.commercial.length_months")

    returned = take(contract, cast, file.saved(), now)

    by_place = {each.place: each for each in Proposal.select().where(Proposal.kind != "unassigned")}
    rest = [each.after for each in Proposal.select().where(Proposal.kind == "unassigned")]
    assert by_place["terms.severities.S1.response"].after["min"] == 15
    assert by_place["terms.commercial.fee"].after == "14000.00"
    assert by_place["terms.commercial.fee"].author_name == "Maître Roux"
    assert [each["op"] for each in by_place["terms.commercial.fee"].tracked] == ["delete", "insert"]
    assert by_place[f"clauses.{first}"].after[language].startswith("Words of theirs.")
    assert "Une phrase de plus." in by_place[f"clauses.{second}"].after[language]
    assert by_place[f"clauses.{third}"].after is None
    assert by_place["terms.commercial.length_months"].after is None
    assert len(by_place) == 6
    for words in ("as good as possible", "4 Another heading", "Another title", "maintenance |"):
        assert any(words in text for text in rest), (words, rest)
    assert (returned.proposals, returned.unassigned) == (6, len(rest))
    assert len(rest) == 4


def test_what_is_accepted_changes_the_draft_and_nothing_else(talks, cast, form, now):
    contract, ana, _claire = talks
    key, language = keys(contract)[1], contract.languages[0]
    before = drafts.clause(agreements.latest(contract), key)["text"][language]
    file = Edited(form)
    file.add_after(f"clauses.{key}.{language}", "Une phrase de plus.")
    take(contract, cast, file.saved(), now)

    proposals.accept(contract, Proposal.get().id, ana, now=now)

    after = drafts.clause(agreements.latest(contract), key)["text"][language]
    first, _blank, rest = before.partition("\n\n")
    assert after == f"{first}\n\nUne phrase de plus." + (f"\n\n{rest}" if rest else "")


def test_what_fits_nowhere_keeps_both_sides_from_agreeing(talks, cast, form, now):
    contract, ana, _claire = talks
    file = Edited(form)
    file.write("fixed.note", "Subject to our board's approval.")
    take(contract, cast, file.saved(), now)
    [row] = Proposal.select()
    sha256 = agreements.text_sha256(contract, agreements.latest(contract))

    with pytest.raises(Conflict, match="wait for an answer"):
        negotiation.agree(contract, ana, seen_sha256=sha256, now=now)
    assert proposals.of(contract, "theirs") == []
    proposals.reject(contract, row.id, ana, reason="Not part of the text.", now=now)

    assert negotiation.agree(contract, ana, seen_sha256=sha256, now=now) is False
    assert "contract.file_returned" in [each["act"] for each in audit.history(contract.id)]


def test_comments_come_with_their_author_and_place(contract, cast, form, now):
    key, language = keys(contract)[1], contract.languages[0]
    file = Edited(form)
    paragraph = next(file.controls(f"clauses.{key}.{language}")[0].iter(f"{W}p"))
    paragraph.insert(0, etree.Element(f"{W}commentRangeStart", {f"{W}id": "4"}))
    paragraph.append(etree.Element(f"{W}commentRangeEnd", {f"{W}id": "4"}))
    file.parts["word/comments.xml"] = (
        f'<w:comments xmlns:w="{W[1:-1]}">'
        '<w:comment w:id="4" w:author="Maître Roux" w:date="2026-11-24T10:00:00Z">'
        "<w:p><w:r><w:t>Trop large.</w:t></w:r></w:p></w:comment></w:comments>"
    ).encode()

    returned = take(contract, cast, file.saved(), now)

    [row] = Comment.select()
    assert returned.comments == 1
    assert (row.author_name, row.place, row.side, row.source) == (
        "Maître Roux",
        f"clauses.{key}",
        "theirs",
        "word",
    )
    assert row.text.endswith("Trop large.")


def test_a_file_without_its_marks_is_read_by_its_headings_and_keys(contract, cast, form, now):
    """Some programs throw content controls away: headings and the first column are left."""
    key, language = keys(contract)[1], contract.languages[0]
    file = Edited(form)
    file.write("terms.severities.S1.response", "15 minutes")
    file.write(f"clauses.{key}.{language}", "Words of theirs.")
    for each in list(file.root.iter(f"{W}sdt")):
        for inside in list(each.find(f"{W}sdtContent")):
            each.addprevious(inside)
        each.getparent().remove(each)

    take(contract, cast, file.saved(), now)

    assert {each.place for each in Proposal.select()} == {"terms.severities.S1.response", f"clauses.{key}"}


def test_a_note_a_header_and_a_new_row_are_listed(contract, cast, form, now):
    file = Edited(form)
    file.parts["word/header1.xml"] = (
        f'<w:hdr xmlns:w="{W[1:-1]}"><w:p><w:r><w:t>Draft of counsel</w:t></w:r></w:p></w:hdr>'.encode()
    )
    file.parts["word/footnotes.xml"] = (
        f'<w:footnotes xmlns:w="{W[1:-1]}"><w:footnote w:id="2">'
        "<w:p><w:r><w:t>But see Annex 9.</w:t></w:r></w:p>"
        "</w:footnote></w:footnotes>"
    ).encode()
    row = next(file.controls("terms.severities.S1.response")[0].iterancestors(f"{W}tr"))
    new = copy.deepcopy(row)
    for each in list(new.iter(f"{W}sdt")):
        each.getparent().remove(each)
    for text in new.iter(f"{W}t"):
        text.text = "S0 Catastrophe"
    row.addnext(new)

    take(contract, cast, file.saved(), now)

    rest = "\n".join(each.after for each in Proposal.select())
    assert {each.kind for each in Proposal.select()} == {"unassigned"}
    for words in ("Draft of counsel", "But see Annex 9.", "S0 Catastrophe"):
        assert words in rest


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"PK\x03\x04 broken"])
def test_what_is_no_word_file_is_refused_beside_the_field(contract, cast, now, data):
    with pytest.raises(Invalid) as refused:
        take(contract, cast, data, now)
    assert list(refused.value.errors) == ["file"]


def test_a_file_of_another_contract_is_refused(contract, cast, now):
    other = draft(cast, now)
    file = word_forms.made(other, agreements.latest(other), author="Ana", at=now)

    with pytest.raises(Invalid, match="another contract"):
        take(contract, cast, file, now)


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_a_file_saved_by_another_word_processor_still_fits(contract, cast, form, now, tmp_path):
    (tmp_path / "form.docx").write_bytes(form)
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "docx",
         "--outdir", "saved", "form.docx"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip

    returned = take(contract, cast, (tmp_path / "saved" / "form.docx").read_bytes(), now)

    assert (returned.proposals, returned.unassigned) == (0, 0)
    assert word_read.rows(form)[0].text == contract.title
