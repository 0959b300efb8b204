"""The screens of signing as some people need them: zoomed in four times, in forced colours, without
motion, on paper."""

from __future__ import annotations

import pypdfium2
import pytest

from tests.browser import people

pytestmark = pytest.mark.browser

STICKY = (
    "() => [...document.querySelectorAll('*')].filter(e => getComputedStyle(e).position === 'sticky').length"
)


def test_reading_zoomed_in_with_forced_colours_and_on_paper(walkers, tmp_path):
    nora = walkers(scripted=False)
    people.sign_in(nora, "Nora")
    email = "ida@sula.example"
    reference = people.draft(nora, company="Sula AS", signer="Ida Berg", email=email, fee="900")
    people.send(nora, reference)
    ida = walkers()
    people.begin(ida, people.link_to(nora, email, reference), code=False)
    pages = ida.page.locator(".leaf").count()

    ida.page.pdf(path=tmp_path / "printed.pdf")
    sheets = [
        sheet.get_textpage().get_text_range() for sheet in pypdfium2.PdfDocument(tmp_path / "printed.pdf")
    ]
    assert len(sheets) == pages + 2  # what stands before and behind the contract's own pages
    for number, sheet in enumerate(sheets[1:-1], start=1):
        assert sheet.strip() == ida.say("Page %(number)s of %(total)s", number=number, total=pages)

    ida.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    ida.check()
    assert ida.page.evaluate("() => getComputedStyle(document.documentElement).scrollBehavior") == "auto"

    assert ida.page.evaluate(STICKY) == 1
    ida.page.set_viewport_size({"width": 320, "height": 225})
    ida.check()
    assert ida.page.evaluate(STICKY) == 0
    people.read_and_sign(ida, reference)
