"""Pages speak the reader's words: docs/words.md lists those of the code they must not use."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from portal.translations import check

WORDS = Path(__file__).parents[1] / "docs" / "words.md"


def table(first_heading: str) -> list[list[str]]:
    """The rows of the table in docs/words.md that begins with this heading."""
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def refused(column: int) -> set[str]:
    """column -2 is English, -1 is French."""
    rows = table("in code") + table("instead")
    return {word.strip() for row in rows for word in row[column].split(",") if word.strip()}


def offences(text: str, words: set[str]) -> list[str]:
    for phrase, _why in table("phrase"):
        text = re.sub(re.escape(phrase), "", text, flags=re.IGNORECASE)
    return sorted(word for word in words if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE))


@cache
def messages() -> dict[check.Message, list[str]]:
    return check.messages()


@pytest.mark.parametrize(
    "word", ["counterparty", "envelope", "ceremony", "placement", "hash", "successfully"]
)
def test_the_table_refuses_the_words_of_the_code(word: str) -> None:
    assert word in refused(-2)


def test_a_word_is_found_in_any_case_and_only_whole() -> None:
    words = refused(-2)

    assert offences("Send the Envelope", words) == ["envelope"]
    assert offences("Your DocuSign envelope 4711", words) == []
    assert offences("Investigate the replacement", words) == []


def test_no_message_uses_a_word_of_the_code() -> None:
    words = refused(-2)
    found = [
        f"{places[0]}: {', '.join(bad)} in {message.id!r}"
        for message, places in messages().items()
        if (bad := offences(f"{message.id} {message.plural or ''}", words))
    ]

    assert not found, "\n".join(["These messages use words of the code (docs/words.md):", *found])


def test_no_french_translation_uses_a_word_of_the_code() -> None:
    words = refused(-1)
    found = []
    for name, entry in check.entries("fr"):
        strings = entry.string if isinstance(entry.string, list | tuple) else (entry.string,)
        if bad := offences(" ".join(strings), words):
            found.append(f"{name}: {', '.join(bad)} in {strings[0]!r}")

    assert not found, "\n".join(["These translations use words of the code (docs/words.md):", *found])


def test_no_template_shows_a_word_of_the_code() -> None:
    words = refused(-2)
    found = [
        f"{name}: {', '.join(bad)}"
        for name, source in check.templates()
        if (bad := offences(check.visible_text(source), words))
    ]

    assert not found, "\n".join(found)
