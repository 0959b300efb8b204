"""PDFs as other people's programs write them: each seed gives another mixture of oddities."""

from __future__ import annotations

import random
from io import BytesIO
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name

SIZES = [(595, 842), (612, 792), (842, 595), (420, 595), (1190, 1684), (300.5, 700.25)]
FONT = {"/Type": Name.Font, "/Subtype": Name.Type1, "/BaseFont": Name.Helvetica}


def upload(seed: int) -> bytes:
    """One file; the same seed gives the same bytes."""
    chance = random.Random(seed)
    pdf = pikepdf.new()
    for number in range(chance.randint(1, 12)):
        _page(pdf, number, chance)
    if chance.random() < 0.5:
        _inherit(pdf, chance)
    if chance.random() < 0.3:
        pdf.Root.PageLabels = Dictionary(Nums=Array([0, Dictionary(S=Name.D)]))
    if chance.random() < 0.3:
        pdf.Root.Names = Dictionary(
            Dests=Dictionary(Names=Array([pikepdf.String("top"), Array([pdf.pages[0].obj, Name.Fit])]))
        )
    if chance.random() < 0.3:
        pdf.docinfo["/Title"] = "Order form"
    streams = chance.choice([pikepdf.ObjectStreamMode.generate, pikepdf.ObjectStreamMode.disable])
    out = BytesIO()
    pdf.save(
        out,
        object_stream_mode=streams,
        compress_streams=chance.random() < 0.7,
        linearize=chance.random() < 0.2,
        force_version=chance.choice(["1.4", "1.5", "1.7", "2.0"]) if streams.name == "disable" else "1.7",
        deterministic_id=True,
    )
    return out.getvalue().rstrip(b"\n") if chance.random() < 0.3 else out.getvalue()


def square(width: float = 40, height: float = 20) -> bytes:
    """A signature that is nothing but a black box: easy to find in a picture of the page."""
    pdf = pikepdf.new()
    page = pdf.add_blank_page(page_size=(width, height))
    page.obj.MediaBox = Array([10, 5, 10 + width, 5 + height])
    page.obj.Contents = pdf.make_stream(f"0 g 10 5 {width} {height} re f".encode())
    out = BytesIO()
    pdf.save(out)
    return out.getvalue()


def _page(pdf: pikepdf.Pdf, number: int, chance: random.Random) -> None:
    width, height = chance.choice(SIZES)
    page = pdf.add_blank_page(page_size=(width, height)).obj
    left, bottom = chance.choice([(0, 0), (0, 0), (-50, 30), (100, 100)])
    page.MediaBox = Array([left, bottom, left + width, bottom + height])
    if chance.random() < 0.3:
        page.CropBox = Array([left + 20, bottom + 10, left + width - 30, bottom + height - 15])
    if chance.random() < 0.2:
        page.MediaBox = Array([left + width, bottom + height, left, bottom])
    if chance.random() < 0.5:
        page.Rotate = chance.choice([90, 180, 270, -90, 450])
    page.Resources = Dictionary(Font=Dictionary(F1=pdf.make_indirect(Dictionary(FONT))))
    if chance.random() < 0.4:
        page.Resources.XObject = Dictionary(CSGN0=_form(pdf))
    words = f"(Page {number + 1} of an order \\(q Q\\)) Tj"
    text = f"BT /F1 12 Tf {left + 60} {bottom + 80} Td {words} ET\n".encode()
    content = chance.choice(
        [
            [text],
            [b"q 2 0 0 2 7 7 cm\n", text, b"Q\n"],
            [b"q 1.5 0 0 1.5 40 40 cm q\n" + text],
            [b"0.1 0 0 0.1 0 0 cm\n", b"q 10 0 0 10 0 0 cm\n" + text + b"Q"],
            [],
        ]
    )
    streams = [pdf.make_stream(part) for part in content]
    if len(streams) == 1 and chance.random() < 0.5:
        page.Contents = streams[0]
    elif streams or chance.random() < 0.5:
        page.Contents = pdf.make_indirect(Array(streams)) if chance.random() < 0.5 else Array(streams)
    else:
        del page.Contents
    if chance.random() < 0.3:
        page.Annots = _links(pdf, chance)


def _links(pdf: pikepdf.Pdf, chance: random.Random) -> Any:
    target = Dictionary(S=Name.URI, URI=pikepdf.String("https://castellan.example/"))
    link = Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=Array([0, 0, 10, 10]), A=target)
    links = Array([pdf.make_indirect(link)])
    return pdf.make_indirect(links) if chance.random() < 0.5 else links


def _form(pdf: pikepdf.Pdf) -> pikepdf.Object:
    form = pdf.make_stream(b"0 0 5 5 re f")
    form.Type, form.Subtype, form.BBox = Name.XObject, Name.Form, Array([0, 0, 5, 5])
    return form


def _inherit(pdf: pikepdf.Pdf, chance: random.Random) -> None:
    """Move what pages hold to a node above them, as many producers write it."""
    kids = list(pdf.Root.Pages.Kids)
    middle = pdf.make_indirect(
        Dictionary(Type=Name.Pages, Parent=pdf.Root.Pages, Kids=Array(kids), Count=len(kids))
    )
    middle.Resources = pdf.make_indirect(Dictionary(Font=Dictionary(F1=pdf.make_indirect(Dictionary(FONT)))))
    middle.Rotate = chance.choice([0, 90])
    middle.MediaBox = Array([0, 0, 595, 842])
    for kid in kids:
        kid.Parent = middle
        if "/XObject" not in kid.Resources:
            del kid.Resources
    pdf.Root.Pages.Kids = Array([middle])
