"""Signing and checking in Firefox: one contract, three signers and a stranger, each with a Firefox of
their own. Our side prepares it in Chromium, whose walk is judged elsewhere.

Left out of the ordinary run: `make browsers` runs these.
"""

from __future__ import annotations

import pytest

from tests.browser import people
from tests.browser.conftest import WIDTHS
from tests.browser.firefox import FirefoxWalker

pytestmark = [pytest.mark.browser, pytest.mark.firefox]

WALKS = [
    pytest.param({"scripted": True, "width": "narrow", "language": "en"}, id="script-touch-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr", "dark": True}, id="plain-touch-fr"),
    pytest.param({"scripted": True, "width": "wide", "language": "fr", "dark": True}, id="script-wide-fr"),
    pytest.param({"scripted": False, "width": "wide", "language": "en"}, id="plain-wide-en"),
]


@pytest.fixture
def firefoxes(sample, tmp_path):
    """Makes Firefoxes, as `walkers` makes Chromiums."""
    made = []

    def make(*, scripted, width, language, dark=False):
        walker = FirefoxWalker(
            tmp_path / f"firefox-{len(made)}", sample.address,
            scripted=scripted, size=WIDTHS[width], language=language, dark=dark,
        )  # fmt: skip
        made.append(walker)
        return walker

    yield make
    for walker in made:
        walker.close()


@pytest.mark.parametrize("walk", WALKS)
def test_a_contract_is_signed_and_checked_in_firefox(walkers, firefoxes, walk, tmp_path):
    nora = walkers(scripted=False)
    people.sign_in(nora, "Nora")
    name = f"{walk['language']}-{walk['width']}"
    company, email, phone = f"Lofoten {name} AS", f"ingrid-{name}@lofoten.example", "+4791234567"
    reference = people.draft(nora, company=company, signer="Ingrid Halvorsen", email=email, fee="2000")
    people.give_phone(nora, reference, "Ingrid Halvorsen", phone)
    people.send(nora, reference)

    ingrid = firefoxes(**walk)
    people.begin(ingrid, people.link_to(nora, email, reference), code=True)
    people.type_text_code(ingrid, nora, phone)
    people.read_and_sign(ingrid, reference, drawn=walk["scripted"])
    david = firefoxes(**walk)
    people.begin(david, people.link_to(nora, "david@mereworth.example", reference), code=False)
    people.read_and_sign(david, reference)

    file = people.keep_signed(nora, reference, tmp_path)
    stranger = firefoxes(**walk)
    people.check_file(stranger, file)
    stranger.sees("Genuine and unchanged")
    assert "2,000" not in stranger.text("main")

    file.write_bytes(file.read_bytes() + b"\n% one line more\n")
    people.check_file(stranger, file)
    assert stranger.say("Genuine and unchanged") not in stranger.text("main")
