"""Where a provider account keeps its data, and which of our companies send within the EU alone."""

from peewee import *


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("connection", "region", TextField(default="")),
        migrator.add_column("legal_entity", "is_eu_only", BooleanField(default=False)),
    )


def down(migrator, db):
    migrator.migrate(
        migrator.drop_column("legal_entity", "is_eu_only"), migrator.drop_column("connection", "region")
    )
