from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.sla.canonical import NotCanonical, canonical, sha256

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_names_are_ordered_by_utf_16_code_units() -> None:
    names = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}

    assert list(json.loads(canonical(names)).values()) == [2, 4, 6, 7, 1, 5, 3]


def test_text_is_escaped_as_little_as_possible() -> None:
    assert canonical("é\u20ac$\u000f\nA'\"\\/\u007f") == b'"\xc3\xa9\xe2\x82\xac$\\u000f\\nA\'\\"\\\\/\x7f"'


def test_there_is_no_space_and_order_of_entry_does_not_matter() -> None:
    assert canonical({"b": [1, True, None], "a": {}}) == b'{"a":{},"b":[1,true,null]}'
    assert sha256({"a": 1, "b": 2}) == sha256({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), Decimal("1.50"), {1: 2}, b"x", {"a": {1}}, 2**53, -(2**53), "\ud800", {"\udc00": 1}],
)
def test_what_readers_could_disagree_about_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical({"field": value})


def test_the_refusal_says_where() -> None:
    with pytest.raises(NotCanonical, match=r"^\$\.a\[1\]\.b: float"):
        canonical({"a": [0, {"b": 0.5}]})


def test_endless_nesting_is_refused() -> None:
    value: list[Any] = []
    for _ in range(500):
        value = [value]

    with pytest.raises(NotCanonical):
        canonical(value)


@given(JSON)
def test_canonical_bytes_read_back_and_stay_the_same(value: Any) -> None:
    written = canonical(value)

    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written
