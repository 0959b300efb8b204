"""Clauses as lines and back: what nobody changed stays letter for letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.documents import clause_lines
from portal.documents.clause_lines import Words

WORDS = Words({"fee": "EUR 12,500.00", "notice": "three months"}, {"law": "12", "terms": "4.2"})
TEXT = """The **Customer** pays {{fee}} a month, as clause [[law]] says.

1. within 30 days;
2. by *transfer*.

| Severity | Answer |
| --- | --- |
| S1 | 30 min |

Notice is {{notice}}."""
LINES = [
    "The Customer pays EUR 12,500.00 a month, as clause 12 says.",
    "1. within 30 days;", "2. by transfer.", "Severity | Answer", "S1 | 30 min", "Notice is three months.",
]  # fmt: skip


def changed(at, line):
    return [line if number == at else each for number, each in enumerate(LINES)]


def test_a_clause_is_shown_as_lines():
    assert clause_lines.lines_of(TEXT, WORDS) == LINES


def test_unchanged_lines_give_the_same_text():
    assert clause_lines.rebuilt(TEXT, LINES, WORDS) == TEXT


@pytest.mark.parametrize(
    ("lines", "gone", "new"),
    [
        (
            changed(0, "The Customer pays EUR 12,500.00 a quarter, as clause 12 says."),
            "The **Customer** pays {{fee}} a month, as clause [[law]] says.",
            "The **Customer** pays {{fee}} a quarter, as clause [[law]] says.",
        ),
        (changed(1, "1. within 45 days;"), "1. within 30 days;", "1. within 45 days;"),
        (changed(4, "S1 | 15 min"), "| S1 | 30 min |", "| S1 | 15 min |"),
        (changed(5, "Notice is two months."), "Notice is {{notice}}.", "Notice is two months."),
        ([*LINES, "And no *more* than that."], "", "And no \\*more\\* than that."),
        ([*LINES, "- not a list"], "", "\\- not a list"),
    ],
)
def test_a_changed_line_changes_its_chunk_alone(lines, gone, new):
    made = clause_lines.rebuilt(TEXT, lines, WORDS)

    assert new in made
    assert not gone or gone not in made
    assert clause_lines.lines_of(made, WORDS) == lines
    untouched = [chunk for chunk in TEXT.split("\n\n") if gone not in chunk or not gone]
    assert all(chunk in made for chunk in untouched)


def test_a_line_taken_out_is_gone():
    made = clause_lines.rebuilt(TEXT, LINES[:-1], WORDS)

    assert made == TEXT.rpartition("\n\n")[0]


LINE = st.text(st.characters(blacklist_categories=("C", "Z"), max_codepoint=0x24F), min_size=1, max_size=12)


@given(st.lists(st.lists(LINE, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=8))
def test_any_lines_are_shown_again_or_refused(lines):
    try:
        made = clause_lines.rebuilt(TEXT, lines, WORDS)
    except ValueError:
        return
    assert clause_lines.lines_of(made, WORDS) == [clause_lines.squeeze(line) for line in lines]
