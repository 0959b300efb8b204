"""Companies on both sides, their people, logos, and who may sign up to what until when."""

from __future__ import annotations

import struct
import zlib
from datetime import date
from decimal import Decimal

import peewee
import pytest

from portal.errors import Invalid, NotFound
from portal.models.base import db, is_sqlite
from portal.models.parties import Counterparty
from portal.services import entities, parties
from tests.services.drafting import actor

SHAPES = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z" fill="#124"/></svg>'


def png(width: int = 2, height: int = 2, *extra: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = zlib.compress(b"\0" * (height * (width + 1)))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), *extra, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


# -- The other side -------------------------------------------------------------------------------


def test_a_name_is_taken_once_however_it_is_written(cast, now):
    for name in ("castellan pharma sa", " Castellan  Pharma SA "):
        with pytest.raises(Invalid):
            parties.add({"name": name}, by=actor(cast.ana), now=now)


def test_companies_are_listed_by_name_and_found_by_its_beginning(cast, now):
    for n in range(60):
        parties.add({"name": f"Acme {n:02}"}, by=actor(cast.ana), now=now)

    first, further = parties.page()
    second, end = parties.page(after=further)

    names = [party.name for party in first + second]
    assert names == sorted(names)
    assert len(set(names)) == 62
    assert end == ""
    assert [party.name for party in parties.page(words="corvid")[0]] == ["Corvid CRM, Inc."]
    assert [party.name for party in parties.page(words="RCS Lyon 512 044 318")[0]] == ["Castellan Pharma SA"]
    assert parties.page(words="%")[0]  # a wildcard is no wildcard


def test_a_contact_belongs_to_one_company_and_one_address(cast, now):
    with pytest.raises(Invalid):
        parties.add_contact(
            cast.customer, {"name": "Again", "email": "Claire@castellan.example"}, by=actor(cast.ana), now=now
        )
    with pytest.raises(NotFound):
        parties.contact(cast.stranger_company, cast.claire.id)


# -- Who may sign -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "currency", "on", "said"),
    [
        ("1000000.00", "EUR", date(2026, 12, 31), ""),
        ("1000000.01", "EUR", date(2026, 12, 31), "up to"),
        ("1", "USD", date(2026, 12, 31), "USD"),
        ("1", "EUR", date(2027, 1, 1), "until 31 Dec 2026"),
        ("1", "EUR", date(2025, 12, 31), "from 1 Jan 2026"),
    ],
)
def test_a_signatory_keeps_limit_currency_and_dates(cast, value, currency, on, said):
    cast.signatory.valid_from, cast.signatory.valid_until = date(2026, 1, 1), date(2026, 12, 31)

    reason = entities.why_not(cast.signatory, Decimal(value), currency, on)

    assert said in reason
    assert bool(said) == bool(reason)


def test_an_ended_authority_signs_no_more(cast, now):
    entities.end_signatory(cast.signatory, by=actor(cast.ada), now=now)

    again = entities.signatory(cast.entity, cast.signatory.id)
    assert "no longer" in entities.why_not(again, Decimal(1), "EUR", now.date())
    assert entities.signatories(cast.entity) == []


def test_only_our_people_once_and_in_order_of_dates(cast, now):
    values = {"person": cast.ben.id, "title": "Director", "limit_amount": None, "authority": "Articles"}
    made = entities.add_signatory(cast.entity, values, by=actor(cast.ada), now=now)
    assert entities.authority_line(made) == "May sign any value"

    for wrong in (
        values,
        {**values, "person": cast.cleo.id},
        {**values, "person": cast.ana.id, "valid_from": date(2027, 1, 2), "valid_until": date(2027, 1, 1)},
    ):
        with pytest.raises(Invalid):
            entities.add_signatory(cast.entity, wrong, by=actor(cast.ada), now=now)


# -- Companies of ours --------------------------------------------------------------------------------


def test_two_companies_never_share_the_letters_of_their_references(cast, now):
    values = {field: getattr(cast.entity, field) for field in entities.FIELDS}

    with pytest.raises(Invalid) as refused:
        entities.save(
            None, {**values, "name": "Larkfield France", "languages": []}, by=actor(cast.ada), now=now
        )

    assert set(refused.value.errors) == {"reference_prefix", "languages"}


# -- Logos ----------------------------------------------------------------------------------------------


def test_a_logo_of_shapes_or_pixels_is_kept(cast, now):
    entities.set_logo(cast.entity, SHAPES, by=actor(cast.ada), now=now)
    assert b"M0 0h9v9z" in cast.entity.logo

    entities.set_logo(
        cast.entity, png(2, 2, (b"tEXt", b"Author\0me")) + b"<script>", by=actor(cast.ada), now=now
    )
    assert bytes(cast.entity.logo) == png()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\nrubbish",
        png(5000, 1),
        b"x" * 200_001,
        SHAPES.replace(b"<path", b"<script>alert(1)</script><path"),
        SHAPES.replace(b"<path", b'<path onload="x()"'),
        SHAPES.replace(b"<path", b'<a href="https://x.example"/><path'),
        SHAPES.replace(b'fill="#124"', b'fill="url(https://x.example)"'),
        SHAPES.replace(b'fill="#124"', b'style="background:url(x)"'),
        SHAPES.replace(b"<path", b'<image href="data:image/png;base64,AAAA"/><path'),
        SHAPES.replace(b"<path", b"<foreignObject/><path"),
        b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SHAPES,
        b'<?xml-stylesheet href="x.css"?>' + SHAPES,
        b"<svg></svg>",
    ],
)
def test_a_logo_that_could_do_anything_is_refused(content):
    with pytest.raises(Invalid):
        entities.checked_logo(content)


def test_a_company_is_found_out_of_an_index_in_whatever_case(cast):
    query = Counterparty.select(Counterparty.id).where(peewee.fn.LOWER(Counterparty.name) == "castellan")
    sql, given = query.sql()

    with db.atomic():
        if not is_sqlite():
            db.execute_sql("SET LOCAL enable_seqscan = off")  # so small a table would be read whole
        how = db.execute_sql(("EXPLAIN QUERY PLAN " if is_sqlite() else "EXPLAIN ") + sql, given).fetchall()

    assert "counterparty_name_lower" in str(how)
