"""The invented company a newcomer meets: people in every role, two other parties, and contracts in
every state, in English and French. Only `make run` and `countersign demo` ever call this."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from portal import i18n
from portal.clock import utc_now
from portal.documents import render
from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.contracts import Contract, Revision
from portal.models.envelopes import Envelope, Recipient
from portal.models.parties import Counterparty, LegalEntity, Signatory
from portal.models.people import Person, PersonRole
from portal.services import (
    account_checks,
    approval_rules,
    approvals,
    approvers,
    ceremonies,
    closing,
    comments,
    connections,
    contracts,
    drafts,
    entities,
    envelopes,
    existing,
    following,
    handlers,
    installation,
    jobs,
    negotiation,
    new_contracts,
    parties,
    proposals,
    revisions,
    second_factors,
    templates,
)
from portal.services.audit import SYSTEM, Actor
from portal.services.builtin_ceremony import BuiltinCeremony
from portal.settings import Settings
from providers import registry
from providers.interface import EventKind, ProviderEvent

LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    b'<rect width="32" height="32" rx="6" fill="#1d4d4f"/>'
    b'<path d="M9 23V9l7 8 7-8v14" fill="none" stroke="#ffffff" stroke-width="3"/></svg>'
)
STAFF = (
    ("Nora Whitfield", "Sales operations manager", "en", ("owner",), "+442079460101"),
    ("Tomás Okafor", "Sales operations", "en", ("owner",), "+442079460102"),
    ("David Ruiz", "Managing Director", "en", ("executive",), "+442079460103"),
    ("Leïla Martin", "General Counsel", "fr", ("legal", "privacy"), "+33142680104"),
    ("Sam Porter", "Finance Director", "en", ("finance",), "+442079460105"),
    ("Ines Duarte", "Service manager", "en", ("service_manager", "service_approver"), "+442079460106"),
    ("Grace Lin", "IT administrator", "en", ("administrator",), "+442079460107"),
    ("Paul Meyer", "Internal auditor", "en", ("auditor",), "+442079460108"),
)


@dataclass(frozen=True)
class World:
    """What the stories below are told with."""

    nora: Person
    by: Actor
    entity: LegalEntity
    signatory: Signatory
    optics: Counterparty
    crm: Counterparty


def found(settings: Settings, *, now: datetime) -> None:
    """Make a new installation's seal a month old, as its first contracts will be."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    installation.create_authority(settings, name=str(OUR_COMPANY["name"]), now=now - timedelta(days=30))


def fill(settings: Settings, address: str, *, now: datetime) -> str:
    """Fill an empty installation, once, and say where to go. The text is for whoever started it."""
    if not settings.uses_mailbox or not settings.base_url_is_local:
        return f"Countersign is at {address}\nThis installation sends real messages: no sample data was made."
    if not Person.select(Person.id).exists() and not Contract.select(Contract.id).exists():
        print("Making the sample company and its contracts (about ten seconds, once).", flush=True)
        registry.set_ceremony(BuiltinCeremony())
        handlers.load()
        settings.sample_marker.write_text("This folder holds invented data.\n")
        approval_rules.seed(now)
        with i18n.use("en"):
            tell(make_world(now - timedelta(days=24)), now)
    if not settings.sample_marker.exists():
        return f"Countersign is at {address}"
    return welcome(address)


def connect_accounts(described: str) -> str:
    """Connect the simulated provider accounts of a JSON list, each once; what was done, for people."""
    with i18n.use("en"):
        for each in json.loads(described):
            if any(known.name == each["name"] for known in connections.all_connections()):
                Connection.update(server=each["server"]).where(Connection.name == each["name"]).execute()
                continue
            made = connections.create(
                each["provider"],
                each["name"],
                each["settings"],
                by=SYSTEM,
                now=utc_now(),
                server=each["server"],
            )
            account_checks.ask(made, now=utc_now())
    names = ", ".join(each.name for each in connections.all_connections())
    return f"Provider accounts: {names}. See Settings, E-signature providers."


