"""Where the killing is done: children that may die, copies of a stage, a mail server, a time authority."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from aiosmtpd.controller import Controller

from portal.documents.crypto import DocumentCipher
from portal.documents.store import open_store
from tests.documents import independent
from tests.faults import doomed, stage
from tests.faults.doomed import Doom, Site
from tests.faults.findings import Findings, look
from tests.processes import free_port
from tests.simulators.tsa import timestamp_server

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
LEASE = timedelta(seconds=61)
POSTGRES = "postgresql://postgres@127.0.0.1:5432"
PATIENCE_S = 120
MEMORY = "/dev/shm"

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "tests.faults.doomed", "portal.documents.executed", "portal.documents.render",
        "portal.documents.timestamps", "portal.documents.intake", "portal.pages.ceremony", "typst", "pikepdf",
        "playhouse.migrations",
    ]
)  # fmt: skip

NOWHERE = Doom()


class Broken(AssertionError):
    """A child that was to live has died, or never came to an end."""


@dataclass(frozen=True)
class Lived:
    """What a child did: its end, and if it lived its answer and what it passed."""

    was_killed: bool
    answer: Any = None
    visits: tuple[str, ...] = ()
    statements: int = 0
    took_s: float = 0.0


def live(
    site: Site,
    now: datetime,
    task: Callable[..., Any],
    *given: Any,
    doom: Doom = NOWHERE,
    after_s: float = 0.0,
) -> Lived:
    """Let a child do one task, and die where `doom` says or after so many seconds."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=doomed.live, args=(task, site, now, doom, theirs, given))
    started = time.monotonic()
    child.start()
    theirs.close()
    if after_s:
        child.join(after_s)
        child.kill()
    report = hear(ours)
    child.join(PATIENCE_S)
    took = time.monotonic() - started
    ended = child.exitcode
    child.close() if ended is not None else child.kill()
    if ended == -9:
        return Lived(True, took_s=took)
    if ended != 0 or report is None:
        raise Broken(f"{task.__name__} ended with {ended} ({doom})")
    answer, visits, statements = report
    return Lived(False, answer, tuple(visits), statements, took)


def together(site: Site, now: datetime, *tasks: tuple[Any, ...]) -> list[Any]:
    """Several children at the same moment: their answers. Each task gets the gate they meet at."""
    gate = CONTEXT.Barrier(len(tasks))
    with ThreadPoolExecutor(len(tasks)) as threads:
        lives = [threads.submit(live, site, now, task, gate, *given) for task, *given in tasks]
        return [each.result().answer for each in lives]


def hear(pipe: Any) -> Any:
    try:
        return pipe.recv() if pipe.poll(PATIENCE_S) else None
    except EOFError:
        return None
    finally:
        pipe.close()


# --- Copies ---------------------------------------------------------------------------------------------


@dataclass
class Copies:
    """One stage on one kind of database, and as many copies of it as there are rounds."""

    kind: str
    folder: Path
    environ: dict[str, str]
    facts: dict[str, Any]
    made: int = 0

    @contextmanager
    def fresh(self) -> Iterator[Site]:
        """A copy of everything, gone afterwards."""
        self.made += 1
        folder = self.folder.with_name(f"{self.folder.name}-{self.made}")
        shutil.copytree(self.folder, folder)
        name = f"{database_name(self.folder)}_{self.made}"
        if self.kind == "postgresql":
            copy_database(database_name(self.folder), name)
        try:
            yield Site(self.environ | environment(self.kind, folder, name))
        finally:
            shutil.rmtree(folder)
            if self.kind == "postgresql":
                drop_database(name)


def environment(kind: str, folder: Path, name: str) -> dict[str, str]:
    url = f"sqlite:///{folder / 'countersign.db'}" if kind == "sqlite" else f"{POSTGRES}/{name}"
    return {"COUNTERSIGN_DATA_DIR": str(folder), "COUNTERSIGN_DATABASE_URL": url}


def database_name(folder: Path) -> str:
    return f"countersign_fault_{os.getpid()}_{folder.name}"


def server() -> psycopg.Connection[Any]:
    return psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=3)


def copy_database(source: str, name: str) -> None:
    with server() as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        # What a power cut would take is not the question here.
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')


def drop_database(name: str) -> None:
    with server() as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def postgres_answers() -> bool:
    try:
        server().close()
    except psycopg.OperationalError:
        return False
    return True


# --- The world outside ---------------------------------------------------------------------------------


class Post:
    """A mail server on loopback that counts what arrives, by Message-ID."""

    def __init__(self) -> None:
        self.arrived: Counter[str] = Counter()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        name = str(message_from_bytes(envelope.content)["Message-ID"]).strip("<>").split("@")[0]
        self.arrived[name] += 1
        return "250 taken"


@dataclass
class Arena:
    """One kind of database with its stages, a mail server and a timestamp authority."""

    kind: str
    folder: Path
    post: Post
    post_url: str
    time_url: str
    time_root: bytes
    closing: ExitStack
    stages: dict[str, Copies] = field(default_factory=dict)
    calm: dict[str, Lived] = field(default_factory=dict)

    def stage(self, name: str, *given: Any) -> Copies:
        """The stage of that name, built at the first call."""
        if name not in self.stages:
            folder = self.folder / f"{self.kind}-{name}"
            folder.mkdir()
            database = database_name(folder)
            if self.kind == "postgresql":
                copy_database("template0", database)
                self.closing.callback(drop_database, database)
            away = {"COUNTERSIGN_TSA_URL": f"http://127.0.0.1:{free_port()}/"} if name == "outbox" else {}
            site = Site(environment(self.kind, folder, database) | away)
            facts = live(site, NOW, doomed.build, name, *given).answer
            outside = {"COUNTERSIGN_MAIL_URL": self.post_url, "COUNTERSIGN_TSA_URL": self.time_url}
            self.stages[name] = Copies(self.kind, folder, outside if name == "outbox" else {}, facts)
        return self.stages[name]


@contextmanager
def opened(kind: str) -> Iterator[Arena]:
    """`kind` is sqlite or postgresql. Copies lie in memory where there is some: a kill takes nothing
    that was written, so the disk has no part in it."""
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with ExitStack() as closing:
        folder = Path(closing.enter_context(TemporaryDirectory(prefix="countersign-faults-", dir=memory)))
        post, port = Post(), free_port()
        controller = Controller(post, hostname="127.0.0.1", port=port)
        controller.start()
        closing.callback(controller.stop)
        authority = closing.enter_context(timestamp_server(NOW + stage.LATER))
        yield Arena(
            kind, folder, post, f"smtp://127.0.0.1:{port}", authority.url, authority.root_pem, closing
        )  # fmt: skip


# --- Looking -------------------------------------------------------------------------------------------


def findings(site: Site) -> Findings:
    settings = site.settings()
    store = open_store(settings.storage_url, DocumentCipher(list(settings.encryption_keys)))
    return look(site.database_url, store.get, list(store.keys()))


def foreign_verdict(site: Site, found: Findings, time_root: bytes) -> list[str]:
    """I9: each executed file before a judge that shares nothing with the product."""
    folder = Path(site.environ["COUNTERSIGN_DATA_DIR"])
    (folder / "time.pem").write_bytes(time_root)
    ca = site.settings().authority_dir / "ca.pem"
    return [
        f"independent: {document['id']} version {document['version']}: {fault}"
        for document in found.of("document", kind="executed")
        for fault in independent.faults(found.read(document["storage_key"]), ca, folder, folder / "time.pem")
    ]
