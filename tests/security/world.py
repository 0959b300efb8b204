"""One rich installation per test process: every role, a contract in each state, signers at every screen.

It is built once and copied back after whatever a test changed, so that each request meets the same
facts. PDFs are typeset once: what is tried here is who may do what with which input.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

from argon2 import PasswordHasher

from portal import i18n, settings
from portal.channels import oidc
from portal.clock import utc_now
from portal.documents import children, demonstration, intake, render
from portal.documents.images import PageImage
from portal.documents.verify import Verdict
from portal.models import base, schema
from portal.models.approvals import Approval
from portal.models.base import db
from portal.models.bulk import BulkRow
from portal.models.campaigns import Campaign, CampaignContract
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope, OutsideFactor, Recipient
from portal.models.event_receivers import EventDelivery
from portal.models.imports import ArchiveImport, ImportedEnvelope
from portal.models.jobs import Job
from portal.models.lives import ContractLife
from portal.models.negotiation import Comment, Negotiator
from portal.models.notices import Notice
from portal.models.parties import Contact, Counterparty, LegalEntity, Signatory
from portal.models.people import Person, PersonRole, Session
from portal.models.sign_on import SignOnLink
from portal.services import (
    account_checks,
    acts,
    annex_changes,
    approval_rules,
    approvers,
    bulk,
    calendar_feeds,
    ceremonies,
    clause_library,
    comments,
    connections,
    contracts,
    deletions,
    documents,
    entities,
    envelopes,
    event_receivers,
    existing,
    existing_batches,
    factors,
    handlers,
    imports,
    installation,
    invitation_codes,
    jobs,
    key_sets,
    letters,
    links,
    negotiation,
    new_contracts,
    outside_factors,
    passwords,
    people,
    permissions,
    person_tokens,
    policies,
    proposals,
    publication,
    revisions,
    saved_views,
    second_factors,
    sessions,
    sign_on_providers,
    tasks,
    template_drafts,
    templates,
    uploads,
    verification,
)
from portal.services.audit import SYSTEM, Actor
from portal.services.builtin_ceremony import BuiltinCeremony
from portal.services.negotiation import Party
from providers import registry
from providers.interface import Account, EventKind, ExecutedFile, ProviderEvent
from tests.cast import Cast, assemble
from tests.services import existing as samples
from tests.services import signing

PASSWORD = "a long walk along the harbour"
PICTURE = (
    b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
)
ISSUER = "http://127.0.0.1:9"  # where nothing answers
PUBLIC_ISSUER = "https://sign-on.invalid"  # where http is taken from nobody; no page asks it anything
LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8"/></svg>'
# Words that stand only in what strangers, people of other companies and other signers must not see.
SECRETS = ("Zephyrine", "Castellan", "castellan.example", "Quillgate", "LF-20", "larkfield.example")
# A pair that is good at /open; filled when the world is built.
TYPED: dict[str, str] = {}
STAFF = {
    "legal": "Lena", "finance": "Finn", "service_approver": "Sina", "privacy": "Prue",
    "executive": "Egon", "service_manager": "Mona", "auditor": "Audrey",
}  # fmt: skip


@dataclass(frozen=True)
class Persona:
    """A browser: who sits at it, and what its cookies prove."""

    name: str
    cookies: tuple[tuple[str, str], ...] = ()
    person: Person | None = None
    recipient: Recipient | None = None

    @property
    def is_staff(self) -> bool:
        return self.person is not None and self.person.is_staff and self.name not in ("half", "disabled")


@dataclass
class World:
    """Everything a test may name."""

    settings: settings.Settings
    cast: Cast
    now: datetime
    contracts: dict[str, Contract] = field(default_factory=dict)
    envelopes: dict[str, Envelope] = field(default_factory=dict)
    recipients: dict[str, Recipient] = field(default_factory=dict)
    personas: dict[str, Persona] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    image: sqlite3.Connection | None = None
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def is_sqlite(self) -> bool:
        return self.settings.database_url.startswith("sqlite")

    def keep(self) -> None:
        """Remember the present state as the one to come back to."""
        if self.is_sqlite:
            self.image = sqlite3.connect(":memory:", check_same_thread=False)
            db.connection().backup(self.image)
            self.digests = self.tables()

    def back(self) -> None:
        """Undo everything since `keep`; nothing to do where the database cannot (PostgreSQL)."""
        if self.image is not None:
            while db.in_transaction():
                db.rollback()
            self.image.backup(db.connection())

    def written(self) -> int:
        """How often this connection has written a row: unchanged means that nothing was changed."""
        return int(db.connection().total_changes) if self.is_sqlite else -1

    def tables(self) -> dict[str, str]:
        """A digest of every row of every table."""
        return {
            model._meta.table_name: hashlib.sha256(repr(rows_of(model)).encode()).hexdigest()
            for model in schema.tables()
        }

    def changed(self) -> list[str]:
        """Tables that differ from the kept state."""
        now = self.tables()
        return sorted(name for name in now if now[name] != self.digests[name])

    def rows(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Every row by table and key, as plain values, to say what a request changed."""
        return {model._meta.table_name: keyed(model) for model in schema.tables()}


