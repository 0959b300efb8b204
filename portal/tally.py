"""How many requests came, how they ended and how long they took, counted across web processes.

Each process adds to a small file of its own in DATA_DIR/run, mapped into memory: no lock between
processes, nothing to write out, and what a killed process counted stays. `/metrics` adds the files
up. prometheus-client has a way for several processes too; it wants an environment variable before
its first import and costs each web process that import, this a few microseconds a request.

A file is a row of slots: a name of up to 240 bytes ended by zeros, then eighteen floats - one
count for each of BOUNDS and one above them, not added up, and the sum of all seconds. What ended
processes counted is gathered in one file, since a counter that falls misleads whoever reads it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
NAME, FIGURES = 240, len(BOUNDS) + 2
SLOT = NAME + 8 * FIGURES
SLOTS = 1536
SIZE = SLOT * SLOTS
FLOAT = struct.Struct("=d")
ROW = struct.Struct(f"={FIGURES}d")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PREFIX = "requests-"
ENDED = PREFIX + "ended"

Name = tuple[str, str, str]  # rule, method, status class


class Tally:
    """The counts of this process, and those of all. Forked processes each begin a file of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._memory: mmap.mmap
        self._offsets: dict[Name, int] = {}

    def add(self, rule: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request. Never raises: a full disk must not cost anybody their page."""
        name = (rule, method if method in METHODS else "other", f"{status // 100}xx")
        bucket = 8 * bisect_left(BOUNDS, seconds)
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
            at = self._offsets.get(name)
            if at is None:
                at = self._place(name)
            self._grow(at + bucket, 1.0)
            self._grow(at + 8 * (FIGURES - 1), seconds)

    def _grow(self, at: int, by: float) -> None:
        FLOAT.pack_into(self._memory, at, FLOAT.unpack_from(self._memory, at)[0] + by)

    def _begin(self) -> None:
        """A fresh file for this process; in memory alone where none can be made."""
        self._pid, self._offsets = os.getpid(), {}
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            gather_ended(self.folder)
            handle = os.open(self.folder / f"{PREFIX}{self._pid}", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.truncate(handle, SIZE)
                self._memory = mmap.mmap(handle, SIZE)
            finally:
                os.close(handle)
        except OSError:
            self._memory = mmap.mmap(-1, SIZE)

    def _place(self, name: Name) -> int:
        """Where the figures of this name begin; the last slot takes what no other has room for."""
        number = len(self._offsets)
        if number >= SLOTS - 1:
            number, name = SLOTS - 1, ("other", "other", name[2])
        else:
            self._offsets[name] = number * SLOT + NAME
        written = encoded(name)
        self._memory[number * SLOT : number * SLOT + len(written)] = written
        return number * SLOT + NAME

    def totals(self) -> dict[Name, list[float]]:
        """Name to figures, all processes together."""
        if not self.folder.is_dir():
            return {}
        with held(self.folder, fcntl.LOCK_SH):
            return summed(self.folder.glob(f"{PREFIX}*"))


def summed(paths: Iterable[Path]) -> dict[Name, list[float]]:
    found: dict[Name, list[float]] = {}
    for path in paths:
        for name, figures in rows(path.read_bytes()):
            before = found.get(name, [0.0] * FIGURES)
            found[name] = [one + other for one, other in zip(before, figures, strict=True)]
    return found


def rows(content: bytes) -> Iterator[tuple[Name, tuple[float, ...]]]:
    """The slots that are in use."""
    for start in range(0, len(content) - SLOT + 1, SLOT):
        written = content[start : start + NAME].rstrip(b"\0")
        if not written:
            return
        rule, method, status = written.decode("utf-8", "replace").split("\t")
        yield (rule, method, status), ROW.unpack_from(content, start + NAME)


def gather_ended(folder: Path) -> None:
    """Move what processes counted that are gone into the file of the ended."""
    with held(folder, fcntl.LOCK_EX):
        ended = [
            path for path in folder.glob(f"{PREFIX}[0-9]*") if not is_alive(int(path.name[len(PREFIX) :]))
        ]
        if not ended:
            return
        sums = summed([*ended, *folder.glob(ENDED)])
        draft = folder / "ended.draft"
        draft.write_bytes(b"".join(encoded(name).ljust(NAME, b"\0") + ROW.pack(*sums[name]) for name in sums))
        draft.replace(folder / ENDED)
        for path in ended:
            path.unlink()


def encoded(name: Name) -> bytes:
    """The name as it stands in a slot; of a rule that is too long, its beginning."""
    rest = "\t".join(("", *name[1:])).encode()
    return name[0].encode()[: NAME - len(rest)] + rest


def clear(folder: Path) -> None:
    """Begin anew, when the portal is started and no process counts yet."""
    for path in folder.glob(f"{PREFIX}*"):
        path.unlink(missing_ok=True)


@contextmanager
def held(folder: Path, how: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
