"""We, the others, and the people on both sides."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.people import Person


class LegalEntity(KeyedModel):
    """One company of ours that can be party to a contract."""

    name = peewee.TextField()
    form = peewee.TextField(default="")
    registration = peewee.TextField(default="")
    address = peewee.TextField(default="")
    country = peewee.TextField(default="GB")
    governing_law = peewee.TextField(default="")
    courts = peewee.TextField(default="")
    zone = peewee.TextField(default="Europe/London")
    currency = peewee.TextField(default="EUR")
    languages = JsonField(default=list)
    reference_prefix = peewee.TextField(default="C")
    email = peewee.TextField(default="")
    phone = peewee.TextField(default="")
    logo = peewee.BlobField(null=True)
    logo_type = peewee.TextField(default="")  # image/svg+xml or image/png
    logo_mail = peewee.BlobField(null=True)  # the same as a small PNG for mails, made by a job
    sender_name = peewee.TextField(default="")  # From of mails about its contracts; empty: as set for all
    sender_address = peewee.TextField(default="")
    is_eu_only = peewee.BooleanField(default=False)  # sends through accounts in the EU alone
    created_at = UtcField()
    retired_at = UtcField(null=True)


class Signatory(KeyedModel):
    """Who may sign for a legal entity, up to what value, until when, and what says so."""

    entity = peewee.ForeignKeyField(LegalEntity, backref="signatories", on_delete="CASCADE")
    person = peewee.ForeignKeyField(Person, backref="signatory_of")
    title = peewee.TextField()
    limit_amount = peewee.DecimalField(max_digits=18, decimal_places=2, null=True)  # null: no limit
    limit_currency = peewee.TextField(default="EUR")
    valid_from = peewee.DateField(null=True)
    valid_until = peewee.DateField(null=True)
    authority = peewee.TextField(default="")  # the document that says so, in words
    authority_document_id = peewee.TextField(null=True)
    created_at = UtcField()
    ended_at = UtcField(null=True)


class Counterparty(KeyedModel):
    """The other company: a customer where we supply, a vendor where we buy."""

    name = peewee.TextField(index=True)
    form = peewee.TextField(default="")
    registration = peewee.TextField(default="", index=True)
    address = peewee.TextField(default="")
    country = peewee.TextField(default="")
    language = peewee.TextField(default="en")
    zone = peewee.TextField(default="Europe/London")
    created_at = UtcField()


# Found in whatever case the name is typed.
Counterparty.add_index(Counterparty.index(peewee.fn.LOWER(Counterparty.name), name="counterparty_name_lower"))


class Contact(KeyedModel):
    """A person at a counterparty."""

    counterparty = peewee.ForeignKeyField(Counterparty, backref="contacts", on_delete="CASCADE")
    name = peewee.TextField()
    email = peewee.TextField(index=True)  # lower case
    title = peewee.TextField(default="")
    phone = peewee.TextField(default="")
    role = peewee.TextField(default="")  # sales | it | legal | procurement | executive
    language = peewee.TextField(default="en")
    created_at = UtcField()

    class Meta:
        indexes = ((("counterparty", "email"), True),)
