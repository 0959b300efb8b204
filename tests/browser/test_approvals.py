"""Journey 3: the owner asks, the approver sends it back, the owner mends it, the approver says yes."""

from __future__ import annotations

import re

import pytest

from tests.browser import people

WALKS = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param(
        {"scripted": False, "width": "narrow", "language": "fr", "dark": True}, id="plain-narrow-fr"
    ),
]
SAM = "sam@mereworth.example"


@pytest.mark.parametrize("walk", WALKS)
def test_a_large_fee_is_sent_back_mended_and_approved(walkers, walk):
    nora, sam = walkers(**walk), walkers(**walk)
    people.sign_in(nora, "Nora")
    reference = people.draft(
        nora, company=f"Røst {walk['language']} AS", signer="Ida Berg",
        email=f"ida-{walk['language']}@rost.example", fee="9500",
    )  # fmt: skip
    nora.open(f"/contracts/{reference}")
    nora.sees("This text will need:")
    people.prepare(nora, reference)
    assert f"/contracts/{reference}/approval" in nora.address

    # The mailed link leads through sign-in to the page it was for.
    link = people.newest_message(nora, SAM, r"http://\S+/approvals\?contract=[\w-]+", about=reference)
    sam.open(link)
    sam.act(sam.page.get_by_role("button", name=re.compile("Sam")).click)
    assert f"/contracts/{reference}/approval" in sam.address
    people.speak(sam)
    sam.sees("Why you are asked")
    assert re.search(r"114.000", sam.text("main"))
    sam.press("Send it back")
    sam.sees("Say what must change.")
    sam.fill("What must change", "At most EUR 9,000 a month.")
    sam.press("Send it back")

    nora.open(f"/contracts/{reference}")
    assert "At most EUR 9,000 a month." in nora.text()
    nora.open(f"/contracts/{reference}/draft?open=money")
    nora.fill("Fee", "9000")
    nora.press("Save")
    people.prepare(nora, reference)

    people.approve(sam, reference, revision=2)
    assert sam.say("Approved") in sam.text("aside.rail")
    nora.open(f"/contracts/{reference}/send")
    nora.sees("Everybody signs exactly these bytes.")
    assert nora.page.get_by_role("button", name=nora.say("Send %(reference)s", reference=reference)).count()
