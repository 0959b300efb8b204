"""Where events of contracts are told to other programs, each message, and what became of it."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, UtcField


class EventReceiver(KeyedModel):
    """One address that an administrator set."""

    name = peewee.TextField()
    url = peewee.TextField()
    signing_secret = peewee.TextField()  # sealed for this row
    former_secret = peewee.TextField(default="")  # still signs beside it until `former_until`
    former_until = UtcField(null=True)
    kinds = JsonField(default=list)  # the events it is told; empty for all
    is_active = peewee.BooleanField(default=True)
    failing_since = UtcField(null=True)  # of tries in a row, the first that failed
    paused_at = UtcField(null=True)  # by us, after long failure
    created_at = UtcField()


class EventMessage(KeyedModel):
    """One event as it is told to everybody: `text` are the bytes that are signed, at every try."""

    kind = peewee.TextField()
    contract_id = peewee.TextField(null=True, index=True)  # none of a test
    text = peewee.TextField()
    created_at = UtcField(index=True)


class EventDelivery(KeyedModel):
    """One message to one receiver."""

    message = peewee.ForeignKeyField(EventMessage, backref="deliveries", on_delete="CASCADE")
    receiver = peewee.ForeignKeyField(EventReceiver, backref="deliveries", on_delete="CASCADE")
    state = peewee.TextField(default="waiting")  # waiting | delivered | failed | held (receiver paused)
    attempts = peewee.IntegerField(default=0)
    answer_status = peewee.IntegerField(null=True)
    last_problem = peewee.TextField(default="")
    tried_at = UtcField(null=True)
    created_at = UtcField()

    class Meta:
        indexes = (
            (("message", "receiver"), True),
            (("receiver", "created_at"), False),
            (("receiver", "state"), False),
        )
