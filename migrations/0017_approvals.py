"""Approvals: the rules that ask for them, the answers, and who stands in for whom."""

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
    Contract = named("contract", db)
    Revision = named("revision", db)

    class ApprovalRule(Model):
        id = TextField(primary_key=True)
        position = IntegerField(default=0)
        name = TextField()
        condition = JsonField()
        roles = JsonField()
        mode = TextField(default="all")
        step = IntegerField(default=1)
        moment = TextField(default="sign")
        is_active = BooleanField(default=True)
        updated_at = UtcField()

        class Meta:
            database = db
            table_name = "approval_rule"

    db.create_tables([ApprovalRule])

    class Approval(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete="CASCADE")
        revision = ForeignKeyField(Revision, on_delete="CASCADE", backref="+")
        sha256 = TextField()
        rule = ForeignKeyField(ApprovalRule, null=True, on_delete="SET NULL", backref="+")
        key = TextField()
        matter = TextField()
        roles = JsonField()
        moment = TextField()
        step = IntegerField()
        why = TextField()
        state = TextField()
        asked_by = ForeignKeyField(Person, null=True, backref="+")
        created_at = UtcField()
        asked_at = UtcField(null=True)
        decided_by = ForeignKeyField(Person, null=True, backref="+")
        substitute_for = ForeignKeyField(Person, null=True, backref="+")
        decided_at = UtcField(null=True)
        reason = TextField(default="")
        is_own = BooleanField(default=False)
        carried_from = TextField(null=True)
        next_reminder_at = UtcField(null=True)
        reminders = IntegerField(default=0)
        escalated_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "approval"
            indexes = (
                (("contract", "sha256"), False),
                (("state", "asked_at"), False),
            )

    db.create_tables([Approval])

    class Substitute(Model):
        id = TextField(primary_key=True)
        person = ForeignKeyField(Person, backref="+", on_delete="CASCADE")
        substitute = ForeignKeyField(Person, backref="+", on_delete="CASCADE")
        from_on = DateField()
        until_on = DateField()
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "substitute"
            indexes = ((("until_on", "person"), False),)

    db.create_tables([Substitute])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("substitute"))
    migrator.migrate(migrator.drop_table("approval"))
    migrator.migrate(migrator.drop_table("approval_rule"))
