"""Up, down, up; afterwards the tables are what the models say."""

from __future__ import annotations

from playhouse.schema_diff import diff_models

from portal.models import base, schema


def test_migrations_go_up_down_up_and_match_the_models(home):
    assert schema.pending() == []
    while any(applied for _name, applied in schema.status()):
        schema.down()
    assert set(base.db.get_tables()) <= {"schema_migration"}

    schema.up()

    assert not diff_models(base.db.obj, schema.tables())
