"""One file of many people: batches and their rows."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    pass


def named(name, db):
    return type(name.title().replace("_", ""), (Model,), {
        "id": TextField(primary_key=True),
        "Meta": type("Meta", (), {"database": db, "table_name": name}),
    })  # fmt: skip


def up(migrator, db):
    Person = named("person", db)
    LegalEntity = named("legal_entity", db)
    Signatory = named("signatory", db)
    TemplateVersion = named("template_version", db)
    Document = named("document", db)
    Connection = named("connection", db)
    Contract = named("contract", db)
    Envelope = named("envelope", db)

    class BulkBatch(Model):
        id = TextField(primary_key=True)
        kind = TextField()
        state = TextField(default="checking")
        owner = ForeignKeyField(Person)
        sender = ForeignKeyField(Person, null=True, backref="+")
        entity = ForeignKeyField(LegalEntity)
        signatory = ForeignKeyField(Signatory, null=True)
        template_version = ForeignKeyField(TemplateVersion, null=True)
        document = ForeignKeyField(Document, null=True, backref="+")
        shown = ForeignKeyField(Document, null=True, backref="+")
        title = TextField()
        side = TextField(default="supplier")
        defaults = JsonField(default=dict)
        language = TextField(default="en")
        connection = ForeignKeyField(Connection, null=True)
        is_native = BooleanField(default=False)
        message = TextField(default="")
        life_days = IntegerField(default=30)
        pace_per_minute = IntegerField(default=120)
        file_name = TextField()
        sha256 = TextField(index=True)
        storage_key = TextField(default="")
        ignored = JsonField(default=list)
        rows_total = IntegerField(default=0)
        rows_read = IntegerField(default=0)
        problem = TextField(default="")
        run = IntegerField(default=0)
        next_at = UtcField(null=True)
        calls = JsonField(default=dict)
        created_at = UtcField()
        checked_at = UtcField(null=True)
        started_at = UtcField(null=True)
        ended_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "bulk_batch"
            indexes = ((("created_at", "id"), False),)

    db.create_tables([BulkBatch])

    class BulkRow(Model):
        id = AutoField()
        batch = ForeignKeyField(BulkBatch, on_delete="CASCADE")
        number = IntegerField()
        lane = IntegerField()
        state = TextField()
        company = TextField()
        name = TextField()
        email = TextField()
        is_known = BooleanField(default=False)
        amount = DecimalField(max_digits=18, decimal_places=2, default=0)
        currency = TextField(default="")
        read = JsonField(default=dict)
        typed = JsonField(default=dict)
        errors = JsonField(default=list)
        contract = ForeignKeyField(Contract, null=True, unique=True, backref="+")
        envelope = ForeignKeyField(Envelope, null=True, unique=True, backref="+")
        part = IntegerField(null=True)
        problem = TextField(default="")
        attempts = IntegerField(default=0)
        due_at = UtcField(null=True)
        done_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "bulk_row"
            indexes = (
                (("batch", "number"), True),
                (("batch", "state", "lane", "id"), False),
                (("batch", "email"), False),
            )

    db.create_tables([BulkRow])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("bulk_row"))
    migrator.migrate(migrator.drop_table("bulk_batch"))
