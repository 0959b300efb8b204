"""Every figure in one table: `python -m bench`. Each program runs in a process of its own, one after the
other; `--small` only shows that they run."""

from __future__ import annotations

import argparse
import subprocess
import sys

from bench.table import Row, from_json, text

PROGRAMS = (
    "script_size",
    "requests_to_read",
    "first_byte",
    "page_visible",
    "throughput",
    "contract_list",
    "last_signature",
    "seal",
    "memory",
    "start",
    "growth",
    "text_search",
    "bulk_send",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="NAME", help=", ".join(PROGRAMS))
    parser.add_argument("--small", action="store_true", help="a tiny size, only to see that they run")
    asked = parser.parse_args()
    if unknown := set(asked.programs) - set(PROGRAMS):
        parser.error(f"there is no program {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    failed = []
    for name in asked.programs or PROGRAMS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"bench.{name}", "--json", *(["--small"] if asked.small else [])]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if run.returncode == 0:
            rows += from_json(run.stdout)
        else:
            failed.append(name)
    print(text(rows))
    if failed:
        raise SystemExit(f"no figure from: {', '.join(failed)}")


if __name__ == "__main__":
    main()
