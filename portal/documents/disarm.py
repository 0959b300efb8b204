"""Take out of an opened PDF everything that acts, and flatten what can be filled in.

Runs only in a child. Catalogue, pages, links and bookmarks keep what is on a list of harmless keys;
then every object that is left is swept for what may never remain, so that nothing depends on having
found each way to reach it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Stream

from portal.documents import layers

IN_CATALOGUE = {"/Type", "/Pages", "/PageLabels", "/Names", "/Dests", "/Outlines", "/Lang"} | {
    "/StructTreeRoot",
    "/MarkInfo",
    "/OutputIntents",
}
IN_PAGE_TREE = {"/Type", "/Parent", "/Kids", "/Count", "/Resources", "/MediaBox", "/CropBox", "/Rotate"}
IN_PAGE = {"/Type", "/Parent", "/Resources", "/Contents", "/MediaBox", "/CropBox", "/Rotate", "/Group"} | {
    "/BleedBox",
    "/TrimBox",
    "/ArtBox",
    "/Annots",
    "/StructParents",
    "/Tabs",
    "/UserUnit",
}
IN_LINK = {"/Type", "/Subtype", "/Rect", "/Border", "/C", "/BS", "/H", "/QuadPoints", "/Contents"}
IN_OUTLINE = {"/Title", "/Parent", "/Prev", "/Next", "/First", "/Last", "/Count", "/Dest", "/A", "/C", "/F"}
IN_INFO = ("/Title", "/Author", "/Subject", "/Keywords", "/Creator", "/Producer")

# key -> what we call it when it goes; none of these may be anywhere in the result
NEVER = {
    "/AA": "actions",
    "/OpenAction": "actions",
    "/JS": "scripts",
    "/JavaScript": "scripts",
    "/EF": "attachments",
    "/RF": "attachments",
    "/AF": "attachments",
    "/EmbeddedFiles": "attachments",
    "/AcroForm": "forms",
    "/XFA": "forms",
    "/Alternates": "external_pictures",
    "/OPI": "external_pictures",
    "/Ref": "external_pictures",
    "/RichMediaContent": "media",
    "/RichMediaSettings": "media",
    "/3DD": "media",
    "/PieceInfo": "metadata",
    "/Metadata": "",  # nearly every file has some, and nothing is lost
    "/Perms": "signatures",
    "/OCProperties": "layers",
}
BAD_ACTIONS = {"/JavaScript", "/Launch", "/SubmitForm", "/ResetForm", "/ImportData", "/GoToR", "/GoToE"} | {
    "/GoToDp",
    "/Rendition",
    "/Movie",
    "/Sound",
    "/RichMediaExecute",
    "/SetOCGState",
    "/GoTo3DView",
    "/Trans",
    "/Hide",
    "/Named",
    "/Thread",
}
# dictionaries whose keys are names that somebody chose: a font may well be called /AA
CHOSEN_NAMES = {"/Font", "/XObject", "/ExtGState", "/ColorSpace", "/Pattern", "/Shading", "/Properties"} | {
    "/CharProcs",
    "/RoleMap",
    "/ClassMap",
    "/Colorants",
}
SAFE_SCHEMES = ("http://", "https://", "mailto:")
MEDIA = {"/RichMedia", "/Screen", "/Movie", "/Sound", "/3D", "/Projection"}
DEEPEST = 60


def strip(pdf: pikepdf.Pdf) -> set[str]:
    """Flatten and disarm in place; codes of what was taken out, as `intake.removal_sentence` knows."""
    gone: set[str] = set()
    if layers.flatten(pdf):
        gone.add("layers")
    gone |= _flatten_fields(pdf)
    gone |= _clean_catalogue(pdf)
    for page in pdf.pages:
        gone |= _clean_page(pdf, page.obj)
    gone |= _clean_outlines(pdf)
    _clean_info(pdf)
    return (gone | sweep(pdf)) - {""}


def sweep(pdf: pikepdf.Pdf) -> set[str]:
    """Remove what may never remain from every object of the file; codes of what was there."""
    gone: set[str] = set()
    for holder in _holders(pdf):
        gone |= _sweep_one(holder)
    return gone


def _holders(pdf: pikepdf.Pdf) -> Iterator[Any]:
    """Every dictionary and stream of the file whose keys the format itself names."""
    every = [found for item in pdf.objects for found in _inside(item)]
    chosen = {
        value.objgen
        for holder, _is_chosen in every
        for key in CHOSEN_NAMES.intersection(holder.keys())
        if isinstance(value := holder[key], Dictionary) and value.is_indirect
    }
    return (holder for holder, is_chosen in every if not is_chosen and holder.objgen not in chosen)


def _inside(item: Any, is_chosen: bool = False, depth: int = 0) -> Iterator[tuple[Any, bool]]:
    """The object and all that is written directly inside it."""
    if depth > DEEPEST or not isinstance(item, Dictionary | Stream | Array):
        return
    if isinstance(item, Array):
        pairs = [("", value) for value in item]
    else:
        yield item, is_chosen
        pairs = list(item.items())
    for key, value in pairs:
        if isinstance(value, pikepdf.Object) and not value.is_indirect:
            yield from _inside(value, key in CHOSEN_NAMES, depth + 1)


def _sweep_one(holder: Any) -> set[str]:
    found = NEVER.keys() & set(holder.keys())
    gone = {NEVER[key] for key in found}
    for key in found:
        del holder[key]
    kind = str(holder.get("/S", ""))
    if kind in BAD_ACTIONS or (kind == "/URI" and not _is_safe_url(holder.get("/URI"))):
        gone.add("scripts" if kind == "/JavaScript" else "links")
        _empty(holder)
    if holder.get("/Type") == Name.OBJR and "/Obj" in holder:
        del holder["/Obj"]  # the structure tree would keep what was taken off the page
    if isinstance(holder, Stream) and _is_elsewhere(holder):
        gone.add("external_pictures")
        _empty(holder)
        holder.update(Dictionary(Subtype=Name.Form, BBox=Array([0, 0, 0, 0])))
        holder.write(b"")
    return gone


def _is_elsewhere(stream: Stream) -> bool:
    """Whether the content lies in another file, or is a program in PostScript."""
    return "/F" in stream or stream.get("/Subtype") == Name.PS or stream.get("/Subtype2") == Name.PS


def _empty(holder: Any) -> None:
    for key in list(holder.keys()):
        if key not in ("/Length", "/Type"):
            del holder[key]


def _is_safe_url(url: Any) -> bool:
    text = str(url) if isinstance(url, pikepdf.String) else ""
    return text.lower().startswith(SAFE_SCHEMES) and all(letter > " " for letter in text)


# --- Forms and annotations -----------------------------------------------------------------


def _flatten_fields(pdf: pikepdf.Pdf) -> set[str]:
    """Print what fields and annotations show onto the page; links stay for `_clean_page`."""
    gone: set[str] = set()
    form = pdf.Root.get("/AcroForm")
    if isinstance(form, Dictionary):
        if "/XFA" in form:
            del form["/XFA"]
        pdf.generate_appearance_streams()
    kinds = {_kind(note) for page in pdf.pages for note in _annotations(page.obj)}
    if isinstance(form, Dictionary) or "/Widget" in kinds:
        gone.add("forms")
    if kinds & MEDIA:
        gone.add("media")
    if "/FileAttachment" in kinds:
        gone.add("attachments")
    if kinds - MEDIA - {"/Link", "/Widget", "/Popup", "/FileAttachment"}:
        gone.add("annotations")
    if kinds - {"/Link"}:
        pdf.flatten_annotations("all")
    return gone


def _annotations(page: Any) -> list[Any]:
    notes = page.get("/Annots")
    return [note for note in notes if isinstance(note, Dictionary)] if isinstance(notes, Array) else []


def _kind(note: Any) -> str:
    return str(note.get("/Subtype", ""))


# --- What may stay -------------------------------------------------------------------------


def _clean_catalogue(pdf: pikepdf.Pdf) -> set[str]:
    root = pdf.Root
    names = root.get("/Names")
    if isinstance(names, Dictionary):
        gone = _only(names, {"/Dests"})
        root.Names = Dictionary(Dests=names.Dests) if "/Dests" in names else Dictionary()
    else:
        gone = set()
    gone |= _only(root, IN_CATALOGUE)
    _clean_tree(root.Pages, 0)
    return gone


def _clean_tree(node: Any, depth: int) -> None:
    if depth > DEEPEST or not isinstance(node, Dictionary) or "/Kids" not in node:
        return
    _only(node, IN_PAGE_TREE)
    for kid in node.Kids:
        _clean_tree(kid, depth + 1)


def _only(holder: Any, allowed: set[str]) -> set[str]:
    gone: set[str] = set()
    for key in set(holder.keys()) - allowed:
        if key in NEVER:
            gone.add(NEVER[key])
        del holder[key]
    return gone


def _clean_page(pdf: pikepdf.Pdf, page: Any) -> set[str]:
    gone = _only(page, IN_PAGE)
    notes = _annotations(page)
    links = [link for note in notes if (link := _link(note)) is not None]
    if len(links) < sum(_kind(note) == "/Link" for note in notes):
        gone.add("links")
    if links:
        page.Annots = Array([pdf.make_indirect(link) for link in links])
    elif "/Annots" in page:
        del page["/Annots"]
    return gone


def _link(note: Any) -> Dictionary | None:
    """The same link written anew, if it leads to a page here or to a web or mail address."""
    target = _target(note)
    if _kind(note) != "/Link" or target is None:
        return None
    kept = {key: note[key] for key in IN_LINK if key in note}
    return Dictionary({**kept, **target})


def _target(holder: Any) -> dict[str, Any] | None:
    action = holder.get("/A")
    if isinstance(action, Dictionary):
        if action.get("/S") == Name.GoTo and "/D" in action:
            return {"/A": Dictionary(S=Name.GoTo, D=action.D)}
        if action.get("/S") == Name.URI and _is_safe_url(action.get("/URI")):
            return {"/A": Dictionary(S=Name.URI, URI=action.URI)}
        return None
    return {"/Dest": holder.Dest} if "/Dest" in holder else None


def _clean_outlines(pdf: pikepdf.Pdf) -> set[str]:
    """Bookmarks keep title and target; each is visited once, however they are linked."""
    gone: set[str] = set()
    waiting = [pdf.Root.get("/Outlines")]
    seen: set[tuple[int, int]] = set()
    while waiting:
        item = waiting.pop()
        if not isinstance(item, Dictionary) or item.objgen in seen:
            continue
        seen.add(item.objgen)
        waiting += [item.get("/First"), item.get("/Next")]
        gone |= _only(item, IN_OUTLINE)
        if "/A" in item:
            target = _target(item)
            del item["/A"]
            if target is None:
                gone.add("links")
            else:
                item.update(target)
    return gone


def _clean_info(pdf: pikepdf.Pdf) -> None:
    """Title and author stay if they are plain words; the trailer holds nothing else of its own."""
    info = pdf.trailer.get("/Info")
    kept = {
        key: info[key]
        for key in IN_INFO
        if isinstance(info, Dictionary) and isinstance(info.get(key), pikepdf.String)
    }
    for key in set(pdf.trailer.keys()) - {"/Root", "/Size", "/ID"}:
        del pdf.trailer[key]
    if kept:
        pdf.trailer.Info = pdf.make_indirect(Dictionary(kept))
