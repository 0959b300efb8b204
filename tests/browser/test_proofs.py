"""What signers prove, and how they say no, in real browsers: an authenticator app set up from the key
on the page, a consumer's word typed back, a number that is not theirs, a decline with its reason."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.browser import people
from tests.processes import until
from tests.tools import require_tool

pytestmark = pytest.mark.browser

BOTH = [
    pytest.param({"scripted": True, "width": "narrow", "language": "en"}, id="script-narrow-en"),
    pytest.param({"scripted": False, "width": "wide", "language": "fr"}, id="plain-wide-fr"),
]
PHONE = "+4791234502"  # of this file alone: a number gets six codes an hour


def name_of(walk, company):
    return f"{company} {walk['language']} AS"


def drafted(walkers, walk, company, *, email, fee):
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    return nora, people.draft(nora, company=company, signer="Ida Berg", email=email, fee=fee)


@pytest.mark.parametrize("walk", BOTH)
def test_high_value_is_signed_after_mail_text_message_and_an_app_set_up_on_the_way(walkers, walk, tmp_path):
    email = f"ida-{walk['language']}@tind.example"
    nora, reference = drafted(walkers, walk, name_of(walk, "Tind"), email=email, fee="15000")
    people.give_phone(nora, reference, "Ida Berg", PHONE)
    people.send(nora, reference, approver=people.finance(walkers, walk))
    ida = walkers(**walk)
    people.begin(ida, people.link_to(nora, email, reference), code=True)
    people.type_text_code(ida, nora, PHONE)

    ida.sees("Set up an authenticator app")
    assert ida.page.locator("a[href^='otpauth://totp/']").count() == 1
    assert ida.page.locator("img[src$='/qr.svg']").evaluate("image => image.naturalWidth > 0")
    key = ida.page.locator("#key").inner_text()
    ida.fill("Six-digit code the app shows now", "000000")
    ida.press("Continue")
    ida.sees("This code is not right. Take the one your app shows now.")
    assert ida.page.locator("#key").inner_text() == key
    ida.fill("Six-digit code the app shows now", people.app_code(key))
    ida.press("Continue")
    people.read_and_sign(ida, reference)

    david = walkers(**walk)
    people.begin(david, people.link_to(nora, "david@mereworth.example", reference), code=False)
    david.fill("Six-digit code", people.own_code(nora, "david@mereworth.example"))
    david.press("Continue")
    people.read_and_sign(david, reference)

    file = people.keep_signed(nora, reference, tmp_path)
    text = subprocess.run([require_tool("pdftotext"), file, "-"], capture_output=True, text=True).stdout
    assert "TOTP enrolled in this signing, after mail and SMS" in " ".join(text.split())


@pytest.mark.parametrize("walk", BOTH)
def test_a_consumer_opens_the_sample_pdf_and_types_back_its_word(walkers, walk, tmp_path):
    company, email = name_of(walk, "Nes"), f"kari-{walk['language']}@home.example"
    ida_mail = f"ida-{walk['language']}@nes.example"
    nora, reference = drafted(walkers, walk, company, email=ida_mail, fee="900")
    people.add_signer(
        nora, reference, company=company, name="Kari Moen", email=email, order="1", is_consumer=True
    )
    people.send(nora, reference)
    kari = walkers(**walk)
    kari.open(people.link_to(nora, email, reference))
    people.speak(kari)
    kari.press("Continue")
    kari.sees("What electronic records means")

    kari.fill("Word in the sample PDF", "guess")
    kari.tick("I agree to receive and sign these records electronically")
    kari.press("Continue")
    assert kari.page.locator("[aria-invalid=true]").count() == 1
    kari.fill("Word in the sample PDF", word_in_sample(kari, tmp_path))
    kari.tick("I agree to receive and sign these records electronically")
    kari.press("Continue")

    people.read_and_sign(kari, reference)


def word_in_sample(walker, folder):
    """The word that stands alone on the sample's page."""
    path = walker.page.get_by_role("link", name=walker.say("Open the sample PDF")).get_attribute("href")
    answer = until(lambda: (got := walker.context.request.get(walker.base + str(path))).ok and got)
    (folder / "sample.pdf").write_bytes(answer.body())
    command = [require_tool("pdftotext"), folder / "sample.pdf", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return next(line for line in text.splitlines() if re.fullmatch(r"\w{4,12}", line.strip())).strip()


@pytest.mark.parametrize("walk", BOTH)
def test_a_number_that_is_not_mine_goes_to_the_sender_and_a_new_one_waits_a_day(walkers, walk):
    email = f"ida-{walk['language']}@vik.example"
    nora, reference = drafted(walkers, walk, name_of(walk, "Vik"), email=email, fee="2000")
    people.give_phone(nora, reference, "Ida Berg", PHONE)
    people.send(nora, reference)
    ida = walkers(**walk)
    people.begin(ida, people.link_to(nora, email, reference), code=True)
    ida.press("The number ending %(ending)s is not mine", ending=PHONE[-2:])
    assert ida.page.locator("input[type=tel]").count() == 0

    nora.open(f"/contracts/{reference}/signing")
    nora.sees("Says that the telephone number is not theirs.")
    nora.press("Correct", "link", also="Ida Berg")
    people.step_up(nora, "nora@mereworth.example")
    nora.fill("Mobile number", "+4798765432")
    nora.press("Save and write again")
    assert nora.say("Codes go to the changed number from %(at)s.", at="")[:30] in nora.page.inner_text("main")

    ida = walkers(**walk)
    ida.open(people.link_to(nora, email, reference))
    people.speak(ida)
    if ida.page.get_by_label(ida.say("I agree to receive and sign these records electronically")).count():
        ida.tick("I agree to receive and sign these records electronically")
    ida.press("Continue")
    ida.sees("Type your one-time code")
    assert "Nora" in ida.page.inner_text("main")


@pytest.mark.parametrize("walk", BOTH)
def test_a_decline_gives_its_reason_to_the_sender_and_ends_the_links(walkers, walk):
    email = f"ida-{walk['language']}@sund.example"
    nora, reference = drafted(walkers, walk, name_of(walk, "Sund"), email=email, fee="900")
    people.send(nora, reference)
    link = people.link_to(nora, email, reference)
    ida = walkers(**walk)
    people.begin(ida, link, code=False)
    ida.press("Decline with a reason", "link")
    ida.press("Decline")
    assert ida.page.locator("[aria-invalid=true]").count() == 1
    ida.fill("Your reason", "The fee is too high for us.")
    ida.press("Decline")
    ida.sees("You have declined")

    reason = people.newest_message(
        nora, "nora@mereworth.example", r"The fee is too high[^.]*", about=reference
    )
    assert reason
    nora.open(f"/contracts/{reference}/signing")
    nora.sees("Declined")
    later = walkers(**walk)
    later.page.goto(link)
    assert later.page.get_by_role("button", name=later.say("Continue")).count() == 0
