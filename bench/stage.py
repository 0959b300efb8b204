"""What the programs measure on: a throw-away installation with a ten-page contract waiting for its signer,
and the portal serving it as `countersign serve` does."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import machine
from portal import settings as portal_settings
from portal.settings import ROOT, Settings

PAGES = 10
START_PATIENCE_S = 40
SEAL_PATIENCE_S = 30


@dataclass
class Stage:
    """A prepared data folder. `tokens` open signing links, `staff` is a signed-in owner's cookie."""

    folder: Path
    settings: Settings
    staff: str = ""
    tokens: list[str] = field(default_factory=list)


@dataclass
class Portal:
    """A running server: where it listens and which process started it."""

    port: int
    pid: int
    address: str = field(init=False)

    def __post_init__(self) -> None:
        self.address = f"http://127.0.0.1:{self.port}"


# --- Preparing -------------------------------------------------------------------------------


@contextlib.contextmanager
def prepared(
    *, database_url: str = "", signers: int = 1, contracts: int = 0, texts: bool = False
) -> Iterator[Stage]:
    """An installation with tables, keys and people, some ten-page contracts that wait for one signer
    each, and as many others as asked for."""
    from portal.models import base

    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        stage = Stage(Path(name), read_settings(Path(name), database_url))
        fill(stage, signers, contracts, texts)
        base.disconnect()
        yield stage


def read_settings(folder: Path, database_url: str) -> Settings:
    given = {"COUNTERSIGN_DATA_DIR": str(folder)}
    if database_url:
        given["COUNTERSIGN_DATABASE_URL"] = database_url
    return portal_settings.read(given, create_keys=True)


def fill(stage: Stage, signers: int, contracts: int, texts: bool = False) -> None:
    from bench import volume
    from portal import serving
    from portal.services import handlers, links, sessions
    from portal.services.builtin_ceremony import BuiltinCeremony
    from providers import registry
    from tests.cast import assemble

    now = datetime.now(UTC)
    serving.prepare(stage.settings)
    registry.set_ceremony(BuiltinCeremony())
    handlers.load()
    cast = assemble(now)
    stage.staff = sessions.open_for(cast.ana, stage="full", now=now)
    for _signer in range(signers):
        stage.tokens.append(links.issue(asked_to_sign(cast, now), now=now))
    if contracts:
        volume.load(cast, contracts, now, texts=texts)


def asked_to_sign(cast: Any, now: datetime) -> Any:
    """The recipient of a ten-page contract who needs nothing but the link."""
    from portal.models.contracts import Document, Revision
    from portal.services import documents, jobs
    from portal.sla import levels
    from tests.services import signing

    person = signing.theirs(language="en", phone="")
    contract = signing.ready(cast, now, [person], repeat=repeats(), kind="support")
    terms = levels.defaults(
        "business-hours", "standard", side="supplier", product="Quote",
        fee=Decimal(900), currency="EUR",
        start_on=now.date() + timedelta(days=30), length_months=12, tz="Europe/Paris",
    )  # fmt: skip
    Revision.update(terms=terms).where(Revision.contract == contract).execute()
    shown = Document.get(Document.contract == contract)
    documents.record_pages(shown, documents.put_pages(documents.read(shown)))
    envelope = signing.send(cast, now, contract)
    jobs.run_due("bench", lambda: now)
    who = signing.recipient(envelope, person["key"])
    if who.factors or who.status != "sent":
        raise SystemExit(f"the bench signer is {who.status} and must pass {who.factors}")
    return who


@lru_cache(maxsize=1)
def repeats() -> int:
    """How often the sample clauses stand in a contract of ten pages."""
    from tests.services.signing import printed

    return next(count for count in range(4, 40) if printed(count).pages >= PAGES)


# --- Running ---------------------------------------------------------------------------------


@contextlib.contextmanager
def running(stage: Stage) -> Iterator[Portal]:
    """`countersign serve` on a prepared folder; ended, with all it started, when the block ends."""
    with started(stage.settings) as portal:
        wait_until_healthy(portal)
        yield portal


