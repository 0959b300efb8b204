"""Tasks for children that do what a hostile file would make them do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from portal.documents.frames import Refused

Values = dict[str, Any]
Files = dict[str, bytes]


def echo(values: Values, files: Files) -> tuple[Values, Files]:
    print("a library that talks")
    return values, {name: content[::-1] for name, content in files.items()}


def spin(values: Values, files: Files) -> tuple[Values, Files]:
    while True:
        pass


def wait(values: Values, files: Files) -> tuple[Values, Files]:
    time.sleep(60)
    return {}, {}


def wait_with_helper(values: Values, files: Files) -> tuple[Values, Files]:
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    sys.stderr.write(f"helper {helper.pid}\n")
    sys.stderr.flush()
    return wait(values, files)


def swell(values: Values, files: Files) -> tuple[Values, Files]:
    return {"size": len(bytearray(4 << 30))}, {}


def abort(values: Values, files: Files) -> tuple[Values, Files]:
    os.abort()


def leave(values: Values, files: Files) -> tuple[Values, Files]:
    os._exit(0)


def stumble(values: Values, files: Files) -> tuple[Values, Files]:
    raise KeyError("a fault of ours")


def refuse(values: Values, files: Files) -> tuple[Values, Files]:
    raise Refused("too_many_pages", most=3)


def surroundings(values: Values, files: Files) -> tuple[Values, Files]:
    opened = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")[:-1]]
    return {"environment": dict(os.environ), "opened": opened}, {}


def write(values: Values, files: Files) -> tuple[Values, Files]:
    try:
        Path(values["path"]).write_bytes(b"something")
    except OSError as error:
        return {"refused": error.strerror}, {}
    return {"refused": ""}, {}
