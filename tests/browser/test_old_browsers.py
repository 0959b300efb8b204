"""Browsers that know no cascade layers: signing works in bare HTML, and a sentence says why it is bare.

Such an engine is made of Chromium and a style sheet without what it would skip.
"""

from __future__ import annotations

import re

import pytest

from portal import assets
from tests.browser import people

pytestmark = pytest.mark.browser

SENTENCE = "This browser is too old to show the page as it is meant, or could not load its design."
OLD = "@supports not (accent-color: auto)"


def as_seen_without_layers(css: str, *, knows_accents: bool) -> str:
    """The style sheet as an engine reads it that skips rules it does not know, layers among them."""
    css = re.sub(r"/\*.*?\*/|@layer [^{;]*;", "", css, flags=re.DOTALL)
    while (start := css.find("@layer")) >= 0:
        css = css[:start] + css[end_of_block(css, start) :]
    return css if knows_accents else css.replace(OLD, "@media all")


def end_of_block(css: str, start: int) -> int:
    depth = 0
    for at in range(css.index("{", start), len(css)):
        depth += {"{": 1, "}": -1}.get(css[at], 0)
        if depth == 0:
            return at + 1
    raise AssertionError("a block never ends")


def make_old(walker, *, knows_accents):
    css = as_seen_without_layers(assets.contents()[assets.ALL_STYLES].decode(), knows_accents=knows_accents)
    assert "var(" not in css
    walker.designed = False
    walker.context.route("**/css/all.css", lambda route: route.fulfill(body=css, content_type="text/css"))


@pytest.mark.parametrize(
    ("walk", "knows_accents"),
    [
        pytest.param({"scripted": True, "width": "narrow", "language": "en"}, False, id="plain-script-en"),
        pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, True, id="bare-noscript-fr"),
    ],
)
def test_an_old_browser_says_so_and_signs_all_the_same(walkers, walk, knows_accents, tmp_path):
    nora = walkers(scripted=False)
    people.sign_in(nora, "Nora")
    company, email = f"Runde {walk['language']} AS", f"ida-{walk['language']}@runde.example"
    reference = people.draft(nora, company=company, signer="Ida Berg", email=email, fee="900")
    people.send(nora, reference)
    ida = walkers(**walk)
    make_old(ida, knows_accents=knows_accents)

    people.begin(ida, people.link_to(nora, email, reference), code=False)
    ida.sees(SENTENCE)
    ida.sees(
        "If something does not, open the link in your mail on another phone or computer, a colleague’s "
        "for example, or ask for paper."
    )
    people.read_and_sign(ida, reference, drawn=walk["scripted"])
    ida.open("/verify")
    ida.sees(SENTENCE)


@pytest.mark.parametrize("path", ["/sign-in", "/verify", "/mine", "/nothing-here"])
def test_a_browser_with_layers_never_sees_the_sentence(walkers, path):
    walker = walkers(width="narrow")

    walker.page.goto(walker.base + path)

    assert walker.say(SENTENCE) in walker.page.locator("body").text_content()
    assert walker.say(SENTENCE) not in walker.text()
