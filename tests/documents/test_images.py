from __future__ import annotations

import io

import pytest
from PIL import Image

from portal.documents import images, render
from portal.documents.frames import Refused
from tests.documents import hostile, samples


@pytest.fixture(scope="module")
def contract():
    return render.contract_pdf(samples.contract("en")).pdf


def test_every_page_comes_as_a_picture_with_its_text(contract):
    pages = images.page_images(contract)

    assert [page.number for page in pages] == [1, 2]
    first = Image.open(io.BytesIO(pages[0].webp))
    assert (first.format, first.size) == ("WEBP", (pages[0].width, pages[0].height)) == ("WEBP", (794, 1123))
    assert len(first.convert("RGB").getcolors(1 << 24)) > 20
    assert "Signed for Castellan Pharma SA" in pages[1].text


def test_lines_of_a_paragraph_are_read_as_one(contract):
    text = images.page_images(contract, [1])[0].text

    assert "so that the Customer can prepare, price and send quotes without interruption." in text
    assert text.index("1. Purpose") < text.index("2. Meanings") < text.index("3. Times")
    assert "interruption.\n\n1.2 Words" in text


def test_only_the_pages_asked_for_are_made(contract):
    assert [page.number for page in images.page_images(contract, [2])] == [2]


@pytest.mark.parametrize("number", [0, 3])
def test_a_page_that_is_not_there_is_refused(contract, number):
    with pytest.raises(Refused) as refusal:
        images.page_images(contract, [number])

    assert refusal.value.code == "no_such_page"


def test_a_grey_page_is_stored_grey_and_a_coloured_one_keeps_its_colour(contract):
    grey = images.page_images(hostile.saved(hostile.plain()))[0]
    coloured = images.page_images(contract, [1])[0]

    def has_colour(page):
        red, green, _blue = Image.open(io.BytesIO(page.webp)).convert("RGB").split()
        return red.tobytes() != green.tobytes()

    assert not has_colour(grey)
    assert has_colour(coloured)


@pytest.mark.parametrize("size", [(14_400, 14_400), (14_400, 36), (36, 36)])
def test_a_page_of_any_size_gives_a_bounded_picture(size):
    pdf = hostile.plain()
    pdf.pages[0].obj.MediaBox = [0, 0, *size]

    page = images.page_images(hostile.saved(pdf))[0]

    assert page.width * page.height <= images.MOST_PIXELS * 1.01
    assert max(page.width, page.height) <= images.LONGEST_SIDE + 1


def test_what_is_no_pdf_is_refused():
    with pytest.raises(Refused) as refusal:
        images.page_images(b"%PDF-1.7 nothing")

    assert refusal.value.code == "broken"
