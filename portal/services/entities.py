"""Our legal entities, their logos, and who may sign for them up to what value until when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

from portal.errors import Invalid, NotFound
from portal.i18n import format_date, format_money
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.parties import LegalEntity, Signatory
from portal.models.people import Person
from portal.services import audit, mail_domains, mail_logos

FIELDS = (
    "name", "form", "registration", "address", "country", "governing_law", "courts", "zone",
    "currency", "languages", "reference_prefix", "email", "phone", "sender_name", "sender_address",
)  # fmt: skip
PREFIX = re.compile(r"[A-Z][A-Z0-9]{0,7}")
MOST_LOGO_BYTES = 200_000
PNG = b"\x89PNG\r\n\x1a\n"
SVG = "{http://www.w3.org/2000/svg}"
SVG_TAGS = {
    f"{SVG}{tag}"
    for tag in (
        "svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "title",
        "desc", "defs", "linearGradient", "radialGradient", "stop", "clipPath",
    )
}  # fmt: skip
SVG_ATTRIBUTES = {
    "id", "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "width", "height",
    "viewBox", "points", "fill", "fill-rule", "fill-opacity", "clip-rule", "clip-path", "stroke",
    "stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "stroke-opacity",
    "stroke-dasharray", "opacity", "transform", "offset", "stop-color", "stop-opacity", "gradientUnits",
    "gradientTransform", "preserveAspectRatio", "version",
}  # fmt: skip
SAFE_VALUE = re.compile(r"(?:(?!url\()[\w\s#.,%()+\-:]|url\(#[\w-]+\))*", re.ASCII)


def get(entity_id: str) -> LegalEntity:
    found = LegalEntity.get_or_none(LegalEntity.id == entity_id)
    if found is None:
        raise NotFound
    return found


def all_entities() -> list[LegalEntity]:
    """Every company of ours, those in use first."""
    query = LegalEntity.select().order_by(LegalEntity.retired_at.is_null(False), LegalEntity.name)
    return list(query)


def in_use() -> list[LegalEntity]:
    return [entity for entity in all_entities() if entity.retired_at is None]


def oldest() -> LegalEntity | None:
    """The company that stands for us where no contract names one: id, name and whether it has a logo."""
    columns = (LegalEntity.id, LegalEntity.name, LegalEntity.logo_type)
    found: LegalEntity | None = (
        LegalEntity.select(*columns)
        .where(LegalEntity.retired_at.is_null())
        .order_by(LegalEntity.created_at)
        .first()
    )
    return found


def save(
    entity: LegalEntity | None, values: Mapping[str, Any], *, by: audit.Actor, now: datetime
) -> LegalEntity:
    """Add a company of ours (None) or change one. Raises Invalid beside the field."""
    check(entity, values)
    with transaction():
        kept = {field: values[field] for field in FIELDS if field in values}
        if kept.get("sender_address") and (entity is None or entity.sender_address != kept["sender_address"]):
            mail_domains.ask(now)
        if entity is None:
            entity = LegalEntity.add(**kept, created_at=now)
            act = "entity.added"
        else:
            for field, value in kept.items():
                setattr(entity, field, value)
            entity.save()
            act = "entity.changed"
        audit.append(act, ("entity", entity.id), chain=audit.INSTALLATION, by=by, now=now)
    return entity


def check(entity: LegalEntity | None, values: Mapping[str, Any]) -> None:
    errors = {}
    if not values.get("name"):
        errors["name"] = _("Give the company’s name.")
    prefix = str(values.get("reference_prefix", ""))
    if not PREFIX.fullmatch(prefix):
        errors["reference_prefix"] = _("Use one to eight capital letters and digits, a letter first.")
    taken = LegalEntity.select().where(LegalEntity.reference_prefix == prefix)
    if entity is not None:
        taken = taken.where(LegalEntity.id != entity.id)
    if taken.exists():
        errors["reference_prefix"] = _("Another company of ours uses these letters.")
    if not values.get("languages"):
        errors["languages"] = _("Choose at least one language.")
    if errors:
        raise Invalid(errors)


def retire(entity: LegalEntity, *, by: audit.Actor, now: datetime) -> None:
    """Offer the company for new contracts no longer; its contracts stay."""
    with transaction():
        entity.retired_at = now
        entity.save()
        audit.append("entity.retired", ("entity", entity.id), chain=audit.INSTALLATION, by=by, now=now)


# -- Logo ---------------------------------------------------------------------------------------


def set_logo(entity: LegalEntity, content: bytes, *, by: audit.Actor, now: datetime) -> None:
    """Keep a PNG, or an SVG that holds shapes only. Raises Invalid for anything else."""
    kept, kind = checked_logo(content)
    with transaction():
        changed: dict[str, Any] = {"logo": kept, "logo_type": kind, "logo_mail": None}
        LegalEntity.update(changed).where(LegalEntity.id == entity.id).execute()
        mail_logos.ask(now)
        audit.append("entity.logo_changed", ("entity", entity.id), chain=audit.INSTALLATION, by=by, now=now)
    entity.logo, entity.logo_type = kept, kind


def checked_logo(content: bytes) -> tuple[bytes, str]:
    """The picture as it will be kept, and its media type."""
    if not content:
        raise Invalid({"logo": _("Choose a PNG or SVG file.")})
    if len(content) > MOST_LOGO_BYTES:
        raise Invalid({"logo": _("The logo is larger than 200 KB. Choose a smaller one.")})
    if content.startswith(PNG):
        return clean_png(content), "image/png"
    return clean_svg(content), "image/svg+xml"


def clean_png(content: bytes) -> bytes:
    """The picture's own chunks, without texts, profiles and anything behind its end."""
    kept, position, sizes = [PNG], len(PNG), None
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        chunk = content[position : position + 12 + length]
        if len(chunk) < 12 + length:
            break
        if kind == b"IHDR" and length == 13:
            sizes = int.from_bytes(chunk[8:12], "big"), int.from_bytes(chunk[12:16], "big")
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"IEND"):
            kept.append(chunk)
        position += 12 + length
        if kind == b"IEND":
            if sizes is None or not all(0 < side <= 4000 for side in sizes):
                raise Invalid({"logo": _("The logo may be at most 4000 pixels wide and high.")})
            return b"".join(kept)
    raise Invalid({"logo": _("This PNG file is damaged.")})


