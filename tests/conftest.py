"""What most tests begin with: a database of each kind, an installation, the app and a small cast.

Ana owns the contract, Ben is her colleague, Cleo is a stranger from another company.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from portal import i18n, settings
from portal.models import base, schema
from portal.services import installation
from portal.services.builtin_ceremony import BuiltinCeremony
from providers import registry

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
STRICT = os.environ.get("COUNTERSIGN_TEST_STRICT") == "1"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def skip_or_fail(reason: str) -> None:
    """Skip where something is absent; where the run is meant to be complete, fail."""
    if STRICT:
        pytest.fail(f"{reason}, and COUNTERSIGN_TEST_STRICT asks for everything")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse every socket beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise OSError(f"a test reached for {address[0]}, beyond this machine")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


def pytest_configure(config: pytest.Config) -> None:
    """Keep the run's files in memory where that is possible: thousands of small databases are made."""
    memory = Path("/dev/shm")
    if not hasattr(config, "workerinput") and config.option.basetemp is None and os.access(memory, os.W_OK):
        config.option.basetemp = str(memory / f"countersign-test-{os.getpid()}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and "countersign-test-" in str(config.option.basetemp):
        shutil.rmtree(config.option.basetemp, ignore_errors=True)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def prepared_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with secrets and a certificate authority, made once per test process."""
    folder = tmp_path_factory.mktemp("keys")
    made = settings.read({"COUNTERSIGN_DATA_DIR": str(folder)}, create_keys=True)
    installation.create_authority(made, name="Larkfield Software Ltd", now=NOW)
    return folder / "keys"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    database = base.connect(f"sqlite:///{path}")
    schema.up()
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    """A database of this test process's own; its name, or "" where no server answers."""
    name = f"countersign_test_{os.getpid()}"
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        yield ""
        return
    server.execute(f'DROP DATABASE IF EXISTS "{name}"')
    server.execute(f'CREATE DATABASE "{name}"')
    url = POSTGRES.rsplit("/", 1)[0] + f"/{quote(name)}"
    database = base.connect(url)
    schema.up()
    # A test run may forget what a power cut would take; the product asks for full safety.
    server.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    database.close_all()
    yield url
    server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    server.close()


def empty_postgres(url: str) -> None:
    """Delete every row; the trail's triggers are put aside for that, as only a superuser can."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        names = [f'DELETE FROM "{model._meta.table_name}"' for model in schema.tables()]
        connection.execute("; ".join(names))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty, migrated database: each test using it runs on both kinds."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "countersign.db")
        return f"sqlite:///{tmp_path / 'countersign.db'}"
    url = request.getfixturevalue("postgres_database")
    if not url:
        skip_or_fail("no PostgreSQL at 127.0.0.1:5432")
    empty_postgres(url)
    return str(url)


@pytest.fixture
def portal_settings(database_url: str, tmp_path: Path, prepared_keys: Path) -> settings.Settings:
    shutil.copytree(prepared_keys, tmp_path / "keys")
    return settings.read({"COUNTERSIGN_DATA_DIR": str(tmp_path), "COUNTERSIGN_DATABASE_URL": database_url})


@pytest.fixture
def home(portal_settings: settings.Settings) -> Iterator[installation.Installation]:
    """An open installation: tables, keys and store, no people yet."""
    opened = installation.open_installation(portal_settings)
    base.db.connect(reuse_if_open=True)
    i18n.activate("en")
    registry.set_ceremony(BuiltinCeremony())  # as every process that works does at its start
    yield opened
    base.disconnect()


@pytest.fixture
def cast(home: installation.Installation) -> Any:
    from tests.cast import assemble

    return assemble(NOW)


@pytest.fixture(scope="session")
def wired_app(prepared_keys: Path, sqlite_template: Path) -> Any:
    """The web application, wired once per test process; `app` puts it on each test's database."""
    from portal.app import create_app

    made = create_app(
        settings.read(
            {
                "COUNTERSIGN_DATA_DIR": str(prepared_keys.parent),
                "COUNTERSIGN_DATABASE_URL": f"sqlite:///{sqlite_template}",
            }
        )
    )
    made.testing = True
    made.config["WTF_CSRF_ENABLED"] = False
    base.disconnect()
    return made


@pytest.fixture
def app(wired_app: Any, home: installation.Installation) -> Iterator[Any]:
    """The web application on the test's database; errors come through as they are."""
    installation.open_installation(home.settings)
    base.db.connect(reuse_if_open=True)
    usual = dict(wired_app.config)
    wired_app.config["COUNTERSIGN"] = home.settings
    yield wired_app
    wired_app.config.clear()
    wired_app.config.update(usual)


@pytest.fixture
def client(app: Any) -> Any:
    return app.test_client()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    from tests.simulators.s3 import Bucket
    from tests.simulators.tsa import running

    application = Bucket()
    with running(application) as url:
        yield application, url


@pytest.fixture
def bucket(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small S3 on loopback, empty, with credentials for it."""
    application, url = s3_server
    application.__init__()
    application.url = url
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return application


@pytest.fixture
def run_jobs(home: installation.Installation) -> Callable[..., int]:
    """Run every due job now, as the worker would; failures of handlers are raised."""
    from portal.services import handlers, jobs

    handlers.load()

    def run(now: datetime = NOW, *, strict: bool = True) -> int:
        from portal.models.jobs import Job

        count = jobs.run_due("test", lambda: now)
        if strict:
            troubled = [f"{j.kind}: {j.last_error}" for j in Job.select().where(Job.last_error != "")]
            assert not troubled, troubled
        return count

    return run
