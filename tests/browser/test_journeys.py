"""The main journeys as people walk them: drafted, sent, signed in order by our side and two outside
people, sealed, and checked by somebody who sees no contract.

Each walk runs with and without JavaScript, over both widths and both languages.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.browser import people
from tests.tools import require_tool

pytestmark = pytest.mark.browser

WALKS = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "en"}, id="plain-narrow-en"),
    pytest.param({"scripted": True, "width": "narrow", "language": "fr"}, id="script-narrow-fr"),
    pytest.param({"scripted": False, "width": "wide", "language": "fr", "dark": True}, id="plain-wide-fr"),
]
FAST_LANE_STEPS = 30  # what a person does in three minutes, at six seconds a step
SIGNING_STEPS = 12


@pytest.mark.parametrize("walk", WALKS)
def test_a_contract_goes_from_draft_to_a_pdf_that_strangers_can_check(walkers, walk, tmp_path):
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    before = nora.steps
    company = f"Halvorsen {walk['language']} {walk['width']} AS"
    reference = people.draft(
        nora, company=company, signer="Ingrid Halvorsen", email=f"ingrid-{walk['width']}@halvorsen.example",
        fee="2000",
    )  # fmt: skip
    assert nora.steps - before <= FAST_LANE_STEPS

    ingrid_mail, olav_mail = (
        f"ingrid-{walk['width']}@halvorsen.example",
        f"olav-{walk['width']}@halvorsen.example",
    )
    people.give_phone(nora, reference, "Ingrid Halvorsen", "+4791234567")
    people.add_signer(nora, reference, company=company, name="Olav Lie", email=olav_mail, phone="+4798765432")
    people.send(nora, reference)

    in_order = ((ingrid_mail, "+4791234567"), ("david@mereworth.example", ""), (olav_mail, "+4798765432"))
    for email, phone in in_order:
        signer = walkers(**walk)
        people.begin(signer, people.link_to(nora, email, reference), code=bool(phone))
        if phone:
            people.type_text_code(signer, nora, phone)
        people.read_and_sign(signer, reference)
        assert signer.steps <= SIGNING_STEPS

    file = people.keep_signed(nora, reference, tmp_path)
    checked = subprocess.run(
        [require_tool("pdfsig"), "-nocert", file], capture_output=True, text=True, check=False
    ).stdout
    assert "Signature is Valid" in checked
    assert "Total document signed" in checked

    stranger = walkers(**walk)
    people.check_file(stranger, file)
    stranger.sees("Genuine and unchanged")
    shown = stranger.text("main")
    assert "Halvorsen" in shown
    assert "2,000" not in shown

    changed = tmp_path / "changed.pdf"
    changed.write_bytes(file.read_bytes() + b"\n% one line more\n")
    people.check_file(stranger, changed)
    assert stranger.say("Genuine and unchanged") not in stranger.text("main")
