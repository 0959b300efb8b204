"""The executed PDF: the file as shown, and behind it everything that signing added.

Signatures on their pages, the certificate of completion as more pages, the evidence as an attached
file and the company seal are one incremental revision. The shown bytes stay an exact prefix, so
`head -c N | sha256sum` gives the fingerprint that people agreed to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_date, pdf_name, pdf_string
from pyhanko.pdf_utils.reader import PdfFileReader

from portal import i18n
from portal.documents import seal, timestamps
from portal.documents.authority import Authority
from portal.documents.seal import Revision, Unfilled, Unsealable, dictionary, entry, number
from portal.i18n import gettext as _

EVIDENCE = "evidence.json"
DEEPEST_TREE = 64
KINDS = {"json": "/application/json", "pdf": "/application/pdf", "txt": "/text/plain"}
STRINGS = re.compile(rb"\((?:\\.|[^\\()])*\)|<[0-9A-Fa-f\s]*>|%[^\r\n]*", re.DOTALL)
SAVES = re.compile(rb"(?:^|(?<=\s))([qQ])(?=\s|$)")


@dataclass(frozen=True)
class Stamp:
    """One signature on its spot: page from 1, points from the lower left corner of the page as it
    is seen (turned and cropped); `pdf` is a single page that is fitted into width and height."""

    page: int
    x: float
    y: float
    width: float
    height: float
    pdf: bytes


def build(
    shown: bytes,
    stamps: Sequence[Stamp],
    certificate: bytes,
    attachments: Mapping[str, bytes],
    authority: Authority,
    now: datetime,
    *,
    language: str,
    title: str,
) -> bytes:
    """The executed file, sealed B-B. `evidence.json` among the attachments is what `verify` reads.

    Raises Unsealable when the shown file cannot carry it.
    """
    unfilled = prepare(
        shown, stamps, certificate, attachments, authority, now, language=language, title=title
    )
    return unfilled.filled(seal.container(unfilled, authority))


def build_with_timestamps(
    shown: bytes,
    stamps: Sequence[Stamp],
    certificate: bytes,
    attachments: Mapping[str, bytes],
    authority: Authority,
    now: datetime,
    *,
    language: str,
    title: str,
    tsa: timestamps.TimestampAuthority,
) -> timestamps.Sealed:
    """As `build`, timestamped at once; incomplete, and why, when the timestamp authority is away."""
    unfilled = prepare(
        shown,
        stamps,
        certificate,
        attachments,
        authority,
        now,
        language=language,
        title=title,
        token_room=timestamps.TOKEN_ROOM,
    )
    return timestamps.complete(unfilled, authority, tsa, now)


def prepare(
    shown: bytes,
    stamps: Sequence[Stamp],
    certificate: bytes,
    attachments: Mapping[str, bytes],
    authority: Authority,
    now: datetime,
    *,
    language: str,
    title: str,
    token_room: int = 0,
) -> Unfilled:
    """The executed file with its seal still empty."""
    with seal.reading(), i18n.use(language):
        revision = seal.begin(shown)
        for page in sorted({stamp.page for stamp in stamps}):
            _draw(revision, page, [stamp for stamp in stamps if stamp.page == page])
        first_added = _append_pages(revision, certificate)
        attached = _attach(revision, attachments, now)
        return seal.finish(
            revision,
            authority,
            now=now,
            reason=_("All signatures are complete: %(title)s") % {"title": title},
            page=first_added,
            evidence=attached.get(EVIDENCE),
            token_room=token_room,
        )


# --- signatures on pages -----------------------------------------------------------------------


def _draw(revision: Revision, number_of_page: int, stamps: Sequence[Stamp]) -> None:
    count = revision.root["/Pages"]["/Count"]
    if not 1 <= number_of_page <= count:
        raise Unsealable(_("There is no page %(number)s to sign on.") % {"number": number_of_page})
    reference = revision.find_page_for_modification(number_of_page - 1)[0]
    page = reference.get_object()
    resources = _copied(_inherited(page, "/Resources"))
    pictures = _copied(entry(resources, "/XObject"))
    view = _view(page)
    steps = []
    for at, stamp in enumerate(stamps):
        name = _free_name(pictures, at)
        form, box = _form(revision, stamp.pdf)
        pictures[name] = form
        steps.append(
            b"q %b cm %b cm %b Do Q\n" % (_matrix(view), _matrix(_fitted(stamp, box)), name.encode())
        )
    resources["/XObject"] = pictures
    page["/Resources"] = resources
    page["/Contents"] = _wrapped(revision, page, b"/Artifact BMC\n" + b"".join(steps) + b"EMC\n")
    revision.mark_update(reference)


def _form(revision: Revision, pdf: bytes) -> tuple[generic.IndirectObject, tuple[float, ...]]:
    """The only page of `pdf` as a form that can be drawn, and its box."""
    reader = PdfFileReader(BytesIO(pdf))
    page = reader.find_page_for_modification(0)[0].get_object()
    box = _box(_inherited(page, "/MediaBox"))
    entries: dict[str, Any] = {
        "/Type": pdf_name("/XObject"),
        "/Subtype": pdf_name("/Form"),
        "/BBox": _array(box),
        "/Resources": _inherited(page, "/Resources") or generic.DictionaryObject(),
    }
    if "/Group" in page:
        entries["/Group"] = page.raw_get("/Group")
    form = generic.StreamObject(
        {pdf_name(name): value for name, value in entries.items()}, stream_data=_content(page)
    )
    form.compress()
    form.container_ref = page.get_container_ref()
    return revision.add_object(revision.import_object(form)), box


def _fitted(stamp: Stamp, box: tuple[float, ...]) -> tuple[float, ...]:
    """Takes the form's box to its spot on the page as seen."""
    left, bottom, right, top = box
    if right <= left or top <= bottom:
        raise ValueError("a signature picture without size")
    across, up = stamp.width / (right - left), stamp.height / (top - bottom)
    return (across, 0, 0, up, stamp.x - across * left, stamp.y - up * bottom)


