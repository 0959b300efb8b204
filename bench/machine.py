"""What the operating system says: is the machine quiet, what does a process tree hold, free ports."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

QUIET = 0.9
PATIENCE_S = 8.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_quiet(patience_s: float = PATIENCE_S) -> bool:
    """Wait until the processors were over 90 % idle for half a second; False when they never were."""
    ends = time.monotonic() + patience_s
    while time.monotonic() < ends:
        idle, total = ticks()
        time.sleep(0.5)
        idle_then, total_then = ticks()
        if idle_then - idle >= QUIET * (total_then - total):
            return True
    return False


def ticks() -> tuple[int, int]:
    """Idle and all processor time since the machine started."""
    fields = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def tree(pid: int) -> list[int]:
    """A process and everything it started that still runs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def held_mb(pids: list[int]) -> float:
    """Proportional set size of some processes together: shared pages are counted once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def spent_s(pids: list[int]) -> float:
    """As `cpu_s`, with what their ended children used."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(each) for each in fields[11:15])
    return total / 100


def cpu_s(pids: list[int]) -> float:
    """Processor time of some processes together, in seconds."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / 100
