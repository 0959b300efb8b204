"""Reusable wording. A version is never changed once a contract was made from it."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.connections import Connection


class Template(KeyedModel):
    key = peewee.TextField(unique=True)
    name = JsonField()  # language -> name
    created_at = UtcField()
    retired_at = UtcField(null=True)
    # Through which account its contracts are signed; null: built-in signing where it says so, else
    # whatever the installation's default is.
    connection = peewee.ForeignKeyField(Connection, null=True)
    is_signed_here = peewee.BooleanField(default=False)


class TemplateVersion(KeyedModel):
    template = peewee.ForeignKeyField(Template, backref="versions")
    number = peewee.IntegerField()
    clauses = JsonField()
    levels = JsonField()  # level key -> {"label": {lang: str}, "terms": countersign-terms/1}
    sha256 = peewee.TextField()
    change_note = peewee.TextField(default="")
    published_at = UtcField(null=True)

    class Meta:
        indexes = ((("template", "number"), True),)