def _view(page: generic.DictionaryObject) -> tuple[float, ...]:
    """Takes points on the page as seen to the page's own space."""
    media = _box(_inherited(page, "/MediaBox") or _array((0, 0, 612, 792)))
    crop = _box(_inherited(page, "/CropBox") or _array(media))
    left, bottom = max(media[0], crop[0]), max(media[1], crop[1])
    right, top = min(media[2], crop[2]), min(media[3], crop[3])
    turned: dict[int, tuple[float, ...]] = {
        0: (1, 0, 0, 1, left, bottom),
        90: (0, 1, -1, 0, right, bottom),
        180: (-1, 0, 0, -1, right, top),
        270: (0, -1, 1, 0, left, top),
    }
    return turned.get(int(_inherited(page, "/Rotate") or 0) % 360, turned[0])


def _wrapped(revision: Revision, page: generic.DictionaryObject, drawing: bytes) -> generic.ArrayObject:
    """The page's content between a save and a restore, then `drawing` on top."""
    before = page.raw_get("/Contents") if "/Contents" in page else generic.ArrayObject()
    inside = before.get_object()
    parts = inside if isinstance(inside, generic.ArrayObject) else [before]
    restores = b"Q\n" * (1 + _left_open(_content(page)))
    start = revision.add_object(generic.StreamObject(stream_data=b"q\n"))
    end = revision.add_object(generic.StreamObject(stream_data=b"\n" + restores + drawing))
    return generic.ArrayObject([start, *parts, end])


def _left_open(content: bytes) -> int:
    """How many saves the content forgets to restore."""
    depth = 0
    for operator in SAVES.findall(STRINGS.sub(b" ", content)):
        depth = depth + 1 if operator == b"q" else max(0, depth - 1)
    return depth


def _content(page: generic.DictionaryObject) -> bytes:
    if "/Contents" not in page:
        return b""
    contents = page["/Contents"]
    streams = contents if isinstance(contents, generic.ArrayObject) else [contents]
    return b"\n".join(stream.get_object().data for stream in streams)


def _free_name(taken: generic.DictionaryObject, at: int) -> str:
    name = f"/CSGN{at}"
    while name in taken:
        name += "x"
    return str(pdf_name(name))


# --- more pages --------------------------------------------------------------------------------


def _append_pages(revision: Revision, certificate: bytes) -> generic.IndirectObject | None:
    """Put the pages of `certificate` behind the last one; the first of them."""
    if not certificate:
        return None
    reader = PdfFileReader(BytesIO(certificate))
    plain = generic.ArrayObject([_bare(page) for page in _pages(reader.root["/Pages"])])
    plain.container_ref = reader.root.get_container_ref()
    imported = revision.import_object(plain)
    tree_reference = revision.root.raw_get("/Pages")
    tree = tree_reference.get_object()
    branch = dictionary(Type=pdf_name("/Pages"), Parent=tree_reference, Count=number(len(imported)))
    branch_reference = revision.add_object(branch)
    kids = []
    for page in imported:
        page["/Parent"] = branch_reference
        kids.append(revision.add_object(page))
    branch["/Kids"] = generic.ArrayObject(kids)
    tree["/Kids"] = generic.ArrayObject([*tree["/Kids"], branch_reference])
    tree["/Count"] = number(tree["/Count"] + len(kids))
    revision.mark_update(tree_reference)
    return kids[0]