def rows_of(model: Any) -> list[Any]:
    query = f'SELECT * FROM "{model._meta.table_name}"'
    return sorted(db.execute_sql(query).fetchall(), key=repr)


def keyed(model: Any) -> dict[str, dict[str, Any]]:
    cursor = db.execute_sql(f'SELECT * FROM "{model._meta.table_name}"')
    columns = [each[0] for each in cursor.description]
    primary = model._meta.primary_key
    names = (
        [model._meta.fields[each].column_name for each in primary.field_names]
        if hasattr(primary, "field_names")
        else [primary.column_name]
    )
    found = {}
    for row in cursor.fetchall():
        values = dict(zip(columns, row, strict=True))
        found[json.dumps([str(values[name]) for name in names])] = values
    return found


# --- PDFs that are made once --------------------------------------------------------------------


def canned_rendering(contract: Contract, revision: Any, **_how: Any) -> render.Rendered:
    """The one PDF of this process, with a spot for everybody who signs."""
    made = signing.printed(1, 2)
    spot = made.placements[0]
    keys = [each["key"] for each in contract.recipients if each["role"] == "signer"]
    spots = [dataclasses.replace(spot, recipient_key=key) for key in keys]
    return dataclasses.replace(made, placements=spots)


def canned_pages(pdf: bytes) -> list[documents.StoredPage]:
    image = PageImage(1, 794, 1123, PICTURE, "Page 1\n\nThe Supplier answers within 30 minutes.")
    return [documents.StoredPage(image, documents.put(PICTURE, "pages"))]


def canned_intake(content: bytes, **_limits: Any) -> intake.Admitted:
    """What is no PDF is refused as ever; what is one is taken as harmless."""
    if b"%PDF-" not in content[:1024]:
        raise children.Refused("not_pdf" if content else "empty")
    return intake.Admitted(signing.printed(1, 2).pdf, 2, [], [], [(595.0, 842.0)] * 2)


def canned_check(content: bytes, ca: bytes) -> Verdict:
    """What nobody here has sealed; verification has tests of its own."""
    return Verdict(False, "foreign", ("not_ours",))


def canned_description(_client: oidc.Client, *, fresh: bool = False) -> tuple[oidc.Kept, oidc.Metadata]:
    """What an identity provider that has just gone down last said about itself."""
    places = (f"{ISSUER}/{name}" for name in ("go", "token", "keys", "me"))
    known = oidc.Metadata(*places, posts_secret=True, names_itself=True, algorithms=(), challenges=())
    return oidc.Kept(0.0, known), known


