"""What becomes of a contract once it is signed; signed contracts brought in by file."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    pass


def up(migrator, db):
    class Person(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "person"

    class Signatory(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "signatory"

    class Contract(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "contract"

    class Document(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "document"

    class ContractLife(Model):
        contract = ForeignKeyField(Contract, primary_key=True, on_delete="CASCADE")
        zone = TextField(default="Europe/London")
        signed_on = DateField(null=True)
        given_by = TextField(default="")
        given_at = UtcField(null=True)
        transcribed_by = TextField(default="")
        transcribed_at = UtcField(null=True)
        confirmed_by = TextField(default="")
        confirmed_at = UtcField(null=True)
        notice_given_on = DateField(null=True)
        missed_on = DateField(null=True)
        ends_on = DateField(null=True, index=True)
        closed_on = DateField(null=True, index=True)
        wait_reasons = JsonField(default=list)
        archived_at = UtcField(null=True)
        checked_at = UtcField(null=True, index=True)
        check_problem = TextField(default="")
        retain_until = DateField(null=True)
        hold_reason = TextField(default="")
        held_by = TextField(default="")
        held_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "contract_life"

    class ContractTerm(Model):
        id = AutoField()
        contract = ForeignKeyField(Contract, on_delete="CASCADE")
        number = IntegerField()
        starts_on = DateField(null=True)
        ends_on = DateField(null=True)
        notice_on = DateField(null=True)
        renewal = TextField(default="none")
        origin = TextField(default="signed")
        is_current = BooleanField(default=True)
        reminded = IntegerField(null=True)
        began_at = UtcField()

        class Meta:
            database = db
            table_name = "contract_term"
            indexes = (
                (("contract", "number"), True),
                (("is_current", "notice_on"), False),
                (("is_current", "ends_on"), False),
            )

    class Letter(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete="CASCADE")
        kind = TextField()
        state = TextField(default="drafted")
        dated_on = DateField()
        effective_on = DateField()
        reason = TextField(default="")
        signatory = ForeignKeyField(Signatory)
        document = ForeignKeyField(Document, null=True, backref="+")
        executed = ForeignKeyField(Document, null=True, backref="+")
        name = TextField(default="")
        intent = TextField(default="")
        created_by = TextField(default="")
        created_at = UtcField()
        signed_at = UtcField(null=True)
        sealed_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "letter"
            indexes = ((("contract", "created_at"), False),)

    class Deletion(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete="CASCADE")
        state = TextField(default="asked")
        reason = TextField()
        asked_by = ForeignKeyField(Person, backref="+")
        asked_at = UtcField()
        approved_by = ForeignKeyField(Person, null=True, backref="+")
        approved_at = UtcField(null=True)
        done_at = UtcField(null=True)
        tombstone = JsonField(default=dict)

        class Meta:
            database = db
            table_name = "deletion"

    class ExistingBatch(Model):
        id = TextField(primary_key=True)
        state = TextField(default="checking")
        owner = ForeignKeyField(Person)
        language = TextField(default="en")
        file_name = TextField()
        sha256 = TextField()
        storage_key = TextField(default="")
        zip_name = TextField()
        zip_sha256 = TextField()
        zip_key = TextField(default="")
        ignored = JsonField(default=list)
        spare = JsonField(default=list)
        rows_total = IntegerField(default=0)
        rows_read = IntegerField(default=0)
        problem = TextField(default="")
        run = IntegerField(default=0)
        created_at = UtcField()
        checked_at = UtcField(null=True)
        started_at = UtcField(null=True)
        ended_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "existing_batch"
            indexes = ((("created_at", "id"), False),)

    class ExistingRow(Model):
        id = AutoField()
        batch = ForeignKeyField(ExistingBatch, on_delete="CASCADE")
        number = IntegerField()
        line = IntegerField()
        state = TextField()
        company = TextField(default="")
        title = TextField(default="")
        file_name = TextField(default="")
        read = JsonField(default=dict)
        typed = JsonField(default=dict)
        errors = JsonField(default=list)
        problem = TextField(default="")
        contract = ForeignKeyField(Contract, null=True, unique=True, backref="+")
        made_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "existing_row"
            indexes = ((("batch", "number"), True), (("batch", "state", "id"), False))

    migrator.migrate(
        migrator.add_column("contract", "parent_id", TextField(null=True, index=True)),
        migrator.add_column("contract", "amendment_number", IntegerField(null=True)),
        migrator.add_column("contract", "renews_id", TextField(null=True, index=True)),
        migrator.add_column("contract", "deleted_at", UtcField(null=True)),
    )
    db.create_tables([ContractLife, ContractTerm, Letter, Deletion, ExistingBatch, ExistingRow])


TABLES = ("existing_row", "existing_batch", "deletion", "letter", "contract_term", "contract_life")


def down(migrator, db):
    for name in TABLES:
        migrator.migrate(migrator.drop_table(name))
    migrator.migrate(
        migrator.drop_index("contract", "contract_parent_id"),
        migrator.drop_index("contract", "contract_renews_id"),
    )
    for name in ("parent_id", "amendment_number", "renews_id", "deleted_at"):
        migrator.migrate(migrator.drop_column("contract", name))
