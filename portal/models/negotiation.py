"""Negotiation in the record: who was invited, what was said and proposed, who agreed to which text."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.contracts import Contract, Revision
from portal.models.people import Person


class Negotiator(KeyedModel):
    """Somebody of the other side who may read what is shared, and answer."""

    contract = peewee.ForeignKeyField(Contract, backref="negotiators", on_delete="CASCADE")
    name = peewee.TextField()
    email = peewee.TextField(index=True)  # lower case
    language = peewee.TextField(default="en")
    link_sha256 = peewee.TextField(null=True, unique=True)  # of the mailed link
    link_expires_at = UtcField(null=True)
    invited_by = peewee.ForeignKeyField(Person)
    invited_at = UtcField()
    opened_at = UtcField(null=True)
    ended_at = UtcField(null=True)

    class Meta:
        indexes = ((("contract", "email"), True),)


class Comment(KeyedModel):
    """Something said about a place of the text: `clauses.<key>`, `terms.<row key>` or "" for all of it."""

    contract = peewee.ForeignKeyField(Contract, backref="comments", on_delete="CASCADE")
    revision = peewee.ForeignKeyField(Revision)
    place = peewee.TextField(default="")
    side = peewee.TextField()  # ours | theirs
    is_internal = peewee.BooleanField(default=False)  # seen by our side alone
    person = peewee.ForeignKeyField(Person, null=True)
    author_name = peewee.TextField()
    author_email = peewee.TextField(default="")
    text = peewee.TextField()
    source = peewee.TextField(default="page")  # page | word
    created_at = UtcField()
    settled_at = UtcField(null=True)
    settled_by = peewee.TextField(default="")

    class Meta:
        indexes = ((("contract", "created_at"), False),)


class Proposal(KeyedModel):
    """One change that a side asks for. What came back in a file and fits nowhere has kind `unassigned`."""

    contract = peewee.ForeignKeyField(Contract, backref="proposals", on_delete="CASCADE")
    revision = peewee.ForeignKeyField(Revision)  # the text it was made against
    place = peewee.TextField(default="")
    kind = peewee.TextField()  # clause | term | unassigned
    before = JsonField(null=True)  # what stood there: {language: text}, or a row's value
    after = JsonField(null=True)  # what is asked for; null takes the clause out
    side = peewee.TextField()  # ours | theirs
    person = peewee.ForeignKeyField(Person, null=True)
    author_name = peewee.TextField()
    author_email = peewee.TextField(default="")
    note = peewee.TextField(default="")
    answers_id = peewee.TextField(null=True)  # the proposal it counters
    source = peewee.TextField(default="page")  # page | word
    tracked = JsonField(default=list)  # of a Word file: [{op, text, author, at}]
    state = peewee.TextField(default="open")  # open | accepted | rejected | countered | withdrawn
    decided_by = peewee.TextField(default="")
    decided_at = UtcField(null=True)
    decision_reason = peewee.TextField(default="")
    created_at = UtcField()

    class Meta:
        indexes = ((("contract", "state"), False),)


class Agreement(KeyedModel):
    """One side's word that it agrees to exactly this text."""

    contract = peewee.ForeignKeyField(Contract, backref="agreements", on_delete="CASCADE")
    revision = peewee.ForeignKeyField(Revision)
    text_sha256 = peewee.TextField()
    side = peewee.TextField()  # ours | theirs
    author_name = peewee.TextField()
    author_email = peewee.TextField(default="")
    agreed_at = UtcField()
    ended_at = UtcField(null=True)

    class Meta:
        indexes = ((("contract", "ended_at"), False),)
