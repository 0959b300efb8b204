"""Templates begun from a file, and taken along as one."""

from __future__ import annotations

from io import BytesIO

import pytest

from portal.clock import utc_now
from portal.documents import template_texts, word_read
from portal.models.templates import Template
from portal.services import template_drafts, templates
from tests.pages.drafting import browser

TEXT = b"# Night shift\n\n## 1. Scope\n\nAll **nights**.\n\n## 2. Fees\n\nNone.\n"


@pytest.fixture
def ada(app, cast):
    templates.seed(utc_now())
    return browser(app, cast.ada)


def send(ada, content, name="a.md", **typed):
    values = {
        "start": "import", "source": templates.offered()[0].id, "language": "en", "name.en": "",
        "file": (BytesIO(content), name), **typed,
    }  # fmt: skip
    return ada.post("/templates/new", data=values)


def test_a_markdown_file_becomes_a_draft(ada):
    answer = send(ada, TEXT)

    assert answer.status_code == 303
    draft = template_drafts.everything()[0]
    assert (draft.template.key, draft.template.name) == ("night-shift", {"en": "Night shift"})
    assert [each["heading"]["en"] for each in draft.clauses] == ["Scope", "Fees"]
    assert "<strong>nights</strong>" in ada.get(answer.headers["Location"]).text


def test_a_word_file_becomes_a_draft(ada):
    clauses = template_texts.from_markdown(TEXT.decode(), "en").clauses
    content = template_texts.to_word("Night shift", clauses, "en", at=utc_now())

    assert send(ada, content, "a.docx", **{"name.en": "Mine"}).status_code == 303

    draft = template_drafts.everything()[0]
    assert draft.template.name == {"en": "Mine"}
    assert [each["heading"]["en"] for each in draft.clauses] == ["Scope", "Fees"]


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no zip", b"\xff\xfe\x00", b"   \n", b"# T\n\n" + b"x " * 15_000]
)
def test_what_is_no_text_is_refused_beside_the_field(ada, content):
    page = send(ada, content, **{"name.fr": "Nuit"})

    assert page.status_code == 422
    assert 'id="file-reason"' in page.text
    assert 'value="Nuit"' in page.text
    assert Template.select().count() == 2


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_version_is_taken_along_as_markdown_and_word(ada, app, cast, language):
    version = templates.offered()[0]
    here = f"/templates/{version.id}/export"

    text = ada.get(f"{here}/md?language={language}")
    word = ada.get(f"{here}/docx?language={language}")

    assert text.content_type == "text/markdown; charset=utf-8"
    assert text.text.startswith(f"# {version.template.name[language]}")
    read = template_texts.from_word(word_read.rows(word.data), language)
    assert len(read.clauses) == len(version.clauses)
    assert f"-1-{language}.docx" in word.headers["Content-Disposition"]
    assert ada.get(f"{here}/exe").status_code == 404
    assert browser(app, cast.cleo).get(f"{here}/md").status_code == 404
