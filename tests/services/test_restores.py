"""An empty machine becomes the installation of the backup, or nothing is written and it says why."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from portal import settings
from portal.models import base, copying, schema
from portal.models.contracts import Document
from portal.models.envelopes import Envelope, LinkToken
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.models.people import Session
from portal.services import (
    archives,
    audit_chains,
    backups,
    documents,
    handlers,
    held,
    installation,
    jobs,
    key_sets,
    links,
    restores,
)
from portal.services.archives import BadBackup
from portal.services.restores import RestoreFailed
from tests import machines
from tests.conftest import NOW, skip_or_fail
from tests.services import signing

LATER = NOW + timedelta(days=1)
# For what does not depend on the database that the backup came from.
file_only = pytest.mark.parametrize("machine", ["sqlite"], indirect=True)


@dataclasses.dataclass
class Old:
    """A machine, a backup of it, and what it held when that was made."""

    settings: settings.Settings
    folder: Path
    keys: key_sets.KeySet
    rows: dict[str, list[str]]
    waiting: int
    token: str


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def machine(request, tmp_path_factory, prepared_keys):
    """Built once for each kind of database; tests get copies of its backup."""
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(prepared_keys, folder / "keys")
    if request.param == "sqlite":
        yield built(machines.reader(folder)(), folder)
        return
    if not request.getfixturevalue("postgres_database"):
        skip_or_fail("no PostgreSQL at 127.0.0.1:5432")
    with machines.empty_postgres_database() as url:
        yield built(machines.reader(folder, url)(), folder)


def built(given, folder):
    installation.open_installation(given)
    base.db.connect(reuse_if_open=True)
    schema.up()
    facts = machines.set_to_work(NOW)
    token = links.issue(signing.recipient(Envelope.get_by_id(facts["forgotten"]), "claire"), now=NOW)
    jobs.claim("old worker", NOW + timedelta(hours=3))
    rows = machines.rows_of(given.database_url)
    waiting = Job.select().where(Job.kind.in_(jobs.OUTWARD) & Job.status.in_(("ready", "running"))).count()
    report = backups.make(folder.with_name(f"{folder.name}-backups"), with_keys=False, now=NOW)
    base.disconnect()
    return Old(given, Path(report.folder), key_sets.gather(given), rows, waiting, token)


@pytest.fixture
def old(machine, tmp_path):
    copy = tmp_path / "backups" / machine.folder.name
    shutil.copytree(machine.folder, copy)
    yield dataclasses.replace(machine, folder=copy)
    base.disconnect()


@pytest.fixture(params=["sqlite", "postgresql"])
def new(request, tmp_path):
    """The settings of an empty machine, on either database."""
    if request.param == "sqlite":
        yield machines.reader(tmp_path / "new")
        return
    if not request.getfixturevalue("postgres_database"):
        skip_or_fail("no PostgreSQL at 127.0.0.1:5432")
    with machines.empty_postgres_database() as url:
        yield machines.reader(tmp_path / "new", url)
        base.disconnect()


@pytest.fixture
def empty(tmp_path):
    return machines.reader(tmp_path / "new")


def restore(old, read, **more):
    return restores.restore(old.folder, read, **{"keys": old.keys, "now": LATER, **more})


def work():
    handlers.load()
    jobs.run_due("new worker", lambda: LATER)


def again(old, folder, **more):
    """Another backup of the old machine."""
    installation.open_installation(old.settings)
    base.db.connect(reuse_if_open=True)
    report = backups.make(folder, **{"with_keys": False, "now": LATER, **more})
    base.disconnect()
    return Path(report.folder)


def test_every_row_comes_back_whichever_database_it_came_from(old, new):
    report = restore(old, new)

    assert report.ok, report.faults
    back = machines.rows_of(new().database_url)
    # What a new machine changes by itself: see the tests below.
    own = {"job", "session", "audit_event", "chain_head", "installation_fact"}
    differing = {name for name in back if back[name] != old.rows[name]}
    assert differing <= own
    assert set(old.rows["audit_event"]) < set(back["audit_event"])
    assert len(back["job"]) == len(old.rows["job"])


def test_trail_files_and_mailed_links_go_on_working(old, new):
    restore(old, new)

    assert audit_chains.verify()["valid"]
    executed = list(Document.select().where(Document.kind == "executed"))
    assert executed
    assert all(documents.read(each).startswith(b"%PDF") for each in executed)
    assert links.find(old.token, LATER) is not None
    assert LinkToken.select().count() == len(old.rows["link_token"])


def test_new_rows_are_numbered_after_the_old_ones(old, new):
    restore(old, new)

    with base.transaction():
        jobs.add("fold_chains", now=LATER)
    highest = max(json.loads(row)[0] for row in old.rows["job"])
    assert Job.select().order_by(Job.id.desc()).first().id == highest + 1


def test_what_was_to_leave_the_house_is_held_and_other_work_goes_on(old, new):
    report = restore(old, new)

    assert report.held == old.waiting > 0
    assert held.count() == old.waiting
    assert not Job.select().where(Job.status == "running").exists()
    assert Job.select().where((Job.status == "ready") & (Job.kind == "seal_envelope")).exists()
    messages = [row for row in held.listed() if row["message"]]
    assert {row["to"] for row in messages} <= {notice.address for notice in Notice.select()}
    before = Notice.select().where(Notice.status == "sent").count()
    work()
    assert held.count() == old.waiting
    assert not Notice.select().where((Notice.status == "sent") & (Notice.created_at <= NOW)).count() > before


@file_only
def test_held_messages_go_out_when_somebody_says_so(old, empty):
    restore(old, empty)

    assert held.send(LATER) == old.waiting
    work()

    assert held.count() == 0
    assert not Notice.select().where(Notice.status == "queued").exists()


@file_only
def test_held_messages_that_are_dropped_never_go_out(old, empty):
    restore(old, empty)
    waiting = {row.id for row in Notice.select().where(Notice.status == "queued")}

    assert held.drop(LATER) == old.waiting
    work()

    kept = {row.id: row for row in Notice.select().where(Notice.id.in_(waiting))}
    assert {row.status for row in kept.values()} == {"failed"}
    assert {row.failure for row in kept.values()} == {"Not sent again after a restore."}
    assert held.count() == 0


@file_only
def test_staff_sign_in_again_and_the_trail_says_where_it_came_from(old, empty):
    restore(old, empty)

    assert not Session.select().where(Session.person.is_null(False)).exists()
    fact = installation.fact("restored")
    assert fact["backup_made_at"] == "2026-11-23T09:41:00+00:00"
    said = [e for e in audit_chains.export_lines() if "installation.restored" in e]
    assert len(said) == 1
    assert fact["manifest_sha256"] in said[0]


@file_only
def test_it_says_what_remains_to_do(old, empty):
    text = restores.as_text(restore(old, empty))

    assert "COUNTERSIGN_BASE_URL" in text
    assert "COUNTERSIGN_MAIL_URL" in text
    assert "old machine does not run" in text


# --- Keys ---------------------------------------------------------------------------------------


@file_only
def test_without_keys_rows_come_back_and_nothing_starts_until_they_do(old, empty, tmp_path):
    report = restore(old, empty, keys=None)

    assert report.ok
    assert report.opened == 0
    assert "keys restore" in restores.as_text(report)
    environ = {"COUNTERSIGN_DATA_DIR": str(tmp_path / "new")}
    with pytest.raises(settings.BadSettings, match="keys restore"):
        settings.read(environ, create_keys=True)
    assert not (tmp_path / "new" / "keys").exists()

    opened, left = restores.put_keys(old.keys, empty)

    assert opened > 0
    assert left == []
    assert settings.read(environ, create_keys=True).encryption_keys


@file_only
def test_keys_inside_the_backup_are_used(old, empty, tmp_path):
    folder = again(old, tmp_path / "with", with_keys=True)

    done = restores.restore(folder, empty, keys=None, now=LATER)

    assert done.opened > 0


@file_only
def test_a_copy_of_the_folder_of_keys_will_do(old, empty, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(old.settings.key_dir, copy)

    keys = key_sets.read_from(copy, lambda: "")

    assert restore(old, empty, keys=keys).opened > 0


@file_only
def test_keys_of_another_installation_are_refused_before_anything_is_written(old, empty, tmp_path):
    other = settings.read({"COUNTERSIGN_DATA_DIR": str(tmp_path / "other")}, create_keys=True)

    with pytest.raises(RestoreFailed, match="not the keys of this backup"):
        restore(old, empty, keys=key_sets.gather(other))
    assert not (tmp_path / "new").exists()
    restore(old, empty, keys=None)
    with pytest.raises(RestoreFailed, match="not the keys of this installation"):
        restores.put_keys(key_sets.gather(other), empty)


@file_only
def test_keys_are_never_put_over_others(old, empty):
    restore(old, empty)

    with pytest.raises(key_sets.UnusableKeys, match="holds keys already"):
        restores.put_keys(old.keys, empty)


@file_only
def test_keys_given_by_the_environment_are_enough_for_what_is_stored(old, tmp_path):
    read = machines.reader(tmp_path / "new", ENCRYPTION_KEYS=old.keys.encryption_keys)

    report = restore(old, read, keys=None)

    assert report.opened > 0
    assert any("seal key is not here" in each for each in report.left)


# --- Refused ------------------------------------------------------------------------------------


@file_only
def test_only_an_empty_machine_is_filled(old, empty, tmp_path):
    restore(old, empty)

    with pytest.raises(RestoreFailed, match="is not empty"):
        restore(old, empty)


@file_only
def test_a_database_with_tables_is_refused(old, tmp_path):
    with pytest.raises(RestoreFailed, match="database is not empty"):
        restore(old, machines.reader(tmp_path / "new", old.settings.database_url))
    assert not (tmp_path / "new").exists()


@file_only
def test_a_store_with_documents_is_refused(old, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "one").write_text("x")

    with pytest.raises(RestoreFailed, match="store of documents is not empty"):
        restore(old, machines.reader(tmp_path / "new", STORAGE_URL=f"file:{tmp_path / 'elsewhere'}"))


@file_only
def test_a_database_that_is_not_there_is_one_sentence(old, tmp_path):
    read = machines.reader(tmp_path / "new", "postgresql://postgres@127.0.0.1:5432/nowhere-at-all")

    with pytest.raises(RestoreFailed, match="does not answer"):
        restore(old, read)


def test_a_folder_without_a_backup_is_refused(tmp_path, empty):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BadBackup, match="no finished backup"):
            restores.restore(folder, empty, keys=None, now=LATER)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def some(folder, part):
    return max(
        (path for path in (folder / part).rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )


@file_only
@pytest.mark.parametrize("part", ["tables", "store", "certificates"])
@pytest.mark.parametrize("how", [flip, Path.unlink, lambda path: path.write_bytes(path.read_bytes() + b"x")])
def test_a_changed_or_missing_file_is_refused_by_name(old, empty, tmp_path, part, how):
    path = some(old.folder, part)
    how(path)

    with pytest.raises(BadBackup, match=path.name) as refused:
        restore(old, empty)

    assert "\n" not in refused.value.message
    assert not (tmp_path / "new").exists()


def edit(manifest, change, *, consistent):
    from portal.services import audit

    whole = json.loads(manifest.read_text())
    change(whole["statement"])
    if consistent:
        body = audit.encode(whole["statement"]).encode()
        whole["sha256"] = archives.hashlib.sha256(body).hexdigest()
    manifest.write_text(json.dumps(whole))


@file_only
@pytest.mark.parametrize("consistent", [False, True])
def test_an_edited_manifest_is_refused_even_with_a_fresh_hash(old, empty, tmp_path, consistent):
    edit(old.folder / "manifest.json", lambda s: s["files"].pop("tables/act.jsonl"), consistent=consistent)

    with pytest.raises(BadBackup, match=r"manifest\.json"):
        restore(old, empty)
    assert not (tmp_path / "new").exists()


@file_only
def test_a_manifest_cannot_name_files_outside_its_folder(old, empty):
    def outside(statement):
        statement["files"]["../../../etc/passwd"] = {"sha256": "0", "size_bytes": 1}

    edit(old.folder / "manifest.json", outside, consistent=True)

    with pytest.raises(BadBackup, match="not a name that a backup uses"):
        restore(old, empty, keys=None)


@file_only
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(format="countersign-backup/9"), "format countersign-backup/9"),
        (lambda s: s["migrations"].append("9999_of_tomorrow"), "does not have"),
    ],
)
def test_a_backup_of_a_later_release_is_refused(old, empty, change, said):
    edit(old.folder / "manifest.json", change, consistent=True)

    with pytest.raises((BadBackup, RestoreFailed), match=said):
        restore(old, empty, keys=None)


@file_only
def test_rows_the_database_does_not_take_are_one_sentence_and_nothing_starts(old, empty, tmp_path):
    path = old.folder / "tables" / "act.jsonl"
    head, row, *_rest = path.read_text().splitlines()
    values = json.loads(row)
    columns = [name for name, _kind in json.loads(head)["columns"]]
    values[columns.index("recipient_id")] = "nobody"
    path.write_text("\n".join([head, json.dumps(values), ""]))

    def told(statement):
        statement["files"]["tables/act.jsonl"] = {
            "sha256": archives.digest_of(path), "size_bytes": path.stat().st_size
        }  # fmt: skip

    edit(old.folder / "manifest.json", told, consistent=True)

    with pytest.raises(RestoreFailed, match="does not take this backup") as refused:
        restore(old, empty, keys=None)
    assert "\n" not in refused.value.message
    with pytest.raises(settings.BadSettings, match="was not finished"):
        settings.read({"COUNTERSIGN_DATA_DIR": str(tmp_path / "new")}, create_keys=True)


@file_only
def test_documents_that_were_damaged_are_named_again(old, empty, tmp_path):
    executed = next(json.loads(row) for row in old.rows["document"] if '"executed"' in row)
    path = next(p for p in (old.settings.data_dir / "documents").rglob("*") if p.name in executed)
    kept = path.rename(path.with_suffix(".away"))
    folder = again(old, tmp_path / "second")
    kept.rename(path)

    done = restores.restore(folder, empty, keys=old.keys, now=LATER)

    assert done.ok
    assert path.name in restores.as_text(done)


@file_only
def test_the_register_is_compared_with_what_came_back(old, empty, monkeypatch):
    """An executed PDF whose bytes are not those registered is a fault, by name."""
    monkeypatch.setattr(restores.documents, "read", lambda row: (_ for _ in ()).throw(documents.Damaged(row)))

    report = restore(old, empty)

    assert not report.ok
    assert "is not the file that was registered" in report.faults[0]


@file_only
def test_a_backup_of_an_older_release_is_brought_up_to_date(old, empty, monkeypatch):
    """Rows are loaded into the tables they were written from; newer migrations come afterwards."""
    taken = []
    up = schema.up
    monkeypatch.setattr(schema, "up", lambda target=None: taken.append(target) or up(target))
    known = schema.known()

    restore(old, empty)

    assert taken == [known[-1], None]
    with sqlite3.connect(copying.sqlite_file(empty().database_url)) as file:
        assert [name for (name,) in file.execute("SELECT name FROM schema_migration ORDER BY name")] == known