def clean_svg(content: bytes) -> bytes:
    """The drawing written anew. Raises Invalid for anything but shapes: script, links, styles, text."""
    refused = Invalid({"logo": _("Use a PNG, or an SVG that holds plain shapes only.")})
    if b"<!" in content.replace(b"<!--", b"") or b"<?xml-" in content:
        raise refused
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 (a document type was refused above)
    except (ElementTree.ParseError, ValueError):
        raise refused from None
    if root.tag != f"{SVG}svg":
        raise refused
    for element in root.iter():
        if element.tag not in SVG_TAGS:
            raise refused
        for name, value in element.attrib.items():
            if name not in SVG_ATTRIBUTES or not SAFE_VALUE.fullmatch(value):
                raise refused
    ElementTree.register_namespace("", SVG.strip("{}"))
    written: bytes = ElementTree.tostring(root, encoding="utf-8")
    return written


# -- Who may sign ---------------------------------------------------------------------------------


def signatories(entity: LegalEntity | None = None) -> list[Signatory]:
    """Who may sign, by name; those whose authority has ended are left out."""
    query = Signatory.select(Signatory, Person, LegalEntity).join(Person).switch(Signatory).join(LegalEntity)
    query = query.where(Signatory.ended_at.is_null() & LegalEntity.retired_at.is_null())
    if entity is not None:
        query = query.where(Signatory.entity == entity)
    return list(query.order_by(Person.name, Signatory.id))


def signatory(entity: LegalEntity, signatory_id: str) -> Signatory:
    found = Signatory.get_or_none((Signatory.id == signatory_id) & (Signatory.entity == entity))
    if found is None:
        raise NotFound
    return found