def welcome(address: str) -> str:
    people = "\n".join(f"  {name}, {title.lower()}" for name, title, _language, _roles, _phone in STAFF)
    return f"""
Countersign is at {address}

Sample people, each one press away on the sign-in page:
{people}

What to try
  1. Sign in as Nora Whitfield and draft a contract: eight answers are enough.
  2. Send it. Every mail, text message and authenticator code is at {address}/mailbox
  3. Open the link there as the customer, sign, and check the sealed PDF at {address}/verify
  4. Sign in as Sam Porter: a contract waits for his approval.
"""


# --- the company -------------------------------------------------------------------------------


def make_world(now: datetime) -> World:
    people = {name: make_person(name, *rest, now=now) for name, *rest in STAFF}
    nora, david = people["Nora Whitfield"], people["David Ruiz"]
    entity = entities.save(None, OUR_COMPANY, by=SYSTEM, now=now)
    entities.set_logo(entity, LOGO, by=SYSTEM, now=now)
    signatory = entities.add_signatory(
        entity,
        {
            "person": david.id, "title": "Managing Director", "limit_amount": Decimal(1_000_000),
            "limit_currency": "EUR", "valid_until": date(now.year + 2, 12, 31),
            "authority": "Board resolution of 3 March 2026",
        },
        by=SYSTEM, now=now,
    )  # fmt: skip
    entities.add_signatory(
        entity,
        {
            "person": people["Sam Porter"].id, "title": "Finance Director", "limit_amount": Decimal(50_000),
            "limit_currency": "EUR", "authority": "Signature rules of 1 January 2026",
        },
        by=SYSTEM, now=now,
    )  # fmt: skip
    optics = parties.add(OPTICS, by=SYSTEM, now=now)
    crm = parties.add(CRM, by=SYSTEM, now=now)
    for party, contacts in ((optics, OPTICS_PEOPLE), (crm, CRM_PEOPLE)):
        for contact in contacts:
            parties.add_contact(party, contact, by=SYSTEM, now=now)
    return World(nora, actor(nora), entity, signatory, optics, crm)


def make_person(
    name: str, title: str, language: str, roles: tuple[str, ...], phone: str, *, now: datetime
) -> Person:
    """Somebody who can be signed in by one press; their authenticator's code is on the mailbox page."""
    email = fold(name) + "@mereworth.example"
    person: Person = Person.create(
        email=email, name=name, title=title, language=language, phone=phone, is_sample=True,
        zone="Europe/Paris" if language == "fr" else "Europe/London", created_at=now, activated_at=now,
    )  # fmt: skip
    second_factors.enrol(person, second_factors.new_secret())
    for role in roles:
        PersonRole.create(person=person, role=role)
    return person


def fold(name: str) -> str:
    import unicodedata

    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return plain.split()[0]


def actor(person: Person) -> Actor:
    return Actor("person", person.id, person.name, person.email, "127.0.0.1", "sample")


# --- the contracts -----------------------------------------------------------------------------


def tell(world: World, now: datetime) -> None:
    """One contract for each state people can meet."""
    day = timedelta(days=1)
    small = answers(world)
    signed = ready(world, replace(small, product="Mereworth Quote"), now - 22 * day)
    sign_all(send(world, signed, now - 21 * day), now - 20 * day)

    declined = ready(
        world, replace(small, product="Mereworth Forecast", fee=Decimal("1400.00")), now - 15 * day
    )
    decline(send(world, declined, now - 14 * day), now - 13 * day)

    voided = ready(world, replace(small, product="Mereworth Catalogue"), now - 12 * day)
    envelope = send(world, voided, now - 11 * day)
    envelopes.void(
        envelope,
        reason="The start date was wrong; a corrected contract follows.",
        by=world.by,
        now=now - 10 * day,
    )

    withdrawn = draft(world, replace(small, product="Mereworth Archive"), now - 9 * day)
    contracts.withdraw(withdrawn, reason="The customer keeps its old system.", by=world.by, now=now - 8 * day)

    high = replace(
        small, product="Mereworth Pricing", level="premium", fee=Decimal("15500.00"), length_months=36
    )
    run(send(world, ready(world, high, now - 3 * day), now - 2 * day), now - 2 * day)

    waiting = replace(small, product="Mereworth Orders", fee=Decimal("850.00"))
    run(send(world, ready(world, waiting, now - 2 * day, theirs_first=True), now - day), now - day)

    ready(world, vendor(world), now - 5 * timedelta(hours=1))
    put_up(world, now - 3 * timedelta(hours=1))
    negotiate(world, now - 26 * timedelta(hours=1))
    draft(world, replace(small, product="Mereworth Stock", length_months=24), now - 2 * timedelta(hours=1))
    draft(world, replace(vendor(world), product="Brightwell Campaigns"), now - timedelta(hours=1))
    after_signature(world, now)


