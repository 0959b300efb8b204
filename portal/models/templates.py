"""Reusable wording. A version is never changed once it is published."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.connections import Connection
from portal.models.people import Person


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
    """A published version by its number, or the one draft of its template, whose number is 0."""

    template = peewee.ForeignKeyField(Template, backref="versions")
    number = peewee.IntegerField()
    # [{key, level, heading, text, when?, library?: {key, version}}]; `when` names a condition
    clauses = JsonField()
    levels = JsonField()  # level key -> {"label": {lang: str}, "terms": countersign-terms/1, "preset"?}
    sha256 = peewee.TextField()  # of a draft: of what publication was asked for, or ""
    change_note = peewee.TextField(default="")
    published_at = UtcField(null=True)
    authors = JsonField(default=list)  # ids of everybody who wrote in it: none of them approves it
    made_from_id = peewee.TextField(null=True)  # the version it was begun from
    created_at = UtcField(null=True)
    asked_at = UtcField(null=True)  # when its publication was asked for, while it is
    asked_by_id = peewee.TextField(null=True)

    class Meta:
        indexes = ((("template", "number"), True),)


class TemplateApproval(KeyedModel):
    """What somebody said of a draft whose publication was asked for."""

    version = peewee.ForeignKeyField(TemplateVersion, backref="approvals", on_delete="CASCADE")
    person = peewee.ForeignKeyField(Person)
    decision = peewee.TextField()  # approved | returned
    roles = JsonField(default=list)  # in which of the asked roles; empty where any other person will do
    reason = peewee.TextField(default="")
    sha256 = peewee.TextField()  # of the text it was said of
    at = UtcField()