@contextlib.contextmanager
def quick_work() -> Iterator[None]:
    """PDFs made once, passwords hashed and passphrases stretched cheaply."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    cheap = hasher.hash("nobody has this password")
    with (
        mock.patch.object(passwords, "hasher", return_value=hasher),
        mock.patch.object(passwords, "nobodys_hash", return_value=cheap),  # else it would outlive this
        mock.patch.dict(key_sets.COST, n=2**10),
        mock.patch.object(revisions, "rendering", canned_rendering),
        mock.patch.object(letters, "typeset", return_value=signing.printed(1, 2).pdf),
        mock.patch.object(documents, "put_pages", canned_pages),
        mock.patch.object(intake, "admit", canned_intake),
        mock.patch.object(demonstration, "sample_pdf", return_value=signing.printed(1, 2).pdf),
        mock.patch.object(verification, "checked", canned_check),
        mock.patch.object(oidc, "look_up", canned_description),
    ):
        yield


# --- Building -------------------------------------------------------------------------------------


def found(folder: Path, **more: str) -> settings.Settings:
    """Settings with keys of their own, and a seal that is older than the story."""
    environ = {"COUNTERSIGN_DATA_DIR": str(folder)} | {f"COUNTERSIGN_{name}": v for name, v in more.items()}
    given = settings.read(environ, create_keys=True)
    made_at = utc_now() - timedelta(days=40)
    installation.create_authority(given, name="Larkfield Software Ltd", now=made_at)
    return given


def build(given: settings.Settings) -> World:
    """Tell the whole story; `installation` is open on an empty, migrated database."""
    handlers.load()
    registry.set_ceremony(BuiltinCeremony())
    i18n.activate("en")
    now = utc_now() - timedelta(days=20)
    templates.seed(now=now)
    policies.seed(now=now)
    approval_rules.seed(now=now)
    cast = assemble(now)
    world = World(given, cast, utc_now())
    with quick_work():
        staff(world, now)
        companies(world, now)
        drafts(world, now)
        talks(world, now)
        over(world, now + timedelta(days=1))
        open_request(world, world.now - timedelta(hours=1))
        another_request(world, world.now - timedelta(hours=1))
        bulk_sends(world, world.now)
        signed_elsewhere(world, world.now)
        outside_people(world)
        one_time_links(world)
        provider_account(world, now)
        told_of_events(world)
        kept_by_ana(world)
    template_writing(world, now)
    identity_provider(world, now)
    keep_awake(world)
    world.ids |= {
        "notice": [row.id for row in Notice.select(Notice.id).order_by(Notice.id)],
        "template_version": [version.id for version in templates.offered()],
        "policy_rule": [rule.id for rule in policies.all_rules()],
        "approval_rule": [rule.id for rule in approval_rules.all_rules()],
        "job": [failed_mail(world)],
    }
    world.keep()
    return world


def failed_mail(world: World) -> int:
    """A mail that came back an hour ago; returns the job that carried it."""
    at = world.now - timedelta(hours=1)
    notice = Notice.select().where(Notice.kind == "completed").order_by(Notice.id).first()
    Notice.update(status="failed", failure="550 no such mailbox").where(Notice.id == notice.id).execute()
    Job.update(status="failed", run_at=at, finished_at=at, last_error="550 no such mailbox").where(
        Job.key == f"deliver:{notice.id}"
    ).execute()
    return int(Job.get(Job.key == f"deliver:{notice.id}").id)


def staff(world: World, now: datetime) -> None:
    """Somebody in every role, each signed in with a fresh code; and the unlucky ones."""
    cast = world.cast
    hashed = passwords.hashed(PASSWORD)
    found = {"ana": cast.ana, "ben": cast.ben, "ada": cast.ada, "priya": cast.priya}
    for role, name in STAFF.items():
        found[role] = Person.create(
            email=f"{name.lower()}@larkfield.example", name=name, created_at=now, activated_at=now
        )
        PersonRole.create(person=found[role], role=role)
    for name, person in found.items():
        second_factors.enrol(person, second_factors.new_secret())
        Person.update(password_hash=hashed).where(Person.id == person.id).execute()
        world.personas[name] = signed_in(name, person, world.now)
    invited, token = people.invite(
        "ines@larkfield.example", name="Ines", roles=["owner"], by=SYSTEM, now=world.now, mail=False
    )
    world.tokens["invitation"] = token
    disabled = Person.create(
        email="dora@larkfield.example", name="Dora", created_at=now, activated_at=now, disabled_at=now
    )
    half = Person.create(email="hal@larkfield.example", name="Hal", created_at=now, activated_at=now)
    fresh = Person.create(email="fred@larkfield.example", name="Fred", created_at=now, activated_at=now)
    for person in (disabled, half):
        second_factors.enrol(person, second_factors.new_secret())
        PersonRole.create(person=person, role="administrator")
    PersonRole.create(person=fresh, role="owner")
    nora = Person.create(
        email="nora@larkfield.example", name="Nora", is_sample=True, created_at=now, activated_at=now,
        factor_failures=second_factors.MOST_FAILURES,
    )  # fmt: skip
    world.personas["disabled"] = signed_in("disabled", disabled, world.now)
    world.personas["half"] = signed_in("half", half, world.now, stage=sessions.PASSWORD)
    world.personas["fresh"] = signed_in("fresh", fresh, world.now, stage=sessions.PASSWORD)
    world.personas["stale"] = signed_in("stale", cast.ada, world.now, stepped_up=False)
    world.personas["stranger"] = Persona("stranger")
    Person.update(email="cleo@corvid.example").where(Person.id == cast.cleo.id).execute()
    world.personas["cleo"] = signed_in("cleo", Person.get_by_id(cast.cleo.id), world.now)
    world.ids["person"] = [cast.ben.id, invited.id, disabled.id, nora.id]


def identity_provider(world: World, now: datetime) -> None:
    """One whose button stands on the sign-in page; it has just gone down."""
    values = {
        "name": "Sign-on", "client_id": "countersign", "client_secret": "a secret", "scopes": "",
        "issuer": ISSUER if world.settings.base_url_is_local else PUBLIC_ISSUER,
        "hosted_domain": "", "domains": [], "role_claim": "", "role_map": {},
        "unknown": "refuse", "first_role": "", "believes_factor": True, "acr": "",
    }  # fmt: skip
    made = sign_on_providers.connect("generic", values, by=SYSTEM, now=now)
    SignOnLink.create(
        provider=made, person=world.cast.ben, issuer=made.issuer, subject="ben", linked_at=now, seen_at=now
    )
    world.ids["sign_on_provider"] = [made.id]


def provider_account(world: World, now: datetime) -> None:
    """An account at an e-signature provider, with its agreement and one file brought over from it."""
    typed = {"method": "api_key", "api_key": "Quillgate key", "basic_token": "Quillgate token"}
    made = connections.create("signnow", "Quillgate account", typed, by=SYSTEM, now=now, server=ISSUER)
    connections.checked(made, Account("Quillgate 1", "Quillgate"), by=SYSTEM, now=now)
    day = now.date()
    agreement = uploads.take(signing.printed(1, 2).pdf, "Quillgate.pdf", person=world.cast.ada, now=now)
    account_checks.keep_agreement(
        made, agreement, day - timedelta(days=9), day + timedelta(days=900), by=SYSTEM, now=now
    )
    run = ArchiveImport.create(
        connection=made, since_at=now - timedelta(days=9), until_at=now, is_listed=True, listed=1, total=1,
        status="done", created_at=now, ended_at=now,
    )  # fmt: skip
    row = ImportedEnvelope.create(connection=made, remote_id="Quillgate-9", title="Quillgate order")
    for key in (f"{row.id}-brought", f"{row.id}-brought-evidence"):
        imports.put_once(key, signing.printed(1, 2).pdf)
    pdf = signing.printed(1, 2).pdf
    imports.record(row, ExecutedFile(pdf, pdf, "application/pdf"), now)
    world.ids |= {
        "connection": [made.id], "archive_import": [run.id], "imported_envelope": [row.id],
    }  # fmt: skip


def told_of_events(world: World) -> None:
    """A program that is told of events, and one message that nobody has taken yet."""
    receiver, _secret = event_receivers.add(
        "Zephyrine CRM", "https://hooks.invalid/in", (), by=SYSTEM, now=world.now
    )
    event_receivers.test(receiver, by=SYSTEM, now=world.now)
    Job.update(run_at=world.now + timedelta(days=2)).where(Job.kind == "deliver_event").execute()
    deliveries = [row.id for row in EventDelivery.select(EventDelivery.id)]
    world.ids |= {"event_receiver": [receiver.id], "event_delivery": deliveries}


def kept_by_ana(world: World) -> None:
    """A view of hers, and her calendar."""
    view = saved_views.keep(
        world.cast.ana, "Zephyrine drafts", {"state": "draft"}, shared=False, by=by(world), now=world.now
    )
    world.ids["saved_view"] = [view.id]
    world.tokens["calendar"] = calendar_feeds.make(
        world.cast.ana, shows_all=True, by=by(world), now=world.now
    )


def template_writing(world: World, now: datetime) -> None:
    """A template being written, one that waits for approval, and a retired one."""
    ada = world.cast.ada
    by_ada = signing.actor(ada)
    source = templates.offered()[0]
    writing = template_drafts.begin(
        {"en": "Zephyrine writing"}, source=source, author=ada, by=by_ada, now=now
    )
    asked = template_drafts.begin({"en": "Zephyrine asked"}, source=source, author=ada, by=by_ada, now=now)
    publication.ask(asked, "Quillgate wording", by=by_ada, now=now)
    old = templates.publish(
        "zephyrine-old", {"en": "Zephyrine old"}, source.clauses[:2], source.levels, change_note="Quillgate",
        by=SYSTEM, now=now,
    )  # fmt: skip
    templates.retire(old.template, by=by_ada, now=now)
    words = {"heading": {"en": "Zephyrine"}, "text": {"en": "Zephyrine words."}}
    other = {"level": "approval", "role": "legal", "text": {"en": "Quillgate words."}}
    shared = clause_library.create(
        {"en": "Zephyrine clause"}, {**words, "applies_when": "phi", "role": "legal", "positions": [other]},
        person=ada, by=by_ada, now=now,
    )  # fmt: skip
    clause_library.take_in(writing, shared, "", person=ada, by=by_ada, now=now)
    world.ids["library_clause"] = [shared.clause.key]
    bringing = Campaign.create(
        version=source, note="Quillgate campaign", created_by=ada, created_at=now, ended_at=now
    )
    CampaignContract.create(
        campaign=bringing, contract=world.contracts["signed"], problem="Quillgate problem", done_at=now
    )
    world.ids |= {"template_draft": [writing.id, asked.id], "campaign": [bringing.id]}


def signed_in(
    name: str, person: Person, now: datetime, *, stage: str = sessions.FULL, stepped_up: bool = True
) -> Persona:
    from portal.pages import guards

    token = sessions.open_for(person, stage=stage, now=now)
    if stepped_up and stage == sessions.FULL:
        Session.update(stepped_up_at=now).where(Session.sha256 == sessions.digest(token)).execute()
    return Persona(name, ((guards.cookie_name(), token),), person)


def bulk_sends(world: World, now: datetime) -> None:
    """A file that was checked, with a wrong row; and one PDF for everyone, paused with a row that failed."""
    header = b"Company,Signer,Email,Level,Product,Fee,Currency,Start,Months\r\n"
    line = b"Castellan Pharma SA,Claire Aubert,%b,Standard,Zephyrine Many,300,EUR,2027-01-01,12\r\n"
    given = bulk.Answers(
        entity=world.cast.entity, signatory=world.cast.signatory, title="Zephyrine many",
        version=next(v for v in templates.offered() if v.template.key == "business-hours"),
    )  # fmt: skip
    checked = bulk.create(
        given, header + line % b"claire@castellan.example" + line % b"nobody", "Zephyrine.csv",
        owner=world.cast.ana, by=by(world), now=now,
    )  # fmt: skip
    upload = uploads.take(signing.printed(1, 2).pdf, "Zephyrine code.pdf", person=world.cast.ana, now=now)
    same = bulk.Answers(entity=world.cast.entity, document=upload, title="Zephyrine code")
    people = b"Company,Signer,Email\r\nCastellan Pharma SA,Claire Aubert,claire@castellan.example\r\n"
    paused = bulk.create(same, people, "Zephyrine people.csv", owner=world.cast.ana, by=by(world), now=now)
    bulk.start(paused, leave_out=False, by=by(world), now=now)
    bulk.pause(paused, by=by(world), now=now)
    BulkRow.update(state="failed", problem="Quillgate problem").where(BulkRow.batch == paused).execute()
    world.ids["batch"] = [checked.id, paused.id]


def signed_elsewhere(world: World, now: datetime) -> None:
    """A contract registered from paper whose terms wait to be confirmed, and a file of more of them."""
    given = samples.said(world.cast, title="Zephyrine paper", product="Zephyrine paper")
    made = existing.register(given, samples.pdf(), "Zephyrine paper.pdf", by=by(world), now=now)
    existing.note_typing(made, by=by(world), now=now)
    world.contracts["elsewhere"] = Contract.get_by_id(made.id)
    signs = Signatory.create(
        entity=world.cast.entity, person=world.cast.ben, title="Director", created_at=now
    )
    letters.draft(
        world.contracts["elsewhere"], letters.Asked("end", signs.id, "Quillgate ground"),
        by=by(world), now=now,
    )  # fmt: skip
    archived = existing.register(
        samples.said(world.cast, title="Zephyrine old"),
        samples.pdf(9),
        "Zephyrine old.pdf",
        by=by(world),
        now=now,
    )
    Contract.update(state="archived").where(Contract.id == archived.id).execute()
    ContractLife.update(
        closed_on=now.date() - timedelta(days=400), archived_at=now, checked_at=now, retain_until=now.date()
    ).where(ContractLife.contract == archived).execute()
    legal = world.personas["legal"].person
    assert legal is not None
    world.contracts["archived"] = Contract.get_by_id(archived.id)
    deletions.ask(world.contracts["archived"], "Quillgate reason", person=legal, by=SYSTEM, now=now)
    lines = (samples.line(2, title="Zephyrine two"), samples.line(3, title="Zephyrine three", side="both"))
    pack = samples.zip_of({"2.pdf": samples.pdf(2), "3.pdf": samples.pdf(3)})
    batch = existing_batches.create(
        samples.csv_of(*lines), "Zephyrine paper.csv", pack, "Zephyrine paper.zip", owner=world.cast.ana,
        by=by(world), now=now,
    )  # fmt: skip
    world.ids["existing_batch"] = [batch.id]


def companies(world: World, now: datetime) -> None:
    cast = world.cast
    Counterparty.update(name="Castellan Pharma SA").where(Counterparty.id == cast.customer.id).execute()
    entities.set_logo(cast.entity, LOGO, by=SYSTEM, now=now)
    writer = {"sender_name": "Larkfield Contracts", "sender_address": "contracts@larkfield.example"}
    LegalEntity.update(writer).where(LegalEntity.id == cast.entity.id).execute()
    spare = LegalEntity.create(name="Larkfield Labs Ltd", languages=["en"], created_at=now)
    Signatory.create(
        entity=spare, person=cast.ben, title="Director", authority="Quillgate resolution", created_at=now
    )
    corvid = Contact.create(
        counterparty=cast.stranger_company, name="Cora Vane", email="cora@corvid.example", created_at=now
    )
    world.ids |= {
        "entity": [cast.entity.id, spare.id],
        "party": [cast.customer.id, cast.stranger_company.id],
        "contact": [cast.claire.id, cast.marc.id, corvid.id],
        "signatory": [cast.signatory.id],
    }


def answers(world: World, name: str, **changes: Any) -> new_contracts.FastLane:
    version = next(v for v in templates.offered() if v.template.key == "business-hours")
    given = new_contracts.FastLane(
        template_version_id=version.id, level="standard", side="supplier", party="Castellan Pharma SA",
        signatory_id=world.cast.signatory.id, their_name="Claire Aubert",
        their_email="claire@castellan.example",
        their_title="IT Director", product=f"Zephyrine {name}", fee=Decimal("300.00"), currency="EUR",
        start_on=world.now.date(), length_months=12,
    )  # fmt: skip
    return dataclasses.replace(given, **changes)


def draft(world: World, name: str, now: datetime, *, owner: Person | None = None, **changes: Any) -> Contract:
    owner = owner or world.cast.ana
    by = Actor("person", owner.id, owner.name, owner.email)
    made = new_contracts.fast_lane(answers(world, name, **changes), owner=owner, by=by, now=now)
    for each in made.recipients:
        each["language"] = "en"
    Contract.update(recipients=made.recipients).where(Contract.id == made.id).execute()
    world.contracts[name] = Contract.get_by_id(made.id)
    return world.contracts[name]


def by(world: World) -> Actor:
    return signing.actor(world.cast.ana)


def ready(world: World, name: str, now: datetime, recipients: Any = None, **changes: Any) -> Contract:
    made = draft(world, name, now, **changes)
    if recipients is not None:
        Contract.update(recipients=recipients).where(Contract.id == made.id).execute()
        made = Contract.get_by_id(made.id)
    revisions.make_ready(made, by=by(world), now=now)
    world.contracts[name] = Contract.get_by_id(made.id)
    return world.contracts[name]


def send(world: World, name: str, now: datetime, recipients: Any = None, **changes: Any) -> Envelope:
    made = ready(world, name, now, recipients, **changes)
    envelope = envelopes.send(
        made, message="Quillgate note", expires_at=now + timedelta(days=30), by=by(world), now=now
    )
    jobs.run_due("world", lambda: now)
    world.envelopes[name] = Envelope.get_by_id(envelope.id)
    world.contracts[name] = Contract.get_by_id(made.id)
    for row in Recipient.select().where(Recipient.envelope == envelope):
        world.recipients[f"{name}.{row.key}"] = row
    return world.envelopes[name]


def drafts(world: World, now: datetime) -> None:
    draft(world, "draft", now)
    draft(world, "bens", now, owner=world.cast.ben)
    ready(world, "ready", now)
    asked_to_approve(world, now)
    withdrawn = draft(world, "withdrawn", now)
    contracts.withdraw(withdrawn, reason="Quillgate reason", by=by(world), now=now)
    file = draft(world, "file", now)
    upload = uploads.take(signing.printed(1, 2).pdf, "Zephyrine order.pdf", person=world.cast.ana, now=now)
    uploads.attach(file, upload, mode=revisions.READING, by=by(world), now=now)
    world.contracts["file"] = Contract.get_by_id(file.id)
    annex = uploads.take(signing.printed(1, 2).pdf, "Zephyrine prices.pdf", person=world.cast.ana, now=now)
    annex_changes.attach(
        world.contracts["draft"], annex, kind="price_list", name="Zephyrine prices", by=by(world), now=now
    )
    annex_changes.set_order(
        world.contracts["draft"], "Quillgate master", ["contract", "master"], by=by(world), now=now
    )
    world.contracts["draft"] = Contract.get_by_id(world.contracts["draft"].id)
    kept = uploads.take(signing.printed(1, 2).pdf, "kept.pdf", person=world.cast.ana, now=world.now)
    world.ids["kept"] = [kept.id]


def asked_to_approve(world: World, now: datetime) -> None:
    """A deal whose fee asks Finance, and somebody who stands in for the person there."""
    ready(world, "approval", now, fee=Decimal("9500.00"))
    assert world.contracts["approval"].state == "approval"
    Approval.update(reason="Quillgate reason", why="Quillgate why").execute()
    absent = world.personas["finance"].person
    day = world.now.date()
    row = approvers.add_substitute(absent, world.cast.ben, day, day, by=SYSTEM, now=world.now)
    world.ids["substitute"] = [row.id]


def talks(world: World, now: datetime) -> None:
    """A text being negotiated: Claire has proposed, Ana has answered and said something among colleagues."""
    made = draft(world, "talks", now)
    ana, at = world.cast.ana, now + timedelta(hours=1)
    claire = negotiation.invite(
        made, name="Claire Aubert", email="claire@castellan.example", language="en", by=by(world), now=now
    )
    comments.add(made, us(ana), "", "Quillgate fallback", internal=True, now=now)
    row = Comment.get()
    comments.settle(made, row.id, us(ana), now=now)
    negotiation.share(made, note="Zephyrine text", by=by(world), now=now)
    them = Party("theirs", claire.name, claire.email, negotiator=claire)
    clauses = revisions.current(made).clauses
    for place, after in (
        ("terms.severities.S1.response", {"min": 15, "calendar": "business"}),
        (f"clauses.{clauses[1]['key']}", {"en": "Zephyrine words", "fr": "Mots Zephyrine"}),
    ):
        proposals.add(made, them, place, after, note="Zephyrine why", now=at)
    proposals.add(
        made, us(ana), "terms.severities.S1.response", {"min": 50, "calendar": "business"},
        note="Zephyrine more", now=at,
    )  # fmt: skip
    comments.add(made, them, "", "Zephyrine question", now=at)
    comments.add(made, us(ana), "", "Quillgate between us", internal=True, now=at)
    token = sessions.new_token()
    Negotiator.update(
        link_sha256=sessions.digest(token), link_expires_at=world.now + timedelta(days=30)
    ).where(Negotiator.id == claire.id).execute()
    world.tokens["negotiate"] = token
    world.contracts["talks"] = Contract.get_by_id(made.id)


def us(person: Person) -> Party:
    return Party("ours", person.name, person.email, person=person)


def over(world: World, now: datetime) -> None:
    """What has ended: signed, declined, called back, run out."""
    envelope = send(world, "signed", now)
    for key in ("theirs-1", "ours-1"):
        recipient = world.recipients[f"signed.{key}"]
        ceremonies.sign_as_sample(
            Recipient.get_by_id(recipient.id), by=recipient_actor(recipient), now=now + timedelta(hours=1)
        )
        jobs.run_due("world", lambda: now + timedelta(hours=1))
    declined = send(world, "declined", now)
    event = ProviderEvent(EventKind.DECLINED, now, recipient_key="theirs-1", reason="Quillgate too dear")
    envelopes.apply_event(
        declined.id, event, by=recipient_actor(world.recipients["declined.theirs-1"]), now=now
    )
    voided = send(world, "voided", now)
    world.tokens["voided"] = links.issue(Recipient.get_by_id(world.recipients["voided.theirs-1"].id), now=now)
    envelopes.void(voided, reason="Quillgate start date", by=by(world), now=now)
    expired = send(world, "expired", now)
    world.tokens["expired"] = links.issue(
        Recipient.get_by_id(world.recipients["expired.theirs-1"].id), now=now
    )
    envelopes.apply_event(expired.id, ProviderEvent(EventKind.EXPIRED, now), by=SYSTEM, now=now)
    jobs.run_due("world", lambda: now + timedelta(hours=2))
    for name in ("signed", "declined", "voided", "expired"):
        world.contracts[name] = Contract.get_by_id(world.contracts[name].id)
        world.envelopes[name] = Envelope.get_by_id(world.envelopes[name].id)
    assert world.envelopes["signed"].executed is not None, "the signed contract was not sealed"
    assert envelope.id == world.envelopes["signed"].id


def recipient_actor(recipient: Recipient) -> Actor:
    return Actor("recipient", recipient.id, recipient.name, recipient.email, "192.0.2.7", "Browser/1")


# Who is asked in the open request: key, what differs, the factors that hold, how far they came.
SIGNERS: tuple[tuple[str, dict[str, Any], list[str], str], ...] = (
    ("claire", {}, [], "read"),
    ("marc", {}, [], "invited"),
    ("nina", {}, [], "consent"),
    ("theo", {}, ["sms"], "code"),
    ("tess", {"phone": "+33612345639"}, ["sms"], "read"),
    ("vera", {}, ["totp"], "enrol"),
    ("tom", {}, ["totp"], "totp"),
    ("hana", {"phone": ""}, ["totp"], "handed"),
    ("gina", {}, [], "review"),
    ("carl", {"is_consumer": True, "organisation": ""}, [], "consent"),
    ("noah", {}, [], "not_for_me"),
    ("hugo", {"role": "copy"}, [], "copy"),
)


def open_request(world: World, now: datetime) -> None:
    """One request out for signature, its people at every screen."""
    asked = [
        {**signing.theirs(key, name=f"{key.title()} Aubert", language="en"), **changes}
        for key, changes, _factors, _at in SIGNERS
    ]
    asked.append({**signing.ours(world.cast), "key": "ours-1", "routing_order": 2})
    envelope = send(world, "signing", now, asked)
    for key, _changes, wanted, at in SIGNERS:
        Recipient.update(factors=wanted).where(
            (Recipient.envelope == envelope) & (Recipient.key == key)
        ).execute()
        come_to(world, f"signing.{key}", at, now)
    row = world.recipients["signing.nina"]
    tasks.add("paper", world.contracts["signing"], row, now=now, text="Quillgate street 1")
    jobs.run_due("world", lambda: now)
    approver = {**asked[0], "key": "paula", "name": "Paula Aubert", "role": "approver"}
    send(world, "approving", now, [approver, {**asked[-1], "routing_order": 1}])
    come_to(world, "approving.paula", "read", now)
    world.tokens["sign"] = links.issue(row_of(world, "signing.marc"), now=now)
    TYPED["reference"] = world.contracts["signing"].reference
    TYPED["code"] = invitation_codes.issue(row_of(world, "signing.marc"), now=world.now)
    world.tokens["copy"] = links.issue(row_of(world, "signed.theirs-1"), now=world.now, purpose=links.COPY)


def row_of(world: World, name: str) -> Recipient:
    world.recipients[name] = Recipient.get_by_id(world.recipients[name].id)
    return world.recipients[name]


def come_to(world: World, name: str, at: str, now: datetime) -> None:
    """Let a recipient's browser get as far as this screen; the persona has the recipient's key."""
    if at == "invited":
        return
    row = row_of(world, name)
    who, by_them = name.partition(".")[2], recipient_actor(row)
    link, place = ceremonies.of_link(
        links.issue(row, now=now, purpose="copy" if at == "copy" else "sign"), now
    )
    token = sessions.open_outside("", now=now)
    ceremonies.enter(link, place, sessions.digest(token), by=by_them, now=now)
    world.personas[who] = outside_persona(who, token, row)

    def find() -> ceremonies.Place:
        return ceremonies.find(row.id, token, now)

    if at not in ("consent", "copy"):
        acts.agree(find(), "en", None, by=by_them, now=now)
    if at == "code":
        factors.send_code(find(), by=by_them, now=world.now)
    if at == "enrol":
        factors.meet(find(), "sms", now)
        outside_factors.begin(find(), now)
    if at == "totp":
        secret = outside_factors.sealed_for(world.cast.customer.id, row.email, second_factors.new_secret())
        OutsideFactor.create(
            counterparty_id=world.cast.customer.id, email=row.email, secret=secret, enrolled_at=now,
            active_from=now, created_at=now, proof="mail_and_sms",
        )  # fmt: skip
    if at == "handed":
        outside_factors.hand_over(world.contracts["signing"], row.id, by=by(world), now=now)
    if at == "review":
        signature = acts.Signature("en", row.name, "IT Director", has_authority=True, has_read=True)
        acts.prepare(find(), signature, by=by_them, now=now)
    if at == "not_for_me":
        acts.not_for_me(find(), text="", by=by_them, now=now)


def outside_persona(name: str, token: str, recipient: Recipient | None) -> Persona:
    from portal.pages import outside

    return Persona(name, ((outside.cookie_name(), token),), recipient=recipient)


def another_request(world: World, now: datetime) -> None:
    """A request of another company: its signer must never see anything of Castellan's."""
    them = signing.theirs(
        "cora", name="Cora Vane", email="cora@corvid.example", organisation="Corvid CRM, Inc.", language="en"
    )
    send(
        world, "corvid", now, [them, {**signing.ours(world.cast), "key": "ours-1"}],
        party="Corvid CRM, Inc.", product="Magpie", their_name="Cora Vane", their_email="cora@corvid.example",
    )  # fmt: skip
    come_to(world, "corvid.cora", "read", now)


