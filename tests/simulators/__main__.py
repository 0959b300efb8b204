"""Every simulated vendor at once: `python -m tests.simulators --port 9101 [--write FILE.json]`.

They listen on ports that follow each other. FILE gets what a portal needs to be connected to them, as
`countersign demo --accounts FILE.json` reads it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from providers import registry
from tests.simulators.vendor import Vendor


def made(name: str) -> Vendor:
    """A fresh simulator of one provider."""
    found = import_module(f"tests.simulators.{name}")
    kind = next(
        value for value in vars(found).values()
        if isinstance(value, type) and issubclass(value, Vendor) and value.name == name
    )  # fmt: skip
    return kind()


def described(vendor: Vendor) -> dict[str, Any]:
    return {
        "provider": vendor.name,
        "name": f"{registry.label(vendor.name)} (simulated)",
        "server": vendor.origin,
        "settings": vendor.connection_settings(),
    }


@contextlib.contextmanager
def served(port: int = 0) -> Any:
    """All of them, delivering webhooks for real; gives the running simulators."""
    with contextlib.ExitStack() as stack:
        found = []
        for number, name in enumerate(registry.remote_names()):
            vendor = made(name)
            vendor.delivers = True
            found.append(stack.enter_context(vendor.serving(port + number if port else 0)))
        yield found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the first; the others follow")
    parser.add_argument("--write", type=Path, help="where to write what a portal needs to connect")
    wanted = parser.parse_args()
    with served(wanted.port) as vendors:
        if wanted.write:
            wanted.write.write_text(json.dumps([described(vendor) for vendor in vendors], indent=1))
        for vendor in vendors:
            print(f"{vendor.name}: {vendor.origin}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
