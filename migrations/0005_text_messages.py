"""Count text messages and what they cost; remember which try of a message is in doubt."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class BaseModel(Model):
    class Meta:
        legacy_table_names = False


class SmsUse(BaseModel):
    period = TextField(primary_key=True)
    messages = IntegerField(default=0)
    cost_millionths = BigIntegerField(default=0)
    warned_at = UtcField(null=True)
    closed_at = UtcField(null=True)


def up(migrator, db):
    with SmsUse.bind_ctx(db):
        SmsUse.create_table(safe=False)
    migrator.migrate(
        migrator.add_column("notice", "is_unsure", BooleanField(default=False)),
        migrator.add_column("notice", "repeats", IntegerField(default=0)),
        migrator.add_column("notice", "segments", IntegerField(default=0)),
        migrator.add_column("notice", "cost_millionths", BigIntegerField(default=0)),
    )


def down(migrator, db):
    migrator.migrate(
        migrator.drop_column("notice", "cost_millionths"),
        migrator.drop_column("notice", "segments"),
        migrator.drop_column("notice", "repeats"),
        migrator.drop_column("notice", "is_unsure"),
    )
    with SmsUse.bind_ctx(db):
        SmsUse.drop_table(safe=False)
