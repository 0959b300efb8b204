"""The trail. Events are append-only: triggers in the database refuse change and removal."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, Model, UtcField


class AuditEvent(Model):
    id = peewee.AutoField()
    chain = peewee.TextField()  # a contract id, or "installation"
    number = peewee.IntegerField()
    act = peewee.TextField()
    at = UtcField()
    body = peewee.TextField()  # canonical JSON; everything that is hashed
    previous_hash = peewee.TextField()
    hash = peewee.TextField()

    class Meta:
        indexes = ((("chain", "number"), True), (("act",), False), (("at",), False))


class AuditDetail(Model):
    """Personal details of an event under their salt; may be erased, the chain still verifies."""

    chain = peewee.TextField()
    number = peewee.IntegerField()
    salt = peewee.TextField()
    values = JsonField(column_name="personal")

    class Meta:
        primary_key = peewee.CompositeKey("chain", "number")


class ChainHead(Model):
    """The last link of each chain, and the last one folded into the installation's chain."""

    chain = peewee.TextField(primary_key=True)
    number = peewee.IntegerField()
    hash = peewee.TextField()
    folded_number = peewee.IntegerField(default=0)


class InstallationFact(Model):
    """Small facts about this installation by name: company settings, last export, marks."""

    name = peewee.TextField(primary_key=True)
    value = JsonField()
    updated_at = UtcField()
