"""Signed contracts brought in by file: a CSV and a ZIP, and the contract each row became."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField
from portal.models.contracts import Contract
from portal.models.people import Person


class ExistingBatch(KeyedModel):
    # checking | refused (a file cannot be read) | checked | running | paused | done | cancelled
    state = peewee.TextField(default="checking")
    owner = peewee.ForeignKeyField(Person, backref="existing_batches")
    language = peewee.TextField(default="en")  # of amounts and reasons
    file_name = peewee.TextField()
    sha256 = peewee.TextField()
    storage_key = peewee.TextField(default="")
    zip_name = peewee.TextField()
    zip_sha256 = peewee.TextField()
    zip_key = peewee.TextField(default="")
    ignored = JsonField(default=list)  # columns of the file that mean nothing here
    spare = JsonField(default=list)  # PDFs of the ZIP that no row names
    rows_total = peewee.IntegerField(default=0)
    rows_read = peewee.IntegerField(default=0)
    problem = peewee.TextField(default="")
    run = peewee.IntegerField(default=0)  # grows with each job; its key
    created_at = UtcField()
    checked_at = UtcField(null=True)
    started_at = UtcField(null=True)
    ended_at = UtcField(null=True)

    class Meta:
        indexes = ((("created_at", "id"), False),)


class ExistingRow(Model):
    """One row of the file. The contract is written in the transaction that names it here."""

    id = peewee.AutoField()
    batch = peewee.ForeignKeyField(ExistingBatch, backref="rows", on_delete="CASCADE")
    number = peewee.IntegerField()  # as a spreadsheet counts; the header is 1
    line = peewee.IntegerField()  # where it stands in the file: cells may hold line breaks
    state = peewee.TextField()  # right | wrong | left_out | waiting | made | failed | cancelled
    company = peewee.TextField(default="")
    title = peewee.TextField(default="")
    file_name = peewee.TextField(default="")  # in the ZIP
    read = JsonField(default=dict)  # column -> what was understood
    typed = JsonField(default=dict)  # column -> what stood there, of a wrong row
    errors = JsonField(default=list)  # [[column, reason]]; "" for the row as a whole
    problem = peewee.TextField(default="")
    contract = peewee.ForeignKeyField(Contract, null=True, unique=True, backref="+")
    made_at = UtcField(null=True)

    class Meta:
        indexes = (
            (("batch", "number"), True),
            (("batch", "state", "id"), False),
        )
