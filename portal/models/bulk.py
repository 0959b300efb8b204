"""One file of many people: what was read from it, and the contract each row became."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField
from portal.models.connections import Connection
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope
from portal.models.parties import LegalEntity, Signatory
from portal.models.people import Person
from portal.models.templates import TemplateVersion


class BulkBatch(KeyedModel):
    kind = peewee.TextField()  # template (a contract each) | document (the same PDF for everyone)
    # checking | refused (the file cannot be read) | checked | running | paused | done | cancelled
    state = peewee.TextField(default="checking")
    owner = peewee.ForeignKeyField(Person, backref="bulk_batches")
    sender = peewee.ForeignKeyField(Person, null=True, backref="+")  # who pressed Send
    entity = peewee.ForeignKeyField(LegalEntity)
    signatory = peewee.ForeignKeyField(Signatory, null=True)  # ours; none for a document
    template_version = peewee.ForeignKeyField(TemplateVersion, null=True)
    document = peewee.ForeignKeyField(Document, null=True, backref="+")  # the upload, for a document
    shown = peewee.ForeignKeyField(Document, null=True, backref="+")  # what everyone is shown
    title = peewee.TextField()
    side = peewee.TextField(default="supplier")
    defaults = JsonField(default=dict)  # column -> what a row says that leaves it empty
    language = peewee.TextField(default="en")  # of a document; of amounts and reasons in the file
    connection = peewee.ForeignKeyField(Connection, null=True)  # null: built-in signing
    is_native = peewee.BooleanField(default=False)  # handed to the provider in one call
    message = peewee.TextField(default="")
    life_days = peewee.IntegerField(default=30)  # how long each person has to sign
    pace_per_minute = peewee.IntegerField(default=120)
    # The file, until it is read through.
    file_name = peewee.TextField()
    sha256 = peewee.TextField(index=True)
    storage_key = peewee.TextField(default="")
    ignored = JsonField(default=list)  # columns of the file that mean nothing here
    rows_total = peewee.IntegerField(default=0)
    rows_read = peewee.IntegerField(default=0)
    problem = peewee.TextField(default="")  # why the file is refused, or why sending waits
    run = peewee.IntegerField(default=0)  # grows with each start; work of an earlier one ends
    next_at = UtcField(null=True)  # the next row may go then
    # Of a native batch: number of the call -> {"remote_id", "is_handed", "is_final"}
    calls = JsonField(default=dict)
    created_at = UtcField()
    checked_at = UtcField(null=True)
    started_at = UtcField(null=True)
    ended_at = UtcField(null=True)

    class Meta:
        indexes = ((("created_at", "id"), False),)


class BulkRow(Model):
    """One row of the file. Contract and envelope are written with the row that names them."""

    id = peewee.AutoField()
    batch = peewee.ForeignKeyField(BulkBatch, backref="rows", on_delete="CASCADE")
    number = peewee.IntegerField()  # as a spreadsheet counts; the header is 1
    lane = peewee.IntegerField()  # rows of one company are made one after the other
    # right | wrong | left_out | waiting | ready (for a native call) | sent | failed | cancelled
    state = peewee.TextField()
    company = peewee.TextField()
    name = peewee.TextField()
    email = peewee.TextField()
    is_known = peewee.BooleanField(default=False)  # the company is in our records already
    amount = peewee.DecimalField(max_digits=18, decimal_places=2, default=0)
    currency = peewee.TextField(default="")
    read = JsonField(default=dict)  # column -> what was understood
    typed = JsonField(default=dict)  # column -> what stood there, of a wrong row
    errors = JsonField(default=list)  # [[column, reason]]; "" for the row as a whole
    contract = peewee.ForeignKeyField(Contract, null=True, unique=True, backref="+")
    envelope = peewee.ForeignKeyField(Envelope, null=True, unique=True, backref="+")
    part = peewee.IntegerField(null=True)  # which of its batch's calls carries it
    problem = peewee.TextField(default="")
    attempts = peewee.IntegerField(default=0)
    due_at = UtcField(null=True)  # not before
    done_at = UtcField(null=True)
    is_unsent = False  # of a loaded row: its request came to nothing

    class Meta:
        indexes = (
            (("batch", "number"), True),
            (("batch", "state", "lane", "id"), False),
            (("batch", "email"), False),
        )
