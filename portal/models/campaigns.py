"""Bringing contracts that run onto a newer version of their template: a draft amendment for each."""

from __future__ import annotations

import peewee

from portal.models.base import KeyedModel, Model, UtcField
from portal.models.contracts import Contract
from portal.models.people import Person
from portal.models.templates import TemplateVersion


class Campaign(KeyedModel):
    version = peewee.ForeignKeyField(TemplateVersion)  # the one contracts are brought to
    note = peewee.TextField(default="")  # for the owners
    created_by = peewee.ForeignKeyField(Person)
    created_at = UtcField()
    ended_at = UtcField(null=True)


class CampaignContract(Model):
    """One contract of a campaign and, once it is made, its draft."""

    id = peewee.AutoField()
    campaign = peewee.ForeignKeyField(Campaign, backref="contracts", on_delete="CASCADE")
    contract = peewee.ForeignKeyField(Contract, backref="+")
    draft = peewee.ForeignKeyField(Contract, null=True, unique=True, backref="+")
    problem = peewee.TextField(default="")
    done_at = UtcField(null=True)

    class Meta:
        indexes = ((("campaign", "contract"), True),)
