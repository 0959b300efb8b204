"""Templates people write, a library of clauses, campaigns, and the master agreement of a contract."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    def db_value(self, value):
        return "[]" if value == [] else value


def named(name, db):
    return type(name.title().replace("_", ""), (Model,), {
        "id": TextField(primary_key=True),
        "Meta": type("Meta", (), {"database": db, "table_name": name}),
    })  # fmt: skip


def up(migrator, db):
    Person = named("person", db)
    Contract = named("contract", db)
    TemplateVersion = named("template_version", db)
    migrator.migrate(
        migrator.add_column("template_version", "authors", JsonField(default=list)),
        migrator.add_column("template_version", "made_from_id", TextField(null=True)),
        migrator.add_column("template_version", "created_at", UtcField(null=True)),
        migrator.add_column("template_version", "asked_at", UtcField(null=True)),
        migrator.add_column("template_version", "asked_by_id", TextField(null=True)),
        migrator.add_column("contract", "master_agreement", TextField(default="")),
        migrator.add_column("contract", "precedence", JsonField(default=list)),
    )

    class TemplateApproval(Model):
        id = TextField(primary_key=True)
        version = ForeignKeyField(TemplateVersion, on_delete="CASCADE")
        person = ForeignKeyField(Person)
        decision = TextField()
        roles = JsonField(default=list)
        reason = TextField(default="")
        sha256 = TextField()
        at = UtcField()
        class Meta:
            database = db
            table_name = "template_approval"

    class LibraryClause(Model):
        id = TextField(primary_key=True)
        key = TextField(unique=True)
        name = JsonField()
        created_at = UtcField()
        retired_at = UtcField(null=True)
        class Meta:
            database = db
            table_name = "library_clause"

    class LibraryVersion(Model):
        id = TextField(primary_key=True)
        clause = ForeignKeyField(LibraryClause)
        number = IntegerField()
        heading = JsonField()
        text = JsonField()
        applies_when = TextField(default="")
        positions = JsonField(default=list)
        role = TextField(default="legal")
        change_note = TextField(default="")
        author = ForeignKeyField(Person, null=True)
        sha256 = TextField()
        created_at = UtcField()
        class Meta:
            database = db
            table_name = "library_version"
            indexes = ((("clause", "number"), True),)

    class Campaign(Model):
        id = TextField(primary_key=True)
        version = ForeignKeyField(TemplateVersion)
        note = TextField(default="")
        created_by = ForeignKeyField(Person)
        created_at = UtcField()
        ended_at = UtcField(null=True)
        class Meta:
            database = db
            table_name = "campaign"

    class CampaignContract(Model):
        id = AutoField()
        campaign = ForeignKeyField(Campaign, on_delete="CASCADE")
        contract = ForeignKeyField(Contract)
        draft = ForeignKeyField(Contract, null=True, unique=True, backref="+")
        problem = TextField(default="")
        done_at = UtcField(null=True)
        class Meta:
            database = db
            table_name = "campaign_contract"
            indexes = ((("campaign", "contract"), True),)

    db.create_tables([TemplateApproval, LibraryClause, LibraryVersion, Campaign, CampaignContract])


def down(migrator, db):
    for table in ("campaign_contract", "campaign", "library_version", "library_clause", "template_approval"):
        migrator.migrate(migrator.drop_table(table))
    for table, column in (
        ("contract", "precedence"), ("contract", "master_agreement"),
        ("template_version", "asked_by_id"), ("template_version", "asked_at"),
        ("template_version", "created_at"), ("template_version", "made_from_id"),
        ("template_version", "authors"),
    ):
        migrator.migrate(migrator.drop_column(table, column))
