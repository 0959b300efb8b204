"""Accounts at e-signature providers, and what those providers called us with."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField


class Connection(KeyedModel):
    """One account at one provider. Secrets are encrypted JSON and are never shown again.

    Which one new contracts use is the installation fact `default_connection`.
    """

    provider = peewee.TextField()  # a name of providers/registry.py
    name = peewee.TextField()
    # draft (not checked yet) | active | paused | disconnected
    status = peewee.TextField(default="draft")
    settings = JsonField(default=dict)  # what is no secret
    secrets = peewee.TextField(default="")  # encrypted JSON: setting -> value
    tokens = peewee.TextField(default="")  # encrypted JSON of providers.interface.Tokens
    subscription = peewee.TextField(default="")  # encrypted JSON of providers.interface.Subscription
    region = peewee.TextField(default="")  # where it keeps its data: a key of services/regions.py
    server = peewee.TextField(default="")  # a simulator's origin, on loopback; empty for a vendor's own
    account = JsonField(default=dict)  # {"id", "name", "email", "is_test", "facts"} of the last check
    created_at = UtcField()
    created_by = peewee.TextField(null=True)
    checked_at = UtcField(null=True)
    check_problem = peewee.TextField(default="")
    rehearsed_at = UtcField(null=True)
    rehearsal = JsonField(default=dict)  # {"started_at", "ended_at", "lines": [{"step", "state", "text"}]}
    called_at = UtcField(null=True)  # the last webhook call that was verified
    # Health: a breaker opens after failures in a row and closes with the next success.
    succeeded_at = UtcField(null=True)
    failed_at = UtcField(null=True)
    last_problem = peewee.TextField(default="")
    failures = peewee.IntegerField(default=0)  # in a row
    open_until = UtcField(null=True)  # no call before
    # Business associate agreement on file, for contracts with health data.
    baa_document = peewee.TextField(null=True)  # id of a Document
    baa_signed_on = peewee.DateField(null=True)
    baa_expires_on = peewee.DateField(null=True)
    last_day_on = peewee.DateField(null=True)  # after it, what is open is sent again elsewhere
    ended_at = UtcField(null=True)


class ConnectionHour(Model):
    """Calls to a provider, counted by the hour, for its error rate."""

    connection = peewee.ForeignKeyField(Connection, on_delete="CASCADE")
    hour_at = UtcField()
    calls = peewee.IntegerField(default=0)
    failures = peewee.IntegerField(default=0)

    class Meta:
        primary_key = peewee.CompositeKey("connection", "hour_at")


class WebhookCall(Model):
    """One webhook call as it arrived: raw, answered at once, then worked through by a job."""

    id = peewee.AutoField()
    connection = peewee.ForeignKeyField(Connection, on_delete="CASCADE")
    method = peewee.TextField()
    query = peewee.TextField(default="")
    headers = JsonField(default=dict)
    body = peewee.BlobField()
    received_at = UtcField()
    status = peewee.TextField(default="new")  # new | done | refused (not verified) | failed
    reason = peewee.TextField(default="")
    done_at = UtcField(null=True)

    class Meta:
        indexes = ((("connection", "received_at"), False), (("status", "received_at"), False))


class WebhookSeen(Model):
    """A notification taken in already; the same one again changes nothing."""

    connection = peewee.ForeignKeyField(Connection, on_delete="CASCADE")
    notification = peewee.TextField()
    seen_at = UtcField(index=True)

    class Meta:
        primary_key = peewee.CompositeKey("connection", "notification")
