"""Search in the texts of contracts: their words, with FTS5 on SQLite and a tsvector on PostgreSQL."""

from peewee import *

FTS = (
    "CREATE VIRTUAL TABLE contract_text_words USING fts5("
    "words, content='contract_text', content_rowid='id', detail=none, prefix='1 2 3', tokenize='ascii')",
    "CREATE TRIGGER contract_text_added AFTER INSERT ON contract_text BEGIN "
    "INSERT INTO contract_text_words(rowid, words) VALUES (new.id, new.words); END",
    "CREATE TRIGGER contract_text_removed AFTER DELETE ON contract_text BEGIN "
    "INSERT INTO contract_text_words(contract_text_words, rowid, words) "
    "VALUES ('delete', old.id, old.words); END",
    "CREATE TRIGGER contract_text_changed AFTER UPDATE ON contract_text BEGIN "
    "INSERT INTO contract_text_words(contract_text_words, rowid, words) "
    "VALUES ('delete', old.id, old.words); "
    "INSERT INTO contract_text_words(rowid, words) VALUES (new.id, new.words); END",
)
TSVECTOR = (
    "CREATE TABLE contract_text_words ("
    "id INTEGER PRIMARY KEY REFERENCES contract_text (id) ON DELETE CASCADE, found tsvector NOT NULL)",
    "CREATE INDEX contract_text_words_found ON contract_text_words USING gin (found)",
    "CREATE FUNCTION contract_text_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO contract_text_words (id, found) "
    "VALUES (new.id, array_to_tsvector(string_to_array(new.words, ' '))) "
    "ON CONFLICT (id) DO UPDATE SET found = excluded.found; RETURN NULL; END $$",
    "CREATE TRIGGER contract_text_kept AFTER INSERT OR UPDATE ON contract_text "
    "FOR EACH ROW EXECUTE FUNCTION contract_text_kept()",
)


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


def up(migrator, db):
    Contract = type("Contract", (Model,), {
        "id": TextField(primary_key=True),
        "Meta": type("Meta", (), {"database": db, "table_name": "contract"}),
    })  # fmt: skip

    class ContractText(Model):
        id = AutoField()
        contract = ForeignKeyField(Contract, unique=True, on_delete="CASCADE")
        words = TextField()
        indexed_at = UtcField()

        class Meta:
            database = db
            table_name = "contract_text"

    db.create_tables([ContractText])
    for statement in FTS if isinstance(db, SqliteDatabase) else TSVECTOR:
        db.execute_sql(statement)


def down(migrator, db):
    if isinstance(db, SqliteDatabase):
        for name in ("added", "removed", "changed"):
            db.execute_sql(f"DROP TRIGGER contract_text_{name}")
    else:
        db.execute_sql("DROP TRIGGER contract_text_kept ON contract_text")
        db.execute_sql("DROP FUNCTION contract_text_kept()")
    db.execute_sql("DROP TABLE contract_text_words")
    migrator.migrate(migrator.drop_table("contract_text"))
