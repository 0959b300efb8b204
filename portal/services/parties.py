"""Counterparties (our customers and vendors) and the people we know there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

import peewee

from portal.errors import Invalid, NotFound
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.parties import Contact, Counterparty
from portal.services import audit, contract_search

FIELDS = ("name", "form", "registration", "address", "country", "language", "zone")
CONTACT_FIELDS = ("name", "email", "title", "phone", "role", "language")
PAGE_SIZE = 50
# Countries whose companies are written to in French unless somebody says otherwise.
LANGUAGE_OF = {"FR": "fr", "MC": "fr"}
ZONE_OF = {
    "AT": "Europe/Vienna",
    "BE": "Europe/Brussels",
    "CH": "Europe/Zurich",
    "DE": "Europe/Berlin",
    "DK": "Europe/Copenhagen",
    "ES": "Europe/Madrid",
    "FI": "Europe/Helsinki",
    "FR": "Europe/Paris",
    "GB": "Europe/London",
    "IE": "Europe/Dublin",
    "IT": "Europe/Rome",
    "LU": "Europe/Luxembourg",
    "NL": "Europe/Amsterdam",
    "NO": "Europe/Oslo",
    "PL": "Europe/Warsaw",
    "PT": "Europe/Lisbon",
    "SE": "Europe/Stockholm",
    "US": "America/New_York",
}


def get(party_id: str) -> Counterparty:
    found = Counterparty.get_or_none(Counterparty.id == party_id)
    if found is None:
        raise NotFound
    return found


def page(*, words: str = "", after: str = "") -> tuple[list[Counterparty], str]:
    """Counterparties by name, from behind the one called `after`; and the next `after` ("" at the end)."""
    query = Counterparty.select().where(Counterparty.name > after) if after else Counterparty.select()
    typed = words.strip()
    if typed:
        like = typed.replace("\\", "").replace("%", "").replace("_", "")
        query = query.where((Counterparty.name ** f"{like}%") | (Counterparty.registration == typed))
    rows = list(query.order_by(Counterparty.name).limit(PAGE_SIZE + 1))
    return rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].name if len(rows) > PAGE_SIZE else ""


def names(most: int = 200) -> list[str]:
    """Names offered while somebody types one; the newest parties first."""
    query = Counterparty.select(Counterparty.name).order_by(Counterparty.id.desc()).limit(most)
    return sorted({row.name for row in query}, key=contract_search.fold)


def find(name: str) -> Counterparty | None:
    """The party of this name or registration number; case and spaces do not matter."""
    typed = " ".join(name.split())
    exact = (Counterparty.name == typed) | (
        (Counterparty.registration == typed) & (Counterparty.registration != "")
    )
    found: Counterparty | None = Counterparty.select().where(exact).first()
    if found is None and typed:
        near = Counterparty.select().where(peewee.fn.LOWER(Counterparty.name) == typed.lower())
        found = near.first()
    return found


def find_many(names: Iterable[str]) -> dict[str, Counterparty]:
    """As `find` for many names in two queries, by the name as typed; those we do not know are left out."""
    typed = {name: " ".join(name.split()) for name in names if name.strip()}
    said = sorted(set(typed.values()))
    found: dict[str, Counterparty] = {}
    for row in Counterparty.select().where(Counterparty.name.in_(said) | Counterparty.registration.in_(said)):
        found.setdefault(row.registration, row)
        found[row.name] = row
    missing = sorted({name.lower() for name in said if name not in found})
    lower = peewee.fn.LOWER(Counterparty.name)
    query: Any = Counterparty.select(Counterparty, lower.alias("lowered")).where(lower.in_(missing))
    near = {row.lowered: row for row in query}
    known = {name: found.get(one_line) or near.get(one_line.lower()) for name, one_line in typed.items()}
    return {name: party for name, party in known.items() if party is not None}


def usual(name: str, *, country: str = "", language: str = "") -> dict[str, str]:
    """What a new party begins with: its language and zone follow its country."""
    return {
        "name": name,
        "country": country,
        "language": language or LANGUAGE_OF.get(country, "en"),
        "zone": ZONE_OF.get(country, "Europe/London"),
    }


def find_or_add(
    name: str, *, country: str = "", language: str = "", by: audit.Actor, now: datetime
) -> Counterparty:
    """The party of this name, made when it is new."""
    found = find(name)
    if found is not None:
        return found
    return add(usual(name, country=country, language=language), by=by, now=now)


def add(values: Mapping[str, Any], *, by: audit.Actor, now: datetime) -> Counterparty:
    """A new counterparty. Raises Invalid when its name is empty or taken."""
    name = " ".join(str(values.get("name", "")).split())
    if not name:
        raise Invalid({"name": _("Give the company’s name.")})
    if find(name) is not None:
        raise Invalid({"name": _("There is a company of this name already.")})
    with transaction():
        made = Counterparty.add(
            **{field: values[field] for field in FIELDS if field in values} | {"name": name}, created_at=now
        )
        audit.append(
            "party.added", ("party", made.id), chain=audit.INSTALLATION, by=by, now=now,
            personal={"name": name},
        )  # fmt: skip
    return cast(Counterparty, made)


def save(party: Counterparty, values: Mapping[str, Any], *, by: audit.Actor, now: datetime) -> None:
    """Change a counterparty; its contracts are found by the new name from now on."""
    name = " ".join(str(values["name"]).split())
    if not name:
        raise Invalid({"name": _("Give the company’s name.")})
    other = find(name)
    if other is not None and other.id != party.id:
        raise Invalid({"name": _("There is a company of this name already.")})
    with transaction():
        renamed = party.name != name
        for field in FIELDS:
            setattr(party, field, name if field == "name" else values[field])
        party.save()
        if renamed:
            for contract in Contract.select().where(Contract.counterparty == party):
                contract_search.index(contract)
        audit.append("party.changed", ("party", party.id), chain=audit.INSTALLATION, by=by, now=now)


# -- Contacts -----------------------------------------------------------------------------------


def contacts(party: Counterparty) -> list[Contact]:
    return list(Contact.select().where(Contact.counterparty == party).order_by(Contact.name, Contact.id))


def contact(party: Counterparty, contact_id: str) -> Contact:
    """One of the party's people. Raises NotFound for another party's."""
    found = Contact.get_or_none((Contact.id == contact_id) & (Contact.counterparty == party))
    if found is None:
        raise NotFound
    return found


def add_contact(party: Counterparty, values: Mapping[str, Any], *, by: audit.Actor, now: datetime) -> Contact:
    """Somebody new at a party; `email` is their key there. Raises Invalid when it is taken."""
    email = str(values["email"]).lower()
    taken = Invalid({"email": _("Somebody with this address is listed already.")})
    if Contact.select().where((Contact.counterparty == party) & (Contact.email == email)).exists():
        raise taken
    try:
        with transaction():
            kept = {field: values[field] for field in CONTACT_FIELDS if field in values} | {"email": email}
            made = Contact.add(counterparty=party, created_at=now, **kept)
            audit.append(
                "contact.added", ("contact", made.id), chain=audit.INSTALLATION, by=by, now=now,
                facts={"party": party.id}, personal={"name": made.name, "email": email},
            )  # fmt: skip
    except peewee.IntegrityError as error:  # somebody else was adding them at the same moment
        raise taken from error
    return cast(Contact, made)


def save_contact(someone: Contact, values: Mapping[str, Any], *, by: audit.Actor, now: datetime) -> None:
    """Change somebody's details. Raises Invalid when the address belongs to another contact there."""
    email = str(values["email"]).lower()
    taken = Contact.select().where(
        (Contact.counterparty == someone.counterparty_id)  # type: ignore[attr-defined]
        & (Contact.email == email)
        & (Contact.id != someone.id)
    )
    if taken.exists():
        raise Invalid({"email": _("Somebody with this address is listed already.")})
    with transaction():
        for field in CONTACT_FIELDS:
            setattr(someone, field, email if field == "email" else values[field])
        someone.save()
        audit.append("contact.changed", ("contact", someone.id), chain=audit.INSTALLATION, by=by, now=now)


def contact_for(
    party: Counterparty,
    name: str,
    email: str,
    *,
    by: audit.Actor,
    now: datetime,
    title: str = "",
    phone: str = "",
    language: str = "",
) -> Contact:
    """The party's contact with this address, made when it is new. Name and title typed last are kept.

    A telephone number fills an empty one only: codes go there, so another is changed on its own page.
    """
    found = Contact.get_or_none((Contact.counterparty == party) & (Contact.email == email.lower()))
    if found is None:
        values = {"name": name, "email": email, "title": title, "phone": phone}
        return add_contact(party, values | {"language": language or party.language}, by=by, now=now)
    typed = {"name": name, "title": title, "phone": "" if found.phone else phone}
    changed = {field: value for field, value in typed.items() if value and value != getattr(found, field)}
    for field, value in changed.items():
        setattr(found, field, value)
    if changed:
        found.save()
    return found
