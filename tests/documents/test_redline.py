"""Word-level comparison: what is shown joins to both texts exactly, and reads as a person would mark it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from portal.documents import redline
from portal.documents.redline import Op

WORDS = st.lists(st.sampled_from(["fees", "are", "due", "in", "30", "days.", "\n\n", "\n", "é"]), max_size=40)


@given(WORDS, WORDS)
def test_stretches_join_to_both_texts(old, new):
    before, after = " ".join(old), " ".join(new)

    ops = redline.words(before, after)

    assert redline.old_text(ops) == before
    assert redline.new_text(ops) == after
    assert all(each.text for each in ops)
    assert all(one.op != two.op for one, two in pairwise(ops))


@given(WORDS, WORDS)
def test_paragraphs_hold_every_stretch(old, new):
    ops = redline.words(" ".join(old), " ".join(new))

    cut = [each for paragraph in redline.paragraphs(ops) for each in paragraph]

    assert redline.old_text(cut) == " ".join(old)
    assert redline.new_text(cut) == " ".join(new)


def test_one_changed_number_is_one_changed_word():
    assert redline.words("Paid in 30 days.", "Paid in 45 days.") == [
        Op("equal", "Paid in "), Op("delete", "30 "), Op("insert", "45 "), Op("equal", "days."),
    ]  # fmt: skip


def test_same_text_is_one_stretch():
    assert redline.words("The fee.\n\nThe law.", "The fee.\n\nThe law.") == [
        Op("equal", "The fee.\n\nThe law.")
    ]
    assert redline.words("", "") == []


def test_a_word_left_over_between_changes_is_part_of_them():
    ops = redline.words("We answer in one hour always here.", "They repair of one day never there.")

    assert [each.op for each in ops] == ["delete", "insert"]


def test_a_new_paragraph_leaves_its_neighbours_alone():
    ops = redline.words("One.\n\nThree.", "One.\n\nTwo.\n\nThree.")

    assert ops == [Op("equal", "One.\n\n"), Op("insert", "Two.\n\n"), Op("equal", "Three.")]


def test_long_texts_with_nothing_in_common_are_compared_in_time():
    old = " ".join(f"word{number % 977}" for number in range(12_000))
    new = " ".join(f"other{number % 983}" for number in range(12_000))

    ops = redline.words(old, new)

    assert [each.op for each in ops] == ["delete", "insert"]
