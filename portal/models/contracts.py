"""Contracts, their revisions, contacts and documents."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField
from portal.models.parties import Contact, Counterparty, LegalEntity
from portal.models.people import Person
from portal.models.templates import TemplateVersion


class Contract(KeyedModel):
    reference = peewee.TextField(unique=True)
    title = peewee.TextField()
    # support | file (an uploaded PDF, with or without terms) | amendment
    kind = peewee.TextField(default="support")
    side = peewee.TextField()  # supplier | customer: which one we are
    state = peewee.TextField(default="draft")
    owner = peewee.ForeignKeyField(Person, backref="contracts")
    entity = peewee.ForeignKeyField(LegalEntity)
    counterparty = peewee.ForeignKeyField(Counterparty, null=True, backref="contracts")
    template_version = peewee.ForeignKeyField(TemplateVersion, null=True)
    signatory_id = peewee.TextField(null=True)  # ours
    languages = JsonField(default=lambda: ["en"])  # one, or two in facing columns
    prevailing_language = peewee.TextField(default="en")
    value_amount = peewee.DecimalField(max_digits=18, decimal_places=2, default=0)
    currency = peewee.TextField(default="EUR")
    start_on = peewee.DateField(null=True)
    end_on = peewee.DateField(null=True)
    has_phi = peewee.BooleanField(default=False)
    flags = JsonField(default=list)
    # Who will sign, approve or get a copy, until it is sent: [{key, side, role, routing_order, name,
    # email, title, organisation, phone, language, is_consumer, person_id}]
    recipients = JsonField(default=list)
    copied_from_id = peewee.TextField(null=True)
    parent_id = peewee.TextField(null=True, index=True)  # the contract that an amendment changes
    amendment_number = peewee.IntegerField(null=True)  # 1 for A1
    renews_id = peewee.TextField(null=True, index=True)  # the contract it follows
    deleted_at = UtcField(null=True)  # only its tombstone is left
    master_agreement = peewee.TextField(default="")  # a reference of ours, or its name and date
    precedence = JsonField(default=list)  # which document prevails, first to last; see services/annexes.py
    version = peewee.IntegerField(default=1)  # grows with every save; forms carry it back
    search_text = peewee.TextField(default="")  # a space before each word it is found by
    waiting_for = peewee.TextField(default="")  # one line for lists
    created_at = UtcField()
    updated_at = UtcField()

    class Meta:
        indexes = (
            (("state", "updated_at", "id"), False),
            (("owner", "state", "updated_at", "id"), False),
            (("owner", "updated_at", "id"), False),
            (("counterparty", "updated_at", "id"), False),
            (("side", "updated_at", "id"), False),
            (("updated_at", "id"), False),
            (("end_on", "id"), False),
            (("value_amount", "id"), False),
        )


class ContractContact(Model):
    """Somebody named in a contract, on either side, in a role."""

    contract = peewee.ForeignKeyField(Contract, backref="people", on_delete="CASCADE")
    side = peewee.TextField()  # ours | theirs
    role = peewee.TextField()  # owner | sales | it | legal | procurement | executive | service | signatory
    person = peewee.ForeignKeyField(Person, null=True)
    contact = peewee.ForeignKeyField(Contact, null=True)

    class Meta:
        indexes = ((("contract", "side", "role", "person", "contact"), True),)


class Revision(KeyedModel):
    """One state of the text. Frozen, `canonical` is kept as bytes and never rebuilt."""

    contract = peewee.ForeignKeyField(Contract, backref="revisions", on_delete="CASCADE")
    number = peewee.IntegerField()
    clauses = JsonField()
    terms = JsonField()
    author = peewee.ForeignKeyField(Person, null=True)
    created_at = UtcField()
    shared_at = UtcField(null=True)  # when the other side was shown it; never changed from then on
    share_note = peewee.TextField(default="")  # what our side wrote with it
    frozen_at = UtcField(null=True)
    canonical = peewee.BlobField(null=True)
    sha256 = peewee.TextField(null=True)

    class Meta:
        indexes = ((("contract", "number"), True),)


class Document(KeyedModel):
    """One file. Its bytes live encrypted in the store under `storage_key`."""

    contract = peewee.ForeignKeyField(Contract, null=True, backref="documents", on_delete="CASCADE")
    revision = peewee.ForeignKeyField(Revision, null=True, backref="documents")
    kind = peewee.TextField()  # upload | shown | executed | authority | preview
    file_name = peewee.TextField()
    sha256 = peewee.TextField(index=True)
    size_bytes = peewee.IntegerField()
    pages = peewee.IntegerField(default=0)
    storage_key = peewee.TextField()
    facts = JsonField(default=dict)  # placements; what intake removed; names of earlier signatures
    version = peewee.IntegerField(default=1)
    envelope_id = peewee.TextField(null=True)  # whose finished file this is: each version once
    created_at = UtcField()

    class Meta:
        indexes = ((("envelope_id", "kind", "version"), True), (("kind", "size_bytes"), False))


class PageImage(Model):
    """A page as picture and text; the picture lies in the store."""

    document = peewee.ForeignKeyField(Document, backref="page_images", on_delete="CASCADE")
    number = peewee.IntegerField()
    width = peewee.IntegerField()
    height = peewee.IntegerField()
    text = peewee.TextField()
    storage_key = peewee.TextField()

    class Meta:
        primary_key = peewee.CompositeKey("document", "number")


class RegisteredFile(Model):
    """A finished file by its SHA-256: what `/verify` says yes to."""

    sha256 = peewee.TextField(primary_key=True)
    kind = peewee.TextField()  # executed | sealed | provider
    document_id = peewee.TextField(null=True)
    envelope_id = peewee.TextField(null=True)
    facts = JsonField(default=dict)
    registered_at = UtcField()


class ReferenceCounter(Model):
    """The last number given out under a prefix and year."""

    series = peewee.TextField(primary_key=True)
    last = peewee.IntegerField()


class ContractWord(Model):
    """Words a contract is found by, folded; searched by prefix."""

    word = peewee.TextField()
    contract = peewee.ForeignKeyField(Contract, on_delete="CASCADE")

    class Meta:
        primary_key = peewee.CompositeKey("word", "contract")
