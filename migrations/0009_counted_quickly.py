"""Documents and messages are counted out of an index, however many there are."""

from peewee import *


def up(migrator, db):
    migrator.migrate(migrator.add_index("document", ("kind", "size_bytes")))
    migrator.migrate(migrator.add_index("notice", ("channel", "status")))


def down(migrator, db):
    migrator.migrate(migrator.drop_index("notice", "notice_channel_status"))
    migrator.migrate(migrator.drop_index("document", "document_kind_size_bytes"))
