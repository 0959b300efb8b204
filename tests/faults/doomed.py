"""What runs inside a process that is about to be killed.

Each task opens the installation on a copy of its own, sets the clock, does one piece of work the
way worker or web process does it, and reports what it came to. `Doom` says where it dies: at the
n-th visit of a named point, or before the n-th statement to the database. Children are forked
from a warmed process (`rounds.CONTEXT`), so one costs a few hundredths of a second.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import FileSystemBytecodeCache

from portal import failpoints, i18n, pages, worker
from portal.app import create_app
from portal.models import base, schema
from portal.services import handlers, installation, jobs, rendering
from portal.services.builtin_ceremony import BuiltinCeremony
from portal.settings import Settings, read
from providers import registry
from tests.faults import stage
from tests.threads import at_once

PATIENCE_S = 60

# A child is forked from a process that has loaded this module, and with it every page.
for name in pages.MODULES:
    if find_spec(f"portal.pages.{name}") is not None:
        import_module(f"portal.pages.{name}")


@dataclass(frozen=True)
class Site:
    """One copy of an installation, by its settings."""

    environ: Mapping[str, str]

    @property
    def database_url(self) -> str:
        return self.environ["COUNTERSIGN_DATABASE_URL"]

    def settings(self) -> Settings:
        return read(dict(self.environ), create_keys=True)


@dataclass(frozen=True)
class Doom:
    """Where the process dies; nowhere when all are empty."""

    point: str = ""
    visit: int = 1
    statement: int = 0

    def __str__(self) -> str:
        if self.point:
            return f"{self.point}#{self.visit}"
        return f"statement {self.statement}" if self.statement else "nowhere"


@dataclass
class Reaper:
    """Counts what passes by, and kills when the moment has come."""

    doom: Doom
    visits: list[str] = field(default_factory=list)
    statements: int = 0

    def watch(self) -> None:
        failpoints.hook = self.visit
        database = base.db.obj
        execute = database.execute_sql

        def counted(*words: Any, **options: Any) -> Any:
            self.statements += 1
            if self.statements == self.doom.statement:
                die()
            return execute(*words, **options)

        database.execute_sql = counted

    def visit(self, name: str) -> None:
        self.visits.append(name)
        if name == self.doom.point and self.visits.count(name) == self.doom.visit:
            die()


def die() -> None:
    """As `kill -9` does it: no clean-up, no flush, no goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


def live(
    task: Callable[..., Any], site: Site, now: datetime, doom: Doom, report: Any, given: tuple[Any, ...]
) -> None:
    """The whole life of a child: open, work, report. Killed children report nothing."""
    set_clock(now)
    open_site(site)
    reaper = Reaper(doom)
    reaper.watch()
    answer = task(site, now, *given)
    report.send((answer, reaper.visits, reaper.statements))
    report.close()


def set_clock(now: datetime) -> None:
    """Make `now` the time of every module that asks the machine for it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("portal.") and "utc_now" in vars(module):
            module.utc_now = lambda: now  # type: ignore[attr-defined]


def open_site(site: Site) -> None:
    installation.open_installation(site.settings())
    registry.set_ceremony(BuiltinCeremony())
    handlers.load()
    i18n.activate("en")
    base.db.connect(reuse_if_open=True)
    rendering.environment().bytecode_cache = compiled_templates(site)


def compiled_templates(site: Site) -> FileSystemBytecodeCache:
    """Beside the copies, so that no child compiles what another has."""
    folder = Path(site.environ["COUNTERSIGN_DATA_DIR"]).with_name("templates")
    folder.mkdir(exist_ok=True)
    return FileSystemBytecodeCache(str(folder))


def build(site: Site, now: datetime, name: str, *given: Any) -> dict[str, Any]:
    """A new installation with the stage of that name; what a round must know of it."""
    schema.up()
    installation.create_authority(installation.current().settings, name="Larkfield Software Ltd", now=now)
    facts = stage.STAGES[name](now, *given)
    if base.is_sqlite():
        base.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    base.db.close()
    if not base.is_sqlite():
        base.db.obj.close_all()
    return facts


# --- The worker ----------------------------------------------------------------------------------------


class UntilIdle(threading.Event):
    """Stops the loop when it would wait, since then nothing is due."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def work(site: Site, now: datetime) -> None:
    """The worker's own loop until nothing is due."""
    worker.loop(f"worker-{os.getpid()}", lambda: now, UntilIdle())


def work_carelessly(site: Site, now: datetime) -> None:
    """As `work`, in a product whose services forgot their transactions: what the rounds must notice."""
    for name, module in list(sys.modules.items()):
        if name.startswith("portal.services.") and "transaction" in vars(module):
            module.transaction = nullcontext  # type: ignore[attr-defined]
    work(site, now)


# --- The web -------------------------------------------------------------------------------------------


def press(
    site: Site, now: datetime, path: str, form: Mapping[str, str], cookies: Mapping[str, str], page: str
) -> tuple[int, str, int, str]:
    """One POST as a browser sends it, then the page a person looks at: status, where it leads or what
    it says, and the same of the page."""
    client = browser(site, now, cookies)
    answer = client.post(path, data=form)
    shown = client.get(page)
    return answer.status_code, answer.headers.get("Location") or answer.text, shown.status_code, shown.text


def browser(site: Site, now: datetime, cookies: Mapping[str, str]) -> Any:
    """A test client whose application runs on the connection that is watched."""
    opened, installation.open_installation = (
        installation.open_installation,
        lambda settings: installation.current(),
    )
    try:
        app = create_app(site.settings())
    finally:
        installation.open_installation = opened
    set_clock(now)
    app.config["WTF_CSRF_ENABLED"] = False
    app.jinja_env.bytecode_cache = compiled_templates(site)
    client = app.test_client()
    for name, value in cookies.items():
        client.set_cookie(name, value)
    return client


def act(site: Site, now: datetime, name: str, *given: Any) -> Any:
    """A use case called as its page calls it; what was refused comes back as a sentence."""
    from portal.errors import PortalError

    try:
        return stage.ACTS[name](now, *given)
    except PortalError as error:
        return f"{error.status} {error.message}"


# --- Several at once --------------------------------------------------------------------------------------


def in_step(site: Site, now: datetime, gate: Any, name: str, calls: list[tuple[Any, ...]]) -> list[Any]:
    """The same use case again and again, each time at the same moment as the other processes."""
    answers = []
    for given in calls:
        gate.wait(PATIENCE_S)
        answers.append(act(site, now, name, *given))
    return answers


def many(site: Site, now: datetime, gate: Any, name: str, count: int, *given: Any) -> list[Any]:
    """One use case `count` times from several threads, at the same moment as the other processes."""
    gate.wait(PATIENCE_S)
    return at_once(lambda: act(site, now, name, *given), count, threads=6)


def work_beside(site: Site, now: datetime, gate: Any) -> list[int]:
    """The worker's loop beside another one; the notes it took."""
    taken: list[int] = []
    jobs.HANDLERS["note"] = lambda payload, context: taken.append(payload["number"])
    gate.wait(PATIENCE_S)
    work(site, now)
    return taken
