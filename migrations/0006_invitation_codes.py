"""Short codes that lead into a signing without a link: printed in mails, or read out by telephone."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


def up(migrator, db):
    class Person(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "person"

    class Recipient(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "recipient"

    class InvitationCode(Model):
        recipient = ForeignKeyField(Recipient, on_delete="CASCADE")
        way = TextField()
        code_hmac = TextField()
        created_by = ForeignKeyField(Person, null=True)
        created_at = UtcField()
        expires_at = UtcField()
        used_at = UtcField(null=True)
        ended_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "invitation_code"

    db.create_tables([InvitationCode])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("invitation_code"))