# --- after signature ---------------------------------------------------------------------------


def after_signature(world: World, now: datetime) -> None:
    """Signed on paper long ago: one to decide about soon, one that was closed, one in the archive."""
    today, day = now.date(), timedelta(days=1)
    paper(
        world, "Support for Brightwell Mail", now, start_on=today - 660 * day, end_on=today + 72 * day,
        renewal="tacit", renewal_months=12, notice_value=60, notice_unit="days",
    )  # fmt: skip
    for title, closed_on in (
        ("Support for Mereworth Ledger", today - 30 * day),
        ("Support for Mereworth Classic", today - 400 * day),
    ):
        contract = paper(world, title, now, start_on=closed_on - 750 * day, end_on=closed_on - 20 * day)
        end(contract, closed_on, now)
    jobs.add("archive_contracts", now=now, key="sample-archive")
    jobs.run_due("sample", lambda: now)


def paper(world: World, title: str, now: datetime, **dates: Any) -> Contract:
    said = existing.Existing(
        title=title, side="customer" if "Brightwell" in title else "supplier", entity=world.entity,
        party=(world.crm if "Brightwell" in title else world.optics).name, owner=world.nora,
        signed_on=dates["start_on"] - timedelta(days=9), fee=Decimal("640.00"), currency="EUR",
        level="standard", **dates,
    )  # fmt: skip
    return existing.register(said, page(title), f"{title}.pdf", by=world.by, now=now)


def end(contract: Contract, closed_on: date, now: datetime) -> None:
    """Let its term run out, then close it as the service manager does."""
    with transaction():
        following.follow(contract, now=now)
    manager = Person.get(Person.name == "Ines Duarte")
    fresh = Contract.get_by_id(contract.id)
    closing.close(fresh, closed_on=closed_on, done=closing.DUTIES, by=actor(manager), now=now)


def page(title: str) -> bytes:
    """What a scanned contract would be: one page of its own."""
    mine = {"name": str(OUR_COMPANY["name"]), "lines": [str(OUR_COMPANY["address"])]}
    return render.letter_pdf(
        {
            "language": "en", "title": title, "footer": title, "page_of": "Page {page} of {pages}",
            "draft": "", "dated": "", "dated_at": "2020-01-01T00:00:00+00:00", "sender": mine,
            "addressee": {"name": "", "lines": []},
            "parts": [{"language": "en", "subject": title, "paragraphs": ["Signed on paper."]}],
            "signed_for": "For both parties", "signatory": "Signed on paper", "position": "", "signature": "",
            "signed": "",
        }
    )  # fmt: skip


def answers(world: World) -> new_contracts.FastLane:
    """We supply; the customer reads and signs in French."""
    return new_contracts.FastLane(
        template_version_id=version("business-hours"),
        level="standard",
        side="supplier",
        party=world.optics.name,
        signatory_id=world.signatory.id,
        their_name="Élodie Garnier",
        their_email="elodie.garnier@meridien-optique.example",
        their_title="Directrice des systèmes d’information",
        product="Mereworth Quote",
        fee=Decimal("900.00"),
        currency="EUR",
        start_on=first_of_next_month(),
        length_months=12,
    )