@contextlib.contextmanager
def started(settings: Settings) -> Iterator[Portal]:
    """As `running`, without waiting for the first answer."""
    port = machine.free_port()
    command = [sys.executable, "-m", "portal.cli", "serve", "--port", str(port)]
    with process(command, environment(settings)) as pid:
        yield Portal(port, pid)


@contextlib.contextmanager
def hello() -> Iterator[Portal]:
    """The floor: a page of one line from Flask, under the same server with the same workers."""
    port = machine.free_port()
    with process([sys.executable, "-m", "bench.hello", str(port)], dict(os.environ)) as pid:
        portal = Portal(port, pid)
        wait_until_healthy(portal)
        yield portal


@contextlib.contextmanager
def process(command: list[str], environment: dict[str, str]) -> Iterator[int]:
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield child.pid
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            for pid in machine.tree(child.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            child.wait()


def environment(settings: Settings) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
    return clean | {
        "COUNTERSIGN_DATA_DIR": str(settings.data_dir),
        "COUNTERSIGN_DATABASE_URL": settings.database_url,
    }


def wait_until_healthy(portal: Portal) -> None:
    ends = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < ends:
        connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.002)
        finally:
            connection.close()
    raise SystemExit(f"nothing answers at {portal.address}")


# --- Visiting --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """A page and the cookies that open it."""

    path: str
    cookie: str


def signing_page(portal: Portal, token: str) -> Visit:
    """Open the mailed link as a browser does, agree, and be where the pages are read."""
    invitation = ask(portal, Visit(f"/sign/{token}", ""))
    form = {"csrf_token": hidden(invitation.text, "csrf_token"), "consent": "yes", "language": "en"}
    agreed = ask(portal, Visit(f"/sign/{token}", invitation.cookie), form)
    visit = Visit(agreed.location, "; ".join(filter(None, (invitation.cookie, agreed.cookie))))
    if 'id="page-1"' not in ask(portal, visit).text:
        raise SystemExit(f"the signer at {visit.path} is not where the pages are read")
    return visit


def sign(portal: Portal, visit: Visit) -> None:
    """Type a name, check, confirm, and wait for the sealed copy."""
    page = ask(portal, visit)
    form = {"csrf_token": hidden(page.text, "csrf_token"), "language": "en"}
    typed = {"name": "Claire Aubert", "title": "IT Director", "bind": "yes", "read": "yes"}
    ask(portal, Visit(f"{visit.path}/signature", visit.cookie), form | typed)
    checked = {"document_sha256": hidden(ask(portal, visit).text, "document_sha256")}
    ask(portal, Visit(f"{visit.path}/confirm", visit.cookie), form | checked)
    ends = time.monotonic() + SEAL_PATIENCE_S
    while ask(portal, Visit(f"{visit.path}/copy", visit.cookie)).status != 200:
        if time.monotonic() > ends:
            raise SystemExit("no sealed copy came")
        time.sleep(0.05)


@dataclass(frozen=True)
class Answer:
    """What came back: the text of a page, where it leads, the cookies it set."""

    status: int
    text: str
    location: str
    cookie: str


def ask(portal: Portal, visit: Visit, form: dict[str, str] | None = None) -> Answer:
    """One request on a connection of its own; a form makes it a POST."""
    headers = {"Cookie": visit.cookie, "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=30)
    connection.request("POST" if form else "GET", visit.path, urlencode(form) if form else None, headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return Answer(answer.status, text, answer.headers["Location"] or "", cookies_of(answer))


def cookies_of(answer: http.client.HTTPResponse) -> str:
    return "; ".join(each.split(";", 1)[0] for each in answer.headers.get_all("Set-Cookie") or [])


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    return found[1] if found else ""


def staff_page(path: str, stage: Stage) -> Visit:
    return Visit(path, f"countersign={stage.staff}")