def _bare(page: generic.DictionaryObject) -> generic.DictionaryObject:
    """A page that inherits nothing and belongs to no structure, form or outline."""
    box = _array(_box(_inherited(page, "/MediaBox")))
    bare = dictionary(
        Type=pdf_name("/Page"),
        MediaBox=box,
        CropBox=box,
        Rotate=number(int(_inherited(page, "/Rotate") or 0)),
        Resources=_inherited(page, "/Resources") or generic.DictionaryObject(),
        Contents=page.raw_get("/Contents"),
    )
    if "/Group" in page:
        bare["/Group"] = page.raw_get("/Group")
    return bare


def _pages(node: generic.DictionaryObject, depth: int = 0) -> Iterator[generic.DictionaryObject]:
    for reference in node["/Kids"]:
        if depth > DEEPEST_TREE:
            raise ValueError("the page tree does not end")
        kid = reference.get_object()
        if kid["/Type"] == "/Pages":
            yield from _pages(kid, depth + 1)
        else:
            yield kid


# --- attachments -------------------------------------------------------------------------------


def _attach(
    revision: Revision, attachments: Mapping[str, bytes], now: datetime
) -> dict[str, generic.IndirectObject]:
    """Embed files and associate them with the document; the embedded stream of each."""
    if not attachments:
        return {}
    root = revision.root
    names = _copied(entry(root, "/Names"))
    entries = dict(_leaves(entry(names, "/EmbeddedFiles") or generic.DictionaryObject()))
    associated = generic.ArrayObject(entry(root, "/AF") or ())
    streams = {}
    for name, content in attachments.items():
        streams[name] = revision.add_object(_embedded(name, content, now))
        entries[name] = revision.add_object(_specification(name, streams[name]))
        associated.append(entries[name])
    listed = generic.ArrayObject()
    for name in sorted(entries):
        listed += [pdf_string(name), entries[name]]
    names["/EmbeddedFiles"] = dictionary(Names=listed)
    root["/Names"] = names
    root["/AF"] = associated
    revision.update_root()
    return streams


def _embedded(name: str, content: bytes, now: datetime) -> generic.StreamObject:
    stamped = pdf_date(now.astimezone(UTC).replace(microsecond=0))
    stream = generic.StreamObject(
        {
            pdf_name("/Type"): pdf_name("/EmbeddedFile"),
            pdf_name("/Subtype"): pdf_name(KINDS.get(name.rpartition(".")[2], "/application/octet-stream")),
            pdf_name("/Params"): dictionary(Size=number(len(content)), ModDate=stamped),
        },
        stream_data=content,
    )
    stream.compress()
    return stream


def _specification(name: str, stream: generic.IndirectObject) -> generic.DictionaryObject:
    return dictionary(
        Type=pdf_name("/Filespec"),
        F=pdf_string(name),
        UF=pdf_string(name),
        AFRelationship=pdf_name("/Data"),
        Desc=pdf_string(_("Evidence of the signatures") if name == EVIDENCE else name),
        EF=dictionary(F=stream, UF=stream),
    )


def _leaves(tree: generic.DictionaryObject, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Pairs of a name tree."""
    if depth > DEEPEST_TREE:
        raise ValueError("the name tree does not end")
    flat = list(entry(tree, "/Names") or ())
    yield from ((str(name), value) for name, value in zip(flat[::2], flat[1::2], strict=True))
    for kid in entry(tree, "/Kids") or ():
        yield from _leaves(kid.get_object(), depth + 1)


# --- small things ------------------------------------------------------------------------------


def _inherited(page: generic.DictionaryObject, name: str) -> Any:
    """A page's entry, its own or from above; None when there is none."""
    node: Any = page
    for _step in range(DEEPEST_TREE):
        if node is None or name in node:
            break
        node = entry(node, "/Parent")
    return None if node is None else entry(node, name)


def _copied(entries: generic.DictionaryObject | None) -> generic.DictionaryObject:
    """A dictionary of its own with the same entries, references kept as they are."""
    entries = entries or generic.DictionaryObject()
    return generic.DictionaryObject({name: entries.raw_get(name) for name in entries})


def _box(array: Any) -> tuple[float, ...]:
    one, two, three, four = (float(value) for value in array)
    return (min(one, three), min(two, four), max(one, three), max(two, four))


def _array(values: Sequence[float]) -> generic.ArrayObject:
    return generic.ArrayObject([generic.FloatObject(f"{value:.5f}") for value in values])


def _matrix(values: Sequence[float]) -> bytes:
    return " ".join(f"{value:.5f}".rstrip("0").rstrip(".") for value in values).encode()
