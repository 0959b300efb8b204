"""What becomes of a contract once it is signed: its terms, its letters, its end, its archive."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField
from portal.models.contracts import Contract, Document
from portal.models.parties import Signatory
from portal.models.people import Person


class ContractLife(Model):
    """One row for each contract that was signed, here or elsewhere. People are kept by their ids."""

    contract = peewee.ForeignKeyField(Contract, primary_key=True, backref="lives", on_delete="CASCADE")
    zone = peewee.TextField(default="Europe/London")  # in which its days begin and end
    signed_on = peewee.DateField(null=True)
    # Signed elsewhere: who gave us the copy, and who typed the terms and who confirmed them.
    given_by = peewee.TextField(default="")
    given_at = UtcField(null=True)
    transcribed_by = peewee.TextField(default="")
    transcribed_at = UtcField(null=True)
    confirmed_by = peewee.TextField(default="")
    confirmed_at = UtcField(null=True)
    # The end: notice that was given, the last day with nobody acting, and when it was closed.
    notice_given_on = peewee.DateField(null=True)
    missed_on = peewee.DateField(null=True)
    ends_on = peewee.DateField(null=True, index=True)  # it ends then whatever its terms say
    closed_on = peewee.DateField(null=True, index=True)
    # The archive.
    wait_reasons = JsonField(default=list)  # why it is not archived although the day has come
    archived_at = UtcField(null=True)
    checked_at = UtcField(null=True, index=True)  # when its files were last compared with their hashes
    check_problem = peewee.TextField(default="")
    retain_until = peewee.DateField(null=True)
    hold_reason = peewee.TextField(default="")
    held_by = peewee.TextField(default="")
    held_at = UtcField(null=True)


class ContractTerm(Model):
    """One stretch of time a contract runs for. The next one is linked by its number."""

    id = peewee.AutoField()
    contract = peewee.ForeignKeyField(Contract, backref="terms", on_delete="CASCADE")
    number = peewee.IntegerField()
    starts_on = peewee.DateField(null=True)
    ends_on = peewee.DateField(null=True)  # the last day in force
    notice_on = peewee.DateField(null=True)  # the last day to give notice
    renewal = peewee.TextField(default="none")  # none | agreement | tacit
    origin = peewee.TextField(default="signed")  # signed | tacit (nobody gave notice)
    is_current = peewee.BooleanField(default=True)
    reminded = peewee.IntegerField(null=True)  # the last reminder: so many days before; 2 for 48 hours
    began_at = UtcField()

    class Meta:
        indexes = (
            (("contract", "number"), True),
            (("is_current", "notice_on"), False),
            (("is_current", "ends_on"), False),
        )


class Letter(KeyedModel):
    """A notice to the other party: typeset, signed by one of ours, sealed, kept with the contract."""

    contract = peewee.ForeignKeyField(Contract, backref="letters", on_delete="CASCADE")
    kind = peewee.TextField()  # end (no renewal) | termination (for a ground)
    state = peewee.TextField(default="drafted")  # drafted | signed | sealed | withdrawn
    dated_on = peewee.DateField()
    effective_on = peewee.DateField()  # the last day in force
    reason = peewee.TextField(default="")  # the ground, word for word
    signatory = peewee.ForeignKeyField(Signatory)
    document = peewee.ForeignKeyField(Document, null=True, backref="+")  # as it was confirmed
    executed = peewee.ForeignKeyField(Document, null=True, backref="+")  # under our seal
    name = peewee.TextField(default="")  # as typed by whoever signed
    intent = peewee.TextField(default="")  # the sentence beside the button, word for word
    created_by = peewee.TextField(default="")
    created_at = UtcField()
    signed_at = UtcField(null=True)
    sealed_at = UtcField(null=True)

    class Meta:
        indexes = ((("contract", "created_at"), False),)


class Deletion(KeyedModel):
    """Removing an archived contract: asked for by one, done by another; then what is left of it."""

    contract = peewee.ForeignKeyField(Contract, backref="deletions", on_delete="CASCADE")
    state = peewee.TextField(default="asked")  # asked | withdrawn | approved | done
    reason = peewee.TextField()
    asked_by = peewee.ForeignKeyField(Person, backref="+")
    asked_at = UtcField()
    approved_by = peewee.ForeignKeyField(Person, null=True, backref="+")
    approved_at = UtcField(null=True)
    done_at = UtcField(null=True)
    # What the tombstone says besides: {"signed_on", "closed_on", "archived_on", "sha256s", "people": [..]}
    tombstone = JsonField(default=dict)
