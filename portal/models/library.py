"""Clauses that several templates share, each with what we rather say and what we can live with."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.people import Person


class LibraryClause(KeyedModel):
    key = peewee.TextField(unique=True)
    name = JsonField()  # language -> name
    created_at = UtcField()
    retired_at = UtcField(null=True)


class LibraryVersion(KeyedModel):
    """One wording of a library clause, never changed; templates pin it by its number."""

    clause = peewee.ForeignKeyField(LibraryClause, backref="versions")
    number = peewee.IntegerField()
    heading = JsonField()
    text = JsonField()
    applies_when = peewee.TextField(default="")  # a condition of portal/sla/conditions.py, or always
    positions = JsonField(default=list)  # [{"level": acceptable|approval|not_allowed, "role", "text"}]
    role = peewee.TextField(default="legal")  # whose approval any other wording needs
    change_note = peewee.TextField(default="")
    author = peewee.ForeignKeyField(Person, null=True)
    sha256 = peewee.TextField()
    created_at = UtcField()

    class Meta:
        indexes = ((("clause", "number"), True),)
