"""Negotiation: people invited, comments, proposals, agreements, and which revisions were shared."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    pass


def up(migrator, db):
    class Contract(Model):
        id = TextField(primary_key=True)
        class Meta:
            database = db
            table_name = 'contract'

    class Revision(Model):
        id = TextField(primary_key=True)
        class Meta:
            database = db
            table_name = 'revision'

    class Person(Model):
        id = TextField(primary_key=True)
        class Meta:
            database = db
            table_name = 'person'

    class Negotiator(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete='CASCADE')
        name = TextField()
        email = TextField(index=True)
        language = TextField(default='en')
        link_sha256 = TextField(null=True, unique=True)
        link_expires_at = UtcField(null=True)
        invited_by = ForeignKeyField(Person)
        invited_at = UtcField()
        opened_at = UtcField(null=True)
        ended_at = UtcField(null=True)
        class Meta:
            database = db
            table_name = 'negotiator'
            indexes = ((('contract', 'email'), True),)

    class Comment(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete='CASCADE')
        revision = ForeignKeyField(Revision)
        place = TextField(default='')
        side = TextField()
        is_internal = BooleanField(default=False)
        person = ForeignKeyField(Person, null=True)
        author_name = TextField()
        author_email = TextField(default='')
        text = TextField()
        source = TextField(default='page')
        created_at = UtcField()
        settled_at = UtcField(null=True)
        settled_by = TextField(default='')
        class Meta:
            database = db
            table_name = 'comment'
            indexes = ((('contract', 'created_at'), False),)

    class Proposal(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete='CASCADE')
        revision = ForeignKeyField(Revision)
        place = TextField(default='')
        kind = TextField()
        before = JsonField(null=True)
        after = JsonField(null=True)
        side = TextField()
        person = ForeignKeyField(Person, null=True)
        author_name = TextField()
        author_email = TextField(default='')
        note = TextField(default='')
        answers_id = TextField(null=True)
        source = TextField(default='page')
        tracked = JsonField(default=list)
        state = TextField(default='open')
        decided_by = TextField(default='')
        decided_at = UtcField(null=True)
        decision_reason = TextField(default='')
        created_at = UtcField()
        class Meta:
            database = db
            table_name = 'proposal'
            indexes = ((('contract', 'state'), False),)

    class Agreement(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete='CASCADE')
        revision = ForeignKeyField(Revision)
        text_sha256 = TextField()
        side = TextField()
        author_name = TextField()
        author_email = TextField(default='')
        agreed_at = UtcField()
        ended_at = UtcField(null=True)
        class Meta:
            database = db
            table_name = 'agreement'
            indexes = ((('contract', 'ended_at'), False),)

    db.create_tables([Negotiator, Comment, Proposal, Agreement])
    migrator.migrate(
        migrator.add_column('revision', 'shared_at', UtcField(null=True)),
        migrator.add_column('revision', 'share_note', TextField(default='')),
    )


def down(migrator, db):
    migrator.migrate(
        migrator.drop_column('revision', 'shared_at'),
        migrator.drop_column('revision', 'share_note'),
    )
    for table in ('agreement', 'proposal', 'comment', 'negotiator'):
        migrator.migrate(migrator.drop_table(table))
