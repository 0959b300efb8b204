"""Kept views of the list of contracts, and secret addresses of calendars."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.people import Person


class SavedView(KeyedModel):
    """A name for what a list shows; `asked` is what stands in its address."""

    owner = peewee.ForeignKeyField(Person, backref="views", on_delete="CASCADE")
    name = peewee.TextField()
    asked = JsonField(default=dict)
    is_shared = peewee.BooleanField(default=False)  # colleagues see it too
    created_at = UtcField()


class CalendarFeed(KeyedModel):
    """The secret address of one person's calendar: only the SHA-256 of its token is kept."""

    person = peewee.ForeignKeyField(Person, unique=True, on_delete="CASCADE")
    token_sha256 = peewee.TextField(unique=True)
    shows_all = peewee.BooleanField(default=False)  # else the contracts of its person alone
    created_at = UtcField()
