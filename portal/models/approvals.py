"""Who must say yes to a text before it goes out, who did, and who stands in for whom."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField
from portal.models.contracts import Contract, Revision
from portal.models.people import Person


class ApprovalRule(KeyedModel):
    """When its condition holds, these roles must approve before the moment."""

    position = peewee.IntegerField(default=0)
    name = peewee.TextField()
    # {"fee_over": "100000.00", "currency": "EUR"} | {"months_over": 36} | {"phi": true} | ...: all of
    # them must hold; services/approval_conditions.py knows each.
    condition = JsonField()
    roles = JsonField()  # empty: the roles that the deviations name
    mode = peewee.TextField(default="all")  # all | any (one of the roles is enough) | nobody (refused)
    step = peewee.IntegerField(default=1)  # a later step is asked once the earlier ones have approved
    moment = peewee.TextField(default="sign")  # share | sign: what must wait for it
    is_active = peewee.BooleanField(default=True)
    updated_at = UtcField()


class Approval(KeyedModel):
    """One answer that a text waits for. The newest row of a `key` counts."""

    contract = peewee.ForeignKeyField(Contract, backref="approvals", on_delete="CASCADE")
    revision = peewee.ForeignKeyField(Revision, on_delete="CASCADE", backref="+")
    sha256 = peewee.TextField()  # the exact text
    rule = peewee.ForeignKeyField(ApprovalRule, null=True, on_delete="SET NULL", backref="+")
    key = peewee.TextField()  # the rule and the role: what is carried over to a later text
    matter = peewee.TextField()  # the SHA-256 of all that the condition looked at
    roles = JsonField()  # any one of them answers
    moment = peewee.TextField()
    step = peewee.IntegerField()
    why = peewee.TextField()  # in the language of whoever asked; shown anew where the rule still holds
    state = peewee.TextField()  # waiting (for an earlier step) | asked | approved | returned | void
    asked_by = peewee.ForeignKeyField(Person, null=True, backref="+")
    created_at = UtcField()
    asked_at = UtcField(null=True)
    decided_by = peewee.ForeignKeyField(Person, null=True, backref="+")
    substitute_for = peewee.ForeignKeyField(Person, null=True, backref="+")
    decided_at = UtcField(null=True)
    reason = peewee.TextField(default="")
    is_own = peewee.BooleanField(default=False)  # given by an author, where nobody else could
    carried_from = peewee.TextField(null=True)  # the row it was taken over from
    next_reminder_at = UtcField(null=True)
    reminders = peewee.IntegerField(default=0)
    escalated_at = UtcField(null=True)

    class Meta:
        indexes = ((("contract", "sha256"), False), (("state", "asked_at"), False))


class Substitute(KeyedModel):
    """Who answers in somebody's place, from a day to a day, both included."""

    person = peewee.ForeignKeyField(Person, backref="+", on_delete="CASCADE")
    substitute = peewee.ForeignKeyField(Person, backref="+", on_delete="CASCADE")
    from_on = peewee.DateField()
    until_on = peewee.DateField()
    created_at = UtcField()

    class Meta:
        indexes = ((("until_on", "person"), False),)
