"""The portal on a throw-away sample with an account at every provider, each a simulator on this machine.

`make demo`, or `python -m tests.simulators.demo --port 8000`. Ctrl-C ends it all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.simulators.__main__ import described, served


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--simulators", type=int, default=0, help="port of the first simulator")
    wanted = parser.parse_args()
    with served(wanted.simulators) as vendors, tempfile.TemporaryDirectory() as folder:
        accounts = Path(folder) / "accounts.json"
        accounts.write_text(json.dumps([described(vendor) for vendor in vendors]))
        command = [
            sys.executable,
            "-m",
            "portal.cli",
            "demo",
            "--port",
            str(wanted.port),
            "--accounts",
            str(accounts),
        ]
        portal = subprocess.Popen(command)
        try:
            return portal.wait()
        except KeyboardInterrupt:
            return portal.wait()


if __name__ == "__main__":
    sys.exit(main())
