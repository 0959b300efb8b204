"""`countersign serve`: web and worker in one process tree.

The main process migrates, then holds the web server; the worker is its child and is started
again when it ends. Web workers and the job worker leave by themselves when the main process is
gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from portal import i18n, logs, pages, tally
from portal.clock import utc_now
from portal.errors import PortalError
from portal.models import base, schema
from portal.services import approval_rules, gateways, installation, policies, publication, templates
from portal.settings import ROOT, Settings, is_loopback

RESTART_WAIT_S = 1.0
STOP_WAIT_S = 15
HEAD_START_S = 1.0


class CannotStart(PortalError):
    """Why the portal does not start, in one sentence."""


def serve(
    settings: Settings, *, host: str, port: int, workers: int, prepared: Callable[[], None] | None = None
) -> None:
    """Start everything and stay until SIGINT or SIGTERM. Raises CannotStart with one sentence."""
    check_certificate(settings)
    check_can_start(host, port)
    with only_start(settings):
        prepare(settings)
        check_messages_leave(settings)
        installation.set_fact("address", local_address(settings, host, port), utc_now())
        tally.clear(settings.run_dir)
        if prepared is not None:
            prepared()
        base.db.close()
        run_tree(settings, host, port, workers)


def check_messages_leave(settings: Settings) -> None:
    """Where outside people are to come, their messages must go out to them."""
    if not settings.base_url_is_local and gateways.all_stay_here():
        raise CannotStart(
            "BASE_URL is a public address but no mail gateway is set up: nobody would get a message. Set "
            "COUNTERSIGN_MAIL_URL, or start without COUNTERSIGN_BASE_URL and connect one on the mail page."
        )


def check_can_start(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {host} cannot be used ({error.strerror}): choose another with --port, "
                f"or with `make run PORT=8123`."
            ) from error


def check_certificate(settings: Settings) -> None:
    """Refuse a certificate that no browser could be given, before anything is started."""
    if settings.tls_cert is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise CannotStart(
            f"TLS_CERT ({settings.tls_cert}) and TLS_KEY ({settings.tls_key}) cannot be used together "
            f"({reason_of(error)}): "
            "give a PEM certificate chain and its own private key, without a password."
        ) from error


def reason_of(error: OSError | ValueError) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error).lower()


@contextlib.contextmanager
def only_start(settings: Settings) -> Iterator[None]:
    """One start per data folder: a second one is told who holds it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(settings.data_dir / "lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise CannotStart(
                f"Countersign already runs on {settings.data_dir} "
                f"(process {lock.read().strip() or 'unknown'}): "
                f"stop it first, or set COUNTERSIGN_DATA_DIR to another folder."
            ) from error
        os.set_inheritable(lock.fileno(), False)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def prepare(settings: Settings) -> None:
    """Keys, certificate authority, tables, and the wording and rules every installation begins with."""
    now = utc_now()
    installation.open_installation(settings)
    installation.create_authority(settings, name="Countersign", now=now)
    base.db.connect(reuse_if_open=True)
    schema.up()
    templates.seed(now=now)
    policies.seed(now=now)
    publication.seed(now=now)
    approval_rules.seed(now=now)


def run_tree(settings: Settings, host: str, port: int, workers: int) -> None:
    server = web_server(host, port, workers=workers, cert=settings.tls_cert, key=settings.tls_key)
    preload()
    stopping = threading.Event()
    keeper = threading.Thread(target=keep_worker, args=(stopping,), name="worker-keeper")
    keeper.start()
    try:
        server.serve()
    finally:
        stopping.set()
        keeper.join()


def preload() -> None:
    """Load what every page needs once, before the web processes are forked, and keep it shared."""
    for module in ("portal.app", *(f"portal.pages.{name}" for name in pages.MODULES)):
        import_module(module)
    i18n.warm()
    gc.collect()
    gc.freeze()


def web_server(
    host: str,
    port: int,
    *,
    workers: int,
    target: str = "wsgi:app",
    cert: Path | None = None,
    key: Path | None = None,
) -> Any:
    """The web processes, answering https where a certificate is given (TLS 1.2 and later).

    `serve()` on it stays until the main process is told to stop.
    """
    from granian import Granian
    from granian.constants import SSLProtocols

    return Granian(
        target,
        address=host,
        port=port,
        interface="wsgi",
        workers=workers,
        blocking_threads=4,
        http="1",
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=1,
        workers_kill_timeout=10,
        log_access=False,
        log_level="warning",
        log_dictconfig=logs.for_web_server(),
        working_dir=ROOT,
        ssl_cert=cert,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls12,
    )


def keep_worker(stopping: threading.Event) -> None:
    """Keep one job worker alive until told to stop; it then gets time to finish its job.

    It begins a moment later, so that its PDF libraries do not hold up the first page. Only waiting
    until then also matters: the web processes are forked, and a lock taken here, such as that of an
    import, would stay taken in them for ever.
    """
    stopping.wait(HEAD_START_S)
    while not stopping.is_set():
        child = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", "work", "--parent", str(os.getpid())], cwd=ROOT
        )
        while child.poll() is None and not stopping.wait(0.2):
            pass
        if stopping.is_set():
            end(child)
        else:
            stopping.wait(RESTART_WAIT_S)


def end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def local_address(settings: Settings, host: str, port: int) -> str:
    """The address to print: BASE_URL where set, else where the server listens."""
    if settings.base_url:
        return settings.base_url
    shown = "127.0.0.1" if is_loopback(host) else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"{'https' if settings.https else 'http'}://{shown}:{port}"


def port_of(settings: Settings, given: int | None) -> int:
    if given is not None:
        return given
    if settings.base_url_is_local and settings.base_url:
        return urlsplit(settings.base_url).port or 8000
    return 8000


def data_dir_text(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
