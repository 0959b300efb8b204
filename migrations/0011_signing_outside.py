"""A provider's envelope belongs to one of ours; a template may name the account its contracts go through."""

from peewee import *


def up(migrator, db):
    class Connection(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "connection"

    migrator.migrate(
        migrator.add_column(
            "template", "connection_id", ForeignKeyField(Connection, field=Connection.id, null=True)
        ),
        migrator.add_index("envelope", ("connection_id", "remote_id"), unique=True),
    )


def down(migrator, db):
    migrator.migrate(
        migrator.drop_index("envelope", "envelope_connection_id_remote_id"),
        migrator.drop_index("template", "template_connection_id"),
    )
    migrator.migrate(migrator.drop_column("template", "connection_id"))
