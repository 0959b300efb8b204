"""A small cast, always the same, and the companies they work for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.models.parties import Contact, Counterparty, LegalEntity, Signatory
from portal.models.people import Person, PersonRole


@dataclass
class Cast:
    """Ana owns contracts, Ben is her colleague, Cleo is a stranger, Ada administers, Priya signs."""

    ana: Person
    ben: Person
    cleo: Person
    ada: Person
    priya: Person
    entity: LegalEntity
    signatory: Signatory
    customer: Counterparty
    claire: Contact
    marc: Contact
    stranger_company: Counterparty


def person(name: str, now: datetime, roles: tuple[str, ...] = (), **values: Any) -> Person:
    made = Person.create(
        email=f"{name.lower()}@larkfield.example", name=name, created_at=now, activated_at=now,
        **({"totp_secret": "set in tests that need one"} | values),
    )  # fmt: skip
    for role in roles:
        PersonRole.create(person=made, role=role)
    return made


def assemble(now: datetime) -> Cast:
    entity = LegalEntity.create(
        name="Larkfield Software Ltd", form="private limited company", registration="09915527",
        address="14 Welsh Back, Bristol BS1 4RR, United Kingdom", country="GB",
        governing_law="England and Wales", courts="London", languages=["en", "fr"],
        reference_prefix="LF", email="contracts@larkfield.example", phone="+441174960182", created_at=now,
    )  # fmt: skip
    customer = Counterparty.create(
        name="Castellan Pharma SA", form="société anonyme", registration="RCS Lyon 512 044 318",
        address="22 rue des Docks, 69009 Lyon, France", country="FR", language="fr",
        zone="Europe/Paris", created_at=now,
    )  # fmt: skip
    stranger_company = Counterparty.create(name="Corvid CRM, Inc.", country="US", created_at=now)
    priya = person("Priya", now, (), title="Managing Director")
    return Cast(
        ana=person("Ana", now, ("owner",)),
        ben=person("Ben", now, ("owner",)),
        cleo=person("Cleo", now, (), counterparty_id=stranger_company.id),
        ada=person("Ada", now, ("administrator",)),
        priya=priya,
        entity=entity,
        signatory=Signatory.create(
            entity=entity, person=priya, title="Managing Director", limit_amount=Decimal(1_000_000),
            limit_currency="EUR", authority="Board resolution of 3 March 2026", created_at=now,
        ),
        customer=customer,
        claire=Contact.create(
            counterparty=customer, name="Claire Aubert", email="claire@castellan.example",
            title="IT Director", phone="+33612345638", role="it", language="fr", created_at=now,
        ),
        marc=Contact.create(
            counterparty=customer, name="Marc Delorme", email="marc@castellan.example",
            title="Managing Director", phone="+33698765412", role="executive", language="fr",
            created_at=now,
        ),
        stranger_company=stranger_company,
    )  # fmt: skip


def sign_in(client: Any, who: Person, now: datetime) -> None:
    """Give the browser a full session of this person, as if every factor had been checked."""
    from portal.pages import guards
    from portal.services import sessions

    token = sessions.open_for(who, stage="full", now=now)
    client.set_cookie(guards.cookie_name(), token)
