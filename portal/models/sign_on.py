"""Identity providers that staff sign in with, and who of ours is who of theirs."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.people import Person


class SignOnProvider(KeyedModel):
    """One OpenID provider as an administrator connected it. Its issuer never changes."""

    kind = peewee.TextField()  # google | microsoft | generic
    name = peewee.TextField()  # on the button
    issuer = peewee.TextField(unique=True)
    client_id = peewee.TextField()
    client_secret = peewee.TextField()  # encrypted, bound to this row
    scopes = peewee.TextField(default="")  # besides openid, email and profile
    hosted_domain = peewee.TextField(default="")  # Google Workspace
    domains = JsonField(default=list)  # of mail addresses that may come in; empty for any
    role_claim = peewee.TextField(default="")
    role_map = JsonField(default=dict)  # our role to the values that give it
    unknown = peewee.TextField(default="refuse")  # refuse | make
    first_role = peewee.TextField(default="")  # of people who are made
    believes_factor = peewee.BooleanField(default=False)
    acr = peewee.TextField(default="")  # the value by which it says that two factors were proved
    created_at = UtcField()
    paused_at = UtcField(null=True)


class SignOnLink(KeyedModel):
    """A person as the provider knows them: by issuer and subject, never by mail address."""

    provider = peewee.ForeignKeyField(SignOnProvider, backref="links", on_delete="CASCADE")
    person = peewee.ForeignKeyField(Person, backref="sign_on_links", on_delete="CASCADE")
    issuer = peewee.TextField()
    subject = peewee.TextField()
    linked_at = UtcField()
    seen_at = UtcField()

    class Meta:
        indexes = ((("issuer", "subject"), True),)


def active_providers() -> list[SignOnProvider]:
    """Those whose button stands on the sign-in page, in the order they were connected."""
    query = SignOnProvider.select().where(SignOnProvider.paused_at.is_null())
    return list(query.order_by(SignOnProvider.created_at, SignOnProvider.id))


def confirming_providers(person: Person) -> list[SignOnProvider]:
    """Active ones that know this person and whose second factor is believed."""
    query = SignOnProvider.select().join(SignOnLink).where(SignOnLink.person == person)
    query = query.where(SignOnProvider.paused_at.is_null() & SignOnProvider.believes_factor)
    return list(query.order_by(SignOnProvider.created_at, SignOnProvider.id))


def forget_links(person: Person) -> None:
    """The provider's accounts are nobody's until they are linked again, by a verified mail address."""
    SignOnLink.delete().where(SignOnLink.person == person).execute()
