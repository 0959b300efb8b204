"""F-20 and kills: backups while people sign, restored elsewhere before an independent judge; `kill -9` of
backup and restore at every kind of moment.

The short version takes two backups under load of each database; COUNTERSIGN_TEST_LONG=1 takes ten.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from portal import settings
from portal.clock import utc_now
from portal.documents.crypto import DocumentCipher
from portal.documents.store import open_store
from portal.models import base, schema
from portal.models.envelopes import Envelope
from portal.services import archives, backups, handlers, installation, key_sets, links, restores
from portal.settings import ROOT
from tests import machines
from tests.conftest import skip_or_fail
from tests.documents import independent
from tests.faults import arena as place
from tests.faults import invariants, stage
from tests.faults.arena import NOW, live
from tests.faults.conftest import LONG
from tests.faults.doomed import Site, die
from tests.faults.findings import look
from tests.processes import Tree, command, environment, running, until
from tests.services import signing

BACKUPS = 10 if LONG else 2
CROWD = 60 if LONG else 8
MOST_RESTORE_S = 15 * 60


# --- People who sign over HTTP --------------------------------------------------------------------


@dataclass
class Signers:
    """Browsers at their last button, pressing one after the other; who was answered with a yes, and when."""

    tree: Tree
    waiting: list[dict[str, str]]
    promised: dict[str, float] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while self.waiting and not self.stopping.wait(0.1):
            self.sign(self.waiting.pop())

    def sign(self, at: dict[str, str]) -> None:
        if confirm(self.tree.address, at) == 303:
            self.promised[at["recipient"]] = time.monotonic()

    def before(self, moment: float) -> list[str]:
        return [recipient for recipient, at in self.promised.items() if at < moment]


def confirm(address: str, at: dict[str, str]) -> int:
    """Open the page of the last button and press it: the status of the answer."""
    browser = requests.Session()
    browser.cookies.set(stage.SIGNER, at["token"])
    page = browser.get(address + at["path"], timeout=20)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token, page.text
    form = {"csrf_token": token[1], "document_sha256": at["sha256"]}
    answer = browser.post(f"{address}{at['path']}/confirm", data=form, timeout=20, allow_redirects=False)
    return answer.status_code


# --- The machines -------------------------------------------------------------------------------


@dataclass
class Machine:
    """A data folder, its database, and the command run on them."""

    folder: Path
    more: dict[str, str]

    def run(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words), cwd=ROOT, env=environment(self.folder, **self.more), input=typed,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    def settings(self) -> settings.Settings:
        return settings.read({"COUNTERSIGN_DATA_DIR": str(self.folder), **self.more}, create_keys=True)

    def findings(self) -> Any:
        given = self.settings()
        store = open_store(given.storage_url, DocumentCipher(list(given.encryption_keys)))
        return look(given.database_url, store.get, list(store.keys()))


@pytest.fixture(params=["sqlite", "postgresql"])
def new_machine(request, tmp_path):
    """Makes empty machines on one kind of database."""
    if request.param == "postgresql" and not place.postgres_answers():
        skip_or_fail("no PostgreSQL at 127.0.0.1:5432")
    with ExitStack() as closing:
        numbers = itertools.count()

        def make() -> Machine:
            folder = tmp_path / f"machine-{next(numbers)}"
            if request.param == "sqlite":
                return Machine(folder, {})
            url = closing.enter_context(machines.empty_postgres_database())
            return Machine(folder, {"COUNTERSIGN_DATABASE_URL": url})

        yield make
        base.disconnect()


def built(machine: Machine) -> dict[str, Any]:
    """A machine with a crowd at their last buttons and a link that nobody opened yet."""
    machine.folder.mkdir()
    given = machine.settings()
    now = utc_now() - timedelta(minutes=5)
    installation.create_authority(given, name="Larkfield Software Ltd", now=now - timedelta(days=1))
    installation.open_installation(given)
    base.db.connect(reuse_if_open=True)
    schema.up()
    handlers.load()
    facts = stage.crowds(now, CROWD)
    unopened = Envelope.get_by_id(facts["pairs"][0]["envelope"])
    facts["link"] = links.issue(signing.recipient(unopened, "claire"), now=now)
    base.disconnect()
    return facts


def test_a_backup_under_load_is_restored_whole_elsewhere(new_machine, tmp_path):
    """Nothing promised before the backup began is lost, and the restored machine goes on with its work."""
    old = new_machine()
    facts = built(old)
    (tmp_path / "passphrase").write_text("four words nobody guesses\n")
    last = facts["singles"][0]["claire"]
    crowd = [each["claire"] for each in facts["singles"][1:]] + [each["claire"] for each in facts["pairs"]]
    taken: list[tuple[Path, list[str]]] = []
    with running(old.folder, "serve", **old.more) as tree:
        signers = Signers(tree, crowd)
        thread = threading.Thread(target=signers.run)
        thread.start()
        try:
            until(lambda: signers.promised)
            for number in range(BACKUPS):
                moment = time.monotonic()
                done = old.run("backup", str(tmp_path / f"backups-{number % 2}"), "--json")
                assert done.returncode == 0, done.stderr
                taken.append((Path(json.loads(done.stdout)["folder"]), signers.before(moment)))
        finally:
            signers.stopping.set()
            thread.join()
    assert taken[-1][1], "nobody signed before the last backup"
    (tmp_path / "recovery.json").write_bytes(recovery_key(old))

    for folder, promised in taken:
        machine = new_machine()
        took_s = restored(machine, folder, tmp_path)
        assert took_s < MOST_RESTORE_S
        assert_whole(machine, promised, tmp_path, finished=False)

    with running(machine.folder, "serve", **machine.more) as tree:
        assert tree.get(f"/sign/{facts['link']}").status_code == 200
        assert confirm(tree.address, last) == 303
        assert machine.run("held", "--send").returncode == 0
        until(lambda: not waiting(machine), 120)
    assert_whole(machine, [*promised, last["recipient"]], tmp_path, finished=True)


def recovery_key(machine: Machine) -> bytes:
    keys = key_sets.gather(machine.settings())
    return key_sets.protect(keys, "four words nobody guesses", NOW, company="Larkfield Software Ltd")


def restored(machine: Machine, folder: Path, papers: Path) -> float:
    """By the documented commands; how long it took."""
    started = time.monotonic()
    done = machine.run(
        "restore", str(folder), "--keys", str(papers / "recovery.json"), "--json",
        "--passphrase-file", str(papers / "passphrase"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    took_s = time.monotonic() - started
    report = json.loads(done.stdout)
    print(f"{folder.name}: {report['rows']} rows, {report['documents']} documents back in {took_s:.1f} s")
    assert machine.run("audit", "verify").returncode == 0
    return took_s


def assert_whole(machine: Machine, promised: list[str], papers: Path, *, finished: bool) -> None:
    """The independent checker finds nothing, and every executed PDF is genuine to everybody."""
    found = machine.findings()
    assert invariants.violations(found, finished=finished, promised=promised) == []
    executed = found.of("document", kind="executed")
    assert executed or not finished
    ca = machine.settings().authority_dir / "ca.pem"
    for number, document in enumerate(executed):
        content = found.read(document["storage_key"])
        assert independent.faults(content, ca, papers) == []
        if number == 0:
            file = papers / "executed.pdf"
            file.write_bytes(content)
            assert machine.run("verify", str(file)).returncode == 0


def waiting(machine: Machine) -> list[Any]:
    recurring = ("fold_chains", "remind", "expire", "forget_leftovers", "forget_uploads", "sweep_sign_in")
    return [
        job for job in machine.findings()["job"] if job["status"] != "done" and job["kind"] not in recurring
    ]


# --- Kills --------------------------------------------------------------------------------------


@pytest.fixture
def site(arena):
    with arena.stage("outbox").fresh() as copy:
        yield copy


def dying_at(fatal: int | str, module: Any) -> Callable[[], int]:
    """Die at the n-th time that something is put on the platter, or when a function of the module begins."""
    count = itertools.count(1)
    number = 0
    fsync = os.fsync

    def counted(handle: int) -> None:
        nonlocal number
        number = next(count)
        if number == fatal:
            die()
        fsync(handle)

    os.fsync = counted
    if isinstance(fatal, str):
        setattr(module, fatal, lambda *_given, **_more: die())
    return lambda: number


def back_up(site: Site, now: Any, folder: Path, fatal: int | str) -> int:
    told = dying_at(fatal, backups)
    backups.make(folder, with_keys=True, now=now)
    return told()


def put_back(site: Site, now: Any, folder: Path, new: Path, fatal: int | str) -> int:
    told = dying_at(fatal, restores)
    restores.restore(folder, machines.reader(new), keys=None, now=now)
    return told()


def spread(most: int, *names: str) -> list[int | str]:
    """The first, the last and some between, or all of them in the long version."""
    numbers = range(1, most + 1) if LONG else sorted({1, 2, most // 3, most // 2, most - 2, most - 1, most})
    return [*numbers, *names]


def test_a_killed_backup_never_looks_whole(site, tmp_path):
    calm = live(site, NOW, back_up, tmp_path / "calm", 0)
    folder = tmp_path / "backups"

    for fatal in spread(calm.answer, "note"):
        lived = live(site, NOW, back_up, folder, fatal)
        assert lived.was_killed, fatal
        for whole in archives.whole_ones(folder):
            # the name is there, only the folder around it or the note of it was still to come
            assert fatal in (calm.answer, "note"), fatal
            statement = archives.read_manifest(whole)["statement"]
            assert [fault for fault in archives.faults(whole, statement["files"]) if fault] == []
            archives.shutil.rmtree(whole)
        with pytest.raises(archives.BadBackup):
            archives.find(folder)

    assert not live(site, NOW, back_up, folder, 0).was_killed
    assert len(archives.whole_ones(folder)) == 1
    assert not list(folder.glob(".unfinished*"))


def test_a_killed_restore_never_starts(site, tmp_path):
    live(site, NOW, back_up, tmp_path / "backups", 0)
    calm = live(site, NOW, put_back, tmp_path / "backups", tmp_path / "calm", 0)

    for number, fatal in enumerate(spread(calm.answer, "put_documents", "settle", "prove")):
        new = tmp_path / f"new-{number}"
        assert live(site, NOW, put_back, tmp_path / "backups", new, fatal).was_killed, fatal
        with pytest.raises(settings.BadSettings, match="was not finished"):
            settings.read({"COUNTERSIGN_DATA_DIR": str(new)}, create_keys=True)
        with pytest.raises(restores.RestoreFailed, match="is not empty"):
            restores.restore(tmp_path / "backups", machines.reader(new), keys=None, now=NOW)

    again = tmp_path / "again"
    assert not live(site, NOW, put_back, tmp_path / "backups", again, 0).was_killed
    assert settings.read({"COUNTERSIGN_DATA_DIR": str(again)}, create_keys=True).encryption_keys
