"""Templates out of Markdown and Word, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from portal.documents import template_texts, word_read
from portal.sla import wording

REAL = Path(__file__).parents[3] / "shared" / "realworld"
AT = datetime(2026, 11, 23, tzinfo=UTC)


def real(name):
    path = REAL / name
    if not path.exists():
        pytest.skip(f"{path} is not here: the real contracts lie beside the checkout of those who have them")
    return path


def outline(read):
    return [(each["level"], each["heading"].get("en", "")) for each in read.clauses]


def test_hashes_become_clauses_of_two_ranks_and_deeper_ones_stay_in_the_text():
    text = (
        "# Deal\n\nBefore.\n\n## 1. Scope\n\nOur **work**.\n\n### 1.1 Hours\n\n1. first\n2. second\n\n"
        "#### Nights\n\nNone.\n\n## Fees\n"
    )

    read = template_texts.from_markdown(text, "en")

    assert read.title == "Deal"
    assert outline(read) == [(1, ""), (1, "Scope"), (2, "Hours"), (1, "Fees")]
    assert read.clauses[1]["text"] == {"en": "Our **work**."}
    assert read.clauses[2]["text"]["en"] == "1. first\n2. second\n\n#### Nights\n\nNone."
    assert len({each["key"] for each in read.clauses}) == 4


def test_bold_numbers_become_clauses_too():
    read = template_texts.from_markdown("# Terms\n\n**1. Scope**. All of it.\n\n**2. Fees.** None.\n", "en")

    assert outline(read) == [(1, "Scope"), (1, "Fees")]
    assert read.clauses[0]["text"]["en"] == "All of it."


@pytest.mark.parametrize("language", ["en", "fr"])
def test_our_own_templates_come_back_as_they_went_out_in_markdown(language):
    for template in wording.templates():
        written = template_texts.to_markdown(template.name[language], template.clauses, language)
        read = template_texts.from_markdown(written, language)

        assert read.title == template.name[language]
        for field in ("heading", "text"):
            before = [each[field][language] for each in template.clauses]
            assert [each[field].get(language, "") for each in read.clauses] == before
        assert [each["level"] for each in read.clauses] == [each["level"] for each in template.clauses]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_our_own_templates_keep_headings_and_words_in_word(language):
    template = wording.templates()[0]
    written = template_texts.to_word(template.name[language], template.clauses, language, at=AT)

    read = template_texts.from_word(word_read.rows(written), language)

    assert read.title == template.name[language]
    assert [each["heading"].get(language) for each in read.clauses] == [
        each["heading"][language] for each in template.clauses
    ]
    words = "".join(c for each in read.clauses for c in each["text"].get(language, "") if c.isalnum())
    before = "".join(c for each in template.clauses for c in each["text"][language] if c.isalnum())
    assert words == before


def test_signs_of_markdown_in_word_are_taken_by_their_word():
    row = word_read.Row(text="1. Pay *all* of [it] <b>now</b>")
    read = template_texts.from_word([word_read.Row(text="Fees", style="Heading1"), row, row], "en")

    assert read.clauses[0]["text"]["en"].startswith(r"1\. Pay \*all\* of \[it\] \<b\>now\</b\>")


@pytest.mark.parametrize(
    ("name", "least", "some"),
    [
        ("bonterms-psa-1.1.md", 15, "Definitions"),
        ("bonterms-sla-1.0.md", 7, "Service Credits"),
        ("commonpaper-sla-2.0.md", 15, "Target Uptime"),
        ("commonpaper-baa-1.0.md", 25, "Breach Notification"),
        ("basecamp-big-sla.md", 6, "How do we track that uptime?"),
    ],
)
def test_real_texts_become_clauses(name, least, some):
    read = template_texts.from_markdown(real(name).read_text(encoding="utf-8"), "en")

    assert len(read.clauses) >= least
    assert some in [heading for _level, heading in outline(read)]
    assert "<span" not in str(read.clauses)


def test_a_real_word_file_becomes_clauses():
    read = template_texts.from_word(word_read.rows(real("commonpaper-csa-with-sla.docx").read_bytes()), "en")

    headings = [heading for _level, heading in outline(read)]
    assert "Access and Use" in headings
    assert len(read.clauses) > 50
    assert max(map(len, headings)) <= template_texts.LONGEST_TITLE
