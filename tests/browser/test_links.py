"""Mailed links in real browsers: opening one changes nothing, two people's in one browser never mix,
and `/mine` shows somebody their own contracts only."""

from __future__ import annotations

import os
import re

import pytest

from tests.browser import people

pytestmark = pytest.mark.browser

BOTH = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr"),
]
LOADS = 1000 if os.environ.get("COUNTERSIGN_TEST_LONG") == "1" else 30
PREFETCH = {"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"}


def send_to_two(walkers, walk, company):
    """A contract whose two outside people are asked at the same time and need only their links."""
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    word = re.sub(r"\W+", "-", company.lower())
    mails = {name: f"{name.lower()}@{word}.example" for name in ("Ida", "Rolf")}
    reference = people.draft(nora, company=company, signer="Ida Berg", email=mails["Ida"], fee="900")
    people.add_signer(nora, reference, company=company, name="Rolf Dahl", email=mails["Rolf"], order="1")
    people.send(nora, reference)
    return nora, reference, mails


def standing(nora, reference, name):
    """How somebody's line reads on our side's page of the signing."""
    nora.page.goto(f"{nora.base}/contracts/{reference}/signing")
    return nora.page.locator("#people li").filter(has_text=name).inner_text()


@pytest.mark.parametrize("walk", BOTH)
def test_a_link_opened_by_scanners_over_and_over_changes_nothing(walkers, walk):
    nora, reference, mails = send_to_two(walkers, walk, f"Skerry {walk['language']} AS")
    link = people.link_to(nora, mails["Ida"], reference)
    scanner = walkers(scripted=True, width=walk["width"])
    methods = []
    scanner.context.on("request", lambda request: methods.append(request.method))

    for turn in range(LOADS):
        scanner.page.goto(link, wait_until="load")
        if turn % 10 == 0:
            scanner.page.mouse.move(200, 300)
            scanner.page.keyboard.press("Tab")
            for headers in ({}, PREFETCH):
                assert scanner.context.request.get(link, headers=headers).status == 200
            assert scanner.context.request.head(link).status == 200

    assert set(methods) == {"GET"}
    assert not scanner.context.cookies() or "countersign-signing" not in str(scanner.context.cookies())
    assert nora.say("Asked") in standing(nora, reference, "Ida Berg")
    assert nora.say("Opened") not in standing(nora, reference, "Ida Berg")
    ida = walkers(**walk)
    people.begin(ida, link, code=False)
    assert nora.say("Opened") in standing(nora, reference, "Ida Berg")


@pytest.mark.parametrize("walk", BOTH)
def test_two_peoples_links_in_one_browser_never_mix(walkers, walk):
    nora, reference, mails = send_to_two(walkers, walk, f"Fjord {walk['language']} AS")
    shared = walkers(**walk)
    ida, rolf = shared.page, shared.context.new_page()
    rolf.set_default_timeout(20_000)

    def as_(page):
        shared.page = page
        return shared

    people.begin(as_(ida), people.link_to(nora, mails["Ida"], reference), code=False)
    people.begin(as_(rolf), people.link_to(nora, mails["Rolf"], reference), code=False)
    assert ida.url != rolf.url
    ida.reload()
    names = [page.get_by_label(name_field(shared)).first.input_value() for page in (ida, rolf)]
    assert names == ["Ida Berg", "Rolf Dahl"]

    people.read_and_sign(as_(rolf), reference)
    ida.reload()
    assert ida.get_by_label(name_field(shared)).first.input_value() == "Ida Berg"
    assert nora.say("Signed") not in standing(nora, reference, "Ida Berg")
    people.read_and_sign(as_(ida), reference)

    for name in ("Ida Berg", "Rolf Dahl"):
        assert nora.say("Signed") in standing(nora, reference, name)
    stranger = walkers(**walk)
    for page in (ida, rolf):
        assert stranger.context.request.get(page.url).status == 404


def name_field(walker):
    return re.compile("^" + re.escape(walker.say("Your name, as you sign")))


@pytest.mark.parametrize("walk", BOTH)
def test_my_contracts_lead_to_what_is_asked_and_show_nothing_else(walkers, walk):
    nora, reference, mails = send_to_two(walkers, walk, f"Holm {walk['language']} AS")
    ida = walkers(**walk)
    ida.open("/mine")
    ida.fill("Your mail address", mails["Ida"])
    ida.press("Mail me a link")
    ida.sees("Look in your mail")
    link = people.newest_message(nora, mails["Ida"], r"http://\S+/mine/[\w-]+")

    ida.open(link)
    ida.press("Continue")
    shown = ida.page.locator("main").inner_text()
    assert set(re.findall(r"MW-\d+-\d+", shown)) == {reference}
    ida.press("Read and sign", also=reference)
    people.speak(ida)
    ida.tick("I agree to receive and sign these records electronically")
    ida.press("Continue")
    people.read_and_sign(ida, reference)

    ida.open("/mine")
    ida.sees("What you answered")
    assert (
        ida.say("Signed") in ida.page.locator("section", has_text=ida.say("What you answered")).inner_text()
    )
    ida.press("Leave this page")
    assert reference not in ida.page.locator("main").inner_text()
    ida.page.goto(link)
    ida.sees("This link has ended")
