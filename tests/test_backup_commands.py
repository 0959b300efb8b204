"""`countersign backup`, `restore`, `keys restore` and `held` as people and timers run them."""

from __future__ import annotations

import json
import resource
import subprocess

import pytest

from portal.settings import ROOT
from tests.processes import command, environment


def run(data_dir, *words, typed="", limit=None, **more):
    return subprocess.run(
        command(*words), cwd=ROOT, env=environment(data_dir, **more), input=typed, capture_output=True,
        text=True, timeout=120, check=False, preexec_fn=limit,
    )  # fmt: skip


def assert_refused(done, *words):
    """One plain sentence on standard error, nothing on standard output, exit 1."""
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """An installation with one sealed file."""
    import pikepdf

    folder = tmp_path_factory.mktemp("machine") / "data"
    plain, sealed = folder.with_name("plain.pdf"), folder.with_name("sealed.pdf")
    with pikepdf.new() as document:
        document.add_blank_page(page_size=(595, 842))
        document.save(plain)
    assert run(folder, "seal", str(plain), str(sealed)).returncode == 0
    return folder


@pytest.fixture(scope="module")
def backup(machine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backups") / "here"
    done = run(machine, "backup", str(folder), "--with-keys", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"parent": folder}


def test_backup_and_restore_say_what_they_did(machine, tmp_path):
    saved = run(machine, "backup", str(tmp_path / "b"))
    back = run(tmp_path / "new", "restore", str(tmp_path / "b"))

    assert (saved.returncode, saved.stderr) == (0, "")
    assert "Keys: not inside." in saved.stdout
    assert back.returncode == 0, back.stderr
    assert "What remains to do:" in back.stdout
    assert "keys restore" in back.stdout


def test_with_keys_the_new_machine_says_the_same_of_a_file(machine, backup, tmp_path):
    new = tmp_path / "new"

    done = run(new, "restore", backup["folder"], "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
    verified = run(new, "verify", str(machine.with_name("sealed.pdf")), "--json")
    assert (
        json.loads(verified.stdout)["kind"]
        == json.loads(run(machine, "verify", str(machine.with_name("sealed.pdf")), "--json").stdout)["kind"]
    )
    assert run(new, "ca").stdout == run(machine, "ca").stdout
    assert json.loads(run(new, "held", "--json").stdout) == {"held": []}


def test_a_restored_machine_without_keys_neither_starts_nor_makes_new_ones(machine, tmp_path):
    new = tmp_path / "new"
    run(machine, "backup", str(tmp_path / "b"))
    assert run(new, "restore", str(tmp_path / "b")).returncode == 0

    for words in (("serve", "--port", "1"), ("work",), ("people", "add", "a@b.example", "--role", "owner")):
        assert_refused(run(new, *words), "keys restore")
    assert not (new / "keys").exists()
    assert run(new, "keys", "restore", str(machine / "keys")).returncode == 0
    assert (new / "keys" / "encryption_keys").read_text() == (
        machine / "keys" / "encryption_keys"
    ).read_text()
    assert_refused(run(new, "keys", "restore", str(machine / "keys")), "holds keys already")


@pytest.fixture(scope="module")
def recovery_key(machine, tmp_path_factory):
    from portal import settings
    from portal.services import key_sets
    from tests.conftest import NOW

    keys = key_sets.gather(settings.read({"COUNTERSIGN_DATA_DIR": str(machine)}))
    path = tmp_path_factory.mktemp("keys") / "countersign-recovery.json"
    path.write_bytes(key_sets.protect(keys, "four words nobody guesses", NOW, company="Larkfield"))
    return path


def test_the_passphrase_is_read_from_a_file_or_standard_input(backup, recovery_key, tmp_path):
    words = ("restore", str(backup["parent"]), "--keys", str(recovery_key))
    file = tmp_path / "passphrase"
    file.write_text("four words nobody guesses\n")

    assert_refused(run(tmp_path / "a", *words, typed="wrong\n"), "passphrase does not open")
    assert not (tmp_path / "a").exists()
    assert run(tmp_path / "a", *words, typed="four words nobody guesses\n").returncode == 0
    assert run(tmp_path / "b", *words, "--passphrase-file", str(file)).returncode == 0


def test_a_full_disk_is_one_sentence_and_leaves_nothing(machine, tmp_path):
    """A limit on the size of files stands in for the disk that is full."""

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = run(machine, "backup", str(tmp_path / "b"), limit=small_files)

    assert_refused(done, "No backup was made")
    assert [path.name for path in (tmp_path / "b").iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_made_is_one_sentence(machine, tmp_path):
    (tmp_path / "file").write_text("in the way")

    assert_refused(run(machine, "backup", str(tmp_path / "file" / "b")), "No backup was made")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backup", "b"), "no prepared database"),
        (("held",), "no prepared database"),
        (("keys", "restore", "absent.json"), "no prepared database"),
        (("restore", "absent"), "no finished backup"),
    ],
)
def test_without_an_installation_or_a_backup_nothing_is_made(tmp_path, words, said):
    folder = tmp_path / "data"
    words = [str(tmp_path / word) if word in ("b", "absent", "absent.json") else word for word in words]

    assert_refused(run(folder, *words), said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("backup", "b"), ("restore", "b"), ("held",)])
def test_a_database_that_is_away_is_one_sentence(backup, tmp_path, words):
    given = [str(backup["parent"]) if word == "b" else word for word in words]

    done = run(tmp_path / "d", *given, COUNTERSIGN_DATABASE_URL="postgresql://postgres@127.0.0.1:9/none")

    assert_refused(done, "database does not answer")


def test_a_full_machine_is_never_filled(machine, backup):
    assert_refused(run(machine, "restore", str(backup["parent"])), "is not empty")


@pytest.mark.parametrize(
    "words", [("backup",), ("restore",), ("keys",), ("keys", "restore"), ("held", "--send", "--drop")]
)
def test_wrong_usage_exits_with_2(tmp_path, words):
    assert run(tmp_path, *words).returncode == 2
