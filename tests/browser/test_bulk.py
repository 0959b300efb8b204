"""Nora sends to many at once: uploads a file, sees what is wrong, sends the rest, and watches it go.

Once with JavaScript, where the page brings itself up to date, once without, narrow and in French.
"""

from __future__ import annotations

import re

import pytest

from tests.browser import people
from tests.processes import until

pytestmark = pytest.mark.browser

WALKS = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr"),
]


@pytest.mark.parametrize("walk", WALKS)
def test_a_file_of_people_is_checked_sent_and_watched(walkers, walk, tmp_path):
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    nora.open("/contracts")
    nora.press("Bulk send", "link")
    nora.press("New bulk send", "link")
    link = nora.page.get_by_role("link", name=nora.say("Download a file with the columns and an example"))
    example = nora.context.request.get(nora.base + str(link.get_attribute("href"))).body()
    file = tmp_path / f"people-{walk['language']}.csv"
    file.write_bytes(with_rows(example, walk["language"]))

    nora.attach("CSV file", file)
    nora.page.get_by_label(re.compile("David Ruiz")).check()
    nora.press("Upload and check")
    nora.sees("Write one of these currencies: %(known)s.", known=currencies(nora))
    assert "2" in nora.text("#state .next-step")
    nora.press("Look once more and send", "link")
    if "/step-up" in nora.address:
        people.step_up(nora, "nora@mereworth.example")
    nora.page.locator("input[name=leave_out]").check()
    nora.press_at("main form button.primary")

    until(lambda: is_done(nora, walk["scripted"]), patience_s=60)
    nora.check()
    assert nora.page.locator("[hx-trigger]").count() == 0
    first = nora.page.locator("#state tbody a").first
    nora.act(lambda: nora.hit(first))
    nora.check()
    assert re.search(r"/contracts/MW-\d+-\d+", nora.address)


def with_rows(example: bytes, language: str) -> bytes:
    """The downloaded file with three rows for its example, the last one wrong."""
    header, row = example.decode("utf-8-sig").split("\r\n")[:2]
    rows = [
        row.replace("claire.aubert@castellan.example", f"many-{number}-{language}@castellan.example")
        for number in range(3)
    ]
    rows[2] = rows[2].replace("EUR", "ZZZ")
    return "\r\n".join([header, *rows, ""]).encode()


def currencies(walker) -> str:
    from portal.i18n import use
    from portal.services.new_contracts import CURRENCIES
    from portal.sla.words import listed

    with use(walker.language):
        return listed(CURRENCIES)


def is_done(walker, scripted: bool) -> bool:
    if not scripted:
        again = walker.page.get_by_role("link", name=walker.say("Show how far it is now"))
        again.click() if again.count() else walker.page.reload()
    return walker.say("All rows done") in walker.text("#state")