def vendor(world: World) -> new_contracts.FastLane:
    """We buy; the vendor signs in English."""
    return replace(
        answers(world), side="customer", party=world.crm.name, product="Brightwell CRM",
        their_name="Jordan Blake", their_email="jordan.blake@brightwell.example",
        their_title="VP Customer Success", fee=Decimal("2400.00"),
    )  # fmt: skip


def version(key: str) -> str:
    return next(str(v.id) for v in templates.offered() if v.template.key == key)


def first_of_next_month() -> date:
    today = date.today()  # noqa: DTZ011 (an invented contract may start on anybody's next month)
    return date(today.year + today.month // 12, today.month % 12 + 1, 1)


def draft(world: World, given: new_contracts.FastLane, now: datetime) -> Contract:
    return new_contracts.fast_lane(given, owner=world.nora, by=world.by, now=now)


def ready(
    world: World, given: new_contracts.FastLane, now: datetime, *, theirs_first: bool = False
) -> Contract:
    contract = draft(world, given, now)
    for person in contract.recipients:
        if person["side"] == "theirs" and not person["phone"]:
            person["phone"] = "+33612345638"
        if theirs_first:
            person["routing_order"] = 1 if person["side"] == "theirs" else 2
    Contract.update(recipients=contract.recipients).where(Contract.id == contract.id).execute()
    contract = Contract.get_by_id(contract.id)
    revisions.make_ready(contract, by=world.by, now=now)
    give_approvals(contract, now)
    return Contract.get_by_id(contract.id)


def give_approvals(contract: Contract, now: datetime) -> None:
    """Whoever is asked says yes."""
    while contract.state == "approval":
        row = next(each for each in approvals.of(contract) if each.state == "asked")
        person = approvers.to_ask(contract, row.roles, now)[0]
        approvals.approve(contract, sha256=row.sha256, by=actor(person), now=now)


def put_up(world: World, now: datetime) -> None:
    """One that waits for Legal and Finance: a higher liability cap and a fee over the limit."""
    given = replace(answers(world), product="Mereworth Rebates", level="premium", fee=Decimal("9500.00"))
    contract = draft(world, given, now)

    def change(revision: Revision) -> None:
        terms = copy.deepcopy(revision.terms)
        terms["commercial"]["liability_cap"] = {"fee_months": 18}
        terms["severities"][0]["response"]["min"] = 25
        revision.terms = terms

    drafts.write(contract, "liability", change, by=world.by, now=now)
    revisions.make_ready(contract, by=world.by, now=now)
    jobs.run_due("sample", lambda: now)


def negotiate(world: World, now: datetime) -> None:
    """One whose vendor has read the text, asked something and proposed a figure and a wording."""
    given = replace(vendor(world), product="Brightwell Insights", fee=Decimal("1250.00"))
    contract = draft(world, given, now)
    jordan = negotiation.invite(
        contract, name=given.their_name, email=given.their_email, language="en", by=world.by, now=now
    )
    negotiation.share(contract, note="Our draft for next year. Please answer here.", by=world.by, now=now)
    later = now + timedelta(hours=20)
    them = negotiation.Party("theirs", jordan.name, jordan.email, negotiator=jordan)
    clause = revisions.current(contract).clauses[3]
    words = {name: f"{text}\n\n{MORE_WORDS[name]}" for name, text in clause["text"].items()}
    asked = {"min": 90, "calendar": "business"}
    proposals.add(
        contract, them, "terms.severities.S1.response", asked, note="We answer from one time zone.", now=later
    )
    proposals.add(contract, them, f"clauses.{clause['key']}", words, now=later)
    comments.add(contract, them, "", "Who is our contact during your holidays?", now=later)
    us = negotiation.Party("ours", world.nora.name, world.nora.email, person=world.nora)
    inside = "Ninety minutes is fine for reporting, not for the checkout."
    comments.add(contract, us, "terms.severities.S1.response", inside, internal=True, now=later)
    jobs.run_due("sample", lambda: later)


MORE_WORDS = {
    "en": "The Supplier names one person who speaks for it while an incident is open.",
    "fr": "Le Prestataire désigne une personne qui parle en son nom tant qu’un incident est ouvert.",
}


def send(world: World, contract: Contract, now: datetime) -> Envelope:
    envelope = envelopes.send(contract, message="", expires_at=now + timedelta(days=30), by=world.by, now=now)
    return run(envelope, now)


def run(envelope: Envelope, now: datetime) -> Envelope:
    """Let the jobs of this story happen at its own time."""
    jobs.run_due("sample", lambda: now)
    return Envelope.get_by_id(envelope.id)


def sign_all(envelope: Envelope, now: datetime) -> None:
    for recipient in envelopes.recipients_of(envelope):
        if recipient.role == "signer":
            act(recipient, ceremonies.sign_as_sample, now)
            run(envelope, now)


def decline(envelope: Envelope, now: datetime) -> None:
    theirs = [r for r in envelopes.recipients_of(envelope) if r.status in ("sent", "opened")]
    event = ProviderEvent(
        EventKind.DECLINED,
        now,
        recipient_key=theirs[0].key,
        reason="The fee is above our budget for this year.",
    )
    envelopes.apply_event(envelope.id, event, by=recipient_actor(theirs[0]), now=now)
    run(envelope, now)


def act(recipient: Recipient, how: Callable[..., Any], now: datetime) -> None:
    how(Recipient.get_by_id(recipient.id), by=recipient_actor(recipient), now=now)


def recipient_actor(recipient: Recipient) -> Actor:
    return Actor("recipient", recipient.id, recipient.name, recipient.email, "127.0.0.1", "sample")


OUR_COMPANY = {
    "name": "Mereworth Software Ltd",
    "form": "private limited company",
    "registration": "11482096",
    "address": "8 Tanner Street, London SE1 3LE, United Kingdom",
    "country": "GB",
    "governing_law": "England and Wales",
    "courts": "London",
    "zone": "Europe/London",
    "currency": "EUR",
    "languages": ["en", "fr"],
    "reference_prefix": "MW",
    "email": "contracts@mereworth.example",
    "phone": "+442079460100",
}
OPTICS = {
    "name": "Méridien Optique SA",
    "form": "société anonyme",
    "registration": "RCS Lyon 482 913 076",
    "address": "31 quai Perrache, 69002 Lyon, France",
    "country": "FR",
    "language": "fr",
    "zone": "Europe/Paris",
}
CRM = {
    "name": "Brightwell CRM, Inc.",
    "form": "corporation",
    "registration": "Delaware 7741920",
    "address": "520 Harbor Avenue, Boston, MA 02210, United States",
    "country": "US",
    "language": "en",
    "zone": "America/New_York",
}
OPTICS_PEOPLE = (
    {"name": "Élodie Garnier", "email": "elodie.garnier@meridien-optique.example", "role": "it",
     "title": "Directrice des systèmes d’information", "phone": "+33612345638", "language": "fr"},
    {"name": "Hugo Lambert", "email": "hugo.lambert@meridien-optique.example", "role": "procurement",
     "title": "Acheteur", "phone": "+33698765412", "language": "fr"},
    {"name": "Camille Roussel", "email": "camille.roussel@meridien-optique.example", "role": "legal",
     "title": "Juriste", "phone": "", "language": "fr"},
)  # fmt: skip
CRM_PEOPLE = (
    {"name": "Jordan Blake", "email": "jordan.blake@brightwell.example", "role": "sales",
     "title": "VP Customer Success", "phone": "+16175550142", "language": "en"},
    {"name": "Avery Stone", "email": "avery.stone@brightwell.example", "role": "legal",
     "title": "Counsel", "phone": "", "language": "en"},
)  # fmt: skip
