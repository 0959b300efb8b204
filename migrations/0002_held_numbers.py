"""A telephone number mended after sending is good a day later."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


def up(migrator, db):
    migrator.migrate(migrator.add_column("recipient", "phone_from", UtcField(null=True)))


def down(migrator, db):
    migrator.migrate(migrator.drop_column("recipient", "phone_from"))
