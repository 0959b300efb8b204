from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.documents import markdown
from portal.documents.markdown import (
    TooLong,
    UnknownReference,
    UnknownVariable,
    number_clauses,
    plain_text,
    to_html,
)

ALLOWED = set(
    [
        "p",
        "strong",
        "em",
        "ul",
        "ol",
        "li",
        "a",
        "h3",
        "h4",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "hr",
        "br",
        "blockquote",
    ]
)
ATTRIBUTES = {"href", "rel", "start", "scope"}
MARKUP = st.text(alphabet="ab *_[]()<>!`#|-\n\\&;:/\"'{}1.javscriptonclick=", max_size=120)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, str | None] = {}
        self.words = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(attrs)

    def handle_data(self, data):
        self.words += data


def read(made: str) -> Reader:
    reader = Reader()
    reader.feed(str(made))
    reader.close()
    return reader


def test_the_whole_of_clause_markdown_becomes_plain_html():
    text = (
        "# Title\n\n#### Part\n\nA *first* and **second**  \nline, [site](https://a.test/?q=1&r=2).\n\n"
        "- one\n- two\n\n3. three\n4. four\n\n> said\n\n---\n\n| a | b |\n|--|--:|\n| 1 | 2 |"
    )

    assert to_html(text) == (
        "<h3>Title</h3>\n<h4>Part</h4>\n"
        "<p>A <em>first</em> and <strong>second</strong><br>\nline, "
        '<a href="https://a.test/?q=1&amp;r=2" rel="noopener noreferrer">site</a>.</p>\n'
        "<ul>\n<li><p>one</p>\n</li>\n<li><p>two</p>\n</li>\n</ul>\n"
        '<ol start="3">\n<li><p>three</p>\n</li>\n<li><p>four</p>\n</li>\n</ol>\n'
        "<blockquote>\n<p>said</p>\n</blockquote>\n<hr>\n"
        '<table>\n<thead>\n<tr><th scope="col">a</th><th scope="col">b</th></tr>\n</thead>\n'
        "<tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody>\n</table>\n"
    )


@given(MARKUP)
@example("<script>alert(1)</script>")
@example("<div onclick=x>\n\nb")
@example("![x](https://a.test/x.png)")
@example("`<b>` &lt;i&gt;")
def test_whatever_is_written_gives_only_known_tags(text):
    made = read(to_html(text))

    assert made.tags <= ALLOWED
    assert set(made.attributes) <= ATTRIBUTES


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JavaScript:x", "data:text/html,x", "vbscript:x", "//a.test", "/x", "file:///etc",
     "&#106;avascript:x", "java\tscript:x"],
)  # fmt: skip
def test_links_lead_to_web_and_mail_only(url):
    made = read(to_html(f"[words]({url}) [more](<{url}>)"))

    assert "a" not in made.tags
    assert "words" in made.words


@given(value=MARKUP)
@example(value="**bold** [x](https://a.test) <b>x</b> | y\n\n# z")
def test_a_value_is_shown_word_for_word_and_never_becomes_markup(value):
    made = read(to_html("Fee: {{fee}}.", {"fee": value}))

    assert made.tags == {"p"}
    assert made.words.strip() == f"Fee: {value}."


def test_a_value_in_a_table_or_list_stays_in_its_cell():
    made = to_html("| a | b |\n|---|---|\n| {{x}} | 2 |\n\n- {{x}}", {"x": "1 | 2 |\n| 3\n- 4"})

    assert made.count("<td>") == 2
    assert made.count("<li>") == 1


def test_a_value_in_a_link_cannot_change_where_it_leads():
    made = read(to_html("[x](https://a.test/{{name}})", {"name": "../?q=<b>&c)"}))

    assert made.attributes["href"] == "https://a.test/..%2F%3Fq%3D%3Cb%3E%26c%29"


def test_an_unknown_variable_is_named():
    with pytest.raises(UnknownVariable) as unknown:
        to_html("The {{ fee total }} is due.", {"fee": "1"})

    assert unknown.value.name == "fee total"


def test_without_values_the_marks_stay_visible():
    assert "{{fee}}" in to_html("The {{fee}}, see [[fees]].")


def test_a_reference_shows_the_number_its_clause_has_now():
    clauses = [{"key": "a", "level": 1}, {"key": "b", "level": 1}, {"key": "c", "level": 2}]
    numbers = {clause["key"]: clause["number"] for clause in number_clauses(clauses)}

    assert plain_text("See clause [[c]].", numbers=numbers) == "See clause 2.1."
    assert read(to_html("See [[c]].", numbers=numbers)).attributes["href"] == "#clause-c"


def test_an_unknown_reference_is_named():
    with pytest.raises(UnknownReference) as unknown:
        markdown.blocks("See [[gone]].", {}, {"here": "1"})

    assert unknown.value.key == "gone"


def test_clauses_are_numbered_in_two_levels():
    levels = [2, 1, 2, 2, 1, 2]

    numbered = number_clauses([{"key": str(at), "level": level} for at, level in enumerate(levels)])

    assert [clause["number"] for clause in numbered] == ["1", "2", "2.1", "2.2", "3", "3.1"]


def test_plain_text_keeps_the_words_and_their_order():
    text = "# Head\n\nOne *two*\nthree.\n\n1. a\n2. b\n\n| x | y |\n|---|---|\n| 1 | 2 |"

    assert plain_text(text) == "Head\n\nOne two three.\n\n1. a\n2. b\n\nx | y\n1 | 2"


def test_a_text_beyond_any_clause_is_refused():
    with pytest.raises(TooLong):
        to_html("x" * (markdown.LONGEST + 1))


@pytest.mark.parametrize("piece", ["[", "*_", "> ", "- ", "`", "<", "![", "((", "|", "[x](", "{{", "\\", "&"])
def test_endless_openings_are_read_in_reasonable_time(piece):
    assert to_html(piece * 2000) is not None
