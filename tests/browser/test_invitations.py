"""For people who press no links: the code of the mail typed in, a code read out on the telephone, and
“is this message real?”, in real browsers with and without script, on a phone."""

from __future__ import annotations

import pytest

from tests.browser import people
from tests.processes import until

pytestmark = pytest.mark.browser

BOTH = [
    pytest.param({"scripted": True, "width": "narrow", "language": "en"}, id="script-narrow-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr"),
]
CODE = r"(?<=    )[0-9A-Z]{4}-[0-9A-Z]{4}(?=\n)"
SIGNING_STEPS = 12


def sent(walkers, walk, company, email):
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    reference = people.draft(nora, company=company, signer="Ida Berg", email=email, fee="900")
    people.send(nora, reference)
    return nora, reference


def type_in(walker, address, reference, code):
    walker.open(address)
    people.speak(walker)
    walker.fill("Reference", reference)
    walker.fill("Code", code)
    walker.press("Continue")


@pytest.mark.parametrize("walk", BOTH)
def test_somebody_types_what_the_mail_says_and_signs(walkers, walk):
    email = f"ida-{walk['language']}@vik.example"
    nora, reference = sent(walkers, walk, f"Vik {walk['language']} AS", email)
    address = people.newest_message(nora, email, r"127\.0\.0\.1:\d+/open", about=reference)
    code = people.newest_message(nora, email, CODE, about=reference)
    ida = walkers(**walk)

    type_in(ida, f"http://{address}", reference, "K7QM-4FXD" if code != "K7QM-4FXD" else "K7QM-4FXE")
    ida.sees("Good to know")
    assert ida.field("Reference").input_value() == reference
    ida.steps = 0
    type_in(ida, f"http://{address}", reference.lower(), code.lower().replace("-", " "))
    people.speak(ida)
    ida.sees("What we never ask")
    assert code.replace("-", "").lower() not in ida.page.url.lower()
    ida.tick("I agree to receive and sign these records electronically")
    ida.press("Continue")
    people.read_and_sign(ida, reference)

    assert ida.steps <= SIGNING_STEPS
    again = walkers(**walk)
    type_in(again, f"http://{address}", reference, code)
    again.sees("Good to know")


@pytest.mark.parametrize("walk", BOTH)
def test_a_code_read_out_on_the_telephone_opens_the_same_pages(walkers, walk):
    email = f"ida-{walk['language']}@sund.example"
    nora, reference = sent(walkers, walk, f"Sund {walk['language']} AS", email)
    until(lambda: nora.say("Code to read out") in nora.open(f"/contracts/{reference}").inner_text("main"))
    nora.press("Code to read out", also="Ida Berg")
    people.step_up(nora, "nora@mereworth.example")
    nora.press("Make a code")
    told = nora.page.locator("main code").first.inner_text()
    ida = walkers(**walk)

    type_in(ida, "/open", reference, told)
    people.speak(ida)
    ida.tick("I agree to receive and sign these records electronically")
    ida.press("Continue")
    ida.sees("Check before you sign")

    newest = people.newest_message(nora, email, r"(?s).+", about=reference)
    assert "/sign/" not in newest  # word that a code was made, not the request
    assert told not in newest
    nora.open(f"/contracts/{reference}/signing")
    assert told not in nora.page.content()


@pytest.mark.parametrize("walk", BOTH)
def test_is_this_real_says_yes_to_the_person_and_tells_the_owner_of_a_doubt(walkers, walk):
    email = f"ida-{walk['language']}@nes.example"
    nora, reference = sent(walkers, walk, f"Nes {walk['language']} AS", email)
    address = people.newest_message(nora, email, r"http://\S+/is-this-real\?reference=\S+", about=reference)
    ida = walkers(**walk)
    ida.open(address)
    people.speak(ida)
    ida.fill("Your mail address", email)
    ida.press("Ask")
    ida.sees("Yes, it is real")
    ida.sees("Nora Whitfield")

    ida.fill("Your mail address", "somebody@elsewhere.example")
    ida.press("Ask")
    ida.sees("We know of no such message")

    words = nora.say("Somebody with another address asked whether a message was real")

    def stands_there():
        nora.page.goto(f"{nora.base}/contracts/{reference}")
        return words in nora.page.locator("body").inner_text()

    until(stands_there)
