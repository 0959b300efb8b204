"""Asking for pages: one after the other for the time to the first byte, or all at once for how many."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import time
from http.client import HTTPConnection
from multiprocessing import get_context

from bench.stage import Portal, Visit

WARM_UP = 10


def first_bytes(portal: Portal, visit: Visit, count: int) -> list[float]:
    """Milliseconds from request to status line over one kept connection, after a warm-up."""
    connection = HTTPConnection("127.0.0.1", portal.port, timeout=30)
    times = []
    for turn in range(WARM_UP + count):
        started = time.perf_counter()
        connection.request("GET", visit.path, headers={"Cookie": visit.cookie})
        answer = connection.getresponse()
        waited = (time.perf_counter() - started) * 1000
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{visit.path} answered {answer.status}")
        if turn >= WARM_UP:
            times.append(waited)
    connection.close()
    return times


def medians(portal: Portal, visit: Visit, count: int, rounds: int) -> list[float]:
    """The median of each of several rounds."""
    return [statistics.median(first_bytes(portal, visit, count)) for _round in range(rounds)]


def per_second(portal: Portal, visit: Visit, seconds: int) -> float:
    """Pages a second at 16 connections: with wrk where it is installed, else from two processes."""
    if shutil.which("wrk"):
        return by_wrk(portal, visit, seconds)
    with get_context("spawn").Pool(2) as pool:
        return sum(pool.starmap(by_client, [(portal.port, visit, seconds)] * 2))


def by_wrk(portal: Portal, visit: Visit, seconds: int) -> float:
    said = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{seconds}s", "--timeout", "30s", "-H", f"Cookie: {visit.cookie}",
         portal.address + visit.path],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"not every page came:\n{said}")
    return float(rate[1])


def by_client(port: int, visit: Visit, seconds: int) -> float:
    """Eight kept connections used in turns; each is asked again before its answer is read."""
    held = [HTTPConnection("127.0.0.1", port, timeout=30) for _each in range(8)]
    for connection in held:
        connection.request("GET", visit.path, headers={"Cookie": visit.cookie})
    started, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        for connection in held:
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"{visit.path} answered {answer.status}")
            connection.request("GET", visit.path, headers={"Cookie": visit.cookie})
            count += 1
    return count / passed
