"""Archives brought over from providers."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    pass


def up(migrator, db):
    class Connection(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "connection"

    class Document(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "document"

    class ArchiveImport(Model):
        id = TextField(primary_key=True)
        connection = ForeignKeyField(Connection, on_delete="CASCADE")
        since_at = UtcField()
        until_at = UtcField()
        is_whole = BooleanField(default=False)
        cursor = TextField(default="")
        is_listed = BooleanField(default=False)
        listed = IntegerField(default=0)
        total = IntegerField(null=True)
        status = TextField(default="running")
        problem = TextField(default="")
        runs = IntegerField(default=0)
        started_by = TextField(null=True)
        created_at = UtcField()
        ended_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "archive_import"

    class ImportedEnvelope(Model):
        id = TextField(primary_key=True)
        connection = ForeignKeyField(Connection, on_delete="CASCADE")
        remote_id = TextField()
        request_id = TextField(default="")
        title = TextField(default="")
        people = JsonField(default=list)
        completed_at = UtcField(null=True)
        status = TextField(default="listed")
        problem = TextField(default="")
        attempts = IntegerField(default=0)
        document = ForeignKeyField(Document, null=True)
        evidence = ForeignKeyField(Document, null=True)
        fetched_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "imported_envelope"
            indexes = ((("connection", "remote_id"), True), (("connection", "status", "completed_at"), False))

    db.create_tables([ArchiveImport, ImportedEnvelope])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("imported_envelope"))
    migrator.migrate(migrator.drop_table("archive_import"))
