"""Every screen an outside signer can meet, on the smallest phone: by finger.

`Walker.check` measures each of them as it appears; the journeys do the same at 360 px.
"""

from __future__ import annotations

import pytest

from tests.browser import people

pytestmark = pytest.mark.browser

PHONE = "+4791234501"  # of this file alone: a number gets six codes an hour
ENGLISH = {"width": "smallest", "language": "en"}
FRENCH = {"width": "smallest", "language": "fr", "dark": True}


def asked(walkers, walk, company, fee):
    """A contract sent to Ida; our side's browser, her address and her link."""
    nora = walkers(scripted=False)
    people.sign_in(nora, "Nora")
    email = f"ida@{company.lower()}-{walk['language']}.example"
    reference = people.draft(
        nora, company=f"{company} {walk['language']} AS", signer="Ida Berg", email=email, fee=fee
    )
    people.give_phone(nora, reference, "Ida Berg", PHONE)
    is_large = int(fee) > 8000  # over EUR 100,000 a year
    people.send(nora, reference, approver=people.finance(walkers, {"scripted": False}) if is_large else None)
    return nora, reference, people.link_to(nora, email, reference)


def test_signing_high_value_by_finger(walkers):
    nora, reference, link = asked(walkers, FRENCH, "Utsira", "15000")
    ida = walkers(**FRENCH)
    ida.open(link)
    people.speak(ida)
    ida.press("Continue and send the code")
    ida.sees("Tick the box to go on, or ask for paper below.")
    people.begin(ida, link, code=True)
    page = ida.address
    ida.press("Continue")
    people.type_text_code(ida, nora, PHONE)
    ida.fill("Six-digit code the app shows now", people.app_code(ida.text("#key")))
    ida.press("Continue")

    ida.press("Check before you sign")
    ida.sees("Confirm that you have read all pages.")
    for what in ("question", "paper", "decline", "withdraw"):
        ida.open(f"{page}/{what}")
    ida.open(page)
    people.read_and_sign(ida, reference, drawn=True)
    ida.open("/mine")
    ida.open("/verify")


def test_saying_no_by_finger(walkers):
    _nora, _reference, link = asked(walkers, ENGLISH, "Jomfru", "2000")
    ida = walkers(**ENGLISH)
    people.begin(ida, link, code=True)
    page = ida.address
    for what in ("other-way", "not-me", "new-phone"):
        ida.open(f"{page}/{what}")
    ida.open(page)
    ida.press("The number ending %(ending)s is not mine", ending=PHONE[-2:])
    ida.sees("Type your one-time code")
    ida.press("Take back my consent", "link")
    ida.press("Take back my consent")
    ida.open(page)
    ida.sees("You took your consent back")
    ida.press("Decline", "link")
    ida.press("Decline")
    ida.fill("Your reason", "The fee is too high for us.")
    ida.press("Decline")
    ida.sees("You have declined")
    ida.open(link)
