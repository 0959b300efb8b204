"""Three hundred signed contracts, from a CSV and a ZIP to the board of what renews next.

Once with JavaScript, where the page brings itself up to date, once without, narrow and in French.
"""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, timedelta

import pytest

from tests.browser import people
from tests.processes import until

pytestmark = pytest.mark.browser
MANY = 300
WALKS = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr"),
]


@pytest.mark.parametrize("walk", WALKS)
def test_three_hundred_rows_come_from_a_file_to_the_renewal_board(walkers, walk, tmp_path):
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    nora.open("/contracts")
    nora.press("Signed contracts", "link")
    link = nora.page.get_by_role("link", name=nora.say("Download a file with the columns and an example"))
    example = nora.context.request.get(nora.base + str(link.get_attribute("href"))).body()
    (tmp_path / "contracts.csv").write_bytes(with_rows(example, walk["language"]))
    (tmp_path / "contracts.zip").write_bytes(pdfs(walk["language"]))

    nora.attach("CSV file", tmp_path / "contracts.csv")
    nora.attach("ZIP with the PDFs", tmp_path / "contracts.zip")
    nora.press("Check the files")
    until(lambda: has(nora, "Register them"), patience_s=60)
    nora.check()
    nora.press("Register them")
    until(lambda: has(nora, "All rows done"), patience_s=120)
    nora.check()
    assert nora.page.locator("[hx-trigger]").count() == 0

    nora.press("See what renews next", "link")
    nora.check()
    shown = nora.page.locator("#board tbody tr")
    assert shown.count() >= 90
    first = nora.page.locator("#board tbody a").first
    nora.act(lambda: nora.hit(first))
    nora.check()
    assert re.search(r"/contracts/MW-\d+-\d+", nora.address)


def with_rows(example: bytes, language: str) -> bytes:
    """The downloaded file with three hundred rows for its example, due within the next weeks."""
    header, row = example.decode("utf-8-sig").split("\r\n")[:2]
    today = date.today()  # noqa: DTZ011 (the portal under test has no other clock)
    rows = []
    for number in range(MANY):
        start = today - timedelta(days=330 - number % 60)
        rows.append(
            row.replace("Support for Mereworth Quote", f"Paper {language} {number}")
            .replace("nora@mereworth.example", "")
            .replace("2025-11-20", (start - timedelta(days=5)).isoformat())
            .replace("2027-02-01", start.isoformat())
            .replace("3 months", "10 days")
            .replace("contract-001.pdf", f"{language}-{number}.pdf")
        )
    return "\r\n".join([header, *rows, ""]).encode()


def pdfs(language: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(MANY):
            archive.writestr(f"{language}-{number}.pdf", f"%PDF-1.7\n% {language} {number}\n%%EOF\n")
    return made.getvalue()


def has(walker, words: str) -> bool:
    """Whether the page says so by now; without a script it has to be asked again."""
    if walker.say(words) in walker.text("#state"):
        return True
    if not walker.scripted:
        again = walker.page.get_by_role("link", name=walker.say("Show how far it is now"))
        again.click() if again.count() else walker.page.reload()
    return walker.say(words) in walker.text("#state")
