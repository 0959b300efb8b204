"""The company seal: one incremental revision behind a PDF, closed by a certifying signature.

PAdES B-B: `ETSI.CAdES.detached`, the time in /M, a reference to the certificate in the signed
attributes, DocMDP P=1 ("no changes allowed"). The bytes that came in stay an exact prefix, and the
signature covers everything up to the last byte of the file.

pyHanko reads the file and writes the revision; the signature container comes from `cms.Template`,
the room for it is known beforehand, and nothing but what the seal needs is rewritten. The signature
dictionary carries `/CSGN_Revision`: where the shown bytes end, and the numbers `verify` and
`timestamps` need to read and extend the file without a PDF library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name, pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import PdfSignedData

from portal.documents import cms
from portal.documents.authority import Authority
from portal.errors import PortalError
from portal.i18n import gettext as _

FIELD_NAME = "CountersignSeal"
LOCKED_AND_PRINTED = 0b10000100
TEXT_END = re.compile(rb"%%EOF(\r\n|\r|\n)?\Z")


class Unsealable(PortalError):
    """This PDF, or this key at this time, cannot make a seal; the message says why."""

    status = 422


class Revision(IncrementalPdfFileWriter):  # type: ignore[misc]
    """One revision behind a PDF; metadata of the shown file is left alone."""

    def __init__(self, pdf: bytes) -> None:
        self.shown_length = len(pdf)
        stream = BytesIO(pdf)
        super().__init__(stream)
        if pdf[-1:] not in b"\r\n":
            stream.seek(len(pdf))
            stream.write(b"\n")

    def _update_meta(self) -> None:
        """Dates and producer belong to the shown file; a seal does not rewrite them."""


@dataclass(frozen=True)
class Unfilled:
    """A finished file whose signature is still missing."""

    pdf: bytes
    gap_start: int
    gap_end: int
    digest: bytes

    def filled(self, container: bytes) -> bytes:
        """The file with `container` in its place: upper-case hex, then zeros."""
        room = self.gap_end - self.gap_start - 2
        hexadecimal = container.hex().upper().encode()
        if len(hexadecimal) > room:
            raise Unsealable(_("The signature is larger than the room kept for it."))
        inside = b"<" + hexadecimal.ljust(room, b"0") + b">"
        return self.pdf[: self.gap_start] + inside + self.pdf[self.gap_end :]


def seal(
    pdf: bytes,
    authority: Authority,
    *,
    now: datetime,
    reason: str,
    location: str = "",
    field_name: str = FIELD_NAME,
) -> bytes:
    """The PDF with the company seal behind it, B-B. Raises Unsealable."""
    with reading():
        revision = begin(pdf)
        unfilled = finish(
            revision, authority, now=now, reason=reason, location=location, field_name=field_name
        )
    return unfilled.filled(container(unfilled, authority))


def container(unfilled: Unfilled, authority: Authority) -> bytes:
    """The signature container for it, made with the authority's key."""
    template = authority.template
    return template.container(unfilled.digest, authority.sign(template.attributes(unfilled.digest)))


