"""Staff may sign in with an identity provider."""

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

    class SignOnProvider(Model):
        id = TextField(primary_key=True)
        kind = TextField()
        name = TextField()
        issuer = TextField(unique=True)
        client_id = TextField()
        client_secret = TextField()
        scopes = TextField(default="")
        hosted_domain = TextField(default="")
        domains = JsonField(default=list)
        role_claim = TextField(default="")
        role_map = JsonField(default=dict)
        unknown = TextField(default="refuse")
        first_role = TextField(default="")
        believes_factor = BooleanField(default=False)
        acr = TextField(default="")
        created_at = UtcField()
        paused_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "sign_on_provider"

    db.create_tables([SignOnProvider])

    class SignOnLink(Model):
        id = TextField(primary_key=True)
        provider = ForeignKeyField(SignOnProvider, on_delete="CASCADE")
        person = ForeignKeyField(Person, on_delete="CASCADE")
        issuer = TextField()
        subject = TextField()
        linked_at = UtcField()
        seen_at = UtcField()

        class Meta:
            database = db
            table_name = "sign_on_link"
            indexes = ((("issuer", "subject"), True),)

    db.create_tables([SignOnLink])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("sign_on_link"))
    migrator.migrate(migrator.drop_table("sign_on_provider"))
