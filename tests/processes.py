"""Starting the real command, watching its process tree, ending it by its ids."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from portal.settings import ROOT

PATIENCE_S = 40


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("COUNTERSIGN_")}
    return clean | {"COUNTERSIGN_DATA_DIR": str(data_dir)} | more


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "portal.cli", *words]


def until(what: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true; fails after the patience is used up."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        answer = what()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"still not so after {patience_s} s: {what}")


class Tree:
    """One `countersign serve` or `demo` with everything it starts."""

    def __init__(self, data_dir: Path, *words: str, port: int | None = None, **more: str) -> None:
        self.port = port or free_port()
        self.data_dir = data_dir
        # Files, not pipes: a pipe that nobody reads is full after 64 KB of log and stops the process.
        self._stdout, self._stderr = os.memfd_create("stdout"), os.memfd_create("stderr")
        self.process = subprocess.Popen(
            command(*words, "--port", str(self.port)), cwd=ROOT, env=environment(data_dir, **more),
            stdout=self._stdout, stderr=self._stderr, start_new_session=True,
        )  # fmt: skip
        self.seen: set[int] = {self.process.pid}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> requests.Response | None:
        try:
            return requests.get(self.address + path, timeout=5)
        except requests.RequestException:
            return None

    def healthy(self) -> bool:
        assert self.process.poll() is None, (self.stdout, self.stderr)
        answer = self.get("/healthz")
        return answer is not None and answer.status_code == 200

    @property
    def stdout(self) -> str:
        """What it has printed until now."""
        return whole(self._stdout)

    @property
    def stderr(self) -> str:
        """What it has logged and complained about until now."""
        return whole(self._stderr)

    def pids(self) -> set[int]:
        """Every living process of the tree, the first one included; remembered for `orphans`."""
        found = {self.process.pid} | descendants(self.process.pid)
        self.seen |= found
        return found

    def jobs_worker(self) -> int | None:
        return next(
            (pid for pid in self.pids() if "work" in arguments_of(pid) and "--parent" in arguments_of(pid)),
            None,
        )

    def orphans(self) -> set[int]:
        return {pid for pid in self.seen if alive(pid)}

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.pids()
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)

    def end_everything(self) -> None:
        self.pids()
        for pid in self.seen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        os.close(self._stdout)
        os.close(self._stderr)


@contextlib.contextmanager
def running(data_dir: Path, *words: str, **more: Any) -> Iterator[Tree]:
    tree = Tree(data_dir, *words, **more)
    try:
        until(tree.healthy)
        yield tree
    finally:
        tree.end_everything()


def whole(file: int) -> str:
    """A file from its beginning, without moving the place where its writer goes on."""
    return os.pread(file, os.fstat(file).st_size, 0).decode()


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    grown = True
    while grown:
        more = {child for child, parent in parents.items() if parent in found | {pid}} - found
        found |= more
        grown = bool(more)
    return found


def arguments_of(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
