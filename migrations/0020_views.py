"""Kept views of the list of contracts, and secret addresses of calendars."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    pass


def up(migrator, db):
    Person = type("Person", (Model,), {
        "id": TextField(primary_key=True),
        "Meta": type("Meta", (), {"database": db, "table_name": "person"}),
    })  # fmt: skip

    class SavedView(Model):
        id = TextField(primary_key=True)
        owner = ForeignKeyField(Person, on_delete="CASCADE")
        name = TextField()
        asked = JsonField()
        is_shared = BooleanField(default=False)
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "saved_view"

    class CalendarFeed(Model):
        id = TextField(primary_key=True)
        person = ForeignKeyField(Person, unique=True, on_delete="CASCADE")
        token_sha256 = TextField(unique=True)
        shows_all = BooleanField(default=False)
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "calendar_feed"

    db.create_tables([SavedView, CalendarFeed])


def down(migrator, db):
    for name in ("calendar_feed", "saved_view"):
        migrator.migrate(migrator.drop_table(name))