def why_not(someone: Signatory, value: Decimal, currency: str, on: date) -> str:
    """Why this person may not sign a contract of that value on that day; "" when they may."""
    name = someone.person.name
    if someone.ended_at is not None or someone.person.disabled_at is not None:
        return _("%(name)s may no longer sign for %(entity)s.", name=name, entity=someone.entity.name)
    if someone.valid_from is not None and on < someone.valid_from:
        return _("%(name)s may sign from %(day)s on.", name=name, day=format_date(someone.valid_from))
    if someone.valid_until is not None and on > someone.valid_until:
        return _("%(name)s could sign until %(day)s only.", name=name, day=format_date(someone.valid_until))
    if someone.limit_amount is None:
        return ""
    limit = format_money(someone.limit_amount, someone.limit_currency)
    if currency != someone.limit_currency:
        return _(
            "%(name)s may sign up to %(limit)s; a limit in %(currency)s is not recorded.",
            name=name, limit=limit, currency=currency,
        )  # fmt: skip
    if value > someone.limit_amount:
        return _(
            "%(name)s may sign up to %(limit)s; this contract is worth %(value)s.",
            name=name, limit=limit, value=format_money(value, currency),
        )  # fmt: skip
    return ""


def authority_line(someone: Signatory) -> str:
    """Up to what and until when: `May sign up to EUR 1,000,000.00 until 31 Dec 2027`."""
    limit = (
        format_money(someone.limit_amount, someone.limit_currency) if someone.limit_amount is not None else ""
    )
    until = format_date(someone.valid_until) if someone.valid_until else ""
    if limit and until:
        return _("May sign up to %(limit)s until %(until)s", limit=limit, until=until)
    if limit:
        return _("May sign up to %(limit)s", limit=limit)
    return _("May sign any value until %(until)s", until=until) if until else _("May sign any value")


def add_signatory(
    entity: LegalEntity, values: Mapping[str, Any], *, by: audit.Actor, now: datetime
) -> Signatory:
    """Let a colleague sign for an entity. Raises Invalid for strangers and impossible dates."""
    person = Person.get_or_none((Person.id == values["person"]) & Person.counterparty_id.is_null())
    if person is None or person.disabled_at is not None:
        raise Invalid({"person": _("Choose one of our people.")})
    first, last = values.get("valid_from"), values.get("valid_until")
    if first and last and last < first:
        raise Invalid({"valid_until": _("The last day lies before the first.")})
    active = Signatory.select().where(
        (Signatory.entity == entity) & (Signatory.person == person) & Signatory.ended_at.is_null()
    )
    if active.exists():
        raise Invalid({"person": _("%(name)s may sign already; end that authority first.", name=person.name)})
    with transaction():
        made: Signatory = Signatory.add(
            entity=entity,
            person=person,
            title=values["title"],
            limit_amount=values.get("limit_amount"),
            limit_currency=values.get("limit_currency") or entity.currency,
            valid_from=first,
            valid_until=last,
            authority=values.get("authority", ""),
            authority_document_id=values.get("authority_document_id"),
            created_at=now,
        )
        limit = "" if made.limit_amount is None else f"{made.limit_amount:.2f} {made.limit_currency}"
        audit.append(
            "signatory.added", ("signatory", made.id), chain=audit.INSTALLATION, by=by, now=now,
            facts={"entity": entity.id, "person": person.id, "limit": limit},
        )  # fmt: skip
    return made


def end_signatory(someone: Signatory, *, by: audit.Actor, now: datetime) -> None:
    """From now on this person signs no more for the entity; what they signed stays."""
    with transaction():
        ended = (
            Signatory.update(ended_at=now)
            .where((Signatory.id == someone.id) & Signatory.ended_at.is_null())
            .execute()
        )
        if ended:
            audit.append(
                "signatory.ended", ("signatory", someone.id), chain=audit.INSTALLATION, by=by, now=now
            )
