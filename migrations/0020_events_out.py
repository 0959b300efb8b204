"""Events told to other programs: receivers, messages, deliveries."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    pass


def up(migrator, db):
    class EventReceiver(Model):
        id = TextField(primary_key=True)
        name = TextField()
        url = TextField()
        signing_secret = TextField()
        former_secret = TextField(default="")
        former_until = UtcField(null=True)
        kinds = JsonField()
        is_active = BooleanField(default=True)
        failing_since = UtcField(null=True)
        paused_at = UtcField(null=True)
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "event_receiver"

    class EventMessage(Model):
        id = TextField(primary_key=True)
        kind = TextField()
        contract_id = TextField(null=True, index=True)
        text = TextField()
        created_at = UtcField(index=True)

        class Meta:
            database = db
            table_name = "event_message"

    class EventDelivery(Model):
        id = TextField(primary_key=True)
        message = ForeignKeyField(EventMessage, on_delete="CASCADE")
        receiver = ForeignKeyField(EventReceiver, on_delete="CASCADE")
        state = TextField(default="waiting")
        attempts = IntegerField(default=0)
        answer_status = IntegerField(null=True)
        last_problem = TextField(default="")
        tried_at = UtcField(null=True)
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "event_delivery"
            indexes = (
                (("message", "receiver"), True),
                (("receiver", "created_at"), False),
                (("receiver", "state"), False),
            )

    db.create_tables([EventReceiver, EventMessage, EventDelivery])


def down(migrator, db):
    for name in ("event_delivery", "event_message", "event_receiver"):
        migrator.migrate(migrator.drop_table(name))
