"""A person's calendar of contracts under a secret address: first days, last days, last days to give notice.

The address holds 256 random bits, of which only the SHA-256 is kept; a new one ends the former. What
it shows is what its person may read at that moment, in their language. An entry holds the reference and
the title of a contract, and nobody's name.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta

from portal.documents import calendar_file
from portal.documents.calendar_file import Day
from portal.errors import NotFound
from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.base import lock_row, transaction
from portal.models.contracts import Contract
from portal.models.lives import ContractTerm
from portal.models.people import Person
from portal.models.views import CalendarFeed
from portal.services import audit, contract_states, installation, permissions
from portal.services.audit import Actor

BACK, AHEAD, MOST = timedelta(days=60), timedelta(days=5 * 366), 2_000
ENDED = ("draft", *contract_states.WITHOUT_FORCE, "archived")


def of(person: Person) -> CalendarFeed | None:
    found: CalendarFeed | None = CalendarFeed.get_or_none(CalendarFeed.person == person)
    return found


def make(person: Person, *, shows_all: bool, by: Actor, now: datetime) -> str:
    """A fresh secret for the address, to be shown this one time; a former one ends."""
    permissions.demand(person, "contract.read")
    token = secrets.token_urlsafe(32)
    with transaction():
        lock_row(Person.select(Person.id).where(Person.id == person.id)).get()
        CalendarFeed.delete().where(CalendarFeed.person == person).execute()
        made = CalendarFeed.create(
            person=person, token_sha256=digest(token), shows_all=shows_all, created_at=now
        )
        audit.append("calendar.opened", ("calendar", made.id), chain=audit.INSTALLATION, by=by, now=now,
                     facts={"all": shows_all})  # fmt: skip
    return token


def end(person: Person, *, by: Actor, now: datetime) -> None:
    """The address answers nothing any more; the same again does nothing."""
    with transaction():
        feed = of(person)
        if feed is None:
            return
        CalendarFeed.delete().where(CalendarFeed.id == feed.id).execute()
        audit.append("calendar.closed", ("calendar", feed.id), chain=audit.INSTALLATION, by=by, now=now)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read(token: str, now: datetime) -> bytes:
    """The calendar under this secret. Raises NotFound for one that is not, or no longer, given out."""
    if not 20 <= len(token) <= 100:
        raise NotFound
    feed = CalendarFeed.select(CalendarFeed, Person).join(Person)
    found = feed.where(CalendarFeed.token_sha256 == digest(token)).first()
    if found is None or not permissions.allows(found.person, "contract.read"):
        raise NotFound
    with use(found.person.language, found.person.zone):
        return calendar_file.calendar(_("Contracts"), days(found, now), now)


def days(feed: CalendarFeed, now: datetime) -> Iterator[Day]:
    first, last = now.date() - BACK, now.date() + AHEAD
    base = installation.address()
    words = {
        "start": _("first day"), "end": _("last day"), "notice": _("last day to give notice"),
    }  # fmt: skip
    for contract, term in contracts(feed):
        found = {
            "start": contract.start_on,
            "end": term.ends_on if term else contract.end_on,
            "notice": term.notice_on if term else None,
        }
        for kind, on in found.items():
            if on is not None and first <= on <= last:
                summary = f"{contract.reference} {contract.title}: {words[kind]}"
                url = f"{base}/contracts/{contract.reference}"
                yield Day(f"{contract.id}-{kind}@countersign", on, summary, url)


def contracts(feed: CalendarFeed) -> Iterator[tuple[Contract, ContractTerm | None]]:
    query = Contract.select().where(Contract.state.not_in(ENDED) & Contract.end_on.is_null(False))
    if not feed.shows_all:
        query = query.where(Contract.owner == feed.person)
    found = list(query.order_by(Contract.end_on.desc(), Contract.id).limit(MOST))
    terms: dict[str, ContractTerm] = {}
    for start in range(0, len(found), 500):
        part = [each.id for each in found[start : start + 500]]
        rows = ContractTerm.select().where(ContractTerm.is_current & ContractTerm.contract.in_(part))
        terms |= {row.contract_id: row for row in rows}  # type: ignore[attr-defined]
    for each in found:
        yield each, terms.get(each.id)
