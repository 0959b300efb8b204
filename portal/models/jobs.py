"""The outbox: everything that leaves the process is a row here first."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, Model, UtcField


class Job(Model):
    id = peewee.AutoField()
    kind = peewee.TextField()
    payload = JsonField(default=dict)  # ids only
    key = peewee.TextField(null=True, unique=True)  # against doubles
    status = peewee.TextField(default="ready")  # ready | running | done | failed | set_aside | held
    run_at = UtcField()
    attempts = peewee.IntegerField(default=0)
    max_attempts = peewee.IntegerField(default=12)
    lease_owner = peewee.TextField(null=True)
    lease_until = UtcField(null=True)
    last_error = peewee.TextField(default="")
    created_at = UtcField()
    finished_at = UtcField(null=True)

    class Meta:
        indexes = ((("status", "run_at"), False), (("kind", "status"), False))