@contextmanager
def reading() -> Iterator[None]:
    """Turns what a PDF library says of a broken file into Unsealable."""
    try:
        yield
    except (PdfError, KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Unsealable(_("This file is not a PDF that can be sealed.")) from error


def begin(pdf: bytes) -> Revision:
    """Open a revision behind `pdf`. Raises Unsealable for signed, encrypted or fillable files."""
    if not pdf.startswith(b"%PDF-") or not TEXT_END.search(pdf[-16:]):
        raise Unsealable(_("This file is not a PDF that can be sealed."))
    if b"/ByteRange" in pdf:
        raise Unsealable(_("This PDF already carries a signature."))
    revision = Revision(pdf)
    if revision.prev.encrypted:
        raise Unsealable(_("This PDF is encrypted."))
    form = entry(revision.root, "/AcroForm")
    if form is not None and (entry(form, "/Fields") or "/XFA" in form):
        raise Unsealable(_("This PDF still has form fields; they must be flattened first."))
    if "/Perms" in revision.root or "/DSS" in revision.root:
        raise Unsealable(_("This PDF already carries a signature."))
    return revision


def finish(
    revision: Revision,
    authority: Authority,
    *,
    now: datetime,
    reason: str,
    location: str = "",
    field_name: str = FIELD_NAME,
    page: generic.IndirectObject | None = None,
    evidence: generic.IndirectObject | None = None,
    token_room: int = 0,
) -> Unfilled:
    """Write the revision with an empty seal. `page` carries the invisible field, else the first one.

    `token_room` is how many bytes a timestamp inside the signature may take.
    """
    check_validity(authority, now)
    page = page or revision.find_page_for_modification(0)[0]
    field = revision.add_object(_field(field_name, page))
    _annotate(revision, page, field)
    form = revision.add_object(dictionary(Fields=generic.ArrayObject([field]), SigFlags=number(3)))
    room = 2 * (len(authority.template.container(bytes(32), bytes(_signature_room(authority)))) + token_room)
    signature = _signature(room, now)
    reference = revision.add_object(signature)
    field.get_object()["/V"] = reference
    signature["/CSGN_Revision"] = _marks(revision, form=form, field=field, evidence=evidence)
    signature["/Name"] = pdf_string(authority.organisation)
    if reason:
        signature["/Reason"] = pdf_string(reason)
    if location:
        signature["/Location"] = pdf_string(location)
    root = revision.root
    root["/AcroForm"] = form
    root["/Perms"] = dictionary(DocMDP=reference)
    if revision.output_version < (2, 0):
        revision.register_extension(ESIC_EXTENSION_1)
    revision.update_root()
    return _written(revision, signature)


def check_validity(authority: Authority, now: datetime) -> None:
    """Raises Unsealable unless the certificate is valid at `now`."""
    if not authority.certificate.not_valid_before_utc <= now <= authority.not_after:
        raise Unsealable(_("The sealing certificate is not valid at this time."))


def _written(revision: Revision, signature: PdfSignedData) -> Unfilled:
    steps = signature.fill(revision, "sha256", in_place=True)
    prepared, output = next(steps)
    steps.close()
    return Unfilled(
        output.getvalue(),
        prepared.reserved_region_start,
        prepared.reserved_region_end,
        prepared.document_digest,
    )


def _signature_room(authority: Authority) -> int:
    """Bytes the longest signature of this key takes."""
    size = (authority.key.key_size + 7) // 8
    return size if authority.template.signature_algorithm == cms.RSA_SHA256 else 2 * size + 9


def _signature(room: int, now: datetime) -> PdfSignedData:
    signature = PdfSignedData(
        pdf_name("/Sig"),
        SigSeedSubFilter.PADES,
        timestamp=now.astimezone(UTC).replace(microsecond=0),
        bytes_reserved=room,
    )
    parameters = dictionary(Type=pdf_name("/TransformParams"), V=pdf_name("/1.2"), P=number(1))
    reference = dictionary(
        Type=pdf_name("/SigRef"), TransformMethod=pdf_name("/DocMDP"), TransformParams=parameters
    )
    signature["/Reference"] = generic.ArrayObject([reference])
    return signature


def _marks(revision: Revision, **numbers: generic.IndirectObject | None) -> generic.DictionaryObject:
    """What a reader without a PDF library needs; see `revisions.SEAL`."""
    marks = {
        "Shown": number(revision.shown_length),
        "Next": number(revision._lastobj_id + 2),
        "Streams": generic.BooleanObject(revision.stream_xrefs),
        "ID": generic.ByteStringObject(revision.document_id[0]),
        "Root": number(revision.root_ref.idnum),
        "Info": number(revision._info.idnum if revision._info is not None else 0),
    }
    marks |= {name.title(): number(one.idnum if one else 0) for name, one in numbers.items()}
    return dictionary(**marks)


def _field(name: str, page: generic.IndirectObject) -> generic.DictionaryObject:
    return dictionary(
        FT=pdf_name("/Sig"),
        T=pdf_string(name),
        Type=pdf_name("/Annot"),
        Subtype=pdf_name("/Widget"),
        F=number(LOCKED_AND_PRINTED),
        Rect=generic.ArrayObject([number(0)] * 4),
        P=page,
    )


def _annotate(revision: Revision, page: generic.IndirectObject, field: generic.IndirectObject) -> None:
    page_object = page.get_object()
    annotations = generic.ArrayObject(entry(page_object, "/Annots") or ())
    annotations.append(field)
    page_object["/Annots"] = annotations
    revision.mark_update(page)


def dictionary(**entries: Any) -> generic.DictionaryObject:
    return generic.DictionaryObject({pdf_name(f"/{name}"): value for name, value in entries.items()})


def number(value: int) -> generic.NumberObject:
    return generic.NumberObject(value)


def entry(entries: generic.DictionaryObject, name: str) -> Any:
    """What stands under a name, references followed; None when nothing does."""
    return entries[name] if name in entries else None  # noqa: SIM401 - get() follows no reference
