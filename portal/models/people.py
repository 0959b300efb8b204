"""People who sign in, their roles, second factors and sessions."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField


class Person(KeyedModel):
    """Staff, or an outside contact with an account (`counterparty_id` set)."""

    email = peewee.TextField(unique=True)  # lower case
    name = peewee.TextField()
    title = peewee.TextField(default="")
    phone = peewee.TextField(default="")  # E.164
    language = peewee.TextField(default="en")
    zone = peewee.TextField(default="Europe/London")
    counterparty_id = peewee.TextField(null=True, index=True)
    password_hash = peewee.TextField(null=True)
    totp_secret = peewee.TextField(null=True)  # encrypted
    totp_last_step = peewee.IntegerField(default=0)
    factor_failures = peewee.IntegerField(default=0)
    is_sample = peewee.BooleanField(default=False)
    created_at = UtcField()
    activated_at = UtcField(null=True)
    disabled_at = UtcField(null=True)

    @property
    def is_staff(self) -> bool:
        return self.counterparty_id is None


class PersonRole(Model):
    person = peewee.ForeignKeyField(Person, backref="roles", on_delete="CASCADE")
    role = peewee.TextField()

    class Meta:
        primary_key = peewee.CompositeKey("person", "role")


class PersonToken(Model):
    """A mailed one-time link: invitation, password reset, access to one's own contracts."""

    sha256 = peewee.TextField(primary_key=True)
    person = peewee.ForeignKeyField(Person, null=True, on_delete="CASCADE")
    email = peewee.TextField()
    purpose = peewee.TextField()
    created_at = UtcField()
    expires_at = UtcField()
    used_at = UtcField(null=True)


class RecoveryCode(Model):
    person = peewee.ForeignKeyField(Person, backref="recovery_codes", on_delete="CASCADE")
    sha256 = peewee.TextField(unique=True)
    used_at = UtcField(null=True)


class Session(Model):
    """A signed-in browser, staff or outside. The cookie carries a token, the row its SHA-256."""

    sha256 = peewee.TextField(primary_key=True)
    person = peewee.ForeignKeyField(Person, null=True, backref="sessions", on_delete="CASCADE")
    email = peewee.TextField(default="")  # outside people without an account
    stage = peewee.TextField()  # password | full | outside
    created_at = UtcField()
    seen_at = UtcField()
    expires_at = UtcField()
    stepped_up_at = UtcField(null=True)
    address = peewee.TextField(default="")
    user_agent = peewee.TextField(default="")
    pending = JsonField(default=dict)  # a TOTP seed not yet confirmed (encrypted), and the like


class Attempt(Model):
    """One checked or refused try, counted by limits. `scope` names the limit, `subject` whom it protects."""

    id = peewee.AutoField()
    scope = peewee.TextField()
    subject = peewee.TextField()
    source = peewee.TextField(default="")
    succeeded = peewee.BooleanField(default=False)
    at = UtcField()

    class Meta:
        indexes = ((("scope", "subject", "at"), False), (("scope", "source", "at"), False))
