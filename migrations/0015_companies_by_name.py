"""A company is found by its name in whatever case, however many there are."""

from peewee import *


def up(migrator, db):
    db.execute_sql("CREATE INDEX counterparty_name_lower ON counterparty (LOWER(name))")


def down(migrator, db):
    db.execute_sql("DROP INDEX counterparty_name_lower")
