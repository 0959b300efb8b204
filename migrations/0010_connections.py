"""Accounts at e-signature providers; what an envelope needs to live at one."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    def db_value(self, value):
        return "{}" if value == {} else "[]" if value == [] else value


def up(migrator, db):
    class Document(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "document"

    class Envelope(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "envelope"

    class Connection(Model):
        id = TextField(primary_key=True)
        provider = TextField()
        name = TextField()
        status = TextField(default="draft")
        settings = JsonField(default=dict)
        secrets = TextField(default="")
        tokens = TextField(default="")
        subscription = TextField(default="")
        server = TextField(default="")
        account = JsonField(default=dict)
        created_at = UtcField()
        created_by = TextField(null=True)
        checked_at = UtcField(null=True)
        check_problem = TextField(default="")
        rehearsed_at = UtcField(null=True)
        rehearsal = JsonField(default=dict)
        called_at = UtcField(null=True)
        succeeded_at = UtcField(null=True)
        failed_at = UtcField(null=True)
        last_problem = TextField(default="")
        failures = IntegerField(default=0)
        open_until = UtcField(null=True)
        baa_document = TextField(null=True)
        baa_signed_on = DateField(null=True)
        baa_expires_on = DateField(null=True)
        last_day_on = DateField(null=True)
        ended_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "connection"

    db.create_tables([Connection])

    class ConnectionHour(Model):
        connection = ForeignKeyField(Connection, on_delete="CASCADE")
        hour_at = UtcField()
        calls = IntegerField(default=0)
        failures = IntegerField(default=0)

        class Meta:
            database = db
            table_name = "connection_hour"
            primary_key = CompositeKey("connection", "hour_at")

    class WebhookCall(Model):
        connection = ForeignKeyField(Connection, on_delete="CASCADE")
        method = TextField()
        query = TextField(default="")
        headers = JsonField(default=dict)
        body = BlobField()
        received_at = UtcField()
        status = TextField(default="new")
        reason = TextField(default="")
        done_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "webhook_call"
            indexes = ((("connection", "received_at"), False), (("status", "received_at"), False))

    class WebhookSeen(Model):
        connection = ForeignKeyField(Connection, on_delete="CASCADE")
        notification = TextField()
        seen_at = UtcField(index=True)

        class Meta:
            database = db
            table_name = "webhook_seen"
            primary_key = CompositeKey("connection", "notification")

    db.create_tables([ConnectionHour, WebhookCall, WebhookSeen])

    migrator.migrate(
        migrator.add_column(
            "envelope", "connection_id", ForeignKeyField(Connection, field=Connection.id, null=True)
        ),
        migrator.add_column("envelope", "handed_at", UtcField(null=True)),
        migrator.add_column("envelope", "problem", TextField(default="")),
        migrator.add_column("envelope", "raw_status", TextField(default="")),
        migrator.add_column("envelope", "withdrawal", JsonField(null=True)),
        migrator.add_column("envelope", "polled_at", UtcField(null=True)),
        migrator.add_column("envelope", "next_poll_at", UtcField(null=True)),
        migrator.add_column(
            "envelope", "vendor_evidence_id", ForeignKeyField(Document, field=Document.id, null=True)
        ),
        migrator.add_column(
            "envelope", "companion_id", ForeignKeyField(Document, field=Document.id, null=True)
        ),
        migrator.add_column(
            "envelope", "replaces_id", ForeignKeyField(Envelope, field=Envelope.id, null=True)
        ),
        migrator.add_column("recipient", "native_factors", JsonField(default=list)),
        migrator.add_column("recipient", "is_embedded", BooleanField(default=False)),
        migrator.add_column("recipient", "gate", JsonField(null=True)),
        migrator.add_column("recipient", "remote_id", TextField(default="")),
        migrator.add_column("recipient", "raw_status", TextField(default="")),
    )
    migrator.migrate(
        migrator.add_index("envelope", ("remote_id",)),
        migrator.add_index("envelope", ("next_poll_at",)),
    )


def down(migrator, db):
    migrator.migrate(
        *(
            migrator.drop_index("envelope", f"envelope_{name}")
            for name in (
                "next_poll_at",
                "remote_id",
                "replaces_id",
                "companion_id",
                "vendor_evidence_id",
                "connection_id",
            )
        ),
    )
    migrator.migrate(
        *(
            migrator.drop_column("recipient", name)
            for name in ("raw_status", "remote_id", "gate", "is_embedded", "native_factors")
        ),
        *(
            migrator.drop_column("envelope", name)
            for name in (
                "replaces_id",
                "companion_id",
                "vendor_evidence_id",
                "next_poll_at",
                "polled_at",
                "withdrawal",
                "raw_status",
                "problem",
                "handed_at",
                "connection_id",
            )
        ),
    )
    for name in ("webhook_seen", "webhook_call", "connection_hour", "connection"):
        migrator.migrate(migrator.drop_table(name))
