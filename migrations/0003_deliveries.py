"""What became of a message after a gateway took it."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("notice", "gateway", TextField(default="")),
        migrator.add_column("notice", "remote_id", TextField(default="")),
        migrator.add_column("notice", "useful_until", UtcField(null=True)),
        migrator.add_column("notice", "settled_at", UtcField(null=True)),
    )
    migrator.migrate(migrator.add_index("notice", ("remote_id",)))


def down(migrator, db):
    migrator.migrate(migrator.drop_index("notice", "notice_remote_id"))
    migrator.migrate(
        migrator.drop_column("notice", "settled_at"),
        migrator.drop_column("notice", "useful_until"),
        migrator.drop_column("notice", "remote_id"),
        migrator.drop_column("notice", "gateway"),
    )
