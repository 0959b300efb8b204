"""The browsers we promise: no style sheet, script or page leans on anything younger than docs/browsers.md
says, and the sentence for older browsers names the same versions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from portal import assets, i18n
from portal.settings import ROOT
from tests.browser import floor
from tests.test_docs import first_cells

VENDOR = re.compile(r"-(webkit|moz)-")  # each engine's own name for a part, always beside another's


def styles() -> str:
    everything = "\n".join((ROOT / "static" / name).read_text(encoding="utf-8") for name in assets.STYLES)
    return re.sub(r"/\*.*?\*/", "", everything, flags=re.DOTALL)


def words_used(css: str) -> Iterator[tuple[str, str]]:
    """Every word of a style sheet with the list it belongs to: at-rules, selectors, properties, values."""
    for part, end in re.findall(r"([^{};]+)([{};])", re.sub(r'"[^"]*"', '""', css)):
        part = part.strip()
        if part.startswith("@"):
            rule, _, prelude = part[1:].partition(" ")
            yield "AT_RULES", rule
            if rule == "media":
                yield from (("MEDIA", word) for word in re.findall(r"\((?:min-|max-)?([a-z-]+)", prelude))
        elif end == "{":
            yield from (("SELECTORS", word) for word in re.findall(r"::?([a-z-]+)", part))
        elif ":" in part:
            name, _, value = part.partition(":")
            if not name.startswith("--"):
                yield "PROPERTIES", name.strip()
            yield from (("FUNCTIONS", word) for word in re.findall(r"([a-zA-Z-]+)\(", value))
            yield from (("UNITS", word) for word in re.findall(r"(?<![\w#-])[\d.]+([a-z]+)\b", value))


def newer_words(css: str) -> set[str]:
    """What this style sheet uses that the oldest browsers do not know."""
    found = {
        word
        for kind, word in words_used(css)
        if word not in getattr(floor, kind).split() and not VENDOR.match(word)
    }
    return found | {word for word, pattern in floor.NEWER_CSS.items() if re.search(pattern, css)}


def newer_in_scripts() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "static/js").glob("*.js"):
        source = path.read_text(encoding="utf-8")
        found |= {word for word in floor.NEWER_SCRIPT.split() if re.search(rf"\.{word}\b", source)}
        found |= {word for word, pattern in floor.NEWER_SYNTAX.items() if re.search(pattern, source)}
    return found


def newer_in_pages() -> set[str]:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "templates").rglob("*.html")]
    return {
        word for word, pattern in floor.NEWER_HTML.items() if any(re.search(pattern, page) for page in pages)
    }


def test_whatever_is_younger_than_the_oldest_browser_has_its_line_in_the_docs() -> None:
    used = newer_words(styles()) | newer_in_scripts() | newer_in_pages()

    assert used == set(first_cells("browsers.md"))


@pytest.mark.parametrize(
    ("css", "word"),
    [
        ("@container (width > 1px) { a { color: red; } }", "container"),
        ("a:user-invalid { color: red; }", "user-invalid"),
        ("a { text-wrap: balance; }", "text-wrap"),
        ("a { color: color-mix(in srgb, red, blue); }", "color-mix"),
        ("a { height: 100dvh; }", "dvh"),
        ("a { grid-template-rows: subgrid; }", "grid: subgrid"),
        ("@media (width >= 40rem) { a { color: red; } }", "media ranges"),
        ("@media (forced-colors: active) { a { color: red; } }", "forced-colors"),
        ("a { & b { color: red; } }", "nesting"),
    ],
)
def test_a_younger_word_is_noticed(css: str, word: str) -> None:
    assert newer_words(css) == {word}


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_page_and_docs_name_the_same_versions(language: str) -> None:
    docs = (ROOT / "docs/browsers.md").read_text(encoding="utf-8")
    page = (ROOT / "templates/_plain.html").read_text(encoding="utf-8")
    sentence = next(text for text in re.findall(r'_\("([^"]+)"\)', page) if "Firefox" in text)
    with i18n.use(language):
        shown = i18n.gettext(sentence)

    for browser, version in floor.FLOOR.items():
        assert f"| {browser} | {version} |" in docs
        assert re.search(rf"(Edge|Firefox|Safari).{{1,30}}\b{re.escape(version)}\b", shown), version
