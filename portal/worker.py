"""The job loop: claim, run, again. One process runs one job at a time."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import peewee

from portal import lifeline, logs
from portal.clock import utc_now
from portal.models import base
from portal.services import handlers, heartbeat, installation, jobs, queues
from portal.services.builtin_ceremony import BuiltinCeremony
from portal.settings import Settings
from providers import registry

IDLE_S = 0.1
HOUSEKEEPING = timedelta(seconds=15)


def start(settings: Settings, *, parent_pid: int | None = None) -> None:
    """Run jobs until told to stop (SIGTERM, SIGINT) or until the parent process is gone."""
    if parent_pid is not None:
        lifeline.end_with_parent(parent_pid)
    logs.set_up(settings)
    logs.catch_uncaught()
    installation.open_installation(settings)
    registry.set_ceremony(BuiltinCeremony())
    handlers.load()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    handlers.warm()
    loop(f"{os.getpid()}-{secrets.token_hex(4)}", utc_now, stopping)


def loop(owner: str, clock: Callable[[], datetime], stopping: threading.Event) -> None:
    """Run what is due; when nothing is, look again shortly. A database that is away is waited for."""
    next_housekeeping = clock()
    while not stopping.is_set():
        try:
            base.db.connect(reuse_if_open=True)
            if clock() >= next_housekeeping:
                heartbeat.beat(clock())
                jobs.add_recurring(clock())
                next_housekeeping = clock() + HOUSEKEEPING
            job = jobs.claim(owner, clock())
            if job is None:
                stopping.wait(IDLE_S)
                continue
            about = {"kind": job.kind, "job": job.id, "attempt": job.attempts}
            with logs.about(**about, contract=queues.reference_of(job)):
                if jobs.run(job, clock):
                    logs.event("job.done")
        except peewee.PeeweeException as error:
            logs.failure(error)
            base.db.close()
            stopping.wait(2)
