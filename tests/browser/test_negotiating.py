"""The second journey with two people at once: one shares, the other proposes, both agree to one text."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.browser import people

pytestmark = pytest.mark.browser

WALKS = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr"),
]


@pytest.mark.parametrize("walk", WALKS)
def test_two_people_negotiate_until_both_agree(walkers, walk):
    nora, ingrid = walkers(**walk), walkers(**walk)
    company, mail = f"Fjord {walk['language']} AS", f"ingrid-{walk['language']}@fjord.example"
    people.sign_in(nora, "Nora")
    reference = people.draft(nora, company=company, signer="Ingrid Dahl", email=mail, fee="2000")
    ours, theirs = f"/contracts/{reference}/negotiation", f"/negotiations/{reference}"

    nora.open(ours)
    nora.press("Invite %(name)s", name="Ingrid Dahl")
    nora.fill("A word with it", "Our draft for next year.")
    nora.press("Share revision %(number)s", number=1)
    ingrid.open(people.link_to(nora, mail, reference, kind="negotiate"))
    people.speak(ingrid)
    ingrid.press("Read the text")
    assert urlsplit(ingrid.address).path == theirs

    ingrid.open(f"{theirs}?open=terms.severities.S1.response")
    ingrid.fill("Your proposal", "25 minutes")
    ingrid.fill("Why", "Our shops open at five.")
    ingrid.press("Propose this", also="S1")
    nora.open(ours)
    nora.sees("Waiting for you")
    nora.press("Accept", also="S1")
    ingrid.open(theirs)
    assert "25 minutes" in ingrid.text("main")

    place = (
        nora.page.locator("a[href*='open=clauses.']")
        .nth(2)
        .get_attribute("href")
        .split("open=")[1]
        .split("#")[0]
    )
    ingrid.open(f"{theirs}?open={place}")
    words = ingrid.page.locator("textarea[name^='after.']").first
    words.fill(words.input_value() + "\n\nOne more sentence.")
    ingrid.press("Propose this", also=" ")
    nora.open(ours)
    nora.unfold("Reject")
    nora.fill("Why not", "We keep this one.")
    nora.press("Reject", also=" ")
    nora.open(ours)
    nora.press("Share revision %(number)s", number=2)

    ingrid.open(theirs)
    assert "We keep this one." in ingrid.text("main")
    ingrid.press("What changed since the last revision", "link")
    assert ingrid.page.locator("ins").count() >= 1
    ingrid.open(theirs)
    ingrid.press("We agree to this text")
    nora.open(ours)
    nora.press("We agree to this text")
    nora.sees("Both sides agree; nothing is left to show.")
    ingrid.open(theirs)
    assert ingrid.page.get_by_role("button", name=ingrid.say("We agree to this text")).count() == 0
    nora.open(f"/contracts/{reference}")
    nora.press("Check and send")
    assert f"/contracts/{reference}" in nora.address
