"""PDF work in short-lived processes with hard limits, so that a hostile file harms nobody.

A child gets one task by name (`child_main.TASKS`), JSON values and files, and answers once. It
inherits no environment and no open file, may write no file, and is killed with its whole process
group when its time is over. No process that answers the web imports a PDF library: it asks here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal.documents.frames import BrokenFrame, Refused, pack, unpack

__all__ = ["Busy", "ChildFailed", "Pool", "Refused", "Result", "run"]

ROOT = Path(__file__).resolve().parents[2]
LONGEST_ANSWER = 512 * 1024 * 1024
LONGEST_COMPLAINT = 64 * 1024
OUT_OF_MEMORY = (b"MemoryError", b"bad_alloc", b"memory allocation of", b"Cannot allocate memory")
# few threads and arenas, so the limit on address space means the same on a machine with many cores
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "MALLOC_ARENA_MAX": "2",
    "RAYON_NUM_THREADS": "2",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    values: dict[str, Any]
    files: dict[str, bytes]


class ChildFailed(Exception):
    """The child gave no answer; `reason` is "timeout", "memory" or "crashed"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Busy(Exception):
    """Every place in the pool stayed taken for as long as the caller would wait."""


class Pool:
    """At most `size` children at once in this process; a caller waits `patience` seconds for a place."""

    def __init__(self, size: int = 2, patience: float = 10) -> None:
        self._places = threading.BoundedSemaphore(size)
        self._patience = patience

    def run(
        self,
        task: str,
        payload: Mapping[str, Any],
        *,
        files: Mapping[str, bytes] | None = None,
        seconds: float = 20,
        memory_mb: int = 768,
    ) -> Result:
        """As `run`. Raises Busy when no place comes free in time."""
        if not self._places.acquire(timeout=self._patience):
            raise Busy
        try:
            return run(task, payload, files=files, seconds=seconds, memory_mb=memory_mb)
        finally:
            self._places.release()


def run(
    task: str,
    payload: Mapping[str, Any],
    *,
    files: Mapping[str, bytes] | None = None,
    seconds: float = 20,
    memory_mb: int = 768,
) -> Result:
    """Run one task of `child_main.TASKS` in a child of its own.

    `seconds` bounds both its CPU time and the clock on the wall. Raises ChildFailed, or Refused as
    the task raised it.
    """
    question = pack({"task": task, "values": dict(payload)}, dict(files or {}))
    with _started(seconds, memory_mb) as child:
        answer, complaint, in_time = _converse(child, question, seconds)
    if complaint:
        log.info("document child %s: %s", task, complaint.decode(errors="replace")[-2000:])
    try:
        header, made = unpack(io.BytesIO(answer).read)
    except (BrokenFrame, ValueError, KeyError, TypeError):
        raise ChildFailed(_reason(child.returncode, complaint, in_time)) from None
    if "refused" in header:
        raise Refused(header["refused"], **header["params"])
    if "failed" in header:
        raise ChildFailed(header["failed"])
    return Result(header["values"], made)


@contextlib.contextmanager
def _started(seconds: float, memory_mb: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-s", "-m", "portal.documents.child_main"]
    child = subprocess.Popen(
        [*command, str(memory_mb), str(math.ceil(seconds))],
        bufsize=0,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


@dataclass
class _Talk:
    """One question going in while answer and complaint come out."""

    unsent: Iterator[bytes]
    pending: memoryview = field(default_factory=lambda: memoryview(b""))
    answer: bytearray = field(default_factory=bytearray)
    complaint: bytearray = field(default_factory=bytearray)

    def send(self, pipe: int) -> bool:
        """Write what fits; True when the question is out. The pipe stays open: see `child_main`."""
        if not self.pending:
            self.pending = memoryview(next(self.unsent, b""))
        if not self.pending:
            return True
        try:
            self.pending = self.pending[os.write(pipe, self.pending) :]
        except BrokenPipeError:
            return True
        return False

    def hear(self, pipe: int, heard: bytearray, most: int) -> bool:
        """Read what is there; True at the end, or when the child says more than it may."""
        said = os.read(pipe, 1 << 20)
        heard += said[: most - len(heard)]
        return not said or len(heard) >= most


def _converse(
    child: subprocess.Popen[bytes], question: Iterator[bytes], seconds: float
) -> tuple[bytes, bytes, bool]:
    """Answer, complaint (stderr), and whether the child ended in time."""
    talk = _Talk(chunk for chunk in question if chunk)
    inlet, outlet, errors = (pipe.fileno() for pipe in (child.stdin, child.stdout, child.stderr) if pipe)
    os.set_blocking(inlet, False)
    steps: dict[int, Callable[[], bool]] = {
        inlet: lambda: talk.send(inlet),
        outlet: lambda: talk.hear(outlet, talk.answer, LONGEST_ANSWER),
        errors: lambda: talk.hear(errors, talk.complaint, LONGEST_COMPLAINT),
    }
    ends_at = time.monotonic() + seconds
    in_time = _pump(steps, inlet, ends_at)
    if in_time:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1)
    return bytes(talk.answer), bytes(talk.complaint), in_time


def _pump(steps: dict[int, Callable[[], bool]], inlet: int, ends_at: float) -> bool:
    """Take the steps whose pipes are ready until both outgoing pipes end; False when time is over."""
    with selectors.DefaultSelector() as ready:
        for pipe in steps:
            ready.register(pipe, selectors.EVENT_WRITE if pipe == inlet else selectors.EVENT_READ)
        while set(ready.get_map()) - {inlet}:
            left = ends_at - time.monotonic()
            if left <= 0:
                return False
            for key, _event in ready.select(left):
                if steps[key.fd]():
                    ready.unregister(key.fd)
    return True


def _reason(returncode: int | None, complaint: bytes, in_time: bool) -> str:
    if not in_time or returncode == -signal.SIGXCPU:
        return "timeout"
    if any(word in complaint for word in OUT_OF_MEMORY):
        return "memory"
    # the hard CPU limit kills outright on Linux; nobody else sends SIGKILL to a child in time
    return "timeout" if returncode == -signal.SIGKILL else "crashed"
