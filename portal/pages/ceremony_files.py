"""The pictures and files of a signing, each judged by the right of the browser that asks."""

from __future__ import annotations

from flask import Response, request

from portal import i18n
from portal.clock import utc_now
from portal.errors import NotFound
from portal.models.contracts import Document
from portal.models.parties import LegalEntity
from portal.pages import signing
from portal.pages.ceremony import actor, bp, find
from portal.services import (
    acts,
    ceremonies,
    demonstrations,
    documents,
    mine,
    outside_factors,
    second_factors,
    viewings,
)
from portal.services.ceremonies import Place

DAY_S = 86_400


@bp.get("/ceremony/<recipient_id>/pages/<int:number>.webp")
def picture(recipient_id: str, number: int) -> Response:
    """One page of the document, for whoever may read it now."""
    place = reader(recipient_id)
    found = documents.page(place.document, number)
    viewings.note(place.contract, place.document, by=actor(place), now=utc_now(), page=number)
    if request.if_none_match.contains(found.storage_key):
        return Response(status=304)
    made = Response(documents.picture(found), mimetype="image/webp")
    made.headers["Cache-Control"] = f"private, max-age={DAY_S}"
    made.set_etag(found.storage_key)
    return made


@bp.get("/ceremony/<recipient_id>/document.pdf")
def document(recipient_id: str) -> Response:
    """The exact file that is signed, to keep."""
    place = reader(recipient_id)
    whole = Document.get_by_id(place.document.id)
    viewings.note(place.contract, whole, by=actor(place), now=utc_now())
    return download(documents.read(whole), whole.file_name)


@bp.get("/ceremony/<recipient_id>/copy")
def copy(recipient_id: str) -> Response:
    """The finished contract with everybody's signature and the company seal."""
    now = utc_now()
    place = find(recipient_id, now)
    if ceremonies.state(place, now) not in ("done", "copy"):
        raise NotFound()
    if place.contract.has_phi and not signing.is_proved(place):
        raise NotFound()
    whole = mine.executed(place.recipient)
    acts.note_download(place, whole.sha256, by=actor(place), now=now)
    return download(documents.read(whole), whole.file_name)


def reader(recipient_id: str) -> Place:
    """Who has passed consent and factors, before or after acting. Raises NotFound for everybody else."""
    now = utc_now()
    place = find(recipient_id, now)
    at = ceremonies.state(place, now)
    if at not in signing.READING and not (at == "done" and signing.is_proved(place)):
        raise NotFound()
    return place


def download(content: bytes, file_name: str) -> Response:
    made = Response(content, mimetype="application/pdf")
    made.headers.set("Content-Disposition", "attachment", filename=file_name)
    return made


@bp.get("/ceremony/<recipient_id>/sample.pdf")
def sample(recipient_id: str) -> Response:
    """A consumer opens this and types back its word: so it is known that they can open a PDF."""
    place = find(recipient_id, utc_now())
    content = demonstrations.pdf(place.recipient, i18n.current())
    made = Response(content, mimetype="application/pdf")
    made.headers.set("Content-Disposition", "inline", filename="sample.pdf")
    return made


@bp.get("/ceremony/<recipient_id>/qr.svg")
def qr(recipient_id: str) -> Response:
    """The seed being enrolled, to be scanned; nothing once it is enrolled."""
    place = find(recipient_id, utc_now())
    secret = outside_factors.seed(place)
    if not secret:
        raise NotFound()
    return Response(second_factors.picture(outside_factors.address(place, secret)), mimetype="image/svg+xml")


@bp.get("/company/<entity_id>/logo")
def logo(entity_id: str) -> Response:
    """A company's logo: on every mail and page of theirs anyway."""
    row = (
        LegalEntity.select(LegalEntity.logo, LegalEntity.logo_type).where(LegalEntity.id == entity_id).first()
    )
    if row is None or not row.logo:
        raise NotFound()
    made = Response(bytes(row.logo), mimetype=row.logo_type)
    made.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    made.headers["Cache-Control"] = f"public, max-age={DAY_S}"
    return made
