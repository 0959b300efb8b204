"""A backup is whole or not there, says what it lacks, and gives nothing away."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import peewee
import pytest

from portal.documents.store import S3Store
from portal.models import base, copying, schema
from portal.models.contracts import Document
from portal.services import archives, backups, installation
from tests import machines
from tests.cast import assemble
from tests.conftest import NOW
from tests.faults import stage
from tests.services import signing

CANARY = "Zephyrine-5521"


@pytest.fixture
def at_work(home):
    machines.set_to_work(NOW)
    return home


def make(tmp_path, now=NOW, **more):
    return backups.make(tmp_path / "backups", with_keys=more.pop("with_keys", False), now=now, **more)


def document(kind="shown"):
    return Document.select().where(Document.kind == kind).first()


def stored(home, row) -> Path:
    return home.settings.data_dir / "documents" / row.storage_key


def test_a_backup_holds_every_row_and_every_document(at_work, tmp_path):
    report = make(tmp_path)

    folder = Path(report.folder)
    statement = archives.read_manifest(folder)["statement"]
    assert folder.name == "2026-11-23T094100Z"
    assert report.ok
    assert report.rows == sum(model.select().count() for model in schema.tables()) - 1  # the fact came after
    assert {row.storage_key for row in Document.select()} <= {
        name.removeprefix("store/") for name in statement["files"]
    }
    assert set(statement["tables"]) == {model._meta.table_name for model in schema.tables()}
    assert [fault for fault in archives.faults(folder, statement["files"]) if fault] == []
    assert statement["migrations"] == schema.known()
    assert statement["head"]["number"] > 0
    assert not list((tmp_path / "backups").glob(".unfinished*"))


def test_every_kind_of_column_can_be_copied():
    for model in schema.tables():
        assert copying.columns_of(model)


def test_the_manifest_is_signed_with_the_audit_key(at_work, tmp_path):
    folder = Path(make(tmp_path).folder)
    manifest = archives.read_manifest(folder)

    archives.demand_signature(folder, manifest, at_work.authority.audit_pem)
    with pytest.raises(archives.BadBackup, match="not signed with the audit key"):
        archives.demand_signature(folder, manifest, at_work.authority.ca_pem)


def test_the_next_backup_links_documents_that_are_unchanged(at_work, tmp_path):
    first = make(tmp_path)
    second = make(tmp_path, NOW + timedelta(hours=1))

    key = document().storage_key
    one, two = (Path(each.folder) / "store" / key for each in (first, second))
    assert first.reused == 0
    assert second.reused == second.documents == first.documents
    assert one.stat().st_ino == two.stat().st_ino
    shutil.rmtree(first.folder)
    statement = archives.read_manifest(Path(second.folder))["statement"]
    assert not any(archives.faults(Path(second.folder), statement["files"]))


def test_a_document_that_rotted_in_the_last_backup_is_copied_again(at_work, tmp_path):
    first = make(tmp_path)
    rotten = Path(first.folder) / "store" / document().storage_key
    rotten.write_bytes(b"rotten")

    second = make(tmp_path, NOW + timedelta(hours=1))

    assert second.reused == second.documents - 1
    copy = Path(second.folder) / "store" / document().storage_key
    assert copy.read_bytes() == stored(at_work, document()).read_bytes()


def test_missing_and_changed_documents_are_named_and_the_rest_is_saved(at_work, tmp_path):
    gone, *others = Document.select().where(Document.kind == "shown")
    changed = others[0]
    stored(at_work, gone).unlink()
    path = stored(at_work, changed)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")

    report = make(tmp_path)

    assert not report.ok
    assert {each["document"]: each["reason"] for each in report.damaged} == {
        gone.storage_key: "it is not in the store",
        changed.storage_key: "the document was changed or belongs to another record",
    }
    assert archives.find(tmp_path / "backups") == Path(report.folder)
    outcome = backups.last_outcome()
    assert (outcome["ok"], outcome["good_at"]) == (False, None)
    assert outcome["reason"] == "Documents that are not whole: 2."


def test_a_document_of_another_record_is_not_taken_for_whole(at_work, tmp_path):
    one, two = list(Document.select().where(Document.kind == "shown"))[:2]
    shutil.copy(stored(at_work, one), stored(at_work, two))

    assert [each["document"] for each in make(tmp_path).damaged] == [two.storage_key]


def test_without_keys_nothing_secret_can_be_read_in_it(home, tmp_path):
    cast = assemble(NOW)
    envelope = signing.send(cast, NOW, message=CANARY)
    stage.run(NOW, kinds=("send_envelope",))
    installation.current().store.put("documents/aa/canary", CANARY.encode())

    report = make(tmp_path)

    settings = home.settings
    marks = [
        CANARY.encode(), settings.secret_key.encode(), (settings.key_dir / "encryption_keys").read_bytes(),
        b"PRIVATE KEY",
    ]  # fmt: skip
    files = {path: path.read_bytes() for path in Path(report.folder).rglob("*") if path.is_file()}
    hits = {path.name for path, content in files.items() if any(mark in content for mark in marks)}
    assert envelope.message == CANARY
    # What the sender wrote is plain in its row and beside its event, as in the database; mails are not.
    assert hits <= {"envelope.jsonl", "audit_detail.jsonl"}
    assert "keys.json" not in {path.name for path in files}
    assert "not inside" in backups.as_text(report)


def test_with_keys_they_are_inside_and_it_says_so(at_work, tmp_path):
    report = make(tmp_path, with_keys=True)

    path = Path(report.folder) / "keys.json"
    keys = json.loads(path.read_bytes())["keys"]
    assert keys["encryption_keys"] == (at_work.settings.key_dir / "encryption_keys").read_text()
    assert "seal_key.pem" in keys["authority"]
    assert path.stat().st_mode & 0o077 == 0
    assert "inside, in keys.json" in backups.as_text(report)
    assert base.db.execute_sql(
        "SELECT count(*) FROM audit_event WHERE act = 'keys.backed_up'"
    ).fetchone() == (1,)


def test_a_full_disk_leaves_nothing_and_says_why(at_work, tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.os, "fsync", full)
    with pytest.raises(backups.BackupFailed, match="No space left on device") as refused:
        make(tmp_path)

    assert "\n" not in refused.value.message
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lock"]
    assert backups.last_outcome()["reason"] == refused.value.message


def test_a_good_backup_is_remembered_when_the_next_one_fails(at_work, tmp_path, monkeypatch):
    make(tmp_path)
    monkeypatch.setattr(archives.Archive, "finish", lambda *_given: (_ for _ in ()).throw(OSError(5, "I/O")))
    with pytest.raises(backups.BackupFailed):
        make(tmp_path, NOW + timedelta(hours=1))

    outcome = backups.last_outcome()
    assert (outcome["ok"], outcome["good_at"]) == (False, NOW)
    assert outcome["at"] == NOW + timedelta(hours=1)


def test_only_one_backup_at_a_time_in_a_folder(at_work, tmp_path):
    with (
        archives.writing(tmp_path / "backups", NOW - timedelta(hours=1)),
        pytest.raises(backups.BackupFailed, match="Another backup"),
    ):
        make(tmp_path)


def test_what_a_killed_backup_left_is_swept_by_the_next(at_work, tmp_path):
    left = tmp_path / "backups" / ".unfinished-2026-11-22T000000Z"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("{}")

    make(tmp_path)

    assert not left.exists()


def test_a_folder_among_the_documents_is_refused(at_work):
    inside = at_work.settings.data_dir / "documents" / "backups"
    with pytest.raises(backups.BackupFailed, match="among the documents"):
        backups.make(inside, with_keys=False, now=NOW)


def test_rows_written_meanwhile_are_not_in_it(at_work, tmp_path, monkeypatch):
    """The database is one moment: what is committed while tables are read is seen in none of them."""
    before = base.db.execute_sql("SELECT count(*) FROM attempt").fetchone()[0]
    whole = copying.lines

    def written_meanwhile(moment, model):
        from portal.models.people import Attempt

        Attempt.create(scope="sign_in", subject="x", source="y", at=NOW)
        return whole(moment, model)

    monkeypatch.setattr(backups.copying, "lines", written_meanwhile)
    report = make(tmp_path)

    tables = archives.read_manifest(Path(report.folder))["statement"]["tables"]
    assert tables["attempt"] == before
    assert base.db.execute_sql("SELECT count(*) FROM attempt").fetchone()[0] > before


def test_documents_in_a_bucket_are_saved_too(at_work, tmp_path, bucket, monkeypatch):
    remote = S3Store(f"s3://contracts/kept?endpoint={bucket.url}&region=eu-west-3")
    for key in list(installation.current().store.keys()):
        remote.put(key, installation.current().store.inner.get(key))
    monkeypatch.setattr(backups, "bare_store", lambda _url: remote)

    report = make(tmp_path)

    assert report.ok
    assert report.documents == len(bucket.objects)


def test_a_bucket_that_fails_ends_the_backup(at_work, tmp_path, bucket, monkeypatch):
    remote = S3Store(f"s3://contracts/kept?endpoint={bucket.url}&region=eu-west-3")
    monkeypatch.setattr(backups, "bare_store", lambda _url: remote)
    bucket.mood = "denied"

    with pytest.raises(backups.BackupFailed, match="the bucket"):
        make(tmp_path)
    assert archives.whole_ones(tmp_path / "backups") == []


def test_a_database_that_is_away_is_one_sentence(at_work, tmp_path, monkeypatch):
    def away():
        raise peewee.OperationalError("server closed the connection\nunexpectedly")

    monkeypatch.setattr(backups, "demand_current_tables", away)
    with pytest.raises(backups.BackupFailed, match="the database does not answer") as refused:
        make(tmp_path)
    assert "\n" not in refused.value.message