def outside_people(world: World) -> None:
    """A proved address without an account, and one who has signed."""
    token = sessions.open_outside("claire@castellan.example", now=world.now)
    world.personas["proved"] = outside_persona("proved", token, None)
    done = row_of(world, "signed.theirs-1")
    token = sessions.open_outside("", now=world.now)
    link, place = ceremonies.of_link(world.tokens["copy"], world.now)
    ceremonies.enter(link, place, sessions.digest(token), by=recipient_actor(done), now=world.now)
    world.personas["done"] = outside_persona("done", token, done)


def one_time_links(world: World) -> None:
    cast = world.cast
    world.tokens["password_reset"] = person_tokens.issue(
        person_tokens.RESET, email=cast.ben.email, person=cast.ben, now=world.now
    )
    world.tokens["access"] = person_tokens.issue(
        person_tokens.ACCESS, email="claire@castellan.example", person=None, now=world.now
    )


def keep_awake(world: World) -> None:
    """Sessions count as seen later than any test runs, so that only real changes are seen as such."""
    late = world.now + timedelta(hours=10)
    Session.update(seen_at=late, expires_at=world.now + timedelta(hours=12)).execute()
    Session.update(stepped_up_at=late).where(Session.stepped_up_at.is_null(False)).execute()
    jobs.run_due("world", lambda: world.now)
    assert not [j.last_error for j in jobs.Job.select().where(jobs.Job.last_error != "")]
    assert set(STAFF) | {"owner", "administrator"} == set(permissions.ROLES), "a role without a person here"


@contextlib.contextmanager
def marked_as_sample(world: World) -> Iterator[None]:
    """As if the installation held invented data only: the mailbox is open."""
    world.settings.sample_marker.write_text("invented")
    try:
        yield
    finally:
        world.settings.sample_marker.unlink()


def open_world(given: settings.Settings) -> None:
    """Make a world's installation the one of this process again; other tests opened theirs."""
    installation.open_installation(given)
    base.db.connect(reuse_if_open=True)
    if given.database_url.startswith("sqlite"):
        base.db.execute_sql("PRAGMA synchronous = off")
    i18n.activate("en")
