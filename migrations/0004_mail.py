"""Each company of ours writes its mails in its own name, with its own logo."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("legal_entity", "logo_mail", BlobField(null=True)),
        migrator.add_column("legal_entity", "sender_name", TextField(default="")),
        migrator.add_column("legal_entity", "sender_address", TextField(default="")),
    )

    class MailCall(Model):
        key = TextField(primary_key=True)
        seen_at = UtcField(index=True)

        class Meta:
            database = db
            table_name = "mail_call"

    db.create_tables([MailCall])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("mail_call"))
    migrator.migrate(
        migrator.drop_column("legal_entity", "sender_address"),
        migrator.drop_column("legal_entity", "sender_name"),
        migrator.drop_column("legal_entity", "logo_mail"),
    )
