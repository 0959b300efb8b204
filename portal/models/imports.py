"""Completed envelopes brought over from a provider's account, also those never sent from here."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.connections import Connection
from portal.models.contracts import Document


class ArchiveImport(KeyedModel):
    """One request to bring over what an account completed between two days."""

    connection = peewee.ForeignKeyField(Connection, on_delete="CASCADE", backref="imports")
    since_at = UtcField()
    until_at = UtcField()
    is_whole = peewee.BooleanField(default=False)  # everything the account can read
    cursor = peewee.TextField(default="")
    is_listed = peewee.BooleanField(default=False)  # the provider has named them all
    listed = peewee.IntegerField(default=0)
    total = peewee.IntegerField(null=True)  # how many the provider says there are
    status = peewee.TextField(default="running")  # running | paused | done | failed
    problem = peewee.TextField(default="")
    runs = peewee.IntegerField(default=0)  # names the next job
    started_by = peewee.TextField(null=True)
    created_at = UtcField()
    ended_at = UtcField(null=True)


class ImportedEnvelope(KeyedModel):
    """One completed envelope of an account, listed once however often it is asked for."""

    connection = peewee.ForeignKeyField(Connection, on_delete="CASCADE")
    remote_id = peewee.TextField()
    request_id = peewee.TextField(default="")  # ours, where Countersign sent it
    title = peewee.TextField(default="")
    people = JsonField(default=list)  # [name, address]
    completed_at = UtcField(null=True)
    status = peewee.TextField(default="listed")  # listed | fetched | unreadable
    problem = peewee.TextField(default="")
    attempts = peewee.IntegerField(default=0)
    document = peewee.ForeignKeyField(Document, null=True)
    evidence = peewee.ForeignKeyField(Document, null=True)
    fetched_at = UtcField(null=True)

    class Meta:
        indexes = ((("connection", "remote_id"), True), (("connection", "status", "completed_at"), False))
