"""A template may say that its contracts are signed here, whatever account is usual."""

from peewee import *


def up(migrator, db):
    migrator.migrate(migrator.add_column("template", "is_signed_here", BooleanField(default=False)))


def down(migrator, db):
    migrator.migrate(migrator.drop_column("template", "is_signed_here"))
